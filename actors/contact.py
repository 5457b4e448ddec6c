"""A contact: which conversation a message belongs to. [behaviour §4, one live conversation]

Because one actor decides for one person, simultaneous first messages never make two conversations.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import UNSET

from actors.access import may_see
from actors.conversation import ConversationActor
from actors.house import House, check_text
from actors.messages import (
    Absorb,
    Absorbed,
    Active,
    Begin,
    Claim,
    Do,
    HandledBy,
    Introduced,
    Invite,
    Listen,
    Receive,
    Said,
    SessionEnded,
    SessionStarted,
    Start,
    Update,
)
from actors.system import Actor, Turn
from actors.timeline import by_whom
from protocol.errors import bad_params, refused
from protocol.ids import Principal, conversation_id
from protocol.objects import LIVE, By, Contact
from protocol.records import ContactAddress, ContactRecord, ConversationRecord
from protocol.requests import ConversationName, ConversationStart, MessageSend
from protocol.times import moment

if TYPE_CHECKING:
    from msgspec import Struct


class ContactActor(Actor):
    """One person outside. ``memberships`` are the conversations of others it was let into; ``closed_known`` says on
    which channels its own closed ones have been brought back from the store.

    There are as many contacts as conversations, and most have one and no session: tuples, for empty ones cost nothing.
    """

    __slots__ = ("_house", "_own", "closed_known", "memberships", "record", "sessions")
    record: ContactRecord
    DERIVES = False

    def __init__(self, house: House, record: ContactRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.sessions: tuple[int, ...] = ()
        self._own: str | tuple[str, ...] = ()  # one is only its id: nearly all have one, and a tuple has 48 bytes
        self.memberships: tuple[str, ...] = ()
        self.closed_known: tuple[str, ...] = ()

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        match message:
            case Receive():
                self._receive(message, turn)
            case HandledBy():
                self.record.last_agent = message.agent
            case Active():
                self.record.last_active = turn.now
            case Start():
                self._start(message, turn)
            case Introduced():
                self.record.name = message.name or self.record.name
                self.record.email = message.email or self.record.email
                self.record.signed_in = True
            case Update():
                _learn(self.record, message.params, ("name", "email", "phone", "company", "language"), not_given=UNSET)
                _learn(self.record, message.params, ("custom",))
            case Claim():
                self.claim(message.place, turn)
            case Absorb():
                self._absorb(message.contact, turn)
            case Absorbed():
                self.record = ContactRecord(id=self.record.id, merged_into=message.into)  # only the name is left
            case SessionStarted():
                self.came((message.session,))
                turn.undo.append(lambda: self.went((message.session,)))
                self._listen(turn)
            case SessionEnded():
                self.went((message.session,))
                self.record.last_active = turn.now
                turn.undo.append(lambda: self.came((message.session,)))
            case _:
                raise AssertionError(f"a contact cannot take {message}")

    # ------------------------------------------------------------ who it is

    def claim(self, place: ContactAddress, turn: Turn) -> None:
        """Be found by this address from now on."""
        found = self._house.contact_at
        before = found.get(place)
        found[place] = self.record.id
        self.record.addresses = tuple(dict.fromkeys((*self.record.addresses, place)))
        turn.undo.append(lambda: found.pop(place) if before is None else found.update({place: before}))

    def _absorb(self, other: ContactRecord, turn: Turn) -> None:
        """Somebody who is the same person: what is not known here is taken over from there."""
        record = self.record
        for place in other.addresses:
            self.claim(place, turn)
        for name in ("name", "email", "phone", "company", "location", "language", "last_agent"):
            setattr(record, name, getattr(record, name) or getattr(other, name))
        record.custom = {**other.custom, **record.custom}
        record.last_active = max(record.last_active or 0, other.last_active or 0) or None
        record.signed_in = record.signed_in or other.signed_in

    # ------------------------------------------------------------ where it is

    @property
    def conversations(self) -> tuple[str, ...]:
        """Its own, those that are in memory."""
        own = self._own
        return (own,) if isinstance(own, str) else own

    @conversations.setter
    def conversations(self, names: tuple[str, ...]) -> None:
        """Kept in as little room as they take."""
        self._own = names[0] if len(names) == 1 else names

    def came(self, sessions: Iterable[int]) -> None:
        """These sessions are its own now."""
        self.sessions = (*self.sessions, *sessions)

    def went(self, sessions: Iterable[int]) -> None:
        """They no longer are."""
        gone = frozenset(sessions)
        self.sessions = tuple(session for session in self.sessions if session not in gone)

    def enter(self, conversation: str, *, own: bool) -> None:
        """It is in a conversation that is in memory: its own, or one of others."""
        if own and conversation not in self.conversations:
            self.conversations = (*self.conversations, conversation)
        elif not own and conversation not in self.memberships:
            self.memberships = (*self.memberships, conversation)

    def leave(self, conversation: str, *, own: bool) -> None:
        """It is not in it any more, or the conversation not in memory."""
        if own:
            self.conversations = tuple(name for name in self.conversations if name != conversation)
        else:
            self.memberships = tuple(name for name in self.memberships if name != conversation)

    # ------------------------------------------------------------ what it publishes

    def live_in(self, channel: str, service: str | None, but: str) -> bool:
        """Whether another live conversation than ``but`` is in this service on this channel."""
        live = (record for record in self._on(channel, LIVE) if record.begun_agent is None)
        return any(record.service == service and record.id != but for record in live)

    def find(self, channel: str, service: str | None, agent: str | None, states: tuple[str, ...]) -> str | None:
        """The latest conversation on a channel in one of these states: that is in the named service or was
        begun there, or was begun with the named agent; with neither, the latest of all."""
        latest: ConversationRecord | None = None
        for record in self._on(channel, states):
            if _fits(record, service, agent) and (latest is None or _born(record) > _born(latest)):
                latest = record
        return None if latest is None else latest.id

    def _on(self, channel: str, states: tuple[str, ...]) -> list[ConversationRecord]:
        records = [self._house.conversations[name].record for name in self.conversations]
        return [record for record in records if record.channel == channel and record.state in states]

    def view(self) -> Contact:
        """The contact as the house sees it."""
        record = self.record
        return Contact(
            id=record.id,
            name=record.name,
            email=record.email,
            phone=record.phone,
            company=record.company,
            custom=record.custom,
            online=bool(self.sessions),
            last_active=moment(record.last_active),
            location=record.location,
            language=record.language,
        )

    def _listen(self, turn: Turn) -> None:
        """Hear where the waiting conversations stand."""
        for name in self.conversations:
            record = self._house.conversations[name].record
            if record.queued and record.service in self._house.services:
                turn.send(self._house.services[record.service], Listen(name))

    # ------------------------------------------------------------ messages in

    def _receive(self, message: Receive, turn: Turn) -> None:
        params = message.params
        check_text(params.text)
        if params.service is not None and params.service not in self._house.services:
            raise refused("not_found", "there is no such service")
        if params.contact is not None:
            _learn(self.record, params.contact, params.contact.__struct_fields__)
        self.record.last_active = turn.now
        said = Said(params.text, None, params.address, attachments=params.attachments)
        if self._continue(said, params.channel, params.service, None, turn):
            return
        service = params.service or self._service_for(params.channel)
        record = self._new(params.channel, service, turn, skills=params.skills, address=params.address)
        turn.send(
            self._spawn(record, turn), Begin(By("contact", self.record.id), params.text, attachments=params.attachments)
        )

    def _start(self, message: Start, turn: Turn) -> None:
        params, house = message.params, self._house
        check_text(params.text)
        if params.text == "":
            raise bad_params("text", "at least one character")
        if (params.service is None) == (params.agent is None):
            raise bad_params("service", "either a service or an agent")
        if message.principal.role == "agent":
            self._begun_by_agent(params, message.principal, turn)
        else:
            self._begun(params, message.principal, turn)
        if message.members:
            invite = Invite(message.members, by_whom(message.principal))
            turn.send(house.conversations[turn.about[0]], invite)

    def _begun(self, params: ConversationStart, principal: Principal, turn: Turn) -> None:
        """A contact begins, or the backend does it for them."""
        house, by = self._house, by_whom(principal)
        if params.service is not None and params.service not in house.services:
            raise refused("not_found", "there is no such service")
        self.record.last_active = turn.now
        if self._continue(Said(params.text, prefer=params.agent), params.channel, params.service, params.agent, turn):
            found = house.conversations[turn.about].record
            if principal.role == "contact" and params.text is not None and found.read_only:
                raise refused("read_only")
            turn.about = (turn.about, True)
            return
        service = params.service or self._service_of(params.agent or "", params.channel)
        house.services[service].check_queue(house.channel_class(params.channel), params.skills)
        record = self._new(params.channel, service, turn, skills=params.skills, address=self._address(params.channel))
        record.begun_agent, record.name = params.agent, params.name
        record.priority = params.priority if principal.role == "backend" else 0
        record.created_by = principal.address
        if principal.role == "contact":
            record.link = turn.secret
        turn.send(self._spawn(record, turn), Begin(by, params.text, params.agent))
        turn.about = (record.id, False)

    def _begun_by_agent(self, params: ConversationStart, principal: Principal, turn: Turn) -> None:
        """An agent writes first: it joins the crew, and gets the conversation if green."""
        house, agent = self._house, principal.sub
        service = params.service or self._service_of(params.agent or agent, params.channel)
        if service not in house.agents[agent].services:
            raise refused("not_found", "there is no such service, or it is not yours")
        found = self.find(params.channel, params.service, params.agent, LIVE)
        if found is None:
            record = self._new(params.channel, service, turn, address=self._address(params.channel))
            record.begun_agent, record.name, record.created_by = params.agent, params.name, principal.address
            turn.send(self._spawn(record, turn), Begin(by_whom(principal), None, params.agent or agent))
            turn.about = (record.id, False)
        else:
            if not may_see(house, house.conversations[found].record, principal):
                raise refused("conflict", "the contact already has a live conversation on that channel")
            turn.about = (found, True)
        name = turn.about[0]
        turn.send(house.conversations[name], Do(ConversationName(conversation=name), principal, "conversation.join"))
        if params.text is not None:
            message = MessageSend(conversation=name, text=params.text)
            turn.send(house.conversations[name], Do(message, principal, "message.send"))

    def _address(self, channel: str) -> str | None:
        """Where this contact can be reached on a channel, if it ever wrote from there."""
        return next((place.address for place in self.record.addresses if place.channel == channel), None)

    def _continue(self, said: Said, channel: str, service: str | None, agent: str | None, turn: Turn) -> bool:
        """Go on with the live conversation, or reopen the latest closed one. False if a new one must begin."""
        house = self._house
        found = self.find(channel, service, agent, LIVE)
        if found is None:
            found = self.find(channel, service, agent, ("closed",))
            if found is None or not self._reopens(found, service, agent):
                return False
            found = self._live_beside(found) or found
        turn.about = found
        turn.send(house.conversations[found], said)
        return True

    def _live_beside(self, closed: str) -> str | None:
        """The live conversation in the service where a closed one is now: that goes on instead."""
        record = self._house.conversations[closed].record
        if record.begun_agent is not None:
            return None
        live = (other for other in self._on(record.channel or "", LIVE) if other.begun_agent is None)
        return next((other.id for other in live if other.service == record.service), None)

    def _reopens(self, found: str, service: str | None, agent: str | None) -> bool:
        """Whether a closed conversation goes on, as the named service (else its own) says. [behaviour §4]"""
        if agent is not None:
            return True
        name = service or self._house.conversations[found].record.service
        actor = self._house.services.get(name or "")
        return actor is not None and actor.record.settings.reopen == "same"

    def _service_for(self, channel: str) -> str:
        """The first service that names the channel, else the first that takes all. Raises −32602."""
        services = [actor.record.settings for actor in self._house.services.values()]
        for settings in services:
            if channel in settings.channels:
                return settings.id
        for settings in services:
            if not settings.channels:
                return settings.id
        raise bad_params("service", "a service: none is configured for this channel")

    def _service_of(self, agent: str, channel: str) -> str:
        """The first service that has this agent and takes the channel. Raises RequestError (not_found)."""
        for name, service in self._house.services.items():
            if agent in service.members and service.record.settings.takes(channel):
                return name
        raise refused("not_found", "no such agent can be reached on this channel")

    def _new(
        self, channel: str, service: str, turn: Turn, *, skills: tuple[str, ...] = (), address: str | None = None
    ) -> ConversationRecord:
        house = self._house
        if not house.services[service].record.settings.takes(channel):
            raise bad_params("service", "a service that takes this channel")
        return ConversationRecord(
            id=conversation_id(house.seq + 1),
            service=service,
            begun_service=service,
            channel=channel,
            channel_class=house.channel_class(channel),
            contact=self.record.id,
            address=address,
            skills=skills,
            created_at=turn.now,
        )

    def _spawn(self, record: ConversationRecord, turn: Turn) -> ConversationActor:
        actor = ConversationActor(self._house, record)
        self._house.keep_conversation(actor, turn)
        turn.about = record.id
        return actor


def _learn(record: ContactRecord, about: Struct, names: tuple[str, ...], not_given: object = None) -> None:
    """What is given replaces, what is not given stays."""
    for name in names:
        if getattr(about, name) is not not_given:
            setattr(record, name, getattr(about, name))


def _born(record: ConversationRecord) -> tuple[int, str]:
    """What orders conversations by age."""
    return record.created_at, record.id


def _fits(record: ConversationRecord, service: str | None, agent: str | None) -> bool:
    if agent is not None:
        return record.begun_agent == agent
    return service is None or service in (record.service, record.begun_service)

"""What is in memory and what must be fetched: the store's questions, and which closed conversations stay.

The core does no I/O. Before a step the shell asks which ``questions`` its inputs raise, reads the answers
and hands them in (``absorb``); an answer may raise a further question. Live conversations are always in
memory, so only closed ones, contacts without a live one, and idempotency keys are ever asked for.

What is not committed yet is never forgotten: until then the store would answer without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from actors import forward, identity, members, outbox
from actors.contact import ContactActor
from actors.conversation import ConversationActor
from actors.effects import Asked, Discarded, Input, Opened, Wanted
from actors.files import FileActor
from actors.house import House
from actors.reading import mark_of
from actors.system import Actor
from actors.views import looks_at_closed
from actors.watch import COALESCE_MS
from protocol.ids import Principal
from protocol.meetings import MeetingName, MeetingReschedule, MeetingSchedule
from protocol.members import (
    ContactMerge,
    ConversationCreate,
    ConversationInvite,
    ConversationRead,
    ConversationRemove,
    JoinLink,
)
from protocol.objects import LIVE
from protocol.outbox import MessageForward, OutboxList, OutboxRetry
from protocol.records import (
    ClosedAmong,
    ClosedIn,
    ClosedOf,
    ClosedWith,
    ContactByAddress,
    ContactById,
    ContactRecord,
    ConversationById,
    ConversationByLink,
    ConversationRecord,
    DeliveryOf,
    DeliveryRecord,
    FileById,
    KeyOf,
    KeyRecord,
    MeetingById,
    MessagesCounted,
    MessagesUpTo,
    Question,
    Timeline,
)
from protocol.requests import (
    ConnectorDelivered,
    ConnectorReceive,
    ContactName,
    ContactUpdate,
    ConversationList,
    ConversationName,
    ConversationStart,
    ConversationUpdate,
    ConversationWatch,
    MessageReact,
    MessageSend,
)

CLOSED_IN_MEMORY = 10_000
CLOSED_LISTED = 1_000  # of the store's, the latest, are looked through for a list


def closed_questions(house: House, params: ConversationList, principal: Principal) -> Iterator[Question]:
    """What must be read from the store before a list can be made that shows closed conversations, or looks at each."""
    if not looks_at_closed(params, principal):
        return
    contact = principal.sub if principal.role == "contact" else params.contact
    if contact is not None:
        yield ClosedOf(contact, None, CLOSED_LISTED)
        yield ClosedAmong(contact, CLOSED_LISTED)
    elif principal.role == "agent":
        yield ClosedWith(principal.sub, CLOSED_LISTED)
        mine = tuple(house.agents[principal.sub].services)
        if params.view == "all":
            yield ClosedIn(mine if params.service is None else (params.service,), CLOSED_LISTED)
    else:
        yield ClosedIn(None if params.service is None else (params.service,), CLOSED_LISTED)


def entry_question(conversation: str, seq: int) -> Timeline:
    """The question whose answer shows whether a conversation has an entry with this seq."""
    return Timeline(conversation, up_to=seq, limit=1)


class Memory:
    """Keeps what inputs need at hand. Parameters: how many closed conversations stay in memory."""

    def __init__(self, house: House, closed_max: int = CLOSED_IN_MEMORY) -> None:
        self._house = house
        self._closed_max = closed_max
        self._closed: dict[str, int] = {}  # closed conversations in memory, the longest unused first: since when
        self._orphans: dict[str, list[str]] = {}  # contact not in memory -> its conversations that are
        self._idle: dict[str, None] = {}  # contacts that may have nothing left to do here
        self._answers: dict[Question, Any] = {}  # for the inputs of the step to come
        self._files_handled: dict[str, None] = {}  # files that may have nothing left to do here
        self._keys: dict[tuple[str, str], KeyRecord] = {}  # not committed yet
        self._deliveries: dict[int, DeliveryRecord] = {}  # the same
        self.committed_at = 0  # the tick of the last step that is committed

    # ------------------------------------------------------------ questions

    def questions(self, inputs: Sequence[Input]) -> list[Question]:
        """What must be read before these inputs can be done; empty = go ahead."""
        opening = {item.session: item.principal for item in inputs if type(item) is Opened}
        raised: list[Question] = []
        for item in inputs:
            raised.extend(self._raised(item, opening))
        raised.extend(map(ContactById, self._orphans))
        return list(dict.fromkeys(question for question in raised if question not in self._answers))

    def absorb(self, questions: Sequence[Question], answers: Sequence[Any]) -> None:
        """Take in what was read."""
        for question, answer in zip(questions, answers, strict=True):
            self._answers[question] = answer
            if type(question) is KeyOf:  # most are
                continue
            match question:
                case ConversationById() | ConversationByLink() if answer is not None:
                    self.keep(answer)
                case ContactById() | ContactByAddress() if answer is not None:
                    self._keep_contact(answer)
                case ContactById():
                    self._orphans.pop(question.id, None)
                case FileById() if answer is not None:
                    actor = self._house.files.setdefault(answer.id, FileActor(self._house, answer))
                    self.handled(actor)
                case ClosedOf() if question.channel is not None:
                    for record in answer:
                        self.keep(record)
                    if question.contact in self._house.contacts:
                        contact = self._house.contacts[question.contact]
                        contact.closed_known = tuple(dict.fromkeys((*contact.closed_known, question.channel)))

    def _raised(self, item: Input, opening: dict[int, Principal]) -> Iterable[Question]:
        if isinstance(item, Asked):
            asker = self._house.sessions.get(item.session) or opening.get(item.session)
            return () if asker is None else self._by_request(item.call.params, asker)
        return self._by_others(item)

    def _by_others(self, item: Input) -> Iterator[Question]:
        match item:
            case Opened(principal=principal) if principal.role == "contact":
                yield from identity.sign_in_questions(self._house, principal)
            case Wanted(file=name, principal=principal):
                if principal.role == "contact":  # which may go by another name now
                    yield from self._contact(principal.sub)
                yield from self._files((name,))
            case Discarded(file=name):
                yield from self._files((name,))

    def _by_request(self, params: Any, principal: Principal) -> Iterable[Question]:
        is_message = type(params) is MessageSend  # as most are
        asked = self._by_message(params) if is_message else self._by_another(params, principal)
        return asked if params.key is None else (*self._key(principal.owner, params.key), *asked)

    def _by_message(self, params: MessageSend) -> Sequence[Question]:
        asked = self._conversation(params.conversation)
        if not params.attachments and params.reply_to is None:
            return asked
        replied = () if params.reply_to is None else (entry_question(params.conversation, params.reply_to),)
        return (*self._files(params.attachments), *asked, *replied)

    def _by_another(self, params: Any, principal: Principal) -> Iterator[Question]:
        match params:  # a miss costs as much as the rest: what is asked for most comes first
            case ConnectorReceive():
                yield from self._files(params.attachments)
                yield from self._key(f"channel:{params.channel}", params.external_id)
                yield from self._by_address(params)
            case MessageReact():
                yield from self._conversation(params.conversation)
                yield entry_question(params.conversation, params.to)
            case ConversationName():
                yield from self._conversation(params.conversation)
            case ConversationStart():
                yield from members.questions(self._house, params.members)
                contact = principal.sub if principal.role == "contact" else params.contact
                if contact is not None:
                    yield from self._contact(contact)
                    contact = identity.present(self._house, contact)
                    yield from self._closed_of(contact, params.channel, params.service, params.agent)
            case ConnectorDelivered():
                yield from self._delivered(params)
            case OutboxRetry(kind="message"):
                yield from self._delivery(outbox.number(params.id))
                known = self.delivery(outbox.number(params.id))
                if known is not None:
                    yield from self._conversation(known.conversation)
                    yield outbox.entry_of(known)
            case OutboxRetry() | OutboxList():
                yield from outbox.questions(params)
            case ConversationList():
                yield from self._closed_list(params, principal)
            case ContactName() | ContactUpdate():
                yield from self._contact(params.contact)
            case MeetingName() | MeetingReschedule():
                yield from self._meeting(params.meeting)
            case MeetingSchedule(conversation=None, email=str() as email) if principal.role != "contact":
                yield from identity.address_questions(self._house, identity.place_of("email", email))
            case ConversationWatch(contact=str() as contact):
                yield from self._contact(contact)
            case ConversationCreate():
                yield from members.questions(self._house, params.members)
            case ConversationInvite() | ConversationRemove():
                yield from self._conversation(params.conversation)
                yield from members.questions(self._house, params.members)
            case JoinLink():
                yield from members.link_questions(self._house, params.link)
                if params.link in self._house.links:
                    yield from self._conversation(self._house.links[params.link])
            case ContactMerge():
                yield from identity.merge_questions(self._house, params.contact, params.into)
            case ConversationRead():
                yield from self._conversation(params.conversation)
                yield from self._counted(params.conversation, params.seq, principal.address)
            case ConversationUpdate():
                if params.picture:
                    yield from self._files((params.picture,))
                yield from self._conversation(params.conversation)
            case MessageForward():
                yield from self._conversation(params.conversation)
                yield from forward.questions(params)
            case _:
                conversation = getattr(params, "conversation", None)
                if isinstance(conversation, str):
                    yield from self._conversation(conversation)

    def _closed_list(self, params: ConversationList, principal: Principal) -> Iterator[Question]:
        """The closed ones; when they are there, their contacts."""
        if principal.role == "agent" and principal.sub not in self._house.agents:
            return  # removed, or never heard of: its session does not open, and nothing is listed
        if params.contact is not None:
            yield from self._contact(params.contact)
            params = identity.filters(self._house, params)
        questions = list(closed_questions(self._house, params, principal))
        yield from questions
        if all(question in self._answers for question in questions):
            closed = [record for question in questions for record in self._answers[question]]
            for contact in self._house.views.needed_contacts(params, principal, closed):
                yield from self._contact(contact)

    def _conversation(self, conversation: str) -> Sequence[Question]:
        actor = self._house.conversations.get(conversation)
        if actor is None:
            return (ConversationById(conversation),)
        record = actor.record
        asked = () if record.contact is None else identity.questions(self._house, record.contact)
        for contact in record.members:
            asked = (*asked, *identity.questions(self._house, contact))
        return asked

    def _meeting(self, meeting: str) -> Iterator[Question]:
        """One that is over or cancelled may be named too; who may see it depends on its conversation."""
        actor = self._house.meetings.get(meeting)
        if actor is None:
            yield MeetingById(meeting)
        record = self._answers.get(MeetingById(meeting)) if actor is None else actor.record
        if record is not None:
            yield from self._conversation(record.conversation)
            if record.contact is not None:
                yield from self._contact(record.contact)

    def _delivered(self, params: ConnectorDelivered) -> Iterator[Question]:
        """What went out, and the conversation that hears what became of it; if it was read, how much that is."""
        yield from self._delivery(params.entry)
        known = outbox.pending_delivery(self._house, params.entry) or self.delivery(params.entry)
        if known is not None:
            yield from self._conversation(known.conversation)
            if params.status == "read":
                yield from self._counted(known.conversation, params.entry, None)

    def _delivery(self, seq: int) -> Iterator[Question]:
        if seq in self._deliveries:  # as with keys: keep it at hand
            self._answers[DeliveryOf(seq)] = self._deliveries[seq]
        elif outbox.pending_delivery(self._house, seq) is None:
            yield DeliveryOf(seq)

    def _counted(self, conversation: str, seq: int, reader: str | None) -> Iterator[Question]:
        """How many messages there are up to a seq. Up to the end that is known, and stays true of this seq."""
        actor = self._house.conversations.get(conversation)
        if actor is None:
            return
        record, question = actor.record, MessagesUpTo(conversation, seq)
        mark = None if reader is None else mark_of(record, reader)
        if seq >= record.last_seq:
            self._answers[question] = MessagesCounted(record.messages)
        elif mark is None or seq > mark.seq:
            yield question

    def _files(self, names: Sequence[str]) -> Iterator[Question]:
        """Files, and the conversations they were sent in: whoever sees one of those may fetch them."""
        for name in names:
            actor = self._house.files.get(name)
            if actor is None:
                yield FileById(name)
            else:
                for conversation in actor.record.conversations:
                    yield from self._conversation(conversation)

    def _contact(self, contact: str) -> Iterator[Question]:
        yield from identity.questions(self._house, contact)

    def _by_address(self, params: ConnectorReceive) -> Iterable[Question]:
        place = identity.place_of(params.channel, params.address)
        contact = self._house.contact_at.get(place)
        if contact is None:
            return (ContactByAddress(place.channel, place.address),)
        return self._closed_of(contact, params.channel, params.service, None)

    def _closed_of(self, contact: str, channel: str, service: str | None, agent: str | None) -> Iterable[Question]:
        actor = self._house.contacts.get(contact)
        if actor is None or channel in actor.closed_known or actor.find(channel, service, agent, LIVE):
            return ()
        return (ClosedOf(contact, channel),)

    # ------------------------------------------------------------ idempotency keys

    def _key(self, owner: str, key: str) -> Iterable[Question]:
        known = self._keys.get((owner, key))
        if known is None:
            return (KeyOf(owner, key),)
        self._answers[KeyOf(owner, key)] = known  # may be committed, and dropped, before the step: keep it at hand
        return ()

    def recall(self, owner: str, key: str) -> KeyRecord | None:
        """The first answer to this key, if there was one."""
        found = self._keys.get((owner, key))
        return found if found is not None else self._answers.get(KeyOf(owner, key))

    def remember(self, record: KeyRecord) -> None:
        """An answer that may be asked for again."""
        self._keys[record.owner, record.key] = record

    def delivery(self, seq: int) -> DeliveryRecord | None:
        """What became of a message out that is pending no more."""
        return self._deliveries.get(seq) or self._answers.get(DeliveryOf(seq))

    def remember_delivery(self, record: DeliveryRecord) -> None:
        """It stands so from now on; the store does not know yet."""
        self._deliveries[record.seq] = record

    def forget(self, keys: Sequence[KeyRecord], deliveries: Sequence[DeliveryRecord]) -> None:
        """These are committed (the store knows them now) or undone."""
        for record in keys:
            self._keys.pop((record.owner, record.key), None)
        for delivery in deliveries:
            if self._deliveries.get(delivery.seq) is delivery:
                del self._deliveries[delivery.seq]

    def answer(self, question: Question) -> Any:
        """What was absorbed for a question of the present inputs."""
        return self._answers.get(question)

    # ------------------------------------------------------------ keeping and letting go

    def keep(self, record: ConversationRecord) -> None:
        """A closed conversation comes into memory, as the store has it, if it is not here."""
        house = self._house
        if record.id in house.conversations:
            return
        house.conversations[record.id] = ConversationActor(house, record)
        house.views.closed.recalled(record)
        house.views.put(record)
        house.digests.keep(record)
        self._closed[record.id] = house.wheel.now
        house.relate(None, record)
        for contact in [name for name in record.outside if name not in house.contacts]:
            self._orphans.setdefault(contact, []).append(record.id)

    def _keep_contact(self, record: ContactRecord) -> None:
        house = self._house
        if record.id in house.contacts:
            return
        actor = house.contacts[record.id] = ContactActor(house, record)
        for address in record.addresses:
            house.contact_at[address] = record.id
        for name in self._orphans.pop(record.id, ()):
            if name in house.conversations:
                own = house.conversations[name].record.contact == record.id
                actor.enter(name, own=own)
        self.idle(record.id)  # it may be here for one question

    def refresh(self, now: int) -> None:
        """Records have been put back: which conversations are closed is found out anew, and perhaps told again."""
        house = self._house
        closed = {name for name, actor in house.conversations.items() if self._may_leave(actor.record)}
        kept = [name for name in self._closed if name in closed]
        self._closed = dict.fromkeys([*kept, *sorted(closed - {*kept})], now)

    def touched(self, actor: ConversationActor) -> None:
        """A conversation has changed: closed ones may one day be let go."""
        self._closed.pop(actor.record.id, None)
        if self._may_leave(actor.record):
            self._closed[actor.record.id] = self._house.wheel.now

    def _may_leave(self, record: ConversationRecord) -> bool:
        """Whether nothing here needs it any more: not live, no meeting ahead, nobody to be mailed what is in it."""
        if record.state in LIVE or record.unmailed_since is not None:
            return False
        return not self._house.meetings.holds(record.id)

    def handled(self, file: FileActor) -> None:
        """A file was looked at or sent: look at the end of the step whether it is still needed here."""
        self._files_handled[file.record.id] = None

    def idle(self, contact: str) -> None:
        """This contact may have nothing left to do here: look at the end of the step."""
        self._idle[contact] = None

    def end_step(self, is_committed: Callable[[Actor], bool]) -> None:
        """Drop the answers; let go of the closed conversations longest unused, but of no uncommitted change."""
        self._answers.clear()
        self._files_handled = {name: None for name in self._files_handled if not self._is_put_away(name, is_committed)}
        for conversation in self._house.meetings.let_go(self._house.wheel.now, is_committed):
            self.touched(self._house.conversations[conversation])
        while len(self._closed) > self._closed_max:
            conversation = next(iter(self._closed))
            actor = self._house.conversations[conversation]
            if not is_committed(actor) or self._is_news(conversation):
                break
            self._let_go(actor)
        if self._idle:
            for contact in [name for name in self._idle if self._is_done(name, is_committed)]:
                del self._idle[contact]

    def _is_put_away(self, name: str, is_committed: Callable[[Actor], bool]) -> bool:
        """Let go of a file that was sent or discarded, as the store has it; False = ask again."""
        actor = self._house.files.get(name)
        if actor is None or actor.earliest() is not None:
            return True
        if not is_committed(actor):
            return False
        del self._house.files[name]
        return True

    def _is_news(self, conversation: str) -> bool:
        """Whether somebody who watches a list may still have to be told of it, or again if a step is taken back."""
        return bool(len(self._house.watches)) and self.committed_at - self._closed[conversation] <= COALESCE_MS

    def _let_go(self, actor: ConversationActor) -> None:
        house, record = self._house, actor.record
        del self._closed[record.id]
        del house.conversations[record.id]
        house.views.forget(record.id)
        house.relate(record, None)
        for name in record.outside:
            others = [other for other in self._orphans.pop(name, ()) if other != record.id]
            if others:
                self._orphans[name] = others
        house.digests.forget(record)
        contact = house.contacts.get(record.contact or "")
        if contact is not None:
            contact.closed_known = tuple(name for name in contact.closed_known if name != record.channel)
            self.idle(contact.record.id)
        for name in record.members:
            self.idle(name)

    def _is_done(self, name: str, is_committed: Callable[[Actor], bool]) -> bool:
        """Let go of a contact who is neither online nor in a conversation; False = ask again."""
        contact = self._house.contacts.get(name)
        if contact is None or contact.sessions or contact.conversations or contact.memberships:
            return True
        if not is_committed(contact):
            return False
        del self._house.contacts[name]
        for address in contact.record.addresses:
            if self._house.contact_at.get(address) == name:
                del self._house.contact_at[address]
        return True

    def statistics(self) -> dict[str, int]:
        """How many closed conversations and uncommitted keys are held."""
        return {"closed_in_memory": len(self._closed), "keys_uncommitted": len(self._keys)}

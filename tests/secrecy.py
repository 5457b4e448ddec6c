"""Who hears what, judged while a storm rages: an oracle written from the text, not from the code it judges.

    Ledger   what has been committed: conversations, contacts, entries, who owns what in grab mode
    Oracle   who may see what, what is in whose list and in which order, from records alone
    Judge    every notice at the end of the turn that made it, every answer when it leaves
    Folds    what each client knows from its first answer and the notices since, beside what is so

The oracle asks nothing of ``actors.access``, ``actors.views`` or ``actors.watch``. It searches everything, every time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from actors.conversation import ConversationActor
from actors.core import Core
from actors.effects import Asked, Configured, Dismiss, Ended, Input, Mail, Opened, Output, Post, Reply, Tell, Welcome
from actors.messages import Kept
from actors.service import ServiceActor
from actors.system import Turn
from actors.watch import FOLLOWED
from protocol import notices
from protocol.errors import RequestError
from protocol.ids import Principal
from protocol.objects import By, ContactBrief, Conversation, Entry
from protocol.records import ContactRecord, ConversationRecord, EntryRecord
from protocol.requests import METHODS, ConversationList, ConversationWatch, Filters
from protocol.settings import ServiceSettings, WorkspaceSettings
from tests.storm import AGENTS, SERVICES, SORTS, Storm, config
from tests.world import World

#: protocol §3: what contacts see of a timeline
OUTSIDE = {
    "message", "reaction", "created", "joined", "left", "invited", "closed", "reopened", "meeting", "conference",
}  # fmt: skip
#: behaviour §7: of these people outside hear in a read-only conversation only as far as it is about them
COMINGS_AND_GOINGS = {"joined", "left", "invited"}
#: fields of a summary that are about the house's own work: as if there were none, for whoever is outside
INSIDE_FIELDS = (
    "needs", "lateness", "waiting_since", "assignee", "crew", "managers_added", "moved_to", "skills",
    "snoozed_until", "snoozed_by", "priority", "tags",
)  # fmt: skip
INSIDE_ENTRY_FIELDS = ("agent", "service", "origin", "anyway", "comment", "until", "step")
STATUSES = ("online", "rep_needed", "pending", "soon", "overdue", "snoozed", "closed")
SEVERAL = (["pending", "rep_needed", "overdue"], ["closed", "online"], ["soon", "overdue", "snoozed"])
LIVE = ("open", "snoozed")
UNKNOWN = "c0000000fffff"
#: what a watched summary must have right at last; the rest (duration, last activity) moves by itself
SHOWN = (
    "service", "channel", "state", "needs", "lateness", "waiting_since", "queued", "assignee", "crew", "skills",
    "snoozed_until", "priority", "tags", "last_seq",
)  # fmt: skip
CLIENT_MS = 200  # what a live list may lag behind

Owners = dict[str, str | None]
Services = dict[str, ServiceSettings]


class View(Struct):
    """A moment: the services as they are set up, and who owns what in grab mode."""

    services: Services
    owners: Owners

    def role(self, agent: str, service: str | None) -> str | None:
        """What an agent is in a service."""
        settings = self.services.get(service or "")
        members = () if settings is None else settings.members
        return next((member.role for member in members if member.agent == agent), None)

    def sees(self, who: Principal, record: ConversationRecord) -> bool:
        """behaviour §3, §10: whether a conversation exists for somebody."""
        if who.role == "backend":
            return True
        if who.role == "contact":
            return who.sub in people(record) and record.state != "moved"
        if who.role != "agent":
            return False
        role = self.role(who.sub, record.service)
        if who.sub in record.crew or role == "admin":
            return True
        grab = role is not None and self.services[record.service or ""].mode == "grab"
        return role is not None and (not grab or self.owners.get(record.id) in (None, who.sub))

    def share(self, one: str, other: str) -> bool:
        """Whether two agents share a service."""
        both = ({member.agent for member in settings.members} for settings in self.services.values())
        return one == other or any({one, other} <= members for members in both)


def people(record: ConversationRecord) -> tuple[str | None, ...]:
    """behaviour §7: who outside is in a conversation."""
    return (record.contact, *record.members)


def own_from(entries: Iterable[Entry], owners: Owners) -> None:
    """behaviour §3: the one who gets it owns it, until it is offered again or is in another inbox."""
    for entry in entries:
        if entry.type in ("grabbed", "assigned"):
            owners[entry.conversation] = entry.agent
        elif entry.type in ("offered", "moved"):
            owners[entry.conversation] = None


class Oracle:
    """What is so, from what was committed."""

    def __init__(self) -> None:
        self.records: dict[str, ConversationRecord] = {}
        self.contacts: dict[str, ContactRecord] = {}
        self.entries: list[EntryRecord] = []
        self.owners: Owners = {}
        self.online: dict[int, Principal] = {}
        self.now = 0

    def take(self, output: Output) -> None:
        """What the store has."""
        for record in output.batch.records:
            if isinstance(record, ConversationRecord):
                self.records[record.id] = record
            elif isinstance(record, ContactRecord):
                self.contacts[record.id] = record
        self.entries.extend(output.batch.entries)
        own_from((record.entry for record in output.batch.entries), self.owners)

    def today(self, who: Principal) -> Principal:
        """By the name that a contact goes by now."""
        sub = who.sub
        while who.role == "contact" and sub in self.contacts and self.contacts[sub].merged_into is not None:
            sub = str(self.contacts[sub].merged_into)
        return who if sub == who.sub else msgspec.structs.replace(who, sub=sub, token=who.token or who.sub)

    def renamed(self, params: Filters) -> Filters:
        """A filter by contact means whoever that is now."""
        if params.contact is None:
            return params
        return msgspec.structs.replace(params, contact=self.today(Principal("contact", params.contact)).sub)

    def statuses(self, record: ConversationRecord, services: Services) -> set[str]:
        """behaviour §5, the table."""
        if record.state not in LIVE:
            return {record.state}
        found = {"live"} | ({"snoozed"} if record.state == "snoozed" else set())
        if record.waiting_since is not None:
            found.add("pending" if record.crew else "rep_needed")
            settings = services.get(record.service or "")
            waited = self.now - record.waiting_since
            if settings is not None and waited > settings.overdue_after:
                found.add("overdue")
            elif settings is not None and waited > settings.soon_after:
                found.add("soon")
        contacts = {who.sub for who in self.online.values() if who.role == "contact"}
        return found | ({"online"} if record.channel_class == "chat" and record.contact in contacts else set())

    def listed(self, view: View, who: Principal, params: Filters) -> tuple[list[ConversationRecord], dict[str, int]]:
        """What is in a list, in no order, and the counts under the other filters."""
        found = []
        counts = dict.fromkeys(STATUSES, 0)
        wanted = _wanted(params)
        for record in self.records.values():
            if not self._passes(view, who, params, record):
                continue
            statuses = self.statuses(record, view.services)
            if who.role == "contact":  # what the house makes of it is not for contacts
                statuses &= {"live", "online", "closed"}
            for status in statuses & counts.keys():
                counts[status] += 1
            if statuses & (wanted or {"live"}):
                found.append(record)
        return found, counts

    def _passes(self, view: View, who: Principal, params: Filters, record: ConversationRecord) -> bool:
        contact = self.contacts.get(record.contact or "")
        service = view.services.get(record.service or "")
        tags = {
            *record.tags,
            *([service.name or service.id] if service else []),
            *([contact.company] if contact else []),
        }
        inside = who.role != "contact"
        return (
            record.state != "moved"
            and view.sees(who, record)
            and (params.view != "mine" or (inside and record.assignee == who.sub))
            and (params.view != "joined" or (inside and who.sub in record.crew))
            and params.service in (None, record.service)
            and (not params.channels or record.channel in params.channels)
            and (params.contact is None or params.contact in people(record))
            and (params.tag is None or (inside and params.tag in tags))
            and (params.search is None or params.search.casefold() in _searched(record, contact).casefold())
        )

    def ordered(self, records: list[ConversationRecord], sort: str, who: Principal) -> list[str]:
        """Ids in the order of a list."""
        if sort == "waiting" and who.role != "contact":  # longest waiting first, then those who do not wait
            late = float("inf")
            records = sorted(records, key=lambda r: (late if r.waiting_since is None else r.waiting_since, r.id))
        else:
            records = sorted(records, key=lambda r: (r.created_at, r.id), reverse=sort == "newest")
        return [record.id for record in records]


def _searched(record: ConversationRecord, contact: ContactRecord | None) -> str:
    """What a search looks in: the contact's name, or that of a created conversation."""
    return (record.name if record.service is None else None if contact is None else contact.name) or ""


def _wanted(params: Filters) -> set[str]:
    return {params.status} if isinstance(params.status, str) else set(params.status)


# ---------------------------------------------------------------- the judge


class Judge:
    """Judges what leaves. Raises AssertionError; it knows the world only through what it is shown."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.pending: Owners = {}  # of the step under way
        self.watches: dict[tuple[int, str], tuple[Principal, ConversationWatch]] = {}
        self.agent_watches: dict[int, tuple[str, ...] | None] = {}

    def turn(self, core: Core, turn: Turn) -> None:
        """Every notice of a turn, by what was so before it or is so after it."""
        house = core.house
        settings = {name: actor.record.settings for name, actor in house.services.items()}
        before_settings = dict(settings)
        records = {}
        for actor, old in turn.before.items():
            if isinstance(actor, ServiceActor) and old is not None:
                before_settings[actor.record.id] = old.settings  # type: ignore[attr-defined]
            elif isinstance(actor, ConversationActor) and old is not None:
                records[actor.record.id] = old
        owners = {**self.oracle.owners, **self.pending}
        before = View(before_settings, dict(owners))
        own_from((item.entry for item in turn.effects if isinstance(item, EntryRecord)), owners)
        self.pending = owners
        moment = _Moment(before, View(settings, owners), records, house, self)
        for effect in turn.effects:
            if isinstance(effect, EntryRecord):
                moment.audience(effect.audience, effect.entry)
            elif isinstance(effect, Tell):
                moment.tell(effect)
            else:
                assert isinstance(effect, Welcome | Dismiss | Post | Mail | Kept), effect  # mails: tests.storm_mail

    def watch_of(self, session: int, name: str) -> tuple[Principal, ConversationWatch]:
        """A watch that was asked for."""
        assert (session, name) in self.watches, f"session {session} hears of {name}, which it does not watch"
        return self.watches[session, name]


class _Moment:
    """A turn: what was so before it and is so after it. Somebody who saw it then or sees it now may be told."""

    def __init__(self, before: View, after: View, records: dict[str, Any], house: Any, judge: Judge) -> None:
        self.before, self.after, self.house, self.judge = before, after, house, judge
        self._between = View(after.services, before.owners)  # a service changed, and then its conversations
        self._before_records = records

    def sees(self, who: Principal, conversation: str) -> bool:
        record = self.record(conversation)
        old = self._before_records.get(conversation, record)
        return self.after.sees(who, record) or self.before.sees(who, old) or self._between.sees(who, old)

    def record(self, conversation: str) -> ConversationRecord:
        found: ConversationRecord = self.house.conversations[conversation].record
        return found

    def principals(self, to: Iterable[str | int]) -> Iterator[Principal]:
        for address in to:
            if isinstance(address, int):
                found = self.house.sessions.get(address)
                assert found is not None, f"a notice to session {address}, which is not open"
                yield found
            else:
                role, _, sub = address.partition(":")
                yield Principal(role, sub)  # type: ignore[arg-type]

    def audience(self, to: Iterable[str | int], entry: Entry) -> None:
        """protocol §4: crew, contact, members, whoever has it open, the sender; as far as each may see it."""
        named = {entry.agent, entry.origin.agent if entry.origin else None, entry.by.id if entry.by else None}
        named.add(entry.meeting.agent if entry.meeting else None)
        for who in self.principals(to):
            if who.role == "contact":
                record = self.record(entry.conversation)
                before = self._before_records.get(record.id, record)
                assert who.sub in (*people(record), *people(before)), f"{who.sub} hears of another's {entry}"
                assert_outside(entry)
                if record.read_only and entry.type in COMINGS_AND_GOINGS:
                    about = entry.who or entry.by
                    assert about == By("contact", who.sub), f"{who.sub} hears who is in a read-only one: {entry}"
            elif who.role == "agent":
                told = self.sees(who, entry.conversation) or who.sub in named or entry.type == "escalated"
                assert told, f"{who.sub} hears of {entry}, but may not see it"
            else:
                assert who.role == "backend", f"{who} hears of {entry}"

    def tell(self, item: Tell) -> None:
        match item.notice:
            case notices.ConversationEntry(entry):
                self.audience(item.to, entry)
                if entry.anonymous and any(str(address).startswith("contact:") for address in item.to):
                    assert entry.by is None, f"{item.to} hear who reacted: {entry}"
            case notices.ConversationAssigned(conversation):
                assert item.to == (f"agent:{conversation.assignee}",), f"{item.to} hear of {conversation}"
            case notices.ConversationChanged():
                self._changed(item)
            case notices.AgentChanged(agent):
                self._agent_changed(item, agent)
            case notices.OfferMade() | notices.OfferGone():
                self._offer(item)
            case notices.PresenceChanged(conversation, by, state):
                self._presence(item, conversation, by, state)
            case notices.QueuePosition(conversation):
                for who in self.principals(item.to):
                    assert (who.role, who.sub) == ("contact", self.record(conversation).contact), item
            case notices.ConnectorDeliver(entry, channel):
                for who in self.principals(item.to):
                    assert who.role == "connector", item
                    assert channel in who.channels, f"{who} is given what goes out through {channel}"
                assert entry.type in ("message", "conference"), item
            case _:
                raise AssertionError(f"nobody has said who may hear of {item}")

    def _changed(self, item: Tell) -> None:
        """Within its filter and sight; of what may no longer be seen only that it was there."""
        notice = item.notice
        for session in item.to:
            who, _ = self.judge.watch_of(session, notice.watch)
            assert who.role in ("agent", "backend"), item
            if not self.after.sees(who, self.record(notice.conversation.id)):
                assert notice.gone, f"{who.sub} is told more than that {notice} is gone"
                blank = Conversation(id=notice.conversation.id, created_at=notice.conversation.created_at)
                assert notice.conversation == blank, f"{who.sub} is told {notice}"

    def _agent_changed(self, item: Tell, agent: str) -> None:
        for address, who in zip(item.to, self.principals(item.to), strict=True):
            own = who.role == "agent" and who.sub == agent
            assert own or isinstance(address, int), f"{address} does not watch {agent}"
            shares = who.role == "backend" or (who.role == "agent" and self.after.share(who.sub, agent))
            assert shares, f"{who} hears of {agent}, with whom it shares no service"
            if isinstance(address, int):
                services = self.judge.agent_watches[address]
                known = self.after.services
                among = services is None or any(self.after.role(agent, name) for name in services if name in known)
                assert among, f"{who.sub} hears of {agent} but asked for those of {services}"

    def _offer(self, item: Tell) -> None:
        notice, made = item.notice, isinstance(item.notice, notices.OfferMade)
        record = self.record(notice.conversation)
        old = self._before_records.get(record.id, record)
        for who in self.principals(item.to):
            assert who.role == "agent", item
            if made:
                assert notice.service == record.service, item
                assert self.after.role(who.sub, notice.service), f"{who.sub} is offered {item}, but is no member"
                assert self.sees(who, notice.conversation), item
                assert self.after.services[notice.service].mode == notice.mode != "push", item
            else:
                service = (self.before.role(who.sub, old.service), self.after.role(who.sub, record.service))
                assert any(service), f"{who.sub} hears of the end of an offer it cannot have had: {item}"

    def _presence(self, item: Tell, conversation: str, by: Any, state: str) -> None:
        """Contacts learn only that somebody of the house types, without an id."""
        for who in self.principals(item.to):
            assert self.sees(who, conversation), f"{who} hears who is at {conversation}, but may not see it"
            if who.role == "contact":
                assert (by.kind, by.id) == ("agent", None), f"a contact hears {item}"
                assert state in ("typing", "idle"), item
            else:
                assert who.role in ("agent", "backend"), item


def assert_outside(entry: Entry) -> None:
    """An entry that a contact may see, without anything of the house's own work."""
    assert entry.type in OUTSIDE, f"a contact gets {entry}"
    kept = [name for name in INSIDE_ENTRY_FIELDS if getattr(entry, name) is not None]
    assert not kept, f"a contact gets {kept} of {entry}"


_BLANK = Conversation(id="", created_at=0)  # type: ignore[arg-type]


def assert_outside_summary(item: Conversation) -> None:
    """A summary without assignment, priority, tags, lateness or snoozing."""
    shown = [name for name in INSIDE_FIELDS if getattr(item, name) != getattr(_BLANK, name)]
    assert not shown, f"a contact is shown {shown} of {item}"
    assert item.state in ("open", "closed"), f"a contact is shown {item}"


# ---------------------------------------------------------------- the world


class _JudgedCore(Core):
    """The core, whose turns are judged as they end."""

    def __init__(self, settings: WorkspaceSettings, judge: Judge) -> None:
        super().__init__(settings)
        self._judge = judge

    def _keep(self, turn: Turn, address: str) -> None:
        super()._keep(turn, address)
        self._judge.turn(self, turn)


class JudgedWorld(World):
    """A world in which everything that leaves is judged."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.oracle = Oracle()
        self.judge = Judge(self.oracle)
        self.folds = Folds(self)
        self.left: set[str] = set()  # conversations that were not in memory at some moment
        super().__init__(settings)

    def boot(self) -> None:
        """Start from the store, as after a crash: nobody is connected."""
        self.oracle.online.clear()
        self.folds.clear()
        self.sessions.clear()
        self.core = _JudgedCore(self.settings, self.judge)
        self.core.memory._closed_max = self.closed_max
        self.core.load(self.store.load(), self.now)
        self.give(Configured(self.settings))

    @property
    def view(self) -> View:
        """The present moment."""
        services = {name: actor.record.settings for name, actor in self.core.house.services.items()}
        return View(services, self.oracle.owners)

    def step(self, *inputs: Input) -> Output:
        self.judge.pending = {}
        return super().step(*inputs)

    def give(self, *inputs: Input) -> Output:
        output = super().give(*inputs)
        self.oracle.now = max(self.now, self.core.house.wheel.now)
        self.oracle.take(output)
        self.left |= self.oracle.records.keys() - self.core.house.conversations.keys()
        if any(isinstance(item, Asked) and item.call.method == "service.put" for item in inputs):
            self.folds.forget_agents()
        for item in inputs:
            self._note_session(item)
        for item in output.outgoing:
            match item:
                case Welcome():
                    self._welcome(item)
                case Reply():
                    asked = next(i for i in inputs if isinstance(i, Asked) and i.session == item.session)
                    self._reply(item, asked)
                case Tell():
                    self.folds.hear(item)
                case Dismiss(address):
                    self._dismissed(address)
        return output

    def _dismissed(self, address: str) -> None:
        """Contacts were merged: whoever hears this address is the other one until the client comes back."""
        for session, who in list(self.oracle.online.items()):
            if who.address == address:
                self.oracle.online[session] = self.oracle.today(who)
                assert self.core.house.sessions[session].sub == self.oracle.online[session].sub

    def _note_session(self, item: Input) -> None:
        if isinstance(item, Opened) and item.session in self.core.house.sessions:
            self.oracle.online[item.session] = self.oracle.today(item.principal)
        elif isinstance(item, Ended):
            self.oracle.online.pop(item.session, None)
            self.folds.end(item.session)

    def _welcome(self, item: Welcome) -> None:
        """protocol §2: exactly what it missed and may see."""
        if item.missed is None:
            return
        address, since = item.missed.address, item.missed.since
        had = {address, *item.missed.before}
        got = [entry.seq for entry in self.store.read([item.missed])[0]]
        told = [r.entry for r in self.oracle.entries if since < r.entry.seq <= item.seq and had & {*r.audience}]
        assert got == [entry.seq for entry in told], f"{address} missed {told}, and gets {got}"
        if address.startswith("contact:"):
            for entry in told:
                assert_outside(entry)

    def _reply(self, item: Reply, asked: Asked) -> None:
        who = self.oracle.online[item.session]
        if item.error is None and not isinstance(item.result, Raw):
            if item.method == "conversation.watch":
                params = self.oracle.renamed(asked.call.params)
                self.judge.watches[item.session, item.result.watch] = (who, params)
                self.folds.watch(item.session, item.result.watch, who, params)
            elif item.method == "agent.watch":
                self.judge.agent_watches[item.session] = asked.call.params.services
                self.folds.agents[item.session] = {
                    agent.id: (agent.availability, agent.used) for agent in item.result.agents
                }
            self._answer(item, asked, who)

    def _answer(self, item: Reply, asked: Asked, who: Principal) -> None:
        """What an answer shows, beside what may be shown to whom."""
        result = item.result
        shown = [getattr(result, "conversation", None), *getattr(result, "items", ())]
        if who.role == "contact":
            for found in shown:
                if isinstance(found, Conversation):
                    assert_outside_summary(found)
                    self._outsiders_view(found, who)
            if isinstance(getattr(result, "entry", None), Entry):
                assert_outside(result.entry)
        for agent in getattr(result, "agents", ()):
            assert who.role == "backend" or self.view.share(who.sub, agent.id), f"{who.sub} is shown {agent}"
        for found in getattr(result, "services", ()):
            assert who.role == "backend" or self.view.role(who.sub, found.id), f"{who.sub} is shown {found}"
        if item.question is not None:
            assert self.view.sees(who, self.oracle.records[asked.call.params.conversation]), asked
            entries, _ = self.store.read([item.question])[0]
            self._page(entries, asked.call.params, who)

    def _outsiders_view(self, found: Conversation, who: Principal) -> None:
        """behaviour §7: the link is for the creator; of another contact there is a name at most."""
        record = self.oracle.records[found.id]
        assert who.sub in people(record), f"{who.sub} is shown {found}"
        assert found.link is None or record.created_by == who.address, f"{who.sub} is shown the link of {found}"
        if found.contact is not None and found.contact.id != who.sub:
            assert not record.read_only, f"{who.sub} is shown who is in {found}"
            assert found.contact == ContactBrief(found.contact.id, found.contact.name), f"{who.sub} is shown {found}"

    def _page(self, entries: Iterable[Entry], params: Any, who: Principal) -> None:
        """The newest entries that the reader may see."""
        if who.role == "contact":
            for entry in entries:
                assert_outside(entry)
        read_only = self.oracle.records[params.conversation].read_only
        types = OUTSIDE - COMINGS_AND_GOINGS if read_only else OUTSIDE
        mine = [r.entry.seq for r in self.oracle.entries if r.entry.conversation == params.conversation
                and (who.role != "contact" or r.entry.type in types)]  # fmt: skip
        older = [seq for seq in mine if params.before is None or seq < params.before]
        assert [entry.seq for entry in entries] == older[-params.limit :], f"{who.sub} is shown {entries}"


# ---------------------------------------------------------------- what clients know


class Folds:
    """What clients know: the first answer, and every notice since."""

    def __init__(self, world: JudgedWorld) -> None:
        self._world = world
        self.clear()

    def clear(self) -> None:
        """Nobody is connected."""
        self.lists: dict[tuple[int, str], dict[str, Conversation | None]] = {}
        self.offers: dict[int, set[str]] = {}
        self.agents: dict[int, dict[str, Any]] = {}

    def end(self, session: int) -> None:
        """A client is gone."""
        self.lists = {key: items for key, items in self.lists.items() if key[0] != session}
        self.offers.pop(session, None)
        self.agents.pop(session, None)

    def watch(self, session: int, name: str, who: Principal, params: ConversationWatch) -> None:
        """A client watches a list, and has just read it."""
        records, _ = self._world.oracle.listed(self._world.view, who, params)
        self.lists[session, name] = {record.id: None for record in records}

    def hear(self, item: Tell) -> None:
        """A notice arrives at its sessions."""
        for session, who in self._world.oracle.online.items():
            if session in item.to or who.address in item.to:
                self._hear(session, item.notice)

    def _hear(self, session: int, notice: Any) -> None:
        match notice:
            case notices.ConversationChanged(watch, conversation, gone):
                items = self.lists[session, watch]
                if gone:
                    items.pop(conversation.id, None)
                else:
                    items[conversation.id] = conversation
            case notices.OfferMade(conversation):
                self.offers.setdefault(session, set()).add(conversation)
            case notices.OfferGone(conversation):
                self.offers.setdefault(session, set()).discard(conversation)
            case notices.AgentChanged(agent) if agent in self.agents.get(session, ()):
                self.agents[session][agent] = (notice.availability, notice.used)

    def check(self) -> None:
        """What clients know is so. To be called when nothing has happened for ``CLIENT_MS``."""
        for (session, name), items in self.lists.items():
            self._check_list(session, name, items)
        for session, who in self._world.oracle.online.items():
            if who.role == "agent":
                self._check_offers(session, who.sub)
        self.forget_agents()
        for session, known in self.agents.items():
            self._check_agents(session, known)

    def _check_list(self, session: int, name: str, items: dict[str, Conversation | None]) -> None:
        world = self._world
        who, params = world.judge.watches[session, name]
        records, _ = world.oracle.listed(world.view, who, params)
        if "closed" in _wanted(params):  # nobody is told what befalls a closed one that is not in memory
            records = [record for record in records if record.id not in world.left]
            items = {name: item for name, item in items.items() if name not in world.left}
        now, folded = sorted(record.id for record in records), sorted(items)
        assert folded == now, f"{who.sub} has {folded} in {name} {params}, but the list is {now}"
        for item in items.values():
            if item is not None:
                so = world.look(item.id)
                shown = (*SHOWN, "position") if self._is_followed(who, so) else SHOWN
                wrong = [field for field in shown if getattr(item, field) != getattr(so, field)]
                assert not wrong, f"{who.sub} was last told {wrong} of {item} in {name}, but it is {so}"

    def _is_followed(self, who: Principal, item: Conversation) -> bool:
        """Whether its position is told live: among the first, to whoever belongs to the service."""
        inside = who.role != "agent" or self._world.view.role(who.sub, item.service) is not None
        return inside and (item.position or 0) <= FOLLOWED

    def _check_offers(self, session: int, agent: str) -> None:
        """behaviour §3: every member with a live session has the offer, also who came later; and hears of its end."""
        view, records = self._world.view, self._world.oracle.records.values()
        standing = {r.id for r in records if r.offered_at is not None and view.role(agent, r.service)}
        known = self.offers.get(session, set())
        assert known == standing, f"{agent} has the offers {sorted(known)}, but {sorted(standing)} stand"

    def forget_agents(self) -> None:
        """Who has gone out of sight may change unheard, even if it comes back."""
        for session, known in self.agents.items():
            who, view, services = (
                self._world.oracle.online[session],
                self._world.view,
                self._world.judge.agent_watches[session],
            )
            for agent in list(known):
                among = services is None or any(view.role(agent, name) for name in services)
                if not among or not (who.role == "backend" or view.share(who.sub, agent)):
                    del known[agent]

    def _check_agents(self, session: int, known: dict[str, Any]) -> None:
        who = self._world.oracle.online[session]
        for agent, (availability, used) in known.items():
            actor = self._world.core.house.agents[agent]
            assert (actor.availability(), actor.used()) == (availability, used), f"{who.sub} is behind on {agent}"


# ---------------------------------------------------------------- the storm


class WaryStorm(Storm):
    """A storm with more who look and listen, in which everything that leaves is judged."""

    world: JudgedWorld

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.world = JudgedWorld(config(self.rng))
        self.world.closed_max = self.world.core.memory._closed_max = self.rng.choice([2, 10_000])

    def _step(self) -> None:
        if self.rng.random() < 0.6:
            super()._step()
            return
        doings: list[tuple[float, Callable[[], None]]] = [
            (6, self._contact_looks),
            (6, self._agent_looks),
            (5, self._member_looks),
            (5, self._watch),
            (4, self._answer),
            (3, self._resume),
            (3, self._describe),
            (3, self._walk),
            (2, self._settle),
            (2, self._ask_alike),
        ]
        weights = [weight for weight, _ in doings]
        self.rng.choices([doing for _, doing in doings], weights)[0]()

    def _check(self) -> None:
        """Invariants of the house are other storms' business."""
        assert not self.world.core.supervisor.failures, self.world.core.supervisor.parked

    def _conversation(self) -> str:
        """Any that ever was, in memory or not."""
        known = sorted(self.world.oracle.records)
        return self.rng.choice(known[-30:]) if known else UNKNOWN

    def _anybody(self) -> str:
        """An agent who is there, the backend, or a contact."""
        agents = [name for name in AGENTS if name in self.world.sessions]
        contacts = sorted(self.world.oracle.contacts)
        some = [f"contact:{name}" for name in self.rng.sample(contacts, min(2, len(contacts)))]
        return self.rng.choice([*agents, *agents, "backend", *some])

    def _say(self, who: str, method: str, /, **params: Any) -> Any:
        self._compare_errors(who, method, params)
        return super()._say(who, method, **params)

    # ------------------------------------------------------------ more to do

    def _contact_looks(self) -> None:
        contacts = sorted(self.world.oracle.contacts) or ["nia"]
        who, rng, conversation = f"contact:{self.rng.choice(contacts)}", self.rng, self._conversation()
        match rng.randint(0, 6):
            case 0:
                self._say(who, "conversation.get", conversation=conversation, limit=rng.randint(0, 5))
            case 1:
                self._say(who, "conversation.presence", conversation=conversation, state=rng.choice(["typing", "idle"]))
            case 2:
                self._say(who, "contact.get", contact=rng.choice(contacts))
            case 3:
                self._say(who, "message.react", conversation=conversation, to=self._some_seq(), emoji="👍")
            case 4:
                self._say(who, "message.send", conversation=conversation, text="And?", reply_to=self._some_seq())
            case 5 | 6:
                if who in self.world.sessions:
                    self.world.end(who)
                else:
                    self.world.open(who)

    def _member_looks(self) -> None:
        """Somebody outside looks at what it is in, or reacts to it; it may just have become read-only."""
        rng, oracle = self.rng, self.world.oracle
        records = [record for record in oracle.records.values() if record.state == "open" and record.outside]
        if not records:
            return
        record = rng.choice([one for one in records if one.members] or records)
        if rng.random() < 0.3:
            self._say("backend", "conversation.update", conversation=record.id, read_only=rng.random() < 0.7)
        who = f"contact:{rng.choice(record.outside)}"
        seen = [r.entry.seq for r in oracle.entries if r.entry.conversation == record.id and r.entry.type in OUTSIDE]
        if rng.random() < 0.5:
            self._say(who, "conversation.get", conversation=record.id, limit=rng.randint(1, 9))
        else:
            self._say(who, "message.react", conversation=record.id, to=rng.choice(seen), emoji="👍")

    def _agent_looks(self) -> None:
        rng, who, conversation = self.rng, self._anybody(), self._conversation()
        if who.startswith("contact:"):
            return
        match rng.randint(0, 6):
            case 0:
                self._say(who, "conversation.get", conversation=conversation, limit=rng.randint(1, 9))
            case 1 | 2:
                state = rng.choice(["viewing", "typing", "idle"])
                self._say(who, "conversation.presence", conversation=conversation, state=state)
            case 3:
                self._say(who, "message.react", conversation=conversation, to=self._some_seq(), emoji="👍")
            case 4:
                self._say(who, "contact.get", contact=rng.choice(sorted(self.world.oracle.contacts) or ["nia"]))
            case 5:
                self._say(who, rng.choice(["agent.list", "service.list"]))
            case 6:
                self._say(who, "agent.watch", services=rng.choice([None, rng.sample(SERVICES, 1)]))

    def _answer(self) -> None:
        """Somebody who is there answers what is assigned to them."""
        records = self.world.oracle.records.values()
        mine = [r for r in records if r.state == "open" and r.assignee in self.world.sessions]
        if mine:
            record = self.rng.choice(mine)
            self._say(str(record.assignee), "message.send", conversation=record.id, text="Here I am")

    def _some_seq(self) -> int:
        return self.rng.randint(1, max(1, self.world.core.house.seq))

    def _describe(self) -> None:
        """What lists are filtered by changes."""
        rng = self.rng
        contacts = sorted(self.world.oracle.contacts)
        if contacts and rng.random() < 0.5:
            about = rng.choice([{"name": rng.choice(["Nia", "Oli"])}, {"company": rng.choice(["vip", "Fjord"])}])
            self._say("backend", "contact.update", contact=rng.choice(contacts), **about)
        else:
            tags = {rng.choice(["add_tags", "remove_tags"]): [rng.choice(["vip", "refund"])]}
            self._say("backend", "conversation.update", conversation=self._conversation(), **tags)

    def _resume(self) -> None:
        """A link breaks, and somebody comes back with the last seq they saw."""
        if not self.world.sessions:
            return
        who = self.rng.choice(sorted(self.world.sessions))
        since = max(0, self.world.core.house.seq - self.rng.randint(0, 20))
        self.world.end(who)
        if self.rng.random() < 0.5:
            self._contact_writes()
        if who not in self.world.sessions:
            self.world.open(who, since)

    def _filters(self) -> dict[str, Any]:
        rng = self.rng
        choices: dict[str, list[Any]] = {
            "view": ["all", "all", "joined", "mine"],
            "service": [*SERVICES, "nowhere"],
            "status": [*STATUSES, *SEVERAL],
            "channels": [["sms"], ["web", "email"]],
            "tag": ["vip", "support", "refund"],
            "search": ["nia", "O"],
            "contact": sorted(self.world.oracle.contacts) or ["nia"],
        }
        likely = {"view": 0.4, "status": 0.5}
        return {name: rng.choice(some) for name, some in choices.items() if rng.random() < likely.get(name, 0.15)}

    def _watch(self) -> None:
        who = self._anybody()
        if not who.startswith("contact:"):
            self._say(who, "conversation.watch", **self._filters())

    def _store_fails(self) -> None:
        """The store refuses a step in which deadlines may fire: nobody has heard anything of it."""
        world = self.world
        who = "connector:sms"
        if who not in world.sessions:
            world.open(who)
        world.now += self.rng.choice([0, 1, 100, 60_000])
        request = world.asked(who, "connector.receive", channel="sms", address="+1", external_id="refused", text="Lost")
        output = world.step(request)
        world.core.undo([output], world.now)
        while world.core.behind:
            world.give()

    # ------------------------------------------------------------ what must hold

    def _settle(self) -> None:
        """Nothing happens for a while: then every client knows what is so."""
        self.world.wait(CLIENT_MS)
        if "backend" not in self.world.sessions:
            self.world.open("backend")
        self.world.folds.check()

    def _walk(self) -> None:
        """Some lists of somebody, each from its first page to its last."""
        who = self._anybody()
        for _ in range(4):
            self._walk_one(who, self._filters(), self.rng.choice(SORTS), self.rng.randint(1, 4))

    def _walk_one(self, who: str, filters: dict[str, Any], sort: str, limit: int) -> None:
        """Pages joined by their cursors are the list: in order, nothing twice, nothing left out; so are the counts."""
        if who not in self.world.sessions:
            self.world.open(who)
        principal = self.world.oracle.online[self.world.sessions[who]]
        self.world.wait(0)
        params = self.world.oracle.renamed(msgspec.convert({**filters, "sort": sort}, ConversationList))
        records, counts = self.world.oracle.listed(self.world.view, principal, params)
        expected, found, cursor = self.world.oracle.ordered(records, sort, principal), [], None
        for _ in range(len(expected) + 2):
            page = self.world.say(who, "conversation.list", **filters, sort=sort, limit=limit, cursor=cursor)
            found.extend(item.id for item in page.items)
            assert page.counts == counts, f"{who} counts {page.counts} under {filters}, not {counts}"
            cursor = page.cursor
            if cursor is None:
                break
        assert found == expected, f"{who} reads {found} under {filters} sorted {sort} by {limit}, not {expected}"

    def _ask_alike(self) -> None:
        """Somebody tries everything on a conversation."""
        who, conversation = self._anybody(), self._conversation()
        for method in ("conversation.join", "conversation.explain", "message.comment", "conversation.grab"):
            text = {"text": "Hm"} if method == "message.comment" else {}
            self._compare_errors(who, method, {"conversation": conversation, **text})

    def _compare_errors(self, who: str, method: str, params: dict[str, Any]) -> None:
        """What may not be seen is answered exactly as what does not exist."""
        conversation, world = params.get("conversation", ""), self.world
        away = who in AGENTS and who not in world.sessions
        if away or conversation not in world.oracle.records:
            return
        if who not in world.sessions:
            world.open(who)
        world.wait(0)
        principal, record = world.oracle.online[world.sessions[who]], world.oracle.records[conversation]
        if principal.role not in METHODS[method].roles or world.view.sees(principal, record):
            return
        plain = {name: value for name, value in params.items() if name != "key"}
        if method == "conversation.grab" and world.view.role(principal.sub, record.service):
            assert world.ask(who, method, **plain).error.data == {"reason": "already_owned", "retry": False}
            return
        first = _error(world.ask(who, method, **plain))
        other = _error(world.ask(who, method, **{**plain, "conversation": UNKNOWN}))
        assert first == other, f"{who} {method} {plain}: {first}, but of what does not exist {other}"


def _error(reply: Reply) -> tuple[Any, ...]:
    assert isinstance(reply.error, RequestError), f"{reply} was not refused"
    return (reply.error.code, reply.error.message, reply.error.data)


__all__ = ["JudgedWorld", "Oracle", "View", "WaryStorm"]

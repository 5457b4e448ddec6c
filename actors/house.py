"""Who exists: the registry of actors, and what they publish to each other.

An actor changes only itself; what it publishes here others may read. The registry also gives out sequence
numbers and writes timeline entries, because every fact of the workspace has one place in one order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from actors import reading
from actors.agenda import Agenda
from actors.agent_watch import AgentWatches
from actors.digest import Digests
from actors.effects import Tell
from actors.explain import Decisions
from actors.presence import PresenceActor, openers
from actors.system import Turn
from actors.views import Views
from actors.watch import Watches
from actors.wheel import TimerWheel
from protocol.errors import refused
from protocol.ids import Principal
from protocol.notices import ConversationEntry
from protocol.objects import COMINGS_AND_GOINGS, OUTSIDE_TYPES, By, Entry, from_outside
from protocol.records import ContactAddress, ConversationRecord, EntryRecord
from protocol.settings import CLASS_OF_OTHERS, WorkspaceSettings
from protocol.times import Moment

if TYPE_CHECKING:
    from actors.agent import AgentActor
    from actors.channel import ChannelActor
    from actors.contact import ContactActor
    from actors.conversation import ConversationActor
    from actors.errand import ErrandActor
    from actors.files import FileActor
    from actors.service import ServiceActor
    from actors.templates import TemplateActor

TEXT_MAX = 32_768


class House:
    """One workspace's actors by id. Services and agents stand in configuration order."""

    def __init__(self, settings: WorkspaceSettings, new_channel: Callable[[House, str], ChannelActor]) -> None:
        self.settings = settings
        self._new_channel = new_channel
        self.services: dict[str, ServiceActor] = {}
        self.agents: dict[str, AgentActor] = {}
        self.conversations: dict[str, ConversationActor] = {}
        self.contacts: dict[str, ContactActor] = {}
        self.contact_at: dict[ContactAddress, str] = {}
        self.links: dict[str, str] = {}  # link -> conversation
        self.channels: dict[str, ChannelActor] = {}
        self.templates: dict[str, TemplateActor] = {}
        self.sessions: dict[int, Principal] = {}
        self.files: dict[str, FileActor] = {}  # not sent yet, or needed just now
        self.webhooks: dict[int, ErrandActor] = {}  # pending
        self.mails: dict[str, ErrandActor] = {}  # pending
        self.meetings = Agenda()
        self.presences: dict[str, PresenceActor] = {}
        self.paces: dict[int, tuple[int, int]] = {}  # session -> since when so many changes of presence
        self.views = Views(self)
        self.digests = Digests(self)
        self.watches = Watches(self)
        self.agent_watches = AgentWatches(self)
        self.decisions = Decisions()
        self.wheel = TimerWheel()
        self.seq = 0
        self._class_of = {name: group for group, names in settings.channel_classes.items() for name in names}
        self.classes: tuple[str, ...] = tuple(dict.fromkeys((*settings.channel_classes, CLASS_OF_OTHERS)))

    def channel_class(self, channel: str) -> str:
        """The class whose slots and switch this channel shares."""
        return self._class_of.get(channel, CLASS_OF_OTHERS)

    def keep_conversation(self, actor: ConversationActor, turn: Turn) -> None:
        """A conversation that begins to exist in this turn."""
        record = actor.record
        contact = self.contacts.get(record.contact or "")
        reading.begin(record)
        self.conversations[record.id] = actor
        turn.spawned(actor)
        turn.undo.append(lambda: self.conversations.pop(record.id))
        if contact is not None:
            contact.enter(record.id, own=True)
            turn.undo.append(lambda: contact.leave(record.id, own=True))

    def relate(self, old: ConversationRecord | None, new: ConversationRecord | None) -> None:
        """A conversation comes (``old`` None), has changed or goes (``new`` None): who is in it, and by which link.

        A contact that is not in memory learns it when it comes.
        """
        if old is not None and new is not None and _is_known(old, new):
            return
        before, after = _outsiders(old), _outsiders(new)
        if old is not None:
            for name, own in before.items():
                if after.get(name) is not own and name in self.contacts:
                    self.contacts[name].leave(old.id, own=own)
            if old.link is not None:
                self.links.pop(old.link, None)
        if new is not None:
            for name, own in after.items():
                if before.get(name) is not own and name in self.contacts:
                    self.contacts[name].enter(new.id, own=own)
            if new.link is not None:
                self.links[new.link] = new.id

    def channel(self, name: str) -> ChannelActor:
        """The way out through this channel's connectors; made at its first use."""
        if name not in self.channels:
            self.channels[name] = self._new_channel(self, name)
        return self.channels[name]

    def note(
        self, turn: Turn, record: ConversationRecord, kind: str, by: By, *, told: tuple[str, ...] = (), **fields: Any
    ) -> Entry:
        """Write an entry into a conversation's timeline and tell everybody who may see it, at once.

        ``kind`` is the entry's type; ``told`` are agents who hear of it though they are not in the crew;
        ``fields`` are those of ``protocol.objects.Entry``.
        """
        entry = Entry(seq=self.seq + 1, conversation=record.id, at=Moment(turn.now), type=kind, by=by, **fields)
        self.put_down(turn, record, entry, told)
        return entry

    def put_down(self, turn: Turn, record: ConversationRecord, entry: Entry, told: tuple[str, ...] = ()) -> None:
        """The same of an entry that was made already, with the next ``seq``."""
        self.seq = entry.seq
        audience = _audience(record, entry, told)
        if record.id in self.presences:
            audience = tuple(dict.fromkeys((*audience, *openers(self, record))))
        record.last_seq = entry.seq
        if entry.type == "message":
            reading.wrote(record, entry, turn.now, mail=self.settings.mail is not None)
        turn.effects.append(EntryRecord(entry=entry, audience=audience))
        self._tell(turn, audience, entry)

    def _tell(self, turn: Turn, audience: tuple[str, ...], entry: Entry) -> None:
        """Those outside hear it as it is for them; mostly that is what everybody hears."""
        shown = from_outside(entry)
        if shown is entry:
            if audience:
                turn.effects.append(Tell(audience, ConversationEntry(entry)))
            return
        outside = tuple(address for address in audience if address.startswith("contact:"))
        inside = tuple(address for address in audience if not address.startswith("contact:"))
        turn.effects.extend(Tell(to, ConversationEntry(what)) for to, what in ((inside, entry), (outside, shown)) if to)

    def statistics(self) -> dict[str, int]:
        """How much of everything there is."""
        return {
            "services": len(self.services),
            "agents": len(self.agents),
            "conversations": len(self.conversations),
            "contacts": len(self.contacts),
            "sessions": len(self.sessions),
            "waiting": sum(len(service.waiting) for service in self.services.values()),
            "offered": sum(len(service.offers) for service in self.services.values()),
            "watches": len(self.watches),
            "deliveries_pending": sum(len(channel.pending) for channel in self.channels.values()),
            "webhooks_pending": len(self.webhooks),
            "mails_pending": len(self.mails),
            "meetings_ahead": len(self.meetings),
            "files": len(self.files),
            "digests": len(self.digests),
            "timers": len(self.wheel),
        }


def _is_known(old: ConversationRecord, new: ConversationRecord) -> bool:
    """Whether nothing has changed that others hold of a conversation."""
    return old.members is new.members and old.contact == new.contact and old.link == new.link


def _outsiders(record: ConversationRecord | None) -> dict[str, bool]:
    """Contact -> whether this conversation is its own, and not one of others."""
    if record is None:
        return {}
    found = dict.fromkeys(record.members, False)
    if record.contact is not None:
        found[record.contact] = True
    return found


def _audience(record: ConversationRecord, entry: Entry, others: tuple[str, ...]) -> tuple[str, ...]:
    """The crew, whoever did it, whom it is about, and people outside if they may see it."""
    told: dict[str, None] = {}
    for agent in record.crew:
        told[f"agent:{agent}"] = None
    for agent in others:
        told[f"agent:{agent}"] = None
    if entry.agent is not None:
        told[f"agent:{entry.agent}"] = None
    if entry.origin is not None and entry.origin.agent is not None:
        told[f"agent:{entry.origin.agent}"] = None
    by = entry.by
    if by is not None and by.id is not None and by.kind != "contact":
        told[f"{by.kind}:{by.id}"] = None
    if entry.type in OUTSIDE_TYPES:
        for address in _outside(record, entry):
            told[address] = None
    return tuple(told)


def _outside(record: ConversationRecord, entry: Entry) -> list[str]:
    """Who outside hears of it: the contact and the members, whoever comes or goes included."""
    outside = [] if record.contact is None else [f"contact:{record.contact}"]
    if record.members:
        outside.extend([f"contact:{member}" for member in record.members])
    who = (entry.who or entry.by) if entry.type in COMINGS_AND_GOINGS else None
    if who is None or who.id is None:
        return outside
    return [*([] if record.read_only else outside), f"{who.kind}:{who.id}"]


def check_text(text: str | None, field: str = "text") -> None:
    """Raises RequestError (too_large) if the text is longer than the limit. [protocol §7]"""
    if text is not None and len(text) > TEXT_MAX:
        raise refused("too_large", f"{field} has more than {TEXT_MAX} characters", field=field, limit=TEXT_MAX)

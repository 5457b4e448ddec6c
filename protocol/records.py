"""What is remembered: the durable state of every actor, as the core hands it to the store.

An actor's record *is* its durable state: the core changes its fields, never their values in place (they
are immutable), so a shallow copy is a snapshot. The store writes a field a column (tuples and dicts as JSON), or some
of them together as JSON (``storage.tables``). Everything else an actor holds (queues, indexes, timers, used slots) is
derived from records.

They may be made without names, in the order of their fields: a row becomes its record eight times faster that way.
Those of which there are many are not told to the garbage collector (``gc=False``): nothing in them leads back to them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field

from protocol.objects import Entry, State
from protocol.settings import AgentSettings, ServiceSettings, Step, Template


class StepFired(Struct, frozen=True, gc=False):
    """A step of a service's ladder that has fired: what it did, so with ``after`` 0, whenever that was."""

    service: str
    step: Step


class EndedWait(Struct, frozen=True, gc=False):
    """A wait that agents have answered through a connector: it goes on if all their answers fail."""

    since: int  # tick
    steps_fired: tuple[StepFired, ...] = ()  # of the ladder, while it lasted
    answers: int = 0  # that have not failed


class ReadMark(Struct, frozen=True, array_like=True, gc=False):
    """How far somebody has read a conversation. Ticks."""

    who: str  # an address: ``agent:ana``
    count: int  # messages seen
    seq: int  # the last entry that is known to be seen; 0 = none, though messages before one came may count
    since: int | None = None  # when the oldest unread message came
    unmailed: int | None = None  # when the oldest unread one came that was not mailed


class ConversationRecord(Struct, gc=False):
    """A conversation. Times are ticks (ms). The store has a column for each of the first ones, until ``last_seq``."""

    id: str
    service: str | None = None
    channel: str | None = None
    contact: str | None = None
    state: State = "open"
    assignee: str | None = None
    crew: tuple[str, ...] = ()
    begun_agent: str | None = None  # begun with a named agent
    owner: str | None = None  # whose it is in grab mode: others neither see nor join it
    link: str | None = None  # whoever presents it comes in
    members: tuple[str, ...] = ()  # contacts who were let in, beside ``contact``
    unmailed_since: int | None = None  # while closed: what somebody is still to be mailed has waited since then
    last_seq: int = 0

    channel_class: str | None = None
    address: str | None = None  # where messages out go, through the channel's connector
    begun_service: str | None = None  # a message that names this service finds it even after a transfer
    name: str | None = None
    description: str | None = None
    assigned_at: int | None = None
    joined: tuple[str, ...] = ()  # those of the crew who stay when an assignment ends
    queued: bool = False
    age_since: int = 0  # the age in the queue
    need: str = "new"  # why it needs an agent: the reason of the assignment to come
    routed: bool = True  # while queued: the house gives it to an agent; False = somebody is to take it
    offered_at: int | None = None  # offers stand since then
    preview: str | None = None  # how the contact's last message begins
    priority: int = 0
    skills: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    paused: tuple[tuple[str, int], ...] = ()  # (agent, until): no candidate before then
    waiting_since: int | None = None  # the oldest unanswered contact message
    lateness: Literal["soon", "overdue"] | None = None
    steps_fired: tuple[StepFired, ...] = ()  # of the ladder, in this waiting episode
    ended_wait: EndedWait | None = None  # the last one that was answered through a connector
    managers_added: bool = False
    reply_due: int | None = None  # when a pushed conversation is taken from an agent who is silent
    snoozed_until: int | None = None
    snoozed_by: str | None = None
    created_at: int = 0
    stirred_at: int = 0  # latest of creation, waking, reopening: where auto-close counts from
    last_contact_message_at: int | None = None
    last_agent_message_at: int | None = None
    closed_at: int | None = None
    moved_to: str | None = None  # a stub's: the service where the conversation is now
    created_by: str | None = None  # the address of who created it: ``agent:ana``
    read_only: bool = False
    picture: str | None = None  # a file's id
    messages: int = 0  # how many there are
    answered: int = 0  # how many there were at the last agent's message, or when it was closed
    read: tuple[ReadMark, ...] = ()  # what each reader has seen, by who

    @property
    def by_link(self) -> bool:
        """Whether it can be joined with a link."""
        return self.link is not None

    @property
    def outside(self) -> tuple[str, ...]:
        """The contacts who are in it: the one it is with, and the members."""
        return self.members if self.contact is None else (self.contact, *self.members)


class AgentRecord(Struct):
    """An agent: what the operator configured, the switches, the idle clocks, and whether anybody is there."""

    id: str
    position: int  # configuration order
    settings: AgentSettings
    switched_on: tuple[str, ...] = ()
    assigned_last: dict[str, int] = {}  # class -> tick of the last assignment
    live: bool = False
    lost_at: int | None = None  # when the last session ended
    grace_done: int = 0  # graces due up to this tick have been dealt with
    deleted: bool = False


class ServiceRecord(Struct):
    """A service: its settings and where round robin stands."""

    id: str
    position: int  # configuration order
    settings: ServiceSettings
    picked_last: str | None = None
    deleted: bool = False


#: what most contacts have as ``custom``: one for all, never changed in place
NOTHING: dict[str, Any] = {}


class ContactAddress(Struct, frozen=True, array_like=True, gc=False):
    """Where a contact writes from: no other one has the same address on the same channel."""

    channel: str
    address: str


class ContactRecord(Struct, gc=False):
    """A person outside, known by its addresses."""

    id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    company: str | None = None
    location: str | None = None
    custom: dict[str, Any] = field(default_factory=lambda: NOTHING)
    addresses: tuple[ContactAddress, ...] = ()
    last_active: int | None = None
    last_agent: str | None = None
    language: str | None = None
    signed_in: bool = False  # a token has named it: it is nobody's other name
    merged_into: str | None = None  # it is the same person as this one; only the name is left


class EntryRecord(Struct, frozen=True, kw_only=True):
    """A timeline entry and to whom it was told live: what a resuming client gets is exactly that."""

    entry: Entry
    audience: tuple[str, ...]


class KeyRecord(Struct, frozen=True):
    """The first answer to a request that carried a key; ``expires_at`` None = never forgotten."""

    owner: str
    key: str
    digest: str
    answer: bytes
    expires_at: int | None


class RevocationRecord(Struct, frozen=True):
    """A principal's tokens made before this tick are not accepted; ``expires_at`` None = for ever."""

    address: str  # ``agent:ana``
    revoked_before: int
    expires_at: int | None  # the tick at which they would have ended anyway


class DeliveryRecord(Struct, frozen=True):
    """A message on its way out through a connector; ``pending`` until the connector acknowledges it."""

    seq: int
    conversation: str
    channel: str
    address: str
    status: Literal["pending", "sent", "delivered", "read", "failed"] = "pending"
    error: str | None = None
    waited_since: int | None = None  # when the wait began that this message answers, or others had before it
    changed_at: int = 0  # when this status came


class TemplateRecord(Struct):
    """A template."""

    id: str
    settings: Template
    deleted: bool = False


class WebhookRecord(Struct):
    """A call to an operator's URL, repeated until it is taken. ``id`` is the seq of the entry that caused it."""

    id: int
    conversation: str
    url: str
    body: str
    attempts: int = 0
    next_at: int = 0  # the tick of the next attempt
    status: Literal["pending", "done", "failed"] = "pending"


MailKind = Literal["fallback", "digest", "forward", "invitation", "update", "cancellation", "reminder"]


class MailRecord(Struct):
    """A mail, repeated until the mail server takes it. ``id`` says what caused it, and becomes the Message-ID."""

    id: str
    kind: MailKind
    recipient: str
    data: str  # JSON: what the mail is made of, by kind
    conversation: str | None = None
    language: str = "en"
    created_at: int = 0
    attempts: int = 0
    next_at: int = 0  # the tick of the next attempt
    status: Literal["pending", "done", "failed"] = "pending"
    error: str | None = None


class DigestRecord(Struct):
    """Where somebody's digests of unread messages stand. ``id`` is the reader's address."""

    id: str
    sent: int = 0  # in this cycle, at most three a day
    last_at: int | None = None


class MeetingRecord(Struct):
    """A meeting with an agent. Ticks."""

    id: str
    agent: str
    starts: int
    minutes: int
    conversation: str
    subject: str | None = None
    email: str | None = None  # of the other side
    contact: str | None = None
    status: Literal["tentative", "confirmed", "cancelled"] = "confirmed"
    sequence: int = 0  # of its invitation
    reminded: bool = False
    ends: int = 0  # when it is over


class FileRecord(Struct):
    """An uploaded file. Nobody but its owner sees it before it is sent."""

    id: str
    owner: str  # the address of who uploaded it
    name: str
    type: str
    size: int
    created_at: int
    conversations: tuple[str, ...] = ()  # in which it was sent
    deleted: bool = False


Record = (
    ConversationRecord
    | AgentRecord
    | ServiceRecord
    | ContactRecord
    | DeliveryRecord
    | TemplateRecord
    | WebhookRecord
    | MailRecord
    | DigestRecord
    | MeetingRecord
    | FileRecord
    | RevocationRecord
)


class Batch(Struct, frozen=True):
    """All facts of one step, written in one transaction or not at all; each record once, as it is at the end.

    ``before``: what each of ``records`` was, in their order, None = it was not there; empty = none was. A store needs
    it if it has said that nothing was written before it could know.
    """

    entries: tuple[EntryRecord, ...] = ()
    records: tuple[Record, ...] = ()
    keys: tuple[KeyRecord, ...] = ()
    before: tuple[Record | None, ...] = ()

    def __bool__(self) -> bool:
        """False if there is nothing to write."""
        return bool(self.entries or self.records or self.keys)


class ClosedCount(Struct, frozen=True):
    """How many closed conversations there are of a service, channel and owner; of those in whose crew ``agent`` is."""

    agent: str | None  # None = whoever is in the crew
    service: str | None
    channel: str | None
    owner: str | None
    count: int


class Snapshot(Struct, frozen=True, kw_only=True):
    """What start-up needs: everything live. Closed conversations stay in the store until somebody asks."""

    services: tuple[ServiceRecord, ...] = ()  # by position
    agents: tuple[AgentRecord, ...] = ()  # by position
    conversations: tuple[ConversationRecord, ...] = ()  # open, snoozed, and closed with something to mail, by id
    contacts: tuple[ContactRecord, ...] = ()  # of these conversations, by id
    deliveries: tuple[tuple[DeliveryRecord, Entry], ...] = ()  # pending, by seq
    templates: tuple[TemplateRecord, ...] = ()  # by name
    webhooks: tuple[WebhookRecord, ...] = ()  # pending, by id
    mails: tuple[MailRecord, ...] = ()  # pending, by id
    digests: tuple[DigestRecord, ...] = ()  # with ``sent`` in the two days before the last entry, by id
    files: tuple[FileRecord, ...] = ()  # not sent yet, by id
    meetings: tuple[MeetingRecord, ...] = ()  # not cancelled and not over when the last entry was written, by id
    closed: tuple[ClosedCount, ...] = ()  # all that are closed, loaded or not; in no order
    last_seq: int = 0


# ---------------------------------------------------------------- questions to the store


class ConversationById(Struct, frozen=True):
    """Answer: ConversationRecord | None."""

    id: str


class ContactById(Struct, frozen=True):
    """Answer: ContactRecord | None."""

    id: str


class ContactByAddress(Struct, frozen=True):
    """Answer: ContactRecord | None."""

    channel: str
    address: str


class ClosedOf(Struct, frozen=True):
    """Answer: tuple[ConversationRecord, ...], the contact's closed conversations on a channel.

    The latest (greatest last_seq) first, at most ``limit``.
    """

    contact: str
    channel: str | None  # None = on all
    limit: int = 100


class ClosedAmong(Struct, frozen=True):
    """Answer: tuple[ConversationRecord, ...], closed ones that a contact was let into, beside its own.

    The latest (greatest last_seq) first, at most ``limit``.
    """

    contact: str
    limit: int


class KeyOf(Struct, frozen=True):
    """Answer: KeyRecord | None; expired ones may still be given."""

    owner: str
    key: str


class RevokedAt(Struct, frozen=True):
    """Answer: tuple[RevocationRecord, ...], all that have not expired at this tick, by address."""

    now: int


class DeliveryOf(Struct, frozen=True):
    """Answer: DeliveryRecord | None."""

    seq: int


class Timeline(Struct, frozen=True):
    """Answer: (tuple[Entry, ...] oldest first, more: bool).

    The newest ``limit`` entries with ``seq`` < ``before`` (None = no bound) and <= ``up_to``; ``more`` says
    that older ones exist. ``types`` None = all types.
    """

    conversation: str
    up_to: int
    limit: int
    before: int | None = None
    types: frozenset[str] | None = None


class Missed(Struct, frozen=True):
    """Answer: tuple[Entry, ...], what this address was told with ``since`` < seq <= ``up_to``, oldest first.

    ``before`` are addresses that whoever it is had before: what was told to them counts too.
    """

    address: str
    since: int
    up_to: int
    before: tuple[str, ...] = ()


class ClosedIn(Struct, frozen=True):
    """Answer: tuple[ConversationRecord, ...], closed conversations, latest (greatest last_seq) first.

    ``services`` None = all, including those without a service.
    """

    services: tuple[str, ...] | None
    limit: int


class ConversationByLink(Struct, frozen=True):
    """Answer: ConversationRecord | None."""

    link: str


class MessagesUpTo(Struct, frozen=True):
    """Answer: MessagesCounted, the messages of a conversation with a seq <= ``seq``."""

    conversation: str
    seq: int


class MessagesCounted(Struct, frozen=True):
    """How many messages there are up to somewhere, and when the next one came (tick; None = there is none)."""

    messages: int
    next_at: int | None = None


class FileById(Struct, frozen=True):
    """Answer: FileRecord | None."""

    id: str


class MeetingById(Struct, frozen=True):
    """Answer: MeetingRecord | None."""

    id: str


class MailById(Struct, frozen=True):
    """Answer: MailRecord | None."""

    id: str


class WebhookById(Struct, frozen=True):
    """Answer: WebhookRecord | None."""

    id: int


class FailedOnes(Struct, frozen=True):
    """Answer: tuple[DeliveryRecord | MailRecord | WebhookRecord, ...], those of a kind that have failed.

    The newest first, at most ``limit``, before the place of one: its seq or id or, of a mail, ``created_at`` and id.
    """

    kind: Literal["message", "mail", "webhook"]
    before: int
    before_id: str
    limit: int


class ClosedWith(Struct, frozen=True):
    """Answer: tuple[ConversationRecord, ...], closed ones in whose crew an agent is.

    The latest (greatest last_seq) first, at most ``limit``.
    """

    agent: str
    limit: int


Question = (
    ConversationById
    | ContactById
    | ContactByAddress
    | ClosedOf
    | KeyOf
    | RevokedAt
    | DeliveryOf
    | Timeline
    | Missed
    | ClosedIn
    | ConversationByLink
    | MessagesUpTo
    | FileById
    | MeetingById
    | ClosedWith
    | ClosedAmong
    | MailById
    | WebhookById
    | FailedOnes
)

"""Every method of the protocol: its params, its result, its sentence. [protocol §4]

``METHODS`` is the one table: the codec decodes from it, the core dispatches by it, the OpenRPC document is
generated from it. A new method is a params struct, a result struct and a line.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from protocol.ids import Count, Id, Name, Role, Seq
from protocol.meetings import (
    MeetingName,
    MeetingReschedule,
    MeetingSchedule,
    MeetingSlots,
    OneMeeting,
    Slots,
)
from protocol.members import (
    ContactMerge,
    ConversationCreate,
    ConversationInvite,
    ConversationRead,
    ConversationRemove,
    JoinLink,
    MemberName,
    MemberView,
    Unread,
)
from protocol.objects import Agent, Colour, Contact, Conversation, Entry, Explanation
from protocol.outbox import MessageForward, OutboxItems, OutboxList, OutboxRetry
from protocol.params import Custom, Email, Limit, Nothing, Params
from protocol.settings import AgentPatch, Priority, ServicePatch, ServiceSettings, Template, TemplatePatch
from protocol.times import Duration, Moment

Status = Literal["online", "rep_needed", "pending", "soon", "overdue", "snoozed", "closed"]
View = Literal["all", "joined", "mine"]
STATUSES: tuple[Status, ...] = ("online", "rep_needed", "pending", "soon", "overdue", "snoozed", "closed")


# ---------------------------------------------------------------- session


class SessionOpen(Params, frozen=True):
    """``since``: the last seq the client saw; ``batch``: it takes arrays."""

    token: str | None = None
    since: Seq | None = None
    batch: bool = False


class SessionLimits(Struct, frozen=True):
    """What a client may send."""

    frame_bytes: int
    batch: int
    requests_per_s: int


class SessionOpened(Struct, frozen=True, kw_only=True):
    """The session as the server sees it; ``resync``: too much was missed, read afresh."""

    session: str
    workspace: str
    sub: str
    role: Role
    seq: int
    now: Moment
    heartbeat_s: int
    limits: SessionLimits
    resync: bool = False


class SessionRefresh(Params, frozen=True):
    """A new token for the same principal."""

    token: str


class SessionRefreshed(Struct, frozen=True):
    """Until when the session now lasts; null = without end."""

    expires: Moment | None


class SessionClose(Params, frozen=True):
    """End the session."""


class SessionRevoke(Params, frozen=True):
    """Whose; ``before``: only tokens made before that moment, absent = all there are now."""

    role: Role
    sub: Id
    before: Moment | None = None


class SessionRevoked(Struct, frozen=True):
    """Tokens made before this moment are not accepted any more."""

    before: Moment


# ---------------------------------------------------------------- configuration


class ServicePut(Params, frozen=True):
    """Create or change a service."""

    service: ServicePatch


class ServiceName(Params, frozen=True):
    """Which service."""

    service: Id


class ServiceList(Params, frozen=True):
    """No params."""


class Services(Struct, frozen=True):
    """In configuration order."""

    services: tuple[ServiceSettings, ...]


class AgentPut(Params, frozen=True):
    """Create or change an agent."""

    agent: AgentPatch


class AgentName(Params, frozen=True):
    """Which agent."""

    agent: Id


class AgentList(Params, frozen=True):
    """No params."""


class Agents(Struct, frozen=True):
    """In configuration order."""

    agents: tuple[Agent, ...]


class SetAvailability(Params, frozen=True):
    """``class`` absent = every class; ``agent`` is for the backend and admins."""

    available: bool
    agent: Id | None = None
    channel_class: Id | None = msgspec.field(default=None, name="class")


class Availability(Struct, frozen=True):
    """The colour of each class."""

    availability: dict[str, Colour]


# ---------------------------------------------------------------- conversations


class ContactDetails(Struct, frozen=True, forbid_unknown_fields=True):
    """What a connector knows of a contact."""

    name: Name | None = None
    email: Email | None = None
    phone: Name | None = None
    company: Name | None = None
    location: Name | None = None
    language: Id | None = None


class ConversationStart(Params, frozen=True):
    """A contact begins with a service or a named agent; agents and the backend name the ``contact``, and who else
    is a member."""

    channel: Id = "web"
    service: Id | None = None
    agent: Id | None = None
    contact: Id | None = None
    text: str | None = None
    name: Name | None = None
    skills: tuple[Id, ...] = ()
    priority: Priority = 0
    members: Annotated[tuple[MemberName, ...], Meta(max_length=1_000)] = ()


class ConversationStarted(Struct, frozen=True):
    """``continued``: an earlier conversation goes on."""

    conversation: Conversation
    continued: bool


class ConversationName(Params, frozen=True):
    """Which conversation."""

    conversation: Id


class ConversationGet(Params, frozen=True):
    """The newest ``limit`` entries with a seq below ``before``."""

    conversation: Id
    before: Seq | None = None
    limit: Annotated[int, Meta(ge=0, le=500)] = 50


class ConversationPage(Struct, frozen=True, omit_defaults=True):
    """The summary and a page of the timeline, oldest first; ``more``: older entries exist. ``members``: of a created
    conversation, for whoever may list them."""

    conversation: Conversation
    entries: tuple[Entry, ...]
    more: bool
    members: tuple[MemberView, ...] | None = None


class Filters(Params, frozen=True):
    """What a list shows; without ``status`` no closed ones. ``search`` looks in the contact's name."""

    view: View = "all"
    service: Id | None = None
    status: Status | tuple[Status, ...] = ()
    channels: tuple[Id, ...] = ()
    tag: Name | None = None
    search: Name | None = None
    contact: Id | None = None


class ConversationList(Filters, frozen=True):
    """A page of a list; ``waiting`` sorts those first who have waited longest for an answer."""

    sort: Literal["newest", "oldest", "waiting"] = "newest"
    cursor: Id | None = None
    limit: Limit = 50


class ConversationWatch(Filters, frozen=True):
    """Be told what enters, changes in and leaves a list."""


class WatchName(Params, frozen=True):
    """Which watch."""

    watch: Id


class AgentWatch(Params, frozen=True):
    """Be told of changes of agents, of all one may see or of those in these services."""

    services: tuple[Id, ...] | None = None


class AgentUnwatch(Params, frozen=True):
    """No longer."""


class ContactName(Params, frozen=True):
    """Which contact."""

    contact: Id


class ContactUpdate(Params, frozen=True):
    """What is given replaces, null takes away, what is not given stays."""

    contact: Id
    name: Name | UnsetType | None = UNSET
    email: Email | UnsetType | None = UNSET
    phone: Name | UnsetType | None = UNSET
    company: Name | UnsetType | None = UNSET
    language: Id | UnsetType | None = UNSET
    custom: dict[Name, Custom] | None = None


class TemplatePut(Params, frozen=True):
    """Create or change a template."""

    template: TemplatePatch


class TemplateName(Params, frozen=True):
    """Which template."""

    template: Id


class TemplateList(Params, frozen=True):
    """No params."""


class Templates(Struct, frozen=True):
    """By name."""

    templates: tuple[Template, ...]


class OneWatch(Struct, frozen=True):
    """The watch's id."""

    watch: str


class ConferenceStarted(Struct, frozen=True):
    """The entry and the link."""

    entry: Entry
    url: str


class ConversationItems(Struct, frozen=True):
    """A page; ``counts`` a status under the other filters; ``cursor`` for the next page."""

    items: tuple[Conversation, ...]
    counts: dict[str, int]
    cursor: str | None


class OneConversation(Struct, frozen=True):
    """The conversation after everything that the request set off."""

    conversation: Conversation


class ConversationAssign(Params, frozen=True):
    """Neither agent nor service = me; a service alone routes it."""

    conversation: Id
    agent: Id | None = None
    service: Id | None = None
    anyway: bool = False


class ConversationTransfer(Params, frozen=True):
    """To an agent or to a service; the comment stays inside the house."""

    conversation: Id
    agent: Id | None = None
    service: Id | None = None
    comment: str | None = None
    anyway: bool = False


class ConversationSnooze(Params, frozen=True):
    """``for`` so long or ``until`` a moment, at most a year away."""

    conversation: Id
    length: Duration | None = msgspec.field(default=None, name="for")
    until: Moment | None = None


class ConversationMove(Params, frozen=True):
    """To another inbox; the comment stays inside the house."""

    conversation: Id
    service: Id
    comment: str | None = None


class ConversationMoved(Struct, frozen=True):
    """The conversation where it is now, and the stub it leaves."""

    conversation: Conversation
    stub: Conversation


class ConversationPresence(Params, frozen=True):
    """What one is doing with a conversation; never stored."""

    conversation: Id
    state: Literal["viewing", "typing", "idle"]


class ConversationUpdate(Params, frozen=True):
    """What is given replaces, what is not given stays; ``picture`` null takes it away."""

    conversation: Id
    name: Name | None = None
    description: Annotated[str, Meta(max_length=32_768)] | None = None
    picture: Id | UnsetType | None = UNSET
    read_only: bool | None = None
    by_link: bool | None = None
    priority: Priority | None = None
    skills: tuple[Id, ...] | None = None
    add_tags: tuple[Name, ...] = ()
    remove_tags: tuple[Name, ...] = ()


class TemplateUse(Struct, frozen=True, forbid_unknown_fields=True):
    """A template's name and the values of its variables."""

    name: Id
    vars: dict[str, str] = {}


Attachments = Annotated[tuple[Id, ...], Meta(max_length=10, description="ids of uploaded files")]


class MessageSend(Params, frozen=True):
    """A public message: a text, a template, or files."""

    conversation: Id
    text: str | None = None
    attachments: Attachments = ()
    template: TemplateUse | None = None
    reply_to: Seq | None = None


class MessageComment(Params, frozen=True):
    """A comment: never visible outside the house."""

    conversation: Id
    text: str


class MessageReact(Params, frozen=True):
    """A reaction to the entry with the seq ``to``."""

    conversation: Id
    to: Seq
    emoji: Annotated[str, Meta(min_length=1, max_length=32)]


class OneEntry(Struct, frozen=True):
    """The entry that was added."""

    entry: Entry


class ConnectorReceive(Params, frozen=True):
    """A contact wrote through a channel; ``external_id`` is the channel's own id of the message."""

    channel: Id
    address: Id
    external_id: Id
    text: str
    attachments: Attachments = ()
    contact: ContactDetails | None = None
    service: Id | None = None
    skills: tuple[Id, ...] = ()


class Received(Struct, frozen=True):
    """Where the message went."""

    conversation: Conversation
    entry: Entry


class ConnectorDelivered(Params, frozen=True):
    """What became of a message out."""

    entry: Count
    status: Literal["sent", "delivered", "read", "failed"]
    error: Annotated[str, Meta(max_length=2_000)] | None = None


# ---------------------------------------------------------------- the table


class Method(Struct, frozen=True):
    """A line of the table. ``roles`` = who may ever call it; anybody else is ``forbidden``. [behaviour §10]"""

    name: str
    params: Any
    result: Any
    roles: tuple[Role, ...]
    summary: str
    changes: bool = True  # False: it only reads, and goes on while the store takes no changes


EVERYBODY: tuple[Role, ...] = ("agent", "contact", "connector", "backend")
HOUSE: tuple[Role, ...] = ("agent", "backend")
TALKERS: tuple[Role, ...] = ("agent", "contact", "backend")

_METHODS = (
    Method("session.open", SessionOpen, SessionOpened, EVERYBODY, "Open the session; with since, get what was missed."),
    Method("session.refresh", SessionRefresh, SessionRefreshed, EVERYBODY, "Give the session a new token."),
    Method("session.close", SessionClose, Nothing, EVERYBODY, "End the session.", changes=False),
    Method(
        "session.revoke",
        SessionRevoke,
        SessionRevoked,
        ("backend",),
        "End somebody's sessions at once and accept none of the tokens they have.",
    ),
    Method("service.put", ServicePut, ServiceSettings, ("backend",), "Create or change a service, at once."),
    Method("service.get", ServiceName, ServiceSettings, HOUSE, "One service.", changes=False),
    Method("service.list", ServiceList, Services, HOUSE, "The services one may see.", changes=False),
    Method("agent.put", AgentPut, Agent, ("backend",), "Create or change an agent, at once."),
    Method("agent.get", AgentName, Agent, HOUSE, "One agent with colours and used slots.", changes=False),
    Method("agent.list", AgentList, Agents, HOUSE, "The agents one may see.", changes=False),
    Method("agent.set_availability", SetAvailability, Availability, HOUSE, "Switch classes of channels on or off."),
    Method(
        "conversation.start",
        ConversationStart,
        ConversationStarted,
        TALKERS,
        "Start a conversation, or continue the live one.",
    ),
    Method(
        "conversation.get",
        ConversationGet,
        ConversationPage,
        TALKERS,
        "A conversation and a page of its timeline.",
        changes=False,
    ),
    Method(
        "conversation.list",
        ConversationList,
        ConversationItems,
        TALKERS,
        "The conversations one may see.",
        changes=False,
    ),
    Method("conversation.join", ConversationName, OneConversation, HOUSE, "Join the crew; takes no slot."),
    Method("conversation.leave", ConversationName, OneConversation, HOUSE, "Leave the crew."),
    Method(
        "conversation.decline", ConversationName, OneConversation, ("agent",), "Give an assigned conversation back."
    ),
    Method("conversation.close", ConversationName, OneConversation, HOUSE, "Close it."),
    Method(
        "conversation.reopen", ConversationName, OneConversation, HOUSE, "Reopen a closed one; by an agent = to me."
    ),
    Method("conversation.wake", ConversationName, OneConversation, HOUSE, "Wake a snoozed one now."),
    Method(
        "conversation.assign", ConversationAssign, OneConversation, HOUSE, "Assign it to an agent, a service or me."
    ),
    Method("conversation.transfer", ConversationTransfer, OneConversation, HOUSE, "Hand it to an agent or a service."),
    Method(
        "conversation.snooze", ConversationSnooze, OneConversation, HOUSE, "Put it to sleep; frees the slot at once."
    ),
    Method("conversation.update", ConversationUpdate, OneConversation, HOUSE, "Change name, priority, skills or tags."),
    Method("message.send", MessageSend, OneEntry, TALKERS, "Send a message everybody in the conversation sees."),
    Method("message.comment", MessageComment, OneEntry, HOUSE, "Add a comment for the house only."),
    Method("conversation.grab", ConversationName, OneConversation, ("agent",), "Take an offered one: the first wins."),
    Method("conversation.move", ConversationMove, ConversationMoved, HOUSE, "Move it to another service's inbox."),
    Method(
        "conversation.presence",
        ConversationPresence,
        Nothing,
        TALKERS,
        "Say that one is viewing or typing.",
        changes=False,
    ),
    Method("conversation.watch", ConversationWatch, OneWatch, HOUSE, "Be told of changes in a list.", changes=False),
    Method("conversation.unwatch", WatchName, Nothing, HOUSE, "No longer.", changes=False),
    Method(
        "conversation.explain",
        ConversationName,
        Explanation,
        HOUSE,
        "Why it went there, or why it waits.",
        changes=False,
    ),
    Method(
        "agent.watch", AgentWatch, Agents, HOUSE, "Be told of changes of agents; the result is all now.", changes=False
    ),
    Method("agent.unwatch", AgentUnwatch, Nothing, HOUSE, "No longer.", changes=False),
    Method("agent.delete", AgentName, Nothing, ("backend",), "Delete an agent who has no conversations."),
    Method("service.delete", ServiceName, Nothing, ("backend",), "Delete a service that has no live conversations."),
    Method("contact.get", ContactName, Contact, TALKERS, "One contact.", changes=False),
    Method("contact.update", ContactUpdate, Contact, HOUSE, "Change what is known of a contact."),
    Method("message.react", MessageReact, OneEntry, TALKERS, "React to an entry."),
    Method("template.put", TemplatePut, Template, ("backend",), "Create or change a template."),
    Method("template.list", TemplateList, Templates, HOUSE, "All templates.", changes=False),
    Method("template.delete", TemplateName, Nothing, ("backend",), "Delete a template."),
    Method("conference.start", ConversationName, ConferenceStarted, HOUSE, "Send a link to a conference."),
    Method("conversation.create", ConversationCreate, OneConversation, HOUSE, "Create one of named members."),
    Method("conversation.invite", ConversationInvite, OneConversation, HOUSE, "Add members to a created conversation."),
    Method("conversation.remove", ConversationRemove, OneConversation, HOUSE, "Take members out of it."),
    Method("conversation.join_link", JoinLink, OneConversation, TALKERS, "Come in by a link."),
    Method("conversation.read", ConversationRead, Unread, TALKERS, "One has read it up to a seq."),
    Method("contact.merge", ContactMerge, Contact, HOUSE, "Two contacts are one person."),
    Method("message.forward", MessageForward, OneEntry, HOUSE, "Mail chosen messages to outside addresses."),
    Method("meeting.slots", MeetingSlots, Slots, TALKERS, "When an agent can be met.", changes=False),
    Method("meeting.schedule", MeetingSchedule, OneMeeting, TALKERS, "Book a meeting."),
    Method("meeting.confirm", MeetingName, OneMeeting, HOUSE, "Confirm a booking."),
    Method("meeting.reschedule", MeetingReschedule, OneMeeting, TALKERS, "Change its start or its length."),
    Method("meeting.cancel", MeetingName, OneMeeting, TALKERS, "Call it off."),
    Method("outbox.list", OutboxList, OutboxItems, ("backend",), "What could not be sent, or waits.", changes=False),
    Method("outbox.retry", OutboxRetry, Nothing, ("backend",), "Send again what had failed."),
    Method("connector.receive", ConnectorReceive, Received, ("connector",), "Hand in what a contact wrote, once."),
    Method("connector.delivered", ConnectorDelivered, Nothing, ("connector",), "Say what became of a message out."),
)

METHODS: dict[str, Method] = {method.name: method for method in _METHODS}

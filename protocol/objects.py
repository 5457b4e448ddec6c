"""The objects clients see. [protocol §3]

Lists and bools are always present; what does not apply is null. ``Entry`` leaves out what its type does
not have, because a timeline is mostly messages and most fields would be null.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field, structs

from protocol.settings import AgentSettings
from protocol.times import Moment

Colour = Literal["green", "orange", "red"]
State = Literal["open", "snoozed", "closed", "moved"]
LIVE: tuple[State, ...] = ("open", "snoozed")  # of a conversation that is not over
ActorKind = Literal["agent", "contact", "system", "backend"]

#: what people outside the house may see of a timeline; everything else stays inside [protocol §3]
OUTSIDE_TYPES = frozenset(
    {"message", "reaction", "created", "joined", "left", "invited", "closed", "reopened", "meeting", "conference"}
)
#: who comes and goes: in a read-only conversation people outside hear of this only as far as it is about them
COMINGS_AND_GOINGS = frozenset({"joined", "left", "invited"})


class By(Struct, frozen=True):
    """Who did it; the system has no id."""

    kind: ActorKind
    id: str | None = None


SYSTEM = By("system")
BACKEND = By("backend")


class Origin(Struct, frozen=True, omit_defaults=True):
    """Where a conversation came from: the agent and service it was taken from."""

    agent: str | None = None
    service: str | None = None


class Meeting(Struct, frozen=True, kw_only=True):
    """A meeting with an agent; ``tentative`` until the agent has confirmed it."""

    id: str
    agent: str
    start: Moment
    minutes: int
    subject: str | None = None
    email: str | None = None
    status: Literal["tentative", "confirmed", "cancelled"] = "confirmed"
    conversation: str


class Entry(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One durable fact in a conversation's timeline; ``seq`` orders all facts of the workspace."""

    seq: int
    conversation: str
    at: Moment
    type: str
    by: By | None = None
    text: str | None = None
    attachments: tuple[str, ...] | None = None
    template: str | None = None
    vars: dict[str, str] | None = None  # what the template's variables stand for
    reply_to: int | None = None
    fallback: str | None = None
    delivery: str | None = None
    reason: str | None = None
    agent: str | None = None
    service: str | None = None
    origin: Origin | None = field(default=None, name="from")
    anyway: bool | None = None
    comment: str | None = None
    until: Moment | None = None
    step: int | None = None
    to: int | tuple[str, ...] | None = None
    emoji: str | None = None
    url: str | None = None
    meeting: Meeting | None = None
    messages: tuple[int, ...] | None = None
    status: str | None = None
    error: str | None = None
    who: By | None = None
    anonymous: bool | None = None  # a reaction in a read-only conversation: people outside see it without ``by``


def from_outside(entry: Entry, *, read_only: bool = False) -> Entry:
    """An entry of OUTSIDE_TYPES as people outside see it. ``read_only``: its conversation is so now. [behaviour §7]"""
    if entry.meeting is not None and entry.meeting.email is not None:  # a member need not know that of another
        return structs.replace(entry, meeting=structs.replace(entry.meeting, email=None))
    hidden = entry.type == "reaction" and (read_only or entry.anonymous)
    return structs.replace(entry, by=None) if hidden else entry


class ContactBrief(Struct, frozen=True):
    """A contact as far as a conversation's summary names it."""

    id: str
    name: str | None = None
    company: str | None = None
    online: bool = False
    last_active: Moment | None = None
    location: str | None = None


class Conversation(Struct, frozen=True, kw_only=True):
    """A conversation's summary, as far as its reader may see it."""

    id: str
    service: str | None = None
    channel: str | None = None
    channel_class: str | None = None
    contact: ContactBrief | None = None
    name: str | None = None
    description: str | None = None
    picture: str | None = None
    state: State = "open"
    needs: Literal["rep", "reply"] | None = None
    lateness: Literal["soon", "overdue"] | None = None
    waiting_since: Moment | None = None
    queued: bool = False
    queued_since: Moment | None = None
    position: int | None = None
    assignee: str | None = None
    crew: tuple[str, ...] = ()
    managers_added: bool = False
    moved_to: str | None = None
    link: str | None = None
    skills: tuple[str, ...] = ()
    snoozed_until: Moment | None = None
    snoozed_by: str | None = None
    priority: int = 0
    tags: tuple[str, ...] = ()
    read_only: bool = False
    by_link: bool = False
    created_at: Moment
    last_contact_message_at: Moment | None = None
    last_agent_message_at: Moment | None = None
    duration_s: int = 0
    unread: int | None = None
    last_seq: int = 0


class Agent(AgentSettings, frozen=True, kw_only=True):
    """An agent with the colour and the used slots of each channel class."""

    availability: dict[str, Colour]
    used: dict[str, int]


Outcome = Literal["taken", "excluded", "passed_over"]
Rule = Literal[
    "switched_off", "no_session", "grace", "at_maximum", "service_limit", "skill", "paused", "not_routed", "sticky",
    "strategy",
]  # fmt: skip


class Candidate(Struct, frozen=True):
    """A member of the service, and the rule that took, excluded or passed over it."""

    agent: str
    colour: Colour
    outcome: Outcome
    rule: Rule


class DueAt(Struct, frozen=True):
    """An armed deadline."""

    kind: str
    at: Moment


class Explanation(Struct, frozen=True):
    """Why a conversation went where it went, or why it still waits."""

    candidates: tuple[Candidate, ...]
    position: int | None
    deadlines: tuple[DueAt, ...]


class Contact(Struct, frozen=True, kw_only=True):
    """Somebody outside the house."""

    id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    company: str | None = None
    custom: dict[str, Any] = {}
    language: str | None = None
    online: bool = False
    last_active: Moment | None = None
    location: str | None = None

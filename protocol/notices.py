"""What the server says unasked. [protocol §4, notifications]"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from protocol.objects import By, Colour, Conversation, Entry
from protocol.settings import Mode


class ConversationEntry(Struct, frozen=True):
    """To the crew, the contact and the sender: something happened, as far as each may see it."""

    entry: Entry


class ConversationAssigned(Struct, frozen=True):
    """To the agent who got it, on all sessions."""

    conversation: Conversation
    reason: str


class AgentChanged(Struct, frozen=True):
    """To the agent and who watches agents: a colour or the number of used slots has changed."""

    agent: str
    availability: dict[str, Colour]
    used: dict[str, int]


class ConnectorDeliver(Struct, frozen=True):
    """To one session of the connector, again after a reconnect until ``connector.delivered``."""

    entry: Entry
    channel: str
    address: str


class ConversationChanged(Struct, frozen=True):
    """To who watches: it enters, stays in or leaves (``gone``) the list. The last state always comes."""

    watch: str
    conversation: Conversation
    gone: bool


class OfferMade(Struct, frozen=True):
    """To the members of a grab or collaboration service. ``preview``: how the contact's last message begins."""

    conversation: str
    service: str
    mode: Mode
    preview: str | None


class OfferGone(Struct, frozen=True):
    """To who had the offer."""

    conversation: str
    reason: Literal["taken", "closed", "moved", "pushed"]


class PresenceChanged(Struct, frozen=True):
    """To the crew and who has it open. A contact learns only that somebody of the house types (no id)."""

    conversation: str
    who: By
    state: Literal["viewing", "typing", "idle"]


class QueuePosition(Struct, frozen=True):
    """To the waiting contact. ``position`` null = the wait is over.

    ``estimate_s`` comes from the recent rate of assignments, null while unknown.
    """

    conversation: str
    position: int | None
    estimate_s: int | None


class SessionEnding(Struct, frozen=True):
    """To everybody before a shutdown: reconnect after so many seconds."""

    reason: str
    retry_after_s: float


NoticeParams = (
    ConversationEntry
    | ConversationAssigned
    | ConversationChanged
    | AgentChanged
    | OfferMade
    | OfferGone
    | PresenceChanged
    | QueuePosition
    | ConnectorDeliver
    | SessionEnding
)

#: method name on the wire -> params
NOTICES: dict[str, type[Struct]] = {
    "conversation.entry": ConversationEntry,
    "conversation.assigned": ConversationAssigned,
    "conversation.changed": ConversationChanged,
    "agent.changed": AgentChanged,
    "offer.made": OfferMade,
    "offer.gone": OfferGone,
    "presence.changed": PresenceChanged,
    "queue.position": QueuePosition,
    "connector.deliver": ConnectorDeliver,
    "session.ending": SessionEnding,
}
NAMES: dict[type[Struct], str] = {params: name for name, params in NOTICES.items()}

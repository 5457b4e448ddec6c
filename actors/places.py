"""Where a conversation stands in the lists: its cell and its statuses. [behaviour §5]

Most conversations stand in one of a few places, so each is made once and used again: a change that moves a conversation
nowhere is seen by comparing two names for one object.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actors.closed import EVERYBODY
from actors.summary import needs
from protocol.frozen import Frozen
from protocol.objects import LIVE
from protocol.records import ConversationRecord

if TYPE_CHECKING:
    from actors.house import House

EVERY = "every"  # all live ones of a cell
KEPT_MAX = 4_096  # places kept to be used again
_EVERYBODYS: tuple[str | None, ...] = (EVERYBODY,)


class Place(Frozen, frozen=True):
    """Where a conversation stands in the lists: its cell and its statuses."""

    service: str | None
    channel: str | None
    whose: tuple[str | None, ...]  # everybody's; where grabbed ones are hidden, the owner's or nobody's as well
    statuses: frozenset[str]


class Places:
    """Every place that a conversation stood in of late."""

    __slots__ = ("_house", "_kept")

    def __init__(self, house: House) -> None:
        self._house = house
        self._kept: dict[tuple[object, ...], Place] = {}  # by all that it follows from

    def of(self, record: ConversationRecord) -> Place:
        """Where this conversation stands now."""
        service = self._house.services.get(record.service or "")
        hidden = service is not None and service.record.settings.mode == "grab"
        whose = (EVERYBODY, record.owner) if hidden else _EVERYBODYS
        online = record.channel_class == "chat" and self._is_online(record)
        known = (record.service, record.channel, whose, record.state, needs(record), record.lateness, online)
        place = self._kept.get(known)
        if place is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            place = Place(record.service, record.channel, whose, frozenset(self.statuses(record)))
            self._kept[known] = place
        return place

    def statuses(self, record: ConversationRecord) -> Iterator[str]:
        """Every status that holds for a conversation."""
        if record.state in LIVE:
            yield EVERY
        if record.state in ("snoozed", "closed"):
            yield record.state
        match needs(record):
            case "rep":
                yield "rep_needed"
            case "reply":
                yield "pending"
        if record.lateness is not None:
            yield record.lateness
        if self._is_online(record):
            yield "online"

    def _is_online(self, record: ConversationRecord) -> bool:
        """Whether its contact can be seen to be there."""
        if record.channel_class != "chat" or record.state not in LIVE:
            return False
        contact = self._house.contacts.get(record.contact or "")
        return contact is not None and bool(contact.sessions)

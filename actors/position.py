"""Where a waiting contact stands, and how long it may take. [S3, P]

A contact who is online hears its position when it begins to wait, again at most ``TELL_MS`` after the queue has
moved, if it has changed, and at once that the wait is over (position None). The estimate is the position times the mean
time between the latest assignments of that class; none while there have been too few of late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.effects import Tell
from actors.system import Turn
from protocol.notices import QueuePosition
from protocol.records import ConversationRecord

if TYPE_CHECKING:
    from actors.house import House
    from actors.service import ServiceActor

TELL_MS = 500
RATE_OVER = 20  # assignments
RATE_WITHIN_MS = 3_600_000
RATE_FROM = 3  # fewer say nothing


class Listeners:
    """The waiting conversations of one service whose contacts are online, and the rate of assignments."""

    __slots__ = ("_assigned", "_house", "_service", "_told")

    def __init__(self, house: House, service: ServiceActor) -> None:
        self._house = house
        self._service = service
        self._told: dict[str, int] = {}  # conversation -> the position last told
        self._assigned: dict[str, tuple[int, ...]] = {}  # class -> ticks of the latest assignments

    def listen(self, conversation: str, turn: Turn) -> None:
        """Tell its contact now, if online, and go on telling."""
        record = self._house.conversations[conversation].record
        if self._hears(record):
            self._note(conversation, None, turn)
            self._say(record, turn)

    def left(self, record: ConversationRecord, turn: Turn) -> None:
        """It waits here no longer; if it was assigned that counts for the rate."""
        if record.id in self._told:
            self._note(record.id, None, turn)
            if record.queued:  # in another service, or once more in this one
                self._house.services[record.service or ""].listeners.take_over(record.id, turn)
            elif self._is_online(record):
                turn.effects.append(Tell((f"contact:{record.contact}",), QueuePosition(record.id, None, None)))
        if record.assignee is not None:
            self._count(record.channel_class or "", turn)
        self.moved(turn)

    def take_over(self, conversation: str, turn: Turn) -> None:
        """It waits here now: its contact has heard a position elsewhere, and listens on."""
        self._note(conversation, 0, turn)

    def moved(self, turn: Turn) -> None:
        """The queue has moved: whoever listens hears of it soon."""
        timer = self._service.timer
        if self._told and not timer.armed:
            self._house.wheel.arm(timer, turn.now + TELL_MS)

    def tell(self, turn: Turn) -> None:
        """Tell those whose position has changed."""
        for conversation in tuple(self._told):
            actor = self._house.conversations.get(conversation)
            if actor is None or not self._hears(actor.record):
                self._note(conversation, None, turn)
            else:
                self._say(actor.record, turn)

    def rearm(self, now: int) -> None:
        """The wheel is a new one."""
        if self._told:
            self._house.wheel.arm(self._service.timer, now + TELL_MS)

    def estimate_s(self, channel_class: str, position: int, now: int) -> int | None:
        """How long this position may take, in seconds; None while the rate is not known."""
        ticks = [tick for tick in self._assigned.get(channel_class, ()) if tick > now - RATE_WITHIN_MS]
        if len(ticks) < RATE_FROM:
            return None
        return max(1, round(position * (now - ticks[0]) / (len(ticks) - 1) / 1000))

    def _count(self, channel_class: str, turn: Turn) -> None:
        before = self._assigned.get(channel_class, ())
        self._assigned[channel_class] = (*before, turn.now)[-RATE_OVER:]
        turn.undo.append(lambda: self._assigned.update({channel_class: before}))

    def _note(self, conversation: str, position: int | None, turn: Turn) -> None:
        """This was told last; None = it listens no longer."""
        before = self._told.get(conversation)
        turn.undo.append(lambda: self._set(conversation, before))
        self._set(conversation, position)

    def _set(self, conversation: str, position: int | None) -> None:
        if position is None:
            self._told.pop(conversation, None)
        else:
            self._told[conversation] = position

    def _hears(self, record: ConversationRecord) -> bool:
        return record.queued and self._is_online(record)

    def _is_online(self, record: ConversationRecord) -> bool:
        contact = self._house.contacts.get(record.contact or "")
        return contact is not None and bool(contact.sessions)

    def _say(self, record: ConversationRecord, turn: Turn) -> None:
        position = self._service.position(record)
        if position is None or self._told.get(record.id) == position:
            return
        self._note(record.id, position, turn)
        estimate_s = self.estimate_s(record.channel_class or "", position, turn.now)
        notice = QueuePosition(record.id, position, estimate_s)
        turn.effects.append(Tell((f"contact:{record.contact}",), notice))

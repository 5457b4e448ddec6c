"""Errands outside the house: written down first, then run, and run again until somebody has taken them. [P]

An errand is a call to an operator's URL (``actors.webhook``) or a mail (``actors.mail``). The next attempt's time is
durable before the attempt is made, so a crash in the middle only means that it is made again: at least once, with
the same id. What was committed as taken is never made again. Waits grow from a second to an hour; after
``ATTEMPTS_MAX``, or if it was refused for good, it has failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors.effects import Mail, Mailed, Post, Posted
from actors.messages import Due
from actors.system import Actor, Turn
from actors.wheel import Timer
from protocol.records import MailRecord, WebhookRecord

if TYPE_CHECKING:
    from msgspec import Struct

    from actors.house import House

BACKOFF_S = (1, 5, 30, 120, 600, 3_600)
ATTEMPTS_MAX = 24

ErrandRecord = WebhookRecord | MailRecord


class ErrandActor(Actor):
    """One errand. It is forgotten when it has been taken or has failed."""

    __slots__ = ("_house", "record", "timer")
    record: ErrandRecord

    def __init__(self, house: House, record: ErrandRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.timer = Timer(self, "errand")

    @property
    def address(self) -> str:
        """What it is called in logs: ``webhook:8120``, ``mail:e8120``."""
        kind = "mail" if isinstance(self.record, MailRecord) else "webhook"
        return f"{kind}:{self.record.id}"

    def receive(self, message: Struct, turn: Turn) -> None:
        """Make the next attempt, or hear what became of the last."""
        match message:
            case Due():
                self._attempt(turn, max(turn.now, message.clock))
            case Posted():
                if message.taken:
                    self._end("done", turn)
            case Mailed():
                self._mailed(message, turn)
            case _:
                raise AssertionError(f"an errand cannot take {message}")

    def settle(self, turn: Turn) -> None:
        """Arm the timer for the next attempt."""
        self.arm()

    def arm(self) -> None:
        """Bring the timer in line with the record."""
        self._house.wheel.keep(self.timer, self.earliest())

    def earliest(self) -> int | None:
        """When the next attempt is due, or None."""
        return self.record.next_at if self.record.status == "pending" else None

    def _attempt(self, turn: Turn, now: int) -> None:
        """``now`` may be later than the turn: what waited while the server was down is tried once, not once a wait."""
        record = self.record
        if record.attempts >= ATTEMPTS_MAX:
            self._end("failed", turn)
            return
        record.next_at = now + 1000 * _wait_s(record.attempts)
        record.attempts += 1
        turn.effects.append(_effect(record))

    def _mailed(self, message: Mailed, turn: Turn) -> None:
        assert isinstance(self.record, MailRecord)
        self.record.error = message.error
        if message.taken:
            self._end("done", turn)
        elif message.permanent:
            self._end("failed", turn)

    def _end(self, status: str, turn: Turn) -> None:
        self.record.status = "done" if status == "done" else "failed"
        errands, ident = _place(self._house, self.record), self.record.id
        if errands.pop(ident, None) is not None:
            turn.undo.append(lambda: errands.update({ident: self}))


def start(house: House, record: ErrandRecord, turn: Turn, was: ErrandRecord | None = None) -> None:
    """A new errand, or ``was`` once more, run for the first time when this turn is committed."""
    errands = _place(house, record)
    assert record.id not in errands, f"a second errand with the id {record.id}"
    actor = errands[record.id] = ErrandActor(house, record)
    turn.spawned(actor, was)
    turn.undo.append(lambda: errands.pop(record.id, None))


def tried_at(record: ErrandRecord) -> int:
    """When the last attempt was made or, of one never tried, when it is due (tick)."""
    return record.next_at - (1000 * _wait_s(record.attempts - 1) if record.attempts else 0)


def _wait_s(attempt: int) -> int:
    """How long after this attempt, counted from 0, the next one is made."""
    return BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)]


def _place(house: House, record: ErrandRecord) -> dict[Any, ErrandActor]:
    """Where the house keeps those that are pending."""
    return house.mails if isinstance(record, MailRecord) else house.webhooks


def _effect(record: ErrandRecord) -> Post | Mail:
    """What the shell is to do."""
    if isinstance(record, WebhookRecord):
        return Post(record.id, record.url, record.body)
    return Mail(
        id=record.id,
        kind=record.kind,
        recipient=record.recipient,
        conversation=record.conversation,
        data=record.data,
        language=record.language,
        created_at=record.created_at,
    )

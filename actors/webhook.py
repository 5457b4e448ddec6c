"""Calls to operators' URLs: written down first, then made, and made again until somebody takes them. [P]

The next attempt's time is durable before the attempt is made, so a crash in the middle only means that it is made
again: at least once, with the same id. Waits grow from a second to an hour; after ``ATTEMPTS_MAX`` it has failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.effects import Post, Posted
from actors.messages import Due
from actors.summary import summary
from actors.system import Actor, Turn
from actors.wheel import Timer
from protocol.codec import encode_json
from protocol.records import ConversationRecord, WebhookRecord

if TYPE_CHECKING:
    from msgspec import Struct

    from actors.house import House

BACKOFF_S = (1, 5, 30, 120, 600, 3_600)
ATTEMPTS_MAX = 24


class WebhookActor(Actor):
    """One call. It is forgotten when it has been taken or has failed."""

    __slots__ = ("_house", "record", "timer")
    record: WebhookRecord

    def __init__(self, house: House, record: WebhookRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.timer = Timer(self, "webhook")

    def receive(self, message: Struct, turn: Turn) -> None:
        """Make the next attempt, or hear what became of the last."""
        match message:
            case Due():
                self._attempt(turn)
            case Posted():
                if message.taken:
                    self._end("done", turn)
            case _:
                raise AssertionError(f"a webhook cannot take {message}")

    def settle(self, turn: Turn) -> None:
        """Arm the timer for the next attempt."""
        self.arm()

    def arm(self) -> None:
        """Bring the timer in line with the record."""
        due = self.earliest()
        if due is None:
            self._house.wheel.cancel(self.timer)
        elif not self.timer.armed or self.timer.deadline != due:
            self._house.wheel.arm(self.timer, due)

    def earliest(self) -> int | None:
        """When the next attempt is due, or None."""
        return self.record.next_at if self.record.status == "pending" else None

    def _attempt(self, turn: Turn) -> None:
        record = self.record
        if record.attempts >= ATTEMPTS_MAX:
            self._end("failed", turn)
            return
        wait_s = BACKOFF_S[min(record.attempts, len(BACKOFF_S) - 1)]
        record.attempts += 1
        record.next_at = turn.now + 1000 * wait_s
        turn.effects.append(Post(record.id, record.url, record.body))

    def _end(self, status: str, turn: Turn) -> None:
        self.record.status = "done" if status == "done" else "failed"
        webhooks, number = self._house.webhooks, self.record.id
        if webhooks.pop(number, None) is not None:
            turn.undo.append(lambda: webhooks.update({number: self}))


def call(house: House, record: ConversationRecord, url: str, step: int, turn: Turn) -> None:
    """Tell an operator's URL that a conversation climbed a rung; ``record.last_seq`` is the entry that says so."""
    body = {
        "id": f"w{record.last_seq}",
        "event": "escalated",
        "step": step,
        "conversation": summary(house, record, turn.now),
    }
    text = encode_json(body).decode()
    webhook = WebhookRecord(id=record.last_seq, conversation=record.id, url=url, body=text, next_at=turn.now)
    actor = house.webhooks[webhook.id] = WebhookActor(house, webhook)
    turn.spawned(actor)
    turn.undo.append(lambda: house.webhooks.pop(webhook.id, None))

"""Answers that fail on their way out, and the wait that then goes on. [behaviour §5, failed sends]

An agent's message ends the contact's wait when it is sent, not when it arrives. If it leaves through a connector and
fails there, it was no answer: when every answer to a wait has failed, the wait goes on as if there had been none, with
what was late and what had fired of the ladder. One that did not fail is enough; so is closing, which ends any wait.

``ConversationRecord.ended_wait`` is the wait that was ended last, with the number of its answers that stand;
``DeliveryRecord.waited_since`` tells which wait a message answered. Functions over records; nothing here sends.
"""

from __future__ import annotations

from msgspec import structs

from actors import deadlines
from actors.deadlines import Rules
from protocol.objects import Entry
from protocol.records import ConversationRecord, DeliveryRecord, EndedWait, StepFired


def answered(record: ConversationRecord) -> int | None:
    """An agent answers through a connector: which wait that ends, or had ended before (tick); None = there was none."""
    wait = record.ended_wait
    if record.waiting_since is not None:
        wait = EndedWait(record.waiting_since, record.steps_fired)
    if wait is None:
        return None
    record.ended_wait = structs.replace(wait, answers=wait.answers + 1)
    return wait.since


def failed(record: ConversationRecord, delivery: DeliveryRecord, rules: Rules, now: int) -> None:
    """This message did not arrive: if no other answer to its wait stands, the wait goes on from where it began."""
    wait = record.ended_wait
    if wait is None or delivery.waited_since != wait.since:
        return
    if wait.answers > 1:
        record.ended_wait = structs.replace(wait, answers=wait.answers - 1)
        return
    record.ended_wait = None
    record.waiting_since = wait.since
    record.steps_fired = _together(wait.steps_fired, record.steps_fired)
    record.lateness = deadlines.lateness(record, rules, now)


def sent_again(record: ConversationRecord, delivery: DeliveryRecord, entry: Entry) -> bool:
    """A message that had failed is on its way again. Whether that ends the wait which went on when it failed.

    It does not if the contact has written since: to that it is no answer.
    """
    wait, since = record.ended_wait, delivery.waited_since
    if since is None:
        return False
    if wait is not None and wait.since == since:
        record.ended_wait = structs.replace(wait, answers=wait.answers + 1)
        return False
    if record.waiting_since != since or (record.last_contact_message_at or 0) > entry.at:
        return False
    record.ended_wait = EndedWait(since, record.steps_fired, 1)
    return True


def _together(before: tuple[StepFired, ...], since: tuple[StepFired, ...]) -> tuple[StepFired, ...]:
    """What fired before the answer, and what of the wait that began after it had not."""
    found = list(before)
    for step in since:
        if since.count(step) > found.count(step):
            found.append(step)
    return tuple(found)

"""When a conversation must next do something: a pure function of its record and its service's settings.

A conversation has one timer, armed for the earliest of these. A reply usually moves the earliest deadline
later, which costs the wheel one attribute write. What has fired is a fact of the record, so a deadline can
neither fire twice nor be lost with the process.

Strictly later than a limit = due one millisecond after it. [behaviour §4, §5]
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.hours import Hours, compiled
from protocol.records import ConversationRecord, StepFired
from protocol.settings import ServiceSettings, Step
from protocol.times import Duration

Deadline = tuple[int, str]


class Rules:
    """A service's settings, made ready for use: the ladder in its order, business hours compiled.

    ``names`` are what the ladder's steps are remembered by, in the same order.

    Raises ValueError if the business hours make no sense.
    """

    __slots__ = ("_hours", "ladder", "names", "settings")

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.ladder: tuple[Step, ...] = tuple(sorted(settings.escalation, key=lambda step: step.after))
        self.names = tuple(StepFired(settings.id, _timeless(step)) for step in self.ladder)
        self._hours: Hours | None = compiled(settings.business_hours)

    def after(self, since: int, length: int) -> int:
        """The moment when so much open time has passed since then. [behaviour §5, business hours]"""
        return since + length if self._hours is None else self._hours.after(since, length)

    def next_step(self, record: ConversationRecord) -> int | None:
        """The place in the ladder of the first step that has not fired in this wait; None = all have.

        Steps are told apart by what they do and not by when, so a ladder may be changed during a wait. Of several
        that do the same as many have fired as are remembered, the earliest first.
        """
        if not record.steps_fired:
            return 0 if self.names else None
        fired = list(record.steps_fired)
        for place, name in enumerate(self.names):
            if name not in fired:
                return place
            fired.remove(name)
        return None


def deadlines(record: ConversationRecord, rules: Rules) -> list[Deadline]:
    """Every armed deadline with its name."""
    if record.state not in ("open", "snoozed"):
        return []
    due: list[Deadline] = []
    settings, since = rules.settings, record.waiting_since
    if since is not None:
        if record.lateness is None:
            due.append((rules.after(since, settings.soon_after + 1), "soon"))
        if record.lateness != "overdue":
            due.append((rules.after(since, settings.overdue_after + 1), "overdue"))
        step = rules.next_step(record)
        if step is not None:
            due.append((rules.after(since, rules.ladder[step].after), "escalate"))
    if record.offered_at is not None and not record.routed and settings.offer_within is not None:
        due.append((record.offered_at + settings.offer_within, "offer"))
    if record.reply_due is not None:
        due.append((record.reply_due, "reply"))
    due.extend((until, "pause") for _, until in record.paused)
    if record.snoozed_until is not None:
        due.append((record.snoozed_until, "snooze"))
    elif settings.auto_close_after is not None:
        due.append((quiet_since(record) + settings.auto_close_after + 1, "auto_close"))
    return due


def may_differ(old: ConversationRecord, record: ConversationRecord) -> bool:
    """Whether anything has changed in a record that deadlines follow from; half of what working them out costs."""
    return not (
        old.waiting_since == record.waiting_since
        and old.last_contact_message_at == record.last_contact_message_at
        and old.lateness == record.lateness
        and old.state == record.state
        and old.service == record.service
        and old.routed == record.routed
        and old.offered_at == record.offered_at
        and old.reply_due == record.reply_due
        and old.stirred_at == record.stirred_at
        and old.snoozed_until == record.snoozed_until
        and old.steps_fired == record.steps_fired
        and old.paused == record.paused
    )


def earliest(due: list[Deadline]) -> Deadline | None:
    """The next one; of several at one moment the first in the list."""
    first: Deadline | None = None
    for deadline in due:
        if first is None or deadline[0] < first[0]:
            first = deadline
    return first


def quiet_since(record: ConversationRecord) -> int:
    """Where auto-close counts from: creation, the contact's last message, the last waking or reopening."""
    return max(record.stirred_at, record.last_contact_message_at or 0)


def lateness(record: ConversationRecord, rules: Rules, now: int) -> Literal["soon", "overdue"] | None:
    """How late the answer is at ``now``. [behaviour §5]"""
    since, settings = record.waiting_since, rules.settings
    if since is None:
        return None
    if now >= rules.after(since, settings.overdue_after + 1):
        return "overdue"
    return "soon" if now >= rules.after(since, settings.soon_after + 1) else None


def _timeless(step: Step) -> Step:
    return msgspec.structs.replace(step, after=Duration(0))

"""What every part of a conversation stands on: its record, its timeline, its one timer."""

from __future__ import annotations

from typing import Any

from actors import deadlines
from actors.deadlines import Rules
from actors.house import House
from actors.system import Actor, Turn
from actors.wheel import Timer
from protocol.ids import Principal
from protocol.objects import By, Entry
from protocol.records import ConversationRecord
from protocol.settings import ServiceSettings
from protocol.times import Moment

NO_SERVICE = Rules(ServiceSettings(id="-", escalation=(), auto_close_after=None))


def by_whom(principal: Principal) -> By:
    """The author of an entry."""
    assert principal.role != "connector"
    return By(principal.role, principal.sub)


class TimelineActor(Actor):
    """A conversation's record, which is all of its state; the timer is armed from it."""

    __slots__ = ("_house", "record", "timer")
    record: ConversationRecord

    def __init__(self, house: House, record: ConversationRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.timer = Timer(self)

    @property
    def address(self) -> str:
        """What it is called in logs: ``conversation:c00000000002a``."""
        return f"conversation:{self.record.id}"

    def settle(self, turn: Turn) -> None:
        """Arm the timer for the earliest deadline; the house knows who is in it and by which link."""
        old = turn.before[self]
        before = old if type(old) is ConversationRecord else None
        self._house.relate(before, self.record)
        if before is None or self._has_new_rules(turn) or deadlines.may_differ(before, self.record):
            self.arm()

    def _has_new_rules(self, turn: Turn) -> bool:
        """Whether its service, which makes them, was at work in this turn; or its timer has fired."""
        return not self.timer.armed or self._house.services.get(self.record.service or "") in turn.before

    def arm(self) -> None:
        """Bring the timer in line with the record."""
        self._house.wheel.keep(self.timer, self.earliest())

    def earliest(self) -> int | None:
        """When the timer must fire next, or None; for what is noted on it."""
        due = deadlines.earliest(self.deadlines())
        if due is None:
            return None
        self.timer.kind = due[1]
        return due[0]

    def deadlines(self) -> list[deadlines.Deadline]:
        """Every deadline that is now armed."""
        return deadlines.deadlines(self.record, self.rules)

    @property
    def rules(self) -> Rules:
        """The rules of its service."""
        service = self._house.services.get(self.record.service or "")
        return NO_SERVICE if service is None else service.rules

    @property
    def settings(self) -> ServiceSettings:
        """The settings of its service."""
        return self.rules.settings

    @property
    def _is_created(self) -> bool:
        """Whether it has members instead of a service: nobody waits in it, and it is never routed. [behaviour §7]"""
        return self.record.service is None

    @property
    def _has_service(self) -> bool:
        return self.record.service in self._house.services

    def _message(
        self,
        turn: Turn,
        by: By,
        text: str | None,
        attachments: tuple[str, ...],
        reply_to: int | None,
        *,
        template: str | None = None,
        values: dict[str, str] | None = None,
        fallback: str | None = None,
    ) -> Entry:
        """Write down what somebody says: most entries are such, so they are made without a dict of their fields."""
        entry = Entry(
            seq=self._house.seq + 1,
            conversation=self.record.id,
            at=Moment(turn.now),
            type="message",
            by=by,
            text=text,
            attachments=attachments,
            template=template,
            vars=values,
            reply_to=reply_to,
            fallback=fallback,
        )
        self._house.put_down(turn, self.record, entry)
        return entry

    def _note(self, turn: Turn, kind: str, by: By, **fields: Any) -> Entry:
        return self._house.note(turn, self.record, kind, by, **fields)

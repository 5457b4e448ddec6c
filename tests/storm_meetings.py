"""The part of a storm that meets people: bookings by everybody, at any time, and what must hold of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from actors.core import Core
from actors.effects import Tell
from protocol.notices import ConversationEntry
from protocol.objects import Entry
from protocol.times import Moment

if TYPE_CHECKING:
    from tests.storm import Storm

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat")
AROUND_THE_CLOCK = {name: [["00:00", "12:00"], ["12:00", "24:00"]] for name in DAYS}
GUESTS = ("guest@example.org", "other@example.org")


def working(rng: Any) -> dict[str, Any]:
    """Settings of an agent who can be met."""
    hours = rng.choice([None, {"weekly": AROUND_THE_CLOCK}, {"weekly": AROUND_THE_CLOCK}])
    zone = rng.choice(["UTC", "Europe/Oslo", "Asia/Kolkata"])
    return {"working_hours": hours, "confirm_meetings": rng.random() < 0.4, "time_zone": zone}


class Meetings:
    """Bookings of one storm, and the reminders it has seen."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._known: list[str] = []
        self._reminded: dict[tuple[str, int], int] = {}  # meeting and start -> the entry
        self._heard = 0  # of what came out

    def act(self, agents: tuple[str, ...]) -> None:
        """Somebody books, changes or cancels a meeting, or asks when there could be one."""
        rng, storm = self._storm.rng, self._storm
        who = rng.choice((*agents, *agents, "backend", "contact:nia", "contact:oli"))
        kind = rng.choice(["schedule", "schedule", "schedule", "confirm", "reschedule", "cancel", "slots"])
        if kind == "slots":
            self._look(who, rng.choice(agents))
        elif kind == "schedule":
            self._schedule(who, who if who in agents and rng.random() < 0.7 else rng.choice(agents))
        elif self._known:
            given: dict[str, Any] = {"meeting": rng.choice(self._known[-20:])}
            if kind == "reschedule":
                given |= rng.choice([{"start": self._start()}, {"minutes": rng.choice([10, 30, 60])}])
            storm._say(who, f"meeting.{kind}", **given)

    def _schedule(self, who: str, agent: str) -> None:
        rng, storm = self._storm.rng, self._storm
        given: dict[str, Any] = {"agent": agent, "start": self._start(), "minutes": rng.choice([10, 30, 60])}
        if rng.random() < 0.3:
            given["conversation"] = storm._conversation()
        if rng.random() < 0.8:
            given["email"] = rng.choice(GUESTS)
        found = storm._say(who, "meeting.schedule", **given)
        if found is not None:
            self._known.append(found.meeting.id)

    def _start(self) -> str:
        """Mostly within hours, so that meetings meet each other; now and then in the past."""
        minutes = self._storm.rng.choice([-5, 0, 5, 14, 15, 16, 20, 30, 45, 60, 120, 300])
        return Moment((self._storm.world.now // 1000 + 60 * minutes + 1) * 1000).text()

    def _look(self, who: str, agent: str) -> None:
        """What is said to be free is free, by the records alone."""
        core, now = self._storm.world.core, self._storm.world.now
        span = {"from": Moment(now).text(), "to": Moment(now + DAY).text()}
        found = self._storm._say(who, "meeting.slots", agent=agent, **span)
        if found is None:
            return
        taken = [(start, end) for other, start, end in confirmed(core) if other == agent]
        for slot in found.slots:
            end = slot.start + slot.minutes * MINUTE
            assert slot.start >= now, f"{slot} is past"
            assert not any(start < end and slot.start < until for start, until in taken), f"{slot} is taken"

    def check(self) -> None:
        """Each reminder goes out once, and at its time."""
        outgoing = self._storm.world.outgoing
        tells = (item for item in outgoing[self._heard :] if isinstance(item, Tell))
        for tell in tells:
            notice = tell.notice
            if isinstance(notice, ConversationEntry) and notice.entry.reason == "reminder":
                self._check_reminder(notice.entry)
        self._heard = len(outgoing)

    def _check_reminder(self, entry: Entry) -> None:
        meeting = entry.meeting
        assert meeting is not None
        before = self._reminded.setdefault((meeting.id, int(meeting.start)), entry.seq)  # one entry may be told twice:
        assert before == entry.seq, f"{meeting} is reminded of twice"  # inside, and outside
        assert entry.at == meeting.start - 15 * MINUTE, f"{entry} comes at the wrong time"


def confirmed(core: Core) -> list[tuple[str, int, int]]:
    """Agent, start and end of each confirmed meeting ahead, in this order."""
    records = (actor.record for actor in core.house.meetings)
    return sorted((record.agent, record.starts, record.ends) for record in records if record.status == "confirmed")


def clashes(core: Core) -> list[str]:
    """No two confirmed meetings of an agent overlap."""
    pairs = pairwise(confirmed(core))
    return [f"{one} and {other} overlap" for one, other in pairs if one[0] == other[0] and other[1] < one[2]]

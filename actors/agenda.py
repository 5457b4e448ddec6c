"""Which meetings lie ahead: of whom, in which conversation, and until when. Derived from their records.

A meeting is here from its booking until it is over or cancelled, and committed; after that the store knows it. The
ends stand in a heap; one that was changed stands there more than once, and the ends that no longer hold are passed
over. O(log meetings) a change; what an agent has ahead is looked through, at most ``AHEAD_MAX``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from actors.hours import Span
from actors.system import Actor, Turn
from protocol.errors import refused

if TYPE_CHECKING:
    from actors.meeting import MeetingActor

CHANNEL = "scheduler"  # of a conversation that was made for a meeting
AHEAD_MAX = 1_000  # meetings of one agent
AHEAD_OF_CONTACT_MAX = 20  # of them with the same contact
PACE_MS, PACE_MAX = 3_600_000, 20  # an hour, and what a contact may book and change in it: each is a mail to somebody


class Agenda:
    """The meetings of one house, by id."""

    def __init__(self) -> None:
        self._meetings: dict[str, MeetingActor] = {}
        self._of: dict[str, dict[str, MeetingActor]] = {}  # agent -> its meetings
        self._in: dict[str, dict[str, MeetingActor]] = {}  # conversation -> the same
        self._ends: list[tuple[int, str]] = []  # a heap
        self._paces: dict[str, tuple[int, int]] = {}  # contact -> since when, how often; the oldest first; never stored

    def __len__(self) -> int:
        return len(self._meetings)

    def __iter__(self) -> Iterator[MeetingActor]:
        return iter(self._meetings.values())

    def get(self, meeting: str) -> MeetingActor | None:
        """The meeting of this id, if it lies ahead."""
        return self._meetings.get(meeting)

    def of(self, agent: str) -> list[MeetingActor]:
        """What an agent has ahead, tentative ones and those just cancelled too."""
        return list(self._of.get(agent, {}).values())

    def taken(self, agent: str, but: str | None = None) -> list[Span]:
        """When an agent's confirmed meetings are, in order of time, save one. They do not overlap."""
        records = (actor.record for actor in self.of(agent))
        return sorted((r.starts, r.ends) for r in records if r.status == "confirmed" and r.id != but)

    def holds(self, conversation: str) -> bool:
        """Whether a conversation has a meeting ahead: it stays in memory, for the reminder is put there."""
        return conversation in self._in

    def pace(self, contact: str, now: int, turn: Turn) -> None:
        """A contact books or changes something. Raises RequestError (rate_limited)."""
        paces = self._paces
        before = paces.get(contact)
        since, count = before if before is not None and now - before[0] < PACE_MS else (now, 0)
        if count >= PACE_MAX:
            wait_s = -(-(since + PACE_MS - now) // 1000)
            raise refused("rate_limited", f"at most {PACE_MAX} bookings and changes an hour", retry_after_s=wait_s)
        if count == 0:
            paces.pop(contact, None)
        paces[contact] = (since, count + 1)
        turn.undo.append(lambda: paces.pop(contact) if before is None else paces.update({contact: before}))

    # ------------------------------------------------------------ coming and going

    def keep(self, actor: MeetingActor, turn: Turn) -> None:
        """A meeting that begins to exist in this turn."""
        self.add(actor)
        turn.spawned(actor)
        turn.undo.append(lambda: self._remove(actor))

    def add(self, actor: MeetingActor) -> None:
        """One that the store remembers."""
        record = actor.record
        self._meetings[record.id] = actor
        self._of.setdefault(record.agent, {})[record.id] = actor
        self._in.setdefault(record.conversation, {})[record.id] = actor

    def note(self, actor: MeetingActor) -> None:
        """Its end may be another one now."""
        heappush(self._ends, (actor.until, actor.record.id))

    def derive(self) -> None:
        """Records have been put back: when each is over is found out anew."""
        self._ends = [(actor.until, actor.record.id) for actor in self]
        heapify(self._ends)

    def let_go(self, now: int, is_committed: Callable[[Actor], bool]) -> list[str]:
        """Forget what is over or cancelled. The conversations that have no meeting ahead any more."""
        while self._paces and next(iter(self._paces.values()))[0] + PACE_MS <= now:
            del self._paces[next(iter(self._paces))]
        left: list[str] = []
        while self._ends and self._ends[0][0] <= now:
            until, name = self._ends[0]
            actor = self._meetings.get(name)
            if actor is not None and actor.until == until:
                if not is_committed(actor):
                    break
                self._remove(actor)
                left += () if self.holds(actor.record.conversation) else (actor.record.conversation,)
            heappop(self._ends)
        return left

    def _remove(self, actor: MeetingActor) -> None:
        record = actor.record
        self._meetings.pop(record.id, None)
        for index, name in ((self._of, record.agent), (self._in, record.conversation)):
            found = index.get(name, {})
            found.pop(record.id, None)
            if not found:
                index.pop(name, None)

"""The timer wheel: which deadline comes next, for a million of them.

It owns the order of deadlines and nothing else: it reads no clock and calls nobody. Its owner tells it the time and
takes the due timers out one by one. A tick is an int; here it is a millisecond, but the wheel does not care.

How it works: hierarchical timing wheels (Varghese & Lauck 1987, scheme 7), in the shape of tokio's.
Level 0 has 64 slots of one tick, level 1 has 64 slots of 64 ticks, level 2 of 4,096, and so on; seven levels reach 139
years. A timer is filed under the highest base-64 digit in which its tick differs from now: one XOR finds the level, the
digit is the slot. So all the slots of a level come before all those of the next, and one int with a bit for every slot,
lowest level first, has its bits in the order of time: the lowest bit is where to go next, however far that is.
When the wheel reaches a slot it takes the slot out, and what is not due yet is filed again, lower down. A timer thus
moves at most once a level; arm and cancel are O(1). What lies beyond the top level waits in one overflow slot, which is
taken out at the first round that somebody in it needs, and filed again like any other.

Two things are ours:

* Lazy re-arm. A deadline that moves, but not to before its slot begins, is written on the timer and nothing else
  happens; the slot finds out when it comes round. That is what a reply does to a conversation's timers all day.
* Bounded work. A slot is a chain of buckets, and a bucket is a dict of at most ``cascade_budget`` timers, so that no
  dict grows or is freed in one long step. A pop works through that many entries at most, then says it is ``behind``.
  The slot it was cut in is finished first on the next pop, before anything else, or timers would fire late.

Order is exact: by deadline, then by order of arming (every ``arm`` takes a new number, the lazy ones too). Timers
mostly reach their last slot in that order. Where a lower number is filed behind a higher one the bucket notes it, and
its due timers go through a heap. What is armed for the tick at hand, or for the past, is due at once, after what was
there. Of two deadlines that are both past when they are armed the wheel no longer knows which was first: an owner who
loads old deadlines starts the wheel at a ``now`` below the smallest of them.

What it does not do: recurring timers, calendars, threads. An owner who fires without a limit while handlers keep arming
timers for now never comes to an end; the limit is his. A timer belongs to one wheel. The tests compare with a sorted
list (tests/actors/test_wheel.py); ``python -m bench.wheel`` measures.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

__all__ = ["Timer", "TimerWheel"]


class Timer:
    """One deadline of one owner; made once, armed, moved and cancelled as often as wanted."""

    __slots__ = ("_bucket", "_sequence", "deadline", "kind", "owner")

    deadline: int  # the tick it is due, as given to arm, even if that was past; meaningless while not armed
    kind: str  # which of its owner's deadlines it is: "soon", "snooze", "grace" ...
    owner: Any  # whose deadline it is; the wheel never looks
    _bucket: "_Bucket | None"  # where it is filed; None = not armed
    _sequence: int  # the number its last arming took

    def __init__(self, owner: Any, kind: str = "") -> None:
        self.deadline = 0
        self.kind = kind
        self.owner = owner
        self._bucket = None
        self._sequence = 0

    @property
    def armed(self) -> bool:
        """Whether the wheel will hand it out."""
        return self._bucket is not None


class TimerWheel:
    """Armed timers, handed out when due, in order of deadline and arming.

    The owner's turn, once a batch or whenever ``next_deadline()`` has come::

        while (timer := wheel.pop(now)) is not None or wheel.behind:
            if timer is not None:
                fire(timer)

    ``now``: the tick to begin at, not negative. ``bits``: 2**bits slots a level. ``levels``: their number, without the
    overflow. ``cascade_budget``: entries one pop works through at most, and timers in a bucket. 682 take under a
    millisecond, and are what a dict holds before it grows beyond 1,024 places: 28 bytes a timer, where 1,000 take 37.
    """

    now: int  # the tick the wheel has reached; while timers are handed out, the tick that is being handed out
    behind: bool  # the last pop stopped short of its `now`, with a timer or with its budget spent: call it again

    def __init__(self, now: int = 0, *, bits: int = 6, levels: int = 7, cascade_budget: int = 682) -> None:
        assert now >= 0
        assert min(bits, levels, cascade_budget) >= 1
        self.now = now
        self.behind = False
        self._bits = bits
        self._levels = levels
        self._mask = (1 << bits) - 1
        self._budget = cascade_budget
        self._sparse = cascade_budget // 4
        # The wheel. Place = level * slots a level + slot; the overflow has the one place after the last level.
        self._slots: list[list[_Bucket]] = [[] for _ in range((levels << bits) + 1)]
        self._occupied = 0  # bit p is set when, and only when, place p has timers
        # The slot at hand: out of the wheel, not finished.
        self._taken: list[_Bucket] = []  # its buckets, oldest last; the last is being worked through
        self._queue: Iterator[Timer] = iter(())  # what is left of that one
        self._ordered = True  # its timers came in order of arming
        self._unordered: list[tuple[int, Timer, _Bucket]] = []  # else: a heap of those that are due
        # Counters. _sequence numbers the armings, _steps counts the entries looked at and not handed out.
        self._armed = 0
        self._sequence = 0
        self._filings = 0
        self._steps = 0

    def arm(self, timer: Timer, deadline: int) -> None:
        """Have ``timer`` come out at tick ``deadline``, whether it is armed already or not. O(1).

        If it is filed in a slot that begins before the deadline it stays there: three attribute writes. A deadline that
        is not after ``now`` is due at the next pop, after what is due already.
        """
        self._sequence += 1
        timer._sequence = self._sequence
        timer.deadline = deadline
        bucket = timer._bucket
        if bucket is None:
            self._armed += 1
        elif deadline > bucket.start:
            return
        else:
            self._remove(timer, bucket)
        self._filings += 1
        self._file(timer, deadline if deadline > self.now else self.now)

    def keep(self, timer: Timer, deadline: int | None) -> None:
        """Have ``timer`` armed for tick ``deadline``, None = not at all; armed anew only if that moved. O(1)."""
        if deadline is None:
            self.cancel(timer)
        elif timer._bucket is None or timer.deadline != deadline:
            self.arm(timer, deadline)

    def cancel(self, timer: Timer) -> None:
        """Have ``timer`` not come out; nothing happens if it is not armed. O(1), amortised."""
        bucket = timer._bucket
        if bucket is not None:
            timer._bucket = None
            self._armed -= 1
            self._remove(timer, bucket)

    def next_deadline(self) -> int | None:
        """The tick to call ``pop`` at, or None if nothing is armed. O(levels).

        Never later than the next timer. It may be earlier, where a slot of an upper level or a timer that was moved
        later has to be filed again; the pop then does that and the next answer is later, at most once a level.
        """
        if not self._armed:
            return None
        if self._taken or self._unordered:
            return self.now
        return self._slots[_lowest_bit(self._occupied)][-1].start

    def pop(self, now: int) -> Timer | None:
        """Take out the next timer that is due at or before tick ``now``, which is never less than at the last call.

        None and not ``behind``: nothing more is due, and the wheel has reached ``now``. None and ``behind``: the budget
        is spent, call again. Amortised O(levels) a timer; at most ``cascade_budget`` entries a call.
        """
        assert now >= self.now, "time does not go back"
        self.behind = True
        limit = self._steps + self._budget
        while self._steps < limit:
            if not (self._taken or self._unordered or self._take_slot(now)):
                self.now = now
                self.behind = False
                return None
            timer = self._work(limit)
            if timer is not None:
                return timer
        return None

    def __len__(self) -> int:
        return self._armed

    def statistics(self) -> dict[str, int]:
        """Counts for people and tests; walks all slots.

        ``armed`` = ``filed`` in the slots + those ``at_hand`` in a slot that is being worked through. ``level_0`` ...,
        ``overflow``: the filed ones by level. Ever since the start: ``armings``, ``lazy`` = those of them that were
        attribute writes only, and ``steps`` = entries looked at and not handed out (one pop: the budget at most).
        """
        levels = dict.fromkeys([f"level_{level}" for level in range(self._levels)] + ["overflow"], 0)
        names = list(levels)
        for place, slot in enumerate(self._slots):
            levels[names[place >> self._bits]] += sum(len(bucket.timers) for bucket in slot)
        filed = sum(levels.values())
        counts = {"armed": self._armed, "filed": filed, "at_hand": self._armed - filed}
        counts |= {"armings": self._sequence, "lazy": self._sequence - self._filings, "steps": self._steps}
        return counts | levels

    # Filing

    def _place(self, tick: int) -> int:
        """Where a tick, not before now, is filed: the level of the highest digit it differs in, the slot that digit."""
        level = ((self.now ^ tick | self._mask).bit_length() - 1) // self._bits
        if level >= self._levels:
            return self._levels << self._bits
        return level << self._bits | tick >> level * self._bits & self._mask

    def _start(self, place: int, tick: int) -> int:
        """The first tick of the slot at ``place`` that holds ``tick``; for the overflow, of the round that does."""
        shift = (place >> self._bits) * self._bits
        return tick >> shift << shift

    def _file(self, timer: Timer, tick: int) -> None:
        """Put a timer that is in no slot into that of ``tick``, which is not before now."""
        place = self._place(tick)
        slot = self._slots[place]
        if not slot or len(slot[-1].timers) >= self._budget:
            self._add_bucket(slot, place, tick)
        bucket = slot[-1]
        if tick < bucket.start:  # in the overflow only: it begins with the first round that somebody in it needs
            bucket.start = self._start(place, tick)
        if timer._sequence < bucket.last:
            bucket.ordered = False
        else:
            bucket.last = timer._sequence
        bucket.timers[timer] = None
        timer._bucket = bucket

    def _add_bucket(self, slot: "list[_Bucket]", place: int, tick: int) -> None:
        """Lengthen a slot by one bucket. The last one always speaks for the slot: it knows what was before it."""
        bucket = _Bucket(place, self._start(place, tick))
        if slot:
            bucket.start = min(bucket.start, slot[-1].start)
            bucket.last = slot[-1].last
            bucket.ordered = slot[-1].ordered
        else:
            self._occupied |= 1 << place
        slot.append(bucket)

    def _remove(self, timer: Timer, bucket: "_Bucket") -> None:
        """Take a timer out of its bucket. In a slot at hand, what comes to it later passes it over."""
        del bucket.timers[timer]
        left = len(bucket.timers)
        if left == 0 or left == self._sparse:
            self._dissolve(bucket)

    def _dissolve(self, bucket: "_Bucket") -> None:
        """Take an empty or a sparse bucket out of its slot, and file what is left in it again.

        A dict keeps the room of timers long cancelled. So of a slot's buckets only the last may be nearly empty; else
        the few that stay for hours would hold the room of all that came and went. Costs a walk over the buckets, once
        in the life of each. A slot at hand is no longer in the wheel and needs none of this.
        """
        slot = self._slots[bucket.place]
        if bucket not in slot or (bucket is slot[-1] and bucket.timers):
            return
        slot.remove(bucket)
        for timer in bucket.timers:
            self._file(timer, max(timer.deadline, self.now))
        if not slot:
            self._occupied ^= 1 << bucket.place

    # Firing

    def _take_slot(self, now: int) -> bool:
        """Go to the next slot, if it begins at or before ``now``, and take it out.

        It is emptied before anything in it is filed again: from the overflow a timer may go straight back.
        """
        if not self._occupied:
            return False
        place = _lowest_bit(self._occupied)
        slot = self._slots[place]
        if slot[-1].start > now:
            return False
        self.now = slot[-1].start
        self._ordered = slot[-1].ordered
        self._slots[place] = []
        self._occupied ^= 1 << place
        slot.reverse()
        self._taken = slot
        self._queue = iter(list(slot[-1].timers))
        return True

    def _work(self, limit: int) -> Timer | None:
        """The next due timer of the slot at hand; None when that is finished, or the steps have come to ``limit``."""
        while self._taken:
            timer = self._work_bucket(self._taken[-1], limit)
            if timer is not None or self._steps >= limit:
                return timer
            self._taken.pop()
            if self._taken:
                self._queue = iter(list(self._taken[-1].timers))
        return self._work_heap(limit)

    def _work_bucket(self, bucket: "_Bucket", limit: int) -> Timer | None:
        """Go on in a bucket to its next due timer. File again what is not due, pass over what has left it."""
        for timer in self._queue:
            if timer._bucket is bucket:
                if timer.deadline > self.now:
                    self._file(timer, timer.deadline)
                elif self._ordered:
                    return self._hand_out(timer)
                else:
                    heappush(self._unordered, (timer._sequence, timer, bucket))
            self._steps += 1
            if self._steps >= limit:
                break
        return None

    def _work_heap(self, limit: int) -> Timer | None:
        """The same for those that had to be put in order first. Sequences are unique: no two timers are compared."""
        while self._unordered and self._steps < limit:
            _, timer, bucket = heappop(self._unordered)
            if timer._bucket is bucket:
                if timer.deadline <= self.now:
                    return self._hand_out(timer)
                self._file(timer, timer.deadline)
            self._steps += 1
        return None

    def _hand_out(self, timer: Timer) -> Timer:
        timer._bucket = None
        self._armed -= 1
        return timer


class _Bucket:
    """A part of a slot: at most ``cascade_budget`` timers, in the order they were filed."""

    __slots__ = ("last", "ordered", "place", "start", "timers")

    def __init__(self, place: int, start: int) -> None:
        self.place = place  # the slot's place in the wheel
        self.start = start  # the tick at which the slot has to be taken out, at the latest
        self.timers: dict[Timer, None] = {}
        self.last = 0  # the highest sequence filed in the slot up to here
        self.ordered = True  # each sequence filed in the slot up to here was higher than those before


def _lowest_bit(bits: int) -> int:
    """The number of the lowest bit that is set."""
    return (bits & -bits).bit_length() - 1

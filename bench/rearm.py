"""Re-arming all day: what replies do to the deadlines of conversations, the same for everybody in ``bench.wheel``.

Why not one pass over all timers: who cancels by marking pays later. A heap of N timers sweeps out its dead once they
are more than the living, so one pass over N ends just before the first sweep, and all of it is with a heap that is
still small. Here each timer is moved ``ROUNDS`` times while time passes, after ``WARMING`` rounds that do not count:
heaps have grown to what they are all day, and the wheel has come round to what was moved. Sweeping, and filing again,
count, in the mean and as pauses; so does one turn of the loop every ``SLICE`` replies.

A round is a quarter of an hour, in which every conversation has one reply, in an order drawn anew: which timer is next
is random over all of them, and none is in a cache. A reply moves the deadline to a timeout from now, of one of 1,800
from half an hour to an hour, a setting as of a service. Between two replies are less than two rounds: nothing fires.
More replies in a timeout would be better for the wheel alone: it comes round to a timer once a timeout in any case.

Each is used as its documents say, with its timer or handle in the conversation: ``arm``; ``cancel`` and ``call_later``;
a scope's ``deadline``. The order is random because replies come in none.
The conversations of a slice are looked up before the clock runs: who moves a deadline has got a message for it, so has
it at hand. Its timer is looked at by nobody before.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Protocol

ROUNDS = 4
WARMING = 2
ROUND = 900_000  # ticks
TIMEOUTS = range(1_800_000, 3_600_000, 1_000)
SLICE = 1_000
BATCH = 100  # the longest of these, or of the contestant's own steps, is the pause

Figures = tuple[float, float]  # nanoseconds an operation, longest pause in milliseconds


class Conversation:
    """Has one deadline."""

    __slots__ = ("handle", "timeout", "timeout_s")

    def __init__(self, timeout: int, timeout_s: float) -> None:
        self.handle: Any = None  # the contestant's
        self.timeout = timeout
        self.timeout_s = timeout_s


class ByCallLater:
    """Deadlines of a loop's ``call_later``; whoever inherits has the ``loop`` and ``fire``."""

    loop: Any
    fire: Any

    def begin(self, conversations: list[Conversation]) -> None:
        """Arm them all."""
        for conversation in conversations:
            conversation.handle = self.loop.call_later(conversation.timeout_s, self.fire, conversation)

    def rearm(self, conversations: list[Conversation], now: int) -> None:
        """Move each as asyncio's documents say: cancel, and call later."""
        call_later, fire = self.loop.call_later, self.fire
        for conversation in conversations:
            conversation.handle.cancel()
            conversation.handle = call_later(conversation.timeout_s, fire, conversation)


class Contestant(Protocol):
    """Keeps the deadlines of conversations."""

    def begin(self, conversations: list[Conversation]) -> None:
        """Arm them all, at tick 0."""

    def rearm(self, conversations: list[Conversation], now: int) -> None:
        """Move the deadline of each to its timeout from now."""

    def advance(self, now: int) -> Iterator[int]:
        """Do what has to be done by ``now``; yields wherever it could pause."""


def conversations(count: int) -> list[Conversation]:
    """So many, with timeouts of all lengths; equal timeouts are one object, as a setting is."""
    chance = random.Random(1)
    both = [(ticks, ticks / 1_000) for ticks in TIMEOUTS]
    return [Conversation(*chance.choice(both)) for _ in range(count)]


def slices(talks: list[Conversation]) -> Iterator[tuple[bool, int, list[list[Conversation]]]]:
    """Whether it counts, the tick, and whose deadlines move then, in batches."""
    chance = random.Random(2)
    order = list(range(len(talks)))
    for number in range(WARMING + ROUNDS):
        chance.shuffle(order)
        for first in range(0, len(order), SLICE):
            now = number * ROUND + ROUND * first // len(order)
            these = [talks[place] for place in order[first : first + SLICE]]
            yield number >= WARMING, now, [these[at : at + BATCH] for at in range(0, len(these), BATCH)]


class Stopwatch:
    """Of the slices that count: the CPU time of all together, and the longest step as the clock on the wall has it."""

    def __init__(self) -> None:
        self.total = self.longest = 0
        self.marks: list[int] = []
        self.began = 0

    def start(self) -> None:
        """A slice begins."""
        self.began = time.process_time_ns()
        self.marks = [time.perf_counter_ns()]

    def step(self) -> None:
        """A step of it is done."""
        self.marks.append(time.perf_counter_ns())

    def stop(self) -> None:
        """The slice is done and counts."""
        self.total += time.process_time_ns() - self.began
        self.longest = max(self.longest, *(after - before for before, after in pairwise(self.marks)))

    def figures(self, count: int) -> Figures:
        """For so many timers."""
        return self.total / (count * ROUNDS), self.longest / 1e6


def rearmed(contestant: Contestant, count: int) -> Figures:
    """What one re-arm takes, all in."""
    talks, watch = conversations(count), Stopwatch()
    contestant.begin(talks)
    for counts, now, batches in slices(talks):
        watch.start()
        for fired in contestant.advance(now):
            assert not fired
            watch.step()
        for batch in batches:
            contestant.rearm(batch, now)
            watch.step()
        if counts:
            watch.stop()
    return watch.figures(count)

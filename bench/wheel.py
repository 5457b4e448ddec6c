"""The timer wheel beside a heap with lazy cancel and asyncio's call_at: the same timers, the same moves, taking turns.

    python -m bench.wheel --timers 1000000        # --quick: 100,000, one run

Deadlines spread evenly over half an hour. No time passes: each contestant is told it, in 1,000 steps. To a contestant a
timer is a number; its ``advance`` fires what is due, and yields how many wherever it could pause.
"""

import argparse
import asyncio
import gc
import heapq
import os
import platform
import random
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import actors.wheel
from actors.wheel import Timer, TimerWheel

HOUR = 3_600_000  # ticks
BATCH = 100  # operations between two looks at the clock; a pause is the longest of these

Figures = tuple[float, float]  # nanoseconds an operation, longest pause in milliseconds

NOTES = f"""
Each call goes through an adapter of one line, in shuffled order. Pause: of firing, the longest time from one timer to
the next (asyncio: an iteration of its loop, which also sweeps out what was cancelled before); else the longest {BATCH}
calls. Not shown: the collector (off; on, it walks every contestant's objects now and then), handlers, waking up, other
spreads of deadlines, other machines. Look at the ratios, not at the digits."""


class Wheel:
    def __init__(self, timers: int) -> None:
        self.wheel = TimerWheel()
        self.timers = [Timer(number, "soon") for number in range(timers)]

    def arm(self, number: int, deadline: int) -> None:
        self.wheel.arm(self.timers[number], deadline)

    def cancel(self, number: int) -> None:
        self.wheel.cancel(self.timers[number])

    def advance(self, now: int) -> Iterator[int]:
        while (timer := self.wheel.pop(now)) is not None or self.wheel.behind:
            yield timer is not None


class Heap:
    """heapq; a cancelled entry stays until it comes up or half of the heap is dead, then the heap is built anew."""

    def __init__(self, timers: int) -> None:
        self.heap: list[list[Any]] = []
        self.entries: list[list[Any] | None] = [None] * timers
        self.sequence = self.dead = 0

    def arm(self, number: int, deadline: int) -> None:
        self.cancel(number)
        self.sequence += 1
        self.entries[number] = entry = [deadline, self.sequence, number]
        heapq.heappush(self.heap, entry)

    def cancel(self, number: int) -> None:
        if (entry := self.entries[number]) is not None:
            entry[2] = self.entries[number] = None
            self.dead += 1
            if self.dead > 100 and self.dead * 2 > len(self.heap):
                self.heap, self.dead = [entry for entry in self.heap if entry[2] is not None], 0
                heapq.heapify(self.heap)

    def advance(self, now: int) -> Iterator[int]:
        while self.heap and self.heap[0][0] <= now:
            _, _, number = heapq.heappop(self.heap)
            if number is None:
                self.dead -= 1
            else:
                self.entries[number] = None
                yield 1


class Asyncio:
    """The event loop of the standard library with its clock held by us; one iteration of it cannot be cut."""

    def __init__(self, timers: int) -> None:
        self.now = self.fired = 0
        self.loop = asyncio.SelectorEventLoop()
        self.loop.time = lambda: self.now / 1000  # type: ignore[method-assign]
        self.handles: list[asyncio.TimerHandle | None] = [None] * timers

    def arm(self, number: int, deadline: int) -> None:
        self.cancel(number)
        self.handles[number] = self.loop.call_at(deadline / 1000, self.fire, number)

    def cancel(self, number: int) -> None:
        if (handle := self.handles[number]) is not None:
            handle.cancel()
            self.handles[number] = None

    def fire(self, number: int) -> None:
        self.handles[number] = None
        self.fired += 1

    def advance(self, now: int) -> Iterator[int]:
        self.now, before = now, self.fired
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        yield self.fired - before


Contestant = Wheel | Heap | Asyncio
CONTESTANTS: dict[str, Callable[[int], Contestant]] = {"wheel": Wheel, "heapq": Heap, "asyncio": Asyncio}


def figures(marks: list[int], count: int) -> Figures:
    return (marks[-1] - marks[0]) / count, max(after - before for before, after in pairwise(marks)) / 1e6


def timed_calls(call: Callable[..., None], *arguments: list[int]) -> Figures:
    rows = list(zip(*arguments, strict=True))
    marks = [time.perf_counter_ns()]
    for first in range(0, len(rows), BATCH):
        for row in rows[first : first + BATCH]:
            call(*row)
        marks.append(time.perf_counter_ns())
    return figures(marks, len(rows))


def timed_firing(contestant: Contestant, ticks: Iterable[int], count: int) -> Figures:
    fired, marks = 0, [time.perf_counter_ns()]
    for tick in ticks:
        for number in contestant.advance(tick):
            fired += number
            marks.append(time.perf_counter_ns())
    assert fired == count, (fired, count)
    return figures(marks, count)


def phases(make: Callable[[int], Contestant], count: int) -> Iterator[tuple[str, Figures]]:
    chance = random.Random(1)
    numbers = chance.sample(range(count), count)
    deadlines = [chance.randrange(HOUR // 2, HOUR) for _ in numbers]
    contestant = make(count)
    yield "arm", timed_calls(contestant.arm, numbers, deadlines)
    yield "move later", timed_calls(contestant.arm, numbers, [deadline + 60_000 for deadline in deadlines])
    yield "move earlier", timed_calls(contestant.arm, numbers, [deadline // 2 for deadline in deadlines])
    yield "cancel half", timed_calls(contestant.cancel, numbers[::2])
    yield "fire the rest", timed_firing(contestant, range(0, HOUR, HOUR // 1000), len(numbers[1::2]))
    contestant = make(count)
    for number in numbers:
        contestant.arm(number, 100_000)
    yield "fire all of one tick", timed_firing(contestant, [100_000], count)


def bytes_a_timer(make: Callable[[int], Contestant], count: int) -> float:
    """All in: the timer or handle, its deadline, its entry, and the slot of a list where its owner keeps it."""
    chance = random.Random(1)
    tracemalloc.stop()
    tracemalloc.start()
    contestant = make(count)
    for number in range(count):
        contestant.arm(number, chance.randrange(HOUR // 2, HOUR))
    return tracemalloc.get_traced_memory()[0] / count


def row(title: str, cells: list[str], numbers: list[float]) -> str:
    ratios = (f"{number / numbers[0]:7.1f}" for number in numbers[1:])
    return "".join([f"{title:26}", *(f"{cell:>18}" for cell in cells), *ratios])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--timers", type=int, default=1_000_000)
    parser.add_argument("--quick", action="store_true", help="100,000 timers, one run")
    options = parser.parse_args()
    count, runs = (100_000, 1) if options.quick else (options.timers, 3)
    source = "pure Python" if str(actors.wheel.__file__).endswith(".py") else "compiled"
    print(f"{count:,} timers, least of {runs} run(s); wheel: {source}; CPython {platform.python_version()};", end=" ")
    print(f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}; {datetime.now(UTC):%Y-%m-%d}\n")
    gc.disable()
    runs_of: dict[str, list[dict[str, Figures]]] = {name: [] for name in CONTESTANTS}
    for name in list(CONTESTANTS) * runs:
        runs_of[name].append(dict(phases(CONTESTANTS[name], count)))
        gc.collect()
    print(row("ns each | longest pause ms", list(CONTESTANTS), []) + "  times the wheel's")
    for phase in runs_of["wheel"][0]:
        least = [[min(run[phase][i] for run in runs_of[name]) for i in (0, 1)] for name in CONTESTANTS]
        print(row(phase, [f"{each:,.0f} | {pause:6.1f}" for each, pause in least], [each for each, _ in least]))
    held = [bytes_a_timer(make, min(count, 200_000)) for make in CONTESTANTS.values()]
    print(row("bytes a timer, all in", [f"{number:,.0f}" for number in held], held))
    print(NOTES)


if __name__ == "__main__":
    main()

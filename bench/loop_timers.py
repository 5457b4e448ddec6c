"""Timers of event loops whose clock nobody can hold still: uvloop's ``call_later`` and tasks of trio with deadlines.

For ``bench.wheel``. Both answer the same phases as the wheel: arm, move later, move earlier, cancel half, fire the
rest, fire all of one tick, re-arm all day; nanoseconds each and the longest pause. uvloop lives in real time, so what
is to fire is armed for the next moments, and its pauses are the longest gaps between two callbacks while nothing else
is to be done. Trio runs on a clock that jumps; a timer there is a task in a cancel scope with a deadline.
"""

from __future__ import annotations

import gc
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import trio
import trio.testing
import uvloop

from bench import rearm
from bench.rearm import BATCH, Conversation, Figures

HOUR_S = 3_600.0
FIRING_S = 0.2


def figures(marks: list[int], count: int) -> Figures:
    """From moments in nanoseconds."""
    return (marks[-1] - marks[0]) / count, max(after - before for before, after in pairwise(marks)) / 1e6


def timed(call: Callable[[int], object], numbers: list[int]) -> Figures:
    """Each call; a pause is the longest batch."""
    marks = [time.perf_counter_ns()]
    for first in range(0, len(numbers), BATCH):
        for number in numbers[first : first + BATCH]:
            call(number)
        marks.append(time.perf_counter_ns())
    return figures(marks, len(numbers))


class Uvloop(rearm.ByCallLater):
    """``call_later``; moving a timer is cancelling it and arming another."""

    def __init__(self, timers: int) -> None:
        self.loop = uvloop.new_event_loop()
        self.handles: list[Any] = [None] * timers
        self.marks: list[int] = []
        self.left = 0

    def arm(self, number: int, seconds: float) -> None:
        if self.handles[number] is not None:
            self.handles[number].cancel()
        self.handles[number] = self.loop.call_later(seconds, self.fire, number)

    def cancel(self, number: int) -> None:
        self.handles[number].cancel()
        self.handles[number] = None

    def fire(self, number: int) -> None:
        self.handles[number] = None
        self.marks.append(time.perf_counter_ns())
        self.left -= 1
        if not self.left:
            self.loop.stop()

    def run(self, numbers: list[int], within_s: float) -> Figures:
        """Arm these for the next moments and fire them all; time of the loop alone."""
        for number in numbers:
            self.arm(number, 0.001 + within_s * random.random())
        self.left, self.marks = len(numbers), []
        time.sleep(within_s)  # all are due: the loop does nothing but fire
        self.marks.append(time.perf_counter_ns())
        self.loop.run_forever()
        return figures(self.marks, len(numbers))

    def advance(self, now: int) -> Iterator[int]:
        """One turn of the loop, in real time; nothing is due for half an hour."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        yield 0


def uvloop_phases(count: int) -> dict[str, Figures]:
    """All phases."""
    chance = random.Random(1)
    numbers = chance.sample(range(count), count)
    deadlines = [chance.uniform(HOUR_S / 2, HOUR_S) for _ in numbers]
    loop = Uvloop(count)
    found = {
        "arm": timed(lambda n: loop.arm(n, deadlines[n]), numbers),
        "move later": timed(lambda n: loop.arm(n, deadlines[n] + 60), numbers),
        "move earlier": timed(lambda n: loop.arm(n, deadlines[n] / 2), numbers),
        "cancel half": timed(loop.cancel, numbers[::2]),
        "fire the rest": loop.run(numbers[1::2], FIRING_S),
    }
    found["fire all of one tick"] = loop.run(numbers, 0.0)
    loop.loop.close()
    loop = Uvloop(0)
    found["re-arm all day"] = rearm.rearmed(loop, count)
    loop.loop.close()
    return found


def trio_phases(count: int) -> dict[str, Figures]:
    """All phases, on a clock that jumps."""
    clock = trio.testing.MockClock()
    return trio.run(_trio_phases, count, clock, clock=clock)


async def _trio_phases(count: int, clock: trio.testing.MockClock) -> dict[str, Figures]:
    chance = random.Random(1)
    numbers = chance.sample(range(count), count)
    deadlines = [chance.uniform(HOUR_S / 2, HOUR_S) for _ in numbers]
    scopes: list[trio.CancelScope] = [trio.CancelScope() for _ in numbers]
    ends: list[int] = []

    async def wait(number: int) -> None:
        with scopes[number]:
            await trio.sleep_forever()
        ends.append(time.perf_counter_ns())

    async def fired(jump_s: float, steps: int, which: int) -> Figures:
        ends.clear()
        began = time.perf_counter_ns()
        for _ in range(steps):
            clock.jump(jump_s / steps)
            await trio.testing.wait_all_tasks_blocked()
        assert len(ends) == which, (len(ends), which)
        return figures([began, *ends], which)

    def move(by: Callable[[float], float]) -> Callable[[int], None]:
        def moved(number: int) -> None:
            scopes[number].deadline = by(deadlines[number])

        return moved

    async with trio.open_nursery() as nursery:

        def arm(number: int) -> None:
            scopes[number].deadline = deadlines[number]
            nursery.start_soon(wait, number)

        found = {"arm": await _in_batches(arm, numbers, 2)}
        found["move later"] = await _in_batches(move(lambda at: at + 60), numbers, 0)
        found["move earlier"] = await _in_batches(move(lambda at: at / 2), numbers, 0)
        found["cancel half"] = await _in_batches(lambda n: scopes[n].cancel(), numbers[::2], 2)
        await trio.testing.wait_all_tasks_blocked()
        found["fire the rest"] = await fired(HOUR_S, 1_000, len(numbers[1::2]))
        scopes[:] = [trio.CancelScope(deadline=trio.current_time() + 100) for _ in numbers]
        for number in numbers:
            nursery.start_soon(wait, number)
        await trio.testing.wait_all_tasks_blocked()
        found["fire all of one tick"] = await fired(101, 1, count)
    found["re-arm all day"] = await _rearmed_tasks(count, clock)
    return found


async def _in_batches(call: Callable[[int], object], which: list[int], rounds: int) -> Figures:
    """Call it for each; after each batch the loop has its turn, so many times."""
    marks = [time.perf_counter_ns()]
    for first in range(0, len(which), BATCH):
        for number in which[first : first + BATCH]:
            call(number)
        for _ in range(rounds):
            await trio.lowlevel.checkpoint()
        marks.append(time.perf_counter_ns())
    return figures(marks, len(which))


async def _rearmed_tasks(count: int, clock: trio.testing.MockClock) -> Figures:
    """``rearm.rearmed``, of tasks."""
    talks, watch = rearm.conversations(count), rearm.Stopwatch()
    began_s, current_time = trio.current_time(), trio.current_time

    async def wait(conversation: Conversation) -> None:
        with trio.move_on_after(conversation.timeout_s) as conversation.handle:
            await trio.sleep_forever()
        assert nursery.cancel_scope.cancel_called, "nothing fires"

    async with trio.open_nursery() as nursery:
        for conversation in talks:
            nursery.start_soon(wait, conversation)
        await trio.testing.wait_all_tasks_blocked()
        for counts, now, batches in rearm.slices(talks):
            watch.start()
            clock.jump(began_s + now / 1_000 - current_time())
            await trio.lowlevel.checkpoint()
            watch.step()
            for batch in batches:
                for conversation in batch:
                    conversation.handle.deadline = current_time() + conversation.timeout_s
                watch.step()
            if counts:
                watch.stop()
        nursery.cancel_scope.cancel()
    return watch.figures(count)


# ---------------------------------------------------------------- memory, as the system counts it


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4_096


def bytes_a_timer(which: str, count: int) -> float:
    """Resident bytes a timer, in a process of its own: libuv's are not Python's."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=_held, args=(which, count, out))
    process.start()
    found: float = out.get(timeout=300)
    process.join()
    return found


def _held(which: str, count: int, out: Any) -> None:
    chance = random.Random(1)
    gc.collect()
    if which == "uvloop":
        before = resident()
        loop = Uvloop(count)
        for number in range(count):
            loop.arm(number, chance.uniform(HOUR_S / 2, HOUR_S))
        out.put((resident() - before) / count)
    else:
        out.put(trio.run(_held_by_tasks, count))


async def _held_by_tasks(count: int) -> float:
    async def wait() -> None:
        with trio.move_on_after(HOUR_S):
            await trio.sleep_forever()

    before = resident()
    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        held = (resident() - before) / count
        nursery.cancel_scope.cancel()
    return held

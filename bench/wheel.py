"""The timer wheel beside a heap with lazy cancel, asyncio, uvloop and trio: the same timers, the same moves, in turns.

    python -m bench.wheel --timers 1000000        # --quick: 100,000, one run

uvloop's and trio's clocks cannot be told the time: they are in ``bench.loop_timers``, with a tenth of the timers for
trio, whose every timer is a task.

Deadlines spread evenly over half an hour. No time passes: each contestant is told it, in 1,000 steps. To a contestant a
timer is a number; its ``advance`` fires what is due, and yields how many wherever it could pause.

What replies do all day is the last row, by the rules of ``bench.rearm``, and the goal's. ``move later`` is one pass
over all timers, in random order, each found by its number: most of it is memory that nobody has touched for long, the
bench's own list too, and asyncio has not begun to sweep.

A million needs some 2 GB, so ``--timers 5000000`` about ten.
"""

import asyncio
import gc
import heapq
import random
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from actors.wheel import Timer, TimerWheel
from bench import loop_timers, rearm, report
from bench.loop_timers import figures
from bench.rearm import BATCH, Conversation, Figures
from router import build

HOUR = 3_600_000  # ticks
TASKS_SHARE = 10  # of the timers, for trio
NOT_SHOWN = (
    "the collector (off; on, it walks every contestant's objects now and then), handlers, waking up, other spreads of "
    "deadlines. A pause is, of firing, the longest time from one timer to the next (asyncio: an iteration of its loop, "
    f"which also sweeps out what was cancelled before), else the longest {BATCH} calls. Re-arm all day: CPU time of "
    f"{rearm.ROUNDS} re-arms each, in random order as time passes, sweeping, filing again and the loop's own turn "
    f"every {rearm.SLICE:,} included; the loop of the bench (some 50 ns a re-arm) is in every figure."
)


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

    def begin(self, conversations: list[Conversation]) -> None:
        for conversation in conversations:
            conversation.handle = Timer(conversation, "soon")
        self.rearm(conversations, 0)

    def rearm(self, conversations: list[Conversation], now: int) -> None:
        arm = self.wheel.arm
        for conversation in conversations:
            arm(conversation.handle, now + conversation.timeout)


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
                self.sweep()

    def sweep(self) -> None:
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

    def begin(self, conversations: list[Conversation]) -> None:
        for conversation in conversations:
            self.sequence += 1
            conversation.handle = entry = [conversation.timeout, self.sequence, conversation]
            heapq.heappush(self.heap, entry)

    def rearm(self, conversations: list[Conversation], now: int) -> None:
        for conversation in conversations:
            conversation.handle[2] = None
            self.dead += 1
            if self.dead > 100 and self.dead * 2 > len(self.heap):
                self.sweep()
            self.sequence += 1
            conversation.handle = entry = [now + conversation.timeout, self.sequence, conversation]
            heapq.heappush(self.heap, entry)


class Asyncio(rearm.ByCallLater):
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
    del contestant
    yield "re-arm all day", rearm.rearmed(make(0), count)


def bytes_a_timer(make: Callable[[int], Contestant], count: int) -> float:
    """All in: the timer or handle, its deadline, its entry, and the slot of a list where its owner keeps it."""
    chance = random.Random(1)
    tracemalloc.stop()
    tracemalloc.start()
    contestant = make(count)
    for number in range(count):
        contestant.arm(number, chance.randrange(HOUR // 2, HOUR))
    return tracemalloc.get_traced_memory()[0] / count


def measured(count: int, runs: int) -> dict[str, list[dict[str, Figures]]]:
    """Every contestant so many times, in turns."""
    found: dict[str, list[dict[str, Figures]]] = {}
    for number in range(runs):
        for name, make in CONTESTANTS.items():
            found.setdefault(name, []).append(dict(phases(make, count)))
            gc.collect()
        found.setdefault("uvloop", []).append(loop_timers.uvloop_phases(count))
        gc.collect()
        found.setdefault("trio", []).append(loop_timers.trio_phases(count // TASKS_SHARE))
        gc.collect()
        print(f"  run {number + 1} of {runs}", flush=True)
    return found


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--timers", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3, help="of each contestant (default: 3; the least counts)")
    given = parser.parse_args()
    count, runs = (100_000, 1) if given.quick else (given.timers, given.runs)
    source = build.core()
    gc.disable()
    found = measured(count, runs)
    title = f"{count:,} timers (trio: {count // TASKS_SHARE:,}), ns each | longest pause ms; the wheel is {source}"
    made = report.Report("wheel", title, columns=["", *found], not_shown=NOT_SHOWN)
    least = {
        name: {phase: tuple(min(run[phase][i] for run in its) for i in (0, 1)) for phase in its[0]}
        for name, its in found.items()
    }
    for phase in least["wheel"]:
        made.row(phase, *(f"{least[name][phase][0]:,.0f} | {least[name][phase][1]:.1f}" for name in found))
    held = {name: bytes_a_timer(make, min(count, 200_000)) for name, make in CONTESTANTS.items()}
    held |= {name: loop_timers.bytes_a_timer(name, min(count, 200_000) // (10 if name == "trio" else 1))
             for name in ("uvloop", "trio")}  # fmt: skip
    made.row("bytes a timer (uvloop, trio: resident)", *(held[name] for name in found))
    made.data = {**least, "bytes": held}
    made.goals = goals(least, source)
    draw(made, least, keep=not given.quick)
    made.publish(keep=not given.quick)


def goals(least: dict[str, Any], source: str) -> list[report.Goal]:
    """What was wished for."""
    wheel = least["wheel"]
    day, once = (least["asyncio"][phase][0] / wheel[phase][0] for phase in ("re-arm all day", "move later"))
    arm = least["heapq"]["arm"][0] / wheel["arm"][0]
    pause = max(pause for _, pause in wheel.values())
    return [
        report.Goal("re-arm all day, asyncio's time to the wheel's", day, "×", 10),
        report.Goal("each moved later once, asyncio not sweeping yet", once, "×"),
        report.Goal(f"arm, heapq's time to the {source} wheel's", arm, "×", None, 1.0),
        report.Goal("longest pause of the wheel", pause, "ms", 5, 1, is_cost=True),
    ]


def draw(made: report.Report, least: dict[str, Any], *, keep: bool) -> None:
    """Bars for each phase."""
    with report.plot(made, keep=keep, width=9.0) as axes:
        names, titles = list(least), list(least["wheel"])
        for place, name in enumerate(names):
            spots = [number + (place - len(names) / 2) * 0.15 for number in range(len(titles))]
            axes.bar(spots, [least[name][phase][0] for phase in titles], width=0.14, label=name)
        axes.set_xticks(range(len(titles)), titles)
        axes.set_yscale("log")
        axes.set_ylabel("ns each")
        axes.set_title("Timers: nanoseconds an operation", fontsize=10)
        axes.legend()


if __name__ == "__main__":
    main()

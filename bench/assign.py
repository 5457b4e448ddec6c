"""First-available assignment: 10,000 agents, 100,000 waiting; what one costs, over n, beside a scan.

    python -m bench.assign [--quick]

Two searches, each as the core makes it. A conversation looks for the first available agent: the least rank among the
candidates, which then has a slot less (``Candidates.pick`` and ``put``). A free slot looks for the first conversation
that waits: highest priority, then oldest (``Waiting.first`` and ``remove``, one ``add``). The scan finds the same in a
plain list by ``min``. Both must agree before anything is timed. ``whole turn`` is all that the core does for one
conversation that is closed and another assigned in its place: request, records, timeline, timers, notices.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from actors.candidates import Candidates, Seat, rank
from actors.waiting import Waiting
from bench import report
from bench.rooms import BACKEND, Room, results
from router import garbage

NOBODY = frozenset[str]()
SIZES = (10, 100, 1_000, 10_000)  # agents; ten times as many wait
NOT_SHOWN = (
    "skills and several classes (a pool or a group for each kind that is asked for, the same search in each), pauses "
    "after declining, which are skipped one by one; the commit. CPU time with the collector as the server has it."
)


class Indexed:
    """The core's own indexes."""

    def __init__(self, seats: list[Seat], waiting: list[tuple[int, int, str]]) -> None:
        self.candidates, self.queue = Candidates("longest_idle"), Waiting()
        for seat in seats:
            self.candidates.put("chat", seat.agent, seat)
        for priority, age, name in waiting:
            self.queue.add(name, "chat", NOBODY, -priority, age)

    def assign(self, tick: int) -> str:
        """The first available agent takes one."""
        seat = self.candidates.pick("chat", NOBODY, _nobody)
        assert seat is not None
        self.candidates.put("chat", seat.agent, _taken(seat, tick))
        return seat.agent

    def refill(self, tick: int) -> str:
        """A free slot takes the first that waits; another begins to wait."""
        order = self.queue.first("chat", NOBODY, _nobody)
        assert order is not None
        self.queue.remove(order.conversation)
        self.queue.add(order.conversation, "chat", NOBODY, 0, tick)
        return order.conversation


class Scanned:
    """The same by looking at everybody."""

    def __init__(self, seats: list[Seat], waiting: list[tuple[int, int, str]]) -> None:
        self.seats = {seat.agent: seat for seat in seats}
        self.waiting = {name: (priority, age, name) for priority, age, name in waiting}

    def assign(self, tick: int) -> str:
        seat = min(self.seats.values(), key=lambda seat: rank("longest_idle", seat))
        self.seats[seat.agent] = _taken(seat, tick)
        return seat.agent

    def refill(self, tick: int) -> str:
        order = min(self.waiting.values())
        self.waiting[order[2]] = (0, tick, order[2])
        return order[2]


def _nobody(name: str) -> bool:
    return False


def _taken(seat: Seat, tick: int) -> Seat:
    return Seat(seat.agent, seat.skills, seat.used + 1, seat.ratio, seat.spare, tick, seat.place)


def world(agents: int) -> tuple[list[Seat], list[tuple[int, int, str]]]:
    """Agents who were idle since different moments, and ten times as many who wait."""
    chance = random.Random(1)
    idle = chance.sample(range(10 * agents), agents)
    seats = [Seat(f"a{number:06}", NOBODY, 0, 0.0, None, idle[number], number) for number in range(agents)]
    ages = chance.sample(range(100 * agents), 10 * agents)
    return seats, [(0, ages[number], f"c{number:07}") for number in range(10 * agents)]


def check(seats: list[Seat], waiting: list[tuple[int, int, str]], times: int) -> None:
    """Both find the same, in the same order. Raises RuntimeError."""
    one, other = Indexed(seats, waiting), Scanned(seats, waiting)
    first = 10**9
    for tick in range(first, first + times):
        if one.assign(tick) != other.assign(tick) or one.refill(tick) != other.refill(tick):
            raise RuntimeError("the index and the scan do not agree")


def us_each(call: Callable[[int], str], times: int, first: int) -> float:
    """µs of CPU a call."""
    began = time.process_time_ns()
    for tick in range(first, first + times):
        call(tick)
    return (time.process_time_ns() - began) / times / 1000


def whole_turns(agents: int, times: int) -> float:
    """µs of CPU for all that the core does: one is closed, the first that waits gets the slot."""
    held: list[str] = []
    numbers = iter(range(100_000_000))
    with garbage.loading():  # collections as in the server
        room = Room(agents=agents, slots=1, start=f"w{agents}")
        while len(held) < 11 * agents:
            inputs = [room.receive(f"+{next(numbers)}", service="s0") for _ in range(min(256, 11 * agents - len(held)))]
            held += [result.conversation.id for result in results(room.give(*inputs))]
    taken = [room.core.house.conversations[name] for name in held]
    busy = [actor.record.id for actor in taken if actor.record.assignee is not None][:times]
    inputs = [room.asked(BACKEND, "conversation.close", conversation=name) for name in busy]
    began = time.process_time_ns()
    room.give(*inputs)
    return (time.process_time_ns() - began) / len(inputs) / 1000


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    given = parser.parse_args()
    sizes = SIZES[:3] if given.quick else SIZES
    made = report.Report("assign", "First-available assignment, µs of CPU each", not_shown=NOT_SHOWN)
    made.columns = ["agents, waiting", "agent: index", "agent: scan", "waiting: index", "waiting: scan", "whole turn"]
    found: dict[int, list[float]] = {}
    for agents in sizes:
        seats, waiting = world(agents)
        check(seats, waiting, 20)
        indexed, scanned = Indexed(seats, waiting), Scanned(seats, waiting)
        many, few = 20_000 if not given.quick else 4_000, max(3, 20_000 // agents)
        turns = [
            lambda: us_each(indexed.assign, many, 10**9),  # noqa: B023 - called in this round
            lambda: us_each(scanned.assign, few, 10**9),  # noqa: B023
            lambda: us_each(indexed.refill, many, 10**9),  # noqa: B023
            lambda: us_each(scanned.refill, max(3, few // 10), 10**9),  # noqa: B023
        ]
        names = ("agent: index", "agent: scan", "waiting: index", "waiting: scan")
        figures = report.in_turns(dict(zip(names, turns, strict=True)), 1 if given.quick else 3)
        found[agents] = [min(figures[name]) for name in names]
        found[agents].append(whole_turns(agents, min(agents, 1_000)))
        made.row(f"{agents:,}, {10 * agents:,}", *found[agents])
    last = found[sizes[-1]]
    made.goals = [
        report.Goal(f"pick of one of {sizes[-1]:,} agents", last[0], "µs", 20, 5, is_cost=True),
        report.Goal(f"pick of one of {10 * sizes[-1]:,} that wait", last[2], "µs", 20, 5, is_cost=True),
        report.Goal("growth from the smallest to the largest house, agent's pick", last[0] / found[sizes[0]][0], "×"),
    ]
    made.data = {str(agents): values for agents, values in found.items()}
    with report.plot(made, keep=not given.quick) as axes:
        for place, name in enumerate(made.columns[1:]):
            axes.plot(list(found), [values[place] for values in found.values()], "o-", label=name)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("agents (ten times as many conversations wait)")
        axes.set_ylabel("µs of CPU each")
        axes.legend()
    made.publish(keep=not given.quick)


if __name__ == "__main__":
    main()

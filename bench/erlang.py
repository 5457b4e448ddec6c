"""Queueing theory as the judge: the real core in virtual time against the formulas of Erlang and Palm.

    python -m bench.erlang            # 35 cells, some minutes; --quick: 14 cells, under a minute

Contacts arrive at random (Poisson) at one push service; each of its n agents has one slot; handling times are
exponential, five minutes on average. Load = the share of the agents' time that the contacts ask for. When a handling
time is over the backend closes the conversation, and the core gives the agent the next one. In the second half of the
table contacts lose patience (exponential, as long as a handling time on average): the backend closes what still waits.

Measured from the core's own timeline entries, in virtual milliseconds:

    wait      from ``created`` to ``assigned``, or to giving up: the mean over all contacts, in seconds
    waits     the share of contacts who were ``queued``
    queue     how many wait: the mean over time of the length of the service's queue
    gives up  the share of contacts who were never assigned

The theory: Erlang C without giving up (Erlang 1917, "Solution of some problems in the theory of probabilities of
significance in automatic telephone exchanges"), Erlang A with it (Palm 1957, "Research on telephone traffic carried by
full availability groups"; Garnett, Mandelbaum & Reiman 2002, "Designing a call center with impatient customers").

The first judge: is a mean off by more than 4 standard errors AND by more than 2 %? 30 batches of contacts in a row,
after a warm-up of three, give the error by their spread; at load 0.95 a batch is about five times as long as the
queue's memory. Alone that is no good judge: a mean that is low by chance has a low spread too, and runs of a right
model failed 17 times in 100. So the error is that of the batches or that of theory (Whitt 1992, "Asymptotic formulas
for Markov processes with applications to simulation"), whichever is greater. Then none of 100 failed, the furthest
figure was 3.8 errors away (``--calibrate 100``), and 4 is beyond what chance does to a table. The 2 % are for what is
not the core's: rounding to milliseconds, and the empty queue at the start. A figure that rests on fewer than 100
expected contacts is too rare to judge.

Such a judge misses small faults where the error is large (n = 1 at load 0.95: eight percent), and the order of service
altogether: a queue turned round passes, since means do not depend on who is served next. Hence the second: with
the same arrivals, handling times and patience, the recursion of first come, first served (Kiefer & Wolfowitz 1955,
"On the theory of queues with many servers") says how long each single contact must have waited, to the millisecond.

What this shows: no slot stays free while somebody waits, none is used twice, each goes to whoever has waited longest,
and giving up leaves no trace. What it does not show: anything with priorities, skills, several services or classes,
agents with more slots than one or who come and go, fairness among agents, the speed of anything. Real handling times
are not exponential and real arrivals come in waves: the formulas are a judge of the core here, not a forecast.
"""

import argparse
import heapq
import importlib.util
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any

from msgspec import Struct

from actors.core import Core
from actors.effects import Asked, Configured, Input, Opened, Reply
from protocol.codec import Call, convert
from protocol.ids import Principal
from protocol.objects import Entry
from protocol.records import ClosedIn, ClosedOf, Snapshot
from protocol.requests import METHODS
from protocol.settings import WorkspaceSettings

HANDLING_MS = 300_000  # on average
PATIENCE_MS = 300_000  # on average, where there is any
BATCHES, WARM_UP = 30, 3  # batches that count; batches before them that do not
SPREAD = 2.045  # Student's t with 29 degrees of freedom: so many standard errors to each side hold 95 %
ERRORS_MAX, SHARE_MAX = 4.0, 0.02  # off = beyond both
EXPECTED_MIN = 100  # contacts that a figure rests on
SIZES = (1, 2, 5, 10, 30)
BATCH_OF_LOAD = {0.5: 1_000, 0.7: 1_300, 0.85: 2_000, 0.95: 8_000}  # contacts: the fuller, the longer the memory
BATCH_OF_IMPATIENT = {0.7: 600, 0.95: 600, 1.2: 600}  # who gives up cuts the memory short, and a load above 1 is fine
PLOT = Path(__file__).parent.parent / "docs" / "img" / "erlang.png"


class Cell(Struct, frozen=True):
    """One case of the table: so many agents, this load, with or without giving up; ``batch`` contacts a batch."""

    agents: int
    load: float
    impatient: bool
    batch: int

    @property
    def gap_ms(self) -> float:
        """The mean time from one arrival to the next."""
        return HANDLING_MS / (self.agents * self.load)

    @property
    def theory(self) -> dict[str, float]:
        """What each measure should be; waits in seconds."""
        offered = self.agents * self.load
        if not self.impatient:
            waits, queue = erlang_c(self.agents, offered)
            return {"wait": queue * self.gap_ms / 1000, "waits": waits, "queue": queue}  # Little 1961
        waits, queue = erlang_a(self.agents, offered, HANDLING_MS / PATIENCE_MS)
        leaving = queue * self.gap_ms / PATIENCE_MS
        return {"wait": queue * self.gap_ms / 1000, "waits": waits, "queue": queue, "gives up": leaving}


# ---------------------------------------------------------------- the formulas


def erlang_b(agents: int, offered: float) -> float:
    """The share that is lost if nobody waits; ``offered`` = arrivals in a handling time (erlangs)."""
    lost = 1.0
    for number in range(1, agents + 1):
        lost = offered * lost / (number + offered * lost)
    return lost


def erlang_c(agents: int, offered: float) -> tuple[float, float]:
    """The probability of waiting and the mean queue if nobody gives up; ``offered`` < ``agents``."""
    lost = erlang_b(agents, offered)
    waits = agents * lost / (agents - offered * (1 - lost))
    return waits, waits * offered / (agents - offered)


def erlang_a(agents: int, offered: float, impatience: float) -> tuple[float, float]:
    """The same if contacts give up; ``impatience`` = mean handling time / mean patience.

    The queue is a birth-death process: with j waiting, contacts leave at the rate agents + j * impatience. The
    probabilities are summed relative to the one of "all busy, nobody waits", which erlang_b gives.
    """
    weight, waiting, queue, number = 1.0, 0.0, 0.0, 0
    while weight > 1e-17 or agents + number * impatience < offered:
        number += 1
        weight *= offered / (agents + number * impatience)
        waiting += weight
        queue += number * weight
    whole = 1 / erlang_b(agents, offered) + waiting
    return (1 + waiting) / whole, queue / whole


# ---------------------------------------------------------------- the core, driven


class Floor:
    """A core with one service and its agents, all there and switched on. Its time begins at 0; it has no store."""

    def __init__(self, agents: int) -> None:
        names = [f"a{number}" for number in range(agents)]
        members = [{"agent": name} for name in names]
        service = {"id": "support", "members": members, "auto_close_after": None, "escalation": []}
        config = {"services": [service], "agents": [{"id": name, "capacity": {"chat": 1}} for name in names]}
        settings: WorkspaceSettings = convert(config, WorkspaceSettings)
        self.core = Core(settings)
        self.core.load(Snapshot(), 0)
        self.give(0, Configured(settings))
        self.give(0, Opened(0, Principal("backend", "backend")))
        for session, name in enumerate(names, 1):
            self.give(0, Opened(session, Principal("agent", name)))
            self.ask(0, session, "agent.set_availability", available=True)

    @property
    def waiting(self) -> int:
        """The length of the queue, as the core has it."""
        return len(self.core.house.services["support"].waiting)

    def ask(self, now: int, session: int, method: str, **params: Any) -> list[Entry]:
        """A request that must succeed; the entries it brings about."""
        return self.give(now, Asked(session, Call(method, METHODS[method].params(**params), 1)))

    def give(self, now: int, item: Input) -> list[Entry]:
        """One step at this tick, and what the timelines say of it."""
        core = self.core
        while questions := core.questions([item]):
            core.absorb(questions, [() if isinstance(asked, ClosedOf | ClosedIn) else None for asked in questions])
        output = core.step(now, [item])
        core.committed(output)
        refusals = [found.error for found in output.outgoing if isinstance(found, Reply) and found.error]
        assert output.taken == 1, "no deadline is armed here, so none can hold the input back"
        assert not core.failures, core.failures
        assert not refusals, refusals
        return [record.entry for record in output.batch.entries]


class Contact(Struct):
    """One arrival; times in ticks. ``patience`` None = without end; ``wait`` None = still waiting."""

    came: int
    handling: int
    patience: int | None
    queued: bool = False
    gave_up: bool = False
    wait: int | None = None


def arrivals(cell: Cell, seed: int) -> Iterator[Contact]:
    """Everything that is random, drawn beforehand."""
    chance = random.Random(f"{seed}/{cell.agents}/{cell.load}/{cell.impatient}")
    clock = 0.0
    for _ in range(cell.batch * (WARM_UP + BATCHES)):
        clock += chance.expovariate(1 / cell.gap_ms)
        handling = round(chance.expovariate(1 / HANDLING_MS))
        patience = round(chance.expovariate(1 / PATIENCE_MS)) if cell.impatient else None
        yield Contact(round(clock), handling, patience)


class Run(Struct):
    """What became of the contacts of a cell; ``queued_ms`` is what was waited in each batch."""

    cell: Cell
    contacts: list[Contact]
    queued_ms: list[int]

    def elapsed_ms(self, batch: int) -> int:
        """From the first arrival of a batch to the first of the next."""
        last = len(self.contacts) - 1
        return (
            self.contacts[min((batch + 1) * self.cell.batch, last)].came - self.contacts[batch * self.cell.batch].came
        )


HANDLED, IMPATIENT, ARRIVED = 0, 1, 2  # what happens at one tick happens in this order


class Simulation:
    """The contacts of a cell meet the core. ``agents``: others than the cell's, to see whether the judges object."""

    def __init__(self, cell: Cell, seed: int, agents: int | None = None) -> None:
        self.cell = cell
        self.floor = Floor(agents or cell.agents)
        self.contacts = list(arrivals(cell, seed))
        self.queued_ms = [0] * (WARM_UP + BATCHES)  # by batch: what all have waited while its contacts arrived
        self._events = [(contact.came, ARRIVED, number) for number, contact in enumerate(self.contacts)]  # a heap
        self._conversations: dict[int, str] = {}
        self._numbers: dict[str, int] = {}
        self._now = self._arrived = 0

    def run(self) -> Run:
        """Until the last one has left."""
        while self._events:
            tick, kind, number = heapq.heappop(self._events)
            self._measure(tick)
            if kind == ARRIVED:
                self._arrive(tick, number)
            elif kind == HANDLED:
                self._close(tick, number)
            elif self.contacts[number].wait is None:
                self._give_up(tick, number)
        return Run(self.cell, self.contacts, self.queued_ms)

    def _measure(self, tick: int) -> None:
        if 0 < self._arrived < len(self.contacts):  # after the last arrival the queue is none
            self.queued_ms[(self._arrived - 1) // self.cell.batch] += self.floor.waiting * (tick - self._now)
        self._now = tick

    def _arrive(self, tick: int, number: int) -> None:
        self._arrived += 1
        entries = self.floor.ask(tick, 0, "conversation.start", contact=f"c{number}", service="support")
        conversation = self._conversations[number] = entries[0].conversation
        self._numbers[conversation] = number
        self._hear(entries)
        patience = self.contacts[number].patience
        if patience is not None:
            heapq.heappush(self._events, (tick + patience, IMPATIENT, number))

    def _give_up(self, tick: int, number: int) -> None:
        contact = self.contacts[number]
        contact.gave_up, contact.wait = True, tick - contact.came
        self._close(tick, number)

    def _close(self, tick: int, number: int) -> None:
        conversation = self._conversations.pop(number)
        self._hear(self.floor.ask(tick, 0, "conversation.close", conversation=conversation))
        del self._numbers[conversation]

    def _hear(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            number = self._numbers[entry.conversation]
            contact = self.contacts[number]
            if entry.type == "queued":
                contact.queued = True
            elif entry.type == "assigned":
                assert contact.wait is None, "assigned twice, or after giving up"
                contact.wait = entry.at - contact.came
                heapq.heappush(self._events, (entry.at + contact.handling, HANDLED, number))


def reckoned(cell: Cell, seed: int) -> Run:
    """What must become of the same contacts by first come, first served, without a core.

    In order of arrival: each waits until the first agent is free, or until the patience is over.
    """
    contacts, queued_ms = list(arrivals(cell, seed)), [0] * (WARM_UP + BATCHES)
    free = [0] * cell.agents  # a heap: when each agent will have nothing left to do
    for number, contact in enumerate(contacts):
        wait = max(free[0] - contact.came, 0)
        contact.queued = wait > 0
        contact.gave_up = contact.patience is not None and wait > contact.patience
        contact.wait = contact.patience if contact.gave_up else wait
        if not contact.gave_up:
            heapq.heapreplace(free, contact.came + wait + contact.handling)
        queued_ms[number // cell.batch] += contact.wait or 0
    return Run(cell, contacts, queued_ms)


# ---------------------------------------------------------------- the judges


class Figure(Struct, frozen=True):
    """A measure beside its theory; ``error`` is one standard error, ``expected`` the contacts it rests on."""

    measure: str
    mean: float
    error: float
    theory: float
    expected: float

    @property
    def errors(self) -> float:
        """The difference in standard errors."""
        return (self.mean - self.theory) / self.error

    @property
    def verdict(self) -> str:
        """``ok``, ``OFF``, or ``rare``: too little of it to be judged."""
        if self.expected < EXPECTED_MIN:
            return "rare"
        off = abs(self.errors) > ERRORS_MAX and abs(self.mean / self.theory - 1) > SHARE_MAX
        return "OFF" if off else "ok"


class Judgement(Struct, frozen=True):
    """What came out for a cell; ``differing``: contacts who did not fare as first come, first served has it."""

    cell: Cell
    figures: tuple[Figure, ...]
    contacts: int
    differing: int

    @property
    def fails(self) -> bool:
        """Whether it contradicts theory, or the order of arrival."""
        return self.differing > 0 or any(figure.verdict == "OFF" for figure in self.figures)


def judge(cell: Cell, seed: int, agents: int | None = None) -> Judgement:
    """Simulate a cell and compare."""
    run = Simulation(cell, seed, agents).run()
    pairs = zip(run.contacts, reckoned(cell, seed).contacts, strict=True)
    differing = sum((one.wait, one.gave_up) != (other.wait, other.gave_up) for one, other in pairs)
    return Judgement(cell, tuple(figures(run)), len(run.contacts), differing)


def calibrated(cell: Cell, seed: int) -> Judgement:
    """As if the core were right: what chance alone does to the figures of a cell."""
    run = reckoned(cell, seed)
    return Judgement(cell, tuple(figures(run)), len(run.contacts), 0)


def figures(run: Run) -> Iterator[Figure]:
    """Each measure that the theory has."""
    cell, theory, batches = run.cell, run.cell.theory, batch_means(run)
    errors = theory_errors(cell)
    for measure, expected in theory.items():
        by_batches = statistics.stdev(batches[measure]) / math.sqrt(BATCHES)
        error = max(by_batches, expected * errors["waits" if measure == "waits" else "queue"])
        rests_on = theory["gives up" if measure == "gives up" else "waits"] * cell.batch * BATCHES
        yield Figure(measure, statistics.fmean(batches[measure]), error, expected, rests_on)


def batch_means(run: Run) -> dict[str, list[float]]:
    """Each measure, batch by batch; their mean is that of the whole."""
    means: dict[str, list[float]] = {"wait": [], "waits": [], "queue": [], "gives up": []}
    counted = range(WARM_UP, WARM_UP + BATCHES)
    elapsed = statistics.fmean(run.elapsed_ms(batch) for batch in counted)
    queue = sum(run.queued_ms[WARM_UP:]) / (elapsed * BATCHES)
    for batch in counted:
        contacts = run.contacts[batch * run.cell.batch : (batch + 1) * run.cell.batch]
        means["wait"].append(statistics.fmean(contact.wait or 0 for contact in contacts) / 1000)
        means["waits"].append(statistics.fmean(contact.queued for contact in contacts))
        means["queue"].append(queue + (run.queued_ms[batch] - queue * run.elapsed_ms(batch)) / elapsed)  # a ratio's
        means["gives up"].append(statistics.fmean(contact.gave_up for contact in contacts))
    return means


def theory_errors(cell: Cell) -> dict[str, float]:
    """The standard error that a cell's length brings with it, as a share of the mean.

    Of a time average over a birth-death process: Whitt 1992, proposition 1. Time in handling times.
    """
    offered, agents = cell.agents * cell.load, cell.agents
    impatience = HANDLING_MS / PATIENCE_MS if cell.impatient else 0.0
    weights, number = [1.0], 0
    while number < agents or weights[-1] > 1e-14 * max(weights):
        number += 1
        weights.append(weights[-1] * offered / (min(number, agents) + max(number - agents, 0) * impatience))
    shares = [weight / sum(weights) for weight in weights]
    waits = [float(number >= agents) for number in range(len(shares))]
    queue = [float(max(number - agents, 0)) for number in range(len(shares))]
    time = cell.batch * BATCHES / offered
    return {"waits": _error(shares, waits, offered, time), "queue": _error(shares, queue, offered, time)}


def _error(shares: list[float], values: list[float], births: float, time: float) -> float:
    mean = math.fsum(share * value for share, value in zip(shares, values, strict=True))
    below = variance = 0.0
    for share, value in zip(shares, values, strict=True):
        below += share * (value - mean)
        variance += below * below / (births * share)
    return math.sqrt(2 * variance / time) / mean


# ---------------------------------------------------------------- what is shown


def cells(quick: bool) -> list[Cell]:
    """What is simulated."""
    sizes, shrink = ((2, 10), 6) if quick else (SIZES, 1)
    return [
        Cell(agents, load, impatient, batch // shrink)
        for impatient, loads in ((False, BATCH_OF_LOAD), (True, BATCH_OF_IMPATIENT))
        for agents in sizes
        for load, batch in loads.items()
    ]


def judged(chosen: list[Cell], seed: int) -> list[Judgement]:
    """All cells on all processors, the longest first; says how far it is."""
    begun, found, total = time.monotonic(), dict[Cell, Judgement](), sum(map(contacts_of, chosen))
    with ProcessPoolExecutor() as pool:
        longest_first = sorted(chosen, key=contacts_of, reverse=True)
        for future in as_completed([pool.submit(judge, cell, seed) for cell in longest_first]):
            found[future.result().cell] = future.result()
            done = sum(map(contacts_of, found))
            passed = time.monotonic() - begun
            say(f"{len(found)} of {len(chosen)} cells, {done:,} of {total:,} contacts, {passed:.0f} s")
    say("", last=True)
    return [found[cell] for cell in chosen]


def calibrate(chosen: list[Cell], runs: int) -> Iterator[str]:
    """How often a right core would fail, and how far its figures go."""
    failing, furthest = 0, 0.0
    with ProcessPoolExecutor() as pool:
        for number, seed in enumerate(range(1_000, 1_000 + runs), 1):
            judgements = list(pool.map(calibrated, chosen, repeat(seed)))
            failing += any(one.fails for one in judgements)
            furthest = max(furthest, *(abs(figure.errors) for figure in judgeable(judgements)))
            say(f"{number} of {runs} runs")
    say("", last=True)
    yield f"{failing} of {runs} runs without a core would fail; no figure was further than {furthest:.1f} errors away"


def contacts_of(cell: Cell) -> int:
    """How many come in a cell, those of the warming up included."""
    return cell.batch * (WARM_UP + BATCHES)


def judgeable(judgements: list[Judgement]) -> list[Figure]:
    """The figures that are not too rare."""
    return [figure for one in judgements for figure in one.figures if figure.verdict != "rare"]


def say(progress: str, *, last: bool = False) -> None:
    """Progress, on one line of a terminal."""
    if sys.stderr.isatty():
        print(f"\r{progress:70}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif not last:
        print(progress, file=sys.stderr, flush=True)


def table(judgements: list[Judgement]) -> Iterator[str]:
    """The lines of the report."""
    yield "          n  load  measure       simulated ± 95 %        theory  errors   off by  verdict"
    for one in judgements:
        label = f"Erlang {'A' if one.cell.impatient else 'C'} {one.cell.agents:2}  {one.cell.load:4.2f}"
        for figure in one.figures:
            value = f"{figure.mean:10.4f} ± {SPREAD * figure.error:8.4f}  {figure.theory:11.4f}"
            beside = f"{figure.errors:+6.1f}  {figure.mean / figure.theory - 1:+7.1%}  {figure.verdict}"
            yield f"{label:17}  {figure.measure:9} {value}  {beside}"
            label = ""
        fared = f"{one.contacts - one.differing:,} of {one.contacts:,} fared as first come, first served"
        yield f"{'':17}  {fared}: {'OFF' if one.differing else 'ok'}"


def wait_in_handling_times(one: Judgement) -> tuple[float, float, float]:
    """Simulated, half of the interval, theory."""
    figure = one.figures[0]
    unit = HANDLING_MS / 1000
    return figure.mean / unit, SPREAD * figure.error / unit, figure.theory / unit


def text_plot(judgements: list[Judgement], width: int = 72) -> Iterator[str]:
    """One line a cell, the mean wait from a 100,000th to 100 handling times."""
    yield "mean wait in handling times, 0.00001 to 100, a decade every ten columns; | theory, o simulated, * both"
    for one in judgements:
        simulated, _, theory = wait_in_handling_times(one)
        line = [" "] * width
        for value, mark in ((theory, "|"), (simulated, "o")):
            column = round(10 * (math.log10(max(value, 1e-5)) + 5))
            line[min(column, width - 1)] = "*" if line[min(column, width - 1)] == "|" else mark
        yield f"{'A' if one.cell.impatient else 'C'} {one.cell.agents:2} {one.cell.load:4.2f} {''.join(line).rstrip()}"


def draw(judgements: list[Judgement], path: Path) -> None:
    """The mean wait over the load: theory as lines, what was simulated as points with their intervals."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(13, 5.5), sharey=True, layout="constrained")
    for axes, impatient in zip(panels, (False, True), strict=True):
        some = [one for one in judgements if one.cell.impatient == impatient]
        for index, agents in enumerate(sorted({one.cell.agents for one in some})):
            mine = [one for one in some if one.cell.agents == agents]
            loads = [percent / 100 for percent in range(50, 126 if impatient else 98)]
            curve = [Cell(agents, load, impatient, 1).theory["wait"] * 1000 / HANDLING_MS for load in loads]
            axes.plot(loads, curve, color=f"C{index}", linewidth=1.2)
            waits, spreads, _ = zip(*(wait_in_handling_times(one) for one in mine), strict=True)
            axes.errorbar([one.cell.load for one in mine], waits, spreads, color=f"C{index}", fmt="o", markersize=5,
                          capsize=4, label=f"{agents} agent{'s' if agents > 1 else ''}")  # fmt: skip
        axes.set_yscale("log")
        axes.set_ylim(1e-5, 50)
        axes.set_xlabel("load (share of the agents' time that contacts ask for)")
        axes.grid(alpha=0.3)
        axes.set_title("Erlang A: contacts give up" if impatient else "Erlang C: everybody waits")
    panels[0].set_ylabel("mean wait, in mean handling times")
    panels[0].legend(title="lines: theory; points: the core, 95 %", loc="lower right")
    figure.suptitle("The core beside queueing theory")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"drawn: {path}")


def show(judgements: list[Judgement], path: Path | None) -> None:
    """The table and the drawing; in letters without a path or without matplotlib."""
    print("\n".join(table(judgements)) + "\n")
    if path is not None and importlib.util.find_spec("matplotlib"):
        draw(judgements, path)
    else:
        print("\n".join(text_plot(judgements)))


def main() -> int:
    """Measure and print; a full run is kept."""
    parser = argparse.ArgumentParser(description="The core beside Erlang C and Erlang A.")
    parser.add_argument(
        "--quick", action="store_true", help="two team sizes, a sixth of the contacts, drawn in letters"
    )
    parser.add_argument("--seed", type=int, default=1, help="of everything random; the same seed, the same table")
    parser.add_argument("--plot", type=Path, help=f"where to draw to (of a full run: {PLOT})")
    parser.add_argument("--calibrate", type=int, metavar="RUNS", help="judge runs without a core instead, seed by seed")
    options = parser.parse_args()
    begun, chosen = time.monotonic(), cells(options.quick)
    if options.calibrate:
        print("\n".join(calibrate(chosen, options.calibrate)))
        return 0
    judgements = judged(chosen, options.seed)
    show(judgements, options.plot or (None if options.quick else PLOT))
    figures, failing = judgeable(judgements), sum(one.fails for one in judgements)
    furthest = max(abs(figure.errors) for figure in figures)
    seconds, contacts = time.monotonic() - begun, sum(map(contacts_of, chosen))
    print(f"\n{len(chosen)} cells, {failing} off; {len(figures)} figures, none further than {furthest:.1f} errors")
    print(
        f"{contacts:,} contacts in {seconds:.0f} s; seed {options.seed}; CPython {platform.python_version()},", end=" "
    )
    print(f"{platform.machine()}, {os.cpu_count()} cores, {datetime.now(UTC):%Y-%m-%d}")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())

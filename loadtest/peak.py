"""A peak day: 500 agents, 20,000 contacts connected, 200 new conversations a second in the busiest hour.

    python -m loadtest.peak                          # --agents, --contacts, --rate, --seconds, --store, --quick

The day's 24 hours go by in ``--seconds``; conversations begin by chance (Poisson), thinned by the hour. Each is started
by a contact on a socket of its own, assigned, answered, written on by the contact, closed by the agent, with pauses to
think in between. Latencies count from the scheduled moments. In the end everything acknowledged must have been
delivered and every conversation closed, or the exit code is 1. The report goes to docs/peak-day.md, its plot beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import uvloop
from hdrh.histogram import HdrHistogram
from msgspec import Struct, field

from bench import report
from bench.crowd import Agent, Contact, Tally
from bench.house import STORES, House, a_store, config, raise_limit
from bench.websocket import Session
from loadtest.arrivals import HOURS, of_a_day, share_at

SERVICES, SLOTS = 10, 5
AT_ONCE = 100  # connections
STRAGGLERS_S = 30.0
PAGE = report.ROOT / "docs" / "peak-day.md"
clock = time.perf_counter
KINDS = ("start → acknowledged", "start → heard by an agent", "answer → acknowledged", "answer → heard by the contact")


class Moment(Struct):
    """One second of the day."""

    begun: int
    open: int
    waiting: int
    cpu_share: float
    memory_mb: float
    p99_ms: float  # of start → heard by an agent, in this second


class Day(Struct):
    """What the day has in common."""

    tally: Tally
    think_s: float
    chance: Random = field(default_factory=lambda: Random(1))
    moments: list[Moment] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)  # ms, start → agent, of the second at hand
    over: bool = False
    late_ms: float = 0.0  # the client itself, at worst

    def later(self, one: Session, act: Callable[[float], None]) -> None:
        """After a pause to think, with the moment at which that was to be; not if its session has ended."""
        pause_s = self.chance.expovariate(1 / self.think_s)
        due = clock() + pause_s
        asyncio.get_running_loop().call_later(pause_s, lambda: None if one.ending or self.over else act(due))


class PeakAgent(Agent):
    """Answers after a while, and closes when the contact has written again."""

    day: Day

    def notice(self, method: str, params: dict[str, Any]) -> None:
        tally = self.tally
        if method == "conversation.assigned":
            name = params["conversation"]["id"]
            if name in tally.assigned:
                tally.twice.append(name)
            tally.assigned[name] = clock()
            self.day.later(self, lambda due: self._answer(name, due))
        elif method == "conversation.entry":
            entry = params["entry"]
            if entry["type"] == "closed":
                tally.agents_closed.add(entry["conversation"])
            elif entry["type"] == "message" and entry["by"]["kind"] == "agent":
                tally.echoed.add(entry["seq"])
            elif entry["type"] == "message":
                tally.heard.add(entry["seq"])
                self.day.later(self, lambda due: self._close(entry["conversation"]))

    def _answer(self, name: str, due: float) -> None:
        def noted(result: dict[str, Any]) -> None:
            self.tally.answers[result["entry"]["seq"]] = (name, due, clock())

        self.call("message.send", noted, conversation=name, text="I have looked into it: it is the second line.")

    def _close(self, name: str) -> None:
        self.call("conversation.close", lambda result: self.tally.closed.add(name), conversation=name)


class PeakContact(Contact):
    """Starts when the schedule says so, writes again after the answer."""

    day: Day
    free: list[PeakContact]

    def start_at(self, due: float) -> None:
        """Begin a conversation that was due then."""
        self.call("conversation.start", lambda result: self._started(due, result), service=self.service, text="Hello")

    def _started(self, due: float, result: dict[str, Any]) -> None:
        self._began(due, result)
        self.tally.acknowledged[result["conversation"]["id"]] = clock()

    def notice(self, method: str, params: dict[str, Any]) -> None:
        if method != "conversation.entry":
            return
        entry, name = params["entry"], params["entry"]["conversation"]
        if entry["type"] == "message" and entry["by"]["kind"] == "agent":
            self.tally.delivered[entry["seq"]] = clock()
            self.day.later(self, lambda due: self._write(name))
        elif entry["type"] == "closed":
            self.tally.contacts_closed.add(name)
            self.free.append(self)

    def _write(self, name: str) -> None:
        def noted(result: dict[str, Any]) -> None:
            self.tally.said.add(result["entry"]["seq"])

        self.call("message.send", noted, conversation=name, text="Thank you. And there is something else.")


async def come(house: House, day: Day, agents: int, contacts: int) -> tuple[list[PeakAgent], list[PeakContact]]:
    """Everybody connects."""
    loop, (host, port) = asyncio.get_running_loop(), house.address

    async def one(kind: Any, token: str) -> Any:
        _, made = await loop.create_connection(lambda: kind(host, port, token, day.tally), host, port)
        await made.ready
        made.day = day
        return made

    jobs: list[tuple[Any, str]] = [(PeakAgent, house.token("agent", f"a{n}")) for n in range(agents)]
    jobs += [(PeakContact, house.token("contact", f"k{n}")) for n in range(contacts)]
    people: list[Any] = []
    for begin in range(0, len(jobs), AT_ONCE):
        people += await asyncio.gather(*(one(*job) for job in jobs[begin : begin + AT_ONCE]))
    free: list[PeakContact] = people[agents:]
    for number, contact in enumerate(free):
        contact.service, contact.free = f"s{number % SERVICES}", free
    day.chance.shuffle(free)
    return people[:agents], free


async def live(day: Day, free: list[PeakContact], rate: float, seconds: float) -> None:
    """Begin conversations as the schedule says, and wait until the last has been closed."""
    began = clock()
    for moment in of_a_day(rate, seconds, Random(2)):
        due = began + moment
        while (wait_s := due - clock()) > 0:  # noqa: ASYNC110 - a moment in time has no event
            await asyncio.sleep(wait_s)
        day.late_ms = max(day.late_ms, -1000 * wait_s)
        if not free:
            raise SystemExit("no contact is free: more contacts, or fewer conversations a second")
        day.tally.begun += 1
        free.pop(0).start_at(due)
        if wait_s < -0.005:
            await asyncio.sleep(0)  # behind: answers are read all the same
    tally, deadline = day.tally, clock() + STRAGGLERS_S + 10 * day.think_s
    while (len(tally.closed) < tally.begun or tally.missing()) and clock() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def look(house: House, day: Day) -> None:
    """A line for each second."""
    tally, cpu, at, counted = day.tally, house.cpu_s(), clock(), 0
    seen: set[str] = set()
    while True:
        await asyncio.sleep(1)
        now, spent = clock(), house.cpu_s()
        fresh = [name for name in tally.assigned if name not in seen and name in tally.began]
        seen.update(fresh)
        ms = sorted(1000 * (tally.assigned[name] - tally.began[name]) for name in fresh)
        day.moments.append(
            Moment(
                begun=tally.begun - counted,
                open=len(tally.began) - len(tally.closed),
                waiting=max(0, len(tally.began) - len(tally.assigned)),
                cpu_share=(spent - cpu) / (now - at),
                memory_mb=house.memory_mb(),
                p99_ms=ms[len(ms) * 99 // 100] if ms else 0.0,
            )
        )
        counted, cpu, at = tally.begun, spent, now
        if len(day.moments) % 10 == 0:
            print(f"  {len(day.moments)} s: begun {tally.begun:,}, {day.moments[-1]}", flush=True)


async def play(house: House, given: argparse.Namespace) -> tuple[Day, float, list[str]]:
    """The whole day; its figures, how long connecting took, and what is wrong."""
    day = Day(Tally(), given.think)
    began = clock()
    agents, free = await come(house, day, given.agents, given.contacts)
    connected_s = clock() - began
    people = [*agents, *free]
    print(f"  {len(people):,} connected after {connected_s:.1f} s, server {house.memory_mb():,.0f} MB", flush=True)
    looking = asyncio.create_task(look(house, day))
    await live(day, free, given.rate, given.seconds)
    looking.cancel()
    problems = day.tally.missing() + [f"{n} refused: {what}" for what, n in day.tally.errors.items()]
    ended = [one.ending for one in people if one.ending]
    problems += [f"{len(ended)} sessions were ended: {ended[0]}"] if ended else []
    if len(day.tally.closed) < day.tally.begun:
        problems.append(f"{day.tally.begun - len(day.tally.closed):,} conversations were not closed")
    day.over = True
    for one in people:
        one.close()
    return day, connected_s, problems


# ---------------------------------------------------------------- the report


def histograms(tally: Tally) -> dict[str, HdrHistogram]:
    """Microseconds from the scheduled moments."""
    pairs = (
        [(due, tally.acknowledged.get(name)) for name, due in tally.began.items()],
        [(due, tally.assigned.get(name)) for name, due in tally.began.items()],
        [(due, at) for _, due, at in tally.answers.values()],
        [(due, tally.delivered.get(seq)) for seq, (_, due, _) in tally.answers.items()],
    )
    found = {}
    for kind, times in zip(KINDS, pairs, strict=True):
        found[kind] = HdrHistogram(1, 120_000_000, 3)
        for due, at in times:
            if at is not None:
                found[kind].record_value(min(120_000_000, max(1, int(1e6 * (at - due)))))
    return found


def markdown(made: report.Report, problems: list[str], asked: str) -> str:
    """The page."""
    lines = [
        "# A peak day",
        "",
        "Written by `python -m loadtest.peak`; do not edit.",
        "",
        asked,
        "",
        "| | |",
        "|---|---|",
    ]
    lines += [f"| {row[0]} | {report.figure(row[1])} |" for row in made.rows if len(row) == 2]
    lines += ["", "| ms from the scheduled moment | p50 | p90 | p99 | p99.9 | most |", "|---|---|---|---|---|---|"]
    lines += ["| " + " | ".join(map(report.figure, row)) + " |" for row in made.rows if len(row) > 2]
    lines += ["", "![The day](img/peak.png)", ""] if made.plot else [""]
    lines += ["Everything acknowledged was delivered, and every conversation was closed." if not problems else
              "**Not delivered:** " + "; ".join(problems) + "."]  # fmt: skip
    return "\n".join(
        [*lines, "", f"Not shown: {made.not_shown}.", "", f"`{made.command}`, {made.at}; {made.machine}", ""]
    )


def draw(made: report.Report, day: Day, seconds: float, *, keep: bool) -> None:
    """The day over its hours."""
    with report.plot(made, keep=keep, width=9.0) as axes:
        hours = [HOURS * (number + 1) / seconds for number in range(len(day.moments))]
        axes.plot(hours, [moment.begun for moment in day.moments], label="conversations begun a second")
        axes.plot(hours, [moment.p99_ms for moment in day.moments], label="start → agent, p99 ms of the second")
        axes.plot(hours, [100 * moment.cpu_share for moment in day.moments], label="server's CPU, % of a core")
        axes.set_xlabel(f"hour of the day (a day in {seconds:g} s)")
        axes.set_xlim(0, HOURS)
        axes.set_ylim(bottom=0)
        axes.legend()


def main() -> int:
    """Load, judge, print. 0: everything acknowledged was delivered."""
    parser = report.parser(__doc__)
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=200.0, help="new conversations a second in the busiest hour")
    parser.add_argument("--seconds", type=float, default=120.0, help="that the day lasts (default: 120)")
    parser.add_argument("--think", type=float, default=2.5, help="mean pause before each act, s (default: 2.5)")
    parser.add_argument("--store", choices=STORES, default="postgresql")
    parser.add_argument("--page", type=Path, default=PAGE)
    given = parser.parse_args()
    if given.quick:
        given.agents, given.contacts, given.rate, given.seconds, given.think = 20, 200, 20.0, 12.0, 0.3
    raise_limit(given.agents + given.contacts + 200)
    text = config(given.agents, services=SERVICES, slots=SLOTS, reopen="new")
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with a_store(given.store) as url, House(text, url) as house, runner:
        day, connected_s, problems = runner.run(play(house, given))
        memory = house.memory_mb("VmHWM")
    tally, made = day.tally, report.Report("peak", "A peak day", [""] * 6)
    made.not_shown = "a network; reconnects (python -m tests.kill); client, store and server share the cores"
    busiest = max(day.moments, key=lambda moment: moment.begun)
    for name, value in (
        ("agents", given.agents), ("contacts connected", given.contacts), ("store", given.store),
        ("seconds until all were connected", connected_s), ("conversations, start to close", len(tally.closed)),
        ("most begun in one second", busiest.begun), ("most open at once", max(m.open for m in day.moments)),
        ("most waiting for an agent at once", max(m.waiting for m in day.moments)),
        ("server's CPU in the busiest second, share of a core", busiest.cpu_share),
        ("server's memory at its peak, MB", memory), ("the client itself was late by, at most, ms", day.late_ms),
    ):  # fmt: skip
        made.row(name, value)
    for kind, found in histograms(tally).items():
        made.row(kind, *(found.get_value_at_percentile(p) / 1000 for p in (50, 90, 99, 99.9, 100)))
    draw(made, day, given.seconds, keep=not given.quick)
    made.publish(keep=not given.quick)
    for problem in problems:
        print(f"NOT DELIVERED: {problem}")
    if not given.quick:
        asked = (
            f"{given.agents:,} agents, {given.contacts:,} contacts connected, up to {given.rate:g} new conversations a "
            f"second, by the curve of `loadtest/arrivals.py` ({share_at(10.0):.0%} at ten o'clock)."
        )
        given.page.write_text(markdown(made, problems, asked))
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())

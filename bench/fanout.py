"""One entry to 1,000 sessions: µs of the server's time a session, beside a loop of ``send_message``.

    python -m bench.fanout                      # --sessions 1000, --quick

One agent with 1,000 sessions hears what a backend writes. Ours: the real server, whole. The other: ``bench.bare``,
which after each commit goes round all sessions with ``send_message``. The floor: ``bench.floor``, the same frame
written to the same sockets with no server behind it, so what the system's calls take; nobody can be below it. Time is
the CPU time of the server's process, request, commit and all, divided by deliveries; this process reads everything and
looks at one session of the thousand. ``16 entries at once``: the backend writes 16 messages in one frame, so what is
ready for a session goes out in one write; at the floor too.
"""

from __future__ import annotations

import asyncio
import os
import statistics
from pathlib import Path
from typing import NamedTuple

from bench import report
from bench.house import raise_limit
from bench.load import Bout, Contestant, with_houses
from loadtest.openloop import clock, framed, until
from loadtest.traffic import Message

GATHERED = 16
OURS, GATHERING, LOOP = "signalbox, one entry", f"signalbox, {GATHERED} entries at once", "loop of send_message"
FLOOR, FLOOR_GATHERING = "floor: one write a session, no server", f"floor: {GATHERED} entries in one write a session"
#: name -> whose house, how many requests in a frame
TURNS = {OURS: (OURS, 1), GATHERING: (OURS, GATHERED), LOOP: (LOOP, 1), FLOOR: (FLOOR, 1),
         FLOOR_GATHERING: (FLOOR, GATHERED)}  # fmt: skip
NOT_SHOWN = (
    "a network (over loopback the sender's call also does the receiver's part of TCP), sessions that read slowly, TLS. "
    "The request itself is in all figures, and with 1,000 sessions a small part of them. CPU time comes in hundredths "
    "of a second; which part of it is the system's is sampled as often."
)


class Cost(NamedTuple):
    """µs of CPU a delivery, or seconds of CPU so far: the program's own, and the system's for it."""

    user: float
    system: float

    @property
    def whole(self) -> float:
        """Both."""
        return self.user + self.system


def cost_s(pid: int) -> Cost:
    """What a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return Cost(*(int(field) / os.sysconf("SC_CLK_TCK") for field in fields[11:13]))


async def fan_out(bout: Bout, frames: int, gathered: int) -> Cost:
    """Send so many frames, one after the other is delivered everywhere; µs of CPU a delivery."""
    ledger, sender = bout.crowd.ledger, bout.crowd.senders[0]
    sessions = bout.contestant.sessions
    heard = [agent.bytes_heard for agent in bout.crowd.agents]
    before = cost_s(bout.house.pid)
    for _ in range(frames):
        sender.write(framed(bout.traffic, [ledger.ask(clock()) for _ in range(gathered)]))
        await until(lambda: ledger.is_done, clock() + 30)
    bytes_before = -1
    while (now := sum(agent.bytes_heard for agent in bout.crowd.agents)) != bytes_before:  # the last session too
        bytes_before = now
        await asyncio.sleep(0.05)
    deaf = sum(agent.bytes_heard == n for agent, n in zip(bout.crowd.agents, heard, strict=True))
    if deaf or ledger.missing():
        raise RuntimeError(f"{deaf} sessions heard nothing; {ledger.missing()}")
    after, deliveries = cost_s(bout.house.pid), frames * gathered * sessions
    return Cost(*(1e6 * (new - old) / deliveries for new, old in zip(after, before, strict=True)))


async def measure(bouts: dict[str, Bout], rounds: int, frames: int) -> dict[str, list[Cost]]:
    """In turns."""
    found: dict[str, list[Cost]] = {name: [] for name in TURNS}
    for number in range(rounds):
        for name, (house, gathered) in TURNS.items():
            found[name].append(await fan_out(bouts[house], frames, gathered))
        figures = [round(costs[-1].whole, 2) for costs in found.values()]
        print(f"  round {number + 1} of {rounds}: {figures}", flush=True)
    return found


def judged(made: report.Report, found: dict[str, list[Cost]]) -> None:
    """Rows and goals: how far below the loop each is, how far the floor is, and how near to that ours comes."""
    whole = {name: [cost.whole for cost in costs] for name, costs in found.items()}
    floors = {OURS: FLOOR, LOOP: FLOOR, GATHERING: FLOOR_GATHERING}
    made.columns = ["", "µs of server CPU a session", "the system's", "times less than the loop", "times the floor"]
    for name, costs in found.items():
        system = statistics.median(cost.system for cost in costs)
        above = report.ratio(whole[name], whole[floors[name]]) if name in floors else None
        made.row(name, statistics.median(whole[name]), system, report.ratio(whole[LOOP], whole[name]), above)
    for what, ours, least, aim in (("one entry", OURS, 8, None), ("what gathers in a tick", GATHERING, None, 50)):
        reached, most = (report.ratio(whole[LOOP], whole[name]) for name in (ours, floors[ours]))
        made.goals += [
            report.Goal(f"fan-out of {what}, to a loop of send_message", reached, "×", least, aim),
            report.Goal(f"the same, were there no server at all, {what}", most, "×"),
        ]
    made.data = {name: [[cost.user, cost.system] for cost in costs] for name, costs in found.items()}


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--sessions", type=int)
    given = parser.parse_args()
    sessions = given.sessions or (200 if given.quick else 1_000)
    raise_limit(4 * sessions + 500)
    shape = {"senders": 1, "agents": 1, "sessions": sessions}
    contestants = [
        Contestant(OURS, lambda: Message(1), warm_up=20, **shape),
        Contestant(LOOP, lambda: Message(1), "bench.bare", warm_up=20, **shape),
        Contestant(FLOOR, lambda: Message(1), "bench.floor", warm_up=20, **shape),
    ]
    rounds, frames = (1, 20) if given.quick else (5, 60)

    async def work(bouts: dict[str, Bout]) -> dict[str, list[Cost]]:
        for agent in (agent for bout in bouts.values() for agent in bout.crowd.agents[1:]):
            agent.deaf = True
        return await measure(bouts, rounds, frames)

    found = with_houses(contestants, work, server={"heartbeat_s": 3_600})  # deaf sessions answer no pings
    made = report.Report("fanout", f"One entry to {sessions:,} sessions", not_shown=NOT_SHOWN)
    judged(made, found)
    with report.plot(made, keep=not given.quick) as axes:
        names = list(found)
        bars = axes.barh(names, [statistics.median(cost.whole for cost in found[name]) for name in names])
        axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.set_xlabel("µs of server CPU a session")
    made.publish(keep=not given.quick)


if __name__ == "__main__":
    main()

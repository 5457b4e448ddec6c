"""One entry to 1,000 sessions: µs of the server's time a session, beside a loop of ``send_message``.

    python -m bench.fanout                      # --sessions 1000, --quick

One agent with 1,000 sessions hears what a backend writes. Ours: the real server, whole. The other: ``bench.bare``,
which after each commit goes round all sessions with ``send_message``. Time is the CPU time of the server's process,
request, commit and all, divided by deliveries; this process reads everything and looks at one session of the thousand.
``gathered``: the backend writes 16 messages in one frame, so what is ready for a session goes out in one write.
"""

from __future__ import annotations

import asyncio
import statistics

from bench import report
from bench.house import raise_limit
from bench.load import Bout, Contestant, with_houses
from loadtest.openloop import clock, framed, until
from loadtest.traffic import Message

GATHERED = 16
OURS, GATHERING, LOOP = "signalbox, one entry", f"signalbox, {GATHERED} entries at once", "loop of send_message"
NOT_SHOWN = (
    "a network, sessions that read slowly, TLS. The request itself is in both figures, and with 1,000 sessions a small "
    "part of them. CPU time comes in hundredths of a second."
)


async def fan_out(bout: Bout, frames: int, gathered: int) -> float:
    """Send so many frames, one after the other is delivered everywhere; µs of CPU a delivery."""
    ledger, sender = bout.crowd.ledger, bout.crowd.senders[0]
    sessions = bout.contestant.sessions
    heard = [agent.bytes_heard for agent in bout.crowd.agents]
    cpu = bout.house.cpu_s()
    for _ in range(frames):
        sender.write(framed(bout.traffic, [ledger.ask(clock()) for _ in range(gathered)]))
        await until(lambda: ledger.is_done, clock() + 30)
    before = -1
    while (now := sum(agent.bytes_heard for agent in bout.crowd.agents)) != before:  # the last session too
        before = now
        await asyncio.sleep(0.05)
    deaf = sum(agent.bytes_heard == n for agent, n in zip(bout.crowd.agents, heard, strict=True))
    if deaf or ledger.missing():
        raise RuntimeError(f"{deaf} sessions heard nothing; {ledger.missing()}")
    return 1e6 * (bout.house.cpu_s() - cpu) / (frames * gathered * sessions)


async def measure(bouts: dict[str, Bout], rounds: int, frames: int) -> dict[str, list[float]]:
    """In turns."""
    found: dict[str, list[float]] = {OURS: [], GATHERING: [], LOOP: []}
    for number in range(rounds):
        found[OURS].append(await fan_out(bouts[OURS], frames, 1))
        found[GATHERING].append(await fan_out(bouts[OURS], frames, GATHERED))
        found[LOOP].append(await fan_out(bouts[LOOP], frames, 1))
        print(f"  round {number + 1} of {rounds}: {[round(values[-1], 2) for values in found.values()]}", flush=True)
    return found


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--sessions", type=int)
    given = parser.parse_args()
    sessions = given.sessions or (200 if given.quick else 1_000)
    raise_limit(3 * sessions + 500)
    shape = {"senders": 1, "agents": 1, "sessions": sessions}
    contestants = [
        Contestant(OURS, lambda: Message(1), **shape),
        Contestant(LOOP, lambda: Message(1), "bench.bare", warm_up=20, **shape),
    ]
    contestants[0].warm_up = 20
    rounds, frames = (1, 20) if given.quick else (5, 60)

    async def work(bouts: dict[str, Bout]) -> dict[str, list[float]]:
        for agent in (agent for bout in bouts.values() for agent in bout.crowd.agents[1:]):
            agent.deaf = True
        return await measure(bouts, rounds, frames)

    found = with_houses(contestants, work, server={"heartbeat_s": 3_600})  # deaf sessions answer no pings
    made = report.Report("fanout", f"One entry to {sessions:,} sessions", not_shown=NOT_SHOWN)
    made.columns = ["", "µs of server CPU a session", "times less than the loop"]
    for name, values in found.items():
        made.row(name, statistics.median(values), report.ratio(found[LOOP], values))
    made.goals = [
        report.Goal("fan-out of one entry, to a loop of send_message", report.ratio(found[LOOP], found[OURS]), "×", 8),
        report.Goal("fan-out of what gathers in a tick", report.ratio(found[LOOP], found[GATHERING]), "×", None, 50),
    ]
    made.data = dict(found)
    with report.plot(made, keep=not given.quick) as axes:
        names = list(found)
        bars = axes.barh(names, [statistics.median(found[name]) for name in names])
        axes.bar_label(bars, fmt="%.2f", padding=3)
        axes.set_xlabel("µs of server CPU a session")
    made.publish(keep=not given.quick)


if __name__ == "__main__":
    main()

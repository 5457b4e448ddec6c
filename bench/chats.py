"""New conversation → durable assignment → delivered to its agent's socket, 200 agents: how many a second, at what cost.

    python -m bench.chats                       # --store sqlite|postgresql, --live 100000, --quick

Fifty sockets hand in the first words of people nobody knows, one a frame. First the open-loop search for the highest
rate at which every conversation that was acknowledged has reached an agent's socket. Then the house is filled, and the
server's CPU time a chat is taken while it holds 100, 1,000, 10,000 and 100,000 live ones: it must not grow. The agents'
slots are without limit. For the same test happychat-service fell from 76 a second at 100 chats to 11 at 1,000, and Live
Helper Chat did 61 (both on a machine of this size, ``docs/performance.md``).
"""

from __future__ import annotations

from msgspec import Struct

from bench import report
from bench.house import STORES, raise_limit
from bench.load import Bout, Contestant, with_houses
from loadtest.openloop import Run
from loadtest.traffic import Start

AGENTS = 200
HAPPYCHAT, LIVE_HELPER = 76.0, 61.0
OURS = "signalbox"
NOT_SHOWN = (
    "a network; client, store and server share the cores; agents with limits (bench.slots), who then wait their turn. "
    "Both peers were measured on another day, in memory (happychat) and with MariaDB (Live Helper Chat)."
)


class Found(Struct):
    """What came out."""

    rate: float
    runs: list[Run]
    cost: dict[int, tuple[float, float]]  # live chats -> ms of CPU a chat, memory in MB


async def measure(bout: Bout, live: list[int], quick: bool) -> Found:
    """The cost at each size, then the search."""
    cost: dict[int, tuple[float, float]] = {}
    probe = 50 if quick else 1_000
    for size in live:
        held = len(bout.crowd.ledger)
        if held < size:
            bout.contestant.frame = 64  # filled in faster
            await bout.flood(size - held)
            bout.contestant.frame = 1
        cpu = bout.house.cpu_s()
        await bout.flood(probe, depth=1)
        cost[size] = (1000 * (bout.house.cpu_s() - cpu) / probe, bout.house.memory_mb())
        print(f"  {size:,} live: {cost[size][0]:.2f} ms of CPU a chat", flush=True)
    return Found(0.0, [], cost)


async def rates(bout: Bout, quick: bool) -> tuple[float, list[Run]]:
    """The search for the highest rate."""
    first = await bout.flood(300 if quick else 3_000, depth=2)
    return await bout.search(first * 0.8, 1.0 if quick else 4.0, 0.25 if quick else 0.06)


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--store", choices=STORES, default="postgresql")
    parser.add_argument("--live", type=int, help="live conversations at the end (default: 100000)")
    given = parser.parse_args()
    raise_limit(2_000)
    most = given.live or (1_000 if given.quick else 100_000)
    live = [size for size in (100, 1_000, 10_000, 100_000, 1_000_000) if size <= most]

    async def work(bouts: dict[str, Bout]) -> Found:
        rate, runs = await rates(bouts[OURS], given.quick)
        found = await measure(bouts["filled"], live, given.quick)
        return Found(rate, runs, found.cost)

    shape = {"store": given.store, "agents": AGENTS}
    fresh = Contestant(OURS, Start, batch=False, warm_up=50, **shape)
    found = with_houses([fresh, Contestant("filled", Start, warm_up=20, **shape)], work)
    made = report.Report("chats", f"New conversations to {AGENTS} agents, one a frame, {given.store}")
    made.not_shown = NOT_SHOWN
    made.columns = ["", "", "times Live Helper Chat", "times happychat at 100"]
    made.row("highest sustainable rate, a second", found.rate, found.rate / LIVE_HELPER, found.rate / HAPPYCHAT)
    best = next((run for run in reversed(found.runs) if run.is_sustained), found.runs[-1])
    made.row("delivered to the agent at that rate, p50 ms", best.ms(50, delivered=True))
    made.row("p99 ms", best.ms(99, delivered=True))
    for size, (cost, memory) in found.cost.items():
        made.row(f"CPU a chat with {size:,} live, ms ({memory:,.0f} MB)", cost)
    growth = found.cost[live[-1]][0] / found.cost[live[0]][0]
    made.goals = [
        report.Goal("new chats a second, delivered, to Live Helper Chat's 61", found.rate / LIVE_HELPER, "×", 30, 60),
        report.Goal("the same to happychat's 76 at 100 chats", found.rate / HAPPYCHAT, "×", 30, 60),
        report.Goal(f"cost of a chat at {live[-1]:,} live to that at {live[0]:,}", growth, "×", 1.3, 1.1, True),
    ]
    made.data = {"runs": [[r.rate, r.is_sustained, r.ms(50), r.ms(99)] for r in found.runs],
                 "cost": {str(size): cost for size, cost in found.cost.items()}}  # fmt: skip
    with report.plot(made, keep=not given.quick) as axes:
        axes.plot(live, [found.cost[size][0] for size in live], "o-", label="signalbox")
        axes.plot([100, 1_000], [13, 90], "s--", label="happychat-service (measured elsewhere)")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("live conversations")
        axes.set_ylabel("ms of the server's CPU a new conversation")
        axes.legend()
    made.publish(keep=not given.quick)


if __name__ == "__main__":
    main()

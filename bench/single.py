"""The highest sustainable rate, one request a frame, beside a bare trio-websocket server: open loop, all delivered.

    python -m bench.single                      # --store sqlite|postgresql, --sockets 50, --quick

Both servers get the same traffic from the same client: a backend's message, to be committed, acknowledged and delivered
to one agent's socket. The bare one (``bench/bare.py``) decodes, commits what has gathered, answers and delivers by
``send_message``, and knows no rules. A rate counts if all of it was acknowledged and delivered in time.
"""

from __future__ import annotations

from bench import report
from bench.house import STORES, raise_limit
from bench.load import Bout, Contestant, with_houses
from loadtest.openloop import Run
from loadtest.traffic import Message

NOT_SHOWN = (
    "a network; client, store and server share the cores, so the client takes part of what the server could use. The "
    "bare server writes the entry only; ours writes the conversation with its clocks and unread counts too, and also "
    "tells the sender."
)
OURS, BARE, STOCK = "signalbox", "bare trio-websocket", "same core, stock transport"


async def measure(bouts: dict[str, Bout], quick: bool) -> dict[str, tuple[float, list[Run]]]:
    """A search for each."""
    seconds, within = (1.0, 0.25) if quick else (4.0, 0.06)
    found = {}
    for name, bout in bouts.items():
        first = await bout.flood(500 if quick else 5_000)
        found[name] = await bout.search(first * 0.8, seconds, within)
    return found


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--store", choices=STORES, default="postgresql")
    parser.add_argument("--sockets", type=int, default=50)
    given = parser.parse_args()
    raise_limit(2_000)
    shape = {"store": given.store, "senders": given.sockets, "batch": False}
    contestants = [
        Contestant(OURS, Message, **shape),
        Contestant(BARE, Message, "bench.bare", **shape),
        Contestant(STOCK, Message, "bench.stock", **shape),
    ]

    async def work(bouts: dict[str, Bout]) -> dict[str, tuple[float, list[Run]]]:
        return await measure(bouts, given.quick)

    found = with_houses(contestants, work)
    title = f"Highest sustainable rate, one a frame, {given.sockets} sockets, {given.store}"
    made = report.Report("single", title, not_shown=NOT_SHOWN)
    made.columns = ["", "requests/s", "times bare", "p50 ms", "p99 ms", "client p99 late ms"]
    bare = found[BARE][0]
    for name, (rate, runs) in found.items():
        best = next((run for run in reversed(runs) if run.rate == rate and run.is_sustained), runs[-1])
        made.row(name, rate, rate / bare if bare else None, best.ms(50), best.ms(99), 1000 * best.behind_s)
    ratio = found[OURS][0] / bare if bare else 0.0
    made.goals = [report.Goal("one a frame, everything delivered, to a bare trio-websocket server", ratio, "×", 2, 4)]
    made.data = {n: [[r.rate, r.is_sustained, r.ms(50), r.ms(99)] for r in runs] for n, (_, runs) in found.items()}
    draw(made, found, keep=not given.quick)
    made.publish(keep=not given.quick)


def draw(made: report.Report, found: dict[str, tuple[float, list[Run]]], *, keep: bool) -> None:
    """Latency over rate, kept and not kept."""
    with report.plot(made, keep=keep) as axes:
        for name, (_, runs) in found.items():
            ordered = sorted(runs, key=lambda run: run.rate)
            [line] = axes.plot([r.rate for r in ordered], [r.ms(99) for r in ordered], "-", label=name)
            for run in ordered:
                axes.plot(run.rate, run.ms(99), "o" if run.is_sustained else "x", color=line.get_color())
        axes.set_yscale("log")
        axes.set_xlabel("requests a second (o: all acknowledged and delivered in time, x: not)")
        axes.set_ylabel("p99, ms from the scheduled moment")
        axes.legend()


if __name__ == "__main__":
    main()

"""Durable requests a second, 64 in a frame, beside one a frame through stock trio-websocket; and latency at half load.

    python -m bench.batch                       # --store sqlite|postgresql, --quick

Each request is a message of a backend into one of 200 conversations, acknowledged when it is committed and delivered to
the socket of the assigned agent. Floods (a few frames of each sender under way) in turns, counted until the last one is
delivered; then an open loop at shares of what was reached, whose latencies count from the scheduled moment.
"""

from __future__ import annotations

import statistics
import time

from actors.effects import Output
from bench import report
from bench.house import STORES, a_store, raise_limit
from bench.load import Bout, Contestant, floods_in_turns, with_houses
from bench.rooms import BACKEND, TEXT, Room, results
from loadtest.openloop import Run
from loadtest.traffic import Message
from router import build
from storage.urls import open_store

FRAME = 64
STOCK = "bench.stock"
SHARES = (0.1, 0.25, 0.5, 0.7, 0.8, 0.9)
NOT_SHOWN = (
    "a network; the client, the store and the server share the cores; other requests cost more (a new conversation: "
    "bench.chats). 'Stock' is the same core, store and codec behind get_message and send_message."
)


def contestants(store: str) -> list[Contestant]:
    """Those that are compared."""
    return [
        Contestant("64 a frame, 50 sockets", Message, store=store, frame=FRAME),
        Contestant("64 a frame, one socket", Message, store=store, frame=FRAME, senders=1),
        Contestant("stock, one a frame, 50 sockets", Message, STOCK, store, batch=False),
        Contestant("stock, one a frame, one socket", Message, STOCK, store, senders=1, batch=False),
    ]


def core_alone(count: int) -> tuple[float, list[Output]]:
    """How many messages a second of CPU the core does, 512 in a step; and what it made of them."""
    room = Room()
    conversations = [
        result.conversation.id
        for result in results(room.give(*(room.receive(f"+{n}", service="s0") for n in range(200))))
    ]
    steps = [
        [
            room.asked(BACKEND, "message.send", conversation=conversations[n % 200], text=TEXT)
            for n in range(at, at + 512)
        ]
        for at in range(0, count, 512)
    ]
    began = time.process_time()
    outputs = [room.give(*inputs) for inputs in steps]
    return 512 * len(steps) / (time.process_time() - began), outputs


def alone(store: str, count: int) -> dict[str, float]:
    """What the core and the store do a second by themselves with the same requests: the limits of the whole."""
    core, outputs = core_alone(count)
    with a_store(store) as url:
        kept = open_store(url)
        began = time.perf_counter()
        for output in outputs:
            kept.commit(output.batch)
        store_s = time.perf_counter() - began
        kept.close()
    return {
        f"the core alone ({build.core()}), 512 in a step": core,
        "the store alone, 512 in a commit": 512 * len(outputs) / store_s,
    }


async def measure(bouts: dict[str, Bout], quick: bool) -> tuple[dict[str, list[float]], list[Run]]:
    """Floods in turns, then the open loop of the first."""
    large, small = (4_000, 500) if quick else (40_000, 6_000)
    whose = {name: bout.contestant for name, bout in bouts.items()}  # a slow one floods less, for as long a time
    counts = {name: large if its.frame > 1 else small // (4 if its.senders == 1 else 1) for name, its in whose.items()}
    rates = await floods_in_turns(bouts, counts, 1 if quick else 3)
    first = next(iter(bouts.values()))
    full = statistics.median(rates[first.contestant.name])
    parts = (0.5,) if quick else SHARES
    return rates, [await first.run(full * share, 2.0 if quick else 6.0) for share in parts]


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--store", choices=STORES, default="postgresql")
    given = parser.parse_args()
    raise_limit(2_000)
    names = [its.name for its in contestants(given.store)]

    async def work(bouts: dict[str, Bout]) -> tuple[dict[str, list[float]], list[Run]]:
        return await measure(bouts, given.quick)

    rates, runs = with_houses(contestants(given.store), work)
    name = "batch" if given.store == "postgresql" else f"batch-{given.store}"
    made = report.Report(name, f"Durable requests a second, {given.store}", not_shown=NOT_SHOWN)
    made.columns = ["", "requests/s", "times stock, 50 sockets", "times stock, one socket"]
    for contestant in names:
        ratios = [report.ratio(rates[contestant], rates[other]) for other in names[2:]]
        made.row(contestant, statistics.median(rates[contestant]), *ratios)
    for what, rate in alone(given.store, 2_048 if given.quick else 20_000).items():
        made.row(f"for comparison: {what}", rate)
    half = next(found for found in runs if found.rate == statistics.median(rates[names[0]]) * 0.5)
    made.row("p50 at half of the first, ms", half.ms(50))
    made.row("p99 at half of the first, ms", half.ms(99))
    first, second = (report.ratio(rates[names[place]], rates[names[place + 2]]) for place in (0, 1))
    made.goals = [
        report.Goal(f"64 a frame to one a frame over stock, fifty connections, {given.store}", first, "×", 20, 40),
        report.Goal(f"the same, one connection, {given.store}", second, "×", 20, 40),
        report.Goal(
            f"durable requests, 64 a frame, {given.store}", statistics.median(rates[names[0]]), "/s", None, 1e5
        ),
        report.Goal(f"p99 to the acknowledgement at half of that, {given.store}", half.ms(99), "ms", 25, 10, True),
    ]
    made.data = {"rates": rates, "open loop": [[r.rate, r.ms(50), r.ms(99), r.ms(99.9)] for r in runs]}
    draw(made, runs, keep=not given.quick)
    made.publish(keep=not given.quick)


def draw(made: report.Report, runs: list[Run], *, keep: bool) -> None:
    """Latency over throughput."""
    with report.plot(made, keep=keep) as axes:
        kept = [found for found in runs if found.is_sustained]
        for percentile in (50.0, 99.0, 99.9):
            axes.plot([r.rate for r in kept], [r.ms(percentile) for r in kept], "o-", label=f"p{percentile:g}")
        axes.set_yscale("log")
        axes.set_xlabel("durable requests a second, 64 a frame (only rates that were kept)")
        axes.set_ylabel("ms, scheduled → acknowledged")
        axes.legend()


if __name__ == "__main__":
    main()

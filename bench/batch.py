"""Durable requests a second, 64 in a frame, beside one a frame through stock trio-websocket; and latency at half load.

    python -m bench.batch                       # --store sqlite|postgresql, --quick

Each request is a message of a backend into one of 200 conversations, acknowledged when it is committed and delivered to
the socket of the assigned agent. Floods (a few frames of each sender under way) in turns, counted until the last one is
delivered; then an open loop at shares of what was reached, whose latencies count from the scheduled moment. Before it
PostgreSQL makes a checkpoint: from then on it uses the files of its log again, as one does that has run for a day, and
does not stop at every 16 MB to make one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from bench import report
from bench.house import STORES, a_store, ask, raise_limit
from bench.load import Bout, Contestant, floods_in_turns, with_houses
from bench.rooms import BACKEND, TEXT, Room, results
from loadtest.openloop import Run
from loadtest.traffic import Message
from protocol.records import Batch
from router import build, garbage
from storage.urls import open_store

FRAME = 64
STEP = 512
CONVERSATIONS = 200
STOCK = "bench.stock"
SHARES = (0.1, 0.25, 0.5, 0.7, 0.8, 0.9)
NOT_SHOWN = (
    "a network; the client, the store and the server share the cores; other requests cost more (a new conversation: "
    "bench.chats). 'Stock' is the same core, store and codec behind get_message and send_message. 'The core alone' has "
    "the garbage collector set as the server sets it (router/garbage.py) and keeps no output."
)


def contestants(store: str) -> list[Contestant]:
    """Those that are compared."""
    return [
        Contestant("64 a frame, 50 sockets", Message, store=store, frame=FRAME),
        Contestant("64 a frame, one socket", Message, store=store, frame=FRAME, senders=1),
        Contestant("stock, one a frame, 50 sockets", Message, STOCK, store, batch=False),
        Contestant("stock, one a frame, one socket", Message, STOCK, store, senders=1, batch=False),
    ]


def steps_alone(count: int) -> Iterator[tuple[float, Batch]]:
    """The core with the same messages, 512 in a step: the seconds of CPU each step took, and what is to be written.

    It runs as in the server: the garbage collector is set as there (and stays so), and no output is kept. With the
    collector as Python sets it, and all outputs kept, a third of the figure was the collector looking at them.
    """
    with garbage.loading():
        room = Room()
        starts = [
            room.asked(BACKEND, "conversation.start", contact=f"k{n}", service="s0", channel="web")
            for n in range(CONVERSATIONS)
        ]
        names = [result.conversation.id for result in results(room.give(*starts))]
    for at in range(0, count, STEP):
        inputs = [
            room.asked(BACKEND, "message.send", conversation=names[n % CONVERSATIONS], text=TEXT)
            for n in range(at, at + STEP)
        ]
        before = time.process_time()
        output = room.give(*inputs)
        yield time.process_time() - before, output.batch


def core_alone(count: int) -> float:
    """How many messages a second of CPU the core does."""
    taken = [step_s for step_s, _ in steps_alone(count)]
    return STEP * len(taken) / sum(taken)


def store_alone(store: str, count: int) -> float:
    """How many of the same messages a second the store takes, a step in a commit, each as it comes."""
    steps, taken_s = 0, 0.0
    with a_store(store) as url:
        kept = open_store(url)
        for _, batch in steps_alone(count):
            before = time.perf_counter()
            kept.commit(batch)
            steps, taken_s = steps + 1, taken_s + time.perf_counter() - before
        kept.close()
    return STEP * steps / taken_s


def alone(store: str, count: int) -> dict[str, float]:
    """What the core and the store do a second by themselves with the same requests: the limits of the whole."""
    return {
        f"the core alone ({build.core()}), {STEP} in a step": core_alone(count),
        f"the store alone, {STEP} in a commit": store_alone(store, count),
    }


async def measure(bouts: dict[str, Bout], quick: bool) -> tuple[dict[str, list[float]], list[Run]]:
    """Floods in turns, then the open loop of the first."""
    large, small = (4_000, 500) if quick else (40_000, 6_000)
    whose = {name: bout.contestant for name, bout in bouts.items()}  # a slow one floods less, for as long a time
    counts = {name: large if its.frame > 1 else small // (4 if its.senders == 1 else 1) for name, its in whose.items()}
    rates = await floods_in_turns(bouts, counts, 1 if quick else 3)
    first = next(iter(bouts.values()))
    full = statistics.median(rates[first.contestant.name])
    if first.contestant.store == "postgresql":
        await ask(first.house.store, "CHECKPOINT")
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

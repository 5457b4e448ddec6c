"""Group commit beside a commit for every event, in both stores: what a batch is worth.

    python -m bench.commit [--quick]

The batches are the core's own: messages of connectors into live conversations, stepped so many at a time (so each is an
entry, its conversation and its request's key), then committed to a real store, the same messages in every size, sizes
in turns. ``entries only`` is the same without conversations and keys. Steps are not timed.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack

from bench import report
from bench.house import STORES, a_store
from bench.rooms import Room
from protocol.records import Batch
from storage.urls import store_of

SIZES = (1, 16, 64, 256, 1_024)
NOT_SHOWN = (
    "other disks: the cost of a commit of one event is that of one fsync; the core and the sockets; PostgreSQL over a "
    "network. fsync is on, and synchronous_commit, and synchronous=FULL in SQLite."
)


def batches(room: Room, size: int, count: int) -> Iterator[Batch]:
    """``count`` messages, so many in a step. Nothing is committed here."""
    for begin in range(0, count, size):
        yield room.messages(min(size, count - begin))


def entries_only(batch: Batch) -> Batch:
    """What an append-only journal would write."""
    return Batch(entries=batch.entries)


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    given = parser.parse_args()
    rounds = 1 if given.quick else 3
    made = report.Report("commit", "Durable events a second by the size of a batch", not_shown=NOT_SHOWN)
    made.columns = ["store, what is written", *(f"{size} a batch" for size in SIZES), "256 to 1"]
    with ExitStack() as stack:
        stores = {}
        for kind in STORES:
            stores[kind] = store_of(stack.enter_context(a_store(kind)))
            stores[kind].open()
            stack.callback(stores[kind].close)
        for kind, whole in itertools.product(STORES, (True, False)):
            store, rates = stores[kind], {size: list[float]() for size in SIZES}
            for turn in range(rounds):
                for size in SIZES:
                    room = Room(contacts=200, start=f"{kind}{whole}{turn}{size}", seq=store.load().last_seq)
                    count = max(min(8_192, size * 64), 300) // (8 if given.quick else 1)
                    waiting = list(batches(room, size, count))
                    if not whole:
                        waiting = [entries_only(batch) for batch in waiting]
                    began = time.perf_counter()
                    for batch in waiting:
                        store.commit(batch)
                    rates[size].append(count / (time.perf_counter() - began))
            name = f"{kind}, {'whole messages' if whole else 'entries only'}"
            gain = report.ratio(rates[256], rates[1])
            made.row(name, *(statistics.median(rates[size]) for size in SIZES), gain)
            made.data[name] = {str(size): values for size, values in rates.items()}
            least = 25 if kind == "postgresql" else 30
            made.goals.append(report.Goal(f"group commit of 256, {name}", gain, "×", least))
            print(f"  {name}: {gain:.1f} times", flush=True)
    with report.plot(made, keep=not given.quick) as axes:
        for name, rates_of in made.data.items():
            axes.plot(SIZES, [statistics.median(rates_of[str(size)]) for size in SIZES], "o-", label=name)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("events in a transaction")
        axes.set_ylabel("durable events a second")
        axes.legend()
    made.publish(keep=not given.quick)


if __name__ == "__main__":
    main()

"""Group commit beside a commit for every event, in both stores: what a batch is worth; and rows beside a journal.

    python -m bench.commit [--store sqlite|postgresql] [--contacts 200] [--quick]

The batches are the core's own: messages of connectors into live conversations, stepped so many at a time (so each is an
entry, its conversation and its request's key), then committed to a real store, as many messages of the same people
in every size, sizes and ways in turns. Steps are not timed.

============================  =====================================================================================
``whole messages``            rows, as the server writes them
``entries only``              the same without conversations and keys
``blob journal``              one row a batch, which holds all of it (``bench.journal``)
``blob journal, rows later``  that, and every 2,048 events the rows of all of them in one transaction: what a projection
                              would write, each conversation once, in the same thread
============================  =====================================================================================

CPU is that of this process and of the database's, for batches of 256. How often a conversation comes again within 2,048
events decides what a projection saves: here there are ``--contacts`` of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from bench import report
from bench.house import STORES, a_store
from bench.journal import Journal, journal_of, journal_then_rows
from bench.rooms import Room
from protocol.records import Batch
from router import garbage
from storage.store import Store
from storage.urls import store_of

SIZES = (1, 16, 64, 256, 1_024)
JUDGED = 256
LEAST = {"sqlite": 30, "postgresql": 25}
WHOLE, ENTRIES, JOURNAL, LATER = "whole messages", "entries only", "blob journal", "blob journal, rows later"
NOT_SHOWN = (
    "other disks: the cost of a commit of one event is that of one fsync; the core and the sockets; PostgreSQL over a "
    "network. fsync is on, and synchronous_commit, and synchronous=FULL in SQLite. A journal is neither read nor "
    "emptied here, and its rows are written by the thread that writes it; a second one would take as much CPU."
)
Write = Callable[[list[Batch]], None]


def batches(room: Room, size: int, count: int) -> Iterator[Batch]:
    """``count`` messages, so many in a step. Nothing is committed here."""
    for begin in range(0, count, size):
        yield room.messages(min(size, count - begin))


def entries_only(batch: Batch) -> Batch:
    """What an append-only journal would write."""
    return Batch(entries=batch.entries)


def ways(store: Store, journal: Journal) -> dict[str, Write]:
    """How batches can be made durable."""

    def each(commit: Callable[[Batch], None], batches: list[Batch]) -> None:
        for batch in batches:
            commit(batch)

    return {
        WHOLE: lambda batches: each(store.commit, batches),
        ENTRIES: lambda batches: each(lambda batch: store.commit(entries_only(batch)), batches),
        JOURNAL: lambda batches: each(journal.commit, batches),
        LATER: lambda batches: journal_then_rows(journal, store, batches),
    }


class Found:
    """By the size of a batch: events a second of each turn, and µs of CPU an event."""

    def __init__(self) -> None:
        self.rates = {size: list[float]() for size in SIZES}
        self.cpu_us = {size: list[float]() for size in SIZES}

    @property
    def gain(self) -> float:
        """What a group is worth."""
        return report.ratio(self.rates[JUDGED], self.rates[SIZES[0]])


def measure(url: str, contacts: int, quick: bool) -> dict[str, Found]:
    """Every way and every size in turns."""
    with ExitStack() as stack:
        store = store_of(url)
        store.open()
        stack.callback(store.close)
        journal = journal_of(url)
        stack.callback(journal.close)
        found = {way: Found() for way in ways(store, journal)}
        with garbage.loading():  # collections as in the server
            room = Room(contacts=contacts)
        for turn in range(1 if quick else 3):
            for size in SIZES:
                for way, write in ways(store, journal).items():
                    count = max(min(8_192, size * 64), 300) // (8 if quick else 1)
                    waiting = list(batches(room, size, count))
                    began, before = time.perf_counter(), journal.cpu_s()
                    write(waiting)
                    found[way].rates[size].append(count / (time.perf_counter() - began))
                    found[way].cpu_us[size].append(1e6 * (journal.cpu_s() - before) / count)
            print(f"  {url.partition(':')[0]}: turn {turn + 1}", flush=True)
    return found


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--store", choices=STORES, action="append")
    parser.add_argument("--contacts", type=int, default=200)
    given = parser.parse_args()
    made = report.Report("commit", "Durable events a second by the size of a batch", not_shown=NOT_SHOWN)
    made.columns = ["store, what is written", *(f"{size} a batch" for size in SIZES), f"{JUDGED} to 1",
                    "µs of CPU an event"]  # fmt: skip
    for kind in given.store or STORES:
        with a_store(kind) as url:
            for way, found in measure(url, given.contacts, given.quick).items():
                rates = {size: statistics.median(found.rates[size]) for size in SIZES}
                made.row(f"{kind}, {way}", *rates.values(), found.gain, statistics.mean(found.cpu_us[JUDGED]))
                made.data[f"{kind}, {way}"] = {str(size): values for size, values in found.rates.items()}
                if way in (WHOLE, ENTRIES):
                    made.goals.append(
                        report.Goal(f"group commit of {JUDGED}, {kind}, {way}", found.gain, "×", LEAST[kind])
                    )
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

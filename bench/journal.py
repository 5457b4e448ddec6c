"""A journal in place of rows, to be measured beside them: one row a batch, with all of it, encoded as MessagePack.

It is what a store could commit if the rows were made of it afterwards, by a projection. Each is in the same database as
the rows, and as durable. Nothing reads it, checks that nobody else writes, or deletes what was projected: so it is the
least that a journal costs.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import apsw
import msgspec

from bench.database import Database
from protocol.records import Batch
from storage.postgres_link import Link
from storage.store import Store
from storage.tables import TABLE_OF

PROJECTED = 2_048  # events, after which a projection writes the rows of all of them at once
_encode = msgspec.msgpack.Encoder(enc_hook=int).encode  # of all in a batch only ticks are of a type of their own


class Journal(Protocol):
    """A journal of one database."""

    def commit(self, batch: Batch) -> None:
        """Write it durably, encoding and all."""

    def cpu_s(self) -> float:
        """CPU time so far of this process, and of the database's if it has any of its own."""

    def close(self) -> None:
        """Let go of it."""


class SqliteJournal:
    """In a SQLite file. Parameter: its URL."""

    def __init__(self, url: str) -> None:
        self._connection = apsw.Connection(url.removeprefix("sqlite:///"))
        self._connection.pragma("journal_mode", "WAL")
        self._connection.pragma("synchronous", "FULL")
        self._connection.execute("CREATE TABLE journal (number INTEGER PRIMARY KEY, batch BLOB NOT NULL)")

    def commit(self, batch: Batch) -> None:
        """One row."""
        self._connection.execute("INSERT INTO journal (batch) VALUES (?)", (_encode(batch),))

    def cpu_s(self) -> float:
        """SQLite is in this process."""
        return time.process_time()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class PostgresJournal:
    """In a PostgreSQL database of this machine. Parameter: its URL."""

    def __init__(self, url: str) -> None:
        self._link = Link(url, patience_s=30.0)
        self._link.run(self._create)
        self._database = Database(url)

    async def _create(self, connection: Any) -> None:
        await connection.execute(
            "CREATE TABLE journal (number bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, batch bytea NOT NULL)"
        )

    def commit(self, batch: Batch) -> None:
        """One row, one round trip."""
        data = _encode(batch)
        self._link.run(lambda connection: connection.execute("INSERT INTO journal (batch) VALUES ($1)", data))

    def cpu_s(self) -> float:
        """This process, and all of PostgreSQL's."""
        return time.process_time() + sum(self._database.cpu_s().values())

    def close(self) -> None:
        """Disconnect."""
        self._link.close()


def journal_of(url: str) -> Journal:
    """An empty journal in the database that a store's URL means."""
    return PostgresJournal(url) if url.startswith("postgresql://") else SqliteJournal(url)


def journal_then_rows(journal: Journal, store: Store, batches: Iterable[Batch]) -> None:
    """Commit each batch to the journal; every so many events, and at the end, the rows of all since at once."""
    waiting: list[Batch] = []
    for batch in batches:
        journal.commit(batch)
        waiting.append(batch)
        if sum(len(one.entries) for one in waiting) >= PROJECTED:
            store.commit(merged(waiting))
            waiting.clear()
    if waiting:
        store.commit(merged(waiting))


def merged(batches: Sequence[Batch]) -> Batch:
    """What a projection writes of these: all entries and keys, and each record once, as it was last."""
    records = itertools.chain.from_iterable(batch.records for batch in batches)
    last = {(type(record), TABLE_OF[type(record)].key_of(record)): record for record in records}
    return Batch(
        entries=tuple(entry for batch in batches for entry in batch.entries),
        records=tuple(last.values()),
        keys=tuple(key for batch in batches for key in batch.keys),
    )

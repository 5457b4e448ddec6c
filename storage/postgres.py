"""The store in PostgreSQL.

asyncpg behind blocking calls: one link (connection and event loop) for ``commit`` and ``load``, another for
``read``, so that both may be called at once from two threads. A connection that was lost comes back with the next
call, and what was not written is done once more at once.

``commit`` tells the truth: it returns (written) or raises StorageUnavailable (not written). If its answer
is lost it asks the database which it was, for up to ``patience_s``. If it can reach nobody in that time it
refuses the batch, and whatever call comes next first makes sure that nothing of it is there; until then that
call, too, raises StorageUnavailable. How and why: ``storage/postgres_writing.py``.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from protocol.records import Batch, Question, Snapshot
from storage.batches import Sweep
from storage.postgres_link import LOST, Link, Work, translated
from storage.postgres_reading import answers, load, migrate
from storage.postgres_writing import Writing
from storage.store import StorageUnavailable, StorageUnfit

T = TypeVar("T")
SLOW_S = 3600.0  #: how long start-up may take: a migration of a large table, a hundred thousand conversations


class PostgresStore:
    """A workspace in a PostgreSQL database (in the first schema of the connection's search path).

    Parameters: ``url`` as libpq knows it; ``patience_s``, how long a call may take before the connection counts as
    lost, and how long a commit whose answer was lost looks for the truth; ``pause_s`` between two looks.
    """

    def __init__(self, url: str, *, patience_s: float = 30.0, pause_s: float = 0.25) -> None:
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._writer = Link(url, patience_s)
        self._reader = Link(url, patience_s)
        self._reading = threading.Lock()
        self._settling = threading.Lock()
        self._refused: Writing | None = None  # a commit that was called not written while nobody knew
        self._name = secrets.token_hex(8)
        self._number = 0  # of the last commit
        self._is_open = False
        self._sweep = Sweep()

    def open(self) -> None:
        """Connect and migrate. Raises StorageUnfit or StorageUnavailable."""
        self.migrate()

    def migrate(self) -> list[str]:
        """Like ``open``; gives the names of the migrations that were applied."""
        if self._is_open:
            return []
        with translated():
            applied, self._number = _patiently(self._writer, migrate, SLOW_S)
        self._is_open = True
        return applied

    def load(self) -> Snapshot:
        """Everything that is live. Raises StorageUnavailable."""
        self._check()
        with translated():
            self._settle(self._writer)
            snapshot, self._number = _patiently(self._writer, load, SLOW_S)
        return snapshot

    def commit(self, batch: Batch) -> None:
        """Write the batch in one transaction.

        Raises StorageUnavailable: nothing is written; StorageUnfit: another server writes to this database. Any
        other exception is a fault of the batch (mostly ValueError); nothing is written.
        """
        self._check()
        with translated():
            self._settle(self._writer)
            sweep = self._sweep.due(batch)
            try:
                self._write(batch, sweep)
            except LOST:
                self._write(batch, sweep)

    def read(self, questions: Sequence[Question]) -> list[Any]:
        """The answers, all from the same state. Raises StorageUnavailable."""
        with self._reading, translated():
            self._check()
            self._settle(self._reader)
            return _patiently(self._reader, lambda connection: answers(connection, questions))

    def close(self) -> None:
        """Disconnect; idempotent. The store may be opened again."""
        self._is_open = False
        self._writer.close()
        with self._reading:
            self._reader.close()

    def _check(self) -> None:
        if not self._is_open:
            raise StorageUnavailable("the store is not open")

    def _write(self, batch: Batch, sweep: tuple[int, int] | None) -> None:
        """One try. If it raises, nothing is written, nor will be."""
        writing = Writing(batch, self._name, self._number, sweep)
        try:
            self._writer.run(writing.write)
        except Exception as problem:
            if not writing.in_doubt:
                raise
            written = self._was_written(writing, problem)
            self._number = writing.number
            if not written:
                raise
        self._number = writing.number

    def _was_written(self, writing: Writing, problem: Exception) -> bool:
        """Find out. Raises StorageUnavailable if nobody can be asked: then the batch is refused, and later undone."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                return self._writer.run(writing.settle)
            except StorageUnfit:
                raise
            except Exception as silence:
                if time.monotonic() >= deadline:
                    writing.keep()
                    self._refused = writing
                    raise StorageUnavailable(f"PostgreSQL was lost at a commit: {silence}") from problem
                time.sleep(self._pause_s)

    def _settle(self, link: Link) -> None:
        """Take back a batch that was refused while nobody knew whether it was written."""
        with self._settling:
            if self._refused is not None:
                self._number = _patiently(link, self._refused.take_back)
                self._refused = None


def _patiently(link: Link, work: Work[T], patience_s: float | None = None) -> T:
    """Do what may be repeated; a connection that turns out to be lost costs one more try."""
    try:
        return link.run(work, patience_s)
    except LOST:
        return link.run(work, patience_s)

"""The store in one SQLite file: the default when the router is embedded.

WAL with ``synchronous=FULL``: a commit is one write to the log and one fsync, and readers see the last
committed state meanwhile. There are two connections, one that writes and one that only reads, each behind a
lock, so ``read`` may run in one thread while ``commit`` runs in another. A store in memory has one connection
for both, so its reads wait for a commit.

The file may be opened by others (an operator's shell, a backup); whoever writes commits in between is noticed
by the number in ``commits`` and this server stops, since what it has in memory is no longer true.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import msgspec

from protocol.records import Batch, Question, Snapshot
from storage.batches import CLAIM, SWEEPS, Sweep, contacts_of, rows_of, upsert
from storage.questions import ALL_KINDS, LOAD, for_sqlite, kind_of, snapshot_of
from storage.schema import ADD_VERSION, CREATE_VERSIONS, READ_VERSION, migrations, next_migration
from storage.store import StorageUnavailable, StorageUnfit
from storage.tables import TABLES, Row

MEMORY = ":memory:"

_UNAVAILABLE = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.ProtocolError,
    apsw.InterruptError,
    apsw.NoMemError,
)
_UNFIT = (
    apsw.NotADBError,
    apsw.CorruptError,
    apsw.FormatError,
    apsw.SQLError,
    apsw.SchemaChangeError,
    apsw.ConstraintError,
)
#: after these the whole batch may stand in the log all the same: when it was written, SQLite still had to sync it,
#: and to make room for its index, which may be refused by the disk or for want of memory
_HALF_WRITTEN = (apsw.IOError, apsw.FullError, apsw.NoMemError)
#: what is wrong with a value of the batch
_TOO_MUCH = (apsw.TooBigError, apsw.MismatchError, apsw.RangeError, OverflowError)
_STATEMENTS = {kind: for_sqlite(kind.sql) for kind in ALL_KINDS}
_UPSERTS = {table: upsert(table, f"VALUES ({', '.join('?' for _ in table.names)})") for table in TABLES}


class SQLiteStore:
    """A workspace in one SQLite file.

    Parameters: ``path`` of the file (its folder is made), or ``":memory:"`` for a store that dies with the
    process; ``busy_timeout_ms``, how long to wait for another program that holds the file's lock.
    """

    def __init__(self, path: str, *, busy_timeout_ms: int = 5_000) -> None:
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._writer: apsw.Connection | None = None
        self._reader: apsw.Connection | None = None
        self._write_lock = threading.RLock()
        self._read_lock = self._write_lock if path == MEMORY else threading.RLock()
        self._name = secrets.token_hex(8)
        self._is_open = False
        self._number = 0  # of the last commit
        self._sweep = Sweep()

    def open(self) -> None:
        """Open the file, creating it and its folder, and migrate. Raises StorageUnfit or StorageUnavailable."""
        self.migrate()

    def migrate(self) -> list[str]:
        """Like ``open``; gives the names of the migrations that were applied."""
        with self._write_lock, translated(self._path):
            if self._is_open:
                return []
            if self._path != MEMORY:
                Path(self._path).parent.mkdir(parents=True, exist_ok=True)
            try:
                applied = self._migrate(self._writing())
                [(self._number,)] = self._writing().execute("SELECT number FROM commits")
            except BaseException:
                self.close()
                raise
            self._is_open = True
        return applied

    def load(self) -> Snapshot:
        """Everything that is live. Raises StorageUnavailable."""
        with self._working(self._write_lock), _transaction(self._writing(), "BEGIN") as connection:
            snapshot, self._number = snapshot_of([connection.execute(for_sqlite(sql)) for sql in LOAD])
        return snapshot

    def commit(self, batch: Batch) -> None:
        """Write the batch in one transaction.

        Raises StorageUnavailable: nothing is written; StorageUnfit: another server writes to this file, or it
        is damaged. Any other exception is a fault of the batch (mostly ValueError); nothing is written.
        """
        with self._working(self._write_lock):
            connection = self._writing()
            try:
                with _transaction(connection, "BEGIN IMMEDIATE"):
                    self._write(connection, batch)
            except _HALF_WRITTEN:
                self._fence(connection)
                raise
            self._number += 1

    def read(self, questions: Sequence[Question]) -> list[Any]:
        """The answers, all from the same state. Raises StorageUnavailable."""
        with self._working(self._read_lock), _transaction(self._reading(), "BEGIN") as connection:
            return [_answer(connection, question) for question in questions]

    def close(self) -> None:
        """Let go of the file; idempotent. The store may be opened again."""
        with self._write_lock, self._read_lock:
            self._is_open = False
            reader, writer, self._reader, self._writer = self._reader, self._writer, None, None
            for connection in (reader, writer):
                if connection is not None:
                    connection.close()

    @contextmanager
    def _working(self, lock: threading.RLock) -> Iterator[None]:
        with lock, translated(self._path):
            if not self._is_open:
                raise StorageUnavailable(f"{self._path} is not open")
            yield

    def _write(self, connection: apsw.Connection, batch: Batch) -> None:
        connection.execute(for_sqlite(CLAIM), (self._name, self._number))
        if connection.changes() != 1:
            raise StorageUnfit(f"another server writes to {self._path}: stop one of them, then start this one again")
        if (sweep := self._sweep.due(batch)) is not None:
            for sql in SWEEPS:
                connection.execute(for_sqlite(sql), sweep)
        forgotten = [(contact.id,) for contact in contacts_of(batch)]
        connection.executemany("DELETE FROM contact_addresses WHERE contact = ?", forgotten)
        for table, rows in rows_of(batch):
            connection.executemany(_UPSERTS[table], rows)

    def _fence(self, connection: apsw.Connection) -> None:
        """Make sure that a batch whose commit failed stays away, even if the process dies now.

        If only the fsync failed, or the growth of the log's index, the whole batch stands in the log, though SQLite
        took it back: whoever opened the file after a crash would find it. A write of anything overwrites its
        beginning, and each frame's checksum covers those before it, so the rest is no longer valid.
        [sqlite.org/fileformat2.html, "WAL format"] It must change something, or SQLite writes nothing; whether its
        own fsync fails does not matter.
        """
        with suppress(apsw.Error):
            connection.execute("UPDATE commits SET writer = hex(randomblob(8))")

    def _writing(self) -> apsw.Connection:
        if self._writer is None:
            self._writer = self._connect(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
            self._write_ahead(self._writer)
            self._writer.pragma("synchronous", "FULL")
        return self._writer

    def _write_ahead(self, connection: apsw.Connection) -> None:
        """Switch to WAL. Here SQLite does not wait for another program that opens or closes the file, so we do."""
        deadline = time.monotonic() + self._busy_timeout_ms / 1000
        while True:
            try:
                mode = connection.pragma("journal_mode", "WAL")
                break
            except apsw.BusyError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.01)
        if self._path != MEMORY and mode != "wal":
            raise StorageUnfit(f"{self._path} cannot have a write-ahead log here: put the file on a local disk")

    def _reading(self) -> apsw.Connection:
        if self._path == MEMORY:
            return self._writing()
        if self._reader is None:
            self._reader = self._connect(apsw.SQLITE_OPEN_READONLY)
        return self._reader

    def _connect(self, flags: int) -> apsw.Connection:
        connection = apsw.Connection(self._path, flags=flags)
        connection.set_busy_timeout(self._busy_timeout_ms)
        return connection

    def _migrate(self, connection: apsw.Connection) -> list[str]:
        known = migrations("sqlite")
        applied: list[str] = []
        while True:
            with _transaction(connection, "BEGIN IMMEDIATE"):
                # not connection.table_exists, which may not know yet what another server has just created
                if not list(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'")):
                    connection.execute(CREATE_VERSIONS)
                [(version,)] = connection.execute(READ_VERSION)
                migration = next_migration(known, version)
                if migration is None:
                    return applied
                connection.execute(migration.sql).fetchall()  # to the end, whatever its statements give
                connection.execute(for_sqlite(ADD_VERSION), (migration.version, migration.name))
            applied.append(migration.name)


def _answer(connection: apsw.Connection, question: Question) -> Any:
    kind = kind_of(question)
    rows: list[Row] = []
    for parameters in kind.parts(question):
        rows += connection.execute(_STATEMENTS[kind], parameters).fetchall()
    return kind.answer(question, rows)


@contextmanager
def _transaction(connection: apsw.Connection, begin: str) -> Iterator[apsw.Connection]:
    """Commit at the end, take everything back on any exception. Some errors make SQLite take it back by itself."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")  # the last one could not be taken back then
    connection.execute(begin)
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with suppress(apsw.Error):
                connection.execute("ROLLBACK")
        raise


@contextmanager
def translated(path: str) -> Iterator[None]:
    """SQLite's errors in the port's words."""
    try:
        yield
    except (*_UNAVAILABLE, OSError) as problem:
        raise StorageUnavailable(f"{path}: {problem or type(problem).__name__}") from problem
    except _UNFIT as problem:
        raise StorageUnfit(f"{path} is damaged or not a signalbox store: {problem}") from problem
    except _TOO_MUCH as problem:
        raise ValueError(f"SQLite does not take a value of this batch: {problem}") from problem
    except msgspec.DecodeError as problem:
        raise StorageUnfit(f"{path} has a row this server does not understand: {problem}") from problem

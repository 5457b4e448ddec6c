"""A store's tables as they are, in one transaction: for backup, restore and ``doctor``, not for the server.

Who reads sees one state, and a server may go on writing meanwhile. Who writes counts ``commits`` on under a name of
its own, so that a server that runs on this store all the same stops at its next commit, instead of writing what it
remembers over what is there now.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import apsw

from storage.postgres import SLOW_S
from storage.postgres_link import Link, Work
from storage.postgres_link import translated as postgres_translated
from storage.questions import for_sqlite
from storage.schema import READ_VERSION, migrations
from storage.sqlite import MEMORY, SQLiteStore
from storage.sqlite import translated as sqlite_translated
from storage.store import StorageUnfit
from storage.tables import Row, Table
from storage.urls import store_of

PAGE = 5_000  # rows read or written at a time

Step = Callable[[str, int, int], None]  #: told of long work: what (a table), how much of it is done, and of how much


class Raw(Protocol):
    """The tables of one store. SQL is written as in ``storage.questions``: PostgreSQL's words, without parameters."""

    def rows(self, sql: str) -> list[Row]:
        """All rows of a query."""

    def pages(self, table: Table) -> Iterator[list[Row]]:
        """All rows of a table in the order of its key, ``PAGE`` at a time: values in the order of the columns."""

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows."""

    def execute(self, sql: str) -> int:
        """Change something; how many rows."""

    def damage(self) -> list[str]:
        """What the database itself finds wrong with its files, a sentence each."""


@contextmanager
def reading(url: str) -> Iterator[Raw]:
    """The tables as they are now. Raises StorageUnfit (not a store; another schema version), StorageUnavailable."""
    with _opened(url, writes=False) as raw:
        yield raw


@contextmanager
def writing(url: str, writer: str) -> Iterator[Raw]:
    """The same for changing them, all or nothing; ``writer`` is left as the name of who did."""
    with _opened(url, writes=True) as raw:
        yield raw
        raw.execute(f"UPDATE commits SET number = number + 1, writer = '{writer}'")


def count(raw: Raw, table: Table) -> int:
    """How many rows."""
    [(number,)] = raw.rows(f"SELECT count(*) FROM {table.name}")
    return int(number)


@contextmanager
def _opened(url: str, *, writes: bool) -> Iterator[Raw]:
    store = store_of(url)
    if isinstance(store, SQLiteStore):
        with opened_file(url.removeprefix("sqlite:///"), writes=writes) as raw:
            yield raw
    else:
        with _opened_database(url, writes=writes) as raw:
            yield raw


def check_version(version: int) -> None:
    """Raises StorageUnfit if tables of this schema version are not what this code takes them for."""
    newest = len(migrations("sqlite"))
    if version != newest:
        way = "upgrade signalbox" if version > newest else "bring it up to date with `signalbox migrate`"
        raise StorageUnfit(f"this store has schema version {version}, and {newest} is expected: {way}")


# ---------------------------------------------------------------- SQLite


@contextmanager
def opened_file(path: str, *, writes: bool = False, any_version: bool = False) -> Iterator[SQLiteRaw]:
    """The tables of a SQLite file that exists. ``any_version``: whatever its schema's version is."""
    if path == MEMORY:
        raise StorageUnfit("a store in memory lives in its server only: there is nothing here to look into")
    with sqlite_translated(path):
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.set_busy_timeout(5_000)
            connection.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
            raw = SQLiteRaw(connection)
            [(version,)] = raw.rows(READ_VERSION)
            if not any_version:
                check_version(version)
            yield raw
            if writes:
                connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                with suppress(apsw.Error):
                    connection.execute("ROLLBACK")
            connection.close()


class SQLiteRaw:
    """Tables in a SQLite file."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str) -> list[Row]:
        """All rows of a query."""
        return list(self.connection.execute(for_sqlite(sql)))

    def pages(self, table: Table) -> Iterator[list[Row]]:
        """All rows of a table, ``PAGE`` at a time."""
        found = iter(self.connection.execute(_select(table)))
        while page := list(itertools.islice(found, PAGE)):
            yield page

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows."""
        places = ", ".join("?" for _ in table.names)
        self.connection.executemany(f"INSERT INTO {table.name} ({', '.join(table.names)}) VALUES ({places})", rows)

    def execute(self, sql: str) -> int:
        """Change something; how many rows."""
        self.connection.execute(for_sqlite(sql))
        return self.connection.changes()

    def damage(self) -> list[str]:
        """What ``PRAGMA integrity_check`` says."""
        try:
            said = [str(text) for (text,) in self.connection.execute("PRAGMA integrity_check")]
        except (apsw.CorruptError, apsw.IOError) as problem:
            return [str(problem)]
        return [] if said == ["ok"] else said


# ---------------------------------------------------------------- PostgreSQL


@contextmanager
def _opened_database(url: str, *, writes: bool) -> Iterator[PostgresRaw]:
    link = Link(url, SLOW_S)
    raw = PostgresRaw(link)
    with postgres_translated():
        try:
            if raw.rows("SELECT to_regclass('schema_version')::text") == [(None,)]:
                raise StorageUnfit("there is no signalbox store in this database")
            raw.begin(writes=writes)
            [(version,)] = raw.rows(READ_VERSION)
            check_version(version)
            yield raw
            raw.run(lambda connection: connection.execute("COMMIT"))
        finally:
            link.close()


class PostgresRaw:
    """Tables in a PostgreSQL database, over one connection."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def run(self, work: Work[Any]) -> Any:
        """Do something with the connection."""
        return self._link.run(work)

    def begin(self, *, writes: bool) -> None:
        """One state to read; or, to write, the row that every server locks before it writes anything."""
        if writes:
            self.run(lambda connection: connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED"))
            self.rows("SELECT number FROM commits FOR UPDATE")
        else:
            self.run(lambda connection: connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"))

    def rows(self, sql: str) -> list[Row]:
        """All rows of a query."""
        return [tuple(row) for row in self.run(lambda connection: connection.fetch(sql))]

    def pages(self, table: Table) -> Iterator[list[Row]]:
        """All rows of a table, ``PAGE`` at a time."""
        cursor = f"pages_of_{table.name}"  # one name for all would be one prepared statement for different columns
        self.run(lambda connection: connection.execute(f"DECLARE {cursor} NO SCROLL CURSOR FOR {_select(table)}"))
        while page := self.rows(f"FETCH {PAGE} FROM {cursor}"):
            yield page
        self.run(lambda connection: connection.execute(f"CLOSE {cursor}"))

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows, by COPY."""
        booleans = [place for place, column in enumerate(table.columns) if column.kind == "boolean"]
        records = [_with_booleans(row, booleans) for row in rows] if booleans else rows
        self.run(lambda connection: connection.copy_records_to_table(table.name, records=records, columns=table.names))

    def execute(self, sql: str) -> int:
        """Change something; how many rows."""
        said: str = self.run(lambda connection: connection.execute(sql))
        return int(said.split()[-1])

    def damage(self) -> list[str]:
        """PostgreSQL says so when a row is read: the rows are."""
        return []


def _with_booleans(row: Row, places: list[int]) -> Row:
    """SQLite has 0 and 1."""
    values = list(row)
    for place in places:
        values[place] = bool(values[place])
    return values


def _select(table: Table) -> str:
    return f"SELECT {', '.join(table.names)} FROM {table.name} ORDER BY {', '.join(table.key)}"

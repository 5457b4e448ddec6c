"""Backup and restore: the whole store in one portable file, whatever it is kept in.

A backup is a SQLite file with the tables of a store, and nothing beside it. So a backup of PostgreSQL can be looked
into with any SQLite shell, restored into a SQLite file, and the other way round.

``backup`` takes one state while the server goes on: of a SQLite store by SQLite's own backup, page by page, inside a
read transaction (else each commit would start it anew); of PostgreSQL row by row, in one REPEATABLE READ transaction.
Both hold back the tidying of old row versions (the log of a SQLite store grows) for as long as they take.

``restore`` fills an empty store in one transaction. An older backup is brought up to date on a copy first.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import apsw

from storage.raw import Raw, SQLiteRaw, Step, count, opened_file, reading, writing
from storage.schema import READ_VERSION, migrations
from storage.sqlite import SQLiteStore, translated
from storage.store import StorageUnfit
from storage.tables import TABLES
from storage.urls import store_of

PAGES = 1_000  # of SQLite, copied at a time


def backup(url: str, path: str, step: Step) -> dict[str, int]:
    """Write the state of a store into a new file at ``path``; how many rows each table has.

    It is there whole or not at all. Raises StorageUnfit, StorageUnavailable; FileExistsError.
    """
    if os.path.exists(path):
        raise FileExistsError(f"{path} exists: name a file that does not")
    part = path + ".part"
    _remove(part)
    try:
        counts = _pages(url, part, step) if isinstance(store_of(url), SQLiteStore) else _rows(url, part, step)
        _sync(part)
        os.replace(part, path)
        _sync(os.path.dirname(os.path.abspath(path)))
    finally:
        _remove(part)
    return counts


def restore(path: str, url: str, step: Step, *, replace: bool = False) -> dict[str, int]:
    """Fill a store with what a backup holds; how many rows each table has now.

    The store's schema is made or brought up to date. ``replace``: what is in it is thrown away; without it
    a store that is not empty is refused. Raises StorageUnfit, StorageUnavailable.
    """
    with tempfile.TemporaryDirectory(prefix="signalbox-restore-") as folder:
        current = _brought_up_to_date(path, folder)
        store = store_of(url)
        store.open()
        store.close()
        with opened_file(current) as source, writing(url, "restore") as target:
            _empty(target, replace=replace)
            counts = _copied(source, target, step)
            [(number,)] = source.rows("SELECT number FROM commits")
            target.execute(f"UPDATE commits SET number = {number} WHERE number < {number}")
    return counts


def _pages(url: str, part: str, step: Step) -> dict[str, int]:
    """By SQLite's own backup."""
    with opened_file(url.removeprefix("sqlite:///")) as source, translated(part):
        target = apsw.Connection(part)
        try:
            with target.backup("main", source.connection, "main") as copying:
                while not copying.done:
                    copying.step(PAGES)
                    step("pages", copying.page_count - copying.remaining, copying.page_count)
            target.pragma("journal_mode", "DELETE")  # one file, which a read-only folder may hold
            if problems := SQLiteRaw(target).damage():
                raise StorageUnfit(f"what was copied is damaged, and so is the store: {problems[0]}")
            return _compared(source, SQLiteRaw(target))
        finally:
            target.close()


def _rows(url: str, part: str, step: Step) -> dict[str, int]:
    """Row by row into a file with the same tables."""
    with reading(url) as source:
        with translated(part):
            store = SQLiteStore(part)
            store.open()
            store.close()
        with opened_file(part, writes=True) as target:
            counts = _copied(source, target, step)
            [(number, writer)] = source.rows("SELECT number, writer FROM commits")
            target.execute(f"UPDATE commits SET number = {number}, writer = '{writer}'")
    with translated(part):
        connection = apsw.Connection(part)
        connection.pragma("journal_mode", "DELETE")
        connection.close()
    return counts


def _copied(source: Raw, target: Raw, step: Step) -> dict[str, int]:
    for table in TABLES:
        total, done = count(source, table), 0
        for page in source.pages(table):
            target.insert(table, page)
            done += len(page)
            step(table.name, done, total)
    return _compared(source, target)


def _compared(source: Raw, target: Raw) -> dict[str, int]:
    """Rows of each table. Raises StorageUnfit if the two differ."""
    counts = {table.name: count(target, table) for table in TABLES}
    for table in TABLES:
        if count(source, table) != counts[table.name]:
            raise StorageUnfit(f"{table.name}: {count(source, table)} rows were read, {counts[table.name]} written")
    return counts


def _empty(target: Raw, *, replace: bool) -> None:
    for table in TABLES:
        number = count(target, table)
        if number and not replace:
            raise StorageUnfit(
                f"the store is not empty ({table.name}: {number} rows): name an empty one, or have it thrown away"
                " with --replace"
            )
        target.execute(f"DELETE FROM {table.name}")


def _brought_up_to_date(path: str, folder: str) -> str:
    """The backup, or a copy of it whose schema is this code's."""
    if not os.path.isfile(path):
        raise StorageUnfit(f"there is no backup at {path}")
    with opened_file(path, any_version=True) as raw:
        [(version,)] = raw.rows(READ_VERSION)
    if version == len(migrations("sqlite")):
        return path
    copy = str(Path(folder) / "backup.db")
    with translated(copy):
        shutil.copyfile(path, copy)
    store = SQLiteStore(copy)
    store.open()
    store.close()
    return copy


def _remove(part: str) -> None:
    for name in (part, part + "-wal", part + "-shm", part + "-journal"):
        with suppress(FileNotFoundError):
            os.remove(name)


def _sync(path: str) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)

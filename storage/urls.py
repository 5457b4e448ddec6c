"""Which store a URL means.

====================================  =============================================
``sqlite:///data/signalbox.db``       a file, relative to the working directory
``sqlite:////var/lib/signalbox.db``   a file, absolute
``sqlite:///:memory:``                in memory: gone with the process
``postgresql://user@host/database``   a PostgreSQL database, with libpq's parameters
====================================  =============================================
"""

from __future__ import annotations

from storage.postgres import PostgresStore
from storage.sqlite import SQLiteStore
from storage.store import StorageUnfit, Store

_EXPECTED = (
    "a store is named by a URL: sqlite:///path/file.db, sqlite:////absolute/path/file.db, sqlite:///:memory: "
    "or postgresql://user@host/database"
)


def store_of(url: str) -> SQLiteStore | PostgresStore:
    """The store a URL means, not yet opened: nothing is touched before ``open``.

    Raises StorageUnfit with a sentence that says what a store's URL looks like. The URL is not repeated in it,
    since it may hold a password.
    """
    if url.startswith("postgresql://"):
        return PostgresStore(url)
    path = url.removeprefix("sqlite:///")
    if path == url or path.endswith("/") or not path.isprintable() or not path or "?" in path:
        raise StorageUnfit(_EXPECTED)
    return SQLiteStore(path)


def open_store(url: str) -> Store:
    """The store a URL means, opened: connected, and its schema up to date. A SQLite file and its folder are created.

    ``open`` of an open store does nothing, so whoever wants to repeat it begins with ``store_of``.
    Raises StorageUnfit or StorageUnavailable.
    """
    store = store_of(url)
    store.open()
    return store


def migrate(url: str) -> list[str]:
    """Bring the schema up to date; the names of the migrations applied, none if it was.

    Raises StorageUnfit or StorageUnavailable.
    """
    store = store_of(url)
    try:
        return store.migrate()
    finally:
        store.close()

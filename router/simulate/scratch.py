"""A throwaway place for a store, beside the operator's own: nothing that is there is touched.

SQLite: a folder of its own next to the named file (or among the temporary files), removed with all it holds.
PostgreSQL: a database of its own on the same server, dropped at the end; the user needs the right to create one.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from storage.store import StorageUnavailable, StorageUnfit
from storage.urls import store_of

PREFIX = "signalbox_sim_"
SQLITE = "sqlite:///"
IN_MEMORY = "sqlite:///:memory:"


@contextmanager
def scratch_url(store_url: str | None) -> Iterator[str]:
    """The URL of an empty store like the named one (None: a SQLite file); it is gone afterwards.

    Raises StorageUnfit (the URL, or what it names, does not do) or StorageUnavailable (not now).
    """
    if store_url is not None:
        store_of(store_url)  # says what is wrong with the URL
    if store_url is None or store_url.startswith(SQLITE):
        with _folder(store_url) as folder:
            yield f"{SQLITE}{folder}/scenario.db"
    else:
        with _database(store_url) as url:
            yield url


@contextmanager
def _folder(store_url: str | None) -> Iterator[str]:
    beside = None if store_url in (None, IN_MEMORY) else _existing(Path(str(store_url).removeprefix(SQLITE)).parent)
    try:
        folder = tempfile.TemporaryDirectory(prefix=PREFIX, dir=beside)
    except OSError as problem:
        raise StorageUnfit(f"no folder can be made in {beside or 'the temporary files'}: {problem.strerror}") from None
    with folder as name:
        yield str(Path(name).absolute())


def _existing(folder: Path) -> Path:
    """This folder, or the nearest above it that is there."""
    return next((place for place in (folder, *folder.parents) if place.is_dir()), folder)


@contextmanager
def _database(store_url: str) -> Iterator[str]:
    name = PREFIX + secrets.token_hex(8)
    asyncio.run(_execute(store_url, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
    try:
        yield _renamed(store_url, name)
    finally:
        asyncio.run(_execute(store_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


def _renamed(store_url: str, database: str) -> str:
    """The same server, another database. Of the named one's options none holds there: its schemas do not exist."""
    url = urlsplit(store_url)
    query = urlencode([(key, value) for key, value in parse_qsl(url.query) if key not in ("options", "search_path")])
    return urlunsplit(url._replace(path=f"/{database}", query=query))


async def _execute(store_url: str, command: str) -> None:
    """One command outside of any transaction."""
    try:
        connection = await asyncpg.connect(store_url)
        try:
            await connection.execute(command)
        finally:
            await connection.close()
    except (OSError, asyncpg.PostgresConnectionError) as problem:
        raise StorageUnavailable(f"PostgreSQL does not answer: {problem}") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as problem:
        raise StorageUnfit(f"PostgreSQL refuses: {problem}") from None

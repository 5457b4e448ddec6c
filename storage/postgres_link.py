"""One connection to PostgreSQL behind blocking calls, on an event loop of its own.

A link connects when it is needed. After any exception the connection is not used again: it is cut, and before the
next one is used the server is told to end what is left of the old one. Without that a transaction that was cut
off, when only the network was lost, would keep its locks until the server noticed, which may take hours.

If nobody answers at all (the network swallows what is sent), connecting is given up sooner than a call is, and for a
moment nobody tries again: the calls that have gathered meanwhile fail at once, instead of one after the other.

A link does not repeat anything and knows nothing of commits; see ``storage/postgres.py`` for both.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
import msgspec
import uvloop

from storage.store import StorageUnavailable, StorageUnfit

T = TypeVar("T")
Work = Callable[[Any], Awaitable[T]]
Backend = tuple[int, datetime]  # a server process: its pid, which is used again, and its start, which is not

#: the connection is no more
LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    ConnectionError,
)
CONNECT_S = 10.0  #: after which a server that does not answer counts as away
DEAF_S = 1.0  #: for so long nobody tries again then
TURNS = 4  #: of the loop, which stands still between calls, until it knows that a connection has ended meanwhile

#: what the server may say that passes by itself: connection, resources, operator, system, rollback, lock, read-only
_PASSING = ("08", "53", "57", "58", "40", "55", "25")

#: who serves this connection, and how: a commit that was answered is durable, one that was cut off ends by itself
_GREET = """
SELECT pid, backend_start, current_setting('server_encoding'),
       CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', false) END,
       set_config('idle_in_transaction_session_timeout', $1, false),
       set_config('application_name', 'signalbox', false),
       set_config('jit', 'off', false),
       set_config('default_transaction_isolation', 'read committed', false),
       -- all is found by an index; a plan made while a table was empty would go on reading the whole of it
       set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false)
FROM pg_stat_activity WHERE pid = pg_backend_pid()
"""
END_BACKEND = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2"


class Link:
    """A connection that comes back. Used by one thread at a time, not always the same.

    Parameters: ``url`` as libpq knows it; ``patience_s``, after which a call is given up as lost.
    """

    def __init__(self, url: str, patience_s: float) -> None:
        self._url = url
        self._patience_s = patience_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Any = None
        self._lost: Backend | None = None
        self._deaf_until = 0.0  # in monotonic time
        self.backend: Backend | None = None  # of the connection in use, or of the last one
        self.connects = 0

    def run(self, work: Work[T], patience_s: float | None = None) -> T:
        """Do ``work`` with the connection within ``patience_s``. Any exception passes, and costs the connection."""
        if self._loop is None:
            self._loop = uvloop.new_event_loop()
        return self._loop.run_until_complete(self._run(work, patience_s or self._patience_s))

    def close(self) -> None:
        """Disconnect; idempotent. The link may be used again."""
        loop, self._loop = self._loop, None
        if loop is not None:
            loop.run_until_complete(self._disconnect())
            loop.close()

    async def _run(self, work: Work[T], patience_s: float) -> T:
        try:
            async with asyncio.timeout(patience_s):
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                if self._connection is None or self._connection.is_closed():
                    await self._reach()
                return await work(self._connection)
        except BaseException:
            await self._cut()
            raise

    async def _reach(self) -> None:
        """Connect, unless it was found out a moment ago that nobody answers."""
        if time.monotonic() < self._deaf_until:
            raise ConnectionError("it did not answer a moment ago")
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._connect()
        except TimeoutError:
            self._deaf_until = time.monotonic() + DEAF_S
            raise

    async def _connect(self) -> None:
        await self._cut()
        self._connection = await _connect(self._url)
        idle_ms = str(int(self._patience_s * 1000) + 1)
        pid, started, encoding, *_ = await self._connection.fetchrow(_GREET, idle_ms)
        if encoding != "UTF8":
            raise StorageUnfit(f"the database's encoding is {encoding}: make one with ENCODING 'UTF8'")
        if self._lost is not None:
            with suppress(asyncpg.InsufficientPrivilegeError):  # then it ends when the server notices
                await self._connection.fetch(END_BACKEND, *self._lost)
        self.backend, self._lost = (pid, started), None
        self.connects += 1

    async def _cut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._lost = self.backend
            connection.terminate()
            await asyncio.sleep(0)  # the socket is closed by the loop, which stands still between calls

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=self._patience_s)
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()


async def _connect(url: str) -> Any:
    try:
        return await asyncpg.connect(url)
    except asyncpg.exceptions.ClientConfigurationError as problem:
        raise StorageUnfit(f"this PostgreSQL URL cannot be used: {problem}") from problem
    except ValueError:  # its text may be a piece of the password
        text = "this PostgreSQL URL is not well-formed; special characters in names and passwords are written %XX"
        raise StorageUnfit(text) from None


@contextmanager
def translated() -> Iterator[None]:
    """The errors of a link in the port's words; what is the batch's own fault passes as it is."""
    try:
        yield
    except (StorageUnavailable, StorageUnfit):
        raise
    except (asyncpg.DataError, asyncpg.ProgramLimitExceededError) as problem:
        raise ValueError(f"PostgreSQL does not take a value of this batch: {problem}") from problem
    except msgspec.DecodeError as problem:  # a ValueError, too
        raise StorageUnfit(f"PostgreSQL has a row this server does not understand: {problem}") from problem
    except ValueError:
        raise
    except asyncpg.PostgresError as problem:
        if (problem.sqlstate or "")[:2] in _PASSING:
            raise StorageUnavailable(f"PostgreSQL: {problem}") from problem
        raise StorageUnfit(f"PostgreSQL does not let this server work: {problem}") from problem
    except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as problem:
        raise StorageUnavailable(f"PostgreSQL is away: {problem or type(problem).__name__}") from problem

"""One batch on its way into PostgreSQL, and how its outcome is found out if the answer is lost.

**Writing.** One statement, one round trip, one transaction. It counts ``commits.number`` on from the number this server
knows, under its name (``claim``), and everything it writes is joined with that: if another server has counted on, the
claim finds no row and nothing is written. The rows of each table go over as one array of the table's type (with an
array for each column it took twice as long, since asyncpg looks at each element, whether it is an array too).

**Whether it was written.** Say this server knew number n, and the answer did not come. ``settle`` locks the row of
``commits`` and reads it. The transaction in doubt changes that row before anything else and holds its lock until it
ends, so whoever has the lock sees one of two things. n + 1 under this server's name: it was written. n: it was not; but
it may be on its way still, so ``settle`` counts on to n + 1 itself, under a name that says so, and from then on the
statement finds no n to count on from. (If it is running, the lock waits; the link has told the server to end it.)
Anything else means another server. READ COMMITTED reads the row's newest committed version after a wait. Nothing here
depends on process ids or transaction ids, so it holds across restarts of the server and a fail-over to a synchronous
standby.

**Taking it back.** If the database cannot be reached for so long that the store gives up, the caller is told that
nothing was written, which may be wrong. A batch tells what its records were before. ``take_back``, which comes before
anything else is written or read, takes the lock and, if it was written, deletes what the batch wrote, puts back what
was before and counts on to n + 2, in one transaction; if not, it settles. If the answer to that is lost it is done
again: what it finds says what it has done. (A request key that had expired and was written anew does not come back.) A
server that dies before it could do so forgets that it had refused the batch. The next one finds it whole, and whoever
repeats the request with its key gets its first answer.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import cache
from itertools import repeat
from typing import Any

import asyncpg

from protocol.records import Batch, Record
from storage.batches import CLAIM, SWEEPS, Rows, rows_of, upsert
from storage.postgres_link import LOST
from storage.store import StorageUnfit
from storage.tables import ADDRESSES, CONTACTS, CONVERSATIONS, TABLE_OF, TABLES, Table

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
_COUNT_ON = "UPDATE commits SET number = number + 1, writer = $1"
OTHER_SERVER = (
    "the database is not as this server left it: another server writes to it, or it was put back to an earlier state. "
    "Stop the other one, then start this one again"
)


class _Outcome(Enum):
    """What became of a batch in doubt."""

    WRITTEN = auto()
    OPEN = auto()  # not written; it may yet be
    NEVER = auto()  # not written, nor will it be
    TAKEN_BACK = auto()


class Writing:
    """A batch, the number its commit will have, and what is needed to take it back.

    Parameters: the batch; the name of this server; the number of the last commit; the parameters of ``SWEEPS`` if it is
    time for them.
    """

    def __init__(self, batch: Batch, name: str, last: int, sweep: tuple[int, int] | None) -> None:
        self.number = last + 1
        self._batch = batch
        self._name = name
        self.in_doubt = False
        self._rows = rows_of(batch)
        self._sweep = sweep
        self._before: list[Rows] = []

    async def write(self, connection: Any) -> None:
        """One transaction, after a sweep if it is time. If it raises, nothing is written, unless ``in_doubt``."""
        if self._sweep is not None:
            for sql in SWEEPS:
                await connection.execute(sql, *self._sweep)
        sql = _write_sql(tuple(table for table, _ in self._rows))
        given = [rows for _, rows in self._rows]
        self.in_doubt = True
        try:
            claimed = await connection.fetchval(sql, self._name, self.number - 1, *given)
        except asyncpg.PostgresError as problem:
            self.in_doubt = isinstance(problem, LOST)  # what the server refuses, it has not written
            raise
        self.in_doubt = False
        if not claimed:
            raise StorageUnfit(OTHER_SERVER)

    def keep(self) -> None:
        """Remember what was before: what the batch tells of it is the core's own again once it is refused."""
        first: dict[Any, Record | None] = {}
        records = self._batch.records
        for record, was in zip(records, self._batch.before or repeat(None, len(records)), strict=True):
            table = TABLE_OF[type(record)]
            first.setdefault((table.name, table.key_of(record)), was)
        self._before = rows_of(Batch(records=tuple(was for was in first.values() if was is not None)))

    async def settle(self, connection: Any) -> bool:
        """Whether the batch was written, once and for all. Raises StorageUnfit if another server wrote."""
        await connection.execute(_BEGIN)
        outcome = await self._look(connection)
        if outcome is _Outcome.OPEN:
            await connection.execute(_COUNT_ON, self._never)
        await connection.execute("COMMIT")
        return outcome is _Outcome.WRITTEN

    async def take_back(self, connection: Any) -> int:
        """Make sure that nothing of the batch is there, nor will be; the number of the last commit. May be repeated."""
        await connection.execute(_BEGIN)
        outcome = await self._look(connection)
        if outcome is _Outcome.WRITTEN:
            for table, rows in self._rows:
                await connection.execute(_DELETE[table], rows)
            for table, rows in self._before:
                await connection.execute(_PUT_BACK[table], rows)
            await connection.execute(_COUNT_ON, self._taken_back)
        elif outcome is _Outcome.OPEN:
            await connection.execute(_COUNT_ON, self._never)
        await connection.execute("COMMIT")
        return self.number + (outcome in (_Outcome.WRITTEN, _Outcome.TAKEN_BACK))

    @property
    def _never(self) -> str:
        return f"{self._name} never"

    @property
    def _taken_back(self) -> str:
        return f"{self._name} back"

    async def _look(self, connection: Any) -> _Outcome:
        """Wait until the transaction has ended if it runs, and say how; the row of ``commits`` stays locked."""
        number, writer = await connection.fetchrow("SELECT number, writer FROM commits FOR UPDATE")
        if number == self.number - 1:
            return _Outcome.OPEN
        outcomes = {
            (self.number, self._name): _Outcome.WRITTEN,
            (self.number, self._never): _Outcome.NEVER,
            (self.number + 1, self._taken_back): _Outcome.TAKEN_BACK,
        }
        if (number, writer) not in outcomes:
            raise StorageUnfit(OTHER_SERVER)
        return outcomes[number, writer]


@cache
def _write_sql(tables: tuple[Table, ...]) -> str:
    """The statement for these tables; it gives how many rows the claim has changed."""
    given = {table: _rows_sql(table, number) for number, table in enumerate(tables, 3)}
    parts = [f"claim AS ({CLAIM} RETURNING 1)"]
    for table, rows in given.items():
        parts.append(f"write_{table.name} AS ({upsert(table, f'SELECT q.* FROM claim, {rows} AS q')})")
    if ADDRESSES in given:
        parts.append(f"forget AS ({_forget_sql(given[CONTACTS], given[ADDRESSES])})")
    return f"WITH {', '.join(parts)} SELECT count(*) FROM claim"


def _rows_sql(table: Table, number: int) -> str:
    """The rows that are sent as this parameter; a table with a column that PostgreSQL works out has a type for it."""
    return f"unnest(${number}::{'conversations_row' if table is CONVERSATIONS else table.name}[])"


def _forget_sql(contacts: str, addresses: str) -> str:
    """Drop what the batch's contacts no longer name; what they do name is written like everything else."""
    named = f"SELECT FROM {addresses} AS q WHERE q.channel = t.channel AND q.address = t.address"
    mine = f"t.contact IN (SELECT id FROM {contacts})"
    return f"DELETE FROM {ADDRESSES.name} AS t USING claim WHERE {mine} AND NOT EXISTS ({named})"


def _delete_sql(table: Table) -> str:
    keys = ", ".join(table.key)
    return f"DELETE FROM {table.name} WHERE ({keys}) IN (SELECT {keys} FROM {_rows_sql(table, 1)})"


_DELETE = {table: _delete_sql(table) for table in TABLES}
_PUT_BACK = {
    table: f"INSERT INTO {table.name} ({', '.join(table.names)}) SELECT * FROM {_rows_sql(table, 1)}"
    for table in TABLES
}

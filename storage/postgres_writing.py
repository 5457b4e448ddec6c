"""One batch on its way into PostgreSQL, and how its outcome is found out if the answer to COMMIT is lost.

**Writing.** A transaction begins by counting ``commits.number`` on from the number this server knows (``_claim``),
under its name, then writes all tables with one statement: the rows of each go over as one array of the table's type
(with an array for each column it took twice as long, since asyncpg looks at each element, whether it is an array too).
So a batch costs three round trips, one more if addresses of contacts may have to go.

**Whether it was written.** Say this server knew number n, and the answer to COMMIT did not come. ``settle`` locks the
row of ``commits`` and reads it. The transaction in doubt changed that row first of all, so it held the row's lock
until it ended; whoever has the lock knows that it has ended, one way or the other, for good: it cannot
commit later. (If it still runs, the lock waits; the link has told the server to end it.) And since READ
COMMITTED reads the row's newest committed version after the wait, n + 1 under this server's name says committed
and n says not. Anything else means another server. Nothing here depends on process ids or transaction ids, so
it holds across restarts of the server and a fail-over to a synchronous standby.

**Taking it back.** If the database cannot be reached for so long that the store gives up, the caller is told that
nothing was written, which may be wrong: the COMMIT may have arrived. So each statement also returns the rows
it replaces, as they were. ``take_back``, which comes before anything else is written or read, takes the lock and, if
it finds n + 1, deletes what the batch wrote, puts those rows back and sets the number to n, in one transaction.
If that one's answer is lost too, it is done again: it changes something only where it finds n + 1.
A server that dies before it could do so forgets that it had refused the batch. The next one finds it whole, and
whoever repeats the request with its key gets its first answer.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from protocol.records import Batch
from storage.batches import CLAIM, SWEEPS, contacts_of, rows_of, upsert
from storage.store import StorageUnfit
from storage.tables import ADDRESSES, ENTRIES, TABLES, Row, Table

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
OTHER_SERVER = (
    "the database is not as this server left it: another server writes to it, or it was put back to an earlier state. "
    "Stop the other one, then start this one again"
)


class Writing:
    """A batch, the number its commit will have, and what is needed to take it back.

    Parameters: the batch; the name of this server; the number of the last commit; the parameters of ``SWEEPS`` if it is
    time for them.
    """

    def __init__(self, batch: Batch, name: str, last: int, sweep: tuple[int, int] | None) -> None:
        self.number = last + 1
        self._name = name
        self.in_doubt = False
        self._rows = rows_of(batch)
        self._contacts = [contact.id for contact in contacts_of(batch)]
        self._sweep = sweep
        self._replaced: list[_Replaced] = []

    async def write(self, connection: Any) -> None:
        """One transaction. If it raises, nothing is written, unless ``in_doubt``."""
        self._replaced.clear()
        await self._claim(connection)
        if self._sweep is not None:
            for sql in SWEEPS:
                await connection.execute(sql, *self._sweep)
        if self._contacts:
            await self._forget_addresses(connection)
        if self._rows:
            await self._write_rows(connection)
        self.in_doubt = True
        await connection.execute("COMMIT")
        self.in_doubt = False

    async def _write_rows(self, connection: Any) -> None:
        """All tables in one statement, one round trip."""
        replaced: dict[str, list[str]] = {table.name: [] for table, _ in self._rows}
        tables = tuple(table for table, _ in self._rows)
        for name, row in await connection.fetch(_write_sql(tables), *(rows for _, rows in self._rows)):
            replaced[name].append(row)
        self._replaced += [_Replaced(table, rows, replaced[table.name]) for table, rows in self._rows]

    async def settle(self, connection: Any) -> bool:
        """Whether the batch was written, once and for all. Raises StorageUnfit if another server wrote."""
        await connection.execute(_BEGIN)
        written = await self._look(connection)
        await connection.execute("ROLLBACK")
        return written

    async def take_back(self, connection: Any) -> None:
        """Make sure that nothing of the batch is there. May be repeated."""
        await connection.execute(_BEGIN)
        if await self._look(connection):
            for replaced in reversed(self._replaced):
                await connection.execute(_DELETE[replaced.table], replaced.written)
                await connection.execute(_PUT_BACK[replaced.table], replaced.rows)
            await connection.execute("UPDATE commits SET number = number - 1")
        await connection.execute("COMMIT")

    async def _claim(self, connection: Any) -> None:
        """BEGIN and CLAIM in one round trip."""
        claim = CLAIM.replace("$1", f"'{self._name}'").replace("$2", str(self.number - 1))
        if await connection.execute(f"{_BEGIN}; {claim}") != "UPDATE 1":
            raise StorageUnfit(OTHER_SERVER)

    async def _forget_addresses(self, connection: Any) -> None:
        """Drop what the batch's contacts no longer name; what they do name is written like everything else."""
        kept: list[Row] = next((rows for table, rows in self._rows if table is ADDRESSES), [])
        dropped = await connection.fetch(_FORGET_ADDRESSES, self._contacts, kept)
        self._replaced.append(_Replaced(ADDRESSES, [], [row[0] for row in dropped]))

    async def _look(self, connection: Any) -> bool:
        """Wait until the transaction has ended, and say how."""
        number, writer = await connection.fetchrow("SELECT number, writer FROM commits FOR UPDATE")
        written = (number, writer) == (self.number, self._name)
        if not written and number != self.number - 1:
            raise StorageUnfit(OTHER_SERVER)
        return written


class _Replaced(NamedTuple):
    """What a statement wrote, and the rows that were there, as PostgreSQL's text."""

    table: Table
    written: list[Row]
    rows: list[str]


@cache
def _write_sql(tables: tuple[Table, ...]) -> str:
    """The upserts of these tables; it gives the name and text of the rows they replace.

    Those are read as they were before: all parts of a statement see one state.
    """
    writes, replaced = [], ["SELECT NULL::text, NULL::text WHERE false"]
    for number, table in enumerate(tables, 1):
        given = f"unnest(${number}::{table.name}[])"
        writes.append(f"write_{table.name} AS ({upsert(table, f'SELECT * FROM {given}')})")
        if table is not ENTRIES:
            same = f"USING ({', '.join(table.key)})"
            replaced.append(f"SELECT '{table.name}', t::text FROM {given} AS q JOIN {table.name} AS t {same}")
    return f"WITH {', '.join(writes)} {' UNION ALL '.join(replaced)}"


def _delete_sql(table: Table) -> str:
    keys = ", ".join(table.key)
    return f"DELETE FROM {table.name} WHERE ({keys}) IN (SELECT {keys} FROM unnest($1::{table.name}[]))"


_DELETE = {table: _delete_sql(table) for table in TABLES}
_PUT_BACK = {
    table: f"INSERT INTO {table.name} SELECT (t).* FROM (SELECT r::{table.name} AS t FROM unnest($1::text[]) AS r) AS q"
    for table in TABLES
}
_FORGET_ADDRESSES = """
DELETE FROM contact_addresses AS t WHERE contact = ANY($1::text[]) AND NOT EXISTS (
    SELECT FROM unnest($2::contact_addresses[]) AS q
    WHERE q.channel = t.channel AND q.address = t.address AND q.contact = t.contact
) RETURNING t::text
"""

"""What is read from PostgreSQL: the answers to questions, the snapshot of start-up, and the schema's version.

Questions of one kind are asked together: their parameters go over as arrays, and a LATERAL join runs the kind's
statement for each. So 256 request keys cost one round trip, and each still finds its row by the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from protocol.records import Question, Snapshot
from storage.questions import ALL_KINDS, LOAD, Kind, Parameters, kind_of, snapshot_of
from storage.schema import ADD_VERSION, CREATE_VERSIONS, READ_VERSION, Migration, migrations, next_migration
from storage.tables import Row

#: one number for all servers of a database: who has it migrates [any number does; these are the letters "signalbx"]
_MIGRATION_LOCK = int.from_bytes(b"signalbx", "big", signed=True)
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"


async def answers(connection: Any, questions: Sequence[Question]) -> list[Any]:
    """The answers in the order of the questions, all from the same state."""
    asked: dict[Kind, list[int]] = {}
    for place, question in enumerate(questions):
        asked.setdefault(kind_of(question), []).append(place)
    if len(asked) > 1:
        await connection.execute(_SNAPSHOT)
    found: list[Any] = [None] * len(questions)
    for kind, places in asked.items():
        rows = await _rows(connection, kind, [kind.parts(questions[place]) for place in places])
        for place, mine in zip(places, rows, strict=True):
            found[place] = kind.answer(questions[place], mine)
    if len(asked) > 1:
        await connection.execute("COMMIT")
    return found


async def load(connection: Any) -> tuple[Snapshot, int]:
    """The snapshot and the number of the last commit."""
    await connection.execute(_SNAPSHOT)
    found = [await connection.fetch(sql) for sql in LOAD]
    await connection.execute("COMMIT")
    return snapshot_of(found)


async def migrate(connection: Any) -> tuple[list[str], int]:
    """Apply what is outstanding; the names of it, and the number of the last commit."""
    known = migrations("postgres")
    applied = []
    while (migration := await _migrate_once(connection, known)) is not None:
        applied.append(migration.name)
    return applied, await connection.fetchval("SELECT number FROM commits")


async def _migrate_once(connection: Any, known: list[Migration]) -> Migration | None:
    """One transaction under the lock. A database that is up to date needs no right to create tables."""
    await connection.execute("BEGIN")
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
    if await connection.fetchval("SELECT to_regclass('schema_version')") is None:
        await connection.execute(CREATE_VERSIONS)
    migration = next_migration(known, await connection.fetchval(READ_VERSION))
    if migration is not None:
        await connection.execute(migration.sql)
        await connection.execute(ADD_VERSION, migration.version, migration.name)
    await connection.execute("COMMIT")
    return migration


async def _rows(connection: Any, kind: Kind, parts: list[list[Parameters]]) -> list[list[Row]]:
    """The rows of each question, one after the other for all its parts."""
    runs = [(place, parameters) for place, runs_of_one in enumerate(parts) for parameters in runs_of_one]
    found: list[list[Row]] = [[] for _ in parts]
    if runs:
        columns = zip(*(parameters for _, parameters in runs), strict=True)
        for number, *row in await connection.fetch(_TOGETHER[kind], *columns):
            found[runs[number - 1][0]].append(row)
    return found


def _together(kind: Kind) -> str:
    """The kind's statement for many parameters at once; the first column says whose row it is (from 1)."""
    names = [f"p{number}" for number in range(1, len(kind.types) + 1)]
    arrays = ", ".join(f"${number}::{name}[]" for number, name in enumerate(kind.types, 1))
    each = kind.sql.replace("$", "q.p")
    shown = kind.order.replace("closed_seq", "last_seq")  # of closed ones the same, and among what is selected
    order = "".join(f", t.{column.strip()}" for column in shown.split(",") if column)
    return (
        f"SELECT q.n, t.* FROM unnest({arrays}) WITH ORDINALITY AS q ({', '.join(names)}, n)"
        f" CROSS JOIN LATERAL ({each}) AS t ORDER BY q.n{order}"
    )


_TOGETHER = {kind: _together(kind) for kind in ALL_KINDS}

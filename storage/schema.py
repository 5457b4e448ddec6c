"""The schema's numbered migrations: plain SQL files in ``storage/migrations/<dialect>/NNNN_name.sql``.

Which of them a database has stands in its table ``schema_version``. The stores apply what is outstanding,
each file in one transaction under a lock, so that two servers that start together migrate once. A database that
is ahead of this code was migrated by a newer server and is refused: nobody knows what its columns mean.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Literal, NamedTuple

from storage.store import StorageUnfit

Dialect = Literal["sqlite", "postgres"]

CREATE_VERSIONS = "CREATE TABLE schema_version (version bigint PRIMARY KEY, name text NOT NULL)"
READ_VERSION = "SELECT coalesce(max(version), 0) FROM schema_version"
ADD_VERSION = "INSERT INTO schema_version (version, name) VALUES ($1, $2)"


class Migration(NamedTuple):
    """One file: its number, its name (``0001_first``) and its SQL."""

    version: int
    name: str
    sql: str


def migrations(dialect: Dialect) -> list[Migration]:
    """All migrations this code knows, in order."""
    folder = files("storage") / "migrations" / dialect
    found = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return [
        Migration(int(item.name[:4]), item.name.removesuffix(".sql"), item.read_text(encoding="utf-8"))
        for item in found
    ]


def next_migration(known: list[Migration], version: int) -> Migration | None:
    """What a database of this version lacks first; None = it is up to date.

    Raises StorageUnfit if the database is newer than the newest known migration.
    """
    newest = known[-1].version
    if version > newest:
        raise StorageUnfit(
            f"the database has schema version {version}, this server knows versions up to {newest}: "
            "upgrade the server, or name another database"
        )
    return next((migration for migration in known if migration.version > version), None)

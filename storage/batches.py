"""A batch as rows: which rows go into which table, in which order. Both stores write this.

Entries are only ever added; everything else replaces what has the same primary key. Addresses follow from the
contacts of the batch. Request keys and revocations that have expired are swept out as new keys come in, some at a
time, so their tables stay as large as what is still valid and no commit is long; the newest entry tells the time.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from protocol.records import Batch, ContactRecord, Record
from storage.tables import ADDRESSES, CONTACTS, ENTRIES, KEYS, REVOCATIONS, TABLE_OF, Row, Table, entry_row

#: a sweep comes after so many new keys and takes twice as many, so it always gains on them
SWEEP_AFTER_KEYS = 256
SWEEPS = tuple(
    f"DELETE FROM {table.name} WHERE ({', '.join(table.key)}) IN"
    f" (SELECT {', '.join(table.key)} FROM {table.name} WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)"
    for table in (KEYS, REVOCATIONS)
)

#: counts on from the last commit this server knows ($2), under its name ($1); changes no row if another has written
CLAIM = "UPDATE commits SET number = number + 1, writer = $1 WHERE number = $2"


class Rows(NamedTuple):
    """The rows of one table. Rows of ``contacts`` come with those of ``contact_addresses``, be they none."""

    table: Table
    rows: list[Row]


def rows_of(batch: Batch) -> list[Rows]:
    """What the batch writes, tables in the order of first use; tables without rows are left out.

    Of two records with one key (an agent that is deleted and put again within one step) the later is written.
    """
    found: dict[Table, dict[Any, Record]] = defaultdict(dict)
    for record in batch.records:
        table = TABLE_OF[type(record)]
        found[table][table.key_of(record)] = record
    rows = [Rows(table, list(map(table.row, by_key.values()))) for table, by_key in found.items()]
    if batch.keys:
        rows.append(Rows(KEYS, list(map(KEYS.row, {KEYS.key_of(key): key for key in batch.keys}.values()))))
    if batch.entries:
        rows.insert(0, Rows(ENTRIES, list(map(entry_row, batch.entries))))
    if CONTACTS in found:
        rows.append(Rows(ADDRESSES, addresses_of(batch)))
    return rows


def contacts_of(batch: Batch) -> list[ContactRecord]:
    """The batch's contacts, each as it is at the end."""
    found = {record.id: record for record in batch.records if type(record) is ContactRecord}
    return list(found.values())


def addresses_of(batch: Batch) -> list[Row]:
    """Rows of ``contact_addresses``; of two contacts that claim one address the later has it."""
    owners = {place: contact.id for contact in contacts_of(batch) for place in contact.addresses}
    return [(place.channel, place.address, contact) for place, contact in owners.items()]


def upsert(table: Table, source: str) -> str:
    """INSERT of ``source`` (VALUES… or SELECT…) that replaces rows of the same key; entries are never replaced."""
    insert = f"INSERT INTO {table.name} ({', '.join(table.names)}) {source}"
    if table is ENTRIES:
        return insert
    changes = ", ".join(f"{name} = excluded.{name}" for name in table.names if name not in table.key)
    return f"{insert} ON CONFLICT ({', '.join(table.key)}) DO UPDATE SET {changes}"


class Sweep:
    """Says when expired keys are swept out, and up to which time."""

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = 0  # keys written since the last sweep

    def due(self, batch: Batch) -> tuple[int, int] | None:
        """The parameters of each of ``SWEEPS`` (time, how many), or None: not now. Counts the batch's keys."""
        self._since += len(batch.keys)
        if self._since < SWEEP_AFTER_KEYS or not batch.entries:
            return None
        limit, self._since = 2 * self._since, 0
        return max(record.entry.at for record in batch.entries), limit

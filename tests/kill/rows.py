"""Reading the store's tables with nothing of the server's code."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import Any

import asyncpg

from tests.kill.ledger import Row, Rows

ENTRIES = "SELECT seq, conversation, at_ms, type, audience, text FROM entries ORDER BY seq"
KEYS = "SELECT owner, key, answer FROM request_keys WHERE owner <> 'house'"
DELIVERIES = "SELECT seq, status FROM deliveries"
CONVERSATIONS = "SELECT id, state, contact, channel, service, last_seq FROM conversations"
STATEMENTS = (ENTRIES, KEYS, DELIVERIES, CONVERSATIONS)


async def read_rows(url: str) -> Rows:
    """All rows that the checker compares, from a SQLite file or a PostgreSQL database."""
    path = url.removeprefix("sqlite:///")
    found = await asyncio.to_thread(_sqlite, path) if path != url else await _postgres(url)
    entries, keys, deliveries, conversations = found
    return Rows(
        entries=[Row(seq, name, at, kind, tuple(who.strip("\x1f").split("\x1f")), text)
                 for seq, name, at, kind, who, text in entries],
        keys={(owner, key): json.loads(bytes(answer)) for owner, key, answer in keys},
        deliveries={seq: status for seq, status in deliveries},  # noqa: C416 - rows are no tuples with asyncpg
        conversations={row[0]: dict(zip(("id", "state", "contact", "channel", "service", "last_seq"), row, strict=True))
                       for row in conversations},
    )  # fmt: skip


def _sqlite(path: str) -> list[list[Any]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return [connection.execute(sql).fetchall() for sql in STATEMENTS]
    finally:
        connection.close()


async def _postgres(url: str) -> list[list[Any]]:
    connection = await asyncpg.connect(url)
    try:
        return [list(await connection.fetch(sql)) for sql in STATEMENTS]
    finally:
        await connection.close()

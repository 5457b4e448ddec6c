"""A journal keeps whole batches, and a projection of it leaves the store as the batches would have."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from bench.journal import PROJECTED, SqliteJournal, journal_of, journal_then_rows, merged
from bench.rooms import Room
from protocol.records import Batch, ConversationRecord, Record, Snapshot
from storage.urls import open_store


@pytest.fixture
def batches() -> list[Batch]:
    """Messages of the same twenty people, more than a projection takes at once."""
    room = Room(contacts=20)
    return [room.messages(256) for _ in range(PROJECTED // 256 + 2)]


def loaded(url: str) -> Snapshot:
    store = open_store(url)
    snapshot = store.load()
    store.close()
    return snapshot


def test_what_was_committed_to_a_journal_and_written_later_is_what_rows_would_be(
    tmp_path: Path, batches: list[Batch]
) -> None:
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("rows", "later")]
    rows, later = map(open_store, urls)
    for batch in batches:
        rows.commit(batch)
    journal = journal_of(urls[1])
    journal_then_rows(journal, later, batches)
    for it in (rows, later, journal):
        it.close()
    assert loaded(urls[0]) == loaded(urls[1])
    assert loaded(urls[1]).last_seq == batches[-1].entries[-1].entry.seq
    assert len(loaded(urls[1]).conversations) == 20


def test_a_journal_has_a_row_a_batch_with_every_entry_record_and_key(tmp_path: Path, batches: list[Batch]) -> None:
    journal = SqliteJournal(f"sqlite:///{tmp_path}/journal.db")
    for batch in batches[:3]:
        journal.commit(batch)
    journal.close()
    found = apsw.Connection(f"{tmp_path}/journal.db").execute("SELECT batch FROM journal ORDER BY number").fetchall()
    for (blob,), batch in zip(found, batches[:3], strict=True):
        assert isinstance(blob, bytes)
        kept = msgspec.msgpack.decode(blob)
        assert [entry["entry"]["seq"] for entry in kept["entries"]] == [entry.entry.seq for entry in batch.entries]
        assert [record["id"] for record in kept["records"]] == [_id(record) for record in batch.records]
        assert [key["key"] for key in kept["keys"]] == [key.key for key in batch.keys]


def test_merging_batches_keeps_every_entry_and_key_and_the_last_of_each_record(batches: list[Batch]) -> None:
    whole = merged(batches)
    assert whole.entries == tuple(entry for batch in batches for entry in batch.entries)
    assert len(whole.keys) == 256 * len(batches)
    assert sorted(whole.records, key=_id) == sorted(batches[-1].records, key=_id)


@pytest.mark.skipif("SIGNALBOX_TEST_POSTGRES" in os.environ, reason="its processes may be another machine's")
def test_a_journal_in_postgresql_is_written_and_what_postgresql_took_is_counted(
    postgres_server: Any, postgres_url: str, batches: list[Batch]
) -> None:
    journal = journal_of(postgres_url)
    for batch in batches:
        journal.commit(batch)
    [(count,)] = postgres_server.ask(postgres_url, "SELECT count(*) FROM journal")
    assert count == len(batches)
    assert journal.cpu_s() > time.process_time()
    journal.close()


def _id(record: Record) -> str:
    assert isinstance(record, ConversationRecord)
    return record.id

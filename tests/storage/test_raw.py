"""The tables as they are: one state to read, all or nothing to write, and a server that runs meanwhile is stopped."""

from __future__ import annotations

from typing import Any

import pytest
from storage_samples import contact, conversation, key, message

from protocol.records import Batch
from storage import raw, schema
from storage.raw import check_version, count, reading, writing
from storage.store import StorageUnavailable, StorageUnfit
from storage.tables import CONVERSATIONS, ENTRIES, KEYS, TABLES

BATCH = Batch(
    entries=tuple(message(seq) for seq in range(1, 8)),
    records=(conversation("c1", queued=True, tags=("a", "b")), contact("p1", "1")),
    keys=(key(answer=b"\x00\xff"),),
)


def test_a_table_comes_in_pages_in_the_order_of_its_key(lasting_url: str, opened: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(raw, "PAGE", 3)
    opened(lasting_url).commit(BATCH)
    with reading(lasting_url) as found:
        pages = list(found.pages(ENTRIES))
        assert [[row[0] for row in page] for page in pages] == [[1, 2, 3], [4, 5, 6], [7]]
        assert [CONVERSATIONS.record(row) for page in found.pages(CONVERSATIONS) for row in page] == [BATCH.records[0]]
        assert [KEYS.record(row) for page in found.pages(KEYS) for row in page] == list(BATCH.keys)
        assert {table.name: count(found, table) for table in TABLES if count(found, table)} == {
            "entries": 7, "conversations": 1, "contacts": 1, "contact_addresses": 1, "request_keys": 1,
        }  # fmt: skip
        assert found.damage() == []


def test_a_reader_sees_one_state_while_a_server_commits(lasting_url: str, opened: Any) -> None:
    store = opened(lasting_url)
    store.commit(BATCH)
    with reading(lasting_url) as found:
        assert count(found, ENTRIES) == 7
        store.commit(Batch(entries=(message(8),)))
        assert count(found, ENTRIES) == 7
    assert store.load().last_seq == 8


def test_a_server_that_runs_on_tables_somebody_has_changed_stops(lasting_url: str, opened: Any) -> None:
    store = opened(lasting_url)
    store.commit(BATCH)
    with writing(lasting_url, "somebody") as found:
        assert found.execute("UPDATE conversations SET link = 'changed' WHERE id = 'c1'") == 1
    with pytest.raises(StorageUnfit, match="another server"):
        store.commit(Batch(entries=(message(8),)))
    assert store.load().conversations[0].link == "changed"
    store.commit(Batch(entries=(message(8),)))


def test_a_change_that_fails_half_way_has_not_happened(lasting_url: str, opened: Any) -> None:
    store = opened(lasting_url)
    store.commit(BATCH)

    def fail() -> None:
        with writing(lasting_url, "somebody") as found:
            found.execute("DELETE FROM entries")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    store.commit(Batch(entries=(message(8),)))
    assert store.load().last_seq == 8


def test_what_is_read_can_be_written_elsewhere(lasting_url: str, opened: Any) -> None:
    opened(lasting_url).commit(BATCH)
    with reading(lasting_url) as found:
        rows = [row for page in found.pages(CONVERSATIONS) for row in page]
    with writing(lasting_url, "somebody") as found:
        found.execute("DELETE FROM conversations")
        found.insert(CONVERSATIONS, rows)
    assert opened(lasting_url).load().conversations == (BATCH.records[0],)


def test_another_schema_version_is_refused_with_what_to_do(lasting_url: str, opened: Any, damage: Any) -> None:
    opened(lasting_url).close()
    newest = len(schema.migrations("sqlite"))
    for version, what in ((newest - 1, "signalbox migrate"), (newest + 1, "upgrade")):
        with pytest.raises(StorageUnfit, match=what):
            check_version(version)
    damage(f"DELETE FROM schema_version WHERE version = {newest}")
    with pytest.raises(StorageUnfit, match="signalbox migrate"), reading(lasting_url):
        pass


def test_what_is_no_store_is_refused_and_not_made(lasting_url: str) -> None:
    for _ in range(2):
        with pytest.raises((StorageUnfit, StorageUnavailable)), reading(lasting_url):
            pass


def test_a_store_in_memory_cannot_be_looked_into() -> None:
    with pytest.raises(StorageUnfit, match="memory"), reading("sqlite:///:memory:"):
        pass

"""Commits whose answer is lost: ``commit`` returns if the batch is there and raises if it is not, whatever happens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cut_proxy import CutProxy
from storage_samples import closed, contact, conversation, delivery, key, message

from protocol.records import Batch, ContactByAddress, ConversationById, Timeline
from storage import postgres_link
from storage.postgres import PostgresStore
from storage.postgres_writing import _write_sql
from storage.store import StorageUnavailable, StorageUnfit
from storage.tables import TABLES

SHORT_S = 0.3  # the patience of stores that shall give up


@pytest.fixture
def proxy(postgres_url: str) -> Iterator[CutProxy]:
    proxy = CutProxy(postgres_url)
    yield proxy
    proxy.close()


@pytest.fixture
def open_through(proxy: CutProxy) -> Iterator[Callable[..., PostgresStore]]:
    """Open a store whose connections lead through the proxy."""
    stores: list[PostgresStore] = []

    def open_through(**parameters: Any) -> PostgresStore:
        store = PostgresStore(proxy.url, **{"pause_s": 0.01, **parameters})
        stores.append(store)
        proxy.marker = len(store._name).to_bytes(4, "big") + store._name.encode()  # as a value is sent
        store.open()
        return store

    yield open_through
    proxy.away = True
    proxy.cut()
    for store in stores:
        store.close()


@pytest.fixture
def rows(postgres_url: str, postgres_server: Any) -> Callable[[], dict[str, list[str]]]:
    """All rows of all tables, as text, asked for directly."""

    def rows() -> dict[str, list[str]]:
        names = [*(table.name for table in TABLES), "closed_crews", "closed_members"]
        texts = {name: f"SELECT t::text FROM {name} AS t ORDER BY 1" for name in names}
        return {name: [row for (row,) in postgres_server.ask(postgres_url, sql)] for name, sql in texts.items()}

    return rows


FIRST = Batch(
    entries=(message(1), message(2)),
    records=(
        conversation("c1", tags=("a", "b"), queued=True),
        contact("p1", "1", "2", custom={"z": 1, "a": [1.0, None]}),
        contact("p2", "3"),
        delivery(2),
        closed("c9", 1, crew=("ana",)),
    ),
    keys=(key("k1", answer=b"\x00\xff", expires_at=5),),
)
SECOND = Batch(
    entries=(message(3), message(4, text="x" * 3000)),
    records=(
        conversation("c1", name="changed"),
        conversation("c2"),
        contact("p1", "2", "4", name="changed"),
        contact("p2", name="without"),
        contact("p3", "1", "3"),
        delivery(2, status="sent"),
        delivery(4),
        closed("c9", 3, crew=("ana", "bo")),
        closed("c10", 4, crew=("bo",)),
    ),
    keys=(key("k2"),),
    before=(FIRST.records[0], None, *FIRST.records[1:3], None, FIRST.records[3], None, FIRST.records[4], None),
)
THIRD = Batch(entries=(message(3, text="instead"),), records=(conversation("c3"),))


# ---------------------------------------------------------------- in the call


@pytest.mark.parametrize(("where", "written"), [("before", False), ("after", True)])
@pytest.mark.parametrize("away", [False, True])
def test_a_commit_that_was_cut_off_finds_out_what_happened(
    where: Any, written: bool, away: bool, proxy: CutProxy, open_through: Any, rows: Any
) -> None:
    """Also if the network stays away for a few tries. What was not written is written then."""
    store = open_through()
    store.commit(FIRST)
    before = rows()
    proxy.at_commit, proxy.away_after_cut = where, away

    async def numbers(connection: Any) -> Any:
        return await connection.fetch("SELECT number FROM commits")

    def come_back() -> None:
        while proxy.refusals < 3:
            ended.wait(0.01)
        proxy.away = False

    ended = threading.Event()
    if away:
        threading.Thread(target=come_back, daemon=True).start()
    store.commit(SECOND)
    assert proxy.cuts == 1
    assert rows() != before
    assert len(rows()["entries"]) == 4
    [(number,)] = store._writer.run(numbers)
    assert number == (2 if written else 3)  # what was not written was made impossible first
    store.commit(Batch(entries=(message(5),)))
    assert store.load().last_seq == 5


def test_a_commit_that_arrives_late_finds_its_transaction_ended(proxy: CutProxy, open_through: Any, rows: Any) -> None:
    """It is on its way, both sides are connected, and it reaches the server when all have been told that it failed."""
    store = open_through(patience_s=SHORT_S)
    store.commit(FIRST)
    before = rows()
    proxy.at_commit = "hold"
    with pytest.raises(StorageUnavailable):
        store.commit(SECOND)
    proxy.release.set()
    proxy.delivered.wait()
    assert rows() == before
    store.commit(THIRD)
    assert store.load().last_seq == 3


def test_a_commit_that_nobody_can_end_is_waited_for(
    proxy: CutProxy, open_through: Any, rows: Any, monkeypatch: Any
) -> None:
    """The old backend can neither be ended nor ends by itself: only the count keeps it from writing."""
    monkeypatch.setattr(postgres_link, "END_BACKEND", "SELECT $1::int, $2::timestamptz")
    store = open_through()
    store.commit(FIRST)
    before = rows()
    store._patience_s = store._writer._patience_s = SHORT_S
    proxy.at_commit = "hold"
    with pytest.raises(StorageUnavailable):
        store.commit(SECOND)
    proxy.release.set()
    proxy.delivered.wait()
    store._writer._patience_s = 30.0
    assert store.load().last_seq == 2
    assert rows() == before
    store.commit(THIRD)


def test_a_commit_of_another_server_in_the_meantime_is_not_taken_for_ours(
    proxy: CutProxy, open_through: Any, postgres_url: str
) -> None:
    store, other = open_through(), PostgresStore(postgres_url)
    other.open()
    store.commit(FIRST)
    other.load()
    proxy.at_commit, proxy.away_after_cut = "before", True

    def intervene() -> None:
        while not proxy.refusals:
            ended.wait(0.01)
        other.commit(THIRD)
        other.close()
        proxy.away = False

    ended = threading.Event()
    thread = threading.Thread(target=intervene)
    thread.start()
    with pytest.raises(StorageUnfit, match="another server"):
        store.commit(SECOND)
    thread.join()


# ---------------------------------------------------------------- after giving up


@pytest.fixture
def refused(proxy: CutProxy, open_through: Any, rows: Any) -> tuple[PostgresStore, Any]:
    """A store that has called SECOND not written, though it was, because nobody could be asked; and the rows before."""
    store = open_through(patience_s=SHORT_S)
    store.commit(FIRST)
    before = rows()
    proxy.at_commit, proxy.away_after_cut = "after", True
    with pytest.raises(StorageUnavailable):
        store.commit(SECOND)
    assert proxy.cuts == 1
    assert rows() != before
    for call in (store.load, lambda: store.commit(THIRD), lambda: store.read([])):
        with pytest.raises(StorageUnavailable):
            call()
    proxy.away = proxy.away_after_cut = False
    for part in (store, store._writer, store._reader):
        part._patience_s = 30.0  # on a busy machine its answer takes longer than it is patient here
    return store, before


def test_a_refused_batch_is_taken_back_before_anything_is_read(refused: Any, rows: Any) -> None:
    store, before = refused
    questions = [ConversationById("c1"), ConversationById("c2"), ContactByAddress("sms", "3"), Timeline("c1", 99, 99)]
    found = store.read(questions)
    assert found == [FIRST.records[0], None, FIRST.records[2], (tuple(r.entry for r in FIRST.entries), False)]
    assert rows() == before


def test_a_refused_batch_is_taken_back_before_anything_is_loaded(refused: Any, rows: Any) -> None:
    store, before = refused
    assert store.load().last_seq == 2
    assert rows() == before
    store.commit(THIRD)


def test_a_refused_batch_is_taken_back_before_anything_is_committed(refused: Any, rows: Any) -> None:
    """The next batch has the same numbers: the core took the step back."""
    store, before = refused
    store.commit(THIRD)
    after = rows()
    assert [after[name] for name in ("contacts", "contact_addresses", "request_keys", "deliveries")] == [
        before[name] for name in ("contacts", "contact_addresses", "request_keys", "deliveries")
    ]
    assert [entry.text for entry in store.read([Timeline("c1", 99, 99)])[0][0]] == ["no 1", "no 2", "instead"]
    store.commit(Batch(entries=(message(4),)))


@pytest.mark.parametrize("where", ["before", "after"])
def test_taking_back_is_repeated_if_its_own_answer_is_lost(
    where: Any, refused: Any, proxy: CutProxy, rows: Any
) -> None:
    store, before = refused
    store._patience_s = store._writer._patience_s = SHORT_S
    proxy.at_commit, proxy.away_after_cut = where, True
    with pytest.raises(StorageUnavailable):
        store.commit(THIRD)
    proxy.away = False
    store._patience_s = store._writer._patience_s = 30.0
    assert store.load().last_seq == 2
    assert rows() == before


def test_a_refused_batch_that_was_not_written_needs_no_taking_back(
    proxy: CutProxy, open_through: Any, rows: Any
) -> None:
    store = open_through(patience_s=SHORT_S)
    store.commit(FIRST)
    proxy.at_commit, proxy.away_after_cut = "before", True
    with pytest.raises(StorageUnavailable):
        store.commit(SECOND)
    proxy.away = False
    store._patience_s = store._writer._patience_s = 30.0
    store.commit(SECOND)
    assert len(rows()["entries"]) == 4


def test_a_refused_batch_on_which_another_server_has_built_cannot_be_taken_back(
    refused: Any, postgres_url: str
) -> None:
    store, _ = refused
    other = PostgresStore(postgres_url)
    other.open()
    assert other.load().last_seq == 4
    other.commit(Batch(entries=(message(5),)))
    other.close()
    with pytest.raises(StorageUnfit, match="another server"):
        store.commit(THIRD)


# ---------------------------------------------------------------- cost


def test_the_round_trips_of_a_batch_do_not_grow_with_it(open_through: Any) -> None:
    store = open_through()
    store.commit(FIRST)  # this one also learns of PostgreSQL's types
    queries: list[str] = []
    store._writer._connection.add_query_logger(lambda record: queries.append(record.query))
    for first, size in ((10, 1), (20, 200)):
        queries.clear()
        store.commit(
            Batch(
                entries=tuple(message(first + index) for index in range(size)),
                records=tuple(conversation(f"c{index}") for index in range(size)),
                keys=tuple(key(f"{first}-{index}") for index in range(size)),
            )
        )
        assert len(queries) == 1


def test_what_a_batch_replaces_is_found_by_an_index_also_while_tables_are_small(open_through: Any) -> None:
    """PostgreSQL keeps the plan; made for small tables it would read the whole of large ones, at every commit."""
    store = open_through()
    samples = {"text": "x", "integer": 1, "boolean": True, "bytes": b"x", "json": "{}"}
    rows = [[tuple(samples[column.kind] for column in table.columns)] * 50 for table in TABLES]

    async def plan(connection: Any) -> str:
        sql = "EXPLAIN " + _write_sql(tuple(TABLES))
        return "\n".join(row[0] for row in await connection.fetch(sql, "me", 1, *rows))

    found = store._writer.run(plan).replace("Seq Scan on commits", "the one row")
    assert "Index Scan" in found
    assert "Seq Scan" not in found
    assert "Hash Join" not in found


def test_a_message_changes_nothing_that_an_index_of_conversations_is_about(
    open_through: Any, postgres_url: str, postgres_server: Any
) -> None:
    """Else PostgreSQL writes into every one of them at every message: an update is "heap-only" or not."""
    open_through()
    sql = "SELECT indexdef FROM pg_indexes WHERE tablename = 'conversations'"
    indexes = [text for (text,) in postgres_server.ask(postgres_url, sql)]
    assert len(indexes) == 9
    assert [text for text in indexes if "last_seq" in text or "detail" in text] == []

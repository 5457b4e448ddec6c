"""PostgreSQL that goes away and comes back: between commits, in the middle of one, and for everybody."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest
from storage_samples import conversation, message

from protocol.records import Batch, ConversationById, Timeline
from storage.postgres import PostgresStore
from storage.store import StorageUnavailable, StorageUnfit

END_ALL = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
WAITING = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def open_postgres() -> Iterator[Callable[..., PostgresStore]]:
    stores: list[PostgresStore] = []

    def open_postgres(url: str, **parameters: Any) -> PostgresStore:
        store = PostgresStore(url, **parameters)
        stores.append(store)
        store.open()
        return store

    yield open_postgres
    for store in stores:
        store.close()


@pytest.fixture
def end_all(postgres_url: str, postgres_server: Any) -> Callable[[], None]:
    """Have the server end every connection to the test's database."""
    return lambda: postgres_server.ask(postgres_url, END_ALL)


@pytest.fixture
def set_read_only(postgres_server: Any, postgres_database: str, end_all: Any) -> Iterator[Callable[[str], None]]:
    """Have the database take no writes, for connections to come, and end those there are."""

    def set_read_only(to: str) -> None:
        sql = f"ALTER DATABASE {postgres_database} SET default_transaction_read_only = {to}"
        postgres_server.ask(postgres_server.admin_url, sql)
        end_all()

    yield set_read_only
    set_read_only("off")


def seqs(store: PostgresStore) -> list[int]:
    [(entries, _)] = store.read([Timeline("c1", up_to=10**6, limit=10**6)])
    return [entry.seq for entry in entries]


def test_a_connection_that_ended_between_calls_comes_back_by_itself(
    postgres_url: str, open_postgres: Any, end_all: Any
) -> None:
    store = open_postgres(postgres_url)
    for seq in range(1, 4):
        store.commit(Batch(entries=(message(seq),)))
        assert seqs(store)[-1] == seq
        end_all()
    assert store.load().last_seq == 3
    assert (store._writer.connects, store._reader.connects) == (4, 3)


def test_a_restart_of_the_server_is_survived(postgres_url: str, postgres_server: Any, open_postgres: Any) -> None:
    if postgres_server.restart is None:
        pytest.skip("the server named by SIGNALBOX_TEST_POSTGRES is not ours to restart")
    store = open_postgres(postgres_url)
    store.commit(Batch(entries=(message(1),)))
    assert seqs(store) == [1]
    postgres_server.restart()
    store.commit(Batch(entries=(message(2),)))
    postgres_server.restart()
    assert seqs(store) == [1, 2]
    assert store.load().last_seq == 2


async def lock_and_end(url: str, locked: threading.Event) -> None:
    """Lock a table; when somebody waits for it, end their connection and let go."""
    holder = await asyncpg.connect(url)
    await holder.execute("BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE")
    locked.set()
    while (waiting := await holder.fetchval(WAITING)) is None:
        await holder.execute("SELECT pg_stat_clear_snapshot()")
    await holder.execute("SELECT pg_terminate_backend($1)", waiting)
    await holder.close()


def test_a_connection_that_ends_in_the_middle_of_a_batch_costs_nothing(postgres_url: str, open_postgres: Any) -> None:
    """The batch waits for its second table when the connection ends; it is written once more, and stands there once."""
    store = open_postgres(postgres_url)
    locked = threading.Event()
    other = threading.Thread(target=lambda: asyncio.run(lock_and_end(postgres_url, locked)))
    other.start()
    locked.wait()
    store.commit(Batch(entries=(message(1),), records=(conversation(name="n"),)))
    other.join()
    assert seqs(store) == [1]
    assert store.read([ConversationById("c1")]) == [conversation(name="n")]
    assert store._writer.connects == 2


def test_a_database_that_takes_no_writes_refuses_commits_and_goes_on_when_it_does(
    postgres_url: str, set_read_only: Any, open_postgres: Any
) -> None:
    """A fail-over to a standby that is not promoted yet looks like this."""
    store = open_postgres(postgres_url)
    store.commit(Batch(entries=(message(1),)))
    set_read_only("on")
    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="read-only"):
            store.commit(Batch(entries=(message(2),)))
        assert seqs(store) == [1]
    set_read_only("off")
    store.commit(Batch(entries=(message(2),)))
    assert seqs(store) == [1, 2]


def test_no_server_is_unavailable_and_no_database_is_unfit(postgres_server: Any, open_postgres: Any) -> None:
    with pytest.raises(StorageUnavailable):
        open_postgres("postgresql://postgres@127.0.0.1:9/nowhere")
    with pytest.raises(StorageUnfit, match="does not exist"):
        open_postgres(postgres_server.url("no_such_database"))

"""The link: a connection that is cut after any trouble, made again when needed, and leaves nothing behind."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from storage import postgres_link
from storage.postgres_link import Link, translated
from storage.store import StorageUnavailable, StorageUnfit


@pytest.fixture
def link_to() -> Iterator[Callable[..., Link]]:
    links: list[Link] = []

    def link_to(url: str, patience_s: float = 30.0) -> Link:
        links.append(Link(url, patience_s))
        return links[-1]

    yield link_to
    for link in links:
        link.close()


def value(sql: str) -> Callable[[Any], Any]:
    """Work that asks for one value."""
    return lambda connection: connection.fetchval(sql)


async def fail(connection: Any) -> None:
    await connection.execute("BEGIN; CREATE TABLE unfinished ()")
    raise RuntimeError("in the middle")


def test_a_connection_serves_many_calls(postgres_url: str, link_to: Any) -> None:
    link = link_to(postgres_url)
    assert [link.run(value(f"SELECT {number}")) for number in (1, 2, 3)] == [1, 2, 3]
    assert link.connects == 1


def test_an_exception_passes_and_costs_the_connection_and_its_transaction(postgres_url: str, link_to: Any) -> None:
    link = link_to(postgres_url)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="in the middle"):
            link.run(fail)
    assert link.run(value("SELECT to_regclass('unfinished')")) is None
    assert link.connects == 3


def test_a_call_that_takes_too_long_is_given_up_and_ended(postgres_url: str, link_to: Any) -> None:
    link = link_to(postgres_url, 0.3)
    link.run(value("SELECT 1"))
    with pytest.raises(TimeoutError):
        link.run(value("SELECT pg_sleep(600)"))
    while link.run(value("SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")):
        pass


def test_what_is_left_of_a_lost_connection_is_ended_with_its_locks(
    postgres_url: str, link_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does not notice that the connection is lost: here, because it is not even closed."""
    link, table = link_to(postgres_url), "LOCK TABLE locked IN ACCESS EXCLUSIVE MODE"
    link.run(value("CREATE TABLE locked ()"))
    lost = link._connection
    monkeypatch.setattr(type(lost), "terminate", lambda connection: None)

    async def lock_and_fail(connection: Any) -> None:
        await connection.execute(f"BEGIN; {table}")
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        link.run(lock_and_fail)
    link.run(lambda connection: connection.execute(f"SET lock_timeout = '20s'; BEGIN; {table}; COMMIT"))
    monkeypatch.undo()
    lost.terminate()


def test_a_server_that_swallows_everything_is_not_waited_for_by_one_call_after_another(
    link_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_link, "CONNECT_S", 0.05)
    monkeypatch.setattr(postgres_link, "DEAF_S", 600.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        link = link_to(f"postgresql://somebody@127.0.0.1:{silent.getsockname()[1]}/nowhere")
        with pytest.raises(TimeoutError):
            link.run(value("SELECT 1"))
        silent.accept()[0].close()
        silent.setblocking(False)
        for _ in range(3):
            with pytest.raises(ConnectionError, match="a moment ago"):
                link.run(value("SELECT 1"))
        with pytest.raises(BlockingIOError):  # nobody has even tried
            silent.accept()
        link._deaf_until = 0.0
        with pytest.raises(TimeoutError):
            link.run(value("SELECT 1"))


def test_a_closed_link_is_disconnected_and_may_be_used_again(postgres_url: str, link_to: Any) -> None:
    link, other = link_to(postgres_url), link_to(postgres_url)
    pid = link.run(value("SELECT pg_backend_pid()"))
    link.close()
    link.close()
    while other.run(value(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}")):
        pass
    assert link.run(value("SELECT 1")) == 1


def test_a_commit_is_durable_whatever_the_database_is_set_to(postgres_url: str, link_to: Any) -> None:
    for setting, effective in (("off", "on"), ("local", "local")):
        link = link_to(f"{postgres_url}&synchronous_commit={setting}")
        assert link.run(value("SHOW synchronous_commit")) == effective


def test_a_transaction_that_is_cut_off_where_nobody_can_end_it_ends_by_itself(postgres_url: str, link_to: Any) -> None:
    link = link_to(postgres_url, 7.0)
    assert link.run(value("SHOW idle_in_transaction_session_timeout")) == "7001ms"


def test_a_database_with_another_encoding_is_refused(postgres_server: Any, link_to: Any) -> None:
    name = postgres_server.create_database("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    try:
        link = link_to(postgres_server.url(name))
        with pytest.raises(StorageUnfit, match="LATIN1"):
            link.run(value("SELECT 1"))
        link.close()
    finally:
        postgres_server.drop_database(name)


@pytest.mark.parametrize(
    "problem",
    [
        asyncpg.DiskFullError("m"),
        asyncpg.AdminShutdownError("m"),
        asyncpg.CrashShutdownError("m"),
        asyncpg.CannotConnectNowError("m"),
        asyncpg.QueryCanceledError("m"),
        asyncpg.TooManyConnectionsError("m"),
        asyncpg.SerializationError("m"),
        asyncpg.DeadlockDetectedError("m"),
        asyncpg.LockNotAvailableError("m"),
        asyncpg.ReadOnlySQLTransactionError("m"),
        asyncpg.ConnectionDoesNotExistError("m"),
        asyncpg.PostgresIOError("m"),
        asyncpg.InterfaceError("m"),
        asyncpg.InternalClientError("m"),
        ConnectionResetError("m"),
        OSError("m"),
        TimeoutError(),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_what_passes_is_unavailable(problem: Exception) -> None:
    with pytest.raises(StorageUnavailable, match=r"PostgreSQL"), translated():
        raise problem


@pytest.mark.parametrize(
    "problem",
    [
        asyncpg.InvalidPasswordError("m"),
        asyncpg.InvalidCatalogNameError("m"),
        asyncpg.InsufficientPrivilegeError("m"),
        asyncpg.UndefinedTableError("m"),
        asyncpg.UniqueViolationError("m"),
        asyncpg.DataCorruptedError("m"),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_what_somebody_must_mend_is_unfit(problem: Exception) -> None:
    with pytest.raises(StorageUnfit, match="PostgreSQL"), translated():
        raise problem


@pytest.mark.parametrize(
    "problem", [asyncpg.CharacterNotInRepertoireError("m"), asyncpg.ProgramLimitExceededError("m")]
)
def test_a_wrong_value_is_the_batchs_fault(problem: Exception) -> None:
    with pytest.raises(ValueError, match="PostgreSQL does not take"), translated():
        raise problem

"""Backup and restore: one state of a store that goes on, in one file, and the same store from it, of either kind."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest
from storage_samples import closed, contact, conversation, delivery, key, message

from protocol.records import (
    AgentRecord,
    Batch,
    ClosedWith,
    DeliveryOf,
    KeyOf,
    ServiceRecord,
    TemplateRecord,
    Timeline,
    WebhookRecord,
)
from protocol.settings import AgentSettings, ServiceSettings, Template
from storage import raw, sqlite
from storage.backup import backup, restore
from storage.raw import reading
from storage.schema import migrations
from storage.sqlite import SQLiteStore
from storage.store import StorageUnavailable, StorageUnfit
from storage.tables import TABLES

EVERYTHING = Batch(
    entries=(message(1), message(2, text="é\n'\"\\ \x1f"), message(3, "c2", origin={"agent": "ana"})),
    records=(
        AgentRecord(id="ana", position=0, settings=AgentSettings(id="ana"), live=True, lost_at=5),
        ServiceRecord(id="help", position=0, settings=ServiceSettings(id="help")),
        conversation("c1", tags=("a", "b"), queued=True, paused=(("ana", 7),)),
        closed("c2", 3),
        contact("p1", "1", "2", custom={"z": 1.5, "a": [None, True]}),
        delivery(2),
        TemplateRecord(id="t", settings=Template(name="t", text="x")),
        WebhookRecord(id=3, conversation="c2", url="http://x", body="{}"),
    ),
    keys=(key(answer=b"\x00\xff", expires_at=9),),
)


def silent(what: str, done: int, total: int) -> None:
    """Nobody looks."""


def rows(url: str) -> dict[str, list[Any]]:
    """Every row of every table, as SQLite has it."""
    with reading(url) as found:
        return {table.name: [tuple(row) for page in found.pages(table) for row in page] for table in TABLES}


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "store.backup")


@pytest.fixture(params=["sqlite", "postgres"])
def other_url(request: pytest.FixtureRequest, tmp_path: Path, another_postgres_url: str) -> str:
    """An empty store of each kind."""
    return f"sqlite:///{tmp_path}/other/signalbox.db" if request.param == "sqlite" else another_postgres_url


@pytest.fixture
def another_postgres_url(postgres_server: Any, postgres_database: str) -> Any:
    schema = postgres_server.name()
    postgres_server.ask(postgres_server.url(postgres_database), f"CREATE SCHEMA {schema}")
    yield postgres_server.url(postgres_database, search_path=schema)
    postgres_server.ask(postgres_server.url(postgres_database), f"DROP SCHEMA {schema} CASCADE")


def test_a_store_comes_back_from_its_backup_in_either_kind_of_store(
    lasting_url: str, other_url: str, file: str, opened: Callable[..., Any], monkeypatch: Any
) -> None:
    monkeypatch.setattr(raw, "PAGE", 2)
    store = opened(lasting_url)
    store.commit(EVERYTHING)
    counts = backup(lasting_url, file, silent)
    assert {name: number for name, number in counts.items() if number} == {
        "entries": 3, "agents": 1, "services": 1, "conversations": 2, "contacts": 1, "contact_addresses": 2,
        "deliveries": 1, "templates": 1, "webhooks": 1, "request_keys": 1,
    }  # fmt: skip
    assert restore(file, other_url, silent) == counts
    assert rows(other_url) == rows(lasting_url)
    again = opened(other_url)
    assert again.load() == store.load()
    questions = [Timeline("c1", 99, 99), Timeline("c2", 99, 99), DeliveryOf(2), KeyOf("agent:ana", "k1")]
    assert again.read(questions) == store.read(questions)
    again.commit(Batch(entries=(message(4),)))


def test_a_backup_is_one_state_of_a_store_that_goes_on(lasting_url: str, tmp_path: Path, opened: Any) -> None:
    """Each batch adds one entry and says so in the conversation."""
    store, ended = opened(lasting_url), threading.Event()

    def work() -> None:
        seq = 0
        while not ended.is_set():
            seq += 1
            store.commit(Batch(entries=(message(seq, text="x" * 500),), records=(conversation(last_seq=seq),)))
            worked.set()

    worked = threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    worked.wait()
    found = []
    try:
        for number in range(4):
            worked.clear()
            worked.wait()  # it goes on between two backups, and in them
            file = str(tmp_path / f"{number}.backup")
            backup(lasting_url, file, silent)
            with raw.opened_file(file) as copy:
                [(last_seq,)] = copy.rows("SELECT last_seq FROM conversations")
                assert copy.rows("SELECT count(*), max(seq) FROM entries") == [(last_seq, last_seq)]
            found.append(last_seq)
    finally:
        ended.set()
        worker.join()
    assert found == sorted(set(found))
    assert store.load().last_seq > found[0]


def test_a_sqlite_backup_is_one_state_though_commits_come_between_its_pages(
    tmp_path: Path, opened: Any, file: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr("storage.backup.PAGES", 1)
    url = f"sqlite:///{tmp_path}/signalbox.db"
    store, seen = opened(url), []
    store.commit(Batch(entries=tuple(message(seq, text="x" * 3000) for seq in range(1, 10))))

    def commit_more(what: str, done: int, total: int) -> None:
        seen.append((done, total))
        if len(seen) <= 5:
            seq = 9 + len(seen)
            store.commit(Batch(entries=(message(seq, text="y" * 3000),)))

    assert backup(url, file, commit_more)["entries"] == 9
    assert len(seen) > 5
    assert len({total for _, total in seen}) == 1
    assert store.load().last_seq == 14


def test_a_backup_is_a_file_by_itself_which_may_be_read_only(lasting_url: str, file: str, opened: Any) -> None:
    opened(lasting_url).commit(EVERYTHING)
    backup(lasting_url, file, silent)
    assert [name for name in os.listdir(os.path.dirname(file)) if "backup" in name] == ["store.backup"]
    os.chmod(file, 0o400)
    with apsw.Connection(file, flags=apsw.SQLITE_OPEN_READONLY) as connection:
        assert connection.pragma("journal_mode") == "delete"


def test_a_file_that_exists_is_not_overwritten(lasting_url: str, file: str, opened: Any) -> None:
    opened(lasting_url)
    Path(file).write_text("precious")
    with pytest.raises(FileExistsError, match=r"store\.backup"):
        backup(lasting_url, file, silent)
    assert Path(file).read_text() == "precious"


def test_a_backup_that_fails_leaves_nothing(lasting_url: str, file: str, opened: Any) -> None:
    opened(lasting_url).commit(EVERYTHING)

    def fail(what: str, done: int, total: int) -> None:
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        backup(lasting_url, file, fail)
    assert [name for name in os.listdir(os.path.dirname(file)) if "backup" in name] == []


def test_a_store_that_is_not_empty_is_refused_unless_it_is_to_be_replaced(
    lasting_url: str, file: str, opened: Any
) -> None:
    store = opened(lasting_url)
    store.commit(EVERYTHING)
    backup(lasting_url, file, silent)
    before = rows(lasting_url)
    store.commit(Batch(entries=(message(4),), records=(conversation("c9"),)))
    with pytest.raises(StorageUnfit, match="not empty"):
        restore(file, lasting_url, silent)
    store.commit(Batch(entries=(message(5),)))
    restore(file, lasting_url, silent, replace=True)
    assert rows(lasting_url) == before
    with pytest.raises(StorageUnfit, match="another server"):  # a server that ran meanwhile does not go on
        store.commit(Batch(entries=(message(6),)))


def test_an_older_backup_is_brought_up_to_date_and_left_as_it_is(
    other_url: str, file: str, opened: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(sqlite, "migrations", lambda dialect: migrations(dialect)[:2])
    SQLiteStore(file).migrate()
    monkeypatch.undo()
    with apsw.Connection(file) as connection:
        connection.execute('INSERT INTO templates VALUES (\'t\', \'{"name":"t","text":"x"}\', 0)')
        connection.pragma("journal_mode", "DELETE")
    connection.close()
    before = Path(file).read_bytes()
    assert restore(file, other_url, silent)["templates"] == 1
    assert Path(file).read_bytes() == before
    assert opened(other_url).load().templates[0].settings.text == "x"


def test_what_is_no_backup_or_a_damaged_one_leaves_the_store_empty(
    lasting_url: str, tmp_path: Path, file: str, opened: Any
) -> None:
    source = f"sqlite:///{tmp_path}/source.db"
    opened(source).commit(Batch(entries=tuple(message(seq, text="x" * 2000) for seq in range(1, 60))))
    backup(source, file, silent)
    data = Path(file).read_bytes()
    Path(file).write_bytes(data[: len(data) // 2] + b"\xff" * (len(data) // 4))
    for wrong in (file, str(tmp_path / "missing"), str(tmp_path)):
        with pytest.raises((StorageUnfit, StorageUnavailable)):
            restore(wrong, lasting_url, silent)
    assert opened(lasting_url).load().last_seq == 0


def test_long_work_tells_how_far_it_is(lasting_url: str, other_url: str, file: str, opened: Any) -> None:
    opened(lasting_url).commit(EVERYTHING)
    told: list[tuple[str, int, int]] = []
    backup(lasting_url, file, lambda *step: told.append(step))
    assert told[-1][1] == told[-1][2]
    told.clear()
    restore(file, other_url, lambda *step: told.append(step))
    assert ("entries", 3, 3) in told


def test_every_table_of_the_schema_is_in_a_backup(lasting_url: str, opened: Any) -> None:
    opened(lasting_url)
    is_sqlite = lasting_url.startswith("sqlite")
    sql = (
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
        if is_sqlite
        else "SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema()"
        " AND table_type = 'BASE TABLE'"
    )
    with reading(lasting_url) as found:
        names = {name for (name,) in found.rows(sql)}
    followed_by_triggers = {"closed_crews", "closed_members"}
    assert names == {table.name for table in TABLES} | {"commits", "schema_version"} | followed_by_triggers


def test_who_was_in_the_crew_of_a_closed_conversation_is_found_in_what_was_restored(
    lasting_url: str, other_url: str, file: str, opened: Any
) -> None:
    opened(lasting_url).commit(Batch(records=(closed("c1", 1, crew=("ana",)), closed("c2", 2, crew=("bo", "ana")))))
    backup(lasting_url, file, silent)
    for replace in (False, True):
        restore(file, other_url, silent, replace=replace)
        store = opened(other_url)
        answers = store.read([ClosedWith("ana", 9), ClosedWith("bo", 9)])
        assert [[found.id for found in answer] for answer in answers] == [["c2", "c1"], ["c2"]]
        assert sum(counted.count for counted in store.load().closed if counted.agent is None) == 2
        store.close()

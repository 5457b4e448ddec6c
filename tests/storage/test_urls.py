"""URLs of stores, right ones and wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from storage_samples import message

from protocol.records import Batch
from storage.postgres import PostgresStore
from storage.schema import migrations
from storage.sqlite import SQLiteStore
from storage.store import StorageUnfit
from storage.urls import migrate, open_store, store_of


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///data/signalbox.db", "data/signalbox.db"),
        ("sqlite:////var/lib/signalbox.db", "/var/lib/signalbox.db"),
        ("sqlite:///:memory:", ":memory:"),
    ],
)
def test_a_sqlite_url_has_three_slashes_before_the_path(url: str, path: str) -> None:
    store = store_of(url)
    assert isinstance(store, SQLiteStore)
    assert store._path == path


def test_a_postgresql_url_is_passed_on() -> None:
    assert isinstance(store_of("postgresql://user@host/database?sslmode=require"), PostgresStore)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "signalbox.db",
        "sqlite:",
        "sqlite://signalbox.db",
        "sqlite:///",
        "sqlite:///data/",
        "sqlite:////",
        "sqlite:///signalbox.db?mode=ro",
        "sqlite:///signal\0box.db",
        "mysql://root:secret@host/database",
        "postgres://root:secret@host/database",
        "SQLITE:///signalbox.db",
    ],
)
def test_any_other_url_is_refused_with_a_sentence_that_shows_a_right_one(url: str) -> None:
    with pytest.raises(StorageUnfit, match=r"sqlite:///path/file\.db") as refusal:
        open_store(url)
    assert "secret" not in str(refusal.value)


def test_an_unusable_postgresql_url_is_refused() -> None:
    for url in ("postgresql://host:port/database", "postgresql://host/database?sslmode=perhaps"):
        with pytest.raises(StorageUnfit):
            open_store(url)


def test_a_store_is_opened_and_a_relative_path_begins_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = open_store("sqlite:///data/new/signalbox.db")
    store.commit(Batch(entries=(message(1),)))
    store.open()
    assert store.load().last_seq == 1
    store.close()
    assert (tmp_path / "data" / "new" / "signalbox.db").exists()


def test_migrate_names_what_it_applied_and_a_second_time_nothing(lasting_url: str, opened: Any) -> None:
    assert migrate(lasting_url) == [migration.name for migration in migrations("sqlite")]
    assert migrate(lasting_url) == []
    store = opened(lasting_url)
    store.commit(Batch(entries=(message(1),)))
    assert migrate(lasting_url) == []
    assert store.load().last_seq == 1

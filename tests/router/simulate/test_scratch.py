"""A throwaway store beside the operator's own."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from protocol.records import Batch, ContactById, ContactRecord
from router.simulate.scratch import scratch_url
from storage.store import StorageUnavailable, StorageUnfit
from storage.urls import open_store


def write(url: str) -> None:
    """Leave something in the store."""
    store = open_store(url)
    store.commit(Batch(records=(ContactRecord(id="p1"),)))
    store.close()


def is_empty(url: str) -> bool:
    store = open_store(url)
    try:
        return store.read([ContactById("p1")]) == [None]
    finally:
        store.close()


@pytest.mark.parametrize("named", [None, "sqlite:///:memory:"])
def test_without_a_place_it_is_among_the_temporary_files(named: str | None) -> None:
    with scratch_url(named) as url:
        file = Path(url.removeprefix("sqlite:///"))
        write(url)
        assert file.is_absolute()
        assert not is_empty(url)
    assert not file.parent.exists()


def test_a_sqlite_store_is_beside_the_named_one_which_is_not_touched(tmp_path: Path) -> None:
    own = f"sqlite:///{tmp_path}/own.db"
    write(own)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    with scratch_url(own) as first, scratch_url(own) as second:
        assert first != second
        assert Path(first.removeprefix("sqlite:///")).parent.parent == tmp_path
        write(first)
        assert is_empty(second)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_no_folder_is_made_for_a_file_that_is_not_there_yet(tmp_path: Path) -> None:
    with scratch_url(f"sqlite:///{tmp_path}/a/b/own.db") as url:
        write(url)
    assert list(tmp_path.iterdir()) == []


def test_a_sqlite_store_is_gone_even_if_the_play_broke_off() -> None:
    urls: list[str] = []

    def break_off() -> None:
        with scratch_url(None) as url:
            urls.append(url)
            write(url)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    [url] = urls
    assert not Path(url.removeprefix("sqlite:///")).parent.exists()


def test_a_database_is_beside_the_named_one_and_is_dropped_whoever_is_connected(postgres_url: str) -> None:
    write(postgres_url)
    with scratch_url(postgres_url) as url:
        assert urlsplit(url).path.startswith("/signalbox_sim_")
        assert urlsplit(url).netloc == urlsplit(postgres_url).netloc
        assert "search_path" not in url, "the named one's schemas do not exist in another database"
        assert is_empty(url)
        write(url)
        left_open = open_store(url)
    left_open.close()
    assert not is_empty(postgres_url)
    with pytest.raises((StorageUnfit, StorageUnavailable)):
        open_store(url)


@pytest.mark.parametrize("url", ["", "x.db", "mysql://host/db", "sqlite:///"])
def test_a_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(StorageUnfit, match="a store is named by a URL"), scratch_url(url):
        raise AssertionError("there is no such store")


def test_a_server_that_does_not_answer_is_told(tmp_path: Path) -> None:
    url = f"postgresql://nobody@/nothing?host={tmp_path}"
    with pytest.raises(StorageUnavailable, match="PostgreSQL does not answer"), scratch_url(url):
        raise AssertionError("there is no such server")


def test_a_server_that_refuses_is_told(postgres_url: str) -> None:
    url = urlunsplit(urlsplit(postgres_url)._replace(path="/there_is_no_such_database"))
    with pytest.raises(StorageUnfit, match=r"PostgreSQL refuses: .*there_is_no_such_database"), scratch_url(url):
        raise AssertionError("there is no such database")

"""The stores of the shared suite: every test that asks for ``store`` runs with each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from storage.postgres import PostgresStore
from storage.sqlite import SQLiteStore
from storage.urls import store_of

STORES = ["sqlite", "memory", "postgres"]


def _url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return "sqlite:///:memory:" if kind == "memory" else f"sqlite:///{folder}/store/signalbox.db"


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A URL of each kind of store; nothing is there yet."""
    return _url(request.param, request, tmp_path)


@pytest.fixture(params=["sqlite", "postgres"])
def lasting_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A URL of each kind of store that outlives its process."""
    return _url(request.param, request, tmp_path)


@pytest.fixture
def damage(lasting_url: str, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Change rows of the store of ``lasting_url`` as somebody with a shell would, behind its server's back."""

    def damage(sql: str) -> None:
        if lasting_url.startswith("sqlite:///"):
            with apsw.Connection(lasting_url.removeprefix("sqlite:///")) as connection:
                connection.execute(sql)
            connection.close()
        else:
            request.getfixturevalue("postgres_server").ask(lasting_url, sql)

    return damage


@pytest.fixture
def opened() -> Iterator[Callable[..., Any]]:
    """Open a store; all are closed at the end."""
    stores: list[SQLiteStore | PostgresStore] = []

    def opened(url: str) -> SQLiteStore | PostgresStore:
        store = store_of(url)
        stores.append(store)
        store.open()
        return store

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(store_url: str, opened: Callable[..., Any]) -> Any:
    """An empty store of each kind, open."""
    return opened(store_url)

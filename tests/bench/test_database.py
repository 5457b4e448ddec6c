"""PostgreSQL's own processes are found, and what they take since a moment."""

from __future__ import annotations

import os
from typing import Any

import pytest

from bench.database import Database, more_s, parent


def test_the_parent_of_this_process_is_found() -> None:
    assert parent(os.getpid()) == os.getppid()


def test_what_has_ended_and_what_was_there_before_does_not_count_and_what_is_new_does_whole() -> None:
    assert more_s({1: 2.0, 2: 5.0}, {1: 2.5, 3: 0.25}) == 0.75
    assert more_s({}, {}) == 0.0


def test_sqlite_has_no_processes() -> None:
    assert Database("sqlite:///any.db").cpu_s() == {}


@pytest.mark.skipif("SIGNALBOX_TEST_POSTGRES" in os.environ, reason="its processes may be another machine's")
def test_the_processes_of_postgresql_are_found_whichever_database_is_asked(
    postgres_server: Any, postgres_url: str
) -> None:
    database = Database(postgres_url)
    found = database.cpu_s()
    assert len(found) > 1  # it has some that serve nobody
    assert os.getpid() not in found
    assert found.keys() & Database(postgres_server.admin_url).cpu_s().keys()

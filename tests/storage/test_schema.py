"""Migrations: in order, once, never backwards, and none by halves."""

from __future__ import annotations

import re
import threading
from typing import Any

import msgspec
import pytest
from storage_samples import conversation, message

from protocol.codec import encode_json
from protocol.records import (
    Batch,
    ClosedAmong,
    ClosedWith,
    ConversationRecord,
    EndedWait,
    ReadMark,
    RevocationRecord,
    RevokedAt,
    StepFired,
)
from protocol.settings import ServiceSettings, Step
from protocol.times import Duration
from storage import postgres_reading, sqlite
from storage.schema import Migration, migrations, next_migration
from storage.store import StorageUnfit
from storage.urls import migrate

KNOWN = [Migration(1, "0001_one", ""), Migration(2, "0002_two", "")]
HERE = [migration.name for migration in migrations("sqlite")]  # what there is without the tests' own
NEXT = len(HERE) + 1
ADD = Migration(NEXT, "9999_add", "CREATE TABLE added (x bigint); INSERT INTO added VALUES (7)")
BROKEN = Migration(NEXT, "9999_broken", "CREATE TABLE added (x bigint); INSERT INTO missing VALUES (7)")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that knows one migration more."""

    def later(migration: Migration) -> None:
        for module in (sqlite, postgres_reading):
            monkeypatch.setattr(module, "migrations", lambda dialect: [*migrations(dialect), migration])

    return later


@pytest.fixture
def as_of(lasting_url: str) -> Any:
    """Migrate like a server that knew only the first so many."""

    def as_of(version: int) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for module in (sqlite, postgres_reading):
                patch.setattr(module, "migrations", lambda dialect: migrations(dialect)[:version])
            migrate(lasting_url)

    return as_of


@pytest.fixture
def rows(lasting_url: str, request: pytest.FixtureRequest) -> Any:
    """Ask the database directly."""

    def rows(sql: str) -> list[tuple[Any, ...]]:
        if lasting_url.startswith("sqlite"):
            connection = sqlite.apsw.Connection(lasting_url.removeprefix("sqlite:///"))
            return list(connection.execute(sql))
        return [tuple(row) for row in request.getfixturevalue("postgres_server").ask(lasting_url, sql)]

    return rows


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_files_are_numbered_without_gaps(dialect: Any) -> None:
    found = migrations(dialect)
    assert [migration.version for migration in found] == list(range(1, len(found) + 1))
    assert all(re.fullmatch(rf"{migration.version:04d}_[a-z_]+", migration.name) for migration in found)


def test_both_dialects_have_the_same_migrations() -> None:
    assert [m.name for m in migrations("sqlite")] == [m.name for m in migrations("postgres")]


def test_the_next_migration_is_the_first_that_is_missing() -> None:
    assert [next_migration(KNOWN, version) for version in (0, 1, 2)] == [KNOWN[0], KNOWN[1], None]


def test_a_newer_schema_is_refused_with_both_versions() -> None:
    with pytest.raises(StorageUnfit, match="schema version 7, this server knows versions up to 2: upgrade the server"):
        next_migration(KNOWN, 7)


def test_what_is_outstanding_is_applied_once(lasting_url: str, later: Any, rows: Any) -> None:
    assert migrate(lasting_url) == HERE
    later(ADD)
    assert migrate(lasting_url) == [ADD.name]
    assert migrate(lasting_url) == []
    assert rows("SELECT x FROM added") == [(7,)]
    assert rows("SELECT version, name FROM schema_version ORDER BY version") == list(enumerate([*HERE, ADD.name], 1))


def test_a_server_refuses_a_schema_newer_than_itself(lasting_url: str, later: Any, monkeypatch: Any) -> None:
    later(ADD)
    migrate(lasting_url)
    monkeypatch.undo()
    for _ in range(2):
        with pytest.raises(StorageUnfit, match=f"schema version {NEXT}, this server knows versions up to {NEXT - 1}"):
            migrate(lasting_url)


def test_a_migration_that_fails_leaves_nothing_and_may_be_repeated(lasting_url: str, later: Any, rows: Any) -> None:
    later(BROKEN)
    for _ in range(2):
        with pytest.raises(StorageUnfit, match="missing"):
            migrate(lasting_url)
    later(ADD)
    assert migrate(lasting_url) == [ADD.name]
    assert rows("SELECT x FROM added") == [(7,)]


def test_servers_that_start_together_migrate_once(lasting_url: str, later: Any) -> None:
    later(ADD)
    applied: list[str] = []
    threads = [threading.Thread(target=lambda: applied.extend(migrate(lasting_url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(applied) == [*HERE, ADD.name]


def test_readable_views_show_times(lasting_url: str, opened: Any, rows: Any) -> None:
    entry = message(1, at=1_767_603_600_123)
    opened(lasting_url).commit(
        Batch(entries=(entry,), records=(conversation(created_at=1, queued=True, tags=("vip",)),))
    )
    [(at,)] = rows("SELECT at FROM entries_readable")
    [(created, closed)] = rows("SELECT created_at, closed_at FROM conversations_readable")
    assert (str(at)[:23].replace("T", " "), str(created)[:10]) == ("2026-01-05 09:00:00.123", "1970-01-01")
    assert closed is None
    [(queued, priority, tags)] = rows("SELECT queued, priority, tags FROM conversations_readable")
    assert (bool(queued), priority, tags) == (True, 0, '["vip"]')


def test_the_steps_that_had_fired_by_number_are_remembered_by_what_they_do(
    lasting_url: str, opened: Any, rows: Any, as_of: Any
) -> None:
    """0003: a conversation that waits through the upgrade does not climb the same steps again."""
    as_of(2)
    steps = tuple(Step(after=Duration(n * 60_000), do="raise_priority", by=n) for n in (5, 10, 15))
    settings = encode_json(ServiceSettings(id="support", escalation=steps)).decode()
    rows(f"INSERT INTO services (id, position, settings) VALUES ('support', 0, '{settings}')")
    for name, fired in (("c1", 2), ("c2", 0)):
        rows(
            "INSERT INTO conversations (id, service, state, crew, joined, queued, age_since, need, priority, skills,"
            " tags, paused, ladder_fired, managers_added, created_at, stirred_at, last_seq) VALUES"
            f" ('{name}', 'support', 'open', '[]', '[]', true, 0, 'new', 0, '[]', '[]', '[]', {fired}, false, 0, 0, 1)"
        )
    store = opened(lasting_url)
    first, second = store.load().conversations
    timeless = [msgspec.structs.replace(step, after=Duration(0)) for step in steps]
    assert first.steps_fired == tuple(StepFired("support", step) for step in timeless[:2])
    assert second.steps_fired == ()


def test_a_conversation_is_the_same_after_its_columns_went_into_the_detail(
    lasting_url: str, opened: Any, rows: Any, as_of: Any
) -> None:
    """0009: with what was set and what was not, and with what triggers keep of it."""
    as_of(8)
    given = {
        "service": "'help'", "channel": "'sms'", "contact": "'p1'", "state": "'closed'", "assignee": "NULL",
        "crew": "'[\"ana\"]'", "members": "'[\"p2\"]'", "link": "NULL", "unmailed_since": "4", "last_seq": "9",
        "name": "'it''s \"ø\"'", "joined": "'[\"ana\"]'", "queued": "true", "age_since": "7", "need": "'reply'",
        "routed": "false", "priority": "-2", "skills": "'[]'", "tags": "'[\"vip\"]'", "paused": "'[[\"bo\",5]]'",
        "managers_added": "true", "created_at": "1767603600123", "stirred_at": "3", "closed_at": "8", "messages": "2",
        "ended_wait": "'{\"since\":1,\"answers\":2}'", "read": "'[[\"agent:ana\",2,9,null,6]]'",
    }  # fmt: skip
    rows(f"INSERT INTO conversations (id, {', '.join(given)}) VALUES ('c1', {', '.join(given.values())})")
    unset = "crew, joined, queued, age_since, need, priority, skills, tags, paused, managers_added, created_at"
    values = "'[]', '[]', false, 0, 'new', 0, '[]', '[]', '[]', false, 0"
    rows(f"INSERT INTO conversations (id, state, stirred_at, last_seq, {unset}) VALUES ('c2', 'open', 0, 0, {values})")
    store = opened(lasting_url)
    closed = ConversationRecord(
        "c1", service="help", channel="sms", contact="p1", state="closed", crew=("ana",), members=("p2",),
        unmailed_since=4, last_seq=9, name='it\'s "ø"', joined=("ana",), queued=True, age_since=7, need="reply",
        routed=False, priority=-2, tags=("vip",), paused=(("bo", 5),), managers_added=True,
        created_at=1_767_603_600_123, stirred_at=3, closed_at=8, messages=2, ended_wait=EndedWait(1, answers=2),
        read=(ReadMark("agent:ana", 2, 9, None, 6),),
    )  # fmt: skip
    assert store.load().conversations == (closed, ConversationRecord("c2"))
    assert store.read([ClosedWith("ana", 5), ClosedAmong("p2", 5)]) == [(closed,), (closed,)]
    store.commit(Batch(records=(msgspec.structs.replace(closed, state="open"),)))
    assert store.read([ClosedWith("ana", 5), ClosedAmong("p2", 5)]) == [(), ()]


def test_what_was_revoked_has_rows_of_its_own_after_the_upgrade(
    lasting_url: str, opened: Any, rows: Any, as_of: Any
) -> None:
    """0008: all moments stood in one row among the request keys."""
    as_of(7)
    moments = encode_json({"agent:ana": 1_767_603_600_123, 'contact:"ø"': 5}).hex()
    answer = f"X'{moments}'" if lasting_url.startswith("sqlite") else f"'\\x{moments}'"
    for owner, name in (("house", "revocations"), ("agent:ana", "revocations"), ("house", "probe-1")):
        rows(f"INSERT INTO request_keys (owner, key, digest, answer) VALUES ('{owner}', '{name}', '', {answer})")
    store = opened(lasting_url)
    ana, other = RevocationRecord("agent:ana", 1_767_603_600_123, None), RevocationRecord('contact:"ø"', 5, None)
    assert store.read([RevokedAt(2**53)]) == [(ana, other)]
    left = [("agent:ana", "revocations"), ("house", "probe-1")]
    assert [tuple(row) for row in rows("SELECT owner, key FROM request_keys ORDER BY owner")] == left

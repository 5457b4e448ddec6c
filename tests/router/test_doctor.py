"""The doctor: what a server would make of a store, and the commands that look after stores, from outside."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.records import ConversationRecord
from router import cli
from router.doctor import examine, routing
from storage.urls import open_store
from tests.invariants import broken
from tests.world import START, World, service


def silent(what: str, done: int, total: int) -> None:
    """Nobody looks."""


CONFIG = {
    "channel_classes": {"letters": ["post"]},
    "services": [service("support", "ana bo")],
    "agents": [{"id": "ana", "capacity": {"messaging": 1, "letters": 2}}, {"id": "bo"}],
}


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/signalbox.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def world(url: str) -> World:
    """A house after a day of work: something queued, assigned, snoozed, closed, a message out."""
    world = World(CONFIG, store=open_store(url), online=["ana"])
    first = world.receive("+1")
    world.say("ana", "message.send", conversation=first.id, text="Hello")
    world.say("ana", "conversation.snooze", **{"conversation": first.id, "for": "1h"})
    second = world.receive("+2")
    world.say("ana", "conversation.close", conversation=second.id)
    for number in range(3, 6):
        world.receive(f"+{number}")
    world.receive("street 1", channel="post")
    return world


def test_a_house_at_work_is_whole(url: str, world: World) -> None:
    assert examine(url, world.now, silent) == []
    assert examine(url, world.now + 10**9, silent) == []  # and after a long time away


def spoil(record: ConversationRecord, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(record, name, value)


@pytest.mark.parametrize(
    ("state", "fields", "says"),
    [
        ("open", {"queued": True}, "is assigned, and yet waits"),
        ("open", {"assignee": None, "crew": ()}, "is open, and nobody's"),
        ("open", {"joined": ("bo",)}, "somebody has joined it who is not in its crew"),
        ("open", {"assignee": "zoe"}, "a server could not start from this: KeyError"),
        ("snoozed", {"snoozed_until": None}, "is snoozed until never"),
        ("snoozed", {"queued": True}, "is snoozed, and yet assigned or in the queue"),
    ],
)
def test_a_record_against_the_rules_is_named(state: str, fields: dict[str, Any], says: str, world: World) -> None:
    snapshot = world.store.load()
    record = next(
        record for record in snapshot.conversations if record.state == state and (state == "snoozed" or record.assignee)
    )
    spoil(record, **fields)
    assert any(says in fault.text for fault in routing(snapshot, START))


def test_one_that_waits_to_be_taken_and_is_offered_to_nobody_is_named(world: World) -> None:
    snapshot = world.store.load()
    record = next(record for record in snapshot.conversations if record.queued)
    record.routed = False
    [fault] = routing(snapshot, START)
    assert fault.text == f"conversation {record.id} waits for somebody to take it, and is offered to nobody"


# ---------------------------------------------------------------- the commands


def run(capsys: Any, *arguments: str) -> tuple[int, str, str]:
    code = cli.main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_doctor_says_what_it_finds_and_mends_what_it_can(
    url: str, world: World, capsys: Any, request: pytest.FixtureRequest
) -> None:
    assert run(capsys, "doctor", "--store", url) == (0, "no problems\n", "")
    damage = f"UPDATE conversations SET last_seq = 1 WHERE id = '{world.receive('+9').id}'"
    world.store.close()
    _ask(url, damage, request)
    code, out, _ = run(capsys, "doctor", "--store", url)
    assert code == 1
    assert "says that its last entry is 1" in out
    assert "--mend would have it say which entry is its last" in out
    assert out.endswith("1 problems\n")
    assert run(capsys, "doctor", "--store", url, "--mend")[:2] == (0, "mended 1 rows\nno problems\n")


def test_backup_and_restore_move_a_house_with_everything_in_it(
    url: str, world: World, capsys: Any, tmp_path: Any
) -> None:
    file, other = str(tmp_path / "house.backup"), f"sqlite:///{tmp_path}/other.db"
    code, out, err = run(capsys, "backup", "--store", url, file)
    assert (code, err) == (0, "")
    assert "entries" in out
    assert run(capsys, "backup", "--store", url, file)[0] == 1
    assert run(capsys, "restore", "--store", other, file)[0] == 0
    assert run(capsys, "doctor", "--store", other)[0] == 0
    code, _, err = run(capsys, "restore", "--store", other, file)
    assert code == 1
    assert "--replace" in err
    assert run(capsys, "restore", "--store", other, "--replace", file)[0] == 0
    moved = World(CONFIG, store=open_store(other))
    assert broken(moved.core) == []
    assert moved.core.house.seq >= world.core.house.seq


@pytest.mark.parametrize("command", [["backup", "x"], ["restore", "x"], ["doctor"]])
def test_without_a_store_nothing_is_done(command: list[str], capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("SIGNALBOX_STORE", raising=False)
    code, _, err = run(capsys, *command)
    assert code == 2
    assert "SIGNALBOX_STORE" in err


def test_a_store_that_does_not_exist_is_not_made(capsys: Any, tmp_path: Any) -> None:
    for command in ("doctor", "backup"):
        arguments = [str(tmp_path / "file")] if command == "backup" else []
        assert run(capsys, command, "--store", f"sqlite:///{tmp_path}/nothing.db", *arguments)[0] == 1
    assert list(tmp_path.iterdir()) == []


def _ask(url: str, sql: str, request: pytest.FixtureRequest) -> None:
    import apsw

    if url.startswith("sqlite"):
        with apsw.Connection(url.removeprefix("sqlite:///")) as connection:
            connection.execute(sql)
        connection.close()
    else:
        request.getfixturevalue("postgres_server").ask(url, sql)

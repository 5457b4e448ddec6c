"""Seeded storms: the same histories every time, in memory, in a file, and in PostgreSQL. A failure names its seed."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from actors.agent import AgentActor
from actors.errand import ErrandActor
from actors.messages import Free
from actors.system import Turn
from protocol.ids import conversation_id
from protocol.objects import Entry
from protocol.records import Timeline
from storage.urls import open_store
from tests.sabotage import replaces_core
from tests.storm import SERVICES, Storm

STEPS = 300


@pytest.mark.parametrize("seed", range(1, 61))
def test_a_storm_breaks_no_rule(seed: int) -> None:
    Storm(seed).run(STEPS)


@pytest.mark.parametrize("seed", range(61, 64))
def test_a_storm_on_a_file_breaks_no_rule(seed: int, tmp_path: Path) -> None:
    Storm(seed, url=f"sqlite:///{tmp_path}/storm.db").run(STEPS)


@pytest.mark.parametrize("seed", [71, 72])
def test_a_storm_on_postgresql_breaks_no_rule_and_says_the_same(seed: int, postgres_url: str) -> None:
    assert Storm(seed, url=postgres_url).run(100) == Storm(seed).run(100)


@pytest.mark.parametrize("seed", [64, 65])
def test_one_seed_is_one_history_to_the_byte(seed: int, tmp_path: Path) -> None:
    first = Storm(seed).run(STEPS)
    assert Storm(seed).run(STEPS) == first
    assert Storm(seed, url=f"sqlite:///{tmp_path}/storm.db").run(STEPS) == first, "whatever the store"
    assert len(first) > 10_000


def test_another_seed_is_another_history() -> None:
    assert Storm(1).run(50) != Storm(2).run(50)


@pytest.fixture(scope="module")
def storms() -> list[Storm]:
    """Some that have blown over."""
    found = [Storm(seed) for seed in range(101, 113)]
    for storm in found:
        storm.run(STEPS)
    return found


def entries(storm: Storm) -> list[Entry]:
    """The whole timeline of the workspace, as the store has it."""
    world = storm.world
    names = [conversation_id(seq) for seq in range(1, world.core.house.seq + 1)]
    pages = world.store.read([Timeline(name, up_to=10**9, limit=100_000) for name in names])
    return sorted((entry for page, _ in pages for entry in page), key=lambda entry: entry.seq)


def test_storms_get_something_done(storms: list[Storm]) -> None:
    """A storm of refusals would prove nothing."""
    for storm in storms:
        assert storm.successes > storm.refusals > 20
        assert storm.keyed != []
    assert {entry.type for storm in storms for entry in entries(storm)} >= {
        "created", "message", "comment", "assigned", "queued", "transferred", "snoozed", "woke", "closed", "reopened",
        "joined", "left", "declined", "unassigned", "escalated", "invited", "merged",
    }  # fmt: skip


def is_whole(storm: Storm) -> None:
    """protocol §2: numbers strictly increase and are never reused; and none is lost."""
    seqs = [entry.seq for entry in entries(storm)]
    assert seqs == list(range(1, storm.world.core.house.seq + 1)), f"storm seed {storm.seed}, entries are missing"


def blow_over(storm: Storm) -> None:
    """A whole storm, and a look at what it left in the store."""
    storm.run(STEPS)
    is_whole(storm)


def test_every_number_is_one_entry_in_the_store(storms: list[Storm]) -> None:
    for storm in storms:
        is_whole(storm)


def test_each_rung_of_the_ladder_fires_once_a_wait(storms: list[Storm]) -> None:
    for storm in storms:
        rungs: dict[str, list[tuple[str | None, str | None]]] = {}
        for entry in entries(storm):
            fired = rungs.setdefault(entry.conversation, [])
            by_agent = entry.by is not None and entry.by.kind == "agent"
            again = entry.type == "delivery" and entry.status == "pending"  # an answer that had failed
            if entry.type == "closed" or (entry.type == "message" and by_agent) or again:
                fired.clear()
            elif entry.type == "escalated":
                rung = (entry.service, entry.reason)
                most = len(SERVICES) if entry.reason == "move_to" else 1  # to another service = another step
                assert fired.count(rung) < most, f"storm seed {storm.seed}, seq {entry.seq}"
                fired.append(rung)


def test_storms_mail_to_a_server_with_bad_days(storms: list[Storm]) -> None:
    """Mails were tried again, taken without being heard, refused for good, and confirmed."""
    attempts = [count for storm in storms for count in storm.mails.attempts.values()]
    assert sum(count > 1 for count in attempts) > 50
    assert any(taken > 1 for storm in storms for taken in storm.mails.reached.values())
    assert sum(len(storm.mails.confirmed) for storm in storms) > 50
    assert any(storm.mails.refused for storm in storms)


# ---------------------------------------------------------------- a storm can fail


@replaces_core
def test_a_mail_that_is_sent_again_after_its_confirmation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(self: ErrandActor, status: str, turn: Turn) -> None:
        """It is forgotten here, and nobody tells the store."""
        self._house.mails.pop(self.record.id, None)

    monkeypatch.setattr(ErrandActor, "_end", end)
    with pytest.raises(AssertionError, match=r"came again after its confirmation was in the store|\.mails\."):
        Storm(3).run(STEPS)


@replaces_core
def test_a_slot_that_is_never_freed_is_found_and_the_seed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    handle, frees = AgentActor.receive, itertools.count()

    def receive(self: AgentActor, message: Any, turn: Turn) -> None:
        if not isinstance(message, Free) or next(frees) != 5:
            handle(self, message, turn)

    monkeypatch.setattr(AgentActor, "receive", receive)
    with pytest.raises(AssertionError, match="storm seed 2,"):
        Storm(2).run(STEPS)


def test_a_store_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    storm = Storm(4, faults=False)
    commits, commit = itertools.count(), storm.world.store.commit

    def forgetful(batch: Any) -> None:
        if next(commits) not in range(40, 60):
            commit(batch)

    monkeypatch.setattr(storm.world.store, "commit", forgetful)
    with pytest.raises(AssertionError, match="storm seed 4,"):
        blow_over(storm)


def test_the_store_of_a_storm_is_the_one_that_was_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/storm.db"
    storm = Storm(5, url=url)
    storm.run(20)
    store = open_store(url)
    store.open()
    assert store.load().last_seq == storm.world.core.house.seq
    store.close()


def test_a_history_does_not_depend_on_how_python_hashes() -> None:
    """No order comes from a set or a dict of objects: two processes with other hashes say the same."""
    script = "import hashlib; from tests.storm import Storm; print(hashlib.sha256(Storm(66).run(300)).hexdigest())"
    folder = Path(__file__).parent.parent
    said = {
        subprocess.run(
            [sys.executable, "-c", script], cwd=folder, env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(said) == 1

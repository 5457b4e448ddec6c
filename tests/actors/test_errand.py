"""Errands: written down first, tried again until taken. With calls of the ladder's URL, and with mails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.effects import Mail, Mailed, Post, Posted
from actors.errand import ATTEMPTS_MAX, BACKOFF_S
from actors.mail import write
from actors.system import Turn
from tests.world import World

URL = "https://example.org/hook"


class Errand:
    """One errand that was attempted once: ``attempts`` so far, and ``hear`` what became of it."""

    def __init__(self) -> None:
        ladder = [{"after": "10m", "do": "webhook", "url": URL}]
        services = [{"id": "support", "escalation": ladder, "auto_close_after": None}]
        self.world = World({"services": services, "mail": {"sender": "house@example.org"}})

    def attempts(self) -> list[Any]:
        raise NotImplementedError

    def hear(self, *, taken: bool) -> None:
        raise NotImplementedError

    def pending(self) -> dict[Any, Any]:
        raise NotImplementedError


class Call(Errand):
    def __init__(self) -> None:
        super().__init__()
        self.world.receive("+1")
        self.world.wait(600_000)

    def attempts(self) -> list[Any]:
        return [item for item in self.world.outgoing if isinstance(item, Post)]

    def hear(self, *, taken: bool) -> None:
        self.world.give(Posted(self.attempts()[0].webhook, taken))

    def pending(self) -> dict[Any, Any]:
        return self.world.core.house.webhooks


class Letter(Errand):
    def __init__(self) -> None:
        super().__init__()
        write_one(self.world)
        self.world.wait(0)

    def attempts(self) -> list[Any]:
        return [item for item in self.world.outgoing if isinstance(item, Mail)]

    def hear(self, *, taken: bool) -> None:
        self.world.give(Mailed(self.attempts()[0].id, taken))

    def pending(self) -> dict[Any, Any]:
        return self.world.core.house.mails


def write_one(world: World) -> None:
    """As an actor does it, in a turn that is committed."""
    turn = Turn(world.now)
    write(world.core.house, turn, "e1", "fallback", "nia@example.org", {"entry": 1}, conversation="c000000000001")
    assert world.core._run(turn, "test", world.now) is None
    world.give()


@pytest.fixture(params=[Call, Letter])
def errand(request: pytest.FixtureRequest) -> Errand:
    made: Callable[[], Errand] = request.param
    return made()


def test_what_is_taken_is_never_tried_again(errand: Errand) -> None:
    errand.hear(taken=True)
    errand.world.wait(86_400_000)
    assert len(errand.attempts()) == 1
    assert errand.pending() == {}


def test_what_is_not_taken_is_tried_again_the_same_after_growing_waits(errand: Errand) -> None:
    errand.hear(taken=False)
    for count, wait_s in enumerate(BACKOFF_S, start=1):
        errand.world.wait(1000 * wait_s - 1)
        assert len(errand.attempts()) == count
        errand.world.wait(1)
        assert len(errand.attempts()) == count + 1
    assert len(set(errand.attempts())) == 1


def test_an_attempt_whose_end_is_never_heard_counts_as_not_taken(errand: Errand) -> None:
    errand.world.wait(1000)
    assert len(errand.attempts()) == 2


def test_after_many_attempts_it_has_failed(errand: Errand) -> None:
    errand.world.wait(40 * 3_600_000)
    assert len(errand.attempts()) == ATTEMPTS_MAX
    assert errand.pending() == {}


def test_a_restart_goes_on_where_it_was(errand: Errand) -> None:
    world = errand.world
    world.boot()
    assert [actor.record.attempts for actor in errand.pending().values()] == [1]
    world.wait(1000)
    assert len(errand.attempts()) == 2
    errand.hear(taken=True)
    world.boot()
    world.wait(3_600_000)
    assert len(errand.attempts()) == 2


@pytest.mark.parametrize("heard", [Posted(999, taken=True), Mailed("e999", taken=True)])
def test_an_answer_about_nothing_that_is_pending_changes_nothing(heard: Posted | Mailed) -> None:
    assert not World({}).give(heard).batch


def test_a_mail_that_is_refused_for_good_has_failed_and_says_why() -> None:
    errand = Letter()
    out = errand.world.give(Mailed("e1", taken=False, permanent=True, error="550 no such user"))
    (record,) = out.batch.records
    assert (record.status, record.error, record.attempts) == ("failed", "550 no such user", 1)
    errand.world.wait(86_400_000)
    assert len(errand.attempts()) == 1


def test_why_a_mail_was_not_taken_is_kept_until_it_is() -> None:
    errand = Letter()
    world, mails = errand.world, errand.world.core.house.mails
    world.give(Mailed("e1", taken=False, error="451 try later"))
    assert mails["e1"].record.error == "451 try later"
    world.boot()
    assert world.core.house.mails["e1"].record.error == "451 try later"
    (record,) = world.give(Mailed("e1", taken=True)).batch.records
    assert (record.status, record.error) == ("done", None)


def test_a_refused_step_takes_an_errand_back() -> None:
    errand = Letter()
    world = errand.world
    out = world.step(Mailed("e1", taken=True))
    assert errand.pending() == {}
    world.core.undo([out], world.now)
    assert errand.pending()["e1"].record.status == "pending"
    world.wait(1000)
    assert len(errand.attempts()) == 2


def test_what_waited_while_the_server_was_down_is_tried_once_and_not_once_a_wait(errand: Errand) -> None:
    world = errand.world
    made = len(errand.attempts())
    world.now += 3_600_000
    world.boot()
    world.wait(0)
    assert len(errand.attempts()) == made + 1
    world.wait(1000 * BACKOFF_S[1])
    assert len(errand.attempts()) == made + 2

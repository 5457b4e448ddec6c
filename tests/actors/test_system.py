"""Turns and supervision, with actors that know nothing of conversations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from actors import system
from actors.system import Actor, Supervisor, Turn


class Note(Struct, frozen=True):
    """Write this down; then send these on, now or later."""

    text: str
    now: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


class Fail(Struct, frozen=True):
    """Raise."""


class Loop(Struct, frozen=True):
    """Send it on to yourself."""


class Page(Struct, kw_only=True):
    """A scribe's record."""

    lines: tuple[str, ...] = ()


class Scribe(Actor):
    """Writes down what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.record = Page()
        self.settled = 0

    def receive(self, message: Struct, turn: Turn) -> None:
        match message:
            case Note():
                self.record.lines = (*self.record.lines, message.text)
                for text in message.later:
                    turn.later(self, Note(text))
                for text in message.now:
                    turn.send(self, Note(text))
            case Loop():
                turn.send(self, message)
            case _:
                self.record.lines = ("half done",)
                raise RuntimeError("as asked")

    def settle(self, turn: Turn) -> None:
        self.settled += 1


def test_messages_are_handled_in_the_order_they_were_sent() -> None:
    one, two, turn = Scribe(), Scribe(), Turn(7)
    for actor, text in ((one, "a"), (two, "b"), (one, "c")):
        turn.send(actor, Note(text))
    assert turn.run() == 3
    assert one.record.lines == ("a", "c")
    assert two.record.lines == ("b",)


def test_what_is_sent_later_comes_when_nothing_else_is_under_way() -> None:
    scribe, turn = Scribe(), Turn(0)
    turn.later(scribe, Note("last"))
    turn.send(scribe, Note("first", now=("third",), later=("very last",)))
    turn.send(scribe, Note("second"))
    turn.run()
    assert scribe.record.lines == ("first", "second", "third", "last", "very last")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2)), max_size=30))
def test_the_two_queues_are_each_first_in_first_out(sendings: list[tuple[bool, int]]) -> None:
    actors, turn = [Scribe(), Scribe(), Scribe()], Turn(0)
    oracle: list[tuple[int, str]] = []
    for number, (is_later, index) in enumerate(sendings):
        (turn.later if is_later else turn.send)(actors[index], Note(str(number)))
    order = [(n, i) for n, (later, i) in enumerate(sendings) if not later]
    order += [(n, i) for n, (later, i) in enumerate(sendings) if later]
    oracle = [(index, str(number)) for number, index in order]
    assert turn.run() == len(sendings)
    for index, actor in enumerate(actors):
        assert list(actor.record.lines) == [text for who, text in oracle if who == index]


def test_a_record_is_kept_as_it_was_before_the_first_message() -> None:
    scribe, turn = Scribe(), Turn(0)
    scribe.record.lines = ("old",)
    turn.send(scribe, Note("new", now=("newer",)))
    turn.run()
    assert turn.before == {scribe: Page(lines=("old",))}
    assert turn.changed() == [scribe]


def test_an_actor_whose_record_is_the_same_has_not_changed() -> None:
    scribe, other, turn = Scribe(), Scribe(), Turn(0)
    turn.before[other] = Page()
    turn.send(scribe, Note("x"))
    turn.run()
    assert turn.changed() == [scribe]


def test_a_spawned_actor_never_was_before_the_turn() -> None:
    scribe, turn = Scribe(), Turn(0)
    turn.spawned(scribe)
    turn.send(scribe, Note("born"))
    turn.run()
    assert turn.before == {scribe: None}
    assert turn.changed() == [scribe]


def test_what_a_handler_raises_ends_the_turn_at_once() -> None:
    one, two, turn = Scribe(), Scribe(), Turn(0)
    turn.send(one, Fail())
    turn.send(two, Note("never"))
    with pytest.raises(RuntimeError, match="as asked"):
        turn.run()
    assert two.record.lines == ()
    assert turn.before[one] == Page(), "what it was must be at hand, or nobody can put it back"


def test_a_turn_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "MESSAGES_MAX", 100)
    turn = Turn(0)
    turn.send(Scribe(), Loop())
    with pytest.raises(RuntimeError, match="100 messages"):
        turn.run()


def test_failures_in_a_row_park_an_actor_and_nobody_else() -> None:
    supervisor = Supervisor(failures_max=3)
    for _ in range(2):
        supervisor.failed("conversation:a", "boom")
    assert supervisor.parked == {}
    supervisor.failed("conversation:b", "bang")
    supervisor.failed("conversation:a", "boom at last")
    assert supervisor.parked == {"conversation:a": "boom at last"}
    assert supervisor.statistics() == {"failures": 4, "parked": 1}


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans()), max_size=40), st.integers(1, 4))
def test_success_forgives_the_failures_before_it(history: list[tuple[str, bool]], most: int) -> None:
    supervisor, in_a_row, parked = Supervisor(most), {"a": 0, "b": 0}, set()
    for address, works in history:
        if works:
            supervisor.worked(address)
            in_a_row[address] = 0
        else:
            supervisor.failed(address, "boom")
            in_a_row[address] += 1
        parked |= {name for name, count in in_a_row.items() if count >= most}
        assert set(supervisor.parked) == parked
    assert supervisor.failures == sum(not works for _, works in history)


def test_an_actor_that_was_never_taught_to_receive_says_so() -> None:
    turn: Any = Turn(0)
    with pytest.raises(NotImplementedError):
        Actor().receive(Loop(), turn)

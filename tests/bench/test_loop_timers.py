"""Timers of other loops, as the wheel is compared with them."""

from __future__ import annotations

from bench import loop_timers, wheel


def test_tasks_of_trio_go_through_the_same_phases_as_the_wheel() -> None:
    found = loop_timers.trio_phases(200)
    assert list(found) == [name for name, _ in wheel.phases(wheel.Wheel, 200)]


def test_every_contestant_fires_what_was_not_cancelled() -> None:
    for make in wheel.CONTESTANTS.values():
        contestant = make(10)
        for number in range(10):
            contestant.arm(number, 100 + number)
        contestant.arm(3, 500)
        contestant.cancel(4)
        assert sum(contestant.advance(200)) == 8
        assert sum(contestant.advance(600)) == 1

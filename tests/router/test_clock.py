"""The house's clock: forward jumps of the wall are adopted, backward ones are not; nobody is woken too early."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from router.clock import JUMP_S, Clock

START_S = 1_767_603_600.0


class Wall:
    """A wall clock that goes as the monotonic one does, until it is set."""

    def __init__(self) -> None:
        self.offset_s = START_S

    def __call__(self) -> float:
        return trio.current_time() + self.offset_s


async def test_it_begins_at_wall_time_and_goes_on_with_the_monotonic_clock(mock_clock: MockClock) -> None:
    clock = Clock(Wall())
    assert clock.now() == START_S * 1000
    mock_clock.jump(1.5)
    assert (clock.now(), clock.jumps) == (START_S * 1000 + 1500, 0)


async def test_a_jump_forward_is_adopted(mock_clock: MockClock) -> None:
    wall = Wall()
    clock = Clock(wall)
    wall.offset_s += 3600
    assert (clock.now(), clock.jumps) == ((START_S + 3600) * 1000, 1)
    mock_clock.jump(1)
    assert (clock.now(), clock.jumps) == ((START_S + 3601) * 1000, 1)


@pytest.mark.parametrize("step_s", [-1, -3600, -86_400])
async def test_a_clock_that_is_set_back_changes_nothing(mock_clock: MockClock, step_s: int) -> None:
    wall = Wall()
    clock = Clock(wall)
    wall.offset_s += step_s
    mock_clock.jump(5)
    assert (clock.now(), clock.jumps) == ((START_S + 5) * 1000, 0)


async def test_a_clock_that_was_set_back_and_forth_again_has_not_jumped(mock_clock: MockClock) -> None:
    wall = Wall()
    clock = Clock(wall)
    for step_s in (-3600, 3600):
        wall.offset_s += step_s
        assert (clock.now(), clock.jumps) == (START_S * 1000, 0)


async def test_a_jump_that_is_taken_back_is_not_made_again(mock_clock: MockClock) -> None:
    wall = Wall()
    clock = Clock(wall)
    for step_s in (60, -60, 60):
        wall.offset_s += step_s
        assert clock.now() == (START_S + 60) * 1000
    assert clock.jumps == 1


async def test_drift_is_followed_when_it_has_grown(mock_clock: MockClock) -> None:
    wall = Wall()
    clock = Clock(wall)
    wall.offset_s += JUMP_S - 0.001
    assert (clock.now(), clock.jumps) == (START_S * 1000, 0)
    wall.offset_s += 0.002
    assert clock.now() == pytest.approx((START_S + JUMP_S) * 1000, abs=2)
    assert clock.jumps == 1


async def test_who_sleeps_until_a_tick_is_not_woken_before_it(mock_clock: MockClock) -> None:
    wall = Wall()
    wall.offset_s += 0.123456789
    clock = Clock(wall)
    for ahead_ms in range(1, 2_000, 7):
        tick = clock.now() + ahead_ms
        mock_clock.jump(clock.when(tick) - trio.current_time())
        assert tick <= clock.now() <= tick + 1


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(-100, 100)), max_size=20))
def test_it_never_goes_back(steps: list[tuple[float, float]]) -> None:
    async def run() -> None:
        wall = Wall()
        clock = Clock(wall)
        before = clock.now()
        for passed_s, step_s in steps:
            mock_clock.jump(passed_s)
            wall.offset_s += step_s
            now = clock.now()
            assert now >= before
            before = now

    mock_clock = MockClock()
    trio.run(run, clock=mock_clock)


async def test_after_a_jump_sleepers_are_told_the_new_moment(mock_clock: MockClock) -> None:
    wall = Wall()
    clock = Clock(wall)
    tick = clock.now() + 10_000
    wall.offset_s += 8
    clock.now()
    assert clock.when(tick) - trio.current_time() == pytest.approx(2.001, abs=0.001)

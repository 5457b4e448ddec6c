"""What a fan-out costs is judged by the loop and by the floor."""

from __future__ import annotations

import os

import pytest

from bench import fanout
from bench.fanout import FLOOR, FLOOR_GATHERING, GATHERING, LOOP, OURS, Cost
from bench.report import Report


def test_each_is_beside_the_loop_and_beside_its_own_floor() -> None:
    whole = {OURS: 12.0, GATHERING: 2.0, LOOP: 36.0, FLOOR: 6.0, FLOOR_GATHERING: 0.5}
    made = Report("fanout", "Fan-out")
    fanout.judged(made, {name: [Cost(us / 4, 3 * us / 4)] * 3 for name, us in whole.items()})
    rows = {row[0]: row[1:] for row in made.rows}
    assert rows[OURS] == [12.0, 9.0, 3.0, 2.0]
    assert rows[GATHERING] == [2.0, 1.5, 18.0, 4.0]
    assert rows[FLOOR] == [6.0, 4.5, 6.0, None]
    assert [(goal.reached, goal.verdict) for goal in made.goals] == [
        (3.0, "not reached"), (6.0, "no goal"), (18.0, "not reached"), (72.0, "no goal"),
    ]  # fmt: skip


def test_the_time_of_a_process_is_its_own_and_the_systems() -> None:
    times = os.times()
    cost = fanout.cost_s(os.getpid())
    assert cost.user == pytest.approx(times.user, abs=0.05)
    assert cost.system == pytest.approx(times.system, abs=0.05)
    assert cost.whole == cost.user + cost.system

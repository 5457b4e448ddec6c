"""Schedules that a slow server does not move."""

from __future__ import annotations

from random import Random

from loadtest.pacing import Pacer


def test_who_is_held_up_is_late_and_does_not_come_later() -> None:
    prompt, held_up = Pacer(1.0, Random(1), 0.0), Pacer(1.0, Random(1), 0.0)
    now = 0.0
    for _ in range(20):
        now += prompt.wait_s(now)
    for _ in range(20):
        held_up.wait_s(1_000.0)
    assert held_up.due == prompt.due == now
    assert held_up.late_s(1_000.0) == 1_000.0 - now


def test_who_is_late_does_not_wait() -> None:
    pacer = Pacer(1.0, Random(1), 0.0)
    assert pacer.wait_s(0.0) > 0
    assert pacer.wait_s(500.0) == 0.0

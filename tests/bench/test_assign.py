"""The contestants of the assignment measurement find the same."""

from __future__ import annotations

from bench import assign


def test_the_index_and_the_scan_assign_and_refill_alike() -> None:
    seats, waiting = assign.world(50)
    one, other = assign.Indexed(seats, waiting), assign.Scanned(seats, waiting)
    ticks = range(10**6, 10**6 + 120)
    assert [one.assign(tick) for tick in ticks] == [other.assign(tick) for tick in ticks]
    assert [one.refill(tick) for tick in ticks] == [other.refill(tick) for tick in ticks]

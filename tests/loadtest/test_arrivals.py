"""When things are to happen."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from loadtest.arrivals import DAY, moments, of_a_day, share_at


def test_fixed_moments_are_evenly_apart() -> None:
    assert list(moments(4, 1.0, "fixed")) == [0.0, 0.25, 0.5, 0.75]


def test_poisson_moments_come_at_the_rate_with_gaps_that_vary() -> None:
    found = list(moments(100, 100.0, "poisson", Random(3)))
    gaps = [after - before for before, after in pairwise(found)]
    mean = sum(gaps) / len(gaps)
    assert found == sorted(found)
    assert mean == pytest.approx(0.01, rel=0.05)
    assert sum((gap - mean) ** 2 for gap in gaps) / len(gaps) == pytest.approx(mean**2, rel=0.1)


def test_the_same_chance_gives_the_same_moments() -> None:
    assert list(moments(50, 2, "poisson", Random(5))) == list(moments(50, 2, "poisson", Random(5)))


def test_a_day_has_a_busiest_hour_and_goes_round() -> None:
    assert max(DAY) == share_at(DAY.index(1.0)) == 1.0
    assert share_at(23.5) == pytest.approx((DAY[23] + DAY[0]) / 2)


def test_a_day_is_as_busy_in_each_hour_as_its_share() -> None:
    found = list(of_a_day(100, 240.0, Random(7)))
    hours = [sum(10 * hour <= moment < 10 * (hour + 1) for moment in found) for hour in range(24)]
    assert hours[10] == pytest.approx(1_000 * (share_at(10) + share_at(11)) / 2, rel=0.1)
    assert hours[2] < hours[10] / 10

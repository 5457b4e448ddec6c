"""When something is to happen: moments in seconds from the beginning. Pure; chance is given.

The moments are fixed before the server is asked anything, so a slow server makes nobody come later: latency counts
from the moment here, whenever the request went out. [Tene, "How NOT to measure latency": coordinated omission]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Literal

Kind = Literal["poisson", "fixed"]
HOURS = 24
#: conversations begun in each hour of a working day, as shares of the busiest: two humps and a quiet night
DAY = (
    0.05, 0.04, 0.03, 0.03, 0.04, 0.08, 0.18, 0.40, 0.70, 0.95, 1.00, 0.92,
    0.70, 0.80, 0.95, 0.90, 0.75, 0.55, 0.42, 0.38, 0.35, 0.25, 0.15, 0.08,
)  # fmt: skip


def moments(rate: float, seconds: float, kind: Kind = "poisson", chance: Random | None = None) -> Iterator[float]:
    """``rate`` a second for so long: by chance (Poisson), or evenly."""
    assert rate > 0
    if kind == "fixed":
        yield from (number / rate for number in range(math.ceil(rate * seconds)))
        return
    draw = (chance or Random(1)).expovariate
    moment = draw(rate)
    while moment < seconds:
        yield moment
        moment += draw(rate)


def share_at(hour: float) -> float:
    """How busy it is at this hour of the day (0 to 24, a fraction between two hours), as a share of the busiest."""
    before = int(hour) % HOURS
    part = hour - int(hour)
    return DAY[before] * (1 - part) + DAY[(before + 1) % HOURS] * part


def of_a_day(
    peak: float, day_s: float, chance: Random, shape: Callable[[float], float] = share_at, begin: float = 0.0
) -> Iterator[float]:
    """A whole day in ``day_s`` seconds: ``peak`` a second in its busiest hour, by chance, thinned by the hour's share.

    ``begin``: the hour at which the day begins. [Lewis & Shedler 1979, thinning]
    """
    for moment in moments(peak, day_s, "poisson", chance):
        if chance.random() < shape((begin + HOURS * moment / day_s) % HOURS):
            yield moment


def steps(peak_users: int, day_s: float, parts: int, shape: Callable[[float], float] = share_at) -> list[int]:
    """Users at work in each part of a day of so many parts; one at least."""
    hours = (HOURS * (part + 0.5) / parts for part, _ in zip(count(), range(parts), strict=False))
    return [max(1, round(peak_users * shape(hour))) for hour in hours]

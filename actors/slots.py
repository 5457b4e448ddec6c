"""When somebody can be met: working time minus what is taken, cut into slots. [behaviour §8]

A slot begins where an interval of the working hours begins, or a whole number of slots later, and ends within the
same interval. Hours are of the wall clock in the agent's zone, slots are of real time: the day on which the clocks
go back has an hour more of them, the day on which they go forward an hour less (``actors.hours``).

Pure: no clock, no actors. Times are ticks (ms).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from actors.hours import Hours, Span, compiled
from protocol.errors import bad_params
from protocol.settings import AgentSettings, BusinessHours, Weekly

MINUTE = 60_000
RANGE_DAYS_MAX = 62  # two long months
RANGE_MS_MAX = RANGE_DAYS_MAX * 86_400_000
SLOTS_MAX = 5_000


def working_hours(settings: AgentSettings) -> Hours | None:
    """When this agent works; None = never, or it is not said. Raises ValueError as ``Hours`` does."""
    if settings.working_hours is None:
        return None
    return compiled(BusinessHours(time_zone=settings.time_zone, weekly=settings.working_hours.weekly))


def check_hours(settings: AgentSettings) -> None:
    """Raises RequestError (−32602) if there is no such time zone, or the working hours make no sense."""
    weekly = Weekly() if settings.working_hours is None else settings.working_hours.weekly
    for field, found in (("time_zone", Weekly()), ("working_hours", weekly)):
        try:
            compiled(BusinessHours(time_zone=settings.time_zone, weekly=found))
        except ValueError as problem:
            raise bad_params(f"agent.{field}", str(problem)) from None


def is_working(hours: Hours | None, start: int, end: int) -> bool:
    """Whether all of ``[start, end)`` is working time."""
    return hours is not None and hours.between(start, end) == end - start


def free(hours: Hours | None, taken: Sequence[Span], start: int, end: int, minutes: int) -> list[int]:
    """When the free slots of so many minutes begin that lie in ``[start, end)``; one more than ``SLOTS_MAX`` at most.

    ``taken`` are spans in order of time that do not overlap. O(days + slots × log taken).
    """
    length, found = minutes * MINUTE, list[int]()
    for opens, closes in () if hours is None else hours.intervals(start, end):
        skipped = max(0, -(-(start - opens) // length))
        for begin in range(opens + skipped * length, min(closes, end) - length + 1, length):
            if not overlaps(taken, begin, begin + length):
                found.append(begin)
                if len(found) > SLOTS_MAX:
                    return found
    return found


def overlaps(taken: Sequence[Span], start: int, end: int) -> bool:
    """Whether ``[start, end)`` overlaps one of these spans, which are in order and do not overlap each other."""
    after = bisect_right(taken, start, key=lambda span: span[1])  # the first that ends after the start
    return after < len(taken) and taken[after][0] < end

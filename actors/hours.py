"""Open time: how much of it lies between two moments, and when a given amount of it is over.

A service with business hours is late by its own clock, which stands still while the service is closed. [behaviour §5]
An instant is open iff its local wall time lies in one of its weekday's half-open intervals and its local date is no
holiday. That sentence is also the method: instants are translated to local time, never the other way, so no local time
is ambiguous or missing. What a clock change skips is no instant, hence not open; what it repeats is open twice.

Days are those of UTC. One is cut where the zone's offset changes (hardly ever: at its clock changes); within a piece
local time is a sum, and the piece meets two local dates or three. The open spans that come out are kept for the days
asked about last. An answer costs one look-up a day walked; a new day costs about 5 µs, one with a clock change 20 µs.

A walk that has found no end after ten years (holidays without end; 400 days at an hour a week) takes everything from
there on as open, so every answer is finite. Hours that never open count wall time. [behaviour §5]

No clock is read; the zone's rules are loaded by the constructor. They come from the system's zone database, else from
the package tzdata: a new release of it can move deadlines that lie ahead, which is what one wants.
"""

from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from protocol.settings import BusinessHours, Interval, Weekly
from protocol.times import MOMENT_S_MAX

__all__ = ["Hours", "compiled", "zone"]

DAY_S, DAY = 86_400, 86_400_000
HORIZON_DAYS = 3_653  # ten years: how far a walk goes before it takes everything as open
KEPT_DAYS = 4_096  # more than a walk visits, or a long one would push out what the next one needs
LAST_S = MOMENT_S_MAX - DAY_S  # the calendar ends here; what comes after has the offset of this second
EPOCH = date(1970, 1, 1).toordinal()  # a Thursday

Span = tuple[int, int]  # from, until: half-open


class Hours:
    """The open time of one service.

    Raises ValueError with a sentence if the settings name no known time zone, an interval that does not end after it
    begins, intervals of one day that overlap, or a holiday that is no date.
    """

    def __init__(self, settings: BusinessHours) -> None:
        self._zone = zone(settings.time_zone)
        self._week = tuple(_spans(day, getattr(settings.weekly, day)) for day in Weekly.__struct_fields__)
        self._holidays = frozenset(_day(text) for text in settings.holidays)
        self._days: dict[int, tuple[Span, ...]] = {}  # day since 1970 -> its open spans, in order

    @property
    def never_open(self) -> bool:
        """Whether no weekday has an interval; then open time is wall time."""
        return not any(self._week)

    def after(self, start: int, open_ms: int) -> int:
        """The first tick ``t >= start`` such that exactly ``open_ms`` of open time lie in ``[start, t)``.

        O(days walked), at most ten years of them.
        """
        if open_ms <= 0 or self.never_open:
            return start + max(open_ms, 0)
        today, left = start // DAY, open_ms
        for day in range(today, today + HORIZON_DAYS):
            for begin, end in self._open(day):
                begin = max(begin, start)
                if left <= end - begin:
                    return begin + left
                left -= max(end - begin, 0)
        return (today + HORIZON_DAYS) * DAY + left

    def between(self, start: int, end: int) -> int:
        """How much open time lies in ``[start, end)``; 0 if ``end`` is not after ``start``.

        O(days between), at most ten years of them.
        """
        if self.never_open:
            return max(end - start, 0)
        today = start // DAY
        horizon = today + HORIZON_DAYS
        total = max(end - horizon * DAY, 0)
        for day in range(today, min(end // DAY + 1, horizon)):
            for opens, closes in self._open(day):
                total += max(min(closes, end) - max(opens, start), 0)
        return total

    def intervals(self, start: int, end: int) -> list[Span]:
        """The open spans that meet ``[start, end)``, in order and whole, as the weekdays' intervals give them.

        A span goes on across a clock change and across midnight of UTC, but a new one begins where an interval
        begins on the wall. O(days between).
        """
        found: list[Span] = []
        for day in range(start // DAY - 2, end // DAY + 2):  # an interval lasts 25 hours at most
            for begin, close in self._open(day):
                if found and found[-1][1] == begin and not self._begins(begin):
                    found[-1] = (found[-1][0], close)
                else:
                    found.append((begin, close))
        return [span for span in found if span[1] > start and span[0] < end]

    def statistics(self) -> dict[str, int]:
        """How many days' spans are kept, and how many may be."""
        return {"days": len(self._days), "days_max": KEPT_DAYS}

    def _open(self, day: int) -> tuple[Span, ...]:
        """The open spans of one day of UTC, in order; the day that was worked out first makes room for a new one."""
        spans = self._days.get(day)
        if spans is None:
            if len(self._days) >= KEPT_DAYS:
                del self._days[next(iter(self._days))]
            spans = self._days[day] = self._work_out(day)
        return spans

    def _work_out(self, day: int) -> tuple[Span, ...]:
        spans: list[Span] = []
        second, end = day * DAY_S, (day + 1) * DAY_S
        while second < end:
            change = self._change(second, end)
            self._collect(spans, second * 1000, change * 1000, self._offset(second) * 1000)
            second = change
        return tuple(spans)

    def _collect(self, spans: list[Span], begin: int, end: int, offset: int) -> None:
        """Add what is open in ``[begin, end)``, where local time is UTC + ``offset``, to ``spans``."""
        for local_day in range((begin + offset) // DAY, (end - 1 + offset) // DAY + 1):
            if local_day in self._holidays:
                continue
            midnight = local_day * DAY - offset
            for opens, closes in self._week[(local_day + 3) % 7]:
                first, last = max(midnight + opens, begin), min(midnight + closes, end)
                if first < last:
                    spans.append((first, last))

    def _begins(self, instant: int) -> bool:
        """Whether an interval of its weekday begins at this instant's local time."""
        local_day, time = divmod(instant + self._offset(instant // 1000) * 1000, DAY)
        return any(time == opens for opens, _ in self._week[(local_day + 3) % 7])

    def _change(self, begin: int, end: int) -> int:
        """The second in ``(begin, end)`` from which the zone has another offset than at ``begin``; ``end`` if none.

        An offset that changes back within the day would be missed; since 1970 no zone has done so in under six days.
        """
        offset = self._offset(begin)
        if self._offset(end - 1) == offset:
            return end
        before, after = begin, end - 1
        while after - before > 1:
            middle = (before + after) // 2
            if self._offset(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _offset(self, second: int) -> int:
        """Local time minus UTC, in seconds."""
        offset = datetime.fromtimestamp(min(second, LAST_S), self._zone).utcoffset()
        assert offset is not None
        return offset.days * DAY_S + offset.seconds


@lru_cache(maxsize=1024)
def compiled(settings: BusinessHours | None) -> Hours | None:
    """The policy of these settings; None where open time is wall time: no settings, or hours that never open.

    Equal settings share one. A look-up hashes the settings, holidays and all: hold on to what it returns. Raises
    ValueError as ``Hours`` does.
    """
    hours = None if settings is None else Hours(settings)
    return None if hours is None or hours.never_open else hours


def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises ValueError with a sentence if there is none; so too for what zone databases keep beside them: what this
    machine takes for local, which is another zone on another one, and copies that count leap seconds.
    """
    try:
        if name in ("localtime", "posixrules") or name.startswith(("posix/", "right/")):
            raise ValueError(name)
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a name; the name of a directory
        raise ValueError(f'Unknown time zone "{name}": expected an IANA name such as "Europe/Oslo"') from None


def _spans(day: str, intervals: tuple[Interval, ...]) -> tuple[Span, ...]:
    """The intervals of a weekday in milliseconds since its midnight, in order."""
    spans = sorted(((_clock(begin), _clock(end)), (begin, end)) for begin, end in intervals)
    for number, ((begin, end), text) in enumerate(spans):
        if end <= begin:
            raise ValueError(
                f"{day}: {_named(text)} does not end after it begins; what goes past midnight is two intervals, "
                'one until "24:00" and one from "00:00" on the next day'
            )
        if number and begin < spans[number - 1][0][1]:
            raise ValueError(f"{day}: {_named(spans[number - 1][1])} and {_named(text)} overlap")
    return tuple(span for span, _ in spans)


def _named(interval: Interval) -> str:
    return f"{interval[0]}–{interval[1]}"


def _clock(text: str) -> int:
    """``"08:30"`` as milliseconds since midnight; ``"24:00"`` is the end of the day."""
    hours, minutes = text.split(":")
    return (int(hours) * 60 + int(minutes)) * 60_000


def _day(text: str) -> int:
    """A date as days since 1970."""
    try:
        return date.fromisoformat(text).toordinal() - EPOCH
    except ValueError:
        raise ValueError(f'No such date: "{text}"; a holiday is written as "2026-12-25"') from None

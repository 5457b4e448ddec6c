"""Open time against an oracle that asks, minute by minute, what the clock on the wall shows."""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.hours import HORIZON_DAYS, KEPT_DAYS, Hours, compiled
from protocol.settings import BusinessHours, Interval, Weekly

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
OFFICE = (("08:00", "12:00"), ("13:00", "16:00"))
ROUND_THE_CLOCK = (("00:00", "24:00"),)


def at(text: str) -> int:
    """``2026-01-09 10:58`` in UTC, with seconds and milliseconds if need be, as a tick."""
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(
        milliseconds=1
    )


def hours(zone: str, /, *holidays: str, **days: tuple[Interval, ...]) -> Hours:
    return Hours(BusinessHours(zone, Weekly(**days), holidays))


def every_day(zone: str, *intervals: Interval) -> Hours:
    return hours(zone, **dict.fromkeys(WEEKDAYS, intervals))


def refusal(**settings: Any) -> str:
    with pytest.raises(ValueError, match=r".+") as caught:
        Hours(BusinessHours(**settings))
    return str(caught.value)


# The agreed scenarios, as arithmetic


def test_a_lunch_break_and_a_weekend_are_not_counted() -> None:
    support = hours("Europe/Oslo", mon=OFFICE, tue=OFFICE, wed=OFFICE, thu=OFFICE, fri=OFFICE)
    friday = at("2026-01-09 10:58")
    assert support.between(friday, friday + 62 * MINUTE) == 2 * MINUTE
    assert support.after(friday, 3 * MINUTE) == friday + 63 * MINUTE
    assert support.after(friday, 3 * MINUTE + 1) == friday + 63 * MINUTE + 1
    evening = friday + 63 * MINUTE + 1 + 177 * MINUTE
    assert support.after(evening, 3 * MINUTE + 1) == evening + 64 * HOUR + 3 * MINUTE + 1


def test_the_night_of_the_change_to_summer_time_does_not_move_the_hour_of_opening() -> None:
    support = hours("Europe/Oslo", sat=(("08:00", "16:00"),), sun=(("08:00", "16:00"),))
    saturday = at("2026-03-28 14:50")
    assert support.between(saturday, saturday + 15 * HOUR) == 10 * MINUTE
    assert support.after(saturday, 60 * MINUTE) == saturday + 16 * HOUR == at("2026-03-29 06:50")


# Clock changes


def test_the_skipped_hour_is_not_open() -> None:
    night = every_day("Europe/Oslo", ("00:00", "06:00"))
    assert night.between(at("2026-03-28 22:00"), at("2026-03-29 12:00")) == 5 * HOUR


def test_the_repeated_hour_is_open_twice() -> None:
    night = every_day("Europe/Oslo", ("00:00", "06:00"))
    assert night.between(at("2026-10-24 21:00"), at("2026-10-25 12:00")) == 7 * HOUR


def test_an_interval_inside_the_skipped_hour_does_not_exist_that_day() -> None:
    brief = every_day("Europe/Oslo", ("02:15", "02:45"))
    assert brief.between(at("2026-03-28 12:00"), at("2026-03-29 12:00")) == 0
    assert brief.after(at("2026-03-28 12:00"), 1) == at("2026-03-30 00:15:00.001")


def test_an_interval_that_begins_in_the_skipped_hour_begins_at_the_change() -> None:
    late = every_day("Europe/Oslo", ("02:30", "04:00"))
    assert late.after(at("2026-03-28 12:00"), 1) == at("2026-03-29 01:00:00.001")
    assert late.between(at("2026-03-28 12:00"), at("2026-03-29 12:00")) == HOUR


def test_an_interval_that_ends_in_the_skipped_hour_ends_at_the_change() -> None:
    early = every_day("Europe/Oslo", ("01:00", "02:30"))
    assert early.after(at("2026-03-28 12:00"), HOUR) == at("2026-03-29 01:00")
    assert early.between(at("2026-03-28 12:00"), at("2026-03-29 12:00")) == HOUR


def test_an_interval_inside_the_repeated_hour_opens_twice_with_a_gap_between() -> None:
    brief = every_day("Europe/Oslo", ("02:15", "02:45"))
    noon = at("2026-10-24 12:00")
    assert brief.after(noon, 30 * MINUTE) == at("2026-10-25 00:45")
    assert brief.after(noon, 30 * MINUTE + 1) == at("2026-10-25 01:15:00.001")
    assert brief.between(noon, noon + DAY) == HOUR


def test_an_interval_that_ends_in_the_repeated_hour_opens_once_more_when_it_repeats() -> None:
    early = every_day("Europe/Oslo", ("01:00", "02:30"))
    noon = at("2026-10-24 12:00")
    assert early.after(noon, 90 * MINUTE) == at("2026-10-25 00:30")
    assert early.after(noon, 90 * MINUTE + 1) == at("2026-10-25 01:00:00.001")
    assert early.between(noon, noon + DAY) == 2 * HOUR


def test_an_interval_that_begins_in_the_repeated_hour_is_broken_off_and_begins_again() -> None:
    late = every_day("Europe/Oslo", ("02:30", "04:00"))
    noon = at("2026-10-24 12:00")
    assert late.after(noon, 30 * MINUTE + 1) == at("2026-10-25 01:30:00.001")
    assert late.between(noon, noon + DAY) == 2 * HOUR


def test_a_clock_change_of_half_an_hour_is_half_an_hour() -> None:
    night = every_day("Australia/Lord_Howe", ("00:00", "06:00"))
    assert night.between(at("2026-10-03 12:00"), at("2026-10-04 12:00")) == 5 * HOUR + 30 * MINUTE
    assert night.between(at("2026-04-04 10:00"), at("2026-04-05 12:00")) == 6 * HOUR + 30 * MINUTE


def test_a_date_that_the_zone_skipped_has_no_open_time() -> None:
    samoa = hours("Pacific/Apia", thu=ROUND_THE_CLOCK, fri=ROUND_THE_CLOCK)  # there was no Friday 30 December 2011
    assert samoa.between(at("2011-12-25 12:00"), at("2012-01-02 12:00")) == DAY
    assert samoa.after(at("2011-12-25 12:00"), DAY) == at("2011-12-30 10:00")


def test_a_minute_of_the_next_date_that_comes_before_the_end_of_this_one_is_in_its_place() -> None:
    newfoundland = hours("America/St_Johns", sun=(("00:00", "00:30"),))  # 00:01 on Sunday, then 23:01 on Saturday
    saturday = at("2010-11-06 12:00")
    assert newfoundland.after(saturday, MINUTE) == at("2010-11-07 02:31")
    assert newfoundland.after(saturday, MINUTE + 1) == at("2010-11-07 03:30:00.001")
    assert newfoundland.between(saturday, saturday + DAY) == 31 * MINUTE


def test_a_clock_change_at_an_odd_second_is_found_to_the_second() -> None:
    liberia = hours("Africa/Monrovia", fri=(("00:00", "01:00"),))  # forward by 44:30 at midnight, 7 January 1972
    change = at("1972-01-07 00:44:30")
    assert liberia.after(change - HOUR, 1) == change + 1
    assert liberia.between(change - HOUR, change + HOUR) == 15 * MINUTE + 30_000
    skipped = hours("Africa/Monrovia", fri=(("00:00", "00:44"),))
    assert skipped.between(change - HOUR, change + HOUR) == 0


# Boundaries


def test_intervals_are_half_open_to_the_millisecond() -> None:
    office = every_day("UTC", ("08:00", "16:00"))
    opens, closes = at("2026-01-05 08:00"), at("2026-01-05 16:00")
    assert [office.between(tick, tick + 1) for tick in (opens - 1, opens, closes - 1, closes)] == [0, 1, 1, 0]
    assert office.between(opens - 5, closes + 5) == 8 * HOUR


def test_the_tick_that_completes_the_open_time_is_the_first_one() -> None:
    office = every_day("UTC", ("08:00", "16:00"))
    opens, closes = at("2026-01-05 08:00"), at("2026-01-05 16:00")
    assert office.after(opens - 5, 1) == opens + 1
    assert office.after(closes - 1, 1) == closes, "not the moment of opening again"
    assert office.after(closes - 1, 2) == opens + DAY + 1
    assert office.after(closes, 1) == opens + DAY + 1
    assert office.after(opens, 8 * HOUR) == closes


def test_no_open_time_is_over_at_once_open_or_closed() -> None:
    office = every_day("UTC", ("08:00", "16:00"))
    for tick in (at("2026-01-05 07:00"), at("2026-01-05 09:00"), at("2026-01-05 17:00")):
        assert office.after(tick, 0) == tick
        assert office.between(tick, tick) == 0
        assert office.between(tick, tick - DAY) == 0


def test_a_day_may_end_at_24_00_and_the_next_begin_at_00_00() -> None:
    weekend = hours("America/New_York", sat=(("20:00", "24:00"),), sun=(("00:00", "02:00"),))
    saturday = at("2026-01-10 12:00")
    assert weekend.after(saturday, 6 * HOUR) == at("2026-01-11 07:00")
    assert weekend.between(saturday, saturday + DAY) == 6 * HOUR


def test_always_open_is_wall_time() -> None:
    always, start = every_day("Europe/Oslo", *ROUND_THE_CLOCK), at("2026-03-20 12:34:56.789")
    assert always.after(start, 20 * DAY + 7) == start + 20 * DAY + 7
    assert always.between(start, start + 300 * DAY + 7) == 300 * DAY + 7


def test_intervals_may_touch_and_stand_in_any_order() -> None:
    office = every_day("UTC", ("13:00", "16:00"), ("08:00", "12:00"), ("12:00", "13:00"))
    opens = at("2026-01-05 08:00")
    assert office.after(opens, 8 * HOUR) == opens + 8 * HOUR
    assert office.between(opens - DAY // 4, opens + DAY // 2) == 8 * HOUR


def test_each_weekday_has_its_own_intervals() -> None:
    for number, name in enumerate(WEEKDAYS):
        once_a_week = hours("Asia/Kolkata", **{name: (("09:00", "10:00"),)})
        assert once_a_week.after(at("2026-01-04 18:30"), 1) == at("2026-01-05 03:30:00.001") + number * DAY


# Holidays


def test_a_holiday_is_a_local_date() -> None:
    night = every_day("America/New_York", ("18:00", "24:00"))
    free = hours("America/New_York", "2026-12-25", **dict.fromkeys(WEEKDAYS, (("18:00", "24:00"),)))
    eve = at("2026-12-24 23:00")
    assert night.after(eve, 6 * HOUR + 1) == at("2026-12-25 23:00:00.001")
    assert free.after(eve, 6 * HOUR) == night.after(eve, 6 * HOUR) == at("2026-12-25 05:00")
    assert free.after(eve, 6 * HOUR + 1) == at("2026-12-26 23:00:00.001")


def test_after_ten_years_without_an_opening_wall_time_runs() -> None:
    begin = date(2026, 1, 1)
    years = tuple((begin + timedelta(days)).isoformat() for days in range(13 * 366))
    closed = hours("Europe/Oslo", *years, **dict.fromkeys(WEEKDAYS, OFFICE))
    start = at("2026-02-01 11:00")
    horizon = at("2026-02-01 00:00") + HORIZON_DAYS * DAY
    assert closed.after(start, 1) == horizon + 1
    assert closed.after(start, 400 * DAY) == horizon + 400 * DAY
    assert closed.between(start, horizon + 9 * HOUR) == 9 * HOUR
    assert closed.between(start, horizon) == 0


def test_the_last_day_before_those_ten_years_are_over_has_its_hours_and_the_next_day_is_open() -> None:
    start = at("2026-02-01 11:00")
    horizon = date(2026, 2, 1) + timedelta(HORIZON_DAYS)
    closed = (date(2026, 2, 1) + timedelta(days) for days in range(HORIZON_DAYS - 1))
    late = hours("UTC", *(day.isoformat() for day in closed), **dict.fromkeys(WEEKDAYS, (("08:00", "16:00"),)))
    assert late.after(start, 8 * HOUR) == at(f"{horizon} 00:00") - 8 * HOUR
    assert late.after(start, 8 * HOUR + 1) == at(f"{horizon} 00:00") + 1
    assert late.between(start, at(f"{horizon} 00:00") + 5) == 8 * HOUR + 5


def test_four_hundred_days_at_a_minute_a_week_come_to_an_end() -> None:
    rare = hours("Europe/Oslo", mon=(("09:00", "09:01"),))
    start = at("2026-01-01 00:00")
    until = rare.after(start, 400 * DAY)
    assert until == start + HORIZON_DAYS * DAY + 400 * DAY - 522 * MINUTE
    assert rare.between(start, until) == 400 * DAY


# Never open


def test_hours_that_never_open_count_wall_time() -> None:
    never = hours("Europe/Oslo")
    assert never.never_open
    assert (never.after(5, 7), never.after(5, 0), never.between(5, 12), never.between(12, 5)) == (12, 5, 7, 0)


def test_open_time_is_compiled_only_where_it_differs_from_wall_time() -> None:
    assert compiled(None) is None
    assert compiled(BusinessHours("Europe/Oslo")) is None
    assert compiled(BusinessHours("Europe/Oslo", Weekly(mon=OFFICE))) is not None


def test_equal_settings_share_one_policy() -> None:
    assert compiled(BusinessHours("UTC", Weekly(mon=OFFICE))) is compiled(BusinessHours("UTC", Weekly(mon=OFFICE)))


# What is refused


@pytest.mark.parametrize(
    "zone", ["Nowhere/City", "", "Europe", "../etc/passwd", "zone.tab", "a\0b", "localtime", "posixrules", "right/UTC"]
)
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    assert refusal(time_zone=zone).startswith(f'Unknown time zone "{zone}": expected')


@pytest.mark.parametrize("interval", [("16:00", "08:00"), ("08:00", "08:00"), ("24:00", "24:00"), ("22:00", "00:00")])
def test_an_interval_must_end_after_it_begins(interval: Interval) -> None:
    said = refusal(weekly=Weekly(tue=(interval,)))
    assert said.startswith(f"tue: {interval[0]}–{interval[1]} does not end after it begins; what goes past midnight")


def test_intervals_of_a_day_must_not_overlap() -> None:
    said = refusal(weekly=Weekly(sun=(("12:59", "16:00"), ("08:00", "13:00"))))
    assert said == "sun: 08:00–13:00 and 12:59–16:00 overlap"
    assert refusal(weekly=Weekly(mon=(("08:00", "09:00"), ("08:00", "09:00")))).endswith("overlap")


def test_a_holiday_must_be_a_date() -> None:
    assert refusal(holidays=("2026-02-30",)) == 'No such date: "2026-02-30"; a holiday is written as "2026-12-25"'


def test_settings_that_never_open_are_checked_all_the_same() -> None:
    with pytest.raises(ValueError, match="Unknown time zone"):
        compiled(BusinessHours("Nowhere/City"))


# Bounds


def test_the_days_that_are_kept_have_a_bound_and_answers_do_not_depend_on_it() -> None:
    office = every_day("Europe/Oslo", *OFFICE)
    for year in range(2026, 2066, 8):
        start = at(f"{year}-01-01 00:00")
        assert office.between(start, start + 2_922 * DAY) == 2_922 * 7 * HOUR
        assert office.after(start, 2_921 * 7 * HOUR + 1) == start + 2_921 * DAY + 7 * HOUR + 1
    assert office.statistics() == {"days": KEPT_DAYS, "days_max": KEPT_DAYS}


def test_the_end_of_the_calendar_is_no_error() -> None:
    office = every_day("Europe/Oslo", ("08:00", "16:00"))
    start = at("9999-12-29 07:00")
    assert office.after(start, 80 * HOUR) == start + 9 * DAY + 8 * HOUR


# The oracle

WINDOW_DAYS = 15
WINDOWS = [
    ("Europe/Oslo", "2026-03-22"),
    ("Europe/Oslo", "2026-10-18"),
    ("America/New_York", "2026-03-01"),
    ("America/New_York", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-03-29"),
    ("Australia/Lord_Howe", "2026-09-27"),
    ("Asia/Kolkata", "2026-03-22"),
    ("Pacific/Apia", "2011-12-22"),  # no 30 December
    ("Pacific/Kwajalein", "1993-08-14"),  # no 21 August
    ("America/St_Johns", "2010-10-31"),  # back at 00:01, into the day before
    ("America/Sao_Paulo", "2018-02-11"),  # back at midnight, into the day before
    ("America/Sao_Paulo", "2018-10-28"),  # a day that begins at 01:00
    ("Asia/Kathmandu", "1985-12-25"),  # forward by a quarter of an hour, for good
    ("Asia/Pyongyang", "2015-08-08"),  # back by half an hour at midnight
    ("Africa/Casablanca", "2026-02-08"),  # back for Ramadan
]


class Wall:
    """What the clock shows in each minute of a window: weekday, hour and minute, date."""

    def __init__(self, zone: str, first: str) -> None:
        self.zone, self.start = zone, at(f"{first} 00:00")
        place = ZoneInfo(zone)
        self.shown = []
        for minute in range(WINDOW_DAYS * 1440):
            local = datetime.fromtimestamp(self.start // 1000 + minute * 60, place)
            self.shown.append((WEEKDAYS[local.weekday()], f"{local:%H:%M}", f"{local:%Y-%m-%d}"))
        self.dates = sorted({shown[2] for shown in self.shown})


wall = lru_cache(Wall)


class Oracle:
    """Counts the minutes one by one. Every offset in the windows is of whole minutes."""

    def __init__(self, wall: Wall, settings: BusinessHours) -> None:
        self.start = wall.start
        week = {day: getattr(settings.weekly, day) for day in WEEKDAYS}
        self.open = [
            date not in settings.holidays and any(begin <= clock < end for begin, end in week[weekday])
            for weekday, clock, date in wall.shown
        ]
        self.sums = [0, *accumulate(is_open * MINUTE for is_open in self.open)]

    def until(self, tick: int) -> int:
        """Open time from the beginning of the window."""
        minute, rest = divmod(tick - self.start, MINUTE)
        return self.sums[minute] + (rest if rest and self.open[minute] else 0)

    def when(self, open_ms: int) -> int:
        """The first tick of the window at which so much open time has passed."""
        minute = bisect_left(self.sums, open_ms) - 1
        return self.start + minute * MINUTE + open_ms - self.sums[minute]


clocks = st.one_of(st.integers(0, 24 * 60), st.integers(0, 16).map(lambda quarter: quarter * 15)).map(
    lambda minute: f"{minute // 60:02d}:{minute % 60:02d}"
)


@st.composite
def intervals(draw: st.DrawFn) -> tuple[Interval, ...]:
    marks = sorted(draw(st.sets(clocks, max_size=6)))
    return tuple(pair for pair in pairwise(marks) if draw(st.booleans()))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Wall, BusinessHours]:
    shown = wall(*draw(st.sampled_from(WINDOWS)))
    week = Weekly(**{day: draw(intervals()) for day in WEEKDAYS})
    holidays = tuple(draw(st.sets(st.sampled_from(shown.dates), max_size=4)))
    return shown, BusinessHours(shown.zone, week, holidays)


ticks = st.builds(
    lambda minute, rest: minute * MINUTE + rest,
    st.integers(0, WINDOW_DAYS * 1440 - 1),
    st.sampled_from([0, 0, 1, 999, 30_000, 59_999]),
)
several = settings(deadline=None, max_examples=150)


@several
@given(situations(), ticks, ticks)
def test_open_time_between_two_moments_is_what_the_wall_clock_says(
    situation: tuple[Wall, BusinessHours], begin: int, end: int
) -> None:
    shown, chosen = situation
    subject, oracle = Hours(chosen), Oracle(shown, chosen)
    begin, end = shown.start + min(begin, end), shown.start + max(begin, end)
    if subject.never_open:
        assert subject.between(begin, end) == end - begin
    else:
        assert subject.between(begin, end) == oracle.until(end) - oracle.until(begin)


@several
@given(situations(), ticks, st.integers(1, 10 * DAY))
def test_open_time_is_over_when_the_wall_clock_says_so(
    situation: tuple[Wall, BusinessHours], start: int, open_ms: int
) -> None:
    shown, chosen = situation
    subject, oracle = Hours(chosen), Oracle(shown, chosen)
    start += shown.start
    left = oracle.sums[-1] - oracle.until(start)
    if not subject.never_open and left:
        open_ms = (open_ms - 1) % left + 1
        assert subject.after(start, open_ms) == oracle.when(oracle.until(start) + open_ms)


@several
@given(situations(), ticks, st.integers(0, 400 * DAY))
def test_between_now_and_the_end_of_some_open_time_lies_exactly_that(
    situation: tuple[Wall, BusinessHours], start: int, open_ms: int
) -> None:
    shown, chosen = situation
    subject = Hours(chosen)
    until = subject.after(shown.start + start, open_ms)
    assert subject.between(shown.start + start, until) == open_ms
    if open_ms:
        assert subject.between(shown.start + start, until - 1) == open_ms - 1, "there was an earlier tick"


@several
@given(situations(), ticks, ticks, st.integers(0, 30 * DAY), st.integers(0, DAY))
def test_later_or_longer_never_ends_earlier(
    situation: tuple[Wall, BusinessHours], one: int, other: int, open_ms: int, more: int
) -> None:
    shown, chosen = situation
    subject = Hours(chosen)
    early, late = shown.start + min(one, other), shown.start + max(one, other)
    assert early + open_ms <= subject.after(early, open_ms) <= subject.after(late, open_ms)
    assert subject.after(late, open_ms) <= subject.after(late, open_ms + more)

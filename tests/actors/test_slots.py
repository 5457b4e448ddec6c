"""Slots: on the wall clock of the agent, cut from working time, minus what is taken; right when the clocks change."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.hours import Hours, Span
from actors.slots import MINUTE, SLOTS_MAX, free, is_working, overlaps, working_hours
from protocol.codec import convert
from protocol.settings import AgentSettings, BusinessHours

HOUR = 60 * MINUTE
DAY = 24 * HOUR
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def hours(zone: str, **weekly: list[list[str]]) -> Hours:
    return Hours(convert({"time_zone": zone, "weekly": weekly}, BusinessHours))


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    """A wall clock's time as a tick."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def walls(found: list[int], zone: str) -> list[str]:
    """Ticks as a wall clock there shows them."""
    return [datetime.fromtimestamp(tick / 1000, ZoneInfo(zone)).strftime("%H:%M") for tick in found]


def day(found: Hours, date: str, zone: str, minutes: int, taken: list[Span] | None = None) -> list[str]:
    """The slots of a local day."""
    start = at(f"{date}T00:00", zone)
    return walls(free(found, taken or [], start, start + 26 * HOUR, minutes), zone)


def test_slots_follow_each_other_from_the_beginning_of_each_interval() -> None:
    found = hours("UTC", mon=[["09:00", "10:30"], ["13:10", "14:10"]])
    assert day(found, "2026-01-05", "UTC", 30) == ["09:00", "09:30", "10:00", "13:10", "13:40"]


def test_what_is_too_short_at_the_end_of_an_interval_is_no_slot() -> None:
    assert day(hours("UTC", mon=[["09:00", "10:30"]]), "2026-01-05", "UTC", 40) == ["09:00", "09:40"]


def test_whoever_has_no_working_hours_has_no_slots() -> None:
    assert free(None, [], 0, DAY, 30) == []
    settings = AgentSettings(id="ana")
    assert working_hours(settings) is None
    assert not is_working(working_hours(settings), 0, MINUTE)


def test_hours_that_are_never_open_have_no_slots() -> None:
    settings = convert({"id": "ana", "working_hours": {"weekly": {}}}, AgentSettings)
    assert working_hours(settings) is None


def test_working_hours_are_in_the_agents_time_zone() -> None:
    weekly = {"mon": [["09:00", "10:00"]]}
    settings = convert({"id": "ana", "time_zone": "Asia/Tokyo", "working_hours": {"weekly": weekly}}, AgentSettings)
    found = free(working_hours(settings), [], at("2026-01-04T00:00"), at("2026-01-06T00:00"), 60)
    assert found == [at("2026-01-05T00:00")]


def test_a_day_that_begins_the_day_before_in_utc_is_cut_in_one_piece() -> None:
    """08:00 to 12:00 in Tokyo is 23:00 to 03:00 in UTC: a slot may lie across midnight there."""
    assert day(hours("Asia/Tokyo", tue=[["08:30", "10:00"]]), "2026-01-06", "Asia/Tokyo", 45) == ["08:30", "09:15"]


def test_a_range_that_begins_within_an_interval_keeps_its_steps() -> None:
    found = hours("UTC", mon=[["09:00", "12:00"]])
    starts = free(found, [], at("2026-01-05T09:10"), at("2026-01-05T11:45"), 30)
    assert walls(starts, "UTC") == ["09:30", "10:00", "10:30", "11:00"]


def test_around_the_clock_each_interval_has_its_own_steps() -> None:
    always = hours("UTC", **{name: [["00:00", "24:00"]] for name in DAYS})
    starts = free(always, [], at("2026-01-05T22:00"), at("2026-01-06T08:00"), 420)
    assert walls(starts, "UTC") == ["00:00"]
    assert len(free(always, [], 0, 62 * DAY, 30)) == 62 * 48


def test_intervals_that_touch_are_two() -> None:
    found = hours("UTC", mon=[["09:00", "10:00"], ["10:00", "11:00"]])
    assert day(found, "2026-01-05", "UTC", 45) == ["09:00", "10:00"]


# ---------------------------------------------------------------- clock changes


def test_when_the_clocks_go_forward_the_hour_that_is_skipped_has_no_slots() -> None:
    """Oslo, 29 March 2026: after 01:59 comes 03:00."""
    found = hours("Europe/Oslo", sun=[["01:00", "04:00"]])
    assert day(found, "2026-03-29", "Europe/Oslo", 30) == ["01:00", "01:30", "03:00", "03:30"]


def test_when_the_clocks_go_back_the_hour_that_is_repeated_has_slots_twice() -> None:
    """Oslo, 25 October 2026: after 02:59 comes 02:00."""
    found = hours("Europe/Oslo", sun=[["01:00", "04:00"]])
    walls_then = ["01:00", "01:30", "02:00", "02:30", "02:00", "02:30", "03:00", "03:30"]
    assert day(found, "2026-10-25", "Europe/Oslo", 30) == walls_then


def test_a_slot_lies_across_the_change_and_is_as_long_as_any() -> None:
    found = hours("Europe/Oslo", sun=[["01:00", "05:00"]])
    start = at("2026-03-29T00:00", "Europe/Oslo")
    starts = free(found, [], start, start + DAY, 90)
    assert walls(starts, "Europe/Oslo") == ["01:00", "03:30"]
    assert starts[1] - starts[0] == 90 * MINUTE


@pytest.mark.parametrize(("date", "utc"), [("2026-03-27", "08:00"), ("2026-03-30", "07:00"), ("2026-10-26", "08:00")])
def test_nine_o_clock_stays_nine_o_clock(date: str, utc: str) -> None:
    found = hours("Europe/Oslo", mon=[["09:00", "10:00"]], fri=[["09:00", "10:00"]])
    start = at(f"{date}T00:00", "Europe/Oslo")
    assert walls(free(found, [], start, start + DAY, 60), "UTC") == [utc]


def test_in_the_southern_half_of_the_world_the_clocks_change_the_other_way() -> None:
    """Sydney goes back on 5 April 2026 and forward on 4 October."""
    found = hours("Australia/Sydney", sun=[["01:00", "04:00"]])
    assert len(day(found, "2026-04-05", "Australia/Sydney", 30)) == 8
    assert len(day(found, "2026-10-04", "Australia/Sydney", 30)) == 4


def test_half_hours_of_change_are_right_too() -> None:
    """Lord Howe goes back by half an hour, at 02:00 on 5 April 2026."""
    found = hours("Australia/Lord_Howe", sun=[["01:00", "02:30"]])
    assert len(day(found, "2026-04-05", "Australia/Lord_Howe", 30)) == 4


# ---------------------------------------------------------------- what is taken


def test_a_slot_that_overlaps_a_meeting_is_not_free_and_one_that_touches_it_is() -> None:
    taken = [(at("2026-01-05T09:45"), at("2026-01-05T10:30"))]
    found = day(hours("UTC", mon=[["09:00", "11:30"]]), "2026-01-05", "UTC", 30, taken)
    assert found == ["09:00", "10:30", "11:00"]


def test_so_many_slots_are_looked_for_and_one_more() -> None:
    always = hours("UTC", **{name: [["00:00", "24:00"]] for name in DAYS})
    assert len(free(always, [], 0, 62 * DAY, 5)) == SLOTS_MAX + 1


times = st.integers(0, 200)


@given(st.lists(st.tuples(times, st.integers(1, 20)), max_size=8), times, st.integers(1, 30))
def test_overlaps_says_what_a_search_says(lengths: list[Any], start: int, length: int) -> None:
    taken: list[Span] = []
    for begin, size in sorted(lengths):
        if not taken or begin >= taken[-1][1]:
            taken.append((begin, begin + size))
    expected = any(begin < start + length and start < end for begin, end in taken)
    assert overlaps(taken, start, start + length) == expected


zones = st.sampled_from(["UTC", "Europe/Oslo", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])


@given(zones, st.integers(0, 365), st.integers(0, 22), st.integers(1, 24), st.integers(5, 120))
def test_a_slot_is_working_time_from_end_to_end_and_none_is_left_out(
    zone: str, offset: int, opens: int, closes: int, minutes: int
) -> None:
    """Against every minute of three days: what can be cut from the first on is what is found."""
    closes = max(closes, opens + 1)
    weekly = {name: [[f"{opens:02}:00", f"{closes:02}:00"]] for name in DAYS}
    found, start = hours(zone, **weekly), at("2026-01-01T00:00") + offset * DAY
    starts = free(found, [], start, start + 3 * DAY, minutes)
    assert all(is_working(found, begin, begin + minutes * MINUTE) for begin in starts)
    assert all(later - earlier >= minutes * MINUTE for earlier, later in pairwise(starts))
    working = sum(found.between(tick, tick + HOUR) for tick in range(start, start + 3 * DAY, HOUR))
    spans = len(found.intervals(start, start + 3 * DAY))
    assert working - len(starts) * minutes * MINUTE < spans * 2 * minutes * MINUTE

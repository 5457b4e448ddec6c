"""Patterns of scenarios: what matches, where the differences are, what is no pattern."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.times import Moment
from router.simulate.matching import MATCHERS, Difference, differences, matches, problem
from router.simulate.wording import ABSENT

START = Moment.parse("2026-01-05T09:00:00Z")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4),
    max_leaves=12,
)


def at(text: str) -> str:
    """That long after START, as a time of the protocol."""
    return Moment(START + {"0s": 0, "5m": 300_000, "5m1ms": 300_001, "6m": 360_000, "3m": 180_000}[text]).text()


YES = [
    (1, 1),
    (1, 1.0),
    ("1", "1"),
    (True, True),
    (None, None),
    (None, ABSENT),
    ({}, {"a": 1}),
    ({"a": 1}, {"a": 1, "b": 2}),
    ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}),
    ({"a": None}, {}),
    ({"a": None}, {"a": None}),
    ([], []),
    ([1, {"a": 1}], [1, {"a": 1, "b": 2}]),
    ({"$any": True}, 0),
    ({"$any": True}, ""),
    ({"$any": True}, []),
    ({"$contains": "ell"}, "Hello"),
    ({"$not": 1}, 2),
    ({"$not": 1}, True),
    ({"$not": 1}, None),
    ({"$not": {"a": 1}}, {"a": 2}),
    ({"$not": {"$any": True}}, ABSENT),
    ({"$in": [1, 2]}, 2),
    ({"$in": [None]}, ABSENT),
    ({"$in": [{"a": 1}]}, {"a": 1, "b": 2}),
    ({"$in": [{"$gt": 5}, 1]}, 6),
    ({"$has": 1}, [3, 1]),
    ({"$has": {"a": {"$gt": 1}}}, [{"a": 1}, {"a": 2}]),
    ({"$len": 2}, [1, 2]),
    ({"$len": 0}, []),
    ({"$len": 2}, "ab"),
    ({"$len": 1}, {"a": 1}),
    ({"$len": {"$ge": 2}}, [1, 2, 3]),
    ({"$gt": 1}, 2),
    ({"$gt": 1}, 1.5),
    ({"$ge": 1}, 1),
    ({"$lt": 1}, 0),
    ({"$le": 1}, 1),
    ({"$gt": "2026-01-05T09:00:00.000Z"}, "2026-01-05T09:00:00.001Z"),
    ({"$after": "5m"}, at("5m")),
    ({"$after": "0s"}, "2026-01-05T10:00:00+01:00"),
    ({"$near": "5m", "within": "1ms"}, at("5m1ms")),
    ({"$near": "5m", "within": "1m"}, at("6m")),
    ({"$near": "5m", "within": "2m"}, at("3m")),
]

NO = [
    (1, 2),
    (1, True),
    (True, 1),
    (0, False),
    (1, "1"),
    ("1", 1),
    (None, 0),
    (None, False),
    (None, ""),
    (0, None),
    ("", ABSENT),
    ({}, None),
    ({}, []),
    ({}, ABSENT),
    ({"a": 1}, {"b": 1}),
    ({"a": {"b": None}}, {}),
    ([], [1]),
    ([1], []),
    ([1, 2], [2, 1]),
    ([1], 1),
    ([1], {"0": 1}),
    ({"$any": True}, None),
    ({"$any": True}, ABSENT),
    ({"$contains": "ell"}, "Hallo"),
    ({"$contains": "a"}, ["a"]),
    ({"$contains": "a"}, None),
    ({"$not": 1}, 1),
    ({"$not": None}, ABSENT),
    ({"$in": []}, 1),
    ({"$in": [1, 2]}, 3),
    ({"$in": [1]}, True),
    ({"$has": 1}, [2, True]),
    ({"$has": 1}, 1),
    ({"$has": "a"}, "a"),
    ({"$len": 2}, [1]),
    ({"$len": 2}, 2),
    ({"$len": 0}, None),
    ({"$gt": 1}, 1),
    ({"$gt": 1}, True),
    ({"$gt": 1}, "2"),
    ({"$gt": "2"}, 3),
    ({"$gt": 0}, None),
    ({"$ge": 1}, 0),
    ({"$lt": 1}, 1),
    ({"$le": 1}, 2),
    ({"$after": "5m"}, at("5m1ms")),
    ({"$after": "5m"}, "soon"),
    ({"$after": "5m"}, 300_000),
    ({"$after": "5m"}, None),
    ({"$near": "5m", "within": "0s"}, at("5m1ms")),
    ({"$near": "5m", "within": "59s"}, at("6m")),
    ({"$near": "5m", "within": "59s"}, "near"),
]


@pytest.mark.parametrize(("pattern", "value"), YES)
def test_what_fits_matches(pattern: Any, value: Any) -> None:
    assert matches(pattern, value, START)
    assert not matches({"$not": pattern}, value, START)


@pytest.mark.parametrize(("pattern", "value"), NO)
def test_what_does_not_fit_does_not_match(pattern: Any, value: Any) -> None:
    assert not matches(pattern, value, START)
    assert matches({"$not": pattern}, value, START)


def test_every_matcher_is_tried_both_ways() -> None:
    for table in (YES, NO):
        assert {key for pattern, _ in table if isinstance(pattern, dict) for key in pattern} >= set(MATCHERS)


@given(JSON)
def test_any_value_matches_itself(value: Any) -> None:
    assert matches(value, value, START)


@given(st.dictionaries(st.text("abcdef", min_size=1), JSON, min_size=1), st.data())
def test_a_mapping_matches_what_has_more_keys(value: dict[str, Any], data: st.DataObject) -> None:
    kept = data.draw(st.sets(st.sampled_from(sorted(value))))
    assert matches({key: value[key] for key in kept}, value, START)


@given(st.lists(JSON), JSON)
def test_a_list_matches_none_that_is_longer(value: list[Any], more: Any) -> None:
    assert not matches(value, [*value, more], START)


@given(st.sampled_from(sorted(MATCHERS)), JSON, JSON, JSON)
def test_no_matcher_fails_at_any_argument_or_value(name: str, argument: Any, within: Any, value: Any) -> None:
    pattern = {name: argument} | ({"within": within} if name == "$near" else {})
    assert matches(pattern, value, START) in (True, False)


def test_each_difference_is_told_with_its_path() -> None:
    pattern = {"a": 1, "b": {"c": [1, {"d": None}]}, "e": {"$any": True}}
    value = {"a": 2, "b": {"c": [1, {"d": 0}]}}
    assert differences(pattern, value, START) == [
        Difference("a", "1", "2"),
        Difference("b.c.1.d", "null", "0"),
        Difference("e", "{$any: true}", "nothing"),
    ]


def test_a_list_of_another_length_is_one_difference() -> None:
    assert differences({"crew": ["ana"]}, {"crew": ["ana", "bo"]}, START) == [
        Difference("crew", "1 item [ana]", "2 items [ana, bo]")
    ]


def test_a_time_that_differs_is_told_as_a_time() -> None:
    [found] = differences({"$after": "5m"}, at("6m"), START, "at")
    assert str(found) == ('at: expected {$after: 5m} (2026-01-05T09:05:00.000Z), got "2026-01-05T09:06:00.000Z"')


def test_a_difference_at_the_top_has_no_path() -> None:
    assert [str(found) for found in differences(1, "1", START)] == ['expected 1, got "1"']


@pytest.mark.parametrize(
    "pattern",
    [
        {"$any": True},
        {"$contains": "x"},
        {"$not": None},
        {"$in": [1, {"$gt": 1}]},
        {"$has": {"a": {"$len": 1}}},
        {"$len": 0},
        {"$len": {"$gt": 1}},
        {"$gt": 1.5},
        {"$ge": "2026-01-05T09:00:00.000Z"},
        {"$after": "1h30m"},
        {"$near": "5m", "within": "2s"},
        {"$after": "$later"},
        {"$len": "$n"},
        {"price": "5 $"},
        [1, {"a": None}],
        7,
    ],
)
def test_a_pattern_that_can_be_compared_has_no_problem(pattern: Any) -> None:
    assert problem(pattern, "is") is None


@pytest.mark.parametrize(
    ("pattern", "path", "why"),
    [
        ({"a": [{"$aftr": "5m"}]}, "is.a.0", "there is no matcher $aftr (did you mean $after?)"),
        ({"$any": False}, "is", "$any takes true"),
        ({"$any": 1}, "is", "$any takes true"),
        ({"$contains": 5}, "is", "$contains takes a text"),
        ({"$in": 5}, "is", "$in takes a list"),
        ({"$len": -1}, "is", "$len takes a number from 0"),
        ({"$len": True}, "is", "$len takes a number from 0"),
        ({"$gt": True}, "is", "$gt takes a number or a time"),
        ({"$after": 5}, "is", '$after takes a duration such as "5m"'),
        ({"$after": "soon"}, "is", '$after takes a duration such as "5m"'),
        ({"$near": "5m"}, "is", '$near takes a duration such as "5m", and "within" another one'),
        ({"$gt": 1, "$lt": 5}, "is", "$gt stands alone, without $lt"),
        ({"$not": 1, "a": 2}, "is", "$not stands alone, without a"),
        ({"$not": {"$has": {"$in": "x"}}}, "is.$not.$has", "$in takes a list"),
    ],
)
def test_a_pattern_that_can_never_be_compared_is_refused(pattern: Any, path: str, why: str) -> None:
    assert problem(pattern, "is") == (path, why)

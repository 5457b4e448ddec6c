"""Judging answers, notices and timelines, both ways, and the words of each failure."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.codec import convert
from protocol.errors import bad_params, refused
from protocol.times import Moment
from router.simulate.judge import (
    Failure,
    compare,
    find_notice,
    forbid_notice,
    judge,
    judge_one_of,
    judge_timeline,
    pick,
)
from router.simulate.needs import Lacking
from router.simulate.steps import Request, Timeline
from router.simulate.virtual_client import Heard

START = Moment.parse("2026-01-05T09:00:00Z")
FORBIDDEN = {
    "code": -32000, "message": "This role may never do that.", "data": {"reason": "forbidden", "retry": False},
}  # fmt: skip
RED = {"code": -32000, "message": "Not green.", "data": {"reason": "agent_unavailable", "colour": "red", "retry": True}}
PARAMS = {"code": -32602, "message": "text: expected str", "data": {"field": "text", "expected": "str", "retry": False}}
NO_METHOD = {"code": -32601, "message": "there is no method", "data": {"method": "a.b", "retry": False}}


def request(**said: Any) -> Request:
    asked: Request = convert({"as": "ana", "call": "message.send"} | said, Request)
    return asked


def failure(act: Any, *arguments: Any) -> str:
    with pytest.raises(Failure) as unmet:
        act(*arguments)
    return str(unmet.value)


def test_the_errors_used_here_are_as_the_house_makes_them() -> None:
    assert (refused("forbidden").data, bad_params("text", "str").data) == (FORBIDDEN["data"], PARAMS["data"])


# ---------------------------------------------------------------- requests


def test_success_is_enough_without_an_expectation() -> None:
    assert judge(request(), {"result": {"a": 1}}, START) == {}


def test_a_result_is_compared_and_saved_from() -> None:
    said = request(result={"entry": {"text": "Hi"}}, save={"s": "entry.seq", "e": "entry"})
    entry = {"text": "Hi", "seq": 7}
    assert judge(said, {"result": {"entry": entry}}, START) == {"s": 7, "e": entry}


@pytest.mark.parametrize(
    ("said", "answer", "text"),
    [
        ({}, None, "expected an answer, got none"),
        ({}, {"error": RED}, "expected success, got error {reason: agent_unavailable, colour: red} (Not green.)"),
        ({}, {"error": PARAMS}, "expected success, got error {code: -32602, field: text, expected: str}"
         " (text: expected str)"),
        ({"result": {"a": {"b": 1}}}, {"result": {"a": {"b": 2, "c": 3}}}, "a.b: expected 1, got 2"),
        ({"result": {"a": 1, "b": 2}}, {"result": {}}, "a: expected 1, got nothing; b: expected 2, got nothing"),
        ({"result": None}, {"result": {}}, "expected null, got {}"),
        ({"save": {"x": "a.c.d"}}, {"result": {"a": {"b": 1}}}, "save: expected something at a.c, got nothing"),
        ({"error": {"reason": "forbidden"}}, {"result": {"a": 1}},
         "expected error {reason: forbidden}, got success {a: 1}"),
        ({"error": {"reason": "forbidden"}}, {"error": RED}, "error.reason: expected forbidden, got agent_unavailable"),
        ({"error": {"colour": "orange"}}, {"error": RED}, "error.colour: expected orange, got red"),
        ({"error": {"code": -32000}}, {"error": PARAMS}, "error.code: expected -32000, got -32602"),
        ({"error": {"colour": None}}, {"error": RED}, "error.colour: expected null, got red"),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_as_expected_fails(
    said: dict[str, Any], answer: dict[str, Any] | None, text: str
) -> None:
    assert failure(judge, request(**said), answer, START) == text


@pytest.mark.parametrize(
    ("expected", "error"),
    [
        ({"reason": "agent_unavailable", "colour": "red"}, RED),
        ({"code": -32602}, PARAMS),
        ({"code": -32601}, NO_METHOD),
        ({"reason": "forbidden", "conversation": None}, FORBIDDEN),
        ({}, FORBIDDEN),
    ],
)
def test_an_expected_error_is_a_subset_of_what_came(expected: dict[str, Any], error: dict[str, Any]) -> None:
    assert judge(request(error=expected), {"error": error}, START) == {}


@pytest.mark.parametrize("said", [{}, {"error": {"reason": "forbidden"}}])
def test_a_method_that_is_not_there_is_named(said: dict[str, Any]) -> None:
    with pytest.raises(Lacking, match=r"needs the method a\.b, which this version does not have"):
        judge(request(call="a.b", **said), {"error": NO_METHOD}, START)


def test_of_one_of_the_winner_is_told() -> None:
    assert judge_one_of([request()] * 3, [{"error": RED}, {"result": {}}, {"error": RED}]) == 1


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([{"error": RED}, None], "got 0: {reason: agent_unavailable, colour: red}, no answer"),
        ([{"result": {}}, {"result": {}}], "got 2: success, success"),
    ],
)
def test_none_or_two_winners_fail(answers: list[Any], text: str) -> None:
    assert failure(judge_one_of, [request()] * 2, answers) == f"expected exactly one to succeed, {text}"


def test_one_of_a_method_that_is_not_there_names_it() -> None:
    with pytest.raises(Lacking, match=r"needs the method a\.b"):
        judge_one_of([request(call="a.b")] * 2, [{"error": NO_METHOD}] * 2)


def test_compare_passes_over_what_matches() -> None:
    compare({"a": {"$gt": 1}}, {"a": 2}, START)
    assert failure(compare, {"a": 1}, {"a": 2}, START, "top") == "top.a: expected 1, got 2"


def test_pick_takes_what_is_null() -> None:
    assert pick({"x": "a"}, {"a": None}) == {"x": None}


# ---------------------------------------------------------------- notices

HEARD = [
    Heard("conversation.entry", {"entry": {"seq": 1}}),
    Heard("agent.changed", {"agent": "ana"}),
    Heard("conversation.entry", {"entry": {"seq": 2}}),
    Heard("conversation.entry", {"entry": {"seq": 2}}),
]


@pytest.mark.parametrize(
    ("name", "where", "index"),
    [
        ("conversation.entry", {}, 0),
        ("conversation.entry", {"entry": {"seq": 2}}, 2),
        ("agent.changed", {"agent": "ana"}, 1),
    ],
)
def test_the_first_such_notice_is_found(name: str, where: dict[str, Any], index: int) -> None:
    assert find_notice(name, where, HEARD, START) == index
    assert failure(forbid_notice, name, where, HEARD, START).startswith(f"expected no {name} ")


@pytest.mark.parametrize(
    ("name", "where", "came"),
    [
        (
            "conversation.entry",
            {"entry": {"seq": 3}},
            "3 other: entry.seq: expected 3, got 1 | entry.seq: expected 3, got 2 | entry.seq: expected 3, got 2",
        ),
        ("agent.changed", {"agent": "bo"}, "1 other: agent: expected bo, got ana"),
        ("conversation.assigned", {}, "none"),
    ],
)
def test_a_missing_notice_is_told_with_those_that_came(name: str, where: dict[str, Any], came: str) -> None:
    assert failure(find_notice, name, where, HEARD, START).endswith(f", got {came}")
    forbid_notice(name, where, HEARD, START)


def test_a_forbidden_notice_is_shown() -> None:
    text = failure(forbid_notice, "agent.changed", {}, HEARD, START)
    assert text == "expected no agent.changed {}, got {agent: ana}"


def test_notices_that_can_never_come_prove_nothing() -> None:
    for act in (find_notice, forbid_notice):
        with pytest.raises(Lacking, match=r"needs the notice horoscope\.told"):
            act("horoscope.told", {}, HEARD, START)


# ---------------------------------------------------------------- timelines

ENTRIES: list[dict[str, Any]] = [
    {"seq": 1, "type": "created"},
    {"seq": 2, "type": "message", "text": "One"},
    {"seq": 3, "type": "joined"},
    {"seq": 4, "type": "message", "text": "Two"},
]


def timeline(**said: Any) -> Timeline:
    step: Timeline = convert({"timeline": "c"} | said, Timeline)
    return step


@pytest.mark.parametrize(
    "said",
    [
        {"has": []},
        {"has": [{"type": "created"}, {"text": "Two"}]},
        {"has": [{"type": "message"}, {"type": "message"}]},
        {"has": [{}, {}, {}, {}]},
        {"lacks": [{"text": "Three"}, {"type": "left"}]},
        {"is": [{"type": "created"}, {"text": "One"}, {"seq": 3}, {"seq": {"$gt": 3}}]},
        {"count": {"of": {"type": "message"}, "is": 2}},
        {"count": {"of": {"type": "left"}, "is": 0}},
    ],
)
def test_a_timeline_is_as_it_is_said(said: dict[str, Any]) -> None:
    judge_timeline(timeline(**said), ENTRIES, START)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"has": [{"type": "left"}]}, "has.0: expected {type: left}, got [created, message, joined, message]"),
        (
            {"has": [{"text": "Two"}, {"text": "One"}]},
            "has.1: expected {text: One} after that, got nothing",
        ),
        (
            {"has": [{"type": "message"}, {"type": "message"}, {"type": "message"}]},
            "has.2: expected {type: message} after that, got nothing",
        ),
        (
            {"has": [{"type": "message", "text": "Three", "seq": 4}]},
            "has.0: expected {type: message, text: Three, seq: 4}, got [created, message, joined, message]"
            " (nearest: text: expected Three, got Two)",
        ),
        (
            {"lacks": [{"text": "Three"}, {"type": "joined"}]},
            "lacks.1: expected no {type: joined}, got {seq: 3, type: joined}",
        ),
        ({"is": [{}, {}, {}, {"text": "One"}]}, "is.3.text: expected One, got Two"),
        (
            {"is": [{}]},
            "is: expected 1 item [{}], got 4 items [{seq: 1, type: created}, {seq: 2, type: message, text: One},"
            " {seq: 3, type: joined}, {seq: 4, type: message, text: Two}]",
        ),
        ({"count": {"of": {"type": "message"}, "is": 1}}, "count: expected 1 of {type: message}, got 2"),
        ({"has": [{}], "lacks": [{}]}, "lacks.0: expected no {}, got {seq: 1, type: created}"),
    ],
)
def test_a_timeline_that_is_not_as_said_fails(said: dict[str, Any], text: str) -> None:
    assert failure(judge_timeline, timeline(**said), ENTRIES, START) == text


def test_an_empty_timeline_has_nothing() -> None:
    assert failure(judge_timeline, timeline(has=[{}]), [], START) == "has.0: expected {}, got nothing"

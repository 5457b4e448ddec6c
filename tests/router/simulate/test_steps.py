"""The words of steps, and what they check by themselves."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol.codec import convert
from protocol.ids import Principal
from router.simulate.steps import STEPS, Crash, Request, Step, Together, principal


@pytest.mark.parametrize(
    ("who", "means"),
    [
        ("ana", Principal("agent", "ana")),
        ("agent-device:ana/2", Principal("agent", "ana")),
        ("contact:nia", Principal("contact", "nia")),
        ("contact:a:b", Principal("contact", "a:b")),
        ("connector:sms", Principal("connector", "sms", channels=("sms",))),
        ("connector:sms,web", Principal("connector", "sms,web", channels=("sms", "web"))),
        ("backend", Principal("backend", "backend")),
    ],
)
def test_a_speaker_is_told_by_the_form_of_the_name(who: str, means: Principal) -> None:
    assert principal(who) == means


@pytest.mark.parametrize(
    "who",
    [
        "",
        "contact:",
        "connector:",
        "connector:sms,",
        "agent-device:ana",
        "agent-device:/2",
        "agent-device:ana/",
        "admin:mia",
    ],
)
def test_a_name_of_no_known_form_is_refused(who: str) -> None:
    with pytest.raises(ValueError, match="is nobody: it is an agent's id, agent-device"):
        principal(who)


@pytest.mark.parametrize(("crash", "down"), [(True, 0), ("10m", 600_000), ("0s", 0)])
def test_a_crash_lasts_no_time_or_so_long(crash: Any, down: int) -> None:
    assert Crash(crash=crash).down_ms() == down


@pytest.mark.parametrize(
    ("kind", "plain", "complaint"),
    [
        ("crash", {"crash": False}, "Expected a duration"),
        ("crash", {"crash": 5}, "Expected a duration"),
        ("call", {"as": "ana", "call": "x", "error": {}, "result": {}}, "either an error, or a result and save"),
        ("call", {"as": "ana", "call": "x", "error": {}, "save": {"a": "b"}}, "either an error, or a result and save"),
        ("call", {"as": "ana", "call": "x", "save": {"a-b": "c"}}, "save: 'a-b' is not a name"),
        ("call", {"as": "ana", "call": "x", "with": []}, "Expected `object`, got `array`"),
        ("call", {"as": "ana", "call": "x", "result": {"$an": 1}}, "result: there is no matcher \\$an"),
        ("call", {"as": "x:y", "call": "x"}, "'x:y' is nobody"),
        ("notice", {"as": "ana", "notice": "x", "where": {"a": {"$len": "b"}}}, "where.a: \\$len takes"),
        ("no_notice", {"as": "ana", "no_notice": "x", "where": []}, "Expected `object`"),
        ("wait", {"wait": 3}, "Expected a duration"),
        ("look", {"look": "c", "is": {"$in": 3}}, "is: \\$in takes a list"),
        ("timeline", {"timeline": "c"}, "a timeline says has, lacks, is or count"),
        ("timeline", {"timeline": "c", "has": {}}, "Expected `array`"),
        ("timeline", {"timeline": "c", "lacks": [{"$foo": 1}]}, "lacks.0: there is no matcher"),
        ("timeline", {"timeline": "c", "count": {"of": {"$foo": 1}, "is": 1}}, "of: there is no matcher"),
        ("timeline", {"timeline": "c", "count": {"of": {}, "is": -1}}, "Expected `int` >= 0"),
        ("together", {"together": []}, "length >= 1"),
        ("one_of", {"one_of": [{"as": "a", "call": "x"}]}, "missing required field `rest`"),
        ("one_of", {"one_of": [{"as": "a", "call": "x", "error": {}}], "rest": {}}, "no error of its own"),
        ("one_of", {"one_of": [{"as": "a", "call": "x"}], "rest": {"a": {"$foo": 1}}}, "rest.a: there is no matcher"),
        ("online", {"online": ""}, "length >= 1"),
        ("drop", {"drop": "contact:"}, "'contact:' is nobody"),
        ("mail", {"mail": "a@b", "count": "1"}, "Expected `int`"),
        ("repeat", {"repeat": 0, "steps": [1]}, "Expected `int` >= 1"),
        ("repeat", {"repeat": 1, "steps": []}, "length >= 1"),
        ("repeat", {"repeat": 10**9, "steps": [1]}, "Expected `int` <= 100000"),
    ],
)
def test_a_step_that_cannot_be_played_is_refused(kind: str, plain: dict[str, Any], complaint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=complaint):
        convert(plain, STEPS[kind])


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_a_step_refuses_keys_that_it_does_not_know(kind: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `colour`"):
        convert({"colour": "red"}, STEPS[kind])


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_each_step_has_the_key_that_makes_it_one_and_a_sentence(kind: str) -> None:
    step: type[Step] = STEPS[kind]
    assert kind in step.__struct_encode_fields__
    assert step.__doc__


def test_items_of_a_turn_check_themselves_too() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"is nobody.* - at `\$.together\[1\]`"):
        convert({"together": [{"as": "a", "call": "x"}, {"as": "b:c", "call": "x"}]}, Together)


def test_a_request_says_who_asks_what() -> None:
    request = convert({"as": "ana", "call": "x", "with": {"a": 1}, "save": {"c": "conversation.id"}}, Request)
    assert (request.who, request.call, request.params, request.save) == ("ana", "x", {"a": 1}, {"c": "conversation.id"})

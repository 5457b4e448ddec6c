"""What this version does not have is named exactly."""

from __future__ import annotations

from typing import Any

import pytest

from router.config import ConfigError
from router.simulate.needs import Lacking, check_answer, check_notice, settings_of


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ({"services": [{"id": "s", "mode": "auction"}]}, "service.mode=auction"),
        ({"services": [{"id": "s", "tariff": 3}]}, "service.tariff"),
        ({"services": [{"id": "s", "escalation": [{"after": "1m", "do": "sing"}]}]}, "service.escalation.do=sing"),
        ({"services": [{"id": "s", "members": [{"agent": "a", "desk": 4}]}]}, "service.members.desk"),
        ({"agents": [{"id": "a", "horoscope": {}}]}, "agent.horoscope"),
        ({"tariffs": []}, "tariffs"),
    ],
)
def test_a_newer_setting_is_named(config: dict[str, Any], what: str) -> None:
    with pytest.raises(Lacking) as lacking:
        settings_of(config)
    assert str(lacking.value) == f"needs {what}, which this version does not have"


@pytest.mark.parametrize(
    "config", [{"services": [{"id": "s", "soon_after": "x"}]}, {"services": 5}, {"agents": [{"id": "a"}, {"id": "a"}]}]
)
def test_a_wrong_setting_is_another_matter(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        settings_of(config)


def test_known_settings_are_taken() -> None:
    settings = settings_of(
        {"services": [{"id": "s", "mode": "push", "members": [{"agent": "a"}]}], "agents": [{"id": "a"}]}
    )
    assert [service.id for service in settings.services] == ["s"]
    assert [agent.id for agent in settings.agents] == ["a"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("horoscope.told", "needs the notice horoscope.told, which this version does not have"),
        (
            "conversation.entri",
            "needs the notice conversation.entri, which this version does not have (did you mean conversation.entry?)",
        ),
    ],
)
def test_an_unknown_notice_is_named(name: str, text: str) -> None:
    with pytest.raises(Lacking) as lacking:
        check_notice(name)
    assert str(lacking.value) == text


def test_a_known_notice_is_not_lacking() -> None:
    check_notice("conversation.entry")


def error(code: int) -> dict[str, Any]:
    return {"code": code, "message": "no", "data": {"field": "x", "expected": "y", "retry": False}}


@pytest.mark.parametrize(
    ("method", "params", "code", "what"),
    [
        ("horoscope.tell", {}, -32601, "the method horoscope.tell"),
        ("message.send", {"conversation": "c", "text": "x", "smell": 1}, -32602, "message.send with smell"),
        (
            "service.put",
            {"service": {"id": "s", "mode": "auction"}},
            -32602,
            "service.put with service.mode=auction",
        ),
    ],
)
def test_an_answer_to_something_newer_names_it(method: str, params: dict[str, Any], code: int, what: str) -> None:
    with pytest.raises(Lacking) as lacking:
        check_answer(method, params, error(code))
    assert str(lacking.value) == f"needs {what}, which this version does not have"


def test_a_misspelt_method_gets_a_hint() -> None:
    with pytest.raises(Lacking, match=r"needs the method message\.sent, .* \(did you mean send\?\)"):
        check_answer("message.sent", {}, error(-32601))


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [("message.send", {"text": 5}, -32602), ("message.send", {}, -32000), ("message.send", {"smell": 1}, -32000)],
)
def test_other_errors_lack_nothing(method: str, params: dict[str, Any], code: int) -> None:
    check_answer(method, params, error(code))

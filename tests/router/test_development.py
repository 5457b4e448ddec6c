from collections.abc import Mapping

import pytest

from router.auth import Gate
from router.config import doubts, load
from router.development import CONFIG, DEV_SECRET, TOKEN_TTL_MS, environment, greeting, is_loopback, with_mail
from router.keys import SECRET_BYTES_MIN

NOW = 1_700_000_000_000


def test_the_demonstration_is_a_good_configuration() -> None:
    config = load(CONFIG)
    assert doubts(config) == []
    assert [service.id for service in config.workspace.services] == ["support", "sales"]
    assert len(config.workspace.agents) == 4
    assert is_loopback(config.server.host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost", "LocalHost"])
def test_loopback_stays_on_this_machine(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "example.com", "localhost.example.com", "", "127.1.evil", "127.1"],
)
def test_everything_else_does_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("environ", "secret"),
    [
        ({}, DEV_SECRET),
        ({"SIGNALBOX_SECRET": ""}, DEV_SECRET),
        ({"SIGNALBOX_SECRET": "x"}, "x"),
        ({"SIGNALBOX_SECRET_FILE": "x"}, None),
    ],
)
def test_the_well_known_secret_gives_way_to_a_real_one(environ: Mapping[str, str], secret: str | None) -> None:
    before = dict(environ)
    assert environment(environ).get("SIGNALBOX_SECRET") == secret
    assert environ == before
    assert len(DEV_SECRET) >= SECRET_BYTES_MIN


def test_a_demonstration_has_mail_and_the_rest_is_as_it_was() -> None:
    config = load(CONFIG)
    found = with_mail(config)
    assert config.workspace.mail is None
    assert found.workspace.mail is not None
    assert found.workspace.services == config.workspace.services


def test_the_greeting_has_a_token_for_everybody() -> None:
    config = load(CONFIG)
    gate = Gate.from_config(config, environment({}))
    _, *said = greeting(config, gate, NOW).splitlines()
    tokens = dict(line.split(": ") for line in said)
    assert list(tokens) == [
        *(f"agent {name}" for name in ("ana", "bo", "cleo", "dag")),
        "contact kari",
        "connector whatsapp",
        "backend backend",
    ]
    for who, token in tokens.items():
        principal, ends = gate.verify(token, NOW)
        assert f"{principal.role} {principal.sub}" == who
        assert ends == NOW + TOKEN_TTL_MS
    assert gate.verify(tokens["connector whatsapp"], NOW)[0].channels == ("whatsapp",)

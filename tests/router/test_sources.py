"""The environment and flags as sources; files are tested with the configuration."""

from typing import Any

import pytest

from router.config import Config
from router.sources import FLAGS, from_environment, from_flags, merged, variables


def read(**environ: str) -> tuple[dict[str, Any], list[str]]:
    problems: list[str] = []
    return from_environment({f"SIGNALBOX_{name}": text for name, text in environ.items()}, Config, problems), problems


@pytest.mark.parametrize(
    ("name", "text", "table"),
    [
        ("SERVER_HOST", "::1", {"server": {"host": "::1"}}),
        ("SERVER_PORT", "9000", {"server": {"port": 9000}}),
        ("SERVER_HTTP_PORT", "9001", {"server": {"http_port": 9001}}),
        ("SERVER_SHUTDOWN_S", "0.5", {"server": {"shutdown_s": 0.5}}),
        ("SERVER_ORIGINS", "https://a.example, https://b.example", {"server": {"origins": ["https://a.example", "https://b.example"]}}),
        ("AUTH_REQUIRE_EXPIRY", "false", {"auth": {"require_expiry": False}}),
        ("AUTH_PUBLIC_KEY_FILES", "a.pem", {"auth": {"public_key_files": ["a.pem"]}}),
        ("LOG_LEVEL", "debug", {"log": {"level": "debug"}}),
        ("LIMITS_FRAME_BYTES", "1000", {"limits": {"frame_bytes": 1000}}),
        ("STORE", "sqlite:///a.db", {"store": {"url": "sqlite:///a.db"}}),
        ("STORE_URL", "sqlite:///a.db", {"store": {"url": "sqlite:///a.db"}}),
        ("WORKSPACE_ID", "acme", {"workspace": {"id": "acme"}}),
        ("MAIL_PORT", "587", {"workspace": {"mail": {"port": 587}}}),
    ],
)  # fmt: skip
def test_a_variable_sets_a_key(name: str, text: str, table: dict[str, Any]) -> None:
    assert read(**{name: text}) == (table, [])


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("SERVER_PORT", "abc", "SIGNALBOX_SERVER_PORT: expected int"),
        ("MAIL_SECURITY", "ssl", "SIGNALBOX_MAIL_SECURITY: expected one of none, starttls, tls"),
        ("SERVER_PORT", "70000", "SIGNALBOX_SERVER_PORT: expected int <= 65535"),
        ("LOG_LEVEL", "loud", "SIGNALBOX_LOG_LEVEL: expected one of debug, error, info, warning"),
        ("AUTH_REQUIRE_EXPIRY", "maybe", "SIGNALBOX_AUTH_REQUIRE_EXPIRY: expected bool"),
        ("SERVER_PRT", "1", "SIGNALBOX_SERVER_PRT: no such setting; did you mean SIGNALBOX_SERVER_PORT?"),
        ("SECERT", "hush", "SIGNALBOX_SECERT: no such setting; did you mean SIGNALBOX_SECRET?"),
        ("WORKSPACE_AGENTS", "ana", "SIGNALBOX_WORKSPACE_AGENTS: no such setting"),
        ("PORT", "8400", "SIGNALBOX_PORT: no such setting"),
    ],
)
def test_a_wrong_variable_is_named_without_its_value(name: str, text: str, problem: str) -> None:
    _, [found] = read(**{name: text})
    assert found.startswith(problem)
    assert text not in found.removeprefix(f"SIGNALBOX_{name}")


def test_the_store_is_named_once() -> None:
    _, problems = read(STORE="sqlite:///a.db", STORE_URL="sqlite:///b.db")
    assert problems == ["SIGNALBOX_STORE: set it or SIGNALBOX_STORE_URL, not both"]


def test_an_empty_variable_counts_as_not_set() -> None:
    assert read(SERVER_PORT="", NONSENSE="") == ({}, [])


def test_what_others_read_is_left_to_them() -> None:
    assert read(SECRET="x", SECRET_FILE="x", COMPILE="1", TEST_POSTGRES="x") == ({}, [])
    assert from_environment({"HOME": "/", "XSIGNALBOX_A": "1", "signalbox_b": "1"}, Config, []) == {}


def test_what_kubernetes_sets_for_a_service_of_our_name_is_nothing_to_us() -> None:
    address = "tcp://10.0.0.1:8400"
    linked = {"SERVICE_HOST": "10.0.0.1", "SERVICE_PORT": "8400", "SERVICE_PORT_WS": "8400", "PORT": address}
    assert read(**linked, PORT_8400_TCP=address, PORT_8400_TCP_ADDR="10.0.0.1") == ({}, [])


def test_every_variable_has_one_meaning() -> None:
    known = variables(Config)
    assert known["SIGNALBOX_LIMITS_BATCH"] == ("limits", "batch")
    assert len(set(known.values())) == len(known) - 1  # the store has a short name as well


def test_flags_that_were_not_given_set_nothing() -> None:
    problems: list[str] = []
    assert from_flags({"host": None, "port": 0, "store": "sqlite:///x.db"}, Config, problems) == {
        "server": {"port": 0},
        "store": {"url": "sqlite:///x.db"},
    }
    assert from_flags(dict.fromkeys(FLAGS), Config, problems) == {}
    assert problems == []


def test_merging_does_not_change_the_layers() -> None:
    first, second = {"a": {"x": 1, "y": 1}}, {"a": {"y": 2}, "b": {"z": 3}}
    assert merged([first, second]) == {"a": {"x": 1, "y": 2}, "b": {"z": 3}}
    assert first == {"a": {"x": 1, "y": 1}}

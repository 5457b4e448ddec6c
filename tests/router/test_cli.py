"""The command line: help, wrong use, exit codes, and the commands that run nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from protocol.ids import Principal
from router import build, commands
from router.auth import Gate
from router.cli import main

SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000_000


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SIGNALBOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(commands, "now_ms", lambda: NOW)


# ---------------------------------------------------------------- help and wrong use


COMMANDS = ["serve", "token", "simulate", "migrate", "check-config", "openrpc", "version"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_of_each_command(command: str, capsys: Any) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"examples:\n  signalbox {command}" in text or f"signalbox {command} --config" in text
    assert "Exit codes: 0 done" in text


def test_help_lists_the_commands(capsys: Any) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"    {command}" in text for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["serve", "extra"],
        ["serve", "--secret", "x"],
        ["serve", "--conf", "x"],
        ["serve", "--port", "x"],
        ["token"],
        ["token", "--role", "boss", "--sub", "x"],
        ["token", "--role", "agent", "--sub", "x", "--ttl", "soon"],
        ["token", "--role", "agent", "--sub", "x", "--ttl", "0s"],
        ["simulate"],
        ["check-config"],
        ["version", "extra"],
    ],
)
def test_wrong_use_is_2_with_the_reason_on_standard_error(arguments: list[str], capsys: Any) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert "error:" in err
    assert out == ""


# ---------------------------------------------------------------- token


@pytest.mark.parametrize(
    ("arguments", "principal", "length"),
    [
        (["--role", "agent", "--sub", "ana"], Principal("agent", "ana"), 3_600_000),
        (["--role", "backend", "--sub", "b", "--ttl", "1d"], Principal("backend", "b"), 86_400_000),
        (["--role", "connector", "--sub", "c", "--channels", "sms, wa"], Principal("connector", "c", ("sms", "wa")), 3_600_000),  # noqa: E501 - one case a line
        (["--role", "contact", "--sub", "k", "--name", "K", "--email", "k@x.no"], Principal("contact", "k", (), "K", "k@x.no"), 3_600_000),  # noqa: E501
    ],
)  # fmt: skip
def test_token_prints_a_token_that_the_gate_accepts(
    arguments: list[str], principal: Principal, length: int, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("SIGNALBOX_SECRET", SECRET)
    assert main(["token", *arguments]) == 0
    out, err = capsys.readouterr()
    assert Gate(secret=SECRET.encode()).verify(out.removesuffix("\n"), NOW) == (principal, NOW + length)
    assert err == ""


def test_token_is_for_the_workspace_that_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("SIGNALBOX_SECRET", SECRET)
    assert main(["token", "--role", "agent", "--sub", "ana", "--ws", "acme"]) == 0
    assert Gate(secret=SECRET.encode(), workspace="acme").verify(capsys.readouterr().out.strip(), NOW)


@pytest.mark.parametrize(
    ("secret", "arguments", "reason"),
    [
        (None, ["--role", "agent", "--sub", "ana"], "no secret to sign with: set SIGNALBOX_SECRET"),
        ("short", ["--role", "agent", "--sub", "ana"], "SIGNALBOX_SECRET: expected at least 32 bytes, found 5"),
        (SECRET, ["--role", "connector", "--sub", "c"], "a connector's token needs channels"),
        (SECRET, ["--role", "agent", "--sub", ""], "sub must be 1 to 200 printable characters"),
    ],
)
def test_token_refuses_what_would_not_be_accepted(
    secret: str | None, arguments: list[str], reason: str, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    if secret is not None:
        monkeypatch.setenv("SIGNALBOX_SECRET", secret)
    assert main(["token", *arguments]) == 2
    out, err = capsys.readouterr()
    assert reason in err
    assert out == ""


# ---------------------------------------------------------------- check-config, openrpc, version


def test_check_config_sums_up_a_good_file(capsys: Any) -> None:
    assert main(["check-config", str(Path(commands.__file__).with_name("demo.toml"))]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok",
        "services: support, sales",
        "agents: ana, bo, cleo, dag",
        "channel classes: chat, messaging, email",
    ]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", None),
        ("[server]\nprot = 1\nhost = 5\n", ["server.prot: no such setting; did you mean server.port?", "server.host: expected str"]),  # noqa: E501
        ('[[services]]\nid = "s"\nmembers = [{ agent = "ana" }]\n', ["services[0].members[0].agent: there is no agent 'ana'"]),  # noqa: E501
    ],
)  # fmt: skip
def test_check_config_lists_the_problems_of_a_bad_one(
    tmp_path: Path, text: str, problems: list[str] | None, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNALBOX_SERVER_PORT", "not looked at: it is the file that is asked about")
    path = tmp_path / "a.toml"
    path.write_text(text)
    assert main(["check-config", str(path)]) == (1 if problems else 0)
    said = capsys.readouterr().out.splitlines()
    assert said == (problems or ["ok", "services: none", "agents: none", "channel classes: chat, messaging, email"])


def test_check_config_of_no_file_is_wrong_use(tmp_path: Path, capsys: Any) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        assert main(["check-config", str(path)]) == 2
        assert "there is no such file" in capsys.readouterr().err


def test_openrpc_prints_the_document(capsys: Any) -> None:
    from protocol.openrpc import document

    assert main(["openrpc"]) == 0
    assert json.loads(capsys.readouterr().out) == document()


def test_version_prints_the_version(capsys: Any) -> None:
    assert main(["version"]) == 0
    name, number, core = capsys.readouterr().out.split(maxsplit=2)
    assert name == "signalbox"
    assert number.count(".") == 2
    assert core == f"({build.core()} core)\n"


def test_version_waits_for_nothing_heavy() -> None:
    heavy = {"trio", "jwt", "cryptography", "structlog", "apsw", "asyncpg", "uvloop", "ruamel", "rich", "actors.core"}
    code = f"import sys; from router.cli import main; main(['version']); print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[1:] == ["set()"]

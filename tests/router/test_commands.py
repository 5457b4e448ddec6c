"""The commands that run something else: what they hand to it, and what they make of how it ends."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import structlog

from protocol.ids import Principal
from router import commands
from router.auth import Gate
from router.cli import main
from router.config import Config
from router.development import DEV_SECRET
from storage.store import StorageUnavailable, StorageUnfit

SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000_000


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SIGNALBOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(commands, "now_ms", lambda: NOW)


@pytest.fixture
def put(monkeypatch: pytest.MonkeyPatch):
    """Put a function into a module's place."""

    def place(module: str, **functions: Any) -> None:
        stub = ModuleType(module)
        vars(stub).update(functions)
        monkeypatch.setitem(sys.modules, module, stub)

    return place


@pytest.fixture
def served(put: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Config, Gate]]]:
    """What a server was started with; it ends at once, with code 0."""
    seen: list[tuple[Config, Gate]] = []

    async def serve(config: Config, gate: Gate, *rest: Any) -> int:
        seen.append((config, gate))
        return 0

    put("router.server", serve=serve)
    monkeypatch.setattr("router.logs.configure", lambda settings: None)
    return seen


# ---------------------------------------------------------------- serve


def test_serve_runs_the_server_with_file_environment_and_flags(
    served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[server]\nhost = "::1"\nport = 1\nheartbeat_s = 5\n[store]\nurl = "sqlite:///a.db"\n')
    monkeypatch.setenv("SIGNALBOX_SECRET", SECRET)
    monkeypatch.setenv("SIGNALBOX_SERVER_PORT", "2")
    assert main(["serve", "--config", str(path), "--port", "3", "--store", "sqlite:///b.db"]) == 0
    [(config, gate)] = served
    assert (config.server.host, config.server.port, config.server.heartbeat_s) == ("::1", 3, 5)
    assert config.store.url == "sqlite:///b.db"
    issued = Gate(secret=SECRET.encode()).issue("agent", "ana", now_ms=NOW, ttl_ms=1)
    assert gate.verify(issued, NOW)[0] == Principal("agent", "ana")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "no key to check tokens with: set SIGNALBOX_SECRET"),
        (["--port", "70000"], "--port: expected int <= 65535"),
        (["--store", "mysql://x"], "store.url: expected sqlite:///"),
        (["--config", "nowhere.toml"], "nowhere.toml: cannot be read: No such file"),
        (["--dev", "--host", "0.0.0.0"], "only on loopback, not on 0.0.0.0"),
        (["--dev", "--host", "example.com"], "only on loopback, not on example.com"),
    ],
)
def test_serve_refuses_what_it_cannot_use(served: Any, arguments: list[str], reason: str, capsys: Any) -> None:
    assert main(["serve", *arguments]) == 2
    out, err = capsys.readouterr()
    assert reason in err
    assert out == ""
    assert served == []


def test_dev_is_refused_on_an_address_from_the_environment_too(
    served: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("SIGNALBOX_SERVER_HOST", "192.168.1.5")
    assert main(["serve", "--dev"]) == 2
    assert "only on loopback" in capsys.readouterr().err
    assert served == []


def test_the_keys_can_be_read_again_from_where_they_came(
    put: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readers: list[Any] = []

    async def serve(config: Config, gate: Gate, webhook_secret: bytes | None, read_gate: Any, *rest: Any) -> int:
        readers.append(read_gate)
        return 0

    put("router.server", serve=serve)
    monkeypatch.setattr("router.logs.configure", lambda settings: None)
    file = tmp_path / "secret"
    file.write_text(SECRET)
    monkeypatch.setenv("SIGNALBOX_SECRET_FILE", str(file))
    assert main(["serve"]) == 0
    file.write_text("n" * 32)
    issued = Gate(secret=b"n" * 32).issue("agent", "ana", now_ms=NOW, ttl_ms=1)
    assert readers[0]().verify(issued, NOW)[0] == Principal("agent", "ana")


def test_dev_prints_tokens_to_standard_error_and_serves_the_demonstration(served: Any, capsys: Any) -> None:
    assert main(["serve", "--dev"]) == 0
    [(config, gate)] = served
    assert [service.id for service in config.workspace.services] == ["support", "sales"]
    out, err = capsys.readouterr()
    assert out == ""  # the ready line is the first there
    [token] = [line.split(": ")[1] for line in err.splitlines() if line.startswith("agent ana: ")]
    assert gate.verify(token, NOW)[0] == Principal("agent", "ana")
    assert Gate(secret=DEV_SECRET.encode()).verify(token, NOW)[0] == Principal("agent", "ana")


def test_dev_takes_another_configuration_and_secret(
    served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[[agents]]\nid = "zoe"\n')
    monkeypatch.setenv("SIGNALBOX_SECRET", SECRET)
    assert main(["serve", "--dev", "--config", str(path)]) == 0
    err = capsys.readouterr().err
    [token] = [line.split(": ")[1] for line in err.splitlines() if line.startswith("agent ")]
    assert Gate(secret=SECRET.encode()).verify(token, NOW)[0] == Principal("agent", "zoe")


def test_doubts_are_logged_and_do_not_keep_the_server_from_starting(
    served: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[[services]]\nid = "s"\nmembers = [{ agent = "ana" }]\n')
    with structlog.testing.capture_logs() as logged:
        assert main(["serve", "--dev", "--config", str(path)]) == 0
    assert [(line["log_level"], line["event"]) for line in logged] == [
        ("warning", "services[0].members[0].agent: there is no agent 'ana'")
    ]
    assert len(served) == 1


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (StorageUnfit("the schema is newer"), "the schema is newer"),
        (StorageUnavailable("the disk is full"), "the disk is full"),
        (OSError(98, "Address in use"), "Address in use (to listen on 127.0.0.1 port 8400)"),
        (ExceptionGroup("a", [ExceptionGroup("b", [StorageUnavailable("away")])]), "away"),
    ],
)
def test_a_server_that_cannot_run_says_why_and_ends_with_1(
    served: Any, put: Any, problem: Exception, reason: str, capsys: Any
) -> None:
    async def serve(config: Config, gate: Gate, *rest: Any) -> int:
        raise problem

    put("router.server", serve=serve)
    assert main(["serve", "--dev"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"signalbox: {reason}"


def test_our_own_bugs_are_not_hidden(served: Any, put: Any) -> None:
    async def serve(config: Config, gate: Gate, *rest: Any) -> int:
        raise ExceptionGroup("two", [OSError(98, "x"), ValueError("y")])

    put("router.server", serve=serve)
    with pytest.raises(ExceptionGroup):
        main(["serve", "--dev"])


def test_the_servers_exit_code_is_the_commands(served: Any, put: Any) -> None:
    async def serve(config: Config, gate: Gate, *rest: Any) -> int:
        return 7

    put("router.server", serve=serve)
    assert main(["serve", "--dev"]) == 7


# ---------------------------------------------------------------- simulate, migrate


@pytest.mark.parametrize("code", [0, 1, 2])
def test_simulate_hands_on_paths_store_and_exit_code(put: Any, code: int) -> None:
    seen: list[Any] = []
    put("router.simulate", main=lambda paths, store: seen.append((paths, store)) or code)
    assert main(["simulate", "a.yaml", "b"]) == code
    assert main(["simulate", "--store", "sqlite:///x.db", "a.yaml"]) == code
    assert seen == [(["a.yaml", "b"], None), (["a.yaml"], "sqlite:///x.db")]


def test_migrate_prints_what_was_done(put: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    put("storage.urls", migrate=lambda url: [f"1 on {url}", "2"])
    assert main(["migrate", "--store", "sqlite:///x.db"]) == 0
    assert capsys.readouterr().out == "1 on sqlite:///x.db\n2\n"
    monkeypatch.setenv("SIGNALBOX_STORE", "sqlite:///env.db")
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out.startswith("1 on sqlite:///env.db")


def test_migrate_says_so_if_nothing_is_to_do(put: Any, capsys: Any) -> None:
    put("storage.urls", migrate=lambda url: [])
    assert main(["migrate", "--store", "sqlite:///x.db"]) == 0
    assert capsys.readouterr().out == "nothing to do: the schema is up to date\n"


@pytest.mark.parametrize("problem", [StorageUnfit("newer"), StorageUnavailable("away")])
def test_migrate_ends_with_1_if_the_store_says_no(put: Any, problem: Exception, capsys: Any) -> None:
    def migrate(url: str) -> list[str]:
        raise problem

    put("storage.urls", migrate=migrate)
    assert main(["migrate", "--store", "sqlite:///x.db"]) == 1
    assert capsys.readouterr().err == f"signalbox: {problem}\n"


def test_migrate_needs_a_store(put: Any, capsys: Any) -> None:
    put("storage.urls", migrate=lambda url: [])
    assert main(["migrate"]) == 2
    assert "--store" in capsys.readouterr().err

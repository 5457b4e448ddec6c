"""The whole server as a process: how it starts or refuses to, what it answers, and how it stops."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest
import trio
import trustme
from serving import CONFIG, PATIENCE_S, SECRET, Server
from structlog.testing import capture_logs
from trio.testing import MockClock
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from router.server import PROGRESS_S, _catch_up, _readiness
from tests.world import START

Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers on one store; none outlives the test."""
    servers: list[Server] = []
    config = tmp_path / "signalbox.toml"

    def start(*arguments: str, text: str = CONFIG, **more: Any) -> Server:
        config.write_text(text)
        usual = ["--config", str(config), "--port", "0", "--store", f"sqlite:///{tmp_path}/signalbox.db"]
        servers.append(Server(*usual, *arguments, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


# ---------------------------------------------------------------- answers


def test_pages_are_answered_on_the_port_of_the_sessions(start: Start) -> None:
    server = start().ready()
    assert [server.page(path)[0] for path in ("/healthz", "/readyz", "/nothing")] == [200, 200, 404]
    assert server.page("/readyz")[1] == "ready"
    assert "openrpc" in json.loads(server.page("/openrpc.json")[1])
    assert server.page("/v1")[0] == 426
    server.client("agent", "ana").say("agent.set_availability", available=True)
    status, metrics = server.page("/metrics")
    assert status == 200
    assert 'signalbox_requests_total{method="agent.set_availability",outcome="ok"} 1.0' in metrics


def test_pages_may_have_a_port_of_their_own(start: Start) -> None:
    port = free_port()
    server = start(text=f"server.http_port = {port}\n{CONFIG}").ready()
    assert server.page("/readyz", port) == (200, "ready")


@pytest.mark.parametrize(
    ("draining", "starting", "available", "expected"),
    [
        (False, False, True, (True, "ready")),
        (False, False, False, (False, "the store takes no changes")),
        (False, True, True, (False, "catching up with what fell due while no server ran")),
        (True, True, True, (False, "shutting down")),
    ],
)
def test_it_is_ready_only_while_it_takes_sessions_and_changes(
    draining: bool, starting: bool, available: bool, expected: Any
) -> None:
    driver: Any = SimpleNamespace(draining=draining, available=available)
    front: Any = SimpleNamespace(draining=starting)
    assert _readiness(driver, front) == expected


def test_until_what_fell_due_has_fired_pages_are_answered_and_sessions_told_to_come_back(
    start: Start, postgres_url: str
) -> None:
    start("--store", postgres_url).ready().kill()
    port = free_port()
    with no_commits(postgres_url):
        server = start("--store", postgres_url, "--port", str(port), text=CONFIG.replace("ana", "bo"))
        while not answers(port):
            assert server.process.poll() is None
        assert server.page("/healthz", port) == (200, "ok")
        assert server.page("/readyz", port) == (503, "catching up with what fell due while no server ran")
        with pytest.raises(InvalidStatus) as refused, connect(f"ws://127.0.0.1:{port}/v1"):
            pass
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "1"
    assert server.ready().page("/readyz") == (200, "ready")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S).close()
    except ConnectionRefusedError:
        return False
    return True


async def test_how_far_the_catching_up_is_stands_in_the_log(autojump_clock: MockClock) -> None:
    async def settled() -> None:
        await trio.sleep(PROGRESS_S * 2.5)

    house: Any = SimpleNamespace(wheel=SimpleNamespace(now=START - 90_000))
    core: Any = SimpleNamespace(house=house, fired=1_000)
    driver: Any = SimpleNamespace(core=core, settled=settled, now=lambda: START)
    with capture_logs() as lines:
        await _catch_up(driver)
    told = {"event": "catching up", "log_level": "info", "fired": 1_000, "behind_s": 90}
    assert lines == [{**told, "reached": "2026-01-05T08:58:30.000Z"}] * 2


# ---------------------------------------------------------------- stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_clients_are_told(start: Start, number: int) -> None:
    server = start().ready()
    clients = [server.client("agent", "ana"), server.client("contact", "nia")]
    asked = clients[1].say("conversation.start", service="support", text="Hello")
    server.signal(number)
    for client in clients:
        assert client.rest() == 1001
        ending = client.heard[-1]
        assert (ending["method"], ending["params"]["reason"]) == ("session.ending", "shutdown")
        assert ending["params"]["retry_after_s"] > 0
    code, log = server.end()
    assert (code, '"stopped"' in log) == (0, True)
    assert asked["conversation"]["state"] == "open"
    with pytest.raises(OSError, match="refused"), connect(server.url):
        pass


def test_a_client_that_does_not_leave_cannot_hold_it_longer_than_the_limit(start: Start) -> None:
    server = start(text=CONFIG.replace("= 5", "= 0.2")).ready()
    deaf = deaf_client(server)
    server.signal()
    assert server.end()[0] == 0
    deaf.close()


def test_a_second_signal_quits_at_once(start: Start) -> None:
    server = start(text=CONFIG.replace("= 5", "= 3600")).ready()
    deaf = deaf_client(server)
    server.signal()
    server.wait_for("stopping")
    server.signal()
    code, log = server.end()
    assert (code, "stopping at once" in log) == (130, True)
    deaf.close()


def test_a_second_signal_quits_at_once_though_a_commit_hangs(start: Start, postgres_url: str) -> None:
    server = start("--store", postgres_url, text=CONFIG.replace("= 5", "= 3600")).ready()
    nia = server.client("contact", "nia")
    with no_commits(postgres_url):
        nia.ask("conversation.start", service="support", text="Hello")
        while "signalbox_driver_under_way 0.0" in server.page("/metrics")[1]:
            pass
        server.signal()
        server.wait_for("stopping")
        server.signal()
        code, log = server.end()
    assert (code, "stopping at once" in log, "Traceback" in log) == (130, True, False)


@contextmanager
def no_commits(url: str) -> Iterator[None]:
    """Somebody holds the row that every commit changes."""
    with asyncio.Runner() as runner:
        other = runner.run(asyncpg.connect(url))
        runner.run(other.execute("BEGIN; SELECT number FROM commits FOR UPDATE"))
        yield
        runner.run(other.close())


def deaf_client(server: Server) -> socket.socket:
    """Somebody who shakes hands and then neither reads nor leaves."""
    deaf = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
    lines = ["GET /v1 HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    deaf.sendall("\r\n".join([*lines, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]).encode())
    assert b" 101 " in deaf.recv(1000)
    return deaf


# ---------------------------------------------------------------- going on


def test_it_goes_on_where_it_was_killed(start: Start) -> None:
    server = start().ready()
    nia = server.client("contact", "nia")
    asked = {"service": "support", "text": "Hello", "key": "k1"}
    first = nia.say("conversation.start", **asked)
    server.signal(signal.SIGKILL)
    assert server.end()[0] == -signal.SIGKILL
    server = start().ready()
    nia = server.client("contact", "nia", since=1)
    assert nia.say("conversation.start", **asked) == first
    entries = [message["params"]["entry"] for message in nia.heard if message.get("method") == "conversation.entry"]
    assert [(entry["seq"], entry["text"]) for entry in entries] == [(2, "Hello")]
    page = nia.say("conversation.get", conversation=first["conversation"]["id"])
    assert [entry["seq"] for entry in page["entries"]] == [1, 2]


# ---------------------------------------------------------------- not starting


def test_a_port_in_use_is_told(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, error = start("--port", port).end()
    assert code == 1
    assert port in error
    assert "Traceback" not in error


def test_a_configuration_that_cannot_be_used_is_told(start: Start) -> None:
    code, error = start(text='services = [{id = "support", colour = "red"}]').end()
    assert code == 2
    assert "colour" in error
    assert "Traceback" not in error


def test_a_server_without_a_secret_does_not_start(start: Start) -> None:
    code, error = start(secret=None).end()
    assert (code, "SIGNALBOX_SECRET" in error) == (2, True)


@pytest.mark.parametrize("url", ["sqlite:////dev/null/signalbox.db", "postgresql://nobody@127.0.0.1:1/nowhere"])
def test_a_store_that_cannot_be_had_is_told(start: Start, url: str) -> None:
    code, error = start("--store", url).end()
    assert code == 1
    assert error.startswith("signalbox: ")
    assert "Traceback" not in error


def test_of_two_servers_on_one_store_the_older_stops_instead_of_writing_over_the_other(start: Start) -> None:
    first, second = start().ready(), start().ready()
    nia = second.client("contact", "nia")
    with pytest.raises(ConnectionClosed):
        first.client("agent", "ana")
    code, error = first.end()
    assert (code, "Traceback" in error) == (1, False)
    assert error.splitlines()[-1].startswith("signalbox: ")
    assert nia.say("conversation.start", service="support", text="Hello")["continued"] is False


# ---------------------------------------------------------------- keys and certificates that change


def test_keys_are_read_again_on_a_hangup_and_sessions_without_one_end(start: Start, tmp_path: Path) -> None:
    old, new = SECRET, "the new secret of the tests, 32 bytes"
    file = tmp_path / "secrets"
    file.write_text(f"{old}\n")
    server = start(secret=None, secret_file=file).ready()
    ana = server.client("agent", "ana")
    file.write_text(f"{new}\n{old}\n")
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    fresh = server.client("agent", "ana", secret=new)
    for client in (ana, fresh):
        assert client.say("agent.list")
    file.write_text("short\n")
    server.signal(signal.SIGHUP)
    server.wait_for("cannot reload")
    assert ana.say("agent.list")
    file.write_text(f"{new}\n")
    server.signal(signal.SIGHUP)
    assert ana.rest() == 4001
    assert fresh.say("agent.list")


def test_it_speaks_tls_if_it_has_a_certificate_and_takes_a_new_one_on_a_hangup(start: Start, tmp_path: Path) -> None:
    authority = trustme.CA()
    file = tmp_path / "whole.pem"
    context = ssl.create_default_context()
    authority.configure_trust(context)

    def issue(name: str) -> None:
        authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(file))

    def opens(name: str) -> bool:
        with connect(server.url, ssl=context, server_hostname=name) as client:
            client.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "agent.list"}))
            return "unauthenticated" in str(client.recv(timeout=PATIENCE_S))

    issue("one.test")
    server = start("--tls-certificate", str(file)).ready()
    assert server.url.startswith("wss://")
    assert opens("one.test")
    issue("two.test")
    server.signal(signal.SIGHUP)
    server.wait_for("reloaded")
    assert opens("two.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        opens("one.test")


def test_a_certificate_that_cannot_be_used_is_told(start: Start) -> None:
    code, error = start("--tls-certificate", "/nowhere.pem").end()
    assert code == 2
    assert error.splitlines()[-1] == "tls: the certificate or its key cannot be used: No such file or directory"

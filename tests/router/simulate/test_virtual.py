"""The server in virtual time: turns, time, crashes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.core import Core
from protocol.errors import RequestError
from protocol.ids import Principal
from protocol.times import Moment
from router.auth import Gate
from router.simulate.needs import settings_of
from router.simulate.virtual import VirtualServer
from router.simulate.virtual_client import Client
from storage.urls import open_store

START = Moment.parse("2026-01-05T09:00:00Z")
CONFIG: dict[str, Any] = {
    "services": [{"id": "support", "members": [{"agent": "ana"}], "auto_close_after": None}],
    "agents": [{"id": "ana"}],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VirtualServer]:
    server = VirtualServer(settings_of(CONFIG), lambda: open_store(f"sqlite:///{tmp_path}/x.db"), START)
    yield server
    server.close()


class Person:
    """A client with a session, for short."""

    def __init__(self, server: VirtualServer, principal: Principal) -> None:
        self.server, self.client = server, Client(principal, server)
        self.client.open()

    def __call__(self, call: str, **params: Any) -> dict[str, Any]:
        [ident] = self.client.send([(call, params)])
        self.server.settle()
        answer = self.client.take(ident)
        assert answer is not None
        result: dict[str, Any] = answer["result"]
        return result


def test_nothing_is_done_before_it_is_settled(server: VirtualServer) -> None:
    ana = Person(server, Principal("agent", "ana"))
    [first] = ana.client.send([("agent.get", {"agent": "ana"})])
    [second] = ana.client.send([("agent.get", {"agent": "zoe"})])
    assert ana.client.take(first) is None
    server.settle()
    assert "result" in (ana.client.take(first) or {})
    assert "error" in (ana.client.take(second) or {})


def test_requests_of_one_turn_are_one_step(server: VirtualServer, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    step = Core.step

    def counted(core: Core, now: int, inputs: Any) -> Any:
        steps.append(len(inputs))
        return step(core, now, inputs)

    people = [Person(server, Principal("agent", "ana")) for _ in range(3)]
    monkeypatch.setattr(Core, "step", counted)
    for person in people:
        person.client.send([("agent.list", {})])
    server.settle()
    assert steps == [3]


def test_everything_due_happens_at_its_own_moment(server: VirtualServer) -> None:
    ana, backend = Person(server, Principal("agent", "ana")), Person(server, Principal("backend", "backend"))
    ana("agent.set_availability", available=True)
    for name, length in (("nia", "3h"), ("oli", "2h59m59s999ms"), ("pat", "1d")):
        contact = Person(server, Principal("contact", name))
        begun = contact("conversation.start", service="support", text="Hello")["conversation"]["id"]
        ana("conversation.snooze", **{"conversation": begun, "for": length})
    server.pass_time(3 * 3_600_000)
    assert server.now() == START + 3 * 3_600_000
    listed = backend("conversation.list", view="all")["items"]
    woke = [
        entry["at"]
        for item in reversed(listed)
        for entry in backend("conversation.get", conversation=item["id"])["entries"]
        if entry["type"] == "woke"
    ]
    assert woke == ["2026-01-05T12:00:00.000Z", "2026-01-05T11:59:59.999Z"]


def test_no_time_passes_by_itself(server: VirtualServer) -> None:
    Person(server, Principal("agent", "ana"))("agent.list")
    server.pass_time(0)
    assert server.now() == START
    server.pass_time(1)
    assert server.now() == START + 1


def test_after_a_crash_it_is_later_and_what_was_committed_is_there(server: VirtualServer) -> None:
    nia = Person(server, Principal("contact", "nia"))
    begun = nia("conversation.start", service="support", text="Hello")["conversation"]["id"]
    server.crash(90_000)
    assert server.now() == START + 90_000
    nia.client.forget()
    nia.client.open()
    assert nia("conversation.get", conversation=begun)["entries"][-1]["text"] == "Hello"


def test_a_crash_forgets_what_was_only_handed_in(server: VirtualServer) -> None:
    nia = Person(server, Principal("contact", "nia"))
    nia.client.send([("conversation.start", {"service": "support", "text": "Hello"})])
    server.crash(0)
    server.settle()
    assert Person(server, Principal("backend", "backend"))("conversation.list")["items"] == []


def test_a_connection_that_the_server_closes_is_lost(server: VirtualServer) -> None:
    ana, backend = Person(server, Principal("agent", "ana")), Person(server, Principal("backend", "backend"))
    ana("agent.set_availability", available=True)
    ana("session.close")
    assert not ana.client.connected
    server.pass_time(120_000)
    assert backend("agent.get", agent="ana")["availability"]["chat"] == "red"


def test_the_gate_is_the_real_one(server: VirtualServer) -> None:
    principal = Principal("connector", "sms", channels=("sms",))
    assert server.verify(server.token(principal)) == (principal, None)
    forged = Gate(secret=b"another secret of enough bytes, surely").issue("agent", "ana", now_ms=START, ttl_ms=None)
    with pytest.raises(RequestError, match="its signature fits no key"):
        server.verify(forged)


def test_faults_inside_the_core_are_told_once(server: VirtualServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.faults() == []
    step = Core.step

    def faulty(core: Core, now: int, inputs: Any) -> Any:
        core.failures.append("i1 at agent:ana: oh")
        return step(core, now, inputs)

    monkeypatch.setattr(Core, "step", faulty)
    server.pass_time(1)
    assert server.faults() == ["i1 at agent:ana: oh"]
    assert server.faults() == []


def test_a_store_that_cannot_be_loaded_is_closed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"sqlite:///{tmp_path}/x.db")
    closed: list[bool] = []
    monkeypatch.setattr(type(store), "close", lambda self: closed.append(True))
    monkeypatch.setattr(Core, "load", lambda *_: (_ for _ in ()).throw(ZeroDivisionError))
    with pytest.raises(ZeroDivisionError):
        VirtualServer(settings_of(CONFIG), lambda: store, START)
    assert closed == [True]

"""A client outlives its connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocol.ids import Principal
from protocol.times import Moment
from router.simulate.needs import settings_of
from router.simulate.virtual import VirtualServer
from router.simulate.virtual_client import Client, SessionRefused
from storage.urls import open_store

START = Moment.parse("2026-01-05T09:00:00Z")
NIA = Principal("contact", "nia")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VirtualServer]:
    config = {"services": [{"id": "support", "members": [{"agent": "ana"}]}], "agents": [{"id": "ana"}]}
    server = VirtualServer(settings_of(config), lambda: open_store(f"sqlite:///{tmp_path}/x.db"), START)
    yield server
    server.close()


@pytest.fixture
def nia(server: VirtualServer) -> Client:
    client = Client(NIA, server)
    client.open()
    return client


def ask(server: VirtualServer, client: Client, call: str, **params: Any) -> dict[str, Any]:
    [ident] = client.send([(call, params)])
    server.settle()
    return client.take(ident) or {}


def write(server: VirtualServer, client: Client, text: str) -> int:
    """One more message; its seq."""
    answer = ask(server, client, "conversation.start", service="support", channel="web", text=text)
    seq: int = answer["result"]["conversation"]["last_seq"]
    return seq


def texts(client: Client) -> list[str]:
    entries = [item.params["entry"] for item in client.notices if item.method == "conversation.entry"]
    return [entry["text"] for entry in entries if entry["type"] == "message"]


def test_answers_go_to_their_requests_in_any_order(server: VirtualServer, nia: Client) -> None:
    idents = nia.send([("agent.list", {}), ("conversation.list", {})], batch=True)
    server.settle()
    second, first = nia.take(idents[1]), nia.take(idents[0])
    assert (first or {})["error"]["data"]["reason"] == "forbidden"
    assert (second or {})["result"]["items"] == []
    assert nia.take(idents[0]) is None


def test_a_frame_that_was_refused_whole_answers_each_of_its_requests_once(server: VirtualServer, nia: Client) -> None:
    idents = nia.send([("agent.list", {})] * 300, batch=True)
    assert (nia.take(idents[0]) or {})["error"]["code"] == -32600
    assert nia.take(idents[1]) is None


def test_notices_are_kept_and_the_last_seq_is_the_greatest_got(server: VirtualServer, nia: Client) -> None:
    assert nia.last_seq == 0
    write(server, nia, "One")
    last = write(server, nia, "Two")
    assert texts(nia) == ["One", "Two"]
    assert nia.last_seq == last
    nia.saw(1)
    assert nia.last_seq == last


def test_a_session_opened_later_has_seen_what_its_opening_says(server: VirtualServer, nia: Client) -> None:
    last = write(server, nia, "One")
    other = Client(NIA, server)
    other.open()
    assert (other.last_seq, texts(other)) == (last, [])


def test_who_resumes_gets_what_was_missed_once(server: VirtualServer, nia: Client) -> None:
    other = Client(NIA, server)
    other.open()
    write(server, nia, "One")
    nia.cut()
    assert not nia.connected
    assert nia.stays_away
    write(server, other, "Two")
    nia.open(resume=True)
    assert nia.connected
    assert not nia.stays_away
    write(server, other, "Three")
    assert texts(nia) == ["One", "Two", "Three"]


def test_who_only_reopens_gets_nothing_of_before(server: VirtualServer, nia: Client) -> None:
    other = Client(NIA, server)
    other.open()
    nia.cut()
    write(server, other, "One")
    nia.open()
    write(server, other, "Two")
    assert texts(nia) == ["Two"]


def test_whoever_resumes_without_a_cut_leaves_the_old_connection(server: VirtualServer, nia: Client) -> None:
    nia.open(resume=True)
    write(server, nia, "One")
    assert texts(nia) == ["One"]
    assert nia.connected


def test_the_end_of_a_session_is_polite_and_happens_once(server: VirtualServer, nia: Client) -> None:
    nia.end()
    assert not nia.connected
    nia.end()
    nia.open()
    assert nia.connected


def test_a_dead_server_leaves_no_connection_and_every_notice(server: VirtualServer, nia: Client) -> None:
    write(server, nia, "One")
    server.crash(0)
    nia.forget()
    assert not nia.connected
    assert not nia.stays_away
    nia.open(resume=True)
    assert texts(nia) == ["One"]


def test_a_session_that_is_refused_says_why(server: VirtualServer) -> None:
    nobody = Client(Principal("agent", "nobody"), server)
    with pytest.raises(SessionRefused) as refusal:
        nobody.open()
    assert refusal.value.error is not None
    assert refusal.value.error["data"]["reason"] in ("not_found", "unauthenticated")
    assert not nobody.connected

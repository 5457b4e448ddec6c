"""Who takes part, and how their sessions begin and end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.times import Moment
from router.simulate.cast import Cast
from router.simulate.judge import Failure
from router.simulate.needs import settings_of
from router.simulate.virtual import VirtualServer
from storage.urls import open_store

START = Moment.parse("2026-01-05T09:00:00Z")


@pytest.fixture
def cast(tmp_path: Path) -> Iterator[Cast]:
    config = {
        "services": [{"id": "support", "members": [{"agent": "ana"}, {"agent": "bo"}]}],
        "agents": [{"id": "ana"}, {"id": "bo"}],
    }
    server = VirtualServer(settings_of(config), lambda: open_store(f"sqlite:///{tmp_path}/x.db"), START)
    yield Cast(server, START)
    server.close()


def colour(cast: Cast, agent: str) -> str:
    found: str = cast.ask("backend", "agent.get", {"agent": agent})["availability"]["chat"]
    return found


def test_a_speaker_is_the_same_client_every_time_and_switches_nothing_on(cast: Cast) -> None:
    assert cast.speaker("ana") is cast.speaker("ana")
    assert cast.speaker("ana").connected
    assert colour(cast, "ana") == "red"


def test_a_device_is_a_client_of_its_own_for_the_same_agent(cast: Cast) -> None:
    device = cast.speaker("agent-device:ana/2")
    assert device is not cast.speaker("ana")
    assert device.principal == cast.speaker("ana").principal


def test_online_switches_agents_on_and_gives_others_a_session(cast: Cast) -> None:
    cast.online("ana")
    cast.online("contact:nia")
    assert colour(cast, "ana") == "green"
    assert cast.speaker("contact:nia").connected


def test_offline_ends_every_session_of_somebody_and_of_nobody_else(cast: Cast) -> None:
    clients = [cast.speaker(who) for who in ("ana", "agent-device:ana/2", "bo")]
    cast.offline("ana")
    assert [client.connected for client in clients] == [False, False, True]


def test_offline_of_a_device_ends_only_that(cast: Cast) -> None:
    clients = [cast.speaker(who) for who in ("ana", "agent-device:ana/2")]
    cast.offline("agent-device:ana/2")
    assert [client.connected for client in clients] == [True, False]


def test_a_listener_gets_a_session_unless_sent_away(cast: Cast) -> None:
    assert cast.listener("contact:nia").connected
    cast.drop("contact:nia")
    assert not cast.listener("contact:nia").connected
    cast.offline("contact:oli")
    assert not cast.listener("contact:oli").connected
    assert cast.speaker("contact:oli").connected


def test_only_who_is_there_can_be_cut_and_only_who_was_can_resume(cast: Cast) -> None:
    with pytest.raises(Failure, match="expected a connection to cut, got none"):
        cast.drop("ana")
    with pytest.raises(Failure, match="expected an earlier session to resume, got none"):
        cast.resume("ana")
    client = cast.speaker("ana")
    cast.drop("ana")
    cast.resume("ana")
    assert client.connected


@pytest.mark.parametrize("back", [True, False])
def test_after_a_crash_the_agents_who_were_there_come_back_if_they_shall(cast: Cast, back: bool) -> None:
    clients = [cast.speaker(who) for who in ("ana", "agent-device:ana/2", "bo", "contact:nia", "backend")]
    cast.drop("bo")
    cast.crash(1_000, back=back)
    assert [client.connected for client in clients] == [back, back, False, False, False]
    assert cast.listener("contact:nia").connected


def test_a_refused_request_of_the_play_itself_is_a_failure(cast: Cast) -> None:
    with pytest.raises(Failure, match=r"expected success, got error \{reason: not_found\}"):
        cast.ask("backend", "agent.get", {"agent": "zoe"})


def test_a_refused_session_is_a_failure(cast: Cast) -> None:
    with pytest.raises(Failure, match=r"expected a session of zoe, got error \{reason: "):
        cast.online("zoe")

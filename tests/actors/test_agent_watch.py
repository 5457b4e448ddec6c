"""Watching agents. [behaviour §2, protocol §4]"""

from __future__ import annotations

from protocol.notices import AgentChanged
from tests.world import World, service, small_world


def world_of() -> World:
    return small_world(service("support", "ana bo"), service("sales", "cy bo"), online="ana cy")


def heard(world: World, who: str) -> list[str]:
    return [notice.agent for notice in world.told(world.sessions[who], AgentChanged)]


def switch(world: World, *agents: str) -> None:
    for name in agents:
        available = world.agent(name).availability["chat"] == "red"
        world.say("backend", "agent.set_availability", agent=name, available=available)


def test_the_result_is_all_agents_one_may_see_now() -> None:
    world = world_of()
    assert [agent.id for agent in world.say("backend", "agent.watch").agents] == ["ana", "bo", "cy"]
    assert [agent.id for agent in world.say("ana", "agent.watch").agents] == ["ana", "bo"]
    assert [agent.id for agent in world.say("backend", "agent.watch", services=["sales"]).agents] == ["bo", "cy"]


def test_every_change_is_pushed_at_once_to_whoever_watches_and_may_see() -> None:
    world = world_of()
    world.open("bo")
    for who, services in (("backend", {}), ("bo", {"services": ["support"]})):
        world.say(who, "agent.watch", **services)
    world.outgoing.clear()
    switch(world, "ana", "cy")
    assert heard(world, "backend") == ["ana", "cy"]
    assert heard(world, "bo") == ["ana"]
    assert heard(world, "cy") == []


def test_of_oneself_one_hears_once() -> None:
    world = world_of()
    world.say("ana", "agent.watch")
    world.outgoing.clear()
    switch(world, "ana")
    assert heard(world, "ana") == []
    assert len(world.told("agent:ana", AgentChanged)) == 1


def test_whoever_stops_watching_or_goes_hears_no_more() -> None:
    world = world_of()
    world.open("bo")
    for who in ("backend", "ana"):
        world.say(who, "agent.watch")
    session = world.sessions["ana"]
    world.outgoing.clear()
    switch(world, "bo")
    assert (heard(world, "backend"), [notice.agent for notice in world.told(session, AgentChanged)]) == (["bo"], ["bo"])
    world.say("backend", "agent.unwatch")
    world.end("ana")
    world.outgoing.clear()
    switch(world, "bo")
    assert len(world.told("agent:bo", AgentChanged)) == 1, "it has changed"
    assert heard(world, "backend") == []
    assert world.told(session, AgentChanged) == []

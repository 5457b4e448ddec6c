"""Deleting services and agents. [protocol §4]"""

from __future__ import annotations

import pytest

from tests.world import World, service, small_world


@pytest.fixture
def world() -> World:
    return small_world(service("support", "ana bo"), service("sales", "bo"), online="ana")


def test_what_still_has_live_conversations_is_not_deleted(world: World) -> None:
    world.receive("+1", service="support")
    assert world.refused("backend", "service.delete", service="support")["reason"] == "conflict"
    assert world.refused("backend", "agent.delete", agent="ana")["reason"] == "conflict"
    assert world.agent("ana").used["messaging"] == 1


def test_what_is_deleted_is_gone_also_after_a_restart(world: World) -> None:
    world.say("backend", "service.delete", service="sales")
    world.say("backend", "agent.delete", agent="bo")
    for _ in range(2):
        assert [item.id for item in world.say("backend", "service.list").services] == ["support"]
        assert [item.id for item in world.say("backend", "agent.list").agents] == ["ana"]
        assert world.refused("backend", "service.get", service="sales")["reason"] == "not_found"
        world.core.load(world.store.load(), world.now)


def closed_in_a_service_that_is_no_more(world: World) -> str:
    found = world.start("nia", service="sales").id
    world.say("backend", "conversation.close", conversation=found)
    world.say("backend", "service.delete", service="sales")
    return found


def test_its_closed_conversations_can_still_be_read(world: World) -> None:
    found = closed_in_a_service_that_is_no_more(world)
    assert world.look(found).state == "closed"
    assert world.say("contact:nia", "conversation.get", conversation=found, limit=0).conversation.id == found


@pytest.mark.parametrize("who", ["backend", "contact:nia"])
def test_its_closed_conversations_cannot_be_reopened_and_that_is_no_fault_of_ours(world: World, who: str) -> None:
    found = closed_in_a_service_that_is_no_more(world)
    world.tolerant = True
    method, params = ("conversation.reopen", {}) if who == "backend" else ("message.send", {"text": "Again"})
    error = world.ask(who, method, conversation=found, **params).error
    assert error is None or error.code != -32603

"""Which request a conversation takes in which state. [behaviour §4, §7]"""

from __future__ import annotations

import pytest

from actors.access import NEEDS
from actors.states import ALLOWED, EVERY_STATE, NEED_SERVICE
from protocol.requests import METHODS
from tests.world import World, service, small_world

PARAMS = {
    "conversation.assign": {},
    "conversation.transfer": {"service": "support"},
    "conversation.move": {"service": "support"},
    "conversation.snooze": {"for": "1h"},
}


def test_every_method_that_has_states_exists_and_every_state_is_one() -> None:
    assert ALLOWED.keys() <= METHODS.keys()
    assert NEEDS.keys() >= NEED_SERVICE
    assert all(states <= EVERY_STATE for states in ALLOWED.values())


@pytest.fixture
def world() -> World:
    """ana is in support."""
    return small_world(service("support", "ana"), online="ana")


@pytest.mark.parametrize("method", sorted(NEED_SERVICE))
def test_what_only_a_service_can_do_is_refused_for_a_created_conversation(world: World, method: str) -> None:
    found = world.say("ana", "conversation.create", name="Launch").conversation.id
    before = world.look(found)
    refusal = world.refused("ana", method, conversation=found, **PARAMS.get(method, {}))
    assert refusal["reason"] == "not_in_service"
    assert world.look(found) == before


def test_a_stub_takes_no_members(world: World) -> None:
    world.say("backend", "service.put", service={"id": "sales", "members": [{"agent": "ana"}]})
    found = world.start("nia", service="support").id
    stub = world.say("ana", "conversation.move", conversation=found, service="sales").stub.id
    for method in ("conversation.invite", "conversation.remove"):
        refusal = world.refused("backend", method, conversation=stub, members=[{"agent": "ana"}])
        assert (refusal["reason"], refusal["state"]) == ("wrong_state", "moved")

"""Handing over by hand: transfer and assign, refusals with colours, anyway. [behaviour §3]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.notices import ConversationAssigned
from protocol.objects import Origin
from tests.world import World, service, slots, small_world

MINUTE = 60_000


def full(online: str = "ana bo") -> World:
    """ana and bo, in one service, with one slot each."""
    return small_world(service("support", "ana bo"), online=online, agents=[slots("ana", 1), slots("bo", 1)])


def state(world: World, conversation: str) -> tuple[Any, ...]:
    found = world.look(conversation)
    return (found.service, found.assignee, found.crew, found.queued, found.last_seq)


# ---------------------------------------------------------------- to an agent


def test_a_transfer_to_a_green_agent_goes_through_and_frees_the_slot() -> None:
    """[S3]"""
    world = full()
    found = world.receive("+1")
    world.wait(2 * MINUTE)
    after = world.say("ana", "conversation.transfer", conversation=found.id, agent="bo", comment="An invoice")
    assert after.conversation.assignee == "bo"
    assert after.conversation.crew == ("bo",)
    assert after.conversation.waiting_since == world.now - 2 * MINUTE, "transfers do not reset the contact's wait"
    assert world.agent("ana").used["messaging"] == 0
    transferred, assigned = world.timeline(found.id)[-2:]
    assert transferred.type == "transferred"
    assert transferred.by is not None
    assert (transferred.by.id, transferred.agent, transferred.service) == ("ana", "bo", "support")
    assert (transferred.origin, transferred.comment) == (Origin("ana", "support"), "An invoice")
    assert (assigned.type, assigned.agent, assigned.reason) == ("assigned", "bo", "transferred")
    assert [item.reason for item in world.told("agent:bo", ConversationAssigned)] == ["transferred"]


@pytest.mark.parametrize("colour", ["orange", "red"])
@pytest.mark.parametrize("method", ["conversation.transfer", "conversation.assign"])
def test_an_unavailable_agent_is_refused_with_the_colour_and_nothing_changes(method: str, colour: str) -> None:
    world = full()
    found = world.receive("+1")
    if colour == "orange":
        world.receive("+2")
    else:
        world.say("bo", "agent.set_availability", available=False)
    before = state(world, found.id)
    data = world.refused("ana", method, conversation=found.id, agent="bo")
    assert (data["reason"], data["colour"], data["retry"]) == ("agent_unavailable", colour, True)
    assert state(world, found.id) == before
    assert world.agent("ana").used["messaging"] == 1


@pytest.mark.parametrize("colour", ["orange", "red"])
def test_anyway_it_goes_through_above_the_maximum_and_counts(colour: str) -> None:
    world = full()
    found = world.receive("+1")
    other = world.receive("+2")
    if colour == "red":
        world.say("bo", "agent.set_availability", available=False)
    world.say("ana", "conversation.transfer", conversation=found.id, agent="bo", anyway=True)
    assert world.look(found.id).assignee == "bo"
    assert world.agent("bo").used["messaging"] == 2
    assert world.timeline(found.id)[-2].anyway is True
    world.say("bo", "conversation.close", conversation=other.id)
    assert world.agent("bo").availability["messaging"] == colour, "one is still the maximum"


def test_anyway_reaches_an_agent_who_is_not_even_there() -> None:
    world = full(online="ana")
    found = world.receive("+1")
    data = world.refused("ana", "conversation.transfer", conversation=found.id, agent="bo")
    assert data["colour"] == "red"
    world.say("ana", "conversation.transfer", conversation=found.id, agent="bo", anyway=True)
    assert world.look(found.id).assignee == "bo"


def test_the_agent_must_share_a_service_with_the_sender() -> None:
    world = small_world(service("support", "ana"), service("sales", "cy"), online="ana cy")
    found = world.receive("+1", service="support")
    for anyway in (False, True):
        data = world.refused("ana", "conversation.transfer", conversation=found.id, agent="cy", anyway=anyway)
        assert data["reason"] == "not_in_service"
    assert world.look(found.id).assignee == "ana"


def test_naming_the_service_too_does_not_open_one_the_sender_is_not_in() -> None:
    """§3, manual: "same rule as transfer": to an agent who shares a service with the sender."""
    world = small_world(service("support", "ana"), service("sales", "cy"), online="ana cy")
    found = world.receive("+1", service="support")
    data = world.refused("ana", "conversation.assign", conversation=found.id, agent="cy", service="sales")
    assert data["reason"] == "not_in_service"


def test_it_moves_to_the_first_service_that_both_share_if_the_target_is_not_in_its_own() -> None:
    names = [service("one", "bo"), service("two", "bo ana"), service("three", "ana bo"), service("four", "ana")]
    world = small_world(*names, online="ana")
    found = world.receive("+1", service="four")
    world.online("bo")
    world.say("ana", "conversation.transfer", conversation=found.id, agent="bo")
    now = world.look(found.id)
    assert (now.service, now.assignee) == ("two", "bo"), "the first in configuration order"


def test_it_stays_in_its_service_if_the_target_is_a_member_of_it() -> None:
    world = small_world(service("one", "ana bo"), service("two", "ana bo"), online="ana")
    found = world.receive("+1", service="two")
    world.online("bo")
    world.say("ana", "conversation.transfer", conversation=found.id, agent="bo")
    assert world.look(found.id).service == "two"


def test_a_member_at_the_limit_of_the_service_it_would_move_to_is_orange() -> None:
    names = [service("one", "ana bo", max_slots={"messaging": 1}), service("two", "ana")]
    world = small_world(*names, online="bo")
    world.receive("+1", service="one")
    world.online("ana")
    found = world.receive("+2", service="two")
    data = world.refused("ana", "conversation.transfer", conversation=found.id, agent="bo")
    assert data["colour"] == "orange"


def test_nobody_of_that_name_is_not_found_and_naming_nobody_is_a_mistake_in_the_params() -> None:
    world = full()
    found = world.receive("+1").id
    assert world.refused("ana", "conversation.transfer", conversation=found, agent="zoe")["reason"] == "not_found"
    assert world.refused("ana", "conversation.transfer", conversation=found, service="x")["reason"] == "not_found"
    assert world.refused("ana", "conversation.transfer", conversation=found)["code"] == -32602
    assert world.refused("backend", "conversation.assign", conversation=found)["code"] == -32602


def test_a_comment_that_is_too_long_changes_nothing() -> None:
    world = full()
    found = world.receive("+1")
    before = state(world, found.id)
    data = world.refused("ana", "conversation.transfer", conversation=found.id, agent="bo", comment="x" * 32_769)
    assert data["reason"] == "too_large"
    assert state(world, found.id) == before


# ---------------------------------------------------------------- to a service


def sales(online: str = "ana bo") -> World:
    agents = [slots("ana", 1), slots("bo", 1)]
    return small_world(service("support", "ana"), service("sales", "bo"), online=online, agents=agents)


def test_a_transfer_to_a_service_is_routed_by_it() -> None:
    world = sales()
    found = world.receive("+1", service="support")
    world.say("ana", "conversation.transfer", conversation=found.id, service="sales", comment="For you")
    now = world.look(found.id)
    assert (now.service, now.assignee, now.crew) == ("sales", "bo", ("bo",))
    transferred = world.timeline(found.id)[-2]
    assert (transferred.type, transferred.service, transferred.comment) == ("transferred", "sales", "For you")
    assert transferred.origin == Origin("ana", "support")
    assert [item.reason for item in world.told("agent:bo", ConversationAssigned)] == ["transferred"]


@pytest.mark.parametrize("colour", ["orange", "red"])
def test_a_service_without_a_green_agent_is_refused_with_its_colour_and_queues_it_anyway(colour: str) -> None:
    world = sales(online="ana bo" if colour == "orange" else "ana")
    if colour == "orange":
        world.receive("+9", service="sales")
    found = world.receive("+1", service="support")
    born = world.now
    world.wait(5_000)
    before = state(world, found.id)
    data = world.refused("ana", "conversation.transfer", conversation=found.id, service="sales")
    assert (data["reason"], data["colour"]) == ("service_unavailable", colour)
    assert state(world, found.id) == before
    world.say("ana", "conversation.transfer", conversation=found.id, service="sales", anyway=True)
    now = world.look(found.id)
    assert (now.service, now.queued, now.assignee, now.queued_since) == ("sales", True, None, born)
    assert world.agent("ana").used["messaging"] == 0


def test_a_service_whose_members_are_switched_off_is_red() -> None:
    world = sales(online="ana")
    world.open("bo")
    found = world.receive("+1", service="support")
    data = world.refused("ana", "conversation.transfer", conversation=found.id, service="sales")
    assert data["colour"] == "red"


def test_a_service_is_green_only_through_a_member_who_is_routed_to() -> None:
    """A service routes what it is given. The one who is there can be named."""
    sender = [{"agent": "ana"}]
    target = [{"agent": "bo", "routed": False}, {"agent": "mia", "role": "admin"}, {"agent": "ana", "routed": False}]
    world = World(
        {
            "services": [{"id": "support", "members": sender}, {"id": "sales", "members": target}],
            "agents": [{"id": name} for name in ("ana", "bo", "mia")],
        },
        online=["ana", "bo", "mia"],
    )
    found = world.receive("+1", service="support")
    data = world.refused("ana", "conversation.transfer", conversation=found.id, service="sales")
    assert (data["colour"], world.agent("bo").availability["messaging"]) == ("orange", "green")
    world.say("ana", "conversation.transfer", conversation=found.id, service="sales", anyway=True)
    assert world.look(found.id).queued
    world.say("backend", "conversation.assign", conversation=found.id, service="sales", agent="bo")
    assert world.look(found.id).assignee == "bo"


def test_age_survives_a_transfer_between_queues() -> None:
    world = sales(online="")
    old = world.receive("+1", service="support")
    born = world.now
    world.wait(1_000)
    new = world.receive("+2", service="sales")
    world.say("backend", "conversation.transfer", conversation=old.id, service="sales", anyway=True)
    assert world.look(old.id).queued_since == born
    assert (world.look(old.id).position, world.look(new.id).position) == (1, 2)
    world.online("bo")
    assert world.look(old.id).assignee == "bo"


@pytest.mark.parametrize("to", [{"agent": "bo"}, {"service": "sales"}, {"agent": "bo", "service": "sales"}])
def test_a_second_live_conversation_in_the_target_service_is_a_conflict(to: dict[str, str]) -> None:
    world = small_world(service("support", "ana"), service("sales", "ana bo"), online="ana bo")
    found = world.receive("+1", service="support")
    world.receive("+1", service="sales")
    before = state(world, found.id)
    assert world.refused("backend", "conversation.assign", conversation=found.id, **to)["reason"] == "conflict"
    assert state(world, found.id) == before


def test_what_the_sender_gives_to_a_service_of_his_own_goes_where_its_strategy_says() -> None:
    """§3: the service routes it. bo has never had one; and it never waited, so the reason is not 'freed'."""
    world = small_world(service("support", "ana"), service("sales", "ana bo"), online="ana bo")
    found = world.receive("+1", service="support")
    world.wait(1_000)
    world.say("ana", "conversation.transfer", conversation=found.id, service="sales")
    assert world.look(found.id).assignee == "bo"
    assert world.timeline(found.id)[-1].reason == "transferred"


@pytest.mark.parametrize(("source", "target", "expected"), [("slow", "fast", "soon"), ("fast", "slow", None)])
def test_lateness_is_what_the_new_service_calls_late(source: str, target: str, expected: str | None) -> None:
    """§5: soon is "waiting strictly longer than soon_after", which is the service's."""
    fast, slow = service("fast", "ana", soon_after="1m"), service("slow", "bo", soon_after="4m")
    world = small_world(fast, slow, online="ana bo")
    found = world.receive("+1", service=source)
    world.wait(2 * MINUTE)
    moved = world.say("backend", "conversation.transfer", conversation=found.id, service=target).conversation
    assert moved.lateness == expected


# ---------------------------------------------------------------- assign


def test_assign_to_me_to_an_agent_and_to_a_service_alone() -> None:
    """[S1][S2]"""
    world = small_world(service("support", "ana bo"), service("sales", "cy"), online="ana bo cy")
    found = world.receive("+1", service="support")
    mine = world.say("bo", "conversation.assign", conversation=found.id).conversation
    assert (mine.assignee, mine.crew) == ("bo", ("bo",))
    last = world.timeline(found.id)[-1]
    assert (last.type, last.agent, last.reason, last.origin) == ("assigned", "bo", "assigned", Origin("ana", "support"))
    world.wait(1)
    his = world.say("bo", "conversation.assign", conversation=found.id, agent="ana").conversation
    assert his.assignee == "ana"
    hers = world.say("backend", "conversation.assign", conversation=found.id, service="sales", agent="cy").conversation
    assert (hers.service, hers.assignee) == ("sales", "cy")
    back = world.say("backend", "conversation.assign", conversation=found.id, service="support").conversation
    assert (back.service, back.assignee) == ("support", "bo"), "idle longer than ana"


@pytest.mark.parametrize(("method", "reason"), [("assign", "assigned"), ("transfer", "transferred")])
def test_how_a_service_came_by_it_is_the_reason_of_what_follows(method: str, reason: str) -> None:
    world = sales()
    found = world.receive("+1", service="support").id
    world.say("ana", f"conversation.{method}", conversation=found, service="sales")
    sent, assigned = world.timeline(found)[-2:]
    assert (sent.type, sent.reason, sent.service) == (
        "transferred", "assigned" if method == "assign" else None, "sales",
    )  # fmt: skip
    assert (assigned.type, assigned.reason, assigned.agent) == ("assigned", reason, "bo")
    assert [item.reason for item in world.told("agent:bo", ConversationAssigned)] == [reason]
    world.say("backend", f"conversation.{method}", conversation=found, service="sales", anyway=True)
    world.say("bo", "agent.set_availability", available=False)
    world.say("backend", f"conversation.{method}", conversation=found, service="sales", anyway=True)
    assert (world.timeline(found)[-1].type, world.timeline(found)[-1].reason) == ("queued", reason)


def test_assigning_what_waits_takes_it_out_of_the_queue() -> None:
    world = small_world(service("support", "ana"))
    found = world.receive("+1")
    world.say("backend", "conversation.assign", conversation=found.id, agent="ana", anyway=True)
    now = world.look(found.id)
    assert (now.assignee, now.queued, now.position) == ("ana", False, None)
    world.online("ana")
    assert world.agent("ana").used["messaging"] == 1


def test_an_agent_who_joined_by_hand_stays_in_the_crew_when_it_is_given_away() -> None:
    world = full()
    found = world.receive("+1")
    world.say("ana", "conversation.join", conversation=found.id)
    world.say("ana", "conversation.transfer", conversation=found.id, agent="bo")
    assert set(world.look(found.id).crew) == {"ana", "bo"}


def test_the_agent_in_a_service_it_is_not_in_is_not_in_service() -> None:
    world = small_world(service("support", "ana"), service("sales", "cy"), online="ana cy")
    found = world.receive("+1", service="support")
    data = world.refused("backend", "conversation.assign", conversation=found.id, agent="ana", service="sales")
    assert data["reason"] == "not_in_service"

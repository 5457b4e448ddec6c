"""Colours, slots and switches. [behaviour §2]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.notices import AgentChanged
from tests.world import World, service, slots, small_world


def colour(world: World, agent: str = "ana", channel_class: str = "messaging") -> str:
    return world.agent(agent).availability[channel_class]


def used(world: World, agent: str = "ana", channel_class: str = "messaging") -> int:
    return world.agent(agent).used[channel_class]


def one(most: int | None = 1, online: str = "ana", **settings: Any) -> World:
    agents = [] if most is None else [slots("ana", most)]
    return small_world(service("support", "ana", **settings), online=online, agents=agents)


def test_a_new_agent_is_switched_off_until_switched_on() -> None:
    world = one(online="")
    world.open("ana")
    assert colour(world) == "red"
    assert world.receive("+1").queued
    world.say("ana", "agent.set_availability", available=True)
    assert colour(world) == "orange", "and has what waited"
    assert used(world) == 1


def test_switched_on_without_a_session_is_red() -> None:
    world = one(online="")
    world.say("backend", "agent.set_availability", agent="ana", available=True)
    assert colour(world) == "red"
    world.open("ana")
    assert colour(world) == "green"


def test_green_below_the_maximum_and_orange_at_it() -> None:
    world = one(2)
    seen = [colour(world)]
    for number in range(2):
        world.receive(f"+{number}")
        seen.append(colour(world))
    assert seen == ["green", "green", "orange"]


def test_a_maximum_of_nought_is_orange_and_never_routed_to() -> None:
    world = one(0)
    assert colour(world) == "orange"
    assert world.receive("+1").queued
    world.say("ana", "agent.set_availability", available=False)
    assert colour(world) == "red"


def test_no_maximum_is_no_limit() -> None:
    world = one(None)
    for number in range(40):
        assert world.receive(f"+{number}").assignee == "ana"
    assert colour(world) == "green"


@pytest.mark.parametrize("how", ["close", "snooze", "transfer"])
def test_what_is_closed_snoozed_or_moved_away_uses_no_slot(how: str) -> None:
    world = small_world(service("support", "ana bo"), online="ana", agents=[slots("ana", 1)])
    found = world.receive("+1")
    more = {"snooze": {"for": "1h"}, "transfer": {"agent": "bo", "anyway": True}}.get(how, {})
    world.say("ana", f"conversation.{how}", conversation=found.id, **more)
    assert (used(world), colour(world)) == (0, "green")


def test_joining_uses_no_slot() -> None:
    world = small_world(service("support", "ana bo"), online="ana bo")
    found = world.receive("+1")
    world.say("bo", "conversation.join", conversation=found.id)
    assert used(world, "bo") == 0


def test_switching_off_stops_new_work_only() -> None:
    world = one(3)
    first = world.receive("+1")
    answer = world.say("ana", "agent.set_availability", **{"class": "messaging"}, available=False)
    assert answer.availability["messaging"] == "red"
    assert answer.availability["chat"] == "green"
    assert world.look(first.id).assignee == "ana"
    assert world.receive("+2").queued


def test_a_class_that_is_none_names_the_field() -> None:
    world = one()
    data = world.refused("ana", "agent.set_availability", **{"class": "smoke"}, available=True)
    assert (data["code"], data["field"]) == (-32602, "class")


def test_lowering_a_maximum_evicts_nothing_and_it_stays_orange_until_below() -> None:
    world = one(3)
    ids = [world.receive(f"+{number}").id for number in range(3)]
    world.say("backend", "agent.put", agent=slots("ana", 1))
    waiting = world.receive("+9").id
    for conversation in ids:
        assert (used(world), colour(world)) == (3 - ids.index(conversation), "orange")
        assert world.look(waiting).queued
        world.say("ana", "conversation.close", conversation=conversation)
    assert world.look(waiting).assignee == "ana"


def test_the_limit_of_the_service_and_the_agents_own_both_hold() -> None:
    services = [service("one", "ana", max_slots={"messaging": 1}), service("two", "ana")]
    world = small_world(*services, online="ana", agents=[slots("ana", 3)])
    assert world.receive("+1", service="one").assignee == "ana"
    assert colour(world) == "green", "the other service can still give"
    assert world.receive("+2", service="one").queued
    for number in range(2):
        assert world.receive(f"+1{number}", service="two").assignee == "ana"
    assert colour(world) == "orange"
    assert world.receive("+19", service="two").queued


def test_at_the_limit_of_every_service_it_is_orange_though_below_its_own() -> None:
    world = one(5, max_slots={"messaging": 1})
    world.receive("+1")
    assert colour(world) == "orange"
    assert colour(world, channel_class="chat") == "green", "the limit is by class"


def test_a_member_at_the_services_limit_is_not_green_for_that_service() -> None:
    services = [service("one", "ana bo", max_slots={"messaging": 1}), service("two", "ana")]
    world = small_world(*services, online="ana bo")
    assert world.receive("+1", service="one").assignee == "ana"
    taken = world.receive("+2", service="one")
    assert taken.assignee == "bo"
    assert colour(world) == "green"
    data = world.refused("bo", "conversation.transfer", conversation=taken.id, agent="ana")
    assert (data["reason"], data["colour"]) == ("agent_unavailable", "orange")


def test_raising_the_limit_of_a_service_takes_what_waits() -> None:
    world = one(5, max_slots={"messaging": 1})
    world.receive("+1")
    second = world.receive("+2")
    world.say("backend", "service.put", service={"id": "support", "max_slots": {"messaging": 2}})
    assert world.look(second.id).assignee == "ana"


def test_every_change_is_pushed_at_once_to_all_sessions_of_the_agent_and_nobody_else() -> None:
    world = small_world(service("support", "ana bo"), online="ana bo", agents=[slots("ana", 1)])
    world.outgoing.clear()
    found = world.receive("+1")
    told = world.told("agent:ana", AgentChanged)
    assert [(item.availability["messaging"], item.used["messaging"]) for item in told] == [("orange", 1)]
    assert world.told("agent:bo", AgentChanged) == []
    world.say("ana", "conversation.close", conversation=found.id)
    assert [item.availability["messaging"] for item in world.told("agent:ana", AgentChanged)] == ["orange", "green"]


def test_a_slot_that_frees_and_fills_in_one_turn_is_no_change() -> None:
    world = one(1)
    first = world.receive("+1")
    world.receive("+2")
    world.outgoing.clear()
    world.say("ana", "conversation.close", conversation=first.id)
    assert world.told("agent:ana", AgentChanged) == []


def test_a_change_that_the_store_refused_is_pushed_when_it_comes_again() -> None:
    world = one(1)
    world.open("connector:sms")
    request = world.asked("connector:sms", "connector.receive", channel="sms", address="+1", external_id="m", text="Hi")
    out = world.step(request)
    world.core.undo([out], world.now)
    world.outgoing.clear()
    world.give(request)
    assert [item.used["messaging"] for item in world.told("agent:ana", AgentChanged)] == [1]


def test_the_switch_is_kept_across_sessions_and_restarts() -> None:
    world = one(1)
    world.say("ana", "agent.set_availability", **{"class": "email"}, available=False)
    world.end("ana")
    world.wait(120_000)
    world.boot()
    world.open("ana")
    seen = world.agent("ana").availability
    assert seen == {"chat": "green", "messaging": "green", "email": "red"}


def test_the_idle_clock_survives_a_restart() -> None:
    world = small_world(service("support", "ana bo"), online="ana bo")
    assert world.receive("+1").assignee == "ana"
    world.boot()
    world.open("ana")
    world.open("bo")
    assert world.receive("+2").assignee == "bo"


def test_an_agent_in_no_service_has_nobody_who_could_give_anything() -> None:
    world = small_world(service("support", "bo"), agents=[{"id": "ana"}], online="ana")
    assert colour(world) == "orange"


@pytest.mark.parametrize("event", ["close", "snooze", "transfer", "raise", "switch", "reconnect", "join", "pause"])
def test_the_moment_a_slot_frees_the_first_it_can_take_is_assigned_in_the_same_turn(event: str) -> None:
    """§3: close, snooze, transfer, raised maximum, switch to green, reconnect, new member, end of a pause."""
    services = [service("support", "ana bo", decline_pause="5m"), service("other", "bo")]
    world = small_world(*services, online="ana", agents=[slots("ana", 1), slots("bo", 0)])
    busy = world.receive("+1").id
    if event == "pause":
        world.say("ana", "conversation.decline", conversation=busy)
    waiting = busy if event == "pause" else world.receive("+2").id
    assert world.look(waiting).queued
    match event:
        case "close":
            world.say("ana", "conversation.close", conversation=busy)
        case "snooze":
            world.say("ana", "conversation.snooze", conversation=busy, **{"for": "1h"})
        case "transfer":
            world.say("ana", "conversation.transfer", conversation=busy, service="other", anyway=True)
        case "raise":
            world.say("backend", "agent.put", agent=slots("ana", 2))
        case "switch":
            world.say("ana", "agent.set_availability", available=False)
            world.say("ana", "conversation.close", conversation=busy)
            assert world.look(waiting).queued
            world.say("ana", "agent.set_availability", available=True)
        case "reconnect":
            world.end("ana")
            world.say("backend", "conversation.close", conversation=busy)
            assert world.look(waiting).queued
            world.open("ana")
        case "join":
            world.say("backend", "agent.put", agent=slots("cy", 1))
            world.online("cy")
            members = [{"agent": "ana"}, {"agent": "cy"}]
            world.say("backend", "service.put", service={"id": "support", "members": members})
        case "pause":
            world.wait(5 * 60_000 - 1)
            assert world.look(waiting).queued
            world.wait(1)
    found = world.look(waiting)
    assert found.assignee == ("cy" if event == "join" else "ana")
    assert not found.queued
    assert found.queued_since is None


def test_what_changes_its_service_makes_room_in_the_old_one_at_once() -> None:
    services = [service("one", "ana", max_slots={"messaging": 1}), service("two", "ana")]
    world = small_world(*services, online="ana")
    first, waiting = world.receive("+1", service="one").id, world.receive("+2", service="one").id
    assert world.look(waiting).queued
    world.say("backend", "conversation.assign", conversation=first, agent="ana", service="two")
    assert world.look(waiting).assignee == "ana"
    assert world.agent("ana").used["messaging"] == 2


def test_what_is_given_to_a_lost_agent_anyway_after_its_grace_stays() -> None:
    """Each grace ends once: the second, longer one is another service's."""
    services = [service("fast", "ana bo", disconnect_grace="10s"), service("slow", "ana", disconnect_grace="2m")]
    world = small_world(*services, online="ana")
    found = world.receive("+1", service="fast").id
    world.end("ana")
    world.wait(10_000)
    world.say("backend", "conversation.assign", conversation=found, agent="ana", anyway=True)
    world.wait(300_000)
    assert world.look(found).assignee == "ana"

"""The queue of a service and the search for the first available agent. [behaviour §3]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.objects import Conversation
from tests.world import World, service, slots, small_world


def queue(world: World, name: str = "support") -> list[str]:
    items = world.say("backend", "conversation.list", service=name).items
    return [item.id for item in sorted(items, key=lambda item: item.position or 0) if item.queued]


def test_nobody_green_means_it_waits_and_needs_a_representative() -> None:
    world = small_world(service("support", "ana"))
    found = world.receive("+1")
    assert (found.assignee, found.queued, found.needs, found.position) == (None, True, "rep", 1)
    assert found.queued_since == world.now
    assert [(e.type, e.reason) for e in world.timeline(found.id)][-1] == ("queued", "new")


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("longest_idle", "ana bo cy, ana bo cy"),
        ("least_busy", "ana bo cy, cy ana bo"),
        ("most_spare", "bo cy bo, cy ana bo"),
        ("lowest_ratio", "ana bo cy, cy bo cy"),
        ("round_robin", "cy ana bo, cy ana bo"),
    ],
)
def test_each_strategy_picks_its_own(strategy: str, expected: str) -> None:
    """[S3] Three messages, then what cy has is closed, then three more."""
    agents = [slots("ana", 2), slots("bo", 4), slots("cy", 3)]
    world = small_world(service("support", "cy ana bo", strategy=strategy), online="cy ana bo", agents=agents)
    picked = [[], []]
    for number in range(6):
        world.wait(1_000)
        picked[number // 3].append(world.receive(f"+{number}").assignee)
        if number == 2:
            for item in world.say("cy", "conversation.list", view="mine").items:
                world.say("cy", "conversation.close", conversation=item.id)
    assert ", ".join(" ".join(half) for half in picked) == expected


def test_lowest_ratio_counts_the_fuller_of_the_own_maximum_and_the_services_limit() -> None:
    """ana has 2 of her 10 and 2 of support's 3; bo 3 of his 10, of which 1 of support's 3."""
    services = [
        service("support", "ana bo", strategy="lowest_ratio", max_slots={"messaging": 3}),
        service("sales", "ana bo"),
    ]
    world = small_world(*services, online="ana bo", agents=[slots("ana", 10), slots("bo", 10)])
    for number, (place, agent) in enumerate([("support", "ana")] * 2 + [("support", "bo")] + [("sales", "bo")] * 2):
        found = world.receive(f"+{number}", service=place).id
        world.say("backend", "conversation.assign", conversation=found, service=place, agent=agent)
    assert world.receive("+9", service="support").assignee == "bo"
    assert world.receive("+10", service="support").assignee == "ana", "both 2 of 3, and she has been idle for longer"


def test_the_idle_clock_is_kept_for_each_class() -> None:
    world = small_world(service("support", "ana bo"), online="ana bo")
    assert world.start("nia", service="support").assignee == "ana"
    world.wait(1)
    assert world.receive("+1").assignee == "ana", "she was never assigned anything of this class"


def test_ties_in_the_idle_clock_go_to_the_lower_id_to_the_millisecond() -> None:
    world = small_world(service("support", "bo ana"), online="bo ana")
    assert world.receive("+1").assignee == "ana"
    world.wait(1)
    assert world.receive("+2").assignee == "bo"
    world.wait(1)
    assert world.receive("+3").assignee == "ana", "one millisecond more"


def test_manual_assignments_do_not_move_round_robin() -> None:
    world = small_world(service("support", "ana bo cy", strategy="round_robin"), online="ana bo cy")
    first = world.receive("+1")
    assert first.assignee == "ana"
    world.say("backend", "conversation.assign", conversation=first.id, agent="cy")
    assert world.receive("+2").assignee == "bo"


def test_a_sticky_agent_does_not_move_round_robin() -> None:
    """§3: round robin goes on after "the last one picked by it"; a sticky agent was not picked by it."""
    world = small_world(service("support", "ana bo cy", strategy="round_robin", sticky=True), online="ana bo cy")
    first = world.receive("+1")
    assert world.receive("+2").assignee == "bo"
    world.say("ana", "conversation.close", conversation=first.id)
    assert world.receive("+1").assignee == "ana", "sticky"
    assert world.receive("+3").assignee == "cy", "after bo"


def test_where_round_robin_stands_survives_a_restart() -> None:
    world = small_world(service("support", "ana bo cy", strategy="round_robin"), online="ana bo cy")
    world.receive("+1")
    world.boot()
    for name in ("ana", "bo", "cy"):
        world.open(name)
    assert world.receive("+2").assignee == "bo"


def test_members_are_routed_to_unless_they_are_admins_or_say_otherwise() -> None:
    members = "mia/admin ana/unrouted"
    assert small_world(service("s", members), online="mia ana").receive("+1").queued
    routed = [{"agent": "mia", "role": "admin", "routed": True}]
    world = World({"services": [{"id": "s", "members": routed}], "agents": [{"id": "mia"}]}, online=["mia"])
    assert world.receive("+1").assignee == "mia"


def skilled(world: World, address: str, *skills: str) -> Conversation:
    return world.receive(address, skills=skills)


def test_the_skills_of_the_service_and_of_the_conversation_are_both_required() -> None:
    agents = [{"id": "ana", "skills": ["en"]}, {"id": "bo", "skills": ["en", "fr"]}, {"id": "cy", "skills": ["fr"]}]
    world = small_world(service("s", "ana bo cy", skills=["en"]), online="ana bo cy", agents=agents)
    assert skilled(world, "+1", "fr").assignee == "bo"
    assert skilled(world, "+2").assignee == "ana"
    assert skilled(world, "+3", "no").queued


def test_an_unroutable_head_never_blocks_those_behind_it() -> None:
    world = small_world(service("s", "ana"), agents=[{"id": "ana", "skills": ["en"]}])
    head = skilled(world, "+1", "klingon")
    world.wait(1)
    behind = skilled(world, "+2", "en")
    world.online("ana")
    assert world.look(head.id).queued
    assert world.look(behind.id).assignee == "ana"
    world.say("backend", "agent.put", agent={"id": "ana", "skills": ["klingon"]})
    assert world.look(head.id).assignee == "ana", "new skills take what waits at once"


def test_taking_a_skill_away_from_a_waiting_conversation_routes_it_at_once() -> None:
    world = small_world(service("s", "ana"), online="ana")
    head = skilled(world, "+1", "klingon")
    found = world.say("backend", "conversation.update", conversation=head.id, skills=[]).conversation
    assert found.assignee == "ana"


def test_the_queue_is_in_order_of_priority_then_age_then_id() -> None:
    world = small_world(service("support"))
    ids = [world.receive(f"+{number}").id for number in range(3)]
    world.wait(1)
    ids.append(world.receive("+9").id)
    for conversation, priority in ((ids[3], 5), (ids[1], -100), (ids[0], 0)):
        world.say("backend", "conversation.update", conversation=conversation, priority=priority)
    assert queue(world) == [ids[3], ids[0], ids[2], ids[1]]
    assert [world.look(one).position for one in (ids[3], ids[0], ids[2], ids[1])] == [1, 2, 3, 4]


def test_a_new_priority_does_not_say_again_that_it_is_queued() -> None:
    world = small_world(service("support"))
    found = world.receive("+1")
    world.say("backend", "conversation.update", conversation=found.id, priority=5)
    assert [entry.type for entry in world.timeline(found.id)].count("queued") == 1


@pytest.mark.parametrize("priority", [101, -101])
def test_a_priority_beyond_a_hundred_is_no_priority(priority: int) -> None:
    world = small_world(service("support"))
    found = world.receive("+1")
    with pytest.raises(Exception, match="100"):
        world.asked("backend", "conversation.update", conversation=found.id, priority=priority)


def test_one_order_over_all_queues_of_an_agent() -> None:
    world = small_world(service("one", "ana"), service("two", "ana"), agents=[slots("ana", 1)])
    order = []
    for number, name in enumerate(["two", "one", "two", "one"]):
        order.append(world.receive(f"+{number}", service=name).id)
        world.wait(1)
    world.say("backend", "conversation.update", conversation=order[3], priority=1)
    world.online("ana")
    taken = []
    for _ in range(4):
        holds = [item.id for item in world.say("ana", "conversation.list", view="mine").items]
        taken += holds
        world.say("ana", "conversation.close", conversation=holds[0])
    assert taken == [order[3], order[0], order[1], order[2]]


def start(world: World, who: str, **params: Any) -> dict[str, Any]:
    return world.refused(who, "conversation.start", service="support", text="Hello", **params)


def test_a_full_queue_refuses_contacts_and_the_backend_and_creates_nothing() -> None:
    """[P]"""
    world = small_world(service("support", "ana", max_waiting=1))
    world.start("nia", service="support")
    before = world.core.house.seq
    assert start(world, "contact:oli")["reason"] == "queue_full"
    assert start(world, "backend", contact="pat")["reason"] == "queue_full"
    assert world.core.house.seq == before
    assert len(world.say("backend", "conversation.list").items) == 1
    assert world.say("contact:oli", "conversation.list").items == ()


def test_a_full_queue_takes_what_connectors_bring() -> None:
    world = small_world(service("support", "ana", max_waiting=0))
    assert world.receive("+1").queued
    assert world.receive("+2").queued


def test_a_full_queue_is_no_matter_to_who_is_waiting_in_it() -> None:
    world = small_world(service("support", "ana", max_waiting=1))
    first = world.start("nia", service="support")
    again = world.start("nia", "Are you there?", service="support")
    assert again.id == first.id


def test_a_full_queue_refuses_nobody_whom_an_agent_can_take_at_once() -> None:
    agents = [{"id": "ana", "skills": ["en"]}]
    world = small_world(service("support", "ana", max_waiting=1), online="ana", agents=agents)
    world.receive("+1", skills=["fr"])
    assert world.start("nia", service="support").assignee == "ana"
    assert start(world, "contact:oli", skills=["fr"])["reason"] == "queue_full"

"""The crew, the contact's waiting clock and the escalation ladder. [behaviour §4, §5]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.notices import ConversationAssigned
from tests.world import START, World, service, small_world

MINUTE = 60_000


def world_of(online: str = "ana", **settings: Any) -> World:
    return small_world(service("support", "ana bo mia/admin", **settings), online=online)


def facets(world: World, conversation: str) -> tuple[Any, ...]:
    found = world.look(conversation)
    return (found.needs, found.lateness, found.waiting_since and found.waiting_since - START)


# ---------------------------------------------------------------- crew


def test_an_agent_must_be_in_the_crew_to_send() -> None:
    """[S4]"""
    world = world_of()
    found = world.receive("+1").id
    for who in ("bo", "mia"):
        data = world.refused(who, "message.send", conversation=found, text="Hi")
        assert data["reason"] == "not_in_crew"
        joined = world.say(who, "conversation.join", conversation=found).conversation
        assert who in joined.crew
        assert joined.assignee == "ana"
        world.say(who, "message.send", conversation=found, text="Hi")


def test_joining_is_told_to_the_crew_and_the_contact_and_joining_twice_changes_nothing() -> None:
    world = world_of()
    found = world.start("nia", service="support").id
    world.say("bo", "conversation.join", conversation=found)
    before = world.core.house.seq
    world.say("bo", "conversation.join", conversation=found)
    assert world.core.house.seq == before
    for address in ("agent:ana", "agent:bo", "contact:nia"):
        assert [entry.by and entry.by.id for entry in world.heard(address, "joined")] == ["bo"], address


def test_the_assignee_who_joins_by_hand_stays_when_the_assignment_ends() -> None:
    world = world_of()
    found = world.receive("+1").id
    world.say("ana", "conversation.join", conversation=found)
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
    assert world.look(found).crew == ("ana",)


def test_only_the_crew_can_leave_and_only_agents_can_join() -> None:
    world = world_of()
    found = world.receive("+1").id
    assert world.refused("bo", "conversation.leave", conversation=found)["reason"] == "not_in_crew"
    assert world.refused("backend", "conversation.join", conversation=found)["reason"] == "forbidden"


def test_when_the_last_of_the_crew_leaves_it_needs_an_agent_again_at_its_age() -> None:
    world = world_of("ana bo")
    found = world.receive("+1").id
    world.wait(MINUTE)
    left = world.say("ana", "conversation.leave", conversation=found).conversation
    assert (left.assignee, left.crew) == ("bo", ("bo",))
    assert [item.reason for item in world.told("agent:bo", ConversationAssigned)] == ["left"]
    left = world.say("bo", "conversation.leave", conversation=found).conversation
    assert (left.queued, left.queued_since, left.waiting_since) == (True, START, START)
    assert world.agent("ana").used["messaging"] == world.agent("bo").used["messaging"] == 0


def test_while_somebody_joined_is_left_it_needs_nobody() -> None:
    world = world_of("ana bo")
    found = world.receive("+1").id
    world.say("bo", "conversation.join", conversation=found)
    left = world.say("ana", "conversation.leave", conversation=found).conversation
    assert (left.assignee, left.crew, left.queued) == (None, ("bo",), False)
    left = world.say("bo", "conversation.leave", conversation=found).conversation
    assert left.queued, "both are paused"


def test_whoever_leaves_is_paused_for_it_also_if_joined_by_hand() -> None:
    world = world_of("ana bo")
    found = world.receive("+1").id
    world.say("bo", "conversation.join", conversation=found)
    world.say("bo", "conversation.leave", conversation=found)
    world.say("ana", "conversation.leave", conversation=found)
    assert world.look(found).queued
    world.wait(5 * MINUTE)
    assert world.look(found).assignee in ("ana", "bo")


def test_leaving_a_closed_or_a_snoozed_one_routes_nothing() -> None:
    world = world_of("ana bo")
    asleep, closed = world.receive("+1").id, world.receive("+2").id
    for found, owner in ((asleep, "ana"), (closed, world.look(closed).assignee or "")):
        world.say(owner, "conversation.join", conversation=found)
    world.say("ana", "conversation.snooze", conversation=asleep, **{"for": "1h"})
    world.say("ana", "conversation.leave", conversation=asleep)
    owner = world.look(closed).assignee or ""
    world.say(owner, "conversation.close", conversation=closed)
    world.say(owner, "conversation.leave", conversation=closed)
    assert [world.look(found).queued for found in (asleep, closed)] == [False, False]


# ---------------------------------------------------------------- the waiting clock


def test_the_clock_starts_at_the_oldest_unanswered_message() -> None:
    world = world_of()
    found = world.receive("+1").id
    world.wait(MINUTE)
    world.receive("+1", "Hello?")
    assert facets(world, found) == ("reply", None, 0)
    world.say("ana", "message.send", conversation=found, text="Hi")
    assert facets(world, found) == (None, None, None)
    world.wait(MINUTE)
    world.receive("+1", "Thanks")
    assert facets(world, found) == ("reply", None, 2 * MINUTE)


def test_needs_is_rep_while_the_crew_is_empty_and_reply_once_it_is_not() -> None:
    world = world_of("")
    found = world.receive("+1").id
    assert world.look(found).needs == "rep"
    world.say("bo", "conversation.join", conversation=found)
    assert world.look(found).needs == "reply"
    assert world.look(found).queued, "in push mode whoever joins does not take it"


@pytest.mark.parametrize("what", ["comment", "backend", "join", "transfer", "update", "snooze", "refused"])
def test_nothing_but_a_public_message_of_an_agent_stops_it(what: str) -> None:
    world = world_of("ana bo")
    found = world.receive("+1").id
    match what:
        case "comment":
            world.say("ana", "message.comment", conversation=found, text="Hm")
        case "backend":
            world.say("backend", "message.send", conversation=found, text="We are on it (automated)")
        case "join":
            world.say("bo", "conversation.join", conversation=found)
        case "transfer":
            world.say("ana", "conversation.transfer", conversation=found, agent="bo")
        case "update":
            world.say("ana", "conversation.update", conversation=found, add_tags=["x"])
        case "snooze":
            world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
        case "refused":
            world.refused("mia", "message.send", conversation=found, text="Hi")
    assert world.look(found).waiting_since == START
    world.wait(3 * MINUTE + 1)
    assert world.look(found).lateness == "soon"


def test_the_message_of_any_human_agent_of_the_crew_stops_it() -> None:
    world = world_of()
    found = world.receive("+1").id
    world.say("mia", "conversation.join", conversation=found)
    world.wait(MINUTE)
    world.say("mia", "message.send", conversation=found, text="Hi")
    assert facets(world, found) == (None, None, None)
    assert world.look(found).last_agent_message_at == START + MINUTE


def test_soon_and_overdue_to_the_millisecond_by_time_alone() -> None:
    world = world_of()
    found = world.receive("+1").id
    seen = []
    for ms in (3 * MINUTE, 1, 2 * MINUTE - 1, 1):
        world.wait(ms)
        seen.append(world.look(found).lateness)
    assert seen == [None, "soon", "soon", "overdue"]


# ---------------------------------------------------------------- escalation


def test_at_exactly_an_hour_the_managers_join_the_crew_once() -> None:
    """[S0] Managers = the members named as such."""
    world = small_world(service("support", "ana mia/admin dee/manager"), online="ana")
    found = world.receive("+1").id
    world.wait(60 * MINUTE - 1)
    assert world.look(found).crew == ("ana",)
    assert not world.look(found).managers_added
    world.wait(1)
    now = world.look(found)
    assert (now.crew, now.assignee, now.managers_added) == (("ana", "dee"), "ana", True)
    entry = world.heard("agent:dee", "escalated")[0]
    assert entry.by is not None
    assert (entry.by.kind, entry.step, entry.reason, entry.at) == ("system", 0, "add_managers", START + 60 * MINUTE)
    assert world.heard("agent:ana", "escalated") == [entry]
    world.receive("+1", "Anybody?")
    world.wait(5 * 60 * MINUTE)
    assert len(world.heard("agent:ana", "escalated")) == 1


def test_without_named_managers_the_admins_are_called() -> None:
    world = small_world(service("support", "ana mia/admin max/admin"), online="ana")
    found = world.receive("+1").id
    world.wait(60 * MINUTE)
    assert world.look(found).crew == ("ana", "mia", "max")


def test_a_manager_in_the_crew_does_not_take_it_out_of_the_queue() -> None:
    world = small_world(service("support", "ana mia/admin"))
    found = world.receive("+1").id
    world.wait(60 * MINUTE)
    now = world.look(found)
    assert (now.crew, now.queued, now.needs) == (("mia",), True, "reply")
    world.online("ana")
    assert world.look(found).assignee == "ana"


def test_managers_only_watch_so_when_the_agent_leaves_it_needs_another() -> None:
    world = small_world(service("support", "ana bo mia/admin"), online="ana")
    found = world.receive("+1").id
    world.wait(60 * MINUTE)
    left = world.say("ana", "conversation.leave", conversation=found).conversation
    assert (left.crew, left.queued) == (("mia",), True)


def test_only_a_reply_or_a_close_arms_the_ladder_again() -> None:
    steps = [{"after": "10m", "do": "add_managers"}]
    world = small_world(service("support", "ana mia/admin", escalation=steps), online="ana")
    found = world.receive("+1").id

    def fired() -> int:
        return len(world.heard("agent:ana", "escalated"))

    world.wait(10 * MINUTE)
    world.say("mia", "conversation.leave", conversation=found)
    world.receive("+1", "Hello?")
    world.wait(60 * MINUTE)
    assert fired() == 1
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.wait(60 * MINUTE)
    assert fired() == 1, "nobody waits"
    world.receive("+1", "And?")
    world.wait(10 * MINUTE)
    assert fired() == 2
    world.say("ana", "conversation.close", conversation=found)
    world.receive("+1", "Again")
    world.wait(10 * MINUTE)
    assert fired() == 3


def test_a_ladder_of_several_steps_fires_each_once_in_order() -> None:
    steps = [
        {"after": "20m", "do": "raise_priority", "by": 60},
        {"after": "10m", "do": "notify", "agents": ["bo"]},
        {"after": "30m", "do": "raise_priority", "by": 60},
    ]
    world = world_of("", escalation=steps)
    found = world.receive("+1").id
    other = world.receive("+2").id
    world.say("backend", "conversation.update", conversation=other, priority=50)
    seen = []
    for _ in range(4):
        world.wait(10 * MINUTE)
        seen.append((len(world.heard("agent:bo", "escalated")), world.look(found).priority, world.look(found).position))
    assert seen == [(2, 0, 2), (2, 60, 2), (2, 100, 1), (2, 100, 1)]
    fired = [(e.step, e.reason, e.at - START) for e in world.timeline(found) if e.type == "escalated"]
    assert fired == [
        (0, "notify", 10 * MINUTE), (1, "raise_priority", 20 * MINUTE), (2, "raise_priority", 30 * MINUTE),
    ]  # fmt: skip


def test_no_step_fires_twice_in_a_wait_though_the_ladder_is_changed() -> None:
    step = {"after": "10m", "do": "raise_priority", "by": 1}
    world = world_of("", escalation=[step])
    found = world.receive("+1").id
    world.wait(11 * MINUTE)
    earlier = {"after": "5m", "do": "notify", "agents": ["bo"]}
    world.say("backend", "service.put", service={"id": "support", "escalation": [earlier, step]})
    world.wait(MINUTE)
    assert world.look(found).priority == 1


def test_the_timeline_is_in_order_of_time() -> None:
    world = small_world(
        service("calm", "ana", escalation=[]), service("busy", "bo", escalation=[{"after": "5m", "do": "add_managers"}])
    )
    found = world.receive("+1", service="calm").id
    world.wait(20 * MINUTE)
    world.say("backend", "conversation.transfer", conversation=found, service="busy", anyway=True)
    world.wait(1)
    times = [entry.at for entry in world.timeline(found)]
    assert times == sorted(times)


def test_no_steps_no_ladder() -> None:
    world = world_of(escalation=[], auto_close_after=None)
    found = world.receive("+1").id
    world.wait(9 * 60 * MINUTE)
    assert "escalated" not in [entry.type for entry in world.timeline(found)]

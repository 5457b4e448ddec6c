"""How a conversation gets an agent and loses one: declining, leaving, silence, the crew. [behaviour §3, §4]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.notices import ConversationAssigned
from tests.world import World, service, slots, small_world

MINUTE = 60_000


def two(**settings: Any) -> World:
    return small_world(service("support", "ana bo", **settings), online="ana bo")


def reasons(world: World, agent: str) -> list[str]:
    return [notice.reason for notice in world.told(f"agent:{agent}", ConversationAssigned)]


def types(world: World, conversation: str) -> list[str]:
    return [entry.type for entry in world.timeline(conversation)]


# ---------------------------------------------------------------- what an assignment is


def test_an_assignment_is_told_to_the_agent_on_all_sessions_with_the_summary() -> None:
    world = two()
    found = world.receive("+1")
    notices = world.told("agent:ana", ConversationAssigned)
    assert [(notice.conversation.id, notice.reason) for notice in notices] == [(found.id, "new")]
    assert notices[0].conversation.assignee == "ana"
    assert notices[0].conversation.crew == ("ana",)
    assert not notices[0].conversation.queued
    assert world.told("agent:bo", ConversationAssigned) == []


def test_the_timeline_says_who_got_it_and_why() -> None:
    world = two()
    found = world.receive("+1")
    last = world.timeline(found.id)[-1]
    assert (last.type, last.agent, last.service, last.reason) == ("assigned", "ana", "support", "new")
    assert last.by is not None
    assert last.by.kind == "system"


def test_one_that_waited_was_assigned_because_a_slot_freed() -> None:
    world = small_world(service("support", "ana"))
    found = world.receive("+1")
    world.wait(5)
    world.online("ana")
    assert reasons(world, "ana") == ["freed"]
    assert world.timeline(found.id)[-1].reason == "freed"


# ---------------------------------------------------------------- decline


def test_whoever_declines_is_paused_and_the_next_one_gets_it_at_its_age() -> None:
    """[P]"""
    world = two()
    found = world.receive("+1")
    world.wait(1_000)
    declined = world.say("ana", "conversation.decline", conversation=found.id).conversation
    assert (declined.assignee, declined.crew) == ("bo", ("bo",))
    assert reasons(world, "bo") == ["declined"]
    entries = world.timeline(found.id)
    assert [(e.type, e.agent) for e in entries][-2:] == [("declined", "ana"), ("assigned", "bo")]
    assert world.agent("ana").used["messaging"] == 0


def test_age_survives_a_decline() -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+1")
    born = world.now
    world.wait(7_000)
    declined = world.say("ana", "conversation.decline", conversation=found.id).conversation
    assert (declined.queued, declined.queued_since, declined.waiting_since) == (True, born, born)
    assert world.timeline(found.id)[-1].reason == "declined"


@pytest.mark.parametrize("pause", ["5m", "250ms"])
def test_when_the_pause_ends_the_agent_is_considered_again_in_that_turn(pause: str) -> None:
    world = small_world(service("support", "ana", decline_pause=pause), online="ana")
    found = world.receive("+1")
    world.say("ana", "conversation.decline", conversation=found.id)
    length = {"5m": 5 * MINUTE, "250ms": 250}[pause]
    world.wait(length - 1)
    assert world.look(found.id).queued
    world.wait(1)
    assert world.look(found.id).assignee == "ana"
    assert reasons(world, "ana") == ["new", "freed"]


def test_a_pause_holds_for_that_conversation_only() -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+1")
    world.say("ana", "conversation.decline", conversation=found.id)
    assert world.receive("+2").assignee == "ana"


def test_a_paused_agent_can_be_assigned_by_hand() -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+1")
    world.say("ana", "conversation.decline", conversation=found.id)
    assert world.say("ana", "conversation.assign", conversation=found.id).conversation.assignee == "ana"


def test_a_pause_survives_a_restart() -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+1")
    world.say("ana", "conversation.decline", conversation=found.id)
    world.boot()
    world.open("ana")
    world.wait(5 * MINUTE - 1)
    assert world.look(found.id).queued
    world.wait(1)
    assert world.look(found.id).assignee == "ana"


def test_a_pause_outlives_a_close_and_a_reopening() -> None:
    """§3: paused for that conversation for decline_pause, "unless assigned by hand"; nothing else ends it."""
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+1")
    world.say("ana", "conversation.decline", conversation=found.id)
    world.say("backend", "conversation.close", conversation=found.id)
    assert world.receive("+1").queued


def three_busy(**settings: Any) -> tuple[World, str]:
    """ana, bo and cy have got one each, in this order; ana's."""
    world = small_world(service("support", "ana bo cy", **settings), online="ana bo cy")
    first = world.receive("+1").id
    for number in (2, 3):
        world.wait(1_000)
        world.receive(f"+{number}")
    world.wait(1_000)
    return world, first


def test_declining_restarts_the_idle_clock() -> None:
    world, first = three_busy()
    assert world.say("ana", "conversation.decline", conversation=first).conversation.assignee == "bo"
    assert world.receive("+4").assignee == "cy", "ana's clock began anew, bo has just got one"


def test_giving_one_away_does_not_restart_the_idle_clock() -> None:
    world, first = three_busy()
    world.say("ana", "conversation.transfer", conversation=first, agent="bo")
    world.wait(1_000)
    assert world.receive("+4").assignee == "ana", "hers was the first assignment"


def test_only_the_agent_it_is_assigned_to_can_decline_it() -> None:
    world = two()
    found = world.receive("+1")
    world.say("bo", "conversation.join", conversation=found.id)
    assert world.refused("bo", "conversation.decline", conversation=found.id)["reason"] == "not_in_crew"
    assert world.refused("backend", "conversation.decline", conversation=found.id)["reason"] == "forbidden"


def test_without_a_pause_the_strategy_decides_who_gets_a_declined_one() -> None:
    world = two(decline_pause="0s")
    found = world.receive("+1")
    world.wait(1_000)
    declined = world.say("ana", "conversation.decline", conversation=found.id).conversation
    assert declined.assignee == "bo", "declining restarted ana's idle clock"


# ---------------------------------------------------------------- reply_within


def test_a_silent_agent_loses_it_exactly_in_time_and_is_switched_off_for_that_class() -> None:
    """[P]"""
    world = two(reply_within="2m")
    found = world.receive("+1")
    world.wait(2 * MINUTE - 1)
    assert world.look(found.id).assignee == "ana"
    world.wait(1)
    now = world.look(found.id)
    assert (now.assignee, now.crew, now.waiting_since) == ("bo", ("bo",), world.now - 2 * MINUTE)
    assert world.agent("ana").availability == {"chat": "green", "messaging": "red", "email": "green"}
    assert reasons(world, "bo") == ["no_reply"]
    lost = next(entry for entry in world.timeline(found.id) if entry.type == "unassigned")
    assert (lost.agent, lost.reason, lost.at) == ("ana", "no_reply", world.now)


def test_with_nobody_else_it_goes_to_the_queue_at_its_age() -> None:
    world = small_world(service("support", "ana", reply_within="2m"), online="ana")
    found = world.receive("+1")
    born = world.now
    world.wait(2 * MINUTE)
    now = world.look(found.id)
    assert (now.queued, now.queued_since) == (True, born)


def test_whoever_lost_it_is_paused_for_it() -> None:
    world = small_world(service("support", "ana", reply_within="2m"), online="ana")
    found = world.receive("+1")
    world.wait(2 * MINUTE)
    world.say("ana", "agent.set_availability", available=True)
    assert world.look(found.id).queued
    world.wait(5 * MINUTE)
    assert world.look(found.id).assignee == "ana"


def test_losing_it_restarts_the_idle_clock() -> None:
    world, _ = three_busy(reply_within="2m")
    for name in ("bo", "cy"):
        for item in world.say(name, "conversation.list", view="mine").items:
            world.say(name, "message.send", conversation=item.id, text="Hi")
    world.wait(2 * MINUTE)  # ana loses hers to bo
    world.say("ana", "agent.set_availability", available=True)
    assert world.receive("+4").assignee == "cy", "of those with the oldest assignment; ana's clock began anew"


def test_a_public_message_in_time_keeps_it() -> None:
    world = two(reply_within="2m")
    found = world.receive("+1")
    world.wait(2 * MINUTE - 1)
    world.say("ana", "message.send", conversation=found.id, text="Hi")
    world.wait(9 * MINUTE)
    assert world.look(found.id).assignee == "ana"


def test_a_comment_is_no_public_message() -> None:
    world = two(reply_within="2m")
    found = world.receive("+1")
    world.say("ana", "message.comment", conversation=found.id, text="Hm")
    world.wait(2 * MINUTE)
    assert world.look(found.id).assignee == "bo"


def test_nothing_unanswered_means_no_hurry() -> None:
    world = two(reply_within="2m")
    found = world.start("nia", text=None, service="support")
    world.wait(9 * MINUTE)
    assert world.look(found.id).assignee == "ana"


def test_whoever_was_assigned_by_hand_was_not_pushed() -> None:
    world = two(reply_within="2m")
    found = world.receive("+1")
    world.wait(MINUTE)
    world.say("ana", "conversation.transfer", conversation=found.id, agent="bo")
    world.wait(9 * MINUTE)
    assert world.look(found.id).assignee == "bo"
    assert world.agent("bo").availability["messaging"] == "green"


def test_it_is_off_by_default() -> None:
    world = two()
    found = world.receive("+1")
    world.wait(50 * MINUTE)
    assert world.look(found.id).assignee == "ana"


# ---------------------------------------------------------------- sticky


def test_sticky_takes_the_last_agent_of_the_contact_first_if_green_and_never_waits() -> None:
    """[S1][P]"""
    agents = [slots("ana", 1), slots("bo", 1)]
    world = small_world(service("support", "ana bo", sticky=True), online="ana bo", agents=agents)
    first = world.receive("+1")
    assert first.assignee == "ana"
    world.wait(1_000)
    world.say("ana", "conversation.close", conversation=first.id)
    assert world.receive("+1").assignee == "ana", "though bo is idle longer"
    world.say("ana", "conversation.close", conversation=first.id)
    world.wait(1_000)
    assert world.receive("+2").assignee == "bo"
    world.wait(1_000)
    assert world.receive("+3").assignee == "ana"
    assert world.receive("+2", "Again").assignee == "bo"
    world.say("bo", "conversation.close", conversation=world.receive("+2", "Bye").id)
    world.say("bo", "agent.set_availability", available=False)
    assert world.receive("+2").queued, "bo is not waited for, and ana is full"


def test_without_sticky_the_strategy_decides() -> None:
    world = two()
    first = world.receive("+1")
    world.wait(1_000)
    world.say("ana", "conversation.close", conversation=first.id)
    assert world.receive("+1").assignee == "bo"


def test_the_last_agent_of_a_contact_survives_a_restart() -> None:
    world = two(sticky=True)
    first = world.receive("+1")
    world.say("ana", "conversation.close", conversation=first.id)
    world.boot()
    world.open("bo")
    world.open("ana")
    world.wait(1_000)
    assert world.receive("+1").assignee == "ana"

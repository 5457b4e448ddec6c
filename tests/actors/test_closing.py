"""Closing by hand and by itself, and reopening. [behaviour §4]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.notices import ConversationAssigned
from tests.world import START, World, service, slots, small_world

HOUR = 3_600_000
DAY = 24 * HOUR


def world_of(online: str = "ana", **settings: Any) -> World:
    return small_world(service("support", "ana bo mia/admin", **settings), online=online)


def reopened(world: World, conversation: str) -> list[str | None]:
    return [entry.reason for entry in world.timeline(conversation) if entry.type == "reopened"]


# ---------------------------------------------------------------- closing


@pytest.mark.parametrize(("who", "kind"), [("ana", "agent"), ("mia", "agent"), ("backend", "backend")])
def test_the_crew_an_admin_and_the_backend_may_close(who: str, kind: str) -> None:
    """[S3][S4]"""
    world = world_of()
    found = world.receive("+1").id
    closed = world.say(who, "conversation.close", conversation=found).conversation
    assert (closed.state, closed.assignee, closed.queued) == ("closed", None, False)
    assert (closed.needs, closed.lateness, closed.waiting_since) == (None, None, None)
    assert world.agent("ana").used["messaging"] == 0
    last = world.timeline(found)[-1]
    assert last.by is not None
    assert (last.type, last.by.kind, last.reason) == ("closed", kind, kind)


def test_another_representative_may_not() -> None:
    world = world_of()
    found = world.receive("+1").id
    assert world.refused("bo", "conversation.close", conversation=found)["reason"] == "not_in_crew"
    assert world.look(found).state == "open"


def test_whoever_is_in_the_crew_hears_that_it_is_closed() -> None:
    world = world_of("ana mia")
    found = world.receive("+1").id
    world.say("mia", "conversation.close", conversation=found)
    for name in ("ana", "mia"):
        assert world.heard(f"agent:{name}", "closed"), name


def test_closing_what_waits_takes_it_out_of_the_queue() -> None:
    world = world_of("")
    found = world.receive("+1").id
    world.say("backend", "conversation.close", conversation=found)
    world.online("ana")
    assert world.agent("ana").used["messaging"] == 0
    assert world.look(found).state == "closed"


def test_a_closed_one_has_no_ladder() -> None:
    world = world_of(auto_close_after=None)
    found = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=found)
    world.wait(3 * DAY)
    assert [entry.type for entry in world.timeline(found)][-1] == "closed"


@pytest.mark.parametrize("method", ["close", "snooze", "wake", "decline", "assign", "transfer", "join"])
def test_what_is_closed_is_in_the_wrong_state_for_nearly_everything(method: str) -> None:
    world = world_of()
    found = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=found)
    more = {"snooze": {"for": "1h"}, "transfer": {"agent": "bo"}}.get(method, {})
    data = world.refused("ana", f"conversation.{method}", conversation=found, **more)
    assert (data["reason"], data["state"]) == ("wrong_state", "closed")


def test_the_house_cannot_send_into_a_closed_one() -> None:
    world = world_of()
    found = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=found)
    for who in ("ana", "backend"):
        data = world.refused(who, "message.send", conversation=found, text="Hi")
        assert (data["reason"], data["state"]) == ("wrong_state", "closed")
    world.say("ana", "message.comment", conversation=found, text="He was nice")


# ---------------------------------------------------------------- closing by itself


def test_the_system_closes_strictly_later_than_a_day_after_the_contacts_last_message() -> None:
    """[S4]"""
    world = world_of()
    found = world.receive("+1").id
    world.wait(HOUR)
    world.receive("+1", "More")
    world.say("ana", "message.send", conversation=found, text="An agent's message does not count")
    world.wait(DAY)
    assert world.look(found).state == "open"
    world.wait(1)
    now = world.look(found)
    assert (now.state, now.assignee) == ("closed", None)
    last = world.timeline(found)[-1]
    assert last.by is not None
    assert (last.type, last.by.kind, last.reason, last.at) == ("closed", "system", "auto", START + HOUR + DAY + 1)
    assert world.agent("ana").used["messaging"] == 0


def test_one_that_only_waits_is_closed_as_well() -> None:
    world = world_of("")
    found = world.receive("+1").id
    world.wait(DAY + 1)
    assert world.look(found).state == "closed"
    assert not world.look(found).queued


def test_one_without_any_message_is_closed_a_day_after_its_creation() -> None:
    world = world_of()
    found = world.start("nia", text=None, service="support").id
    world.wait(DAY)
    assert world.look(found).state == "open"
    world.wait(1)
    assert world.look(found).state == "closed"


def test_a_reopening_starts_the_clock_anew() -> None:
    world = world_of()
    found = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=found)
    world.wait(DAY - 1)
    world.say("ana", "conversation.reopen", conversation=found)
    world.wait(DAY)
    assert world.look(found).state == "open"
    world.wait(1)
    assert world.look(found).state == "closed"


def test_null_means_no_automatic_end_and_giving_one_applies_at_once() -> None:
    world = world_of(auto_close_after=None)
    found = world.receive("+1").id
    world.wait(40 * DAY)
    assert world.look(found).state == "open"
    world.say("backend", "service.put", service={"id": "support", "auto_close_after": "41d"})
    world.wait(DAY)
    assert world.look(found).state == "open"
    world.wait(1)
    assert world.look(found).state == "closed"


# ---------------------------------------------------------------- reopening


def test_by_its_contact_it_is_routed_with_an_empty_crew_a_new_wait_and_a_new_age() -> None:
    world = world_of("ana")
    found = world.receive("+1").id
    world.say("ana", "conversation.join", conversation=found)
    world.say("ana", "conversation.close", conversation=found)
    world.say("ana", "agent.set_availability", available=False)
    world.wait(HOUR)
    now = world.receive("+1", "One more thing")
    assert (now.id, now.state, now.crew, now.needs) == (found, "open", (), "rep")
    assert (now.waiting_since, now.queued_since) == (world.now, world.now)
    assert reopened(world, found) == ["contact"]
    world.online("bo")
    assert world.look(found).crew == ("bo",)


def test_by_the_backend_it_is_routed_with_an_empty_crew() -> None:
    world = world_of("ana")
    found = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=found)
    world.wait(HOUR)
    world.online("bo")
    now = world.say("backend", "conversation.reopen", conversation=found).conversation
    assert (now.state, now.assignee, now.crew, now.waiting_since) == ("open", "bo", ("bo",), None)
    assert [item.reason for item in world.told("agent:bo", ConversationAssigned)] == ["reopened"]
    assert reopened(world, found) == ["backend"]


def test_by_an_agent_it_is_assigned_to_that_agent_above_the_maximum_if_need_be() -> None:
    world = small_world(service("support", "ana"), online="ana", agents=[slots("ana", 1)])
    found = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=found)
    world.receive("+2")
    world.say("ana", "agent.set_availability", available=False)
    now = world.say("ana", "conversation.reopen", conversation=found).conversation
    assert (now.assignee, now.crew) == ("ana", ("ana",))
    assert world.agent("ana").used["messaging"] == 2
    last = world.timeline(found)[-1]
    assert (last.type, last.reason) == ("assigned", "reopened")


def test_a_reopening_restarts_the_idle_clock() -> None:
    world = world_of("ana bo")
    found = world.receive("+1").id
    world.wait(1)
    world.receive("+2")
    world.say("ana", "conversation.close", conversation=found)
    world.wait(1)
    world.say("ana", "conversation.reopen", conversation=found)
    assert world.receive("+3").assignee == "bo"


def test_what_is_open_cannot_be_reopened() -> None:
    world = world_of()
    found = world.receive("+1").id
    data = world.refused("ana", "conversation.reopen", conversation=found)
    assert (data["reason"], data["state"]) == ("wrong_state", "open")


def test_where_closed_ones_do_not_go_on_a_contact_cannot_write_into_one() -> None:
    world = world_of(reopen="new")
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.close", conversation=found)
    data = world.refused("contact:nia", "message.send", conversation=found, text="Again")
    assert (data["reason"], data["state"]) == ("wrong_state", "closed")
    assert world.start("nia", service="support").id != found


def test_a_second_live_one_in_its_service_stands_in_the_way() -> None:
    world = world_of(reopen="new")
    old = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=old)
    world.receive("+1")
    for who in ("ana", "backend"):
        assert world.refused(who, "conversation.reopen", conversation=old)["reason"] == "conflict"
    assert world.look(old).state == "closed"


def test_whoever_handled_it_stays_in_the_timeline() -> None:
    world = world_of()
    found = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=found)
    world.receive("+1", "Again")
    assert "ana" in [entry.agent for entry in world.timeline(found) if entry.type == "assigned"]


def test_a_closed_one_is_found_again_after_a_restart() -> None:
    world = world_of()
    found = world.receive("+1").id
    world.say("ana", "conversation.close", conversation=found)
    world.boot()
    assert found not in world.core.house.conversations, "closed ones stay in the store until somebody asks"
    assert world.receive("+1", "Again").id == found
    assert world.look(found).state == "open"

"""Snoozing and waking. [S3; behaviour §4]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.notices import ConversationAssigned
from tests.world import START, World, service, slots, small_world

HOUR = 3_600_000
DAY = 24 * HOUR


def asleep(length: str = "3h", **settings: Any) -> tuple[World, str]:
    """ana has answered a conversation and snoozed it."""
    world = small_world(service("support", "ana bo mia/admin", **settings), online="ana")
    found = world.receive("+1").id
    world.say("ana", "message.send", conversation=found, text="Did it work?")
    world.say("ana", "conversation.snooze", conversation=found, **{"for": length})
    return world, found


def woken(world: World, conversation: str) -> list[tuple[str | None, str | None, int]]:
    entries = [entry for entry in world.timeline(conversation) if entry.type == "woke"]
    return [(entry.by and entry.by.kind, entry.reason, entry.at - START) for entry in entries]


def test_snoozing_frees_the_slot_at_once_and_says_who_did_it_and_until_when() -> None:
    world, found = asleep()
    now = world.look(found)
    assert (now.state, now.assignee, now.crew, now.queued) == ("snoozed", None, (), False)
    assert (now.snoozed_by, now.snoozed_until) == ("ana", START + 3 * HOUR)
    assert world.agent("ana").used["messaging"] == 0
    last = world.timeline(found)[-1]
    assert last.by is not None
    assert (last.type, last.by.id, last.until) == ("snoozed", "ana", START + 3 * HOUR)


@pytest.mark.parametrize(
    ("params", "length"),
    [
        ({"for": "3h"}, 3 * HOUR), ({"for": "1d"}, DAY), ({"until": "2026-01-05T09:00:00.001Z"}, 1),
        ({"until": "2026-01-06T10:00:00+01:00"}, DAY), ({"for": "365d"}, 365 * DAY),
    ],
)  # fmt: skip
def test_it_lasts_to_the_millisecond(params: dict[str, str], length: int) -> None:
    world = small_world(service("support", "ana", auto_close_after=None), online="ana")
    found = world.receive("+1").id
    world.say("ana", "conversation.snooze", conversation=found, **params)
    world.wait(length - 1)
    assert world.look(found).state == "snoozed"
    world.wait(1)
    now = world.look(found)
    assert (now.state, now.snoozed_until, now.snoozed_by, now.assignee) == ("open", None, None, "ana")
    assert woken(world, found) == [("system", "timer", length)]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"until": "2026-01-05T09:00:00.000Z"}, "until"),  # now is not the future
        ({"until": "2026-01-05T08:59:59.999Z"}, "until"),
        ({"until": "1999-12-31T00:00:00Z"}, "until"),
        ({"until": "2027-01-05T09:00:00.001Z"}, "until"),
        ({"until": "9999-01-01T00:00:00Z"}, "until"),
        ({"for": "0s"}, "for"),
        ({"for": "366d"}, "for"),
        ({"for": "365d1ms"}, "for"),
        ({}, "for"),
        ({"for": "1h", "until": "2026-01-06T09:00:00Z"}, "for"),
    ],
)
def test_the_past_a_year_away_both_and_neither_are_mistakes_in_the_params(params: dict[str, str], field: str) -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+1")
    data = world.refused("ana", "conversation.snooze", conversation=found.id, **params)
    assert (data["code"], data["field"]) == (-32602, field)
    assert world.look(found.id).state == "open"
    assert world.look(found.id).assignee == "ana"


def test_the_contacts_reply_wakes_it_and_it_goes_to_the_first_available_agent() -> None:
    world, found = asleep()
    world.online("bo")
    world.wait(2 * HOUR)
    now = world.receive("+1", "It did not")
    assert (now.id, now.state, now.assignee, now.needs) == (found, "open", "bo", "reply")
    assert woken(world, found) == [("contact", "contact", 2 * HOUR)]
    assert [item.reason for item in world.told("agent:bo", ConversationAssigned)] == ["woke"]
    world.wait(2 * HOUR)
    assert len(woken(world, found)) == 1, "the timer is gone"


def test_a_web_contact_wakes_it_by_writing_into_it() -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "3h"})
    world.say("contact:nia", "message.send", conversation=found, text="Hello?")
    assert world.look(found).state == "open"


@pytest.mark.parametrize("first", ["timer", "contact"])
def test_when_both_come_at_once_it_wakes_exactly_once(first: str) -> None:
    world, found = asleep()
    world.wait(3 * HOUR - 1)
    if first == "contact":
        world.receive("+1", "Just before")
        world.wait(1)
    else:
        world.now += 1  # the message comes in the very step in which the timer fires
        world.receive("+1", "At the same moment")
    world.wait(HOUR)
    assert [reason for _, reason, _ in woken(world, found)] == [first]
    assert world.look(found).assignee == "ana"


def test_a_waking_starts_a_new_age_and_a_new_place_in_the_queue() -> None:
    world, found = asleep()
    world.say("ana", "agent.set_availability", available=False)
    world.wait(HOUR)
    waits = world.receive("+2")
    world.wait(2 * HOUR)
    now = world.look(found)
    assert (now.queued, now.queued_since) == (True, world.now)
    assert (world.look(waits.id).position, now.position) == (1, 2)


@pytest.mark.parametrize("who", ["ana", "bo", "mia", "backend"])
def test_any_agent_who_sees_it_may_wake_it_by_hand(who: str) -> None:
    world, found = asleep()
    kind = "backend" if who == "backend" else "agent"
    assert world.say(who, "conversation.wake", conversation=found).conversation.assignee == "ana"
    assert woken(world, found) == [(kind, kind, 0)]
    world.wait(4 * HOUR)
    assert len(woken(world, found)) == 1


def test_only_what_sleeps_can_be_woken() -> None:
    world, found = asleep()
    world.say("ana", "conversation.wake", conversation=found)
    data = world.refused("ana", "conversation.wake", conversation=found)
    assert (data["reason"], data["state"]) == ("wrong_state", "open")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("conversation.transfer", {"agent": "ana"}), ("conversation.assign", {}), ("conversation.decline", {}),
        ("conversation.snooze", {"for": "1h"}), ("conversation.reopen", {}),
    ],
)  # fmt: skip
def test_while_snoozed_it_cannot_be_handed_over_nor_snoozed_again(method: str, params: dict[str, str]) -> None:
    world, found = asleep()
    world.say("ana", "conversation.join", conversation=found)
    data = world.refused("ana", method, conversation=found, **params)
    assert (data["reason"], data["state"]) == ("wrong_state", "snoozed")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("conversation.transfer", {"agent": "bo"}), ("conversation.decline", {}),
        ("conversation.snooze", {"for": "1h"}),
    ],
)  # fmt: skip
def test_whoever_snoozed_it_is_told_that_it_is_snoozed(method: str, params: dict[str, str]) -> None:
    """§4: "while snoozed, transfer, assign, grab, decline and a second snooze are wrong_state {snoozed}"."""
    world, found = asleep()
    data = world.refused("ana", method, conversation=found, **params)
    assert (data["reason"], data.get("state")) == ("wrong_state", "snoozed")


def test_while_snoozed_join_comment_and_close_are_allowed() -> None:
    world, found = asleep()
    assert world.say("bo", "conversation.join", conversation=found).conversation.crew == ("bo",)
    world.say("bo", "message.comment", conversation=found, text="Let it sleep")
    now = world.say("bo", "conversation.close", conversation=found).conversation
    assert (now.state, now.snoozed_until, now.snoozed_by) == ("closed", None, None)
    world.wait(4 * HOUR)
    assert woken(world, found) == []


def test_an_agents_message_does_not_wake_it() -> None:
    world, found = asleep()
    world.say("bo", "conversation.join", conversation=found)
    world.say("bo", "message.send", conversation=found, text="By the way")
    assert world.look(found).state == "snoozed"


def test_only_the_crew_or_an_admin_may_snooze() -> None:
    world = small_world(service("support", "ana bo mia/admin"), online="ana bo mia")
    found = world.receive("+1").id
    data = world.refused("bo", "conversation.snooze", conversation=found, **{"for": "1h"})
    assert data["reason"] == "not_in_crew"
    world.say("mia", "conversation.snooze", conversation=found, **{"for": "1h"})
    assert world.look(found).snoozed_by == "mia"


def test_the_agent_it_is_taken_from_hears_that_it_is_snoozed() -> None:
    world = small_world(service("support", "ana mia/admin"), online="ana mia")
    found = world.receive("+1").id
    world.say("mia", "conversation.snooze", conversation=found, **{"for": "1h"})
    assert [entry.type for entry in world.heard("agent:ana")][-1] == "snoozed"


def test_a_wait_that_was_snoozed_goes_on_with_its_facets_and_its_ladder() -> None:
    world = small_world(service("support", "ana dee/manager"), online="ana")
    found = world.receive("+1").id
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "3h"})
    seen = [(world.look(found).needs, world.look(found).lateness)]
    for ms in (180_000, 1, 120_000):
        world.wait(ms)
        seen.append((world.look(found).needs, world.look(found).lateness))
    assert seen == [("rep", None), ("rep", None), ("rep", "soon"), ("rep", "overdue")]
    world.wait(HOUR - 300_001)
    assert world.look(found).crew == ("dee",)
    assert world.look(found).state == "snoozed"


def test_what_is_snoozed_is_never_closed_by_itself_and_the_clock_runs_from_the_waking() -> None:
    world, found = asleep("48h")
    world.wait(48 * HOUR - 1)
    assert world.look(found).state == "snoozed"
    world.wait(1 + DAY)
    assert world.look(found).state == "open"
    world.wait(1)
    assert world.look(found).state == "closed"


def test_a_sleep_survives_a_restart_and_ends_when_it_should_have() -> None:
    world, found = asleep()
    world.now += 10 * HOUR
    world.boot()
    world.give()
    assert woken(world, found) == [("system", "timer", 3 * HOUR)]
    assert world.look(found).queued_since == START + 3 * HOUR
    world.open("ana")
    assert world.look(found).assignee == "ana"


def test_it_wakes_to_an_agent_with_a_free_slot_and_else_waits() -> None:
    world = small_world(service("support", "ana"), online="ana", agents=[slots("ana", 1)])
    found = world.receive("+1").id
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "3h"})
    world.receive("+2")
    world.wait(3 * HOUR)
    assert world.look(found).queued
    assert world.agent("ana").used["messaging"] == 1

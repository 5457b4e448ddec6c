"""Moving to another inbox: the conversation goes, a read-only stub stays. [S2; behaviour §6]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.notices import ConversationAssigned
from protocol.objects import Origin
from tests.world import START, World, service, small_world

MINUTE = 60_000


def moved(online: str = "ana cy", **params: Any) -> tuple[World, str, str]:
    """nia's conversation with ana in support is moved to sales two minutes later; it and its stub."""
    world = small_world(service("support", "ana bo mia/admin"), service("sales", "cy"), online=online)
    found = world.start("nia", service="support").id
    world.wait(2 * MINUTE)
    result = world.say("ana", "conversation.move", conversation=found, service="sales", **params)
    return world, result.conversation.id, result.stub.id


def test_it_keeps_its_id_its_timeline_and_its_clocks_and_is_routed_there() -> None:
    world, found, stub = moved(comment="An order")
    assert found != stub
    now = world.look(found)
    assert (now.service, now.assignee, now.crew, now.state) == ("sales", "cy", ("cy",), "open")
    assert (now.waiting_since, now.created_at) == (START, START)
    assert [entry.type for entry in world.timeline(found, "cy")][:3] == ["created", "message", "assigned"]
    entry = next(entry for entry in world.timeline(found, "cy") if entry.type == "moved")
    assert (entry.service, entry.comment, entry.origin) == ("sales", "An order", Origin("ana", "support"))
    assert [notice.reason for notice in world.told("agent:cy", ConversationAssigned)] == ["moved"]
    assert world.agent("ana").used["chat"] == 0
    world.wait(MINUTE + 1)
    assert world.look(found).lateness == "soon"


def test_it_queues_if_nobody_is_green_and_is_never_refused_for_that() -> None:
    world, found, _ = moved(online="ana")
    now = world.look(found)
    assert (now.queued, now.service, now.queued_since) == (True, "sales", START)


def test_the_stub_names_the_target_and_nothing_waits_in_it() -> None:
    world, found, stub = moved()
    seen = world.look(stub)
    assert (seen.state, seen.moved_to, seen.service) == ("moved", "sales", "support")
    assert (seen.assignee, seen.crew, seen.queued, seen.needs, seen.lateness) == (None, (), False, None, None)
    assert [entry.type for entry in world.timeline(stub)] == ["moved"]
    world.wait(3 * 86_400_000)
    assert [entry.type for entry in world.timeline(stub)] == ["moved"]
    world.boot()
    assert world.look(stub).moved_to == "sales"
    assert world.look(found).service == "sales"


@pytest.mark.parametrize("who", ["backend", "mia"])
@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("conversation.join", {}), ("conversation.assign", {"agent": "bo"}), ("conversation.close", {}),
        ("message.comment", {"text": "x"}), ("conversation.snooze", {"for": "1h"}), ("conversation.reopen", {}),
    ],
)  # fmt: skip
def test_a_stub_is_in_the_wrong_state_for_everything(who: str, method: str, params: dict[str, str]) -> None:
    world, _, stub = moved()
    if who == "backend" and method == "conversation.join":
        return
    data = world.refused(who, method, conversation=stub, **params)
    assert (data["reason"], data["state"]) == ("wrong_state", "moved")


@pytest.mark.parametrize("who", ["ana", "mia"])
def test_sending_to_it_is_the_wrong_state(who: str) -> None:
    """§6: "sending to it is wrong_state {moved}"."""
    world, _, stub = moved()
    data = world.refused(who, "message.send", conversation=stub, text="Hello?")
    assert (data["reason"], data.get("state")) == ("wrong_state", "moved")


def test_contacts_never_see_the_stub_nor_that_it_was_moved() -> None:
    world, found, stub = moved(comment="An order")
    assert world.refused("contact:nia", "conversation.get", conversation=stub)["reason"] == "not_found"
    assert [item.id for item in world.say("contact:nia", "conversation.list").items] == [found]
    assert "moved" not in [entry.type for entry in world.timeline(found, "contact:nia")]


def test_the_contacts_next_message_finds_it_where_it_is() -> None:
    world, found, _ = moved()
    assert world.start("nia", "Hello?", service="support").id == found
    assert world.start("nia", "Hello?", service="sales").id == found


def test_a_second_live_one_there_the_same_service_and_an_unknown_one_are_refused() -> None:
    world = small_world(service("support", "ana"), service("sales", "cy"), online="ana cy")
    found = world.start("nia", service="support").id
    world.start("nia", service="sales")
    for target, reason in (("sales", "conflict"), ("support", "conflict"), ("none", "not_found")):
        data = world.refused("ana", "conversation.move", conversation=found, service=target)
        assert data["reason"] == reason
    assert world.look(found).assignee == "ana"


def test_what_is_snoozed_may_be_moved_and_sleeps_on() -> None:
    world = small_world(service("support", "ana"), service("sales", "cy"), online="ana cy")
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
    world.say("backend", "conversation.move", conversation=found, service="sales")
    now = world.look(found)
    assert (now.state, now.service, now.queued) == ("snoozed", "sales", False)
    world.wait(60 * MINUTE)
    assert world.look(found).assignee == "cy"

"""Idempotency: keys of clients and external ids of connectors. [behaviour §9; protocol §2]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.effects import Reply
from protocol.codec import encode_json
from tests.world import World, service, small_world

DAY = 86_400_000


def world_of() -> tuple[World, str]:
    world = small_world(service("support", "ana bo"), online="ana")
    return world, world.receive("+1").id


def texts(world: World, conversation: str) -> list[str | None]:
    return [entry.text for entry in world.timeline(conversation) if entry.type == "message"]


# ---------------------------------------------------------------- keys


@pytest.mark.parametrize("after", ["at once", "on another connection", "after a crash", "next day"])
def test_a_repeated_request_is_answered_as_before_and_changes_nothing(after: str) -> None:
    world, found = world_of()
    request = {"conversation": found, "text": "Only once", "key": "k1"}
    first = encode_json(world.say("ana", "message.send", **request))
    match after:
        case "on another connection":
            world.end("ana")
            world.open("ana/2")
        case "after a crash":
            world.boot()
        case "next day":
            world.wait(DAY - 1)
    seq = world.core.house.seq
    who = "ana/2" if after == "on another connection" else "ana"
    assert encode_json(world.say(who, "message.send", **request)) == first
    assert world.core.house.seq == seq
    assert texts(world, found).count("Only once") == 1


def test_the_same_key_with_other_params_or_another_method_is_a_conflict() -> None:
    world, found = world_of()
    world.say("ana", "message.send", conversation=found, text="One", key="k")
    for method, params in (("message.send", {"text": "Two"}), ("message.comment", {"text": "One"})):
        data = world.refused("ana", method, conversation=found, key="k", **params)
        assert data["reason"] == "conflict"
    assert texts(world, found)[-1] == "One"


def test_keys_are_each_principals_own() -> None:
    world, found = world_of()
    world.say("ana", "message.send", conversation=found, text="One", key="k")
    world.say("backend", "message.send", conversation=found, text="Two", key="k")
    assert texts(world, found)[-2:] == ["One", "Two"]


def test_a_refused_request_is_not_remembered() -> None:
    world, found = world_of()
    world.refused("bo", "message.send", conversation=found, text="Hi", key="k")
    world.say("bo", "conversation.join", conversation=found)
    world.say("bo", "message.send", conversation=found, text="Hi", key="k")
    assert texts(world, found)[-1] == "Hi"


def test_a_key_repeated_within_one_step_is_done_once() -> None:
    world, found = world_of()
    request = world.asked("ana", "message.send", conversation=found, text="Once", key="k")
    replies = [item for item in world.give(request, request, request).outgoing if isinstance(item, Reply)]
    assert len({encode_json(reply.result) for reply in replies}) == 1
    assert texts(world, found).count("Once") == 1


def test_the_key_of_a_step_that_the_store_refused_is_free_again() -> None:
    world, found = world_of()
    request = world.asked("ana", "message.send", conversation=found, text="Once", key="k")
    out = world.step(request)
    world.core.undo([out], world.now)
    world.say("ana", "message.send", conversation=found, text="Another", key="k")
    assert texts(world, found)[-1] == "Another"


def test_after_a_day_a_key_may_be_used_for_something_else() -> None:
    """protocol §2: "unique per principal for 24 h"."""
    world, found = world_of()
    world.say("ana", "message.send", conversation=found, text="One", key="k")
    world.receive("+1")
    world.wait(DAY)
    other = world.receive("+2").id
    world.say("ana", "message.comment", conversation=other, text="Two", key="k")


# ---------------------------------------------------------------- external ids


def receive(world: World, external: str, text: str, channel: str = "sms", **more: Any) -> Any:
    ask = {"channel": channel, "address": "+1", "external_id": external, "text": text, **more}
    return world.say(f"connector:{channel}", "connector.receive", **ask)


@pytest.mark.parametrize("after", ["at once", "a crash", "a month", "a close"])
def test_the_same_external_id_changes_nothing_and_returns_the_first_answer(after: str) -> None:
    world, found = world_of()
    first = encode_json(receive(world, "m1", "Once"))
    match after:
        case "a crash":
            world.boot()
        case "a month":
            world.wait(30 * DAY)
        case "a close":
            world.say("backend", "conversation.close", conversation=found)
    seq = world.core.house.seq
    assert encode_json(receive(world, "m1", "Changed, and yet the same", service="support")) == first
    assert world.core.house.seq == seq


def test_external_ids_are_each_channels_own() -> None:
    world, _ = world_of()
    one = receive(world, "m1", "Hi")
    two = receive(world, "m1", "Hi", channel="whatsapp")
    assert one.conversation.id != two.conversation.id


def test_one_connector_gets_the_answer_another_got() -> None:
    """The id is the channel's, not the connector's."""
    world, _ = world_of()
    first = receive(world, "m1", "Hi")
    ask = {"channel": "sms", "address": "+1", "external_id": "m1", "text": "Hi"}
    again = world.say("connector:sms,whatsapp", "connector.receive", **ask)
    assert encode_json(again) == encode_json(first)


def test_a_key_holds_for_what_a_connector_brings_too() -> None:
    """protocol §2: "a request may carry key": with other params it is a conflict."""
    world, _ = world_of()
    receive(world, "one", "Hi", key="k")
    ask = {"channel": "sms", "address": "+1", "external_id": "another", "text": "Ho", "key": "k"}
    assert world.refused("connector:sms", "connector.receive", **ask)["reason"] == "conflict"

"""An agent writes first. [S1]"""

from __future__ import annotations

from typing import Any

from tests.world import World

CONFIG: dict[str, Any] = {
    "services": [{"id": "support", "members": [{"agent": "ana"}, {"agent": "bo"}]}, {"id": "sales"}],
    "agents": [{"id": "ana"}, {"id": "bo"}],
}


def test_it_joins_the_crew_gets_the_conversation_and_its_text_is_its_own() -> None:
    world = World(CONFIG, online=["bo", "ana"])
    started = world.say("ana", "conversation.start", service="support", contact="nia", channel="web", text="Hello")
    found = world.look(started.conversation.id)
    assert (found.assignee, found.crew, found.needs) == ("ana", ("ana",), None)
    assert found.last_agent_message_at is not None
    assert found.last_contact_message_at is None


def test_to_a_known_address_the_text_goes_out_through_the_connector() -> None:
    world = World(CONFIG, online=["ana"])
    first = world.receive("+1", service="support")
    world.say("ana", "conversation.close", conversation=first.id)
    assert first.contact is not None
    second = world.say(
        "ana", "conversation.start", service="support", contact=first.contact.id, channel="sms", text="Hi"
    )
    assert not second.continued
    (delivery, entry) = next(iter(world.core.house.channels["sms"].pending.values()))
    assert (delivery.address, entry.text) == ("+1", "Hi")


def test_a_live_conversation_is_continued() -> None:
    world = World(CONFIG, online=["bo"])
    world.open("ana")
    first = world.receive("+1", service="support")
    assert first.contact is not None
    second = world.say(
        "ana", "conversation.start", service="support", contact=first.contact.id, channel="sms", text="Hi"
    )
    assert (second.continued, second.conversation.id) == (True, first.id)
    assert set(world.look(first.id).crew) == {"ana", "bo"}


def test_not_in_a_service_of_others() -> None:
    world = World(CONFIG, online=["ana"])
    refusal = world.refused("ana", "conversation.start", service="sales", contact="nia", channel="web")
    assert refusal["reason"] == "not_found"

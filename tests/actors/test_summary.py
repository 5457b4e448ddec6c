"""A conversation as its reader may see it. [behaviour §5, §7; protocol §3]"""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from protocol.codec import encode_json
from protocol.objects import Conversation
from tests.world import START, World, service, small_world

#: what people outside the house never see of a conversation
INSIDE = {
    "needs": None, "lateness": None, "waiting_since": None, "assignee": None, "crew": (), "managers_added": False,
    "skills": (), "snoozed_until": None, "snoozed_by": None, "priority": 0, "tags": (), "moved_to": None,
}  # fmt: skip


@pytest.fixture
def world() -> World:
    return small_world(service("support", "ana mia/admin", name="Support desk"), online="ana")


def seen(world: World, who: str, conversation: str) -> Conversation:
    found: Conversation = world.say(who, "conversation.get", conversation=conversation, limit=0).conversation
    return found


def test_the_house_sees_everything(world: World) -> None:
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.update", conversation=found, add_tags=["vip"], priority=7, skills=["fr"], name="A")
    world.wait(90_500)
    now = seen(world, "ana", found)
    assert now.unread == 1, "that alone is the reader's own"
    assert msgspec.structs.replace(now, unread=None) == seen(world, "backend", found) == seen(world, "mia", found)
    assert (now.service, now.channel, now.channel_class, now.state) == ("support", "web", "chat", "open")
    assert (now.assignee, now.crew, now.priority, now.skills, now.name) == ("ana", ("ana",), 7, ("fr",), "A")
    assert (now.created_at, now.last_contact_message_at, now.waiting_since) == (START, START, START)
    assert now.duration_s == 90
    assert now.contact is not None
    assert (now.contact.id, now.contact.online) == ("nia", True)


def test_people_outside_see_nothing_of_assignment_and_lateness(world: World) -> None:
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.update", conversation=found, add_tags=["vip"], priority=7, skills=["fr"])
    world.wait(400_000)
    world.say("mia", "conversation.join", conversation=found)
    outside = msgspec.structs.asdict(seen(world, "contact:nia", found))
    assert {name: outside[name] for name in INSIDE} == INSIDE
    assert outside["id"] == found
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
    outside = msgspec.structs.asdict(seen(world, "contact:nia", found))
    assert {name: outside[name] for name in INSIDE} == INSIDE
    assert outside["state"] == "open", "that it sleeps is the house's business"


@pytest.mark.parametrize("how", ["start", "list", "close"])
def test_every_answer_to_a_contact_is_the_outside_summary(world: World, how: str) -> None:
    result = world.say("contact:nia", "conversation.start", service="support", channel="web", text="Hi")
    found = result.conversation
    if how == "list":
        found = world.say("contact:nia", "conversation.list").items[0]
    if how == "close":
        world.say("ana", "conversation.close", conversation=found.id)
        found = seen(world, "contact:nia", found.id)
        assert found.state == "closed"
    data = msgspec.structs.asdict(found)
    assert {name: data[name] for name in INSIDE} == INSIDE


def test_lists_tell_a_contact_nothing_of_facets_either(world: World) -> None:
    """§7: "roles outside the house never see comments, assignment details …": counts of snoozed and rep_needed are."""
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
    listed = world.say("contact:nia", "conversation.list")
    assert listed.counts.get("snoozed", 0) == 0
    assert world.say("contact:nia", "conversation.list", status="snoozed").items == ()


def test_tags_are_the_free_ones_the_service_and_the_company_each_once(world: World) -> None:
    """[S0]"""
    found = world.receive("+1", contact={"company": "Acme"}).id
    world.say("ana", "conversation.update", conversation=found, add_tags=["vip", "Acme", "vip"])
    assert world.look(found).tags == ("vip", "Acme", "Support desk")
    world.say("ana", "conversation.update", conversation=found, remove_tags=["vip", "Acme"])
    assert world.look(found).tags == ("Support desk", "Acme")


def test_a_contact_is_online_by_class_chat_only(world: World) -> None:
    """[S4] "the contact has a live session (class chat only)"."""
    web = world.start("nia", service="support").id
    mail = world.start("nia", service="support", channel="email").id

    def online(conversation: str) -> bool:
        contact = world.look(conversation).contact
        assert contact is not None
        return contact.online

    assert (online(web), online(mail)) == (True, False)
    world.end("contact:nia")
    assert online(web) is False


def test_times_of_messages_and_the_duration_are_part_of_it(world: World) -> None:
    found = world.receive("+1").id
    world.wait(10_000)
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.wait(10_000)
    world.receive("+1", "Thanks")
    world.wait(9_999)
    world.say("ana", "conversation.close", conversation=found)
    world.wait(10_000)
    now = world.look(found)
    assert (now.last_agent_message_at, now.last_contact_message_at) == (START + 10_000, START + 20_000)
    assert now.duration_s == 29, "until it was closed"
    assert now.last_seq == world.core.house.seq


def test_queued_ones_say_since_when_and_where(world: World) -> None:
    world.say("ana", "agent.set_availability", available=False)
    first, second = world.receive("+1"), world.receive("+2")
    world.start("nia", service="support")
    assert [(item.queued, item.position) for item in (first, second)] == [(True, 1), (True, 2)]
    assert world.look(first.id).queued_since == START
    world.say("mia", "conversation.assign", conversation=first.id, agent="ana", anyway=True)
    now = world.look(first.id)
    assert (now.queued, now.queued_since, now.position) == (False, None, None)
    assert world.look(second.id).position == 1


def test_lists_and_bools_are_always_there(world: World) -> None:
    """protocol §3"""
    found: dict[str, Any] = msgspec.json.decode(encode_json(world.receive("+1")))
    for name in ("crew", "skills", "tags", "queued", "managers_added", "read_only", "by_link"):
        assert found[name] is not None, name

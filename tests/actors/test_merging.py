"""contact.merge: what moves, what is said of it, who may, and what contradicts it. [issue 4, contact identity]"""

from __future__ import annotations

import pytest

from actors import identity
from protocol.objects import By
from protocol.records import ContactAddress, ContactById, ConversationRecord
from tests.world import World, service, small_world


@pytest.fixture
def world() -> World:
    """ana and cy are in support, bo is in sales."""
    return small_world(service("support", "ana cy"), service("sales", "bo"), online="ana bo")


def record(world: World, conversation: str) -> ConversationRecord:
    return world.core.house.conversations[conversation].record


def two(world: World) -> tuple[str, str, str]:
    """nia on the web, and somebody by SMS whose crew ana is: nia's conversation, the other's, the other."""
    web, sms = world.start("nia", service="support").id, world.receive("+1", service="support")
    assert sms.contact is not None
    return web, sms.id, sms.contact.id


def test_merging_moves_conversations_addresses_and_details_and_says_so_in_both_timelines(world: World) -> None:
    web, sms, other = two(world)
    world.say("ana", "contact.update", contact=other, phone="+1", name="N.", custom={"vip": True})
    world.say("ana", "contact.update", contact="nia", name="Nia")
    merged = world.say("ana", "contact.merge", contact=other, into="nia")
    assert (merged.id, merged.name, merged.phone, merged.custom) == ("nia", "Nia", "+1", {"vip": True})
    assert record(world, sms).contact == "nia"
    for conversation in (web, sms):
        last = world.timeline(conversation)[-1]
        assert (last.type, last.by, last.who) == ("merged", By("agent", "ana"), By("contact", other))
    assert [item.id for item in world.say("contact:nia", "conversation.list").items] == [sms, web]
    again = world.receive("+1", "It is me", service="support")
    assert (again.id, again.contact and again.contact.id) == (sms, "nia")
    assert world.store.read([ContactById("nia")])[0].addresses == (ContactAddress("sms", "+1"),)


def test_closed_conversations_that_left_memory_are_moved_too(world: World) -> None:
    world.core.memory._closed_max = 0
    made = world.say("ana", "conversation.create", name="x", members=[{"contact": "nia"}]).conversation.id
    _, sms, other = two(world)
    world.say("ana", "conversation.invite", conversation=made, members=[{"contact": other}])
    old = world.receive("+1", channel="whatsapp", service="support").id
    assert record(world, old).contact != other
    whatsapp = record(world, old).contact
    for name in (old, made):
        world.say("backend", "conversation.close", conversation=name)
    world.wait(1)
    assert not {old, made} & world.core.house.conversations.keys()
    world.say("backend", "contact.merge", contact=whatsapp, into="nia")
    world.say("backend", "contact.merge", contact=other, into="nia")
    world.wait(1)
    closed = world.say("contact:nia", "conversation.list", status="closed").items
    assert {item.id for item in closed} == {old, made}
    shown = world.say("backend", "conversation.get", conversation=made).members
    assert [member.id for member in shown] == ["ana", "nia"]
    assert record(world, sms).contact == "nia"


def test_the_latest_timeline_of_who_stays_says_it_although_it_is_closed_and_gone_from_memory(world: World) -> None:
    world.core.memory._closed_max = 0
    web, _, other = two(world)
    world.say("ana", "conversation.close", conversation=web)
    world.wait(1)
    world.say("backend", "contact.merge", contact=other, into="nia")
    assert [entry.type for entry in world.timeline(web)][-1] == "merged"


def test_a_member_and_the_contact_of_one_conversation_who_are_one_person_are_in_it_once(world: World) -> None:
    web, _, other = two(world)
    world.say("ana", "conversation.invite", conversation=web, members=[{"contact": other}, {"contact": "oli"}])
    world.say("ana", "contact.merge", contact=other, into="nia")
    assert (record(world, web).contact, record(world, web).members) == ("nia", ("oli",))
    world.say("ana", "contact.merge", contact="oli", into="nia")
    assert (record(world, web).contact, record(world, web).members) == ("nia", ())


def test_merging_the_contact_into_a_member_leaves_one_contact(world: World) -> None:
    web, _, _ = two(world)
    world.say("ana", "conversation.invite", conversation=web, members=[{"contact": "oli"}])
    world.say("ana", "contact.merge", contact="nia", into="oli")
    assert (record(world, web).contact, record(world, web).members) == ("oli", ())
    assert world.say("contact:oli", "conversation.get", conversation=web).conversation.link is not None


def test_two_live_conversations_of_one_kind_are_a_conflict_and_nothing_changes(world: World) -> None:
    web, sms, other = two(world)
    rival = world.say("backend", "conversation.start", service="support", channel="web", contact=other).conversation.id
    before = world.core.house.seq
    assert world.refused("ana", "contact.merge", contact=other, into="nia")["reason"] == "conflict"
    assert (world.core.house.seq, record(world, sms).contact, record(world, rival).contact) == (before, other, other)
    world.say("backend", "conversation.close", conversation=web)
    world.say("ana", "contact.merge", contact=other, into="nia")
    assert {record(world, name).contact for name in (web, sms, rival)} == {"nia"}


def test_two_begun_with_the_same_agent_are_a_conflict_and_with_two_agents_are_none(world: World) -> None:
    for contact, agent in (("nia", "ana"), ("oli", "ana"), ("pat", "cy")):
        world.say(f"contact:{contact}", "conversation.start", agent=agent)
    assert world.refused("backend", "contact.merge", contact="oli", into="nia")["reason"] == "conflict"
    assert world.say("backend", "contact.merge", contact="pat", into="nia").id == "nia"


def test_more_closed_ones_than_can_move_at_once_are_too_large(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "MERGED_MAX", 2)
    for _ in range(3):
        found = world.say("contact:oli", "conversation.start", service="support", channel=f"web{_}").conversation.id
        world.say("backend", "conversation.close", conversation=found)
    world.start("nia", service="support")
    assert world.refused("backend", "contact.merge", contact="oli", into="nia")["reason"] == "too_large"


def test_who_may_merge(world: World) -> None:
    """An agent in the crew of a conversation of the one, who sees one of the other; the backend."""
    _, _, other = two(world)
    merge = {"contact": other, "into": "nia"}
    unknown = world.refused("bo", "contact.merge", contact="zoe", into="zoe")
    assert unknown["reason"] == "not_found"
    assert world.refused("bo", "contact.merge", **merge) == unknown
    assert world.refused("cy", "contact.merge", **merge)["reason"] == "not_in_crew"
    sales = world.start("oli", service="sales").id
    assert world.refused("ana", "contact.merge", contact=other, into="oli") == unknown
    assert world.refused("ana", "contact.merge", contact="oli", into=other) == unknown
    assert world.refused("contact:nia", "contact.merge", **merge)["reason"] == "forbidden"
    assert world.say("ana", "contact.merge", **merge).id == "nia"
    assert record(world, sales).contact == "oli"


def test_merging_again_or_with_itself_changes_nothing(world: World) -> None:
    _, _, other = two(world)
    world.say("ana", "contact.merge", contact=other, into="nia")
    before = world.core.house.seq
    for contact, into in ((other, "nia"), ("nia", other), ("nia", "nia")):
        assert world.say("ana", "contact.merge", contact=contact, into=into).id == "nia"
    assert world.core.house.seq == before

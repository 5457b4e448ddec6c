"""Created conversations: who is let in by which name, links, and what members are shown. [behaviour §7]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.effects import Reply
from protocol.members import MEMBERS_MAX, MemberView
from protocol.objects import By, Conversation
from protocol.records import ConversationRecord
from tests.world import World, service, small_world


@pytest.fixture
def world() -> World:
    """ana and bo share no service."""
    return small_world(service("support", "ana"), service("sales", "bo"), online="ana bo")


def create(world: World, who: str = "ana", **params: Any) -> Conversation:
    found: Conversation = world.say(who, "conversation.create", **{"name": "Launch", **params}).conversation
    return found


def members(world: World, conversation: str, who: str = "backend") -> tuple[MemberView, ...] | None:
    found: tuple[MemberView, ...] | None = world.say(who, "conversation.get", conversation=conversation).members
    return found


def record(world: World, conversation: str) -> ConversationRecord:
    return world.core.house.conversations[conversation].record


# ---------------------------------------------------------------- creating


def test_a_created_conversation_has_members_and_no_service_channel_assignee_or_queue(world: World) -> None:
    found = create(world, description="Everything", members=[{"agent": "bo"}, {"contact": "nia"}])
    assert (found.service, found.channel, found.assignee, found.queued) == (None, None, None, False)
    assert (found.state, found.crew, found.description) == ("open", ("ana", "bo"), "Everything")
    assert [(m.kind, m.id) for m in members(world, found.id) or ()] == [
        ("agent", "ana"), ("agent", "bo"), ("contact", "nia"),
    ]  # fmt: skip


def test_it_takes_no_slot_and_nothing_closes_it_by_itself(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}])
    world.say("contact:nia", "message.send", conversation=found.id, text="Anybody?")
    world.wait(7 * 86_400_000)
    now = world.look(found.id)
    assert world.agent("ana").used["chat"] == 0
    assert (now.state, now.needs, now.lateness, now.waiting_since) == ("open", None, None, None)


def test_the_timeline_says_who_created_it_and_everybody_in_it_hears_it(world: World) -> None:
    world.open("contact:nia")
    found = create(world, members=[{"agent": "bo"}, {"contact": "nia"}]).id
    [created] = world.timeline(found)
    assert (created.type, created.by) == ("created", By("agent", "ana"))
    for address in ("agent:ana", "agent:bo", "contact:nia"):
        assert [entry.seq for entry in world.heard(address)] == [created.seq], address


def test_the_backend_creates_and_is_no_member(world: World) -> None:
    found = create(world, "backend", members=[{"agent": "bo"}])
    assert (found.crew, record(world, found.id).created_by) == (("bo",), "backend:backend")


def test_whoever_is_not_in_it_does_not_see_it_but_the_backend(world: World) -> None:
    found = create(world).id
    for who in ("bo", "contact:nia"):
        assert world.refused(who, "conversation.get", conversation=found)["reason"] == "not_found"
        assert world.say(who, "conversation.list").items == ()
    for who in ("ana", "backend"):
        assert [item.id for item in world.say(who, "conversation.list").items] == [found]


def test_the_last_agent_leaves_and_it_stays_as_it_is(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}]).id
    left = world.say("ana", "conversation.leave", conversation=found).conversation
    assert (left.state, left.queued, left.crew) == ("open", False, ())
    assert world.timeline(found, "contact:nia")[-1].type == "left"
    assert world.core.next_deadline() is None


def test_it_is_closed_by_hand_and_goes_on_with_the_same_members(world: World) -> None:
    found = create(world, members=[{"agent": "bo"}, {"contact": "nia"}]).id
    assert world.say("ana", "conversation.close", conversation=found).conversation.state == "closed"
    world.say("contact:nia", "message.send", conversation=found, text="One more thing")
    now = world.look(found)
    assert (now.state, now.crew, now.queued) == ("open", ("ana", "bo"), False)
    world.say("bo", "conversation.close", conversation=found)
    assert world.say("bo", "conversation.reopen", conversation=found).conversation.crew == ("ana", "bo")


def test_a_closed_one_that_left_memory_is_found_by_its_members_and_its_link(world: World) -> None:
    world.core.memory._closed_max = 0
    found = create(world, members=[{"email": "guest@example.org", "name": "Guest"}, {"contact": "nia"}], by_link=True)
    world.say("ana", "conversation.close", conversation=found.id)
    world.wait(1)
    assert found.id not in world.core.house.conversations
    assert world.core.house.links == {}
    assert [item.id for item in world.say("contact:nia", "conversation.list", status="closed").items] == [found.id]
    world.wait(1)
    assert "Guest" in [member.name for member in members(world, found.id) or ()]
    world.wait(1)
    assert found.id not in world.core.house.conversations
    admitted = world.say("contact:oli", "conversation.join_link", link=found.link).conversation
    assert admitted.id == found.id
    world.wait(1)
    assert [item.id for item in world.say("contact:oli", "conversation.list", status="closed").items] == [found.id]


def test_members_come_into_memory_with_what_the_contact_reopens(world: World) -> None:
    """Found by storm 15: the contact wrote by its channel, and nobody had asked for the members."""
    world.core.memory._closed_max = 0
    found = world.receive("+1", service="support").id
    world.say("ana", "conversation.invite", conversation=found, members=[{"email": "guest@example.org"}])
    world.say("ana", "conversation.close", conversation=found)
    world.wait(1)
    world.boot()
    assert world.receive("+1", service="support").id == found
    world.wait(1)
    assert record(world, found).members[0] in world.core.house.contacts


# ---------------------------------------------------------------- names


def test_an_outside_member_needs_a_name_that_can_be_found_again(world: World) -> None:
    found = create(world).id
    for wrong in ({"name": "Nobody"}, {}):
        for method in ("conversation.invite", "conversation.remove"):
            refusal = world.refused("ana", method, conversation=found, members=[{"contact": "nia"}, wrong])
            assert (refusal["reason"], refusal["field"]) == ("member_without_email", "members.1")
    assert members(world, found) == (MemberView("agent", "ana"),)
    assert world.refused("ana", "conversation.create", name="x", members=[{}])["reason"] == "member_without_email"


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ({"agent": "nobody"}, "not_found"),
        ({"agent": "bo", "email": "bo@example.org"}, None),
        ({"contact": "a\x07b"}, None),
        ({"email": "guest@example.org", "name": "a\x07b"}, None),
    ],
)
def test_a_member_is_one_agent_contact_or_address(world: World, member: dict[str, str], reason: str | None) -> None:
    refusal = world.refused("ana", "conversation.create", name="Launch", members=[{"contact": "nia"}, member])
    assert refusal.get("reason") == reason
    assert reason or (refusal["code"], refusal["field"]) == (-32602, "members.1")
    assert not world.core.house.conversations
    assert not world.core.house.contacts


def test_several_new_addresses_in_one_request_are_several_contacts_and_one_twice_is_one(world: World) -> None:
    found = create(world, members=[{"email": f"m{n % 3}@example.org"} for n in range(6)]).id
    world.say(
        "ana", "conversation.invite", conversation=found, members=[{"email": "M1@Example.org"}, {"email": "n@x.org"}]
    )
    people = [member.id for member in members(world, found) or () if member.kind == "contact"]
    assert len(people) == len(set(people)) == 4
    other = world.receive("+1", service="support").contact
    assert other is not None
    assert other.id not in people


def test_a_refused_creation_leaves_no_contact_and_no_address_behind(world: World) -> None:
    crowd = [{"email": f"m{n}@example.org"} for n in range(MEMBERS_MAX)]
    assert world.refused("ana", "conversation.create", name="x", members=crowd)["reason"] == "too_many_members"
    house = world.core.house
    assert (house.contacts, house.contact_at, house.seq) == ({}, {}, 0)


def test_somebody_who_wrote_by_e_mail_is_the_one_who_is_invited_by_that_address(world: World) -> None:
    wrote = world.receive("Nia@Example.org", channel="email", service="support").contact
    assert wrote is not None
    found = create(world, members=[{"email": "nia@example.org"}]).id
    assert [member.id for member in members(world, found) or ()] == ["ana", wrote.id]


# ---------------------------------------------------------------- links


def test_a_link_admits_contacts_and_agents_who_then_see_it_all_from_the_start(world: World) -> None:
    made = create(world, by_link=True)
    world.say("ana", "message.send", conversation=made.id, text="Welcome")
    for who, by in (("contact:nia", By("contact", "nia")), ("bo", By("agent", "bo"))):
        shown = world.say(who, "conversation.join_link", link=made.link).conversation
        assert shown.id == made.id
        texts = [entry.text for entry in world.timeline(made.id, who) if entry.type == "message"]
        assert texts == ["Welcome"]
        last = world.timeline(made.id)[-1]
        assert (last.type, last.by, last.reason) == ("joined", by, "link")
    assert record(world, made.id).members == ("nia",)
    assert record(world, made.id).crew == ("ana", "bo")


def test_whoever_is_in_comes_in_again_and_nothing_is_said(world: World) -> None:
    made = create(world, by_link=True)
    world.say("contact:nia", "conversation.join_link", link=made.link)
    before = world.core.house.seq
    for who in ("contact:nia", "ana", "backend"):
        assert world.say(who, "conversation.join_link", link=made.link).conversation.id == made.id
    assert world.core.house.seq == before


def test_a_revoked_link_is_unknown_and_the_next_one_is_another(world: World) -> None:
    made = create(world, by_link=True)
    world.say("contact:nia", "conversation.join_link", link=made.link)
    off = world.say("ana", "conversation.update", conversation=made.id, by_link=False).conversation
    assert (off.by_link, off.link) == (False, None)
    unknown = world.refused("contact:oli", "conversation.join_link", link="no such link")
    assert world.refused("contact:oli", "conversation.join_link", link=made.link) == unknown
    again = world.say("ana", "conversation.update", conversation=made.id, by_link=True).conversation
    assert again.link not in (None, made.link)
    assert world.refused("contact:oli", "conversation.join_link", link=made.link) == unknown
    assert world.say("contact:oli", "conversation.join_link", link=again.link).conversation.id == made.id
    assert record(world, made.id).members == ("nia", "oli")


def test_saying_by_link_once_more_keeps_the_link(world: World) -> None:
    made = create(world, by_link=True)
    assert world.say("ana", "conversation.update", conversation=made.id, by_link=True).conversation.link == made.link


def test_a_link_holds_after_a_restart_and_a_revoked_one_does_not_come_back(world: World) -> None:
    kept, revoked = create(world, by_link=True), create(world, by_link=True)
    world.say("ana", "conversation.update", conversation=revoked.id, by_link=False)
    world.boot()
    assert world.say("contact:nia", "conversation.join_link", link=kept.link).conversation.id == kept.id
    assert world.refused("contact:nia", "conversation.join_link", link=revoked.link)["reason"] == "not_found"


def test_a_revocation_that_the_store_refused_has_not_happened(world: World) -> None:
    made = create(world, by_link=True)
    revoke = world.asked("ana", "conversation.update", conversation=made.id, by_link=False)
    world.core.undo([world.step(revoke)], world.now)
    assert world.say("contact:nia", "conversation.join_link", link=made.link).conversation.id == made.id


def test_of_a_revocation_and_a_presentation_in_one_step_the_earlier_counts(world: World) -> None:
    made = create(world, by_link=True)
    revoke = world.asked("ana", "conversation.update", conversation=made.id, by_link=False)
    come = world.asked("contact:nia", "conversation.join_link", link=made.link)
    _, late = (item for item in world.give(revoke, come).outgoing if isinstance(item, Reply))
    assert late.error is not None
    assert late.error.data["reason"] == "not_found"
    assert record(world, made.id).members == ()


def test_what_a_contact_starts_has_a_link_which_it_is_shown_and_which_admits(world: World) -> None:
    shown = world.say("contact:nia", "conversation.start", service="support", text="Hello").conversation
    assert (shown.by_link, bool(shown.link)) == (True, True)
    joined = world.say("contact:oli", "conversation.join_link", link=shown.link).conversation
    assert (joined.id, joined.link) == (shown.id, None)
    world.say("contact:oli", "message.send", conversation=shown.id, text="I am with nia")
    assert world.timeline(shown.id)[-1].by == By("contact", "oli")
    assert world.look(shown.id).link == shown.link


def test_what_the_house_or_a_connector_starts_has_no_link(world: World) -> None:
    started = world.say("backend", "conversation.start", service="support", contact="nia").conversation
    written = world.receive("+1", service="support")
    assert {(found.by_link, found.link) for found in (started, written)} == {(False, None)}


def test_the_link_is_for_the_house_and_the_creator_only(world: World) -> None:
    made = create(world, by_link=True, members=[{"agent": "bo"}, {"contact": "nia"}])
    for who, link in (("ana", made.link), ("bo", made.link), ("backend", made.link), ("contact:nia", None)):
        assert world.say(who, "conversation.get", conversation=made.id).conversation.link == link, who


# ---------------------------------------------------------------- starting with members


def test_the_house_starts_a_conversation_with_more_members(world: World) -> None:
    people = [{"agent": "bo"}, {"email": "guest@example.org"}, {"contact": "nia"}]
    for who in ("ana", "backend"):
        contact = f"of-{who}"
        found = world.say(who, "conversation.start", service="support", contact=contact, members=people).conversation
        kept = record(world, found.id)
        assert (kept.contact, len(kept.members), "bo" in kept.joined) == (contact, 2, True)
        invited = [entry.who for entry in world.timeline(found.id) if entry.type == "invited"]
        assert len(invited) == 3, invited
    refusal = world.refused("contact:oli", "conversation.start", service="support", members=people)
    assert refusal["reason"] == "forbidden"


# ---------------------------------------------------------------- what members are shown


def test_outside_members_list_each_other_by_name_and_id_but_not_in_a_read_only_conversation(world: World) -> None:
    world.say("contact:nia", "contact.get", contact="nia")
    found = create(world, members=[{"contact": "nia"}, {"email": "guest@example.org", "name": "Guest"}]).id
    shown = members(world, found, "contact:nia")
    assert shown is not None
    assert [(member.kind, member.name) for member in shown] == [
        ("agent", None),
        ("contact", None),
        ("contact", "Guest"),
    ]
    world.say("ana", "conversation.update", conversation=found, read_only=True)
    assert members(world, found, "contact:nia") is None
    assert members(world, found, "ana") == shown


def test_outside_a_services_conversation_its_crew_is_in_no_list_of_members(world: World) -> None:
    found = world.start("nia", service="support")
    assert members(world, found.id, "contact:nia") is None
    world.say("contact:oli", "conversation.join_link", link=found.link)
    assert [member.id for member in members(world, found.id, "contact:oli") or ()] == ["nia", "oli"]
    assert [member.id for member in members(world, found.id, "ana") or ()] == ["ana", "nia", "oli"]


def test_a_member_sees_of_the_contact_no_more_than_the_name(world: World) -> None:
    found = world.start("nia", service="support")
    world.say("backend", "contact.update", contact="nia", name="Nia", company="Fjord", email="nia@example.org")
    world.say("contact:oli", "conversation.join_link", link=found.link)
    brief = world.say("contact:oli", "conversation.get", conversation=found.id).conversation.contact
    assert (brief.name, brief.company, brief.last_active, brief.online) == ("Nia", None, None, False)
    assert world.refused("contact:oli", "contact.get", contact="nia")["reason"] == "not_found"
    world.say("ana", "conversation.update", conversation=found.id, read_only=True)
    assert world.say("contact:oli", "conversation.get", conversation=found.id).conversation.contact is None
    assert world.say("contact:nia", "conversation.get", conversation=found.id).conversation.contact.company == "Fjord"


def test_the_crew_sees_the_details_of_outside_members_and_may_change_them(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}, {"agent": "bo"}]).id
    assert world.say("bo", "contact.update", contact="nia", company="Fjord").company == "Fjord"
    world.say("ana", "conversation.remove", conversation=found, members=[{"contact": "nia"}])
    assert world.refused("bo", "contact.get", contact="nia")["reason"] == "not_found"

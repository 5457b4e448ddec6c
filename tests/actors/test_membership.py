"""Who is in a conversation: invited, removed, at most a thousand; read-only ones. [behaviour §7]"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.effects import Reply, Tell
from protocol.errors import RequestError
from protocol.members import MEMBERS_MAX
from protocol.notices import ConversationEntry, PresenceChanged
from protocol.objects import By, Entry
from protocol.records import ConversationRecord
from tests.world import World, service, small_world

CONTACTS = ("nia", "oli", "pat")


@pytest.fixture
def world() -> World:
    """ana and bo share no service."""
    return small_world(service("support", "ana"), service("sales", "bo"), online="ana bo")


def create(world: World, who: str = "ana", **params: Any) -> str:
    found: str = world.say(who, "conversation.create", **{"name": "Launch", **params}).conversation.id
    return found


def record(world: World, conversation: str) -> ConversationRecord:
    return world.core.house.conversations[conversation].record


def types(entries: list[Entry]) -> list[str]:
    return [entry.type for entry in entries]


# ---------------------------------------------------------------- inviting and removing


def test_whoever_is_invited_sees_it_from_the_start_and_hears_what_comes(world: World) -> None:
    found = create(world)
    world.say("ana", "message.send", conversation=found, text="First")
    world.open("contact:nia")
    world.say("ana", "conversation.invite", conversation=found, members=[{"contact": "nia"}, {"agent": "bo"}])
    assert types(world.heard("contact:nia")) == ["invited", "invited"]
    for who in ("contact:nia", "bo"):
        assert types(world.timeline(found, who)) == ["created", "message", "invited", "invited"]
    world.say("bo", "message.send", conversation=found, text="Second")
    assert world.heard("contact:nia")[-1].text == "Second"


def test_an_invitation_says_who_invited_whom(world: World) -> None:
    found = create(world)
    world.say("backend", "conversation.invite", conversation=found, members=[{"agent": "bo"}])
    invited = world.timeline(found)[-1]
    assert (invited.type, invited.by, invited.who) == ("invited", By("backend", "backend"), By("agent", "bo"))
    assert invited.reason == "backend"


def test_inviting_somebody_twice_changes_nothing(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}])
    people = [{"agent": "ana"}, {"contact": "nia"}, {"agent": "bo"}, {"agent": "bo"}]
    world.say("ana", "conversation.invite", conversation=found, members=people)
    assert types(world.timeline(found)) == ["created", "invited"]
    before = world.core.house.seq
    world.say("ana", "conversation.invite", conversation=found, members=people)
    assert world.core.house.seq == before
    assert (record(world, found).crew, record(world, found).members) == (("ana", "bo"), ("nia",))


def test_whoever_is_removed_hears_it_and_then_no_more(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}, {"agent": "bo"}])
    world.open("contact:nia")
    for member in ({"contact": "nia"}, {"agent": "bo"}):
        world.say("ana", "conversation.remove", conversation=found, members=[member])
    assert [(e.who, e.by, e.reason) for e in world.timeline(found) if e.type == "left"] == [
        (By("contact", "nia"), By("agent", "ana"), "removed"), (By("agent", "bo"), By("agent", "ana"), "removed"),
    ]  # fmt: skip
    assert types(world.heard("contact:nia"))[-1] == types(world.heard("agent:bo"))[-1] == "left"
    seq = world.core.house.seq
    world.say("ana", "message.send", conversation=found, text="Among us")
    for who in ("contact:nia", "bo"):
        assert world.refused(who, "conversation.get", conversation=found)["reason"] == "not_found"
        address = who if ":" in who else f"agent:{who}"
        assert all(entry.seq <= seq for entry in world.heard(address))


def test_a_resuming_member_gets_what_it_missed_while_it_was_in_and_nothing_else(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}])
    world.open("contact:nia")
    since = world.core.house.seq
    world.end("contact:nia")
    world.say("ana", "message.send", conversation=found, text="For you")
    world.say("ana", "message.comment", conversation=found, text="Not for you")
    world.say("ana", "conversation.remove", conversation=found, members=[{"contact": "nia"}])
    world.say("ana", "message.send", conversation=found, text="No longer for you")
    welcome = world.open("contact:nia", since)
    assert types(list(world.store.read([welcome.missed])[0])) == ["message", "left"]


def test_removing_who_is_not_in_changes_nothing(world: World) -> None:
    found = create(world)
    before = world.core.house.seq
    people = [{"contact": "nia"}, {"agent": "bo"}, {"email": "nobody@example.org"}, {"agent": "nobody"}]
    world.say("ana", "conversation.remove", conversation=found, members=people)
    assert world.core.house.seq == before


def test_the_contact_of_a_conversation_is_not_removed_from_it(world: World) -> None:
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.invite", conversation=found, members=[{"contact": "oli"}])
    people = [{"contact": "oli"}, {"contact": "nia"}]
    assert world.refused("ana", "conversation.remove", conversation=found, members=people)["reason"] == "conflict"
    assert record(world, found).members == ("oli",)


def test_removing_the_assignee_frees_the_slot_and_the_conversation_is_routed_anew() -> None:
    world = small_world(service("support", "ana bo"), online="ana")
    found = world.start("nia", service="support").id
    world.online("bo")
    world.say("backend", "conversation.remove", conversation=found, members=[{"agent": "ana"}])
    now = world.look(found)
    assert (now.assignee, now.crew, world.agent("ana").used["chat"]) == ("bo", ("bo",), 0)


def test_only_the_crew_and_the_backend_invite_and_remove(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}])
    for method in ("conversation.invite", "conversation.remove"):
        assert (
            world.refused("contact:nia", method, conversation=found, members=[{"contact": "oli"}])["reason"]
            == "forbidden"
        )
        assert world.refused("bo", method, conversation=found, members=[{"contact": "oli"}])["reason"] == "not_found"


def test_a_contact_who_is_in_nothing_any_more_leaves_memory(world: World) -> None:
    found = create(world, members=[{"email": "guest@example.org"}])
    world.say("ana", "conversation.remove", conversation=found, members=[{"email": "guest@example.org"}])
    world.wait(1)
    house = world.core.house
    assert (house.contacts, house.contact_at) == ({}, {})
    world.say("ana", "conversation.invite", conversation=found, members=[{"email": "guest@example.org"}])
    assert len(record(world, found).members) == 1


# ---------------------------------------------------------------- what members outside do


def test_outside_members_write_under_their_own_names_and_nobody_waits_in_a_created_conversation(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}, {"contact": "oli"}])
    for name in ("nia", "oli"):
        sent = world.say(f"contact:{name}", "message.send", conversation=found, text="Hello").entry
        assert sent.by == By("contact", name)
    now = world.look(found)
    assert (now.needs, now.waiting_since) == (None, None)


def test_a_message_of_a_member_in_a_services_conversation_waits_for_an_answer(world: World) -> None:
    found = world.start("nia", service="support").id
    world.say("ana", "message.send", conversation=found, text="Hello")
    world.say("ana", "conversation.invite", conversation=found, members=[{"contact": "oli"}])
    world.say("contact:oli", "message.send", conversation=found, text="And me?")
    assert world.look(found).needs == "reply"


def test_what_a_member_starts_is_a_conversation_of_its_own(world: World) -> None:
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.invite", conversation=found, members=[{"contact": "oli"}])
    assert world.start("oli", service="support").id != found
    assert world.start("nia", service="support").id == found


def test_members_outside_hear_that_somebody_of_the_house_types_and_no_more(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}])
    world.open("contact:nia")
    world.say("ana", "conversation.presence", conversation=found, state="typing")
    world.say("contact:nia", "conversation.presence", conversation=found, state="typing")
    told = [notice.who for notice in world.told("contact:nia", PresenceChanged)]
    assert told == [By("agent")]
    assert [notice.who for notice in world.told("agent:ana", PresenceChanged)] == [By("contact", "nia")]


# ---------------------------------------------------------------- read-only


@pytest.fixture
def readers(world: World) -> str:
    """nia and oli read; ana writes."""
    found = create(world, members=[{"contact": "nia"}, {"contact": "oli"}], read_only=True)
    for name in ("contact:nia", "contact:oli"):
        world.open(name)
    world.say("ana", "message.send", conversation=found, text="News")
    return found


def test_in_a_read_only_conversation_people_outside_read_and_react_and_do_not_write(world: World, readers: str) -> None:
    [news] = world.heard("contact:nia", "message")
    for params in ({"text": "May I?"}, {"text": "May I?", "reply_to": news.seq}):
        assert world.refused("contact:nia", "message.send", conversation=readers, **params)["reason"] == "read_only"
    world.say("contact:nia", "message.react", conversation=readers, to=news.seq, emoji="👍")
    assert types(world.timeline(readers))[-1] == "reaction"
    world.say("ana", "conversation.update", conversation=readers, read_only=False)
    assert world.say("contact:nia", "message.send", conversation=readers, text="Thanks").entry.text == "Thanks"


def test_nobody_outside_sees_who_reacted_live_in_pages_in_answers_and_in_replays(world: World, readers: str) -> None:
    [news] = world.heard("contact:oli", "message")
    seq = world.core.house.seq
    answer = world.say("contact:nia", "message.react", conversation=readers, to=news.seq, emoji="👍").entry
    assert (answer.by, answer.anonymous) == (None, True)
    for address, by in (("contact:oli", None), ("contact:nia", None), ("agent:ana", By("contact", "nia"))):
        [heard] = world.heard(address, "reaction")
        assert heard.by == by, address
    assert world.timeline(readers, "contact:oli")[-1].by is None
    assert world.timeline(readers)[-1].by == By("contact", "nia")
    world.say("ana", "conversation.update", conversation=readers, read_only=False)
    assert world.timeline(readers, "contact:oli")[-1].by is None, "it was made while nobody was to see it"
    world.end("contact:oli")
    assert world.open("contact:oli", seq).missed is not None  # the shell shows it without by: test_connection


def test_reactions_from_before_are_shown_without_names_while_it_is_read_only(world: World) -> None:
    found = create(world, members=[{"contact": "nia"}, {"contact": "oli"}])
    news = world.say("ana", "message.send", conversation=found, text="News").entry.seq
    world.say("contact:nia", "message.react", conversation=found, to=news, emoji="👍")
    assert world.timeline(found, "contact:oli")[-1].by == By("contact", "nia")
    world.say("ana", "conversation.update", conversation=found, read_only=True)
    assert world.timeline(found, "contact:oli")[-1].by is None
    assert world.timeline(found)[-1].by == By("contact", "nia")


def test_in_a_read_only_one_who_comes_and_goes_is_told_to_nobody_else_outside(world: World, readers: str) -> None:
    world.open("contact:pat")
    world.say("ana", "conversation.invite", conversation=readers, members=[{"contact": "pat"}])
    world.say("ana", "conversation.remove", conversation=readers, members=[{"contact": "pat"}])
    assert types(world.heard("contact:pat")) == ["invited", "left"]
    assert types(world.heard("contact:nia")) == ["created", "message"]
    assert types(world.timeline(readers, "contact:nia")) == ["created", "message"]
    assert types(world.timeline(readers)) == ["created", "message", "invited", "left"]
    hidden = world.timeline(readers)[-1].seq
    refusal = world.refused("contact:nia", "message.react", conversation=readers, to=hidden, emoji="x")
    assert refusal == {**world.refused("contact:nia", "message.react", conversation=readers, to=9_999, emoji="x")}


def test_the_contact_of_a_service_does_not_write_by_starting_again_and_its_channel_still_can(world: World) -> None:
    found = world.start("nia", service="support").id
    sms = world.receive("+1", service="support").id
    for name in (found, sms):
        world.say("backend", "conversation.update", conversation=name, read_only=True)
    again = world.refused("contact:nia", "conversation.start", service="support", channel="web", text="Again")
    assert again["reason"] == "read_only"
    assert world.say("contact:nia", "conversation.start", service="support", channel="web").continued
    assert world.receive("+1", "Still here", service="support").id == sms
    assert world.timeline(sms)[-1].text == "Still here"


# ---------------------------------------------------------------- at most a thousand


def crowded(world: World, free: int) -> str:
    """A conversation with so much room left."""
    return create(world, members=[{"contact": f"m{n}"} for n in range(MEMBERS_MAX - 1 - free)], by_link=True)


def test_a_thousand_members_are_enough(world: World) -> None:
    found = crowded(world, 1)
    two = [{"agent": "bo"}, {"contact": "nia"}]
    refusal = world.refused("ana", "conversation.invite", conversation=found, members=two)
    assert (refusal["reason"], refusal["limit"]) == ("too_many_members", MEMBERS_MAX)
    world.say("ana", "conversation.invite", conversation=found, members=two[:1])
    for who, method, params in (
        ("backend", "conversation.invite", {"conversation": found, "members": [{"email": "x@example.org"}]}),
        ("contact:nia", "conversation.join_link", {"link": world.look(found).link}),
    ):
        assert world.refused(who, method, **params)["reason"] == "too_many_members", method
    kept = record(world, found)
    assert len(kept.crew) + len(kept.members) == MEMBERS_MAX
    world.say("ana", "conversation.invite", conversation=found, members=[{"contact": "m1"}])


COMERS = st.lists(
    st.sampled_from(["invite nia", "invite bo", "invite email", "link oli", "link pat", "remove m1"]), max_size=6
)


@settings(max_examples=30, deadline=None)
@given(COMERS, st.integers(0, 3), st.booleans())
def test_whoever_races_for_the_last_places_the_earlier_are_let_in(comers: list[str], free: int, at_once: bool) -> None:
    """All in one step or each in its own: the same are admitted, and never one too many."""
    world = small_world(service("support", "ana"), service("sales", "bo"), online="ana bo")
    found = crowded(world, free)
    link, asked, inside = world.look(found).link, [], {"m1"}
    for comer in comers:
        verb, _, name = comer.partition(" ")
        if verb == "link":
            asked.append(world.asked(f"contact:{name}", "conversation.join_link", link=link))
        else:
            member = {"agent": name} if name == "bo" else {"contact": name} if name != "email" else {"email": "x@y.org"}
            asked.append(world.asked("backend", f"conversation.{verb}", conversation=found, members=[member]))
    outputs = [world.give(*asked)] if at_once else [world.give(item) for item in asked]
    replies = [item for out in outputs for item in out.outgoing if isinstance(item, Reply)]
    room = free
    for comer, reply in zip(comers, replies, strict=True):
        verb, _, name = comer.partition(" ")
        if verb == "remove":
            room += name in inside
            inside.discard(name)
        elif name in inside or room:
            assert reply.error is None, comer
            room -= name not in inside
            inside.add(name)
        else:
            assert isinstance(reply.error, RequestError)
            assert reply.error.data["reason"] == "too_many_members", comer
    kept = record(world, found)
    assert len(kept.crew) + len(kept.members) == MEMBERS_MAX - room
    assert len(set(kept.members)) == len(kept.members)


# ---------------------------------------------------------------- nothing of the house's own work goes out


DEEDS = ("comment", "message", "invite", "remove", "react", "details", "read_only", "writable")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(DEEDS), st.sampled_from(CONTACTS)), max_size=12))
def test_people_outside_never_hear_a_comment_a_detail_or_what_is_not_theirs(deeds: list[tuple[str, str]]) -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = create(world)
    for name in CONTACTS:
        world.open(f"contact:{name}")
    for deed, name in deeds:
        inside, out = set(record(world, found).members), len(world.outgoing)
        about: dict[str, Any] = {"conversation": found}
        match deed:
            case "comment":
                world.say("ana", "message.comment", text="SECRET", **about)
            case "message":
                world.say("ana", "message.send", text="News", **about)
            case "invite" | "remove":
                world.say("ana", f"conversation.{deed}", members=[{"contact": name}], **about)
            case "react":
                world.ask(f"contact:{name}", "message.react", to=1, emoji="👍", **about)
            case "details":
                world.ask("ana", "contact.update", contact=name, company="SECRET")
            case "read_only" | "writable":
                world.say("ana", "conversation.update", read_only=deed == "read_only", **about)
        inside |= set(record(world, found).members)
        hidden = record(world, found).read_only
        for item in world.outgoing[out:]:
            if not isinstance(item, Tell):
                continue
            heard = {str(address).partition(":")[2] for address in item.to if str(address).startswith("contact:")}
            if not heard:
                continue
            assert isinstance(item.notice, ConversationEntry)
            assert heard <= inside
            entry = item.notice.entry
            assert "SECRET" not in (entry.text or "")
            assert entry.type not in ("comment", "merged")
            if hidden:
                assert entry.type != "reaction" or entry.by is None
                assert entry.who is None or heard == {entry.who.id}

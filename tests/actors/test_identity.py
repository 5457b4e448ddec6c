"""One person, several addresses: claims at sign-in, contacts that are merged, and names that lead on. [issue 4]"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.effects import Dismiss, Opened
from protocol.ids import Principal
from protocol.objects import By
from protocol.records import ContactAddress, ContactById, ContactRecord, ConversationRecord
from tests.world import World, service, small_world

NIA = "nia@example.org"


@pytest.fixture
def world() -> World:
    """ana and cy are in support, bo is in sales."""
    return small_world(service("support", "ana cy"), service("sales", "bo"), online="ana bo")


def stored(world: World, contact: str) -> ContactRecord:
    found: ContactRecord = world.store.read([ContactById(contact)])[0]
    return found


def record(world: World, conversation: str) -> ConversationRecord:
    return world.core.house.conversations[conversation].record


def by_mail(world: World, address: str = NIA, **params: Any) -> tuple[str, str]:
    """Somebody writes by e-mail: the conversation and the contact."""
    found = world.receive(address, channel="email", service="support", **params)
    assert found.contact is not None
    return found.id, found.contact.id


def merged_into(world: World, contact: str) -> str | None:
    return stored(world, contact).merged_into


def two(world: World) -> tuple[str, str, str]:
    """nia on the web, and somebody by SMS whose crew ana is: nia's conversation, the other's, the other."""
    web, sms = world.start("nia", service="support").id, world.receive("+1", service="support")
    assert sms.contact is not None
    return web, sms.id, sms.contact.id


# ---------------------------------------------------------------- signing in


def test_who_signs_in_with_an_address_that_nobody_has_is_found_by_it(world: World) -> None:
    world.open("contact:nia", email="Nia@Example.org")
    assert stored(world, "nia").addresses == (ContactAddress("email", NIA),)
    assert by_mail(world, "NIA@example.ORG")[1] == "nia"
    made = world.say("ana", "conversation.create", name="x", members=[{"email": NIA}]).conversation.id
    assert record(world, made).members == ("nia",)


def test_whoever_is_invited_by_address_is_recognised_at_sign_in(world: World) -> None:
    made = world.say("ana", "conversation.create", name="x", members=[{"email": NIA, "name": "Nia"}]).conversation.id
    [guest] = record(world, made).members
    world.open("contact:n17", email=NIA)
    assert record(world, made).members == ("n17",)
    assert [item.id for item in world.say("contact:n17", "conversation.list").items] == [made]
    assert (stored(world, "n17").name, merged_into(world, guest)) == ("Nia", "n17")
    last = world.timeline(made)[-1]
    assert (last.type, last.by, last.who, last.reason) == ("merged", By("system"), By("contact", guest), "sign_in")
    assert "merged" not in [entry.type for entry in world.timeline(made, "contact:n17")]


def test_what_was_written_by_e_mail_before_belongs_to_who_signs_in(world: World) -> None:
    live, guest = by_mail(world)
    world.open("contact:n17", email=NIA)
    assert record(world, live).contact == "n17"
    assert [item.id for item in world.say("contact:n17", "conversation.list").items] == [live]
    assert by_mail(world, text="More") == (live, "n17")
    assert world.core.house.contact_at[ContactAddress("email", NIA)] == "n17"
    world.wait(1)
    assert guest not in world.core.house.contacts


def test_an_address_stays_with_whoever_has_signed_in(world: World) -> None:
    world.open("contact:nia", email=NIA)
    world.open("contact:oli", email=NIA)
    assert (stored(world, "oli").addresses, merged_into(world, "nia")) == ((), None)
    assert by_mail(world)[1] == "nia"


def test_a_token_without_an_address_or_with_nonsense_claims_nothing(world: World) -> None:
    for name, email in (("nia", None), ("oli", "nonsense"), ("pat", "a b@c"), ("quin", "x" * 320 + "@example.org")):
        world.open(f"contact:{name}", email=email)
    assert world.core.house.contact_at == {}


def test_a_sign_in_that_would_give_somebody_two_live_conversations_merges_nothing(world: World) -> None:
    """It is tried again at the next one."""
    mail, guest = by_mail(world)
    mine = world.say("backend", "conversation.start", service="support", channel="email", contact="n17").conversation.id
    assert mine != mail
    world.open("contact:n17", email=NIA)
    assert (record(world, mail).contact, merged_into(world, guest)) == (guest, None)
    world.say("backend", "conversation.close", conversation=mine)
    world.end("contact:n17")
    world.open("contact:n17", email=NIA)
    assert record(world, mail).contact == "n17"


def test_a_sign_in_that_the_store_refused_has_merged_nothing(world: World) -> None:
    live, guest = by_mail(world)
    before = world.core.house.seq
    opening = Opened(99, Principal("contact", "n17", email=NIA), 0)
    world.core.undo([world.step(opening)], world.now)
    assert (record(world, live).contact, world.core.house.seq) == (guest, before)
    assert world.core.house.contact_at[ContactAddress("email", NIA)] == guest
    assert list(world.core.house.contacts[guest].conversations) == [live]
    world.give(opening)
    assert record(world, live).contact == "n17"


# ---------------------------------------------------------------- names that lead on


def test_whoever_names_a_merged_contact_means_the_other_also_after_a_restart(world: World) -> None:
    _, _, other = two(world)
    world.say("ana", "contact.merge", contact=other, into="nia")
    world.start("oli", service="support", channel="scheduler")
    world.say("ana", "contact.merge", contact="nia", into="oli")
    for restarted in (False, True):
        if restarted:
            world.boot()
        for name in (other, "nia", "oli"):
            assert world.say("backend", "contact.get", contact=name).id == "oli", (name, restarted)
            listed = world.say("backend", "conversation.list", contact=name).items
            assert len(listed) == 3, (name, restarted)
    made = world.say("ana", "conversation.create", name="x", members=[{"contact": other}, {"contact": "nia"}])
    assert record(world, made.conversation.id).members == ("oli",)
    found = world.say("backend", "conversation.start", service="support", channel="web", contact="nia")
    assert (found.continued, found.conversation.contact.id) == (True, "oli")
    assert world.say("backend", "contact.update", contact=other, company="Fjord").company == "Fjord"
    assert world.say("backend", "contact.get", contact="oli").company == "Fjord"


def test_who_signs_in_by_an_old_name_is_the_new_one(world: World) -> None:
    web, sms, other = two(world)
    world.say("ana", "contact.merge", contact="nia", into=other)
    world.end("contact:nia")
    world.boot()
    welcome = world.open("contact:nia")
    assert welcome.principal is not None
    assert welcome.principal.sub == other
    assert {item.id for item in world.say("contact:nia", "conversation.list").items} == {web, sms}
    sent = world.say("contact:nia", "message.send", conversation=sms, text="Me").entry
    assert sent.by == By("contact", other)
    assert "nia" not in world.core.house.contacts or not world.core.house.contacts["nia"].sessions


def test_live_sessions_of_the_one_who_is_gone_are_sent_away_and_mean_the_other_until_then(world: World) -> None:
    web, sms, other = two(world)
    session = world.sessions["contact:nia"]
    world.outgoing.clear()
    world.say("ana", "contact.merge", contact="nia", into=other)
    assert [item for item in world.outgoing if isinstance(item, Dismiss)] == [Dismiss("contact:nia")]
    assert world.core.house.sessions[session].sub == other
    assert world.look(web).contact.online  # type: ignore[union-attr]
    assert {item.id for item in world.say("contact:nia", "conversation.list").items} == {web, sms}
    world.end("contact:nia")
    assert not world.look(web).contact.online  # type: ignore[union-attr]
    assert not world.core.house.contacts[other].sessions


def test_a_request_that_is_repeated_after_a_merge_is_still_done_once(world: World) -> None:
    """Found by storm 58: the key was looked for under the new name."""
    web, _, other = two(world)
    hello = {"conversation": web, "text": "Hello", "key": "k1"}
    world.say("contact:nia", "message.send", **hello)
    world.say("ana", "contact.merge", contact="nia", into=other)
    before = world.core.house.seq
    for again in (False, True):
        if again:
            world.end("contact:nia")
            world.boot()
        assert world.ask("contact:nia", "message.send", **hello).error is None
        assert world.core.house.seq == before


def test_a_merge_that_the_store_refused_has_not_happened(world: World) -> None:
    web, sms, other = two(world)
    session = world.sessions["contact:nia"]
    merge = world.asked("ana", "contact.merge", contact="nia", into=other)
    world.core.undo([world.step(merge)], world.now)
    house = world.core.house
    assert (record(world, web).contact, record(world, sms).contact) == ("nia", other)
    assert (house.sessions[session].sub, list(house.contacts["nia"].sessions)) == ("nia", [session])
    assert house.contacts[other].sessions == ()
    assert (list(house.contacts["nia"].conversations), list(house.contacts[other].conversations)) == ([web], [sms])


def test_who_resumes_by_an_old_name_gets_what_both_names_missed(world: World) -> None:
    web, sms, other = two(world)
    since = world.core.house.seq
    world.end("contact:nia")
    world.say("ana", "message.send", conversation=web, text="To nia")
    world.say("ana", "message.send", conversation=sms, text="Not to nia yet")
    world.say("ana", "contact.merge", contact="nia", into=other)
    world.say("ana", "message.send", conversation=web, text="To both")
    welcome = world.open("contact:nia", since)
    told = world.store.read([welcome.missed])[0]
    assert [entry.text for entry in told] == ["To nia", "Not to nia yet", "To both"]


def test_read_marks_and_meetings_go_along(world: World) -> None:
    web, _, other = two(world)
    world.say("ana", "message.send", conversation=web, text="One")
    world.say("contact:nia", "conversation.read", conversation=web, seq=world.core.house.seq)
    world.say("ana", "message.send", conversation=web, text="Two")
    booked = world.say(
        "ana", "meeting.schedule", agent="ana", start="2026-01-05T15:00:00.000Z", conversation=web
    ).meeting
    world.say("ana", "contact.merge", contact="nia", into=other)
    assert world.say("contact:nia", "conversation.get", conversation=web).conversation.unread == 1
    assert world.say("contact:nia", "meeting.cancel", meeting=booked.id).meeting.status == "cancelled"


# ---------------------------------------------------------------- whatever happens, nothing is lost


PEOPLE = ("nia", "oli", "pat", "quin")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("merge"), st.sampled_from(PEOPLE), st.sampled_from(PEOPLE)),
        st.tuples(st.just("close"), st.sampled_from(PEOPLE), st.just("")),
        st.tuples(st.just("write"), st.sampled_from(PEOPLE), st.sampled_from(("web", "sms", "email"))),
        st.tuples(st.just("sign in"), st.sampled_from(PEOPLE), st.sampled_from(("a@x.org", "b@x.org"))),
        st.tuples(st.just("mail"), st.sampled_from(("a@x.org", "b@x.org")), st.just("")),
        st.tuples(st.just("invite"), st.sampled_from(("a@x.org", "b@x.org")), st.just("")),
        st.tuples(st.just("restart"), st.just(""), st.just("")),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_every_conversation_has_one_present_contact_and_every_name_leads_to_one(
    steps: list[tuple[str, str, str]],
) -> None:
    world = small_world(service("support", "ana"), online="ana")
    world.core.memory._closed_max = 0
    made = world.say("backend", "conversation.create", name="x", members=[{"agent": "ana"}]).conversation.id
    for verb, one, other in steps:
        match verb:
            case "merge":
                world.ask("backend", "contact.merge", contact=one, into=other)
            case "close":
                for item in world.say("backend", "conversation.list", contact=one).items:
                    if item.service is not None:
                        world.say("backend", "conversation.close", conversation=item.id)
            case "write":
                world.ask("backend", "conversation.start", service="support", channel=other, contact=one, text="Hi")
            case "sign in":
                if f"contact:{one}" in world.sessions:
                    world.end(f"contact:{one}")
                world.open(f"contact:{one}", email=other)
            case "mail":
                by_mail(world, one)
            case "invite":
                world.say("backend", "conversation.invite", conversation=made, members=[{"email": one}])
            case "restart":
                world.boot()
                world.core.memory._closed_max = 0
        world.wait(1)
        _check(world)


def _check(world: World) -> None:
    house = world.core.house
    for conversation in [actor.record for actor in house.conversations.values() if actor.record.state != "moved"]:
        for name in conversation.outside:
            assert name in house.contacts, f"{name} of {conversation} is not in memory"
            assert house.contacts[name].record.merged_into is None, f"{conversation} is with {name}, who is gone"
        assert len(set(conversation.outside)) == len(conversation.outside)
    kinds = [(r.contact, r.channel, r.service) for a in house.conversations.values() if (r := a.record).state == "open"]
    assert len(kinds) == len(set(kinds)), "two live conversations of one kind"
    for actor in house.contacts.values():
        own = [r.id for a in house.conversations.values() if (r := a.record).contact == actor.record.id]
        among = [r.id for a in house.conversations.values() if actor.record.id in (r := a.record).members]
        assert (sorted(actor.conversations), sorted(actor.memberships)) == (sorted(own), sorted(among))
        for place in actor.record.addresses:
            assert house.contact_at[place] == actor.record.id

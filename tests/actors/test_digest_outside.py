"""Digests of people outside, and through restarts and refused steps. [behaviour §8]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.effects import Mail, Mailed
from protocol.codec import decode_json
from tests.digests import DAY, HOUR, MINUTE, house, mails, read, sign_in, write
from tests.world import World


@pytest.fixture
def world() -> World:
    return house()


# ---------------------------------------------------------------- people outside


def test_a_contact_of_the_web_gets_them_too_online_or_not(world: World) -> None:
    sign_in(world, "nia", "nia@example.org")
    found = world.start("nia", service="support").id
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.wait(5 * MINUTE)
    (mail,) = mails(world, "nia@example.org")
    assert decode_json(mail.data, Any)["conversations"][0]["id"] == found
    world.say("ana", "message.send", conversation=found, text="Hi again")
    world.say("contact:nia", "conversation.read", conversation=found, seq=10**6)
    world.wait(DAY)
    assert mails(world, "nia@example.org") == []


def test_a_contact_whose_address_is_taken_away_gets_no_more_of_them(world: World) -> None:
    sign_in(world, "nia", "nia@example.org")
    found = world.start("nia", service="support").id
    world.say("ana", "message.send", conversation=found, text="Hi")
    assert world.say("ana", "contact.update", contact="nia", email=None).email is None
    world.wait(DAY)
    assert mails(world, "nia@example.org") == []


def test_who_gets_the_messages_through_a_connector_gets_no_digests(world: World) -> None:
    found = world.receive("+1", service="support", contact={"email": "nia@example.org"}).id
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.wait(DAY)
    assert mails(world, "nia@example.org") == []


def test_the_day_of_people_outside_is_that_of_the_workspace() -> None:
    world = house(time_zone="Pacific/Auckland")
    sign_in(world, "nia", "nia@example.org")
    found = world.start("nia", service="support").id
    left = []
    for minute in range(0, 3 * 60, 5):
        world.say("ana", "message.send", conversation=found, text="Hi")
        world.wait(5 * MINUTE)
        left += [minute + 5] * len(mails(world, "nia@example.org"))
    assert left == [5, 120]


def test_members_of_a_created_conversation_get_them_inside_and_outside_also_after_a_restart() -> None:
    world = house({"id": "cy", "email": "cy@example.org"})
    members = [{"agent": "cy"}, {"email": "nia@example.org"}, {"email": "oli@example.org"}]
    found = world.say("ana", "conversation.create", name="Project", members=members).conversation.id
    world.wait(HOUR)
    world.say("ana", "message.send", conversation=found, text="Welcome")
    world.say("ana", "conversation.remove", conversation=found, members=[{"email": "oli@example.org"}])
    world.boot()
    world.wait(5 * MINUTE)
    recipients = sorted(item.recipient for item in world.outgoing if isinstance(item, Mail))
    assert recipients == ["cy@example.org", "nia@example.org"], "not who wrote it, and not who is out"


def test_a_new_member_is_mailed_five_minutes_after_coming_in(world: World) -> None:
    found = world.say("ana", "conversation.create", name="Project").conversation.id
    world.say("ana", "message.send", conversation=found, text="Welcome")
    world.wait(DAY)
    world.say("ana", "conversation.invite", conversation=found, members=[{"email": "nia@example.org"}])
    world.wait(5 * MINUTE - 1)
    assert mails(world, "nia@example.org") == []
    world.wait(1)
    assert len(mails(world, "nia@example.org")) == 1


def test_what_was_mailed_as_fallback_sets_off_no_digest(world: World) -> None:
    sign_in(world, "nia", "nia@example.org")
    found = world.start("nia", service="support").id
    world.end("contact:nia")
    entry = world.say("ana", "message.send", conversation=found, text="You are away").entry
    assert entry.fallback == "email"
    world.wait(0)
    fallbacks = [item for item in world.outgoing if isinstance(item, Mail)]
    assert [item.kind for item in fallbacks] == ["fallback"]
    world.give(Mailed(fallbacks[0].id, taken=True))
    world.outgoing.clear()
    world.wait(DAY)
    assert mails(world, "nia@example.org") == []


def closed_unread(world: World, *, email: str | None = "nia@example.org") -> str:
    """A closed conversation with something for the contact to read, and no room in memory for closed ones."""
    world.core.memory._closed_max = 0
    sign_in(world, "nia", email)
    found = world.start("nia", service="support").id
    world.say("ana", "message.send", conversation=found, text="Bye")
    world.say("ana", "conversation.close", conversation=found)
    world.end("contact:nia")
    world.give()
    return found


def test_a_closed_conversation_stays_in_memory_until_its_contact_is_mailed(world: World) -> None:
    found = closed_unread(world)
    world.give()
    assert found in world.core.house.conversations
    world.wait(5 * MINUTE)
    assert len(mails(world, "nia@example.org")) == 1
    world.give()
    assert found not in world.core.house.conversations
    assert len(world.core.house.digests) == 1, "its count is remembered"


def test_it_is_loaded_again_after_a_restart_and_mailed_once(world: World) -> None:
    found = closed_unread(world)
    world.boot()
    assert found in world.core.house.conversations
    world.wait(5 * MINUTE)
    assert len(mails(world, "nia@example.org")) == 1
    world.boot()
    assert found not in world.core.house.conversations
    world.wait(DAY)
    assert mails(world, "nia@example.org") == []


def test_it_does_not_stay_for_a_contact_without_an_address(world: World) -> None:
    found = closed_unread(world, email=None)
    assert found not in world.core.house.conversations


def test_what_was_closed_before_there_was_an_address_is_never_mailed(world: World) -> None:
    """Whether it is still in memory makes no difference. Storm seed 324."""
    found = closed_unread(world, email=None)
    for closed_max in (0, 10):
        world.core.memory._closed_max = closed_max
        sign_in(world, "nia", "nia@example.org")
        assert world.say("contact:nia", "conversation.get", conversation=found).conversation.unread == 1
        world.wait(DAY)
        assert mails(world, "nia@example.org") == []
        world.end("contact:nia")


def test_reading_a_closed_conversation_lets_it_go(world: World) -> None:
    found = closed_unread(world)
    read(world, found, "contact:nia")
    world.end("contact:nia")
    world.give()
    assert found not in world.core.house.conversations
    assert len(world.core.house.digests) == 0
    world.wait(DAY)
    assert mails(world, "nia@example.org") == []


# ---------------------------------------------------------------- restarts, refusals


def test_what_falls_due_while_the_server_is_down_leaves_once_after_it(world: World) -> None:
    write(world)
    world.wait(3 * MINUTE)
    world.now += 10 * MINUTE
    world.boot()
    world.wait(0)
    assert len(mails(world)) == 1
    world.boot()
    world.wait(DAY)
    assert mails(world) == []


def test_four_hours_count_from_when_the_last_one_really_left(world: World) -> None:
    write(world)
    world.now += 3 * HOUR
    world.boot()
    world.online("ana")
    write(world)
    world.wait(4 * HOUR - 1)
    assert len(mails(world)) == 1
    world.wait(1)
    assert len(mails(world)) == 1


def test_the_count_of_the_day_survives_a_restart(world: World) -> None:
    found = write(world)
    world.wait(5 * MINUTE)
    mails(world)
    world.boot()
    world.online("ana")
    assert world.core.house.digests.actors["agent:ana"].record.sent == 1
    write(world)
    world.wait(4 * HOUR - 1)
    assert mails(world) == []
    world.boot()
    world.wait(1)
    assert len(mails(world)) == 1
    world.online("ana")
    read(world, found)
    world.boot()
    assert len(world.core.house.digests) == 0


def test_a_count_that_says_nothing_any_more_is_not_loaded(world: World) -> None:
    """After two days it makes no difference: what comes then is the first of its day."""
    write(world)
    world.wait(5 * MINUTE)
    world.wait(2 * DAY)
    write(world, address="+2")
    world.boot()
    assert world.core.house.digests.actors["agent:ana"].record.sent == 0
    world.wait(5 * MINUTE)
    assert len({mail.id for mail in mails(world)}) == 2


def test_a_digest_that_the_store_refused_has_not_left_and_leaves_once(world: World) -> None:
    write(world)
    world.wait(5 * MINUTE - 1)
    world.now += 1
    out = world.step()
    assert [item.kind for item in out.outgoing if isinstance(item, Mail)] == ["digest"]
    world.core.undo([out], world.now)
    assert world.core.house.digests.actors["agent:ana"].record.sent == 0
    world.wait(0)
    assert len(mails(world)) == 1
    world.wait(DAY)
    assert mails(world) == []


def test_reading_that_the_store_refused_has_not_begun_the_count_anew(world: World) -> None:
    found = write(world)
    world.wait(5 * MINUTE)
    mails(world)
    request = world.asked("ana", "conversation.read", conversation=found, seq=10**6)
    world.fetch(request)
    out = world.step(request)
    assert len(world.core.house.digests) == 1, "it stays until this is committed"
    world.core.undo([out], world.now)
    actor = world.core.house.digests.actors["agent:ana"]
    assert (actor.record.sent, list(actor.unread)) == (1, [found])

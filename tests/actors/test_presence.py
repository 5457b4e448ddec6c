"""Who is viewing and who is typing. [S2; behaviour §6]"""

from __future__ import annotations

import pytest

from actors.presence import CHANGES_MAX, TYPING_MS
from protocol.notices import PresenceChanged
from tests.world import World, service, small_world


@pytest.fixture
def world() -> World:
    """nia's conversation is ana's; bo and mia see it; cy does not."""
    found = small_world(service("support", "ana bo mia/admin"), service("sales", "cy"), online="ana")
    found.start("nia", service="support")
    for name in ("bo", "mia"):
        found.open(name)
    return found


C = "c000000000001"


def say(world: World, who: str, state: str) -> None:
    world.say(who, "conversation.presence", conversation=C, state=state)


def heard(world: World, address: str) -> list[tuple[str | None, str]]:
    return [(notice.who.id, notice.state) for notice in world.told(address, PresenceChanged)]


def test_the_crew_and_whoever_has_it_open_hear_who_is_viewing_and_typing(world: World) -> None:
    say(world, "mia", "viewing")
    say(world, "bo", "viewing")
    say(world, "bo", "typing")
    assert heard(world, "agent:ana") == [("mia", "viewing"), ("bo", "viewing"), ("bo", "typing")]
    assert heard(world, "agent:mia") == [("bo", "viewing"), ("bo", "typing")]
    assert heard(world, "agent:bo") == [], "not of oneself"
    say(world, "mia", "idle")
    say(world, "bo", "viewing")
    assert heard(world, "agent:mia") == [("bo", "viewing"), ("bo", "typing")], "it is no longer open there"


def test_whoever_has_it_open_hears_its_entries_and_others_do_not(world: World) -> None:
    say(world, "mia", "viewing")
    world.say("ana", "message.comment", conversation=C, text="Hm")
    assert len(world.heard("agent:mia", "comment")) == 1
    assert world.heard("agent:bo", "comment") == []


def test_contacts_learn_only_that_somebody_of_the_house_types(world: World) -> None:
    for state in ("viewing", "typing", "viewing", "idle"):
        say(world, "ana", state)
    assert heard(world, "contact:nia") == [(None, "typing"), (None, "idle")]


def test_contacts_may_send_typing_and_their_viewing_is_nobodys_business(world: World) -> None:
    say(world, "contact:nia", "viewing")
    say(world, "contact:nia", "typing")
    assert heard(world, "agent:ana") == [("nia", "typing")]


def test_typing_ends_by_itself_after_ten_seconds_and_typing_on_goes_on(world: World) -> None:
    say(world, "bo", "typing")
    world.wait(TYPING_MS - 1)
    say(world, "bo", "typing")
    world.wait(TYPING_MS - 1)
    assert heard(world, "agent:ana") == [("bo", "typing")]
    world.wait(1)
    assert heard(world, "agent:ana") == [("bo", "typing"), ("bo", "viewing")]
    assert TYPING_MS == 10_000


def test_it_ends_with_the_session(world: World) -> None:
    say(world, "bo", "viewing")
    world.end("bo")
    assert heard(world, "agent:ana") == [("bo", "viewing"), ("bo", "idle")]
    assert world.core.house.presences == {}


def test_it_is_never_stored(world: World) -> None:
    seq = world.core.house.seq
    out = world.give(world.asked("ana", "conversation.presence", conversation=C, state="typing"))
    assert not out.batch
    assert world.core.house.seq == seq
    world.boot()
    assert world.core.house.presences == {}


def test_whoever_may_not_see_it_cannot_be_at_it(world: World) -> None:
    data = world.refused("cy", "conversation.presence", conversation=C, state="typing")
    assert data["reason"] == "not_found"
    assert heard(world, "agent:ana") == []


def test_changes_are_limited(world: World) -> None:
    for number in range(CHANGES_MAX):
        say(world, "ana", "typing" if number % 2 == 0 else "viewing")
    data = world.refused("ana", "conversation.presence", conversation=C, state="typing")
    assert data["reason"] == "rate_limited"
    assert data["retry_after_s"] > 0
    world.wait(10_000)
    say(world, "ana", "typing")

"""Who is viewing and who is typing. [S2; behaviour §6]"""

from __future__ import annotations

import pytest

from actors.effects import Ended, Input
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


@pytest.mark.parametrize("other", ["viewing", "idle"])
def test_changes_are_limited(world: World, other: str) -> None:
    for number in range(CHANGES_MAX):
        say(world, "ana", "typing" if number % 2 == 0 else other)
    data = world.refused("ana", "conversation.presence", conversation=C, state="typing")
    assert data["reason"] == "rate_limited"
    assert data["retry_after_s"] > 0
    say(world, "bo", "viewing")  # somebody else
    say(world, "ana", other)  # no change
    world.wait(10_000)
    say(world, "ana", "typing")


def test_what_changes_nothing_is_not_counted(world: World) -> None:
    for who, state in (("contact:nia", "viewing"), ("contact:nia", "idle"), ("ana", "typing"), ("ana", "typing")):
        for _ in range(CHANGES_MAX + 1):
            say(world, who, state)
    assert heard(world, "agent:ana") == []


def test_what_is_counted_is_forgotten_with_the_session(world: World) -> None:
    say(world, "bo", "viewing")
    assert len(world.core.house.paces) == 1
    world.end("bo")
    assert world.core.house.paces == {}


# ---------------------------------------------------------------- several sessions, several people


def test_a_person_is_there_while_one_of_its_sessions_is(world: World) -> None:
    for tab in ("bo", "bo/2", "bo/3"):
        say(world, tab, "viewing")
    world.end("bo/2")
    say(world, "bo", "idle")
    assert heard(world, "agent:ana") == [("bo", "viewing")]
    world.say("ana", "message.comment", conversation=C, text="Hm")
    assert len(world.heard("agent:bo", "comment")) == 1, "it is still open there"
    world.end("bo/3")
    assert heard(world, "agent:ana") == [("bo", "viewing"), ("bo", "idle")]


def test_typing_in_one_session_stands_above_viewing_in_another(world: World) -> None:
    say(world, "bo", "typing")
    say(world, "bo/2", "viewing")
    assert heard(world, "agent:ana") == [("bo", "typing")]
    say(world, "bo", "idle")
    assert heard(world, "agent:ana") == [("bo", "typing"), ("bo", "viewing")], "the other one has it open"


def test_typing_in_two_sessions_ends_with_the_later_one(world: World) -> None:
    say(world, "bo", "typing")
    world.wait(4_000)
    say(world, "bo/2", "typing")
    world.wait(TYPING_MS - 1)
    assert heard(world, "agent:ana") == [("bo", "typing")]
    world.wait(1)
    assert heard(world, "agent:ana") == [("bo", "typing"), ("bo", "viewing")]


def test_the_contact_hears_of_the_first_who_types_and_the_last_who_stops(world: World) -> None:
    world.say("bo", "conversation.join", conversation=C)
    for who, state in (("ana", "typing"), ("bo", "typing"), ("ana", "idle"), ("ana", "typing"), ("bo", "viewing")):
        say(world, who, state)
    assert heard(world, "contact:nia") == [(None, "typing")]
    say(world, "ana", "viewing")
    assert heard(world, "contact:nia") == [(None, "typing"), (None, "idle")]


def test_a_contact_who_types_is_nobody_of_the_house(world: World) -> None:
    say(world, "contact:nia", "typing")
    say(world, "ana", "typing")
    say(world, "contact:nia", "idle")
    say(world, "ana", "idle")
    assert heard(world, "contact:nia") == [(None, "typing"), (None, "idle")]
    assert heard(world, "agent:ana") == [("nia", "typing"), ("nia", "idle")]


def test_nothing_is_kept_once_everybody_is_idle(world: World) -> None:
    for state in ("viewing", "typing", "idle"):
        for who in ("ana", "bo", "contact:nia"):
            say(world, who, state)
    assert world.core.house.presences == {}


# ---------------------------------------------------------------- sight


def test_whoever_loses_sight_of_it_is_no_longer_there(world: World) -> None:
    """bo leaves the service; the conversation goes to another one."""
    say(world, "bo", "typing")
    members = [{"agent": "ana"}, {"agent": "mia", "role": "admin"}]
    world.say("backend", "service.put", service={"id": "support", "members": members})
    assert heard(world, "agent:ana") == [("bo", "typing"), ("bo", "idle")]
    assert heard(world, "contact:nia") == [(None, "typing"), (None, "idle")]
    assert world.core.house.presences == {}
    say(world, "ana", "viewing")
    say(world, "mia", "viewing")
    world.say("backend", "conversation.transfer", conversation=C, service="sales", anyway=True)
    assert heard(world, "agent:mia") == [], "neither sees it any more, so nobody is told of the other"
    assert heard(world, "agent:ana")[2:] == [("mia", "viewing")]
    assert world.core.house.presences == {}


def test_who_comes_back_into_sight_is_not_there_until_it_says_so(world: World) -> None:
    say(world, "bo", "viewing")
    members = [{"agent": "ana"}, {"agent": "mia", "role": "admin"}]
    world.say("backend", "service.put", service={"id": "support", "members": members})
    world.say("backend", "service.put", service={"id": "support", "members": [*members, {"agent": "bo"}]})
    world.say("ana", "message.comment", conversation=C, text="Hm")
    assert world.heard("agent:bo", "comment") == []


def test_in_grab_mode_the_losers_are_no_longer_there() -> None:
    world = small_world(service("desk", "ana bo mia/admin", mode="grab"), online="ana bo mia")
    found = world.start("nia", service="desk").id
    for name in ("ana", "bo", "mia"):
        world.say(name, "conversation.presence", conversation=found, state="viewing")
    world.say("ana", "conversation.grab", conversation=found)
    assert heard(world, "agent:mia")[-1] == ("bo", "idle")
    assert heard(world, "agent:ana")[-1] == ("bo", "idle")
    assert [notice.state for notice in world.told("agent:bo", PresenceChanged)] == ["viewing"], "of mia, before"


def test_a_closed_one_is_lost_sight_of_with_the_service_too(world: World) -> None:
    world.say("ana", "conversation.close", conversation=C)
    say(world, "bo", "viewing")
    world.say("backend", "service.put", service={"id": "support", "members": [{"agent": "ana"}]})
    assert heard(world, "agent:ana") == [("bo", "viewing"), ("bo", "idle")]


# ---------------------------------------------------------------- what the store refuses


def refuse(world: World, *inputs: Input) -> None:
    """The store refuses what these do; for a while it refuses everything else as well."""
    world.core.undo([world.step(*inputs)], world.now)


def test_what_a_refused_step_said_is_taken_back(world: World) -> None:
    say(world, "bo", "viewing")
    refuse(world, world.asked("bo", "conversation.presence", conversation=C, state="idle"))
    world.say("ana", "message.comment", conversation=C, text="Hm")
    assert len(world.heard("agent:bo", "comment")) == 1, "it is still open there"
    refuse(world, world.asked("mia", "conversation.presence", conversation=C, state="viewing"))
    say(world, "bo", "typing")
    assert heard(world, "agent:mia") == []
    say(world, "bo", "idle")
    assert world.core.house.presences == {}


def test_two_refused_steps_are_taken_back_from_the_last_to_the_first(world: World) -> None:
    say(world, "bo", "typing")
    steps = [
        world.step(world.asked("bo", "conversation.presence", conversation=C, state=s)) for s in ("idle", "viewing")
    ]
    world.core.undo(steps, world.now)
    world.wait(TYPING_MS)
    assert heard(world, "agent:ana") == [("bo", "typing"), ("bo", "viewing")], "its end is told when it comes"


def test_a_session_whose_end_was_refused_is_still_there(world: World) -> None:
    say(world, "bo", "viewing")
    end = Ended(world.sessions["bo"])
    refuse(world, end)
    assert [who.sub for who in world.core.house.presences[C].openers()] == ["bo"]
    world.give(end)
    assert heard(world, "agent:ana") == [("bo", "viewing"), ("bo", "idle")]


def test_sight_that_was_lost_in_a_refused_step_was_not_lost(world: World) -> None:
    say(world, "bo", "viewing")
    refuse(world, world.asked("backend", "service.put", service={"id": "support", "members": [{"agent": "ana"}]}))
    say(world, "bo", "typing")
    assert heard(world, "agent:ana") == [("bo", "viewing"), ("bo", "typing")]

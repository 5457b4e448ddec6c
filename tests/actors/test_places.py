"""Where a conversation stands in the lists: the same place for all that stand alike."""

from __future__ import annotations

import pytest

from actors import places
from actors.places import Place
from tests.world import World, service, small_world


@pytest.fixture
def world() -> World:
    return small_world(service("support", "ana bo"), service("sales", "cy", mode="grab"), online="ana")


def place_of(world: World, conversation: str) -> Place:
    return world.core.house.views.where.of(world.core.house.conversations[conversation].record)


def test_all_that_stand_alike_stand_in_one_place(world: World) -> None:
    one, other = (world.receive(f"+{number}", service="support").id for number in range(2))
    assert place_of(world, one) is place_of(world, other)
    assert place_of(world, one).statuses == {"every", "pending"}


def test_a_place_follows_from_all_that_a_list_asks_for(world: World) -> None:
    """[S4] Service, owner where others do not see it, state, needs, lateness, and whether the contact is there."""
    first = place_of(world, world.receive("+1", service="support").id)
    grabbed = place_of(world, world.receive("+2", service="sales").id)
    assert (grabbed.service, grabbed.whose) == ("sales", ("", None))
    assert grabbed.statuses == {"every", "rep_needed"}
    answered = world.receive("+3", service="support").id
    world.say("ana", "message.send", conversation=answered, text="Hello")
    assert place_of(world, answered).statuses == {"every"}
    online = world.start("nia", text=None, service="support").id
    assert "online" in place_of(world, online).statuses
    world.say("backend", "conversation.close", conversation=answered)
    assert place_of(world, answered).statuses == {"closed"}
    assert first.statuses == {"every", "pending"}, "what others did has not changed it"


def test_no_more_places_are_kept_than_so_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "KEPT_MAX", 2)
    found = [world.receive(f"+{number}", service="support").id for number in range(4)]
    world.say("ana", "message.send", conversation=found[0], text="Hello")
    world.say("backend", "conversation.close", conversation=found[1])
    assert [place_of(world, name).statuses for name in found] == [
        {"every"}, {"closed"}, {"every", "pending"}, {"every", "pending"}
    ]  # fmt: skip

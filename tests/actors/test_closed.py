"""How many conversations are closed, in memory or not, for whoever asks. The storms count by brute force as well."""

from __future__ import annotations

from typing import Any

import pytest

from actors.closed import Spot, Tally
from tests.world import World, service, small_world


@pytest.fixture(params=[0, 10_000], ids=["none in memory", "all in memory"])
def world(request: pytest.FixtureRequest) -> World:
    world = small_world(
        service("desk", "ana bo mia/admin", mode="grab"), service("sales", "cy bo"), online="ana bo cy mia"
    )
    world.closed_max = world.core.memory._closed_max = request.param
    return world


def closed(world: World, who: str = "backend", **filters: Any) -> int:
    found: int = world.say(who, "conversation.list", **filters).counts["closed"]
    return found


def close(world: World, address: str, *, by: str = "", channel: str = "sms", where: str = "sales") -> str:
    """A conversation that somebody has taken, and closed."""
    found = world.receive(address, service=where, channel=channel).id
    if by:
        world.say(by, "conversation.grab" if where == "desk" else "conversation.join", conversation=found)
    world.say("backend", "conversation.close", conversation=found)
    for _ in range(2):
        world.give()
    return found


def test_whatever_the_status_says_and_under_the_other_filters(world: World) -> None:
    for number in range(3):
        close(world, f"+{number}", channel="whatsapp" if number else "sms")
    close(world, "+1", where="desk", by="ana")
    assert closed(world) == closed(world, status="closed") == closed(world, status=["overdue"], sort="waiting") == 4
    assert (closed(world, service="sales"), closed(world, service="desk"), closed(world, service="no")) == (3, 1, 0)
    assert (closed(world, channels=["whatsapp"]), closed(world, channels=["email"])) == (2, 0)
    assert closed(world, service="sales", channels=["sms"]) == 1


def test_of_what_others_have_grabbed_only_admins_count_the_closed_ones(world: World) -> None:
    mine, nobodys = close(world, "+1", where="desk", by="ana"), close(world, "+2", where="desk")
    counts = {who: closed(world, who) for who in ("ana", "bo", "mia", "cy", "backend")}
    assert counts == {"ana": 2, "bo": 1, "mia": 2, "cy": 0, "backend": 2}
    for who, shown in (("ana", {mine, nobodys}), ("bo", {nobodys}), ("mia", {mine, nobodys})):
        page = world.say(who, "conversation.list", status="closed")
        assert {item.id for item in page.items} == shown
    world.say("backend", "service.put", service={"id": "desk", "mode": "push"})
    assert closed(world, "bo") == 2, "nothing is hidden in push mode"


def test_an_agent_counts_those_it_was_in_the_crew_of_wherever_they_were(world: World) -> None:
    found = world.receive("+1", service="desk").id
    world.say("ana", "conversation.join", conversation=found)
    world.say("backend", "conversation.transfer", conversation=found, service="sales", anyway=True)
    world.say("backend", "conversation.close", conversation=found)
    world.give()
    assert (closed(world, "ana"), closed(world, "ana", view="joined"), closed(world, "ana", view="mine")) == (1, 1, 0)
    assert (closed(world, "ana", service="desk"), closed(world, "ana", service="sales")) == (0, 1)
    assert [item.id for item in world.say("ana", "conversation.list", status="closed").items] == [found]
    assert closed(world, "mia") == 0


def test_what_is_reopened_is_counted_no_longer_and_again_when_it_is_closed(world: World) -> None:
    found = close(world, "+1", by="cy")
    assert (closed(world), closed(world, "cy", view="joined")) == (1, 1)
    world.receive("+1", "Again")
    assert (closed(world), closed(world, "cy", view="joined")) == (0, 0)
    world.say("backend", "conversation.close", conversation=found)
    world.give()
    assert closed(world) == 1


def test_a_restart_counts_the_same(world: World) -> None:
    close(world, "+1", by="cy")
    close(world, "+2", where="desk", by="ana")
    before = {who: closed(world, who) for who in ("backend", "ana", "bo", "cy", "mia")}
    world.boot()
    assert {who: closed(world, who) for who in before} == before == {"backend": 2, "ana": 1, "bo": 1, "cy": 1, "mia": 1}


def test_a_close_that_the_store_refused_is_not_counted(world: World) -> None:
    found, old = world.receive("+1", service="sales").id, close(world, "+2", by="cy")
    world.open("backend")
    inputs = [world.asked("backend", "conversation.close", conversation=found)]
    inputs.append(world.asked("backend", "conversation.reopen", conversation=old))
    out = world.step(*inputs)
    assert closed(world) == 1
    world.core.undo([out], world.now)
    assert closed(world) == closed(world, status="closed") == 1
    assert [item.id for item in world.say("backend", "conversation.list", status="closed").items] == [old]


def test_lists_by_tag_name_or_contact_count_the_closed_ones_among_them(world: World) -> None:
    found = world.receive("+1", service="sales", contact={"name": "Kari", "company": "Fjord"})
    world.say("backend", "conversation.update", conversation=found.id, add_tags=["vip"])
    world.say("backend", "conversation.close", conversation=found.id)
    close(world, "+2")
    world.boot()
    assert found.contact is not None
    for filters in ({"tag": "vip"}, {"tag": "Fjord"}, {"search": "kari"}, {"contact": found.contact.id}):
        assert closed(world, **filters) == closed(world, "cy", **filters) == 1, filters
        assert closed(world, "ana", **filters) == 0, filters
    assert (closed(world, tag="sales"), closed(world, search="ola")) == (2, 0)


def test_a_closed_conversation_is_listed_with_its_contact_wherever_that_is(world: World) -> None:
    found = world.receive("+1", service="sales", contact={"name": "Kari"}).id
    world.say("backend", "conversation.close", conversation=found)
    world.boot()
    (item,) = world.say("cy", "conversation.list", status="closed").items
    assert item.contact is not None
    assert item.contact.name == "Kari"
    assert item.contact.id not in world.core.house.contacts, "looked up for the answer, and let go"


def test_more_are_counted_than_are_listed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.memory.CLOSED_LISTED", 2)
    for number in range(4):
        close(world, f"+{number}")
    world.boot()
    page = world.say("backend", "conversation.list", status="closed")
    assert (len(page.items), page.cursor, page.counts["closed"]) == (2, None, 4)


def test_a_plain_list_asks_the_store_for_nothing_unless_it_shows_closed_ones(world: World) -> None:
    world.open("backend")
    for filters in ({}, {"service": "sales", "channels": ["sms"]}, {"view": "joined"}, {"status": "overdue"}):
        for who in ("ana", "backend"):
            assert world.core.questions([world.asked(who, "conversation.list", **filters)]) == [], filters
    assert world.core.questions([world.asked("ana", "conversation.list", status="closed")]) != []


def test_a_tally_forgets_an_agent_s_places_when_they_are_empty() -> None:
    tally, spot = Tally(), Spot("s", "sms", "ana")
    tally.add_crew("ana", spot, 2)
    tally.add_crew("ana", spot, -2)
    assert list(tally.of_crew("ana")) == []

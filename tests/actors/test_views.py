"""Lists: who sees what, filters, counts and pages. [behaviour §5, §6]"""

from __future__ import annotations

from typing import Any

import pytest

from tests.world import World, service, small_world


@pytest.fixture
def world() -> World:
    return small_world(service("support", "ana bo mia/admin"), service("sales", "cy"), online="ana")


def ids(world: World, who: str = "backend", **filters: Any) -> list[str]:
    return [item.id for item in world.say(who, "conversation.list", **filters).items]


def counts(world: World, who: str = "backend", **filters: Any) -> dict[str, int]:
    found: dict[str, int] = world.say(who, "conversation.list", **filters).counts
    return {name: number for name, number in found.items() if number}


def test_all_joined_and_mine(world: World) -> None:
    """[S2]"""
    mine, joined, other = (world.receive(f"+{number}", service="support").id for number in range(3))
    elsewhere = world.receive("+9", service="sales").id
    world.say("mia", "conversation.assign", conversation=joined, agent="bo", anyway=True)
    world.say("ana", "conversation.join", conversation=joined)
    world.say("mia", "conversation.assign", conversation=other, agent="bo", anyway=True)
    assert set(ids(world, "ana")) == {mine, joined, other}
    assert set(ids(world, "ana", view="joined")) == {mine, joined}
    assert ids(world, "ana", view="mine") == [mine]
    assert ids(world, "cy") == [elsewhere]
    assert len(ids(world)) == 4


def test_closed_ones_only_when_asked_for(world: World) -> None:
    closed, live = world.receive("+1", service="support").id, world.receive("+2", service="support").id
    world.say("backend", "conversation.close", conversation=closed)
    assert ids(world) == [live]
    assert ids(world, status="closed") == [closed]
    assert set(ids(world, "bo", status=["closed", "pending"])) == {closed, live}
    assert ids(world, "cy", status="closed") == []
    world.boot()
    assert ids(world, status="closed") == [closed], "from the store as well"


def test_each_status_selects_on_its_facet(world: World) -> None:
    """[S4] One may be in several."""
    pending = world.receive("+1", service="support").id
    rep = world.receive("+2", service="sales").id
    asleep = world.receive("+3", service="support").id
    world.say("ana", "message.send", conversation=asleep, text="Bye")
    world.say("ana", "conversation.snooze", conversation=asleep, **{"for": "9h"})
    web = world.start("nia", text=None, service="support").id
    world.wait(200_000)
    assert {status: ids(world, status=status) for status in ("rep_needed", "pending", "snoozed", "online")} == {
        "rep_needed": [rep], "pending": [pending], "snoozed": [asleep], "online": [web],
    }  # fmt: skip
    assert ids(world, status="soon") == [rep, pending]
    assert ids(world, status="overdue") == []
    world.wait(200_000)
    assert ids(world, status="soon") == []
    assert ids(world, status="overdue") == [rep, pending]
    assert counts(world) == {"rep_needed": 1, "pending": 1, "overdue": 2, "snoozed": 1, "online": 1}


def test_counts_are_under_the_other_filters_whatever_the_status(world: World) -> None:
    world.receive("+1", service="support")
    world.receive("+2", service="sales")
    assert counts(world, status="snoozed") == {"pending": 1, "rep_needed": 1}
    assert counts(world, service="sales") == {"rep_needed": 1}
    assert counts(world, "ana", status="overdue") == {"pending": 1}


def test_closed_ones_are_counted_whatever_the_status_says(world: World) -> None:
    """protocol §4: counts "under the other filters, whatever status says"."""
    found = world.receive("+1", service="support").id
    world.say("ana", "conversation.close", conversation=found)
    assert counts(world)["closed"] == 1


def test_a_closed_one_is_not_among_those_online(world: World) -> None:
    """§6: "all without closed ones unless asked"; and what a list shows must not depend on what is in memory."""
    found = world.start("nia", service="support").id
    world.say("ana", "conversation.close", conversation=found)
    assert ids(world, status="online") == []
    assert counts(world) == {"closed": 1}


def test_filters_narrow_each_other(world: World) -> None:
    kari = world.receive("+1", service="support", contact={"name": "Kari Nordmann"}).id
    ola = world.receive("+2", service="support", contact={"name": "Ola"}, channel="whatsapp").id
    nobody = world.receive("+3", service="sales").id
    world.say("backend", "conversation.update", conversation=ola, add_tags=["vip"])
    assert ids(world, search="NORD") == [kari]
    assert ids(world, search="") == [nobody, ola, kari]
    assert ids(world, search="zzz") == []
    assert ids(world, tag="vip") == [ola]
    assert ids(world, tag="sales") == [nobody]
    assert ids(world, channels=["whatsapp", "email"]) == [ola]
    assert ids(world, service="support", channels=["sms"]) == [kari]
    assert ids(world, "ana", service="sales") == []


@pytest.mark.parametrize("filters", [{"view": "mine"}, {"view": "joined"}, {"tag": "vip"}, {"tag": "support"}])
def test_a_contact_cannot_ask_by_crews_or_tags(world: World, filters: dict[str, str]) -> None:
    """§7: what is the house's own business cannot be found out by filters either, not even by an agent's namesake."""
    found = world.start("ana", service="support").id
    world.say("ana", "conversation.update", conversation=found, add_tags=["vip"])
    assert ids(world, "contact:ana", **filters) == []
    assert ids(world, "contact:ana") == [found]


def test_pages_follow_each_other_without_gap_or_repeat(world: World) -> None:
    every = [world.receive(f"+{number}", service="support").id for number in range(7)]
    found: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(4):
        page = world.say("backend", "conversation.list", limit=2, **cursor)
        found += [item.id for item in page.items]
        assert len(page.items) <= 2
        if page.cursor is None:
            break
        cursor = {"cursor": page.cursor}
    assert found == every[::-1], "newest first"


def test_a_page_that_is_just_full_is_the_last(world: World) -> None:
    for number in range(2):
        world.receive(f"+{number}", service="support")
    assert world.say("backend", "conversation.list", limit=2).cursor is None


def read_on(world: World, page: Any) -> list[str]:
    """The rest of a list by waiting time, two a page."""
    found: list[str] = []
    while page.cursor is not None:
        page = world.say("backend", "conversation.list", sort="waiting", limit=2, cursor=page.cursor)
        found += [item.id for item in page.items]
    return found


def test_by_waiting_time_whoever_goes_on_waiting_comes_once_whatever_happens_between_two_pages(world: World) -> None:
    """docs/guide.md: what is answered meanwhile comes once more, among those who do not wait."""
    every = []
    for number in range(5):
        every.append(world.receive(f"+{number}", service="support").id)
        world.wait(1)
    page = world.say("backend", "conversation.list", sort="waiting", limit=2)
    assert [item.id for item in page.items] == every[:2]
    for answered in (every[0], every[3]):
        world.say("ana", "message.send", conversation=answered, text="Hi")
    new = world.receive("+9", service="support").id
    assert read_on(world, page) == [every[2], every[4], new, every[0], every[3]]


def test_by_age_whatever_stays_in_the_list_comes_once_whatever_happens_between_two_pages(world: World) -> None:
    every = [world.receive(f"+{number}", service="support").id for number in range(5)]
    page = world.say("backend", "conversation.list", sort="oldest", limit=2)
    world.say("ana", "message.send", conversation=every[0], text="Hi")
    for gone in (every[1], every[3]):
        world.say("backend", "conversation.close", conversation=gone)
    new = world.receive("+9", service="support").id
    rest = world.say("backend", "conversation.list", sort="oldest", limit=9, cursor=page.cursor)
    assert [item.id for item in rest.items] == [every[2], every[4], new]

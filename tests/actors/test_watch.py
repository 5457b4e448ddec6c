"""Live lists. [behaviour §6; protocol §4, conversation.changed]"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.watch import COALESCE_MS
from protocol.notices import ConversationChanged
from tests.world import World, service, small_world


@pytest.fixture
def world() -> World:
    return small_world(service("support", "ana bo mia/admin"), service("sales", "cy"), online="ana")


def watch(world: World, who: str, **filters: Any) -> str:
    found: str = world.say(who, "conversation.watch", **filters).watch
    world.outgoing.clear()
    return found


def changes(world: World, who: str) -> list[tuple[str, bool]]:
    """What this watcher has heard, after a moment: conversation and whether it is gone."""
    world.wait(COALESCE_MS)
    notices = world.told(world.sessions[who], ConversationChanged)
    world.outgoing.clear()
    return [(notice.conversation.id, notice.gone) for notice in notices]


def test_what_enters_stays_in_and_leaves_a_list_is_told(world: World) -> None:
    watch(world, "bo", status="rep_needed", service="support")
    world.say("ana", "agent.set_availability", available=False)
    found = world.receive("+1", service="support").id
    assert changes(world, "bo") == [(found, False)]
    world.say("backend", "conversation.update", conversation=found, priority=1)
    assert changes(world, "bo") == [(found, False)]
    world.say("bo", "conversation.join", conversation=found)
    assert changes(world, "bo") == [(found, True)]
    world.say("bo", "message.send", conversation=found, text="Hi")
    assert changes(world, "bo") == []


def test_several_changes_come_as_one_with_the_last_state(world: World) -> None:
    name = watch(world, "bo")
    found = world.receive("+1", service="support").id
    for priority in (1, 2, 3):
        world.say("backend", "conversation.update", conversation=found, priority=priority)
    assert world.told(world.sessions["bo"], ConversationChanged) == []
    world.wait(COALESCE_MS)
    (notice,) = world.told(world.sessions["bo"], ConversationChanged)
    assert (notice.watch, notice.conversation.priority, notice.gone) == (name, 3, False)
    assert COALESCE_MS <= 100


def test_a_facet_that_changes_by_time_alone_is_pushed_like_any_other(world: World) -> None:
    """§5"""
    found = world.receive("+1", service="support").id
    watch(world, "mia", status=["soon", "overdue"])
    world.wait(180_000)
    assert world.told(world.sessions["mia"], ConversationChanged) == []
    world.wait(1)
    assert changes(world, "mia") == [(found, False)]


def test_nobody_hears_of_what_it_may_not_see(world: World) -> None:
    watch(world, "cy")
    world.receive("+1", service="support")
    assert changes(world, "cy") == []
    found = world.receive("+1", service="sales").id
    assert changes(world, "cy") == [(found, False)]


def test_what_moves_out_of_sight_is_gone_without_its_content(world: World) -> None:
    found = world.receive("+1", service="sales", contact={"name": "Kari"}).id
    watch(world, "cy")
    world.say("backend", "conversation.transfer", conversation=found, service="support")
    world.wait(COALESCE_MS)
    (notice,) = world.told(world.sessions["cy"], ConversationChanged)
    assert (notice.conversation.id, notice.gone) == (found, True)
    assert (notice.conversation.contact, notice.conversation.service) == (None, None)


def test_grabbed_by_another_it_is_gone() -> None:
    world = small_world(service("floor", "ana bo mia/admin", mode="grab"), online="ana bo")
    found = world.start("nia", service="floor").id
    for who in ("bo", "mia"):
        watch(world, who)
    world.say("ana", "conversation.grab", conversation=found)
    world.wait(COALESCE_MS)
    heard = {who: [notice.gone for notice in world.told(world.sessions[who], ConversationChanged)]
             for who in ("bo", "mia")}  # fmt: skip
    assert heard == {"bo": [True], "mia": [False]}


def test_a_watch_ends_with_its_session_or_by_hand(world: World) -> None:
    name = watch(world, "bo")
    watch(world, "mia")
    world.say("bo", "conversation.unwatch", watch=name)
    session = world.sessions["mia"]
    world.end("mia")
    world.receive("+1", service="support")
    assert changes(world, "bo") == []
    assert world.told(session, ConversationChanged) == []
    assert len(world.core.house.watches) == 0


def test_lists_by_tag_and_name_follow_what_changes_outside_the_conversation(world: World) -> None:
    found = world.receive("+1", service="support", contact={"name": "Kari"}).id
    watch(world, "mia", search="nordmann")
    world.receive("+1", "Hi", service="support", contact={"name": "Kari Nordmann"})
    assert changes(world, "mia") == [(found, False)]


CALLS = ["assign", "join", "leave", "close", "snooze", "send", "write", "tag", "transfer", "wait"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(CALLS), max_size=12), st.sampled_from(["pending", "rep_needed", "snoozed", "mine", ""]))
def test_whoever_applies_what_it_hears_has_the_list(calls: list[str], what: str) -> None:
    """A client that keeps what it is told has at the end what the list would show."""
    filters = {"view": "mine"} if what == "mine" else {"status": what} if what else {}
    world = small_world(service("support", "ana bo"), service("other", "bo"), online="ana bo")
    found = world.receive("+1", service="support").id
    mine = {item.id for item in world.say("ana", "conversation.list", **filters).items}
    watch(world, "ana", **filters)
    params: dict[str, tuple[str, str, dict[str, Any]]] = {
        "assign": ("bo", "conversation.assign", {}), "join": ("bo", "conversation.join", {}),
        "leave": ("ana", "conversation.leave", {}), "close": ("backend", "conversation.close", {}),
        "snooze": ("backend", "conversation.snooze", {"for": "1m"}), "send": ("ana", "message.send", {"text": "x"}),
        "tag": ("backend", "conversation.update", {"add_tags": ["x"]}),
        "transfer": ("backend", "conversation.transfer", {"service": "other", "anyway": True}),
    }  # fmt: skip
    for call in calls:
        if call in params:
            who, method, more = params[call]
            world.ask(who, method, conversation=found, **more)
        elif call == "write":
            world.receive("+1", "More", service="support")
        else:
            world.wait(61_000)
    world.wait(COALESCE_MS)
    for notice in world.told(world.sessions["ana"], ConversationChanged):
        (mine.discard if notice.gone else mine.add)(notice.conversation.id)
    assert mine == {item.id for item in world.say("ana", "conversation.list", **filters).items}

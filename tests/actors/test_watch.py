"""Live lists. [behaviour §6; protocol §4, conversation.changed]"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.service import ServiceActor
from actors.watch import COALESCE_MS, FOLLOWED
from protocol.notices import ConversationChanged
from tests.sabotage import replaces_core
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


# ---------------------------------------------------------------- positions


def queue(world: World, count: int, **more: Any) -> list[str]:
    """So many that wait, in order."""
    found = []
    for number in range(count):
        found.append(world.receive(f"+q{number}", service="queue", **more).id)
        world.wait(1)
    return found


def places(world: World, who: str) -> dict[str, int | None]:
    """The positions this watcher has been told of, after a moment."""
    world.wait(COALESCE_MS)
    notices = world.told(world.sessions[who], ConversationChanged)
    world.outgoing.clear()
    assert len({notice.conversation.id for notice in notices}) == len(notices), "each once"
    return {notice.conversation.id: notice.conversation.position for notice in notices if not notice.gone}


@pytest.fixture
def waiting() -> World:
    """Nobody in the service ``queue`` is there."""
    return small_world(service("queue", "ana bo"), service("other", "bo cy"))


@pytest.mark.parametrize("filters", [{}, {"tag": "queue"}, {"service": "queue"}, {"status": "rep_needed"}])
@pytest.mark.parametrize("who", ["ana", "backend"])
def test_a_position_that_changes_is_told_like_anything_else(waiting: World, who: str, filters: dict[str, str]) -> None:
    first, second, third = queue(waiting, 3)
    watch(waiting, who, **filters)
    waiting.say("backend", "conversation.close", conversation=first)
    assert waiting.told(waiting.sessions[who], ConversationChanged) == []
    assert places(waiting, who) == {second: 1, third: 2}
    waiting.say("backend", "conversation.update", conversation=third, priority=1)
    assert places(waiting, who) == {third: 1, second: 2}
    waiting.wait(60_000)
    assert waiting.told(waiting.sessions[who], ConversationChanged) == [], "nothing has moved since"


def test_positions_are_told_of_what_is_in_the_list_only(waiting: World) -> None:
    first, second, _ = queue(waiting, 3)
    waiting.say("ana", "conversation.join", conversation=second)
    for who, filters in (("ana", {"view": "joined"}), ("bo", {"service": "other"}), ("cy", {})):
        watch(waiting, who, **filters)
    waiting.say("backend", "conversation.close", conversation=first)
    assert {who: places(waiting, who) for who in ("ana", "bo", "cy")} == {"ana": {second: 1}, "bo": {}, "cy": {}}


def test_moves_within_a_moment_come_as_one(waiting: World) -> None:
    first, second, third = queue(waiting, 3)
    watch(waiting, "ana")
    for gone in (first, second):
        waiting.say("backend", "conversation.close", conversation=gone)
    assert places(waiting, "ana") == {third: 1}


def test_of_a_long_queue_only_the_first_are_followed(waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.watch.FOLLOWED", 3)
    every = queue(waiting, 6)
    watch(waiting, "ana")
    waiting.say("backend", "conversation.close", conversation=every[0])
    assert places(waiting, "ana") == {every[1]: 1, every[2]: 2, every[3]: 3}
    waiting.say("backend", "conversation.update", conversation=every[5], priority=1)
    assert places(waiting, "ana") == {every[5]: 1, every[1]: 2, every[2]: 3, every[3]: 4}, "also who falls behind"


def test_each_class_has_a_queue_of_its_own(waiting: World) -> None:
    sms, mail = queue(waiting, 2), queue(waiting, 2, channel="email")
    watch(waiting, "ana")
    waiting.say("backend", "conversation.close", conversation=sms[0])
    assert places(waiting, "ana") == {sms[1]: 1}
    waiting.say("backend", "conversation.close", conversation=mail[0])
    assert places(waiting, "ana") == {mail[1]: 1}


def test_positions_on_offer_are_followed_too() -> None:
    world = small_world(service("queue", "ana bo", mode="grab"), online="ana bo")
    first, second = queue(world, 2)
    watch(world, "bo")
    world.say("ana", "conversation.grab", conversation=first)
    assert places(world, "bo") == {second: 1}


def test_a_position_is_told_although_the_store_refused_the_step_that_would_have_told_it(waiting: World) -> None:
    first, second = queue(waiting, 2)
    watch(waiting, "ana")
    waiting.say("backend", "conversation.close", conversation=first)
    waiting.now += COALESCE_MS
    waiting.core.undo([waiting.step()], waiting.now)
    assert places(waiting, "ana") == {second: 1}


@replaces_core
def test_a_queue_that_moves_costs_nothing_unless_somebody_watches_it(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    front = ServiceActor.front
    monkeypatch.setattr(ServiceActor, "front", lambda self, limit: looked.append(limit) or front(self, limit))
    watch(waiting, "cy")
    looked.clear()
    first, second = queue(waiting, 2)
    waiting.wait(1_000)
    assert looked == []
    watch(waiting, "ana")
    looked.clear()
    for gone in (first, second):
        waiting.say("backend", "conversation.close", conversation=gone)
    waiting.wait(COALESCE_MS)
    assert looked == [FOLLOWED], "once for both, and of the first places only"


# ---------------------------------------------------------------- whatever happens

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

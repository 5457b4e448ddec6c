"""The queue tells the contact its position, and an estimate. [behaviour §3]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.position import RATE_FROM, TELL_MS
from protocol.notices import QueuePosition
from tests.world import World, service, slots, small_world


def told(world: World, contact: str) -> list[tuple[int | None, int | None]]:
    notices: list[Any] = world.told(f"contact:{contact}", QueuePosition)
    return [(notice.position, notice.estimate_s) for notice in notices]


def busy() -> World:
    world = small_world(service("support", "ana"), online="ana", agents=[slots("ana", 1)])
    for number, name in enumerate(("nia", "oli", "pat")):
        world.start(name, service="support")
        world.wait(number)
    return world


def test_whoever_waits_hears_its_position_and_no_estimate_while_it_is_unknown() -> None:
    world = busy()
    assert (told(world, "nia"), told(world, "oli"), told(world, "pat")) == ([], [(1, None)], [(2, None)])


def test_when_the_queue_moves_those_whose_position_changed_hear_it_soon() -> None:
    world = busy()
    world.say("ana", "conversation.close", conversation="c000000000001")
    world.wait(TELL_MS)
    assert told(world, "pat") == [(2, None), (1, None)]
    assert told(world, "oli") == [(1, None), (None, None)], "it waits no longer"
    world.wait(60_000)
    assert len(told(world, "pat")) == 2, "nothing has moved since"


def test_the_estimate_comes_from_the_recent_rate_of_assignments() -> None:
    world = small_world(service("support", "ana"), online="ana", agents=[slots("ana", 1)])
    world.start("first", service="support")
    for number in range(RATE_FROM + 1):
        world.start(f"n{number}", service="support")
    for _ in range(RATE_FROM):
        world.wait(60_000)
        for item in world.say("ana", "conversation.list", view="mine").items:
            world.say("ana", "conversation.close", conversation=item.id)
    world.start("late", service="support")
    position, estimate = told(world, "late")[-1]
    assert position == 2
    assert estimate is not None
    assert 60 <= estimate <= 240, "about a minute each"


def test_a_higher_priority_moves_everybody_behind_it() -> None:
    world = busy()
    world.say("backend", "conversation.start", contact="vip", service="support", priority=9, text="Hi")
    world.wait(TELL_MS)
    assert told(world, "oli")[-1][0] == 2
    assert told(world, "pat")[-1][0] == 3


OVER = (None, None)


def test_the_end_of_the_wait_is_told_at_once_and_once() -> None:
    world = busy()
    world.say("ana", "conversation.close", conversation="c000000000001")
    assert told(world, "oli") == [(1, None), OVER]
    world.wait(60_000)
    world.say("ana", "conversation.close", conversation="c000000000004")
    assert told(world, "oli") == [(1, None), OVER]
    assert told(world, "nia") == [], "it never waited"


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("conversation.close", {}),
        ("conversation.snooze", {"for": "1h"}),
        ("conversation.assign", {"agent": "ana", "anyway": True}),
    ],
)
def test_however_it_ends(method: str, params: dict[str, Any]) -> None:
    world = busy()
    world.say("backend", method, conversation="c000000000004", **params)
    assert told(world, "oli")[-1] == OVER


def test_joining_ends_it_only_where_it_takes_it_out_of_the_queue() -> None:
    for mode, last in (("push", (1, None)), ("collaboration", OVER)):
        world = small_world(service("support", "ana", mode=mode))
        found = world.start("nia", service="support").id
        world.say("ana", "conversation.join", conversation=found)
        assert told(world, "nia")[-1] == last, mode


def test_between_two_queues_the_wait_is_not_over() -> None:
    world = small_world(service("support", "ana"), service("sales", "bo"))
    world.start("pat", service="sales")
    world.wait(1)
    found = world.start("nia", service="support").id
    world.say("backend", "conversation.transfer", conversation=found, service="sales", anyway=True)
    world.wait(TELL_MS)
    assert told(world, "nia") == [(1, None), (2, None)]
    world.say("backend", "conversation.transfer", conversation=found, service="support", anyway=True)
    world.online("ana")
    assert told(world, "nia") == [(1, None), (2, None), (1, None), OVER]


def test_it_is_told_as_well_if_an_agent_of_the_next_queue_takes_it_at_once() -> None:
    world = small_world(service("support", "ana"), service("sales", "bo"), online="bo")
    found = world.start("nia", service="support").id
    world.say("backend", "conversation.transfer", conversation=found, service="sales")
    assert told(world, "nia") == [(1, None), OVER]


def test_whoever_is_not_there_hears_neither() -> None:
    world = small_world(service("support", "ana"))
    world.start("nia", service="support")
    world.end("contact:nia")
    world.wait(TELL_MS)
    world.online("ana")
    assert told(world, "nia") == [(1, None)]


def test_the_end_of_a_wait_that_was_taken_back_was_none() -> None:
    world = busy()
    close = world.asked("ana", "conversation.close", conversation="c000000000001")
    world.core.undo([world.step(close)], world.now)
    world.say("backend", "conversation.update", conversation="c000000000007", priority=9)
    world.wait(TELL_MS)
    assert told(world, "oli") == [(1, None), (2, None)], "it listens on"
    world.say("backend", "conversation.close", conversation="c000000000004")
    assert told(world, "oli")[-1] == OVER


def test_assignments_that_were_taken_back_do_not_count_for_the_estimate() -> None:
    def last(refused: int) -> tuple[int | None, int | None]:
        world = busy()
        for _ in range(refused):
            world.core.undo(
                [world.step(world.asked("ana", "conversation.close", conversation="c000000000001"))], world.now
            )
        for number in range(RATE_FROM):
            world.start(f"n{number}", service="support")
        for _ in range(RATE_FROM):
            world.wait(60_000)
            for item in world.say("ana", "conversation.list", view="mine").items:
                world.say("ana", "conversation.close", conversation=item.id)
        world.start("late", service="support")
        return told(world, "late")[-1]

    assert last(refused=0) == last(refused=2)


@pytest.mark.parametrize("mode", ["grab", "collaboration"])
def test_what_is_on_offer_has_a_position_too(mode: str) -> None:
    world = small_world(service("support", "ana", mode=mode), online="ana")
    world.start("nia", service="support")
    world.wait(1)
    found = world.start("oli", service="support").id
    assert (told(world, "nia"), told(world, "oli")) == ([(1, None)], [(2, None)])
    world.say("ana", "conversation.grab" if mode == "grab" else "conversation.join", conversation=found)
    assert told(world, "oli") == [(2, None), OVER]


def test_a_position_whose_step_was_taken_back_is_told_again() -> None:
    world = busy()
    world.say("ana", "conversation.close", conversation="c000000000001")
    world.now += TELL_MS
    world.core.undo([world.step()], world.now)
    world.wait(2 * TELL_MS)
    assert told(world, "pat") == [(2, None), (1, None)]


def hearers(world: World) -> set[tuple[Any, ...]]:
    """Whoever has been told of a position since."""
    told = [item for item in world.outgoing if isinstance(getattr(item, "notice", None), QueuePosition)]
    world.outgoing.clear()
    return {item.to for item in told if item.notice.position is not None}


def test_nobody_else_hears_of_it() -> None:
    """Not agents, not connectors' contacts, not contacts of another class, not contacts who have gone."""
    world = busy()
    texted = world.receive("+1", service="support").id
    world.open("connector:sms")
    world.open("backend")
    assert (world.look(texted).queued, world.look(texted).position) == (False, None), "another class, another slot"
    behind = world.receive("+2", service="support").id
    assert world.look(behind).position == 1, "it waits, in the queue of its own class"
    assert hearers(world) == {("contact:oli",), ("contact:pat",)}
    world.say("ana", "conversation.close", conversation="c000000000001")
    world.wait(TELL_MS)
    assert hearers(world) == {("contact:pat",)}, "whoever has gone on the way to an agent waits no longer"
    world.end("contact:pat")
    world.say("backend", "conversation.start", contact="vip", service="support", priority=9, text="Hi")
    world.wait(TELL_MS)
    assert hearers(world) == set(), "pat is behind somebody, but not there to hear it"

"""The queue tells the contact its position, and an estimate. [behaviour §3]"""

from __future__ import annotations

from typing import Any

from actors.position import RATE_FROM, TELL_MS
from protocol.notices import QueuePosition
from tests.world import World, service, slots, small_world


def told(world: World, contact: str) -> list[tuple[int, int | None]]:
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
    assert told(world, "oli") == [(1, None)], "it waits no longer"
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


def test_a_position_whose_step_was_taken_back_is_told_again() -> None:
    world = busy()
    world.say("ana", "conversation.close", conversation="c000000000001")
    world.now += TELL_MS
    world.core.undo([world.step()], world.now)
    world.wait(2 * TELL_MS)
    assert told(world, "pat") == [(2, None), (1, None)]


def test_nobody_else_hears_of_it() -> None:
    world = busy()
    world.receive("+1")
    assert {item.to for item in world.outgoing if isinstance(getattr(item, "notice", None), QueuePosition)} == {
        ("contact:oli",), ("contact:pat",),
    }  # fmt: skip

"""Steps that the store refused have never happened; and the same inputs give the same bytes. [architecture]"""

from __future__ import annotations

import pytest

from actors.effects import Ended, Input, Opened
from protocol.codec import encode_json
from tests.invariants import broken
from tests.storm import snapshot
from tests.world import World, principal, service, slots, small_world

MINUTE = 60_000


def company() -> World:
    """ana has one conversation, and one waits for her."""
    found = small_world(service("support", "ana bo"), online="ana", agents=[slots("ana", 1)])
    found.receive("+1")
    found.receive("+2")
    found.open("backend")
    return found


@pytest.fixture
def world() -> World:
    return company()


def histories(world: World) -> list[tuple[Input, ...]]:
    """Steps of every kind, each possible from the same state."""
    ana, other = world.sessions["ana"], "c000000000004"
    ask = world.asked
    return [
        (ask("ana", "conversation.close", conversation="c000000000001"),),
        (ask("backend", "conversation.start", contact="nia", service="support", text="Hi"),),
        (Ended(ana),),
        (Opened(77, principal("bo"), 0, None), Opened(78, principal("contact:new"), 0, None)),
        (ask("backend", "agent.put", agent={"id": "new", "capacity": {"chat": 1}}),),
        (ask("backend", "service.put", service={"id": "new", "members": [{"agent": "ana"}]}),),
        (ask("backend", "agent.set_availability", agent="ana", available=False),),
        (ask("ana", "conversation.snooze", conversation="c000000000001", **{"for": "1h"}),),
        (ask("backend", "conversation.close", conversation=other), ask("ana", "message.send",
         conversation="c000000000001", text="Hi", key="k")),
    ]  # fmt: skip


@pytest.mark.parametrize("index", range(9))
def test_one_step_taken_back_has_never_happened(world: World, index: int) -> None:
    before = snapshot(world.core)
    inputs = histories(world)[index]
    world.fetch(*inputs)
    out = world.step(*inputs)
    assert snapshot(world.core) != before, "or this proves nothing"
    world.core.undo([out], world.now)
    assert snapshot(world.core) == before
    assert broken(world.core) == []


@pytest.mark.parametrize("first", range(9))
@pytest.mark.parametrize("second", range(9))
def test_two_steps_taken_back_have_never_happened(world: World, first: int, second: int) -> None:
    before, outs = snapshot(world.core), []
    every = histories(world)
    for inputs in (every[first], every[second]):
        world.fetch(*inputs)
        outs.append(world.step(*inputs))
    world.core.undo(outs, world.now)
    assert snapshot(world.core) == before
    assert broken(world.core) == []


def test_after_an_undo_the_same_inputs_give_the_same_bytes(world: World) -> None:
    other = company()
    request = world.asked("backend", "conversation.start", contact="nia", service="support", text="Hi")
    world.core.undo([world.step(request)], world.now)
    for each in (world, other):
        each.give(request)
        each.wait(10 * MINUTE)
    wanted = [line for line in other.log[-10:] if b"message" in line]
    assert wanted != []
    assert [line for line in world.log[-10:] if b"message" in line] == wanted


def test_a_deadline_whose_step_was_taken_back_fires_again(world: World) -> None:
    world.now += 3 * MINUTE + 1
    out = world.core.step(world.now, [])
    assert out.batch
    world.core.undo([out], world.now)
    world.give()
    assert world.look("c000000000001").lateness == "soon"


def test_same_inputs_same_bytes() -> None:
    def run() -> bytes:
        world = small_world(service("support", "ana bo", strategy="least_busy"), online="ana bo")
        for number in range(20):
            world.receive(f"+{number % 7}", str(number))
            world.wait(50_000)
        return encode_json(world.log)

    assert run() == run()

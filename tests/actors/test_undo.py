"""Steps that the store refused have never happened; and the same inputs give the same bytes. [architecture]"""

from __future__ import annotations

import pytest

from actors.effects import Ended, Input, Opened, Reply
from protocol.codec import encode_json
from protocol.notices import AgentChanged, ConversationChanged
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


def refuse(world: World, *inputs: Input) -> None:
    """The store refuses what these do."""
    world.fetch(*inputs)
    world.core.undo([world.step(*inputs)], world.now)


def changed(world: World, who: str) -> int:
    """How often a session was told of an agent."""
    return len(world.told(world.sessions[who], AgentChanged))


def test_watching_agents_is_taken_back_and_so_is_its_end(world: World) -> None:
    refuse(world, world.asked("bo", "agent.watch"))
    world.say("ana", "agent.set_availability", available=False)
    assert changed(world, "bo") == 0
    world.say("bo", "agent.watch", services=["support"])
    refuse(world, world.asked("bo", "agent.unwatch"))
    refuse(world, world.asked("bo", "agent.watch", services=[]))
    world.say("ana", "agent.set_availability", available=True)
    assert changed(world, "bo") == 1
    world.say("bo", "agent.unwatch")
    world.say("ana", "agent.set_availability", available=False)
    assert changed(world, "bo") == 1


def test_watching_agents_goes_on_if_the_end_of_the_session_was_refused(world: World) -> None:
    world.say("bo", "agent.watch")
    end = Ended(world.sessions["bo"])
    refuse(world, end)
    world.say("ana", "agent.set_availability", available=False)
    assert changed(world, "bo") == 1
    session = world.sessions["bo"]
    world.give(end)
    world.say("ana", "agent.set_availability", available=True)
    assert len(world.told(session, AgentChanged)) == 1


def test_the_end_of_a_watched_list_is_taken_back(world: World) -> None:
    """Such a request is done again at once: it only reads."""
    watch = world.say("bo", "conversation.watch").watch
    unwatch = world.asked("bo", "conversation.unwatch", watch=watch)
    refuse(world, unwatch)
    world.say("backend", "conversation.update", conversation="c000000000001", priority=5)
    world.wait(200)
    assert len(world.told(world.sessions["bo"], ConversationChanged)) == 1
    out = world.give(unwatch)
    assert [item.error for item in out.outgoing if isinstance(item, Reply)] == [None]


def test_what_a_refused_step_decided_is_not_explained(world: World) -> None:
    def taken() -> list[str]:
        explanation = world.say("backend", "conversation.explain", conversation="c000000000001")
        return [one.agent for one in explanation.candidates if one.outcome == "taken"]

    world.online("bo")
    assert taken() == ["ana"]
    refuse(world, world.asked("ana", "conversation.decline", conversation="c000000000001"))
    assert taken() == ["ana"], "bo had it in a step that never was"
    refuse(world, world.asked("backend", "conversation.assign", conversation="c000000000001", agent="bo"))
    assert taken() == ["ana"]
    refuse(world, world.asked("ana", "conversation.leave", conversation="c000000000001"))
    assert taken() == ["ana"]
    started = world.asked("backend", "conversation.start", contact="nia", service="support", text="Hi")
    refuse(world, started)
    assert len(world.core.house.decisions) == 2, "one for each that was routed"


def test_same_inputs_same_bytes() -> None:
    def run() -> bytes:
        world = small_world(service("support", "ana bo", strategy="least_busy"), online="ana bo")
        for number in range(20):
            world.receive(f"+{number % 7}", str(number))
            world.wait(50_000)
        return encode_json(world.log)

    assert run() == run()

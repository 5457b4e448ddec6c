"""Each step of a ladder fires once in a wait, whatever becomes of the ladder and of the conversation. [behaviour §5]"""

from __future__ import annotations

from typing import Any

import pytest

from tests.world import START, World, service, small_world

MINUTE = 60_000


def raised(after: int, by: int = 1) -> dict[str, Any]:
    return {"after": f"{after}m", "do": "raise_priority", "by": by}


def moves(after: int, to: str) -> dict[str, Any]:
    return {"after": f"{after}m", "do": "move_to", "service": to}


def quiet(name: str, *ladder: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return service(name, "ana bo mia/admin", escalation=list(ladder), auto_close_after=None, **settings)


def waiting(*ladder: dict[str, Any], **settings: Any) -> tuple[World, str]:
    """A conversation that nobody answers."""
    world = small_world(quiet("support", *ladder, **settings))
    return world, world.receive("+1").id


def change(world: World, *ladder: dict[str, Any], of: str = "support") -> None:
    world.say("backend", "service.put", service={"id": of, "escalation": list(ladder)})
    world.wait(0)


def fired(world: World, conversation: str) -> list[tuple[int, str, int]]:
    """(minute, what, its place in the ladder)"""
    entries = [entry for entry in world.timeline(conversation) if entry.type == "escalated"]
    return [((entry.at - START) // MINUTE, str(entry.reason), int(entry.step or 0)) for entry in entries]


@pytest.mark.parametrize("later", [5, 9, 30])
def test_a_step_that_has_fired_does_not_fire_again_at_another_time(later: int) -> None:
    world, found = waiting(raised(10))
    world.wait(11 * MINUTE)
    change(world, raised(later))
    world.wait(60 * MINUTE)
    assert (fired(world, found), world.look(found).priority) == ([(10, "raise_priority", 0)], 1)


def test_a_step_that_has_not_fired_moves_with_the_ladder() -> None:
    world, found = waiting(raised(10))
    change(world, raised(20))
    world.wait(20 * MINUTE - 1)
    assert fired(world, found) == []
    world.wait(1)
    assert fired(world, found) == [(20, "raise_priority", 0)]


def test_a_new_step_whose_time_has_passed_fires_once_at_the_moment_of_the_change() -> None:
    world, found = waiting(raised(10))
    world.wait(15 * MINUTE)
    change(world, {"after": "5m", "do": "notify", "agents": ["bo"]}, raised(10))
    assert fired(world, found) == [(10, "raise_priority", 0), (15, "notify", 0)]
    world.wait(60 * MINUTE)
    assert len(fired(world, found)) == 2


def test_a_step_that_does_something_else_is_another_step() -> None:
    world, found = waiting(raised(10, by=5))
    world.wait(15 * MINUTE)
    change(world, raised(10, by=7))
    assert world.look(found).priority == 12


def test_steps_that_do_the_same_at_different_times_all_fire() -> None:
    world, found = waiting(raised(10), raised(20), raised(20), raised(30))
    world.wait(25 * MINUTE)
    assert [minute for minute, _, _ in fired(world, found)] == [10, 20, 20]
    change(world, raised(12), raised(21), raised(24), raised(40))
    world.wait(60 * MINUTE)
    assert [minute for minute, _, _ in fired(world, found)] == [10, 20, 20, 40]


def test_one_more_that_does_the_same_fires_once_more() -> None:
    world, found = waiting(raised(10))
    world.wait(15 * MINUTE)
    change(world, raised(5), raised(10))
    world.wait(60 * MINUTE)
    assert world.look(found).priority == 2


def test_a_step_that_is_taken_out_leaves_the_others_as_they_were() -> None:
    notify = {"after": "10m", "do": "notify", "agents": ["bo"]}
    world, found = waiting(notify, raised(20), {"after": "30m", "do": "add_managers"})
    world.wait(25 * MINUTE)
    change(world, raised(20), {"after": "30m", "do": "add_managers"})
    world.wait(30 * MINUTE)
    assert [what for _, what, _ in fired(world, found)] == ["notify", "raise_priority", "add_managers"]
    change(world, notify)
    assert len(fired(world, found)) == 3, "back again, and it has fired in this wait"


def test_what_has_fired_is_remembered_through_a_restart() -> None:
    world, found = waiting(raised(10), raised(20))
    world.wait(11 * MINUTE)
    ladder = [raised(9), raised(21)]
    world.settings = World({"services": [quiet("support", *ladder)], "agents": []}, store=world.store).settings
    world.boot()
    world.wait(60 * MINUTE)
    assert [minute for minute, _, _ in fired(world, found)] == [10, 21]


# ---------------------------------------------------------------- other services


def test_in_another_service_its_ladder_applies_and_what_is_past_fires_on_arrival() -> None:
    world = small_world(
        quiet("support", raised(10, by=5)), quiet("sales", raised(10, by=5), raised(15, by=20), raised(40, by=20))
    )
    found = world.receive("+1", service="support").id
    world.wait(20 * MINUTE)
    world.say("backend", "conversation.transfer", conversation=found, service="sales", anyway=True)
    world.wait(60 * MINUTE)
    assert [minute for minute, _, _ in fired(world, found)] == [10, 20, 20, 40]
    assert world.look(found).priority == 50


def test_back_in_a_service_its_steps_that_have_fired_do_not_fire_again() -> None:
    world = small_world(quiet("support", raised(10), raised(30)), quiet("sales"))
    found = world.receive("+1", service="support").id
    world.wait(20 * MINUTE)
    for name in ("sales", "support"):
        world.say("backend", "conversation.transfer", conversation=found, service=name, anyway=True)
        world.wait(MINUTE)
    world.wait(60 * MINUTE)
    assert [minute for minute, _, _ in fired(world, found)] == [10, 30]


def test_two_ladders_that_move_it_to_each_other_move_it_once() -> None:
    world = small_world(quiet("support", moves(10, "sales")), quiet("sales", moves(5, "support")))
    found = world.receive("+1", service="support").id
    world.wait(60 * MINUTE)
    assert [entry.service for entry in world.timeline(found) if entry.type == "moved"] == ["sales"]
    assert world.look(found).service == "sales"


def test_of_three_that_move_it_round_the_last_keeps_it_until_the_next_wait() -> None:
    ring = {"support": "sales", "sales": "night", "night": "support"}
    world = small_world(*(quiet(name, moves(10 * n, to)) for n, (name, to) in enumerate(ring.items(), 1)), online="ana")
    world.say("ana", "agent.set_availability", available=False)
    found = world.receive("+1", service="support").id
    world.wait(60 * MINUTE)
    assert [entry.service for entry in world.timeline(found) if entry.type == "moved"] == ["sales", "night"]
    world.say("ana", "conversation.join", conversation=found)
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.receive("+1", "And?", service="support")
    world.wait(60 * MINUTE)
    assert world.look(found).service == "sales", "from night to support, and on"


# ---------------------------------------------------------------- business hours


def test_only_open_time_is_climbed_and_a_change_while_closed_waits_for_nothing() -> None:
    """It is Monday 09:00. Open from 08:00 to 10:00, on Tuesday too."""
    weekly = {day: [["08:00", "10:00"]] for day in ("mon", "tue")}
    world, found = waiting(raised(30), raised(90), business_hours={"weekly": weekly})
    world.wait(5 * 60 * MINUTE)
    assert [minute for minute, _, _ in fired(world, found)] == [30]
    change(world, raised(40), raised(60), raised(90, by=2))
    assert [minute for minute, _, _ in fired(world, found)] == [30, 300], "sixty minutes of open time have passed"
    world.wait(24 * 60 * MINUTE)
    tuesday = 24 * 60 - 60
    assert [minute for minute, _, _ in fired(world, found)] == [30, 300, tuesday + 30]

"""What is derived anew is what was there. [architecture]"""

from __future__ import annotations

import pytest

from actors.derive import derive
from tests.invariants import broken
from tests.storm import Storm, snapshot
from tests.world import World, service, small_world


def anew(world: World) -> None:
    derive(world.core.house, world.now, world.core.supervisor.parked)


@pytest.mark.parametrize("seed", [201, 202, 203])
def test_deriving_anew_changes_nothing(seed: int) -> None:
    storm = Storm(seed, faults=False)
    storm.run(150)
    before = snapshot(storm.world.core)
    due = storm.world.core.next_deadline()
    anew(storm.world)
    assert snapshot(storm.world.core) == before
    assert broken(storm.world.core) == []
    assert due is None or storm.world.core.next_deadline() is not None  # positions are looked at once more


def test_a_history_goes_on_the_same_after_it() -> None:
    def run(*, derived: bool) -> bytes:
        storm = Storm(204, faults=False)
        storm.run(60)
        if derived:
            anew(storm.world)
        return storm.run(60)

    assert run(derived=True) == run(derived=False)


def test_a_parked_actor_gets_no_timer() -> None:
    world = small_world(service("support", "ana"))
    found = world.receive("+1").id
    for _ in range(3):
        world.core.supervisor.failed(f"conversation:{found}", "a bug")
    anew(world)
    assert not world.core.house.conversations[found].timer.armed


def test_what_is_overdue_fires_in_the_order_in_which_it_was_due() -> None:
    world = small_world(service("support", "ana"))
    ids = []
    for number in range(3):
        ids.append(world.receive(f"+{number}").id)
        world.wait(10)
    world.now += 3_600_000
    anew(world)
    out = world.give()
    fired = [record.entry.conversation for record in out.batch.entries if record.entry.type == "escalated"]
    assert fired == ids

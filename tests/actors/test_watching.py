"""Beginning and ending watches. [protocol §4]"""

from __future__ import annotations

from actors.watch import WATCHES_MAX
from tests.world import World, service, small_world


def world_of() -> World:
    return small_world(service("support", "ana bo"), online="ana bo")


def test_each_watch_has_an_id_of_its_own() -> None:
    world = world_of()
    ids = {world.say(who, "conversation.watch").watch for who in ("ana", "ana", "bo")}
    assert len(ids) == 3


def test_a_session_has_so_many_watches_and_no_more() -> None:
    world = world_of()
    names = [world.say("ana", "conversation.watch").watch for _ in range(WATCHES_MAX)]
    data = world.refused("ana", "conversation.watch")
    assert data["reason"] == "rate_limited"
    world.say("bo", "conversation.watch")
    world.say("ana", "conversation.unwatch", watch=names[3])
    world.say("ana", "conversation.watch")


def test_the_watch_of_another_session_is_not_found() -> None:
    world = world_of()
    name = world.say("ana", "conversation.watch").watch
    for who, watch in (("bo", name), ("ana", "w999"), ("ana", "nonsense")):
        assert world.refused(who, "conversation.unwatch", watch=watch)["reason"] == "not_found"
    world.say("ana", "conversation.unwatch", watch=name)
    assert world.refused("ana", "conversation.unwatch", watch=name)["reason"] == "not_found"


def test_watching_changes_nothing_that_is_stored() -> None:
    world = world_of()
    for method in ("conversation.watch", "agent.watch", "agent.unwatch"):
        assert not world.give(world.asked("ana", method)).batch, method


def test_a_watch_whose_step_was_taken_back_does_not_exist() -> None:
    """The client was told that the store is unavailable, and asks again."""
    world = world_of()
    world.open("backend")
    found = world.receive("+1").id
    update = world.asked("backend", "conversation.update", conversation=found, priority=1)
    out = world.step(update, world.asked("ana", "conversation.watch"))
    world.core.undo([out], world.now)
    assert len(world.core.house.watches) == 0

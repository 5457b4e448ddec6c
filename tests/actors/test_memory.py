"""What is in memory and what in the store: closed conversations, contacts, answers. [architecture, "The store"]"""

from __future__ import annotations

import pytest

from actors.effects import Asked, Opened, Reply, Welcome
from protocol.codec import Call, convert
from protocol.ids import Principal
from protocol.requests import ConversationList
from tests.world import World, service, small_world


def world_of() -> tuple[World, str]:
    world = small_world(service("support", "ana bo"), online="ana")
    return world, world.receive("+1").id


def closed(world: World, count: int) -> list[str]:
    ids = []
    for number in range(count):
        ids.append(world.receive(f"+9{number}").id)
        world.say("backend", "conversation.close", conversation=ids[-1])
    return ids


def held(world: World) -> set[str]:
    return set(world.core.house.conversations)


def test_closed_ones_beyond_so_many_are_let_go_the_longest_unused_first_and_come_back_when_asked_for() -> None:
    world, live = world_of()
    world.core.memory._closed_max = 2
    ids = closed(world, 4)
    world.give()
    assert held(world) == {live, *ids[2:]}
    assert world.look(ids[0]).state == "closed"
    assert world.receive("+91").id == ids[1]
    assert world.look(ids[1]).state == "open"


def test_a_contact_with_nothing_here_is_let_go_and_known_when_it_comes_back() -> None:
    world, _ = world_of()
    world.core.memory._closed_max = 0
    found = world.receive("+7", contact={"name": "Kari"})
    world.say("backend", "conversation.close", conversation=found.id)
    world.give()
    world.give()
    assert found.contact is not None
    assert found.contact.id not in world.core.house.contacts
    again = world.receive("+7", "Back")
    assert again.id == found.id
    assert again.contact is not None
    assert again.contact.name == "Kari"


def test_what_is_not_committed_is_never_let_go() -> None:
    world, live = world_of()
    world.core.memory._closed_max = 0
    world.step(world.asked("ana", "conversation.close", conversation=live))
    world.step()
    assert live in held(world)


def test_one_whose_close_the_store_refused_stays() -> None:
    world, live = world_of()
    world.core.memory._closed_max = 0
    out = world.step(world.asked("ana", "conversation.close", conversation=live))
    world.core.undo([out], world.now)
    world.give()
    world.give()
    assert live in held(world), "a live conversation was forgotten, with its slot, its queue and its timers"


def test_one_that_began_and_ended_in_a_refused_step_leaves_nothing_behind() -> None:
    world, _ = world_of()
    world.core.memory._closed_max = 0
    start = world.asked("backend", "conversation.start", contact="nia", service="support", text="Hi")
    name = f"c{world.core.house.seq + 1:012x}"
    out = world.step(start, world.asked("backend", "conversation.close", conversation=name))
    assert world.core.house.conversations[name].record.state == "closed"
    world.core.undo([out], world.now)
    world.give()


def test_what_a_reader_asks_for_is_read_once_and_dropped() -> None:
    world, live = world_of()
    world.say("ana", "conversation.close", conversation=live)
    world.boot()
    questions = world.core.questions([world.asked("backend", "conversation.get", conversation=live)])
    assert questions != []
    world.look(live)
    assert world.core.memory.statistics() == {"closed_in_memory": 1, "keys_uncommitted": 0}


@pytest.mark.parametrize(
    "filters", [{}, {"status": "closed"}, {"status": "closed", "service": "support"}, {"tag": "x"}]
)
def test_an_agent_who_was_removed_asks_for_lists_with_its_opening_and_is_told_that_it_does_not_exist(
    filters: dict[str, str],
) -> None:
    world, _ = world_of()
    closed(world, 1)
    world.say("backend", "agent.delete", agent="bo")
    opening = Opened(90, Principal("agent", "bo"), 1)
    call = Call("conversation.list", convert({"view": "all", **filters}, ConversationList), 2)
    out = world.give(opening, Asked(90, call, "s"))
    [welcome] = [item for item in out.outgoing if isinstance(item, Welcome)]
    assert welcome.error is not None
    assert welcome.error.data["reason"] == "not_found"
    assert not [item for item in out.outgoing if isinstance(item, Reply)]

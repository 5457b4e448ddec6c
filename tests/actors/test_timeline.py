"""What every part of a conversation stands on: its timeline and its one timer."""

from __future__ import annotations

import pytest

from actors.timeline import by_whom
from protocol.ids import Principal
from protocol.objects import By
from tests.world import World, service, small_world


@pytest.mark.parametrize("role", ["agent", "contact", "backend"])
def test_the_author_of_an_entry_is_who_asked(role: str) -> None:
    assert by_whom(Principal(role, "x")) == By(role, "x")  # type: ignore[arg-type]


def test_a_connector_is_nobodys_author() -> None:
    with pytest.raises(AssertionError):
        by_whom(Principal("connector", "x"))


def world_of() -> tuple[World, str]:
    world = small_world(service("support", "ana"), online="ana")
    return world, world.receive("+1").id


def test_the_timer_stands_at_the_earliest_deadline_whatever_moves_it() -> None:
    world, found = world_of()
    actor = world.core.house.conversations[found]
    seen = [(actor.timer.kind, actor.timer.deadline - world.now)]
    world.say("ana", "message.send", conversation=found, text="Hi")
    seen.append((actor.timer.kind, actor.timer.deadline - world.now))
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
    seen.append((actor.timer.kind, actor.timer.deadline - world.now))
    assert seen == [("soon", 180_001), ("auto_close", 86_400_001), ("snooze", 3_600_000)]
    world.say("ana", "conversation.wake", conversation=found)
    world.say("ana", "conversation.close", conversation=found)
    assert not actor.timer.armed


def test_a_timeline_is_read_in_pages_from_the_newest() -> None:
    world, found = world_of()
    for number in range(6):
        world.say("ana", "message.send", conversation=found, text=str(number))
    texts = []
    before: dict[str, int] = {}
    for _ in range(3):
        reply = world.ask("ana", "conversation.get", conversation=found, limit=2, **before)
        assert reply.question is not None
        entries, more = world.store.read([reply.question])[0]
        texts.append([entry.text for entry in entries])
        assert more
        before = {"before": entries[0].seq}
    assert texts == [["4", "5"], ["2", "3"], ["0", "1"]]


def test_a_page_ends_with_what_the_summary_knows() -> None:
    """Whatever is committed between the answer and the reading of its page is not in it."""
    world, found = world_of()
    reply = world.ask("ana", "conversation.get", conversation=found, limit=100)
    world.say("ana", "message.send", conversation=found, text="Later")
    assert reply.question is not None
    entries, _ = world.store.read([reply.question])[0]
    assert entries[-1].seq == reply.result.conversation.last_seq

"""The core without a shell, as measurements use it."""

from __future__ import annotations

import pytest

from bench.rooms import BACKEND, Room, results


def test_messages_of_a_room_are_written_with_their_conversations_and_keys() -> None:
    batch = Room(contacts=10).messages(7)
    assert len(batch.entries) == len(batch.keys) == 7
    assert {entry.entry.type for entry in batch.entries} == {"message"}


def test_the_contacts_of_a_room_write_in_turns() -> None:
    batch = Room(contacts=10).messages(20)
    assert len({entry.entry.conversation for entry in batch.entries}) == len(batch.records) == 10


def test_rooms_with_slots_let_the_rest_wait() -> None:
    room = Room(agents=2, slots=1)
    found = results(room.give(*(room.receive(f"+{n}", service="s0") for n in range(3))))
    assert [one.conversation.queued for one in found] == [False, False, True]


def test_a_refusal_in_a_room_is_an_error_of_the_measurement() -> None:
    room = Room()
    with pytest.raises(RuntimeError, match="no such thing"):
        room.give(room.asked(BACKEND, "conversation.close", conversation="nobody's"))

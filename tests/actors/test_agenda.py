"""The agenda: what lies ahead is in memory, what is over or cancelled and committed is not."""

from __future__ import annotations

import pytest

from actors.agenda import AHEAD_MAX, Agenda
from actors.house import House
from actors.meeting import MeetingActor
from protocol.records import MeetingRecord
from protocol.settings import WorkspaceSettings
from tests.meetings import HOUR, MINUTE, NOON, ONE, MeetingWorld, text


@pytest.fixture
def world() -> MeetingWorld:
    return MeetingWorld()


def actor(name: str, starts: int, ends: int, *, status: str = "confirmed", agent: str = "ana") -> MeetingActor:
    record = MeetingRecord(id=name, agent=agent, starts=starts, ends=ends, minutes=1, conversation=f"c{agent}")
    record.status = "tentative" if status == "tentative" else "confirmed"
    return MeetingActor(House(WorkspaceSettings(), lambda name: None), record)  # type: ignore[arg-type, return-value]


def test_what_an_agent_has_taken_is_in_order_of_time_and_confirmed() -> None:
    agenda = Agenda()
    for found in (actor("b", 50, 60), actor("a", 10, 20), actor("t", 30, 40, status="tentative"),
                  actor("o", 0, 99, agent="bo")):  # fmt: skip
        agenda.add(found)
    assert agenda.taken("ana") == [(10, 20), (50, 60)]
    assert agenda.taken("ana", but="a") == [(50, 60)]
    assert [found.record.id for found in agenda.of("ana")] == ["b", "a", "t"]
    assert agenda.of("nobody") == []


def test_what_is_not_committed_stays_and_so_does_what_comes_after_it() -> None:
    agenda = Agenda()
    first, second = actor("a", 10, 20), actor("b", 20, 30)
    for found in (first, second):
        agenda.add(found)
        agenda.note(found)
    assert agenda.let_go(99, lambda found: found is not first) == []
    assert len(agenda) == 2
    assert agenda.let_go(19, lambda found: True) == []
    assert agenda.let_go(20, lambda found: True) == []
    assert agenda.holds("cana")
    assert agenda.let_go(30, lambda found: True) == ["cana"]
    assert (len(agenda), agenda.holds("cana")) == (0, False)


def test_an_end_that_has_moved_is_passed_over() -> None:
    agenda, found = Agenda(), actor("a", 10, 20)
    agenda.add(found)
    agenda.note(found)
    found.record.ends = 40
    agenda.note(found)
    assert agenda.let_go(39, lambda found: True) == []
    assert agenda.let_go(40, lambda found: True) == ["cana"]


def test_ends_are_found_anew_from_the_records() -> None:
    agenda, found = Agenda(), actor("a", 10, 20)
    agenda.add(found)
    agenda.derive()
    assert agenda.let_go(20, lambda found: True) == ["cana"]


def test_a_meeting_that_is_over_leaves_memory_and_comes_back_from_the_store(world: MeetingWorld) -> None:
    meeting = world.book()
    world.wait(3 * HOUR + 30 * MINUTE - 1)
    assert world.core.house.meetings.get(meeting.id) is not None
    world.wait(1)
    world.wait(1)  # what the reminder changed is committed by now
    assert world.core.house.meetings.get(meeting.id) is None
    assert world.core.statistics()["meetings_ahead"] == 0
    assert world.refused("ana", "meeting.cancel", meeting=meeting.id)["state"] == "over"


def test_a_cancelled_meeting_leaves_memory_when_that_is_committed(world: MeetingWorld) -> None:
    meeting = world.book()
    request = world.asked("ana", "meeting.cancel", meeting=meeting.id)
    world.fetch(request)
    world.step(request)
    assert world.core.house.meetings.get(meeting.id) is not None
    world.core.undo([world.last], world.now)  # type: ignore[list-item]
    world.say("ana", "meeting.cancel", meeting=meeting.id)
    world.wait(1)
    assert world.core.house.meetings.get(meeting.id) is None


def test_the_closed_conversation_of_a_meeting_stays_in_memory_as_long_as_that_lies_ahead(world: MeetingWorld) -> None:
    meeting = world.book()
    world.core.memory._closed_max = 0
    world.say("ana", "conversation.close", conversation=meeting.conversation)
    world.boot()
    world.core.memory._closed_max = 0
    world.wait(MINUTE)
    assert meeting.conversation in world.core.house.conversations
    world.wait(4 * HOUR)
    world.wait(1)
    assert meeting.conversation not in world.core.house.conversations


def test_a_restart_knows_what_lies_ahead_and_nothing_else(world: MeetingWorld) -> None:
    over, cancelled, ahead = world.book(start=text(9, 30)), world.book(start=NOON), world.book(start=ONE)
    world.say("ana", "meeting.cancel", meeting=cancelled.id)
    world.wait(2 * HOUR)
    world.say("ana", "message.send", conversation=over.conversation, text="Good to meet you")
    world.boot()
    assert [actor.view() for actor in world.core.house.meetings] == [ahead]
    assert world.refused("ana", "meeting.schedule", agent="ana", start=ONE, email="x@y.z")["reason"] == "conflict"


def test_an_agent_has_so_many_meetings_ahead_and_no_more(world: MeetingWorld) -> None:
    meetings = world.core.house.meetings
    meeting = world.book()
    kept = meetings.get(meeting.id)
    assert kept is not None
    for number in range(AHEAD_MAX - 1):
        meetings.add(actor(f"x{number}", kept.record.starts, kept.record.ends, status="tentative"))
    found = world.refused("ana", "meeting.schedule", agent="ana", start=ONE, email="x@y.z")
    assert (found["reason"], found["limit"]) == ("too_large", AHEAD_MAX)

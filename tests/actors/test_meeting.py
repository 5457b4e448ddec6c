"""A meeting: booked, confirmed, rescheduled, cancelled, reminded of once. Each change is told to both sides."""

from __future__ import annotations

from typing import Any

import pytest

from tests.meetings import HOUR, MINUTE, NOON, ONE, MeetingWorld, clock, data, text

BOTH = ["ana@example.org", "guest@example.org"]


@pytest.fixture
def world() -> MeetingWorld:
    return MeetingWorld()


def to_both(kind: str) -> list[tuple[str, str]]:
    return [(kind, email) for email in BOTH]


# ---------------------------------------------------------------- what is told


def test_a_booking_is_an_entry_and_an_invitation_to_both_sides(world: MeetingWorld) -> None:
    meeting = world.book(subject="Plan")
    (entry,) = world.entries(meeting.conversation)
    assert (entry.reason, entry.meeting) == ("scheduled", meeting)
    assert (meeting.start, meeting.minutes, meeting.subject, meeting.status) == (clock(12), 30, "Plan", "confirmed")
    assert world.letters() == to_both("invitation")


def test_the_contact_sees_the_entry_and_so_does_the_agent_who_is_met(world: MeetingWorld) -> None:
    meeting = world.book("contact:nia")
    assert [entry.reason for entry in world.entries(meeting.conversation, "contact:nia")] == ["scheduled"]
    assert [entry.meeting for entry in world.heard("agent:ana", "meeting")] == [meeting]
    assert [entry.meeting for entry in world.heard("contact:nia", "meeting")] == [meeting]


def test_an_agent_hears_of_a_meeting_in_a_conversation_of_others(world: MeetingWorld) -> None:
    conversation = world.start("nia", service="front").id
    world.say("mia", "conversation.assign", conversation=conversation, anyway=True)
    world.say("backend", "meeting.schedule", agent="bo", start=NOON, conversation=conversation)
    assert [entry.reason for entry in world.heard("agent:bo", "meeting")] == ["scheduled"]


def test_a_mail_says_what_an_invitation_needs(world: MeetingWorld) -> None:
    meeting = world.book()
    mail = world.mails()[1]
    found = data(mail)
    assert (mail.recipient, mail.conversation) == ("guest@example.org", meeting.conversation)
    assert (found["method"], found["sequence"], found["time_zone"], found["organizer"]) == ("REQUEST", 0, "UTC", "Ana")
    assert (found["meeting"]["start"], found["changed_at"]) == (NOON, text(9))
    assert found["attendees"] == [
        {"email": "ana@example.org", "name": "Ana", "status": "ACCEPTED", "role": "CHAIR"},
        {"email": "guest@example.org", "name": None, "status": "NEEDS-ACTION", "role": "REQ-PARTICIPANT"},
    ]


def test_each_change_has_a_higher_sequence_and_the_last_takes_it_back(world: MeetingWorld) -> None:
    meeting = world.book()
    world.say("ana", "meeting.reschedule", meeting=meeting.id, start=ONE)
    world.say("ana", "meeting.cancel", meeting=meeting.id)
    found = [(item["sequence"], item["method"]) for item in map(data, world.mails()[::2])]
    assert found == [(0, "REQUEST"), (1, "REQUEST"), (2, "CANCEL")]


def test_whoever_is_both_sides_gets_one_mail(world: MeetingWorld) -> None:
    world.book(email="ana@example.org")
    assert world.letters() == [("invitation", "ana@example.org")]


def test_a_workspace_without_mail_still_meets() -> None:
    world = MeetingWorld(mail=False)
    meeting = world.book()
    world.wait(3 * HOUR)
    assert world.reasons(meeting.conversation) == ["scheduled", "reminder"]
    assert world.letters() == []


# ---------------------------------------------------------------- changes


def test_a_reschedule_moves_it_and_tells_both_sides(world: MeetingWorld) -> None:
    meeting = world.book()
    world.mails()
    moved = world.say("ana", "meeting.reschedule", meeting=meeting.id, start=ONE, minutes=45).meeting
    assert (moved.id, moved.start, moved.minutes, moved.status) == (meeting.id, clock(13), 45, "confirmed")
    assert world.reasons(meeting.conversation) == ["scheduled", "rescheduled"]
    assert world.letters() == to_both("update")


def test_a_reschedule_to_where_it_is_changes_nothing(world: MeetingWorld) -> None:
    meeting = world.book()
    world.mails()
    assert world.say("ana", "meeting.reschedule", meeting=meeting.id, start=NOON, minutes=30).meeting == meeting
    assert world.reasons(meeting.conversation) == ["scheduled"]
    assert world.letters() == []


def test_it_may_overlap_with_where_it_was(world: MeetingWorld) -> None:
    meeting = world.book()
    world.say("ana", "meeting.reschedule", meeting=meeting.id, start=text(12, 15))
    assert world.refused("ana", "meeting.schedule", agent="ana", start=NOON, email="x@y.z")["reason"] == "conflict"
    world.book(start=text(11, 45))


def test_the_length_of_a_meeting_under_way_may_change_but_not_to_what_is_past(world: MeetingWorld) -> None:
    meeting = world.book(minutes=60)
    world.wait(3 * HOUR + 20 * MINUTE)
    refused = world.refused("ana", "meeting.reschedule", meeting=meeting.id, minutes=20)
    assert (refused["code"], refused["field"]) == (-32602, "minutes")
    assert world.say("ana", "meeting.reschedule", meeting=meeting.id, minutes=25).meeting.minutes == 25


def test_a_cancelled_one_leaves_its_time_to_others(world: MeetingWorld) -> None:
    meeting = world.book()
    world.mails()
    assert world.say("ana", "meeting.cancel", meeting=meeting.id).meeting.status == "cancelled"
    assert world.letters() == to_both("cancellation")
    assert world.reasons(meeting.conversation) == ["scheduled", "cancelled"]
    world.book()


def test_cancelling_again_changes_nothing_and_anything_else_is_refused(world: MeetingWorld) -> None:
    meeting = world.book()
    world.say("ana", "meeting.cancel", meeting=meeting.id)
    world.mails()
    assert world.say("ana", "meeting.cancel", meeting=meeting.id).meeting.status == "cancelled"
    for method, more in (("meeting.confirm", {}), ("meeting.reschedule", {"start": ONE})):
        found = world.refused("ana", method, meeting=meeting.id, **more)
        assert (found["reason"], found["state"]) == ("wrong_state", "cancelled")
    assert world.letters() == []


def test_what_is_over_can_no_longer_be_changed(world: MeetingWorld) -> None:
    meeting = world.book()
    world.wait(3 * HOUR + 30 * MINUTE)
    for method in ("meeting.confirm", "meeting.reschedule", "meeting.cancel"):
        found = world.refused("ana", method, meeting=meeting.id)
        assert (found["reason"], found["state"]) == ("wrong_state", "over")


# ---------------------------------------------------------------- confirming


def test_an_agent_who_confirms_gets_a_tentative_one_that_blocks_nobody() -> None:
    world = MeetingWorld(confirm_meetings=True)
    meeting = world.book("contact:nia")
    assert meeting.status == "tentative"
    other = world.book("contact:oli")
    assert world.say("ana", "meeting.confirm", meeting=other.id).meeting.status == "confirmed"
    assert world.refused("ana", "meeting.confirm", meeting=meeting.id)["reason"] == "conflict"
    assert world.reasons(other.conversation) == ["scheduled", "confirmed"]


def test_confirming_again_changes_nothing() -> None:
    world = MeetingWorld(confirm_meetings=True)
    meeting = world.book("contact:nia")
    for _ in range(2):
        world.say("mia", "meeting.confirm", meeting=meeting.id)
    assert world.reasons(meeting.conversation) == ["scheduled", "confirmed"]


def test_what_the_house_books_needs_no_confirmation() -> None:
    assert MeetingWorld(confirm_meetings=True).book("mia").status == "confirmed"


def test_a_contact_who_moves_it_must_be_confirmed_again_and_the_house_need_not() -> None:
    world = MeetingWorld(confirm_meetings=True)
    meeting = world.book("contact:nia")
    world.say("ana", "meeting.confirm", meeting=meeting.id)
    assert world.say("ana", "meeting.reschedule", meeting=meeting.id, start=ONE).meeting.status == "confirmed"
    moved = world.say("contact:nia", "meeting.reschedule", meeting=meeting.id, start=NOON).meeting
    assert moved.status == "tentative"
    world.book(start=NOON)  # it blocks nobody any more


def test_calendars_hear_who_has_not_said_yes_yet() -> None:
    world = MeetingWorld(confirm_meetings=True)
    meeting = world.book("contact:nia", email="nia@example.org")
    world.say("ana", "meeting.confirm", meeting=meeting.id)
    world.say("ana", "meeting.reschedule", meeting=meeting.id, start=ONE)
    said = [[person["status"] for person in data(mail)["attendees"]] for mail in world.mails()[::2]]
    assert said == [["NEEDS-ACTION", "ACCEPTED"], ["ACCEPTED", "ACCEPTED"], ["ACCEPTED", "NEEDS-ACTION"]]


# ---------------------------------------------------------------- the reminder


def test_both_sides_are_reminded_a_quarter_of_an_hour_before_and_once(world: MeetingWorld) -> None:
    meeting = world.book()
    world.mails()
    world.wait(3 * HOUR - 15 * MINUTE - 1)
    assert world.letters() == []
    world.wait(1)
    assert world.letters() == to_both("reminder")
    world.wait(HOUR)
    assert world.letters() == []
    reminder = world.entries(meeting.conversation)[-1]
    assert (reminder.reason, reminder.at, reminder.by.kind if reminder.by else None) == (
        "reminder", clock(11, 45), "system",
    )  # fmt: skip


def test_a_reminder_has_no_method_and_takes_no_sequence(world: MeetingWorld) -> None:
    world.book()
    world.mails()
    world.wait(3 * HOUR)
    assert [(data(mail)["method"], data(mail)["sequence"]) for mail in world.mails()] == [(None, 0), (None, 0)]


def test_a_meeting_that_is_moved_is_reminded_of_anew(world: MeetingWorld) -> None:
    meeting = world.book()
    world.wait(3 * HOUR - 10 * MINUTE)
    world.say("ana", "meeting.reschedule", meeting=meeting.id, start=ONE)
    world.wait(HOUR)
    assert world.reasons(meeting.conversation) == ["scheduled", "reminder", "rescheduled", "reminder"]


def test_a_longer_meeting_is_not_reminded_of_again(world: MeetingWorld) -> None:
    meeting = world.book()
    world.wait(3 * HOUR - 10 * MINUTE)
    world.say("ana", "meeting.reschedule", meeting=meeting.id, minutes=60)
    world.wait(HOUR)
    assert world.reasons(meeting.conversation) == ["scheduled", "reminder", "rescheduled"]


@pytest.mark.parametrize(("minutes", "reasons"), [(16, ["scheduled", "reminder"]), (15, ["scheduled"])])
def test_what_is_booked_when_there_is_no_more_time_needs_no_reminder(
    world: MeetingWorld, minutes: int, reasons: list[str]
) -> None:
    meeting = world.book(start=text(9, minutes))
    world.wait(HOUR)
    assert world.reasons(meeting.conversation) == reasons


def test_a_cancelled_meeting_is_not_reminded_of(world: MeetingWorld) -> None:
    meeting = world.book()
    world.say("ana", "meeting.cancel", meeting=meeting.id)
    world.wait(4 * HOUR)
    assert world.reasons(meeting.conversation) == ["scheduled", "cancelled"]


def test_a_tentative_one_is_not_reminded_of_before_it_is_confirmed() -> None:
    world = MeetingWorld(confirm_meetings=True)
    late, early = world.book("contact:nia"), world.book("contact:oli", start=ONE)
    world.wait(3 * HOUR - 5 * MINUTE)
    world.say("ana", "meeting.confirm", meeting=late.id)
    world.say("ana", "meeting.confirm", meeting=early.id)
    world.wait(2 * HOUR)
    assert world.reasons(late.conversation) == ["scheduled", "confirmed"]
    assert world.reasons(early.conversation) == ["scheduled", "confirmed", "reminder"]


@pytest.mark.parametrize(("down", "reasons"), [
    (5 * MINUTE, ["scheduled", "reminder"]), (40 * MINUTE, ["scheduled", "reminder"]), (45 * MINUTE, ["scheduled"]),
])  # fmt: skip
def test_what_was_due_while_the_house_was_down_is_sent_unless_the_meeting_is_over(
    world: MeetingWorld, down: int, reasons: list[str]
) -> None:
    meeting = world.book()
    world.wait(3 * HOUR - 16 * MINUTE)
    world.now += MINUTE + down
    world.boot()
    world.wait(2 * HOUR)
    assert world.reasons(meeting.conversation) == reasons
    assert [entry.at for entry in world.entries(meeting.conversation)][1:] == [clock(11, 45)] * (len(reasons) - 1)


def test_a_reminder_that_went_out_before_a_crash_does_not_go_out_again(world: MeetingWorld) -> None:
    meeting = world.book()
    world.wait(3 * HOUR - 15 * MINUTE)
    world.boot()
    world.wait(2 * HOUR)
    assert world.reasons(meeting.conversation) == ["scheduled", "reminder"]


def test_it_is_reminded_of_in_a_conversation_that_is_closed(world: MeetingWorld) -> None:
    meeting = world.book()
    world.say("ana", "conversation.close", conversation=meeting.conversation)
    world.boot()
    world.wait(3 * HOUR)
    assert world.reasons(meeting.conversation) == ["scheduled", "reminder"]
    assert world.letters()[-2:] == to_both("reminder")


def test_meetings_of_an_agent_who_is_deleted_are_cancelled(world: MeetingWorld) -> None:
    meeting = world.book()
    world.mails()
    world.say("backend", "conversation.close", conversation=meeting.conversation)
    world.end("ana")
    world.say("backend", "agent.delete", agent="ana")
    assert world.reasons(meeting.conversation) == ["scheduled", "cancelled"]
    assert world.letters() == [("cancellation", "guest@example.org")]


# ---------------------------------------------------------------- nothing half done


def test_a_step_that_the_store_refuses_leaves_no_trace(world: MeetingWorld) -> None:
    kept = world.book()
    before = state(world)
    requests = [
        world.asked("ana", "meeting.schedule", agent="ana", start=ONE, email="other@example.org"),
        world.asked("ana", "meeting.reschedule", meeting=kept.id, start=text(14)),
        world.asked("ana", "meeting.cancel", meeting=kept.id),
    ]
    world.fetch(*requests)
    out = world.step(*requests)
    assert state(world) != before
    world.core.undo([out], world.now)
    assert state(world) == before
    world.wait(4 * HOUR)
    assert world.reasons(kept.conversation) == ["scheduled", "reminder"]


def state(world: MeetingWorld) -> Any:
    house = world.core.house
    meetings = [(actor.view(), actor.timer.deadline if actor.timer.armed else None) for actor in house.meetings]
    return meetings, house.seq, sorted(house.conversations), set(house.contact_at), house.meetings.taken("ana")

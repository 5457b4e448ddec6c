"""Invitations: what RFC 5546 asks of them, read back by two parsers that know nothing of each other."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import vobject
from icalendar import Calendar, Event

from router.mail import invitation
from tests.meetings import ONE, MeetingWorld

SENDER = "house@signalbox.test"


def given(method: str = "REQUEST", status: str = "confirmed", **more: Any) -> dict[str, Any]:
    """What the core says of a meeting."""
    meeting = {
        "id": "m000000000001019b8d1f5c80", "agent": "ana", "start": "2026-03-29T12:00:00.000Z", "minutes": 45,
        "subject": "Plan", "email": "guest@example.org", "status": status, "conversation": "c000000000001",
        **more.pop("meeting", {}),
    }  # fmt: skip
    attendees = [
        {"email": "ana@example.org", "name": "Ana", "status": "ACCEPTED", "role": "CHAIR"},
        {"email": "guest@example.org", "name": None, "status": "NEEDS-ACTION", "role": "REQ-PARTICIPANT"},
    ]
    return {"meeting": meeting, "reason": "scheduled", "method": method, "sequence": 0, "organizer": "Ana",
            "changed_at": "2026-01-05T09:00:00.000Z", "time_zone": "Europe/Oslo", "attendees": attendees,
            **more}  # fmt: skip


def read(text: str) -> tuple[Calendar, Event]:
    found = Calendar.from_ical(text)
    [event] = found.walk("VEVENT")
    assert isinstance(found, Calendar)
    assert isinstance(event, Event)
    assert not event.errors
    return found, event


def event_of(**more: Any) -> Event:
    return read(invitation.calendar(given(**more), SENDER))[1]


#: RFC 5546, 3.2.2 and 3.2.5: what must be there once
REQUIRED = {
    "REQUEST": {"ATTENDEE", "DTSTAMP", "DTSTART", "ORGANIZER", "SEQUENCE", "SUMMARY", "UID"},
    "CANCEL": {"ATTENDEE", "DTSTAMP", "ORGANIZER", "SEQUENCE", "UID"},
}


@pytest.mark.parametrize(("method", "status"), [
    ("REQUEST", "tentative"), ("REQUEST", "confirmed"), ("CANCEL", "cancelled"),
])  # fmt: skip
def test_everything_that_itip_requires_is_there(method: str, status: str) -> None:
    found, event = read(invitation.calendar(given(method, status), SENDER))
    assert (found["method"], found["version"], event["status"]) == (method, "2.0", status.upper())
    assert REQUIRED[method] <= event.keys()
    assert "prodid" in found
    assert all(not isinstance(event[name], list) for name in REQUIRED[method] - {"ATTENDEE"})


def test_the_times_are_the_instant_whatever_zone_the_agent_is_in() -> None:
    """On that very day the clocks in Oslo go forward."""
    for zone in ("UTC", "Europe/Oslo", "America/New_York"):
        event = event_of(time_zone=zone)
        assert event["dtstart"].dt == datetime(2026, 3, 29, 12, tzinfo=UTC)
        assert event["dtend"].dt == datetime(2026, 3, 29, 12, 45, tzinfo=UTC)


def test_the_times_are_written_in_utc_so_that_no_rules_of_a_zone_are_needed() -> None:
    lines = invitation.calendar(given(), SENDER).split("\r\n")
    assert {"DTSTART:20260329T120000Z", "DTEND:20260329T124500Z", "DTSTAMP:20260105T090000Z"} <= set(lines)


def test_a_change_keeps_the_uid_and_its_stamp_is_the_moment_of_the_change() -> None:
    first = event_of()
    later = event_of(method="CANCEL", sequence=2, changed_at="2026-01-06T10:00:00.500Z")
    assert first["uid"] == later["uid"] == "m000000000001019b8d1f5c80@signalbox.test"
    assert (first["sequence"], later["sequence"]) == (0, 2)
    assert later["dtstamp"].dt == datetime(2026, 1, 6, 10, tzinfo=UTC)


def test_the_same_change_is_the_same_text() -> None:
    assert invitation.calendar(given(), SENDER) == invitation.calendar(given(), SENDER)


def test_both_sides_attend_and_the_house_organizes() -> None:
    event = event_of()
    agent, guest = event["attendee"]
    assert (event["organizer"], event["organizer"].params["CN"]) == (f"mailto:{SENDER}", "Ana")
    assert (agent, agent.params["CN"]) == ("mailto:ana@example.org", "Ana")
    assert (guest, guest.params["CN"]) == ("mailto:guest@example.org", "guest@example.org")
    said = [[who.params[name] for name in ("ROLE", "PARTSTAT", "RSVP")] for who in (agent, guest)]
    assert said == [["CHAIR", "ACCEPTED", "FALSE"], ["REQ-PARTICIPANT", "NEEDS-ACTION", "TRUE"]]


def test_nobody_is_asked_to_answer_a_cancellation() -> None:
    for attendee in event_of(method="CANCEL")["attendee"]:
        assert "RSVP" not in attendee.params
        assert "PARTSTAT" not in attendee.params


def test_an_agent_is_not_asked_by_mail_but_in_the_house() -> None:
    waiting = {"email": "ana@example.org", "name": "Ana", "status": "NEEDS-ACTION", "role": "CHAIR"}
    attendee = event_of(status="tentative", attendees=[waiting])["attendee"]
    assert (attendee.params["PARTSTAT"], attendee.params["RSVP"]) == ("NEEDS-ACTION", "FALSE")


def test_a_meeting_without_a_subject_says_with_whom() -> None:
    assert event_of(meeting={"subject": None})["summary"] == "Meeting with Ana"


NASTY = 'Plan; a, b\\n "x"\r\nATTENDEE:mailto:evil@example.org\r\nBEGIN:VEVENT\x00\x1b ' + "æøå漢字" * 40


def test_no_text_from_outside_becomes_a_property() -> None:
    people = [{"email": "gu+est'%/@example.org", "name": NASTY, "status": "NEEDS-ACTION", "role": "REQ-PARTICIPANT"}]
    text = invitation.calendar(given(meeting={"subject": NASTY}, organizer=NASTY, attendees=people), SENDER)
    _, event = read(text)
    shown = " ".join("".join(char if char.isprintable() else " " for char in NASTY).split())
    assert event["summary"] == shown
    assert event["attendee"] == "mailto:gu+est'%25/@example.org"
    assert event["attendee"].params["CN"] == event["organizer"].params["CN"] == shown.replace('"', "'")


def test_lines_are_as_long_as_mail_can_bear() -> None:
    text = invitation.calendar(given(meeting={"subject": NASTY}), SENDER)
    lines = text.encode().split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert lines[-1] == b""
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", text)


def test_another_parser_reads_the_same() -> None:
    text = invitation.calendar(given(meeting={"subject": "Plan; a, b: “c”"}), SENDER)
    found = vobject.readOne(text, validate=True)
    event = found.vevent
    assert (found.method.value, event.summary.value, event.status.value) == ("REQUEST", "Plan; a, b: “c”", "CONFIRMED")
    assert event.dtstart.value == datetime(2026, 3, 29, 12, tzinfo=UTC)
    assert (event.dtend.value - event.dtstart.value).total_seconds() == 45 * 60
    assert event.uid.value == "m000000000001019b8d1f5c80@signalbox.test"
    assert [line.value for line in event.attendee_list] == ["mailto:ana@example.org", "mailto:guest@example.org"]
    assert event.attendee_list[1].params["RSVP"] == ["TRUE"]


def test_what_the_core_says_is_what_an_invitation_needs() -> None:
    """From the booking to the cancellation, through the core's own JSON."""
    world = MeetingWorld(time_zone="Europe/Oslo")
    meeting = world.book(subject="Plan")
    world.say("ana", "meeting.reschedule", meeting=meeting.id, start=ONE, minutes=60)
    world.say("ana", "meeting.cancel", meeting=meeting.id)
    to_guest = [msgspec.json.decode(mail.data) for mail in world.mails() if mail.recipient == "guest@example.org"]
    events = [read(invitation.calendar(data, SENDER))[1] for data in to_guest]
    assert [(event["sequence"], event["status"]) for event in events] == [
        (0, "CONFIRMED"), (1, "CONFIRMED"), (2, "CANCELLED"),
    ]  # fmt: skip
    assert {event["uid"] for event in events} == {f"{meeting.id}@signalbox.test"}
    assert [(event["dtend"].dt - event["dtstart"].dt).seconds // 60 for event in events] == [30, 60, 60]
    assert events[1]["dtstart"].dt == datetime(2026, 1, 5, 13, tzinfo=UTC)

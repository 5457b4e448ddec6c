"""A meeting as calendars exchange it: iCalendar (RFC 5545) in the words of iTIP (RFC 5546).

A change of a meeting makes one text, the same for both sides and at every attempt: nothing in it is read from a clock.

- The UID is the meeting's for ever, SEQUENCE grows with each change, DTSTAMP is the moment of the change: a calendar
  that gets two changes in the wrong order keeps the later one.
- The organizer is the address that the mails come from, under the agent's name. Calendars accept changes and
  cancellations only from there (RFC 6047, 2.3), and the agent is a guest like the other side: what an agent's own
  calendar takes for its own work it would not update by mail. What calendars answer goes to that address too.
- A meeting is one instant, so its times are in UTC, and each calendar shows them on its own wall. Times of a zone
  would bring the zone's rules along (VTIMEZONE), which calendars read in different ways; the mail's text names the
  agent's local time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from icalendar import Calendar, Event, vCalAddress, vText

PRODUCT = "-//signalbox//meetings//EN"
STATUS = {"tentative": "TENTATIVE", "confirmed": "CONFIRMED", "cancelled": "CANCELLED"}
_PLAIN = "@!#$&'*+-/=?^_`{|}~."  # what an address may have, and a link need not hide (RFC 6068)


def calendar(data: dict[str, Any], sender: str) -> str:
    """The text of an invitation.

    Parameters: ``data`` is what ``actors.meeting.announce`` says, read from JSON; ``sender`` the address from which
    the mail comes. Lines end in CRLF and are at most 75 bytes long.
    """
    found = Calendar()
    found.add("prodid", PRODUCT)
    found.add("version", "2.0")
    found.add("calscale", "GREGORIAN")
    found.add("method", data["method"])
    found.add_component(_event(data, sender))
    text: bytes = found.to_ical()
    return text.decode()


def _event(data: dict[str, Any], sender: str) -> Event:
    meeting, event = data["meeting"], Event()
    start = datetime.fromisoformat(meeting["start"])
    event.add("uid", f"{meeting['id']}@{sender.rpartition('@')[2]}")
    event.add("sequence", data["sequence"])
    event.add("dtstamp", datetime.fromisoformat(data["changed_at"]).replace(microsecond=0))
    event.add("dtstart", start)
    event.add("dtend", start + timedelta(minutes=meeting["minutes"]))
    event.add("summary", _line(meeting["subject"] or f"Meeting with {data['organizer']}"))
    event.add("status", STATUS[meeting["status"]])
    event.add("transp", "OPAQUE")
    event.add("organizer", _person(sender, data["organizer"]), encode=False)
    for attendee in data["attendees"]:
        event.add("attendee", _attendee(attendee, asks=data["method"] == "REQUEST"), encode=False)
    return event


def _attendee(attendee: dict[str, Any], *, asks: bool) -> vCalAddress:
    found = _person(attendee["email"], attendee["name"])
    found.params["CUTYPE"] = vText("INDIVIDUAL")
    found.params["ROLE"] = vText(attendee["role"])
    if asks:
        found.params["PARTSTAT"] = vText(attendee["status"])
        found.params["RSVP"] = vText(str(_is_asked(attendee)).upper())
    return found


def _is_asked(attendee: dict[str, Any]) -> bool:
    """Agents confirm in the house, not in their calendars."""
    return str(attendee["status"]) == "NEEDS-ACTION" and str(attendee["role"]) != "CHAIR"


def _person(email: str, name: str | None) -> vCalAddress:
    found = vCalAddress(f"mailto:{quote(email, safe=_PLAIN)}")
    found.params["CN"] = vText(_line(name or email).replace('"', "'"))
    return found


def _line(text: str) -> str:
    """One line of what can be shown: a name cannot add a property."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())

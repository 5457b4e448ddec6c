"""A meeting with an agent: booked, confirmed, rescheduled, cancelled, reminded of. [behaviour §8]

    tentative -> confirmed -> cancelled        (booked by a contact, where the agent wants to confirm)
                 confirmed -> cancelled        (booked otherwise)

Each change is an entry in the meeting's conversation and a mail with an invitation to both sides. A quarter of an hour
before a confirmed meeting both are reminded, once: that is ``reminded`` in the record, which a new start takes back.
None is sent for one that is booked, confirmed or moved when there is no more than that left, since that mail has
just come; nor for a tentative one, which may not take place; nor after the end, if the house was down so long.

Requests come through ``actors.booking``, which has checked who asks; what contradicts another meeting is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from actors import mail
from actors.agenda import Agenda
from actors.messages import Agreed, Booked, Delete, Do, Due
from actors.slots import MINUTE, is_working, overlaps, working_hours
from actors.system import Actor, Turn
from actors.timeline import by_whom
from actors.wheel import Timer
from protocol.errors import bad_params, refused
from protocol.frozen import Frozen
from protocol.ids import Principal
from protocol.meetings import MeetingReschedule
from protocol.objects import SYSTEM, By, Meeting
from protocol.records import ContactRecord, MeetingRecord
from protocol.settings import AgentSettings
from protocol.times import Moment

if TYPE_CHECKING:
    from actors.house import House

REMINDER_MS = 15 * MINUTE
AHEAD_MS_MAX = 732 * 86_400_000  # two years, and whatever day that is


class MeetingActor(Actor):
    """One meeting that lies ahead."""

    __slots__ = ("_house", "record", "timer")
    record: MeetingRecord

    def __init__(self, house: House, record: MeetingRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.timer = Timer(self, "meeting")

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        match message:
            case Booked():
                self._await_reminder(turn.now)
                self._say("scheduled", message.by, turn)
            case Do(params=MeetingReschedule() as params):
                self._reschedule(params, message.principal, turn)
            case Do(method="meeting.confirm"):
                self._confirm(by_whom(message.principal), turn)
            case Do(method="meeting.cancel"):
                self._cancel(by_whom(message.principal), turn)
            case Delete():
                self._cancel(SYSTEM, turn)
            case Due():
                self._remind(message.clock, turn)
            case _:
                raise AssertionError(f"a meeting cannot take {message}")

    # ------------------------------------------------------------ what it publishes

    def view(self) -> Meeting:
        """The meeting as clients see it."""
        return view(self.record)

    @property
    def until(self) -> int:
        """Until when it lies ahead; a cancelled one no longer does."""
        return 0 if self.record.status == "cancelled" else self.record.ends

    # ------------------------------------------------------------ the timer

    def settle(self, turn: Turn) -> None:
        """Arm the timer; the agenda knows the end."""
        self.arm()
        self._house.meetings.note(self)

    def arm(self) -> None:
        """Bring the timer in line with the record."""
        self._house.wheel.keep(self.timer, self.earliest())

    def earliest(self) -> int | None:
        """When the reminder is due, or None."""
        record = self.record
        return None if record.reminded or record.status != "confirmed" else record.starts - REMINDER_MS

    def _remind(self, clock: int, turn: Turn) -> None:
        self.record.reminded = True
        if clock < self.record.ends:
            self._say("reminder", SYSTEM, turn)

    def _await_reminder(self, now: int) -> None:
        """Remind, unless there is no more than that left."""
        self.record.reminded = self.record.starts - REMINDER_MS <= now

    # ------------------------------------------------------------ changes

    def _confirm(self, by: By, turn: Turn) -> None:
        record = self.record
        if record.status == "confirmed":
            return
        check_free(self._house.meetings, record.agent, record.starts, record.ends)
        record.status = "confirmed"
        self._change("confirmed", by, turn)

    def _reschedule(self, params: MeetingReschedule, principal: Principal, turn: Turn) -> None:
        record, house = self.record, self._house
        starts = record.starts if params.start is None else int(params.start)
        minutes = record.minutes if params.minutes is None else params.minutes
        if (starts, minutes) == (record.starts, record.minutes):
            return
        ends = starts + minutes * MINUTE
        settings = house.agents[record.agent].record.settings
        check_time(starts, ends, turn.now, begun=starts == record.starts)
        if principal.role == "contact":
            check_working(settings, starts, ends)
        check_free(house.meetings, record.agent, starts, ends, but=record.id)
        record.starts, record.minutes, record.ends = starts, minutes, ends
        if principal.role == "contact":
            record.status = "tentative" if settings.confirm_meetings else "confirmed"
        self._change("rescheduled", by_whom(principal), turn)

    def _cancel(self, by: By, turn: Turn) -> None:
        if self.record.status != "cancelled":
            self.record.status = "cancelled"
            self._change("cancelled", by, turn)

    def _change(self, reason: str, by: By, turn: Turn) -> None:
        self.record.sequence += 1
        self._await_reminder(turn.now)
        self._say(reason, by, turn)

    # ------------------------------------------------------------ telling

    def _say(self, reason: str, by: By, turn: Turn) -> None:
        """Put it down, when whoever is to hear of it is in the conversation, and mail both sides."""
        house, record = self._house, self.record
        turn.later(house.conversations[record.conversation], Agreed(self.view(), by, reason))
        announce(house, record, reason, by, turn)


def view(record: MeetingRecord) -> Meeting:
    """A meeting as clients see it."""
    return Meeting(
        id=record.id,
        agent=record.agent,
        start=Moment(record.starts),
        minutes=record.minutes,
        subject=record.subject,
        email=record.email,
        status=record.status,
        conversation=record.conversation,
    )


# ---------------------------------------------------------------- what a time must be


def check_time(starts: int, ends: int, now: int, *, begun: bool = False) -> None:
    """A whole second that is not past; ``begun`` = only the length changes. Raises RequestError (−32602)."""
    if begun and ends <= now:
        raise bad_params("minutes", "an end that is not past")
    if not begun and not now <= starts <= now + AHEAD_MS_MAX:
        raise bad_params("start", "a moment that is not past, at most two years away")
    if starts % 1000:
        raise bad_params("start", "a moment without a fraction of a second")


def check_working(settings: AgentSettings, starts: int, ends: int) -> None:
    """Contacts meet an agent in working hours only. Raises RequestError (−32602)."""
    if not is_working(working_hours(settings), starts, ends):
        raise bad_params("start", "a time within the agent's working hours: see meeting.slots")


def check_free(meetings: Agenda, agent: str, starts: int, ends: int, but: str | None = None) -> None:
    """Raises RequestError (conflict) if the agent has a confirmed meeting then."""
    if overlaps(meetings.taken(agent, but), starts, ends):
        raise refused("conflict", "the agent has a confirmed meeting at that time")


# ---------------------------------------------------------------- mail

Answer = Literal["NEEDS-ACTION", "ACCEPTED"]


class Attendee(Frozen, frozen=True):
    """Somebody who takes part, in the words of iCalendar."""

    email: str
    name: str | None
    status: Answer
    role: Literal["CHAIR", "REQ-PARTICIPANT"]


#: reason of the entry -> kind of the mail, and the method of its invitation
KINDS: dict[str, tuple[Any, str | None]] = {
    "scheduled": ("invitation", "REQUEST"),
    "confirmed": ("update", "REQUEST"),
    "rescheduled": ("update", "REQUEST"),
    "cancelled": ("cancellation", "CANCEL"),
    "reminder": ("reminder", None),
}


def announce(house: House, record: MeetingRecord, reason: str, by: By, turn: Turn) -> None:
    """Mail everybody who takes part."""
    kind, method = KINDS[reason]
    agent, guest = house.agents.get(record.agent), house.contacts.get(record.contact or "")
    settings = AgentSettings(id=record.agent) if agent is None else agent.record.settings
    asked = by.kind != "contact" and reason != "confirmed"
    people = attendees(record, settings, None if guest is None else guest.record, asked=asked)
    data = {
        "meeting": view(record),
        "reason": reason,
        "method": method,
        "sequence": record.sequence,
        "changed_at": Moment(turn.now),
        "time_zone": settings.time_zone,
        "organizer": settings.name or settings.id,
        "attendees": people,
    }
    languages = {settings.email: settings.language, record.email: None if guest is None else guest.record.language}
    for number, person in enumerate(people):
        ident, email = f"{record.id}-{record.sequence}-{reason}-{number}", person.email
        mail.write(house, turn, ident, kind, email, data, conversation=record.conversation, language=languages[email])


def attendees(
    record: MeetingRecord, agent: AgentSettings, guest: ContactRecord | None, *, asked: bool
) -> list[Attendee]:
    """Both sides, as far as they have an e-mail. ``asked``: the other side has not said yet that it can come."""
    people = []
    if agent.email is not None:
        status: Answer = "NEEDS-ACTION" if record.status == "tentative" else "ACCEPTED"
        people.append(Attendee(agent.email, agent.name or agent.id, status, "CHAIR"))
    if record.email is not None and record.email != agent.email:
        name = guest.name if guest is not None and guest.email == record.email else None
        people.append(Attendee(record.email, name, "NEEDS-ACTION" if asked else "ACCEPTED", "REQ-PARTICIPANT"))
    return people

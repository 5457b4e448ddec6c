"""Requests about meetings: who may book, with whom, when, and in which conversation. [behaviour §8]

The house books by hand, at any time: agents for themselves, admins for the agents of their services, backends for
all. A contact books where a conversation with the agent could begin (a service has the agent and takes the channel
``scheduler``), within working hours, and may move and cancel what is its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors import identity
from actors.access import administers, may_see, may_see_agent
from actors.agenda import AHEAD_MAX, AHEAD_OF_CONTACT_MAX, CHANNEL
from actors.conversation import ConversationActor
from actors.house import House
from actors.meeting import MeetingActor, check_free, check_time, check_working, view
from actors.members import contact_of_email
from actors.messages import Begin, Booked, Do
from actors.slots import MINUTE, RANGE_DAYS_MAX, RANGE_MS_MAX, SLOTS_MAX, free, working_hours
from actors.states import found
from actors.system import Turn
from actors.timeline import by_whom
from protocol.codec import Call
from protocol.errors import bad_params, refused
from protocol.ids import Principal, conversation_id, meeting_id
from protocol.meetings import MeetingName, MeetingReschedule, MeetingSchedule, MeetingSlots, OneMeeting, Slot, Slots
from protocol.records import ConversationRecord, MeetingById, MeetingRecord
from protocol.times import Moment

if TYPE_CHECKING:
    from actors.core import Core


def begin(core: Core, call: Call, principal: Principal, turn: Turn) -> None:
    """Check a request and hand it to its actor. Raises RequestError to refuse it."""
    match call.params:
        case MeetingSlots() as params:
            check_range(params)
            check_agent(core.house, params.agent, principal)
        case MeetingSchedule() as params:
            _schedule(core, call, params, principal, turn)
        case MeetingName() | MeetingReschedule() as params:
            _change(core, call, params, principal, turn)


def result(core: Core, call: Call, turn: Turn) -> Slots | OneMeeting:
    """The answer, from the house as it is when the turn is quiet."""
    if isinstance(call.params, MeetingSlots):
        return _slots(core.house, call.params, turn.now)
    return OneMeeting(view(turn.about))


# ---------------------------------------------------------------- slots


def check_range(params: MeetingSlots) -> None:
    """Raises RequestError (−32602)."""
    if not 0 < params.end - params.start <= RANGE_MS_MAX:
        raise bad_params("to", f"a moment after from, at most {RANGE_DAYS_MAX} days")


def _slots(house: House, params: MeetingSlots, now: int) -> Slots:
    hours = working_hours(house.agents[params.agent].record.settings)
    start = max(int(params.start), now)
    found = free(hours, house.meetings.taken(params.agent), start, int(params.end), params.minutes)
    if len(found) > SLOTS_MAX:
        raise refused("too_large", f"there are more than {SLOTS_MAX} slots", field="to", limit=SLOTS_MAX)
    return Slots(tuple(Slot(Moment(begins), params.minutes) for begins in found))


# ---------------------------------------------------------------- who may


def check_agent(house: House, agent: str, principal: Principal, *, must_administer: bool = False) -> None:
    """Raises RequestError (not_found, forbidden) if that agent cannot be met, or others' meetings not be booked."""
    if principal.role == "contact":
        seen = service_of(house, agent) is not None
    else:
        seen = agent in house.agents and may_see_agent(house, agent, principal)
    if not seen:
        raise refused("not_found", "there is no such agent, or you may not see it")
    if must_administer and principal.role == "agent" and not administers(house, agent, principal):
        raise refused("forbidden", "only an admin of a service of that agent may book for it")


def service_of(house: House, agent: str) -> str | None:
    """The first service that has this agent and takes conversations about meetings."""
    if agent not in house.agents:
        return None
    services = house.agents[agent].services.items()
    return next((name for name, service in services if service.record.settings.takes(CHANNEL)), None)


def _may_change(house: House, record: MeetingRecord, principal: Principal) -> bool:
    """Raises RequestError (not_found) if the meeting may not even be seen."""
    conversation = house.conversations.get(record.conversation)
    if principal.role == "contact":
        allowed = seen = identity.present(house, record.contact or "") == principal.sub
    else:
        allowed = principal.role == "backend" or administers(house, record.agent, principal)
        seen = allowed or (conversation is not None and may_see(house, conversation.record, principal))
    if not seen:
        raise refused("not_found", "there is no such meeting, or you may not see it")
    return allowed


# ---------------------------------------------------------------- changing


def _change(core: Core, call: Call, params: MeetingName | MeetingReschedule, principal: Principal, turn: Turn) -> None:
    actor = core.house.meetings.get(params.meeting)
    record: MeetingRecord | None = core.memory.answer(MeetingById(params.meeting)) if actor is None else actor.record
    if record is None:
        raise refused("not_found", "there is no such meeting, or you may not see it")
    if not _may_change(core.house, record, principal):
        raise refused("forbidden", "only that agent and admins of its services may change its meetings")
    turn.about = record
    if record.status == "cancelled":
        if call.method != "meeting.cancel":
            raise refused("wrong_state", "the meeting is cancelled", state="cancelled")
        return
    if actor is None or record.ends <= turn.now:
        raise refused("wrong_state", "the meeting is over", state="over")
    if principal.role == "contact":
        core.house.meetings.pace(principal.sub, turn.now, turn)
    turn.send(actor, Do(params, principal, call.method))


# ---------------------------------------------------------------- booking


def _schedule(core: Core, call: Call, params: MeetingSchedule, principal: Principal, turn: Turn) -> None:
    house, outside = core.house, principal.role == "contact"
    check_agent(house, params.agent, principal, must_administer=True)
    there = None if params.conversation is None else found(house, params.conversation, call.method, principal).record
    starts, ends = int(params.start), params.start + params.minutes * MINUTE
    settings = house.agents[params.agent].record.settings
    check_time(starts, ends, turn.now)
    if outside:
        check_working(settings, starts, ends)
        house.meetings.pace(principal.sub, turn.now, turn)
    check_free(house.meetings, params.agent, starts, ends)
    contact = principal.sub if outside else None if there is None else there.contact
    if there is None and contact is None and params.email is None:
        raise refused("member_without_email", "a meeting needs the e-mail of the other side, or a conversation")
    if there is None and contact is None:
        contact = contact_of_email(core, params.email or "", turn)
    _check_room(house, params.agent, contact)
    known = None if contact is None or contact not in house.contacts else house.contacts[contact].record.email
    record = MeetingRecord(
        id=meeting_id(house.seq + 1, turn.now),
        agent=params.agent,
        starts=starts,
        ends=ends,
        minutes=params.minutes,
        subject=params.subject,
        email=(known or params.email) if outside else (params.email or known),
        contact=contact,
        status="tentative" if outside and settings.confirm_meetings else "confirmed",
        conversation=_dedicated(house, params, contact, principal, turn) if there is None else there.id,
    )
    actor = MeetingActor(house, record)
    house.meetings.keep(actor, turn)
    turn.about = record
    turn.send(actor, Booked(by_whom(principal)))


def _check_room(house: House, agent: str, contact: str | None) -> None:
    """Whatever holds things has a bound. Raises RequestError (too_large)."""
    ahead = house.meetings.of(agent)
    if len(ahead) >= AHEAD_MAX:
        raise refused("too_large", f"the agent has {AHEAD_MAX} meetings ahead", field="agent", limit=AHEAD_MAX)
    if contact is not None and sum(actor.record.contact == contact for actor in ahead) >= AHEAD_OF_CONTACT_MAX:
        raise refused(
            "too_large",
            f"the agent has {AHEAD_OF_CONTACT_MAX} meetings ahead with the same contact",
            field="agent",
            limit=AHEAD_OF_CONTACT_MAX,
        )


def _dedicated(house: House, params: MeetingSchedule, contact: str | None, principal: Principal, turn: Turn) -> str:
    """A conversation for this meeting alone, assigned to the agent; of an agent in no service, a created one."""
    agent, service = params.agent, service_of(house, params.agent)
    fields: dict[str, Any]
    if service is None:
        members = () if contact is None else (contact,)
        fields = {"created_by": principal.address, "crew": (agent,), "joined": (agent,), "members": members}
    else:
        fields = {
            "service": service,
            "begun_service": service,
            "begun_agent": agent,
            "channel": CHANNEL,
            "channel_class": house.channel_class(CHANNEL),
            "contact": contact,
        }
    name = conversation_id(house.seq + 1)
    record = ConversationRecord(id=name, name=params.subject, created_at=turn.now, **fields)
    actor = ConversationActor(house, record)
    house.keep_conversation(actor, turn)
    turn.send(actor, Begin(by_whom(principal), None, meets=agent))
    return name

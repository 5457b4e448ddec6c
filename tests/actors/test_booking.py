"""Booking: who may, with whom, when, and in which conversation."""

from __future__ import annotations

from typing import Any

import pytest

from actors.agenda import AHEAD_OF_CONTACT_MAX, PACE_MAX
from actors.effects import Opened
from protocol.codec import encode_json
from protocol.ids import Principal
from tests.meetings import HOUR, MINUTE, NOON, ONE, MeetingWorld, clock, text


@pytest.fixture
def world() -> MeetingWorld:
    return MeetingWorld()


def slots(world: MeetingWorld, who: str = "contact:nia", **params: Any) -> list[str]:
    """The free times of the first day."""
    given = {"agent": "ana", "from": text(0), "to": text(23, 59), **params}
    found = world.say(who, "meeting.slots", **given).slots
    assert {slot.minutes for slot in found} <= {given.get("minutes", 30)}
    return [slot.start.text()[11:16] for slot in found]


# ---------------------------------------------------------------- slots


def test_slots_are_what_is_left_of_the_working_day(world: MeetingWorld) -> None:
    world.book(start=text(10), minutes=45)
    world.wait(20 * MINUTE)
    assert slots(world)[:4] == ["09:30", "11:00", "11:30", "12:00"]
    assert slots(world)[-1] == "16:30"
    assert slots(world, minutes=240) == ["13:00"]


def test_a_tentative_meeting_takes_no_slot_and_a_cancelled_one_gives_it_back() -> None:
    world = MeetingWorld(confirm_meetings=True)
    meeting = world.book("contact:nia")
    assert "12:00" in slots(world)
    world.say("ana", "meeting.confirm", meeting=meeting.id)
    assert "12:00" not in slots(world)
    world.say("ana", "meeting.cancel", meeting=meeting.id)
    assert "12:00" in slots(world)


def test_an_agent_without_working_hours_has_no_slots(world: MeetingWorld) -> None:
    assert slots(world, "backend", agent="mia") == []


@pytest.mark.parametrize("params", [{"to": text(0)}, {"from": text(9, 1), "to": "2026-03-08T09:01:00.001Z"}])
def test_the_range_of_slots_has_a_beginning_an_end_and_a_bound(world: MeetingWorld, params: dict[str, str]) -> None:
    found = world.refused("ana", "meeting.slots", **{"agent": "ana", "from": text(0), "to": text(9), **params})
    assert (found["code"], found["field"]) == (-32602, "to")


def test_two_months_of_slots_can_be_asked_for(world: MeetingWorld) -> None:
    span = {"from": text(9), "to": "2026-03-08T09:00:00.000Z"}
    assert len(world.say("ana", "meeting.slots", agent="ana", **span).slots) == 9 * 2 * 16


def test_more_slots_than_fit_into_an_answer_are_refused(world: MeetingWorld) -> None:
    found = world.refused(
        "ana", "meeting.slots", agent="ana", minutes=1, **{"from": text(9), "to": "2026-03-08T09:00:00Z"}
    )
    assert (found["reason"], found["field"], found["limit"]) == ("too_large", "to", 5_000)


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize(("who", "agent", "reason"), [
    ("ana", "ana", None), ("mia", "ana", None), ("backend", "ana", None), ("contact:nia", "ana", None),
    ("ana", "mia", "forbidden"), ("bo", "ana", "not_found"), ("ana", "bo", "not_found"),
    ("contact:nia", "sam", "not_found"), ("backend", "nobody", "not_found"), ("contact:nia", "nobody", "not_found"),
])  # fmt: skip
def test_who_may_book_with_whom(world: MeetingWorld, who: str, agent: str, reason: str | None) -> None:
    reply = world.ask(who, "meeting.schedule", agent=agent, start=NOON, email="guest@example.org")
    assert (reply.error.data["reason"] if reply.error else None) == reason


@pytest.mark.parametrize(("who", "agent", "seen"), [
    ("ana", "mia", True), ("bo", "ana", False), ("contact:nia", "ana", True), ("contact:nia", "sam", False),
    ("backend", "sam", True),
])  # fmt: skip
def test_who_may_see_whose_slots(world: MeetingWorld, who: str, agent: str, seen: bool) -> None:
    error = world.ask(who, "meeting.slots", agent=agent, **{"from": text(9), "to": text(10)}).error
    assert (error is None) == seen
    assert seen or (error is not None and error.data["reason"] == "not_found")


def test_a_contact_meets_nobody_whose_services_do_not_take_bookings(world: MeetingWorld) -> None:
    world.say("backend", "service.put", service={"id": "front", "channels": ["web"]})
    assert world.refused("contact:nia", "meeting.schedule", agent="ana", start=NOON)["reason"] == "not_found"


@pytest.mark.parametrize(("who", "reason"), [
    ("contact:oli", "not_found"), ("bo", "not_found"), ("contact:nia", None), ("mia", None), ("backend", None),
])  # fmt: skip
def test_who_may_cancel_a_contacts_meeting(world: MeetingWorld, who: str, reason: str | None) -> None:
    meeting = world.book("contact:nia")
    error = world.ask(who, "meeting.cancel", meeting=meeting.id).error
    assert (error.data["reason"] if error else None) == reason


@pytest.mark.parametrize("way", ["ahead", "over", "cancelled"])
def test_a_colleague_who_sees_the_meeting_may_not_change_it(world: MeetingWorld, way: str) -> None:
    meeting = world.book("mia", agent="mia")
    world.say("backend", "conversation.close", conversation=meeting.conversation)
    if way == "cancelled":
        world.say("mia", "meeting.cancel", meeting=meeting.id)
    if way == "over":
        world.wait(4 * HOUR)
    assert world.refused("ana", "meeting.cancel", meeting=meeting.id)["reason"] == "forbidden"
    assert world.refused("bo", "meeting.cancel", meeting=meeting.id)["reason"] == "not_found"


def test_a_meeting_that_does_not_exist_is_not_found(world: MeetingWorld) -> None:
    assert world.refused("backend", "meeting.cancel", meeting="m0000000000ff")["reason"] == "not_found"


def test_a_contact_cannot_confirm(world: MeetingWorld) -> None:
    meeting = world.book("contact:nia")
    assert world.refused("contact:nia", "meeting.confirm", meeting=meeting.id)["reason"] == "forbidden"


# ---------------------------------------------------------------- when


@pytest.mark.parametrize("who", ["ana", "contact:nia"])
@pytest.mark.parametrize("start", ["2026-01-05T08:59:59.999Z", "2028-01-08T09:00:00.000Z", "2026-01-05T12:00:00.500Z"])
def test_a_start_in_the_past_or_out_of_sight_is_refused(world: MeetingWorld, who: str, start: str) -> None:
    found = world.refused(who, "meeting.schedule", agent="ana", start=start, email="guest@example.org")
    assert (found["code"], found["field"]) == (-32602, "start")


@pytest.mark.parametrize("span", [("16:45", 30), ("17:00", 30), ("12:00", 600)])
def test_contacts_meet_in_working_hours_and_the_house_whenever_it_likes(world: MeetingWorld, span: Any) -> None:
    start, minutes = f"2026-01-05T{span[0]}:00.000Z", span[1]
    found = world.refused("contact:nia", "meeting.schedule", agent="ana", start=start, minutes=minutes)
    assert (found["code"], found["field"]) == (-32602, "start")
    assert world.book(start=start, minutes=minutes).minutes == minutes


def test_a_contact_cannot_move_a_meeting_out_of_working_hours(world: MeetingWorld) -> None:
    meeting = world.book("contact:nia")
    found = world.refused("contact:nia", "meeting.reschedule", meeting=meeting.id, start=text(18))
    assert (found["code"], found["field"]) == (-32602, "start")
    assert world.say("mia", "meeting.reschedule", meeting=meeting.id, start=text(18)).meeting.start == clock(18)


@pytest.mark.parametrize("who", ["mia", "contact:nia"])
@pytest.mark.parametrize(
    ("start", "reason"),
    [(text(11, 45), "conflict"), (text(12, 29), "conflict"), (text(11, 30), None), (text(12, 30), None)],
)
def test_what_overlaps_a_confirmed_meeting_is_a_conflict(
    world: MeetingWorld, who: str, start: str, reason: str | None
) -> None:
    world.book()
    error = world.ask(who, "meeting.schedule", agent="ana", start=start, email="other@example.org").error
    assert (error.data["reason"] if error else None) == reason


def test_others_may_be_met_at_the_same_time(world: MeetingWorld) -> None:
    world.book()
    world.book("mia", agent="mia")


def test_working_hours_that_make_no_sense_are_refused(world: MeetingWorld) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"time_zone": "Europe/Atlantis"}, "agent.time_zone"),
        ({"working_hours": {"weekly": {"mon": [["17:00", "09:00"]]}}}, "agent.working_hours"),
        ({"working_hours": {"weekly": {"mon": [["nine", "ten"]]}}}, "agent.working_hours"),
    ]
    for settings, field in wrong:
        found = world.refused("backend", "agent.put", agent={"id": "ana", **settings})
        assert (found["code"], found["field"]) == (-32602, field)


# ---------------------------------------------------------------- with whom


def test_the_house_needs_the_e_mail_of_somebody_outside(world: MeetingWorld) -> None:
    found = world.refused("ana", "meeting.schedule", agent="ana", start=NOON)
    assert found["reason"] == "member_without_email"


def test_in_a_conversation_the_other_side_is_its_contact(world: MeetingWorld) -> None:
    conversation = world.start("nia", service="front").id
    world.say("backend", "contact.update", contact="nia", email="nia@example.org")
    world.say("ana", "conversation.join", conversation=conversation)
    meeting = world.say("ana", "meeting.schedule", agent="ana", start=NOON, conversation=conversation).meeting
    assert (meeting.email, meeting.conversation) == ("nia@example.org", conversation)
    assert world.letters() == [("invitation", "ana@example.org"), ("invitation", "nia@example.org")]
    assert world.say("contact:nia", "meeting.cancel", meeting=meeting.id).meeting.status == "cancelled"


def test_a_contact_without_an_e_mail_may_book_and_may_give_one(world: MeetingWorld) -> None:
    assert world.book("contact:nia").email is None
    assert world.letters() == [("invitation", "ana@example.org")]
    assert world.book("contact:nia", start=ONE, email="nia@example.org").email == "nia@example.org"


def test_a_contact_is_mailed_where_its_token_says_and_nowhere_else(world: MeetingWorld) -> None:
    world.start("nia", service="front")
    world.say("backend", "contact.update", contact="nia", email="nia@example.org")
    assert world.book("contact:nia", email="victim@example.org").email == "nia@example.org"


def test_the_same_guest_is_the_same_contact(world: MeetingWorld) -> None:
    one, two = world.book(), world.book(start=ONE)
    first, second = (world.look(meeting.conversation).contact for meeting in (one, two))
    assert first is not None
    assert first == second
    assert world.say("backend", "contact.get", contact=first.id).email == "guest@example.org"


def test_the_same_guest_is_the_same_contact_after_a_restart(world: MeetingWorld) -> None:
    first = world.book()
    world.say("ana", "meeting.cancel", meeting=first.id)
    world.say("ana", "conversation.close", conversation=first.conversation)
    world.boot()
    second = world.book()
    assert world.look(first.conversation).contact == world.look(second.conversation).contact


def sign_in(world: MeetingWorld, name: str, email: str) -> str:
    """A contact whose token has an e-mail connects; what to call it."""
    session = 1_000 + len(world.log)
    world.give(Opened(session, Principal("contact", name, email=email)))
    world.sessions[f"contact:{name}"] = session
    return f"contact:{name}"


def test_a_guest_who_signs_in_later_finds_its_meetings_and_may_cancel_them(world: MeetingWorld) -> None:
    meeting = world.book(email="Nia@Example.org")
    nia = sign_in(world, "nia", "nia@example.org")
    other = world.book(email="nia@example.org", start=ONE)
    assert world.look(other.conversation).contact == world.look(meeting.conversation).contact
    assert world.say(nia, "meeting.cancel", meeting=meeting.id).meeting.status == "cancelled"


def test_whoever_had_meetings_under_both_names_has_them_all_and_what_is_over_is_still_its_own(
    world: MeetingWorld,
) -> None:
    world.book("contact:nia", start=ONE)
    over = world.book(start=text(9, 30))
    world.wait(2 * HOUR)
    nia = sign_in(world, "nia", "guest@example.org")
    assert world.refused(nia, "meeting.cancel", meeting=over.id)["state"] == "over"
    assert world.refused("contact:oli", "meeting.cancel", meeting=over.id)["reason"] == "not_found"


def test_a_contact_is_told_nobodys_e_mail_in_the_timeline(world: MeetingWorld) -> None:
    conversation = world.start("nia", service="front").id
    world.say("mia", "conversation.assign", conversation=conversation)
    given = {"agent": "mia", "start": NOON, "conversation": conversation, "email": "boss@example.org"}
    assert world.say("mia", "meeting.schedule", **given).meeting.email == "boss@example.org"
    told = {who: [entry.meeting.email for entry in world.heard(who, "meeting") if entry.meeting]
            for who in ("contact:nia", "agent:mia")}  # fmt: skip
    assert told == {"contact:nia": [None], "agent:mia": ["boss@example.org"]}


def test_a_guest_who_keeps_booking_comes_to_an_end(world: MeetingWorld) -> None:
    world.say("backend", "agent.put", agent={"id": "ana", "confirm_meetings": True})
    for number in range(AHEAD_OF_CONTACT_MAX):
        world.book("contact:nia")
        world.wait(HOUR * (number == 0))
    world.wait(HOUR)
    found = world.refused("contact:nia", "meeting.schedule", agent="ana", start=NOON)
    assert (found["reason"], found["limit"]) == ("too_large", AHEAD_OF_CONTACT_MAX)
    world.book("contact:oli")


def test_a_contact_cannot_have_the_house_mail_without_end(world: MeetingWorld) -> None:
    for minute in range(PACE_MAX // 2):
        meeting = world.book("contact:nia", email="victim@example.org")
        world.refused("contact:nia", "meeting.reschedule", meeting=meeting.id, start=text(20))  # costs nothing
        world.say("contact:nia", "meeting.cancel", meeting=meeting.id)
        world.wait(MINUTE * (minute == 0))
    found = world.refused("contact:nia", "meeting.schedule", agent="ana", start=NOON)
    assert (found["reason"], found["retry_after_s"]) == ("rate_limited", 59 * 60)
    world.book("contact:oli")
    world.wait(59 * MINUTE)
    world.book("contact:nia", start=ONE)


# ---------------------------------------------------------------- in which conversation


def test_a_booking_gets_a_conversation_of_its_own_assigned_to_the_agent_above_the_maximum() -> None:
    world = MeetingWorld(capacity={"chat": 0})
    first, second = world.book(subject="Plan"), world.book(start=ONE)
    assert first.conversation != second.conversation
    found = world.look(first.conversation)
    assert (found.service, found.channel, found.channel_class) == ("front", "scheduler", "chat")
    assert (found.assignee, found.name, found.state, found.queued) == ("ana", "Plan", "open", False)
    assert world.agent("ana").used["chat"] == 2
    types = [entry.type for entry in world.timeline(first.conversation)]
    assert types == ["created", "assigned", "meeting"]


def test_it_is_the_agents_even_if_the_agent_is_away(world: MeetingWorld) -> None:
    world.end("ana")
    world.wait(HOUR)
    assert world.look(world.book("contact:nia").conversation).assignee == "ana"


def test_of_the_agents_services_it_is_the_first_that_takes_bookings(world: MeetingWorld) -> None:
    assert world.look(world.book("backend", agent="bo").conversation).service == "sales"


def test_an_agent_in_no_service_gets_a_created_conversation(world: MeetingWorld) -> None:
    meeting = world.book("sam", agent="sam")
    found = world.look(meeting.conversation)
    assert (found.service, found.channel, found.assignee, found.crew) == (None, None, None, ("sam",))
    guest = sign_in(world, "nia", "guest@example.org")
    assert [entry.reason for entry in world.entries(meeting.conversation, guest)] == ["scheduled"]
    world.wait(4 * HOUR)
    assert world.reasons(meeting.conversation) == ["scheduled", "reminder"]
    assert world.letters()[-2:] == [("reminder", "sam@example.org"), ("reminder", "guest@example.org")]


@pytest.mark.parametrize(("who", "reason"), [
    ("ana", "not_in_crew"), ("mia", None), ("contact:nia", None), ("contact:oli", "not_found"), ("backend", None),
])  # fmt: skip
def test_a_booking_in_a_conversation_is_for_its_crew_and_its_contact(
    world: MeetingWorld, who: str, reason: str | None
) -> None:
    conversation = world.start("nia", service="front").id
    world.say("mia", "conversation.assign", conversation=conversation)
    error = world.ask(who, "meeting.schedule", agent="mia" if who == "mia" else "ana", start=NOON,
                      conversation=conversation).error  # fmt: skip
    assert (error.data["reason"] if error else None) == reason


def test_no_meeting_is_booked_in_a_closed_conversation(world: MeetingWorld) -> None:
    conversation = world.start("nia", service="front").id
    world.say("backend", "conversation.close", conversation=conversation)
    found = world.refused("backend", "meeting.schedule", agent="ana", start=NOON, conversation=conversation)
    assert (found["reason"], found["state"]) == ("wrong_state", "closed")


def test_a_refused_booking_leaves_neither_a_conversation_nor_a_contact(world: MeetingWorld) -> None:
    world.book()
    house = world.core.house
    before = (house.seq, len(house.conversations), len(house.contacts), len(house.meetings), set(house.contact_at))
    found = world.refused("ana", "meeting.schedule", agent="ana", start=NOON, email="other@example.org")
    assert found["reason"] == "conflict"
    after = (house.seq, len(house.conversations), len(house.contacts), len(house.meetings), set(house.contact_at))
    assert after == before


def test_a_booking_with_a_key_is_made_once(world: MeetingWorld) -> None:
    given = {"agent": "ana", "start": NOON, "email": "guest@example.org", "key": "k"}
    first, second = (encode_json(world.say("ana", "meeting.schedule", **given)) for _ in range(2))
    assert first == second
    assert len(world.core.house.meetings) == 1
    assert len(world.letters()) == 2

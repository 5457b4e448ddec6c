"""When a conversation must next do something, to the millisecond. [behaviour §4, §5]"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from actors.deadlines import Rules, deadlines, earliest, lateness, may_differ, quiet_since
from protocol.codec import convert
from protocol.records import ConversationRecord
from protocol.settings import ServiceSettings

MINUTE = 60_000
HOUR = 60 * MINUTE
SINCE = 1_000_000_000


def rules(**settings: Any) -> Rules:
    return Rules(convert({"id": "support", **settings}, ServiceSettings))


def record(**fields: Any) -> ConversationRecord:
    return ConversationRecord(id="c1", created_at=SINCE, stirred_at=SINCE, **fields)


def waiting(**fields: Any) -> ConversationRecord:
    return record(waiting_since=SINCE, last_contact_message_at=SINCE, **fields)


def due(conversation: ConversationRecord, **settings: Any) -> dict[str, int]:
    return {kind: at - SINCE for at, kind in deadlines(conversation, rules(**settings))}


@pytest.mark.parametrize(
    ("waited", "expected"),
    [
        (0, None),
        (3 * MINUTE - 1, None),
        (3 * MINUTE, None),
        (3 * MINUTE + 1, "soon"),
        (5 * MINUTE, "soon"),
        (5 * MINUTE + 1, "overdue"),
        (365 * 24 * HOUR, "overdue"),
    ],
)
def test_soon_and_overdue_hold_strictly_later_than_their_limits(waited: int, expected: str | None) -> None:
    """[S4]"""
    assert lateness(waiting(), rules(), SINCE + waited) == expected


def test_nobody_waits_so_nothing_is_late() -> None:
    assert lateness(record(), rules(), SINCE + 99 * HOUR) is None
    assert set(due(record())) == {"auto_close"}


def test_the_deadlines_are_one_millisecond_after_the_limits_and_exactly_at_the_rung() -> None:
    assert due(waiting()) == {
        "soon": 3 * MINUTE + 1,
        "overdue": 5 * MINUTE + 1,
        "escalate": 60 * MINUTE,
        "auto_close": 24 * HOUR + 1,
    }


def test_what_has_come_is_not_due_again() -> None:
    assert "soon" not in due(waiting(lateness="soon"))
    assert due(waiting(lateness="overdue", steps_fired=rules().names)) == {"auto_close": 24 * HOUR + 1}


def test_overdue_before_soon_leaves_no_soon_behind() -> None:
    """A service may be overdue before it is soon: then it never is soon."""
    settings = {"soon_after": "10m", "overdue_after": "5m"}
    assert lateness(waiting(), rules(**settings), SINCE + 6 * MINUTE) == "overdue"
    assert "soon" not in due(waiting(lateness="overdue"), **settings)


def test_the_ladder_is_climbed_in_order_of_time_whatever_the_order_in_the_file() -> None:
    steps = [
        {"after": "30m", "do": "add_managers"},
        {"after": "10m", "do": "notify", "agents": ["mia"]},
        {"after": "20m", "do": "raise_priority", "by": 5},
    ]
    ladder = rules(escalation=steps).ladder
    assert [step.do for step in ladder] == ["notify", "raise_priority", "add_managers"]
    names = rules(escalation=steps).names
    times = [due(waiting(steps_fired=names[:rung]), escalation=steps).get("escalate") for rung in range(4)]
    assert times == [10 * MINUTE, 20 * MINUTE, 30 * MINUTE, None]


def test_steps_at_the_same_time_keep_their_order() -> None:
    steps = [{"after": "10m", "do": "raise_priority", "by": number} for number in (3, 1, 2)]
    assert [step.by for step in rules(escalation=steps).ladder] == [3, 1, 2]


def test_no_steps_means_no_ladder() -> None:
    assert "escalate" not in due(waiting(), escalation=[])


def test_the_default_ladder_calls_the_managers_after_an_hour() -> None:
    """[S0]"""
    assert [(step.do, int(step.after)) for step in rules().ladder] == [("add_managers", 60 * MINUTE)]


def test_a_snoozed_conversation_wakes_and_is_never_closed_by_itself() -> None:
    asleep = record(state="snoozed", snoozed_until=SINCE + 3 * HOUR)
    assert due(asleep) == {"snooze": 3 * HOUR}


def test_a_snoozed_wait_goes_on() -> None:
    asleep = waiting(state="snoozed", snoozed_until=SINCE + 3 * HOUR)
    assert due(asleep) == {
        "soon": 3 * MINUTE + 1, "overdue": 5 * MINUTE + 1, "escalate": HOUR, "snooze": 3 * HOUR,
    }  # fmt: skip


@pytest.mark.parametrize("state", ["closed", "moved"])
def test_what_is_over_has_no_deadlines(state: str) -> None:
    over = waiting(state=state, reply_due=SINCE, paused=(("ana", SINCE),))
    assert due(over) == {}


def test_null_means_no_automatic_end() -> None:
    assert due(record(), auto_close_after=None) == {}


def test_a_silent_agent_and_a_pause_have_their_own_deadlines() -> None:
    busy = record(reply_due=SINCE + 7, paused=(("ana", SINCE + 9), ("bo", SINCE + 5)))
    found = due(busy, auto_close_after=None)
    assert found == {"reply": 7, "pause": 5}


@given(st.integers(0, 9), st.none() | st.integers(0, 9))
def test_auto_close_counts_from_the_latest_of_the_stirring_and_the_last_message(
    stirred: int, wrote: int | None
) -> None:
    """[S3][S4]"""
    conversation = ConversationRecord(id="c1", stirred_at=stirred, last_contact_message_at=wrote)
    assert quiet_since(conversation) == max(stirred, -1 if wrote is None else wrote)


def test_the_earliest_is_the_next_and_of_several_at_once_the_first() -> None:
    assert earliest([]) is None
    assert earliest([(5, "b"), (3, "a"), (3, "c")]) == (3, "a")


@given(st.integers(0, 10 * MINUTE), st.integers(0, 10 * MINUTE), st.integers(0, 25 * MINUTE))
def test_a_facet_is_armed_for_the_very_tick_it_changes(soon: int, overdue: int, waited: int) -> None:
    """Whatever the limits, the tick before a deadline shows the old facet, and the tick itself the new one."""
    ready = rules(soon_after=f"{soon}ms", overdue_after=f"{overdue}ms", escalation=[], auto_close_after=None)
    before = lateness(waiting(), ready, SINCE + waited)
    found = earliest(deadlines(waiting(lateness=before), ready))
    if found is None:
        assert before == "overdue"
        return
    at = found[0]
    assert at > SINCE + waited
    assert lateness(waiting(), ready, at - 1) == before
    assert lateness(waiting(), ready, at) != before


#: what arms every other deadline, and values of which each field takes one that changes it
ARMED = {"service": "support", "routed": False, "offered_at": SINCE, "reply_due": SINCE + HOUR, "paused": (("ana", 1),)}
OTHERS = (None, "other", "overdue", "closed", 7, SINCE + 2 * HOUR, True, False, (), (("bo", SINCE),))


@pytest.mark.parametrize("field", ConversationRecord.__struct_fields__)
@pytest.mark.parametrize("snoozed", [False, True])
def test_no_deadline_differs_where_it_is_not_expected_to(field: str, snoozed: bool) -> None:
    ladder = rules(escalation=[{"after": "1m", "do": "add_managers"}], offer_within="30s")
    before = waiting(**ARMED, snoozed_until=SINCE + HOUR if snoozed else None)
    for other in (*OTHERS, ladder.names):
        after = structs.replace(before, **{field: other})
        try:
            differs = deadlines(after, ladder) != deadlines(before, ladder)
            expected = may_differ(before, after)
        except (TypeError, ValueError):
            continue  # no such value in this field
        assert expected or not differs


def test_a_message_of_the_house_moves_no_deadline() -> None:
    before = waiting(**ARMED)
    assert not may_differ(before, structs.replace(before, messages=2, last_seq=9, last_agent_message_at=SINCE + 1))
    assert may_differ(before, structs.replace(before, waiting_since=None))

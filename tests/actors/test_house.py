"""Who exists, what class a channel is in, and who hears of an entry."""

from __future__ import annotations

from typing import Any

import pytest

from actors.channel import ChannelActor
from actors.house import TEXT_MAX, House, check_text
from actors.system import Turn
from protocol.errors import RequestError
from protocol.objects import OUTSIDE_TYPES, SYSTEM, By, Origin
from protocol.records import ConversationRecord, EntryRecord
from protocol.settings import WorkspaceSettings
from tests.world import START, World, service, small_world


def house(**settings: Any) -> House:
    return House(WorkspaceSettings(**settings), ChannelActor)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("web", "chat"), ("personal_link", "chat"), ("scheduler", "chat"), ("whatsapp", "messaging"),
        ("messenger", "messaging"), ("sms", "messaging"), ("twitter", "messaging"), ("email", "email"),
    ],
)  # fmt: skip
def test_the_channels_of_a_class_share_it(channel: str, expected: str) -> None:
    """behaviour §1"""
    assert house().channel_class(channel) == expected


def test_a_channel_of_the_operators_own_is_messaging_unless_listed() -> None:
    """protocol §5"""
    assert house().channel_class("pigeon") == "messaging"
    listed = house(channel_classes={"slow": ("pigeon", "email"), "chat": ("web",)})
    assert listed.channel_class("pigeon") == "slow"
    assert listed.channel_class("owl") == "messaging"
    assert listed.classes == ("slow", "chat", "messaging")


def test_every_entry_takes_the_next_number() -> None:
    rooms, turn, record = house(), Turn(5), ConversationRecord(id="c1")
    seqs = [rooms.note(turn, record, kind, SYSTEM).seq for kind in ("created", "message", "closed")]
    assert seqs == [1, 2, 3]
    assert record.last_seq == 3
    assert [effect.entry.at for effect in turn.effects if isinstance(effect, EntryRecord)] == [5, 5, 5]


def audience(kind: str, by: By, **fields: Any) -> set[str]:
    record = ConversationRecord(id="c1", crew=("ana", "bo"), contact="nia")
    turn = Turn(0)
    house().note(turn, record, kind, by, **fields)
    written = next(effect for effect in turn.effects if isinstance(effect, EntryRecord))
    return set(written.audience)


CREW = {"agent:ana", "agent:bo"}


@pytest.mark.parametrize("kind", sorted(OUTSIDE_TYPES))
def test_the_crew_and_the_contact_hear_what_may_be_seen_outside(kind: str) -> None:
    assert audience(kind, By("agent", "ana")) == {*CREW, "contact:nia"}


@pytest.mark.parametrize(
    "kind",
    [
        "comment", "assigned", "unassigned", "queued", "transferred", "grabbed", "declined", "escalated", "moved",
        "snoozed", "woke", "offered", "offer_lost", "forwarded", "delivery",
    ],
)  # fmt: skip
def test_contacts_never_hear_what_is_inside(kind: str) -> None:
    """protocol §3, the table of entries"""
    assert audience(kind, By("agent", "ana")) == CREW


def test_whoever_did_it_hears_of_it_too() -> None:
    assert audience("comment", By("agent", "mia")) == {*CREW, "agent:mia"}
    assert audience("comment", By("backend", "crm")) == {*CREW, "backend:crm"}


def test_the_agent_it_is_about_and_the_one_who_loses_it_hear_of_it() -> None:
    told = audience("transferred", SYSTEM, agent="cy", origin=Origin("dee", "support"))
    assert told == {*CREW, "agent:cy", "agent:dee"}


def test_nobody_is_told_twice() -> None:
    record = ConversationRecord(id="c1", crew=("ana",), contact="nia")
    turn = Turn(0)
    house().note(turn, record, "assigned", By("agent", "ana"), agent="ana", told=("ana",))
    written = next(effect for effect in turn.effects if isinstance(effect, EntryRecord))
    assert written.audience == ("agent:ana",)


def test_a_text_may_have_so_many_characters_and_not_one_more() -> None:
    """protocol §7"""
    check_text(None)
    check_text("x" * TEXT_MAX)
    with pytest.raises(RequestError) as problem:
        check_text("x" * (TEXT_MAX + 1), "comment")
    assert problem.value.data["reason"] == "too_large"
    assert problem.value.data["field"] == "comment"
    assert TEXT_MAX == 32_768


def test_a_channel_has_one_way_out_however_often_it_is_asked_for() -> None:
    rooms = house()
    assert rooms.channel("sms") is rooms.channel("sms")


def test_whatever_there_is_can_be_counted() -> None:
    world: World = small_world(service("support", "ana bo"))
    world.receive("+1")
    counts = world.core.statistics()
    expected = {"services": 1, "agents": 2, "conversations": 1, "contacts": 1, "sessions": 1, "waiting": 1}
    assert {name: counts[name] for name in expected} == expected
    assert counts["timers"] >= 1
    assert world.now == START

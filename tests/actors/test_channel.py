"""The way out through connectors: order, window, again after a reconnect, and what became of it. [protocol §4]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.channel import WINDOW
from actors.effects import Output, Reply, Tell
from protocol.notices import ConnectorDeliver
from protocol.objects import SYSTEM
from protocol.records import DeliveryOf, DeliveryRecord
from tests.world import World, service, small_world


def world_of() -> tuple[World, str]:
    """ana has a conversation on sms; no connector is connected."""
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+47").id
    world.end("connector:sms")
    return world, found


def send(world: World, conversation: str, *texts: str) -> list[int]:
    return [world.say("ana", "message.send", conversation=conversation, text=text).entry.seq for text in texts]


def delivered(world: World, session: int) -> list[int]:
    return [notice.entry.seq for notice in world.told(session, ConnectorDeliver)]


def connect(world: World, name: str = "connector:sms") -> int:
    world.open(name)
    return world.sessions[name]


def acknowledge(world: World, seq: int, status: str = "delivered", **more: Any) -> None:
    world.say("connector:sms", "connector.delivered", entry=seq, status=status, **more)


def status_of(world: World, seq: int) -> str:
    record = world.store.read([DeliveryOf(seq)])[0]
    assert isinstance(record, DeliveryRecord)
    return record.status


def test_what_is_sent_goes_out_at_once_with_channel_and_address() -> None:
    world, found = world_of()
    session = connect(world)
    (seq,) = send(world, found, "Good morning")
    (notice,) = world.told(session, ConnectorDeliver)
    assert (notice.channel, notice.address, notice.entry.seq) == ("sms", "+47", seq)
    assert notice.entry.text == "Good morning"


def test_what_could_not_go_out_waits_and_goes_in_order() -> None:
    world, found = world_of()
    seqs = send(world, found, "1", "2", "3")
    assert delivered(world, connect(world)) == seqs


def test_what_is_acknowledged_is_not_sent_again_and_the_rest_starts_over_in_order() -> None:
    world, found = world_of()
    connect(world)
    first, second, third = send(world, found, "1", "2", "3")
    acknowledge(world, second)
    world.end("connector:sms")
    assert delivered(world, connect(world)) == [first, third]


@pytest.mark.parametrize("what", ["comment", "contact", "join", "close"])
def test_nothing_but_messages_of_the_house_goes_out(what: str) -> None:
    world, found = world_of()
    match what:
        case "comment":
            world.say("ana", "message.comment", conversation=found, text="Between us")
        case "contact":
            world.receive("+47", "Hello?")
        case "join":
            world.say("ana", "conversation.join", conversation=found)
        case "close":
            world.say("ana", "conversation.close", conversation=found)
    assert delivered(world, connect(world, "connector:sms")) == []


def test_it_goes_to_one_session_of_the_connector() -> None:
    world, found = world_of()
    first = connect(world)
    second = world.open("connector:sms,whatsapp").session
    send(world, found, "Once")
    assert (len(delivered(world, first)), len(delivered(world, second))) == (1, 0)


def test_when_the_served_session_ends_the_rest_goes_to_the_next_in_order() -> None:
    world, found = world_of()
    connect(world)
    second = world.open("connector:sms,whatsapp").session
    seqs = send(world, found, "1", "2", "3")
    acknowledge(world, seqs[0])
    world.end("connector:sms")
    assert delivered(world, second) == seqs[1:]


def test_after_a_reconnect_it_comes_again_until_acknowledged() -> None:
    world, found = world_of()
    (seq,) = send(world, found, "Hi")
    for _ in range(3):
        session = connect(world)
        assert delivered(world, session) == [seq]
        world.end("connector:sms")
    connect(world)
    acknowledge(world, seq, "sent")
    world.end("connector:sms")
    assert delivered(world, connect(world)) == []


def test_after_a_crash_it_comes_again_until_acknowledged() -> None:
    world, found = world_of()
    connect(world)
    seqs = send(world, found, "1", "2")
    acknowledge(world, seqs[0])
    world.boot()
    assert delivered(world, connect(world)) == [seqs[1]]


def test_so_many_are_on_their_way_at_once_and_an_acknowledgement_lets_the_next_one_go() -> None:
    world, _ = world_of()
    everybody = [world.receive(f"+{number}").id for number in range(WINDOW + 3)]
    world.end("connector:sms")
    seqs = [seq for conversation in everybody for seq in send(world, conversation, "Hi")]
    session = connect(world)
    assert delivered(world, session) == seqs[:WINDOW]
    acknowledge(world, seqs[5])
    assert delivered(world, session) == seqs[: WINDOW + 1]
    acknowledge(world, seqs[-1])
    assert delivered(world, session) == seqs[: WINDOW + 1], "that one was not on its way"
    for seq in seqs[:2]:
        acknowledge(world, seq)
    assert delivered(world, session) == seqs[: WINDOW + 2]


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        (["sent"], "sent"),
        (["sent", "delivered", "read"], "read"),
        (["read", "delivered", "sent"], "read"),
        (["delivered", "sent"], "delivered"),
        (["sent", "failed"], "failed"),
        (["failed", "delivered"], "failed"),
        (["delivered", "failed"], "delivered"),
        (["read", "failed"], "read"),
    ],
)
def test_a_status_never_goes_back(reports: list[str], expected: str) -> None:
    world, found = world_of()
    connect(world)
    (seq,) = send(world, found, "Hi")
    for status in reports:
        acknowledge(world, seq, status)
    assert status_of(world, seq) == expected
    world.boot()
    connect(world)
    acknowledge(world, seq, reports[0])
    assert status_of(world, seq) == expected


def test_an_error_is_kept_with_the_failure() -> None:
    world, found = world_of()
    connect(world)
    (seq,) = send(world, found, "Hi")
    acknowledge(world, seq, "failed", error="no such number")
    assert world.store.read([DeliveryOf(seq)])[0].error == "no such number"


def test_what_did_not_go_out_through_ones_channels_is_not_found() -> None:
    world, found = world_of()
    (seq,) = send(world, found, "Hi")
    for who, entry in (("connector:whatsapp", seq), ("connector:sms", seq - 1), ("connector:sms", seq + 1_000)):
        data = world.refused(who, "connector.delivered", entry=entry, status="sent")
        assert data["reason"] == "not_found", (who, entry)
    connect(world)
    acknowledge(world, seq)
    data = world.refused("connector:whatsapp", "connector.delivered", entry=seq, status="read")
    assert data["reason"] == "not_found"


def test_each_channel_has_its_own_connector() -> None:
    world, found = world_of()
    session = connect(world, "connector:whatsapp")
    send(world, found, "Hi")
    assert delivered(world, session) == []


def test_a_web_conversation_needs_no_connector() -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.start("nia", service="support")
    send(world, found.id, "Hi")
    assert world.core.statistics()["deliveries_pending"] == 0


def test_a_refused_commit_sends_nothing_and_the_next_step_sends_it_once() -> None:
    world, found = world_of()
    session = connect(world)
    request = world.asked("ana", "message.send", conversation=found, text="Hi")
    out: Output = world.step(request)
    world.core.undo([out], world.now)
    assert world.core.statistics()["deliveries_pending"] == 0
    world.give(request)
    seen = [item for item in world.outgoing if isinstance(item, Tell) and isinstance(item.notice, ConnectorDeliver)]
    assert [item.to for item in seen] == [(session,)]


@pytest.mark.parametrize("again", [False, True])
def test_a_refused_acknowledgement_leaves_it_pending_and_its_repetition_does_not(again: bool) -> None:
    world, found = world_of()
    session = connect(world)
    first, second = send(world, found, "1", "2")
    request = world.asked("connector:sms", "connector.delivered", entry=first, status="sent")
    out: Output = world.step(request)
    world.core.undo([out], world.now)
    if again:
        world.give(request)
    assert delivered(world, session) == [first, second]
    assert world.core.statistics()["deliveries_pending"] == (1 if again else 2)


# ---------------------------------------------------------------- what became of it


def fates(world: World, conversation: str, who: str = "backend") -> list[tuple[Any, ...]]:
    entries = world.timeline(conversation, who)
    return [(entry.to, entry.status, entry.error) for entry in entries if entry.type == "delivery"]


def test_what_became_of_it_is_in_the_timeline_as_it_rises_and_never_twice() -> None:
    world, found = world_of()
    connect(world)
    (seq,) = send(world, found, "Hi")
    for status in ("sent", "sent", "delivered", "sent", "read", "read", "delivered", "failed"):
        acknowledge(world, seq, status)
    assert fates(world, found) == [(seq, "sent", None), (seq, "delivered", None), (seq, "read", None)]
    assert world.timeline(found)[-1].by == SYSTEM


def test_several_states_in_one_step_are_each_put_down() -> None:
    """The second report finds the message acknowledged already, but not yet in the store."""
    world, found = world_of()
    connect(world)
    (seq,) = send(world, found, "Hi")
    reports = ("sent", "delivered", "sent", "read")
    out = world.give(
        *(world.asked("connector:sms", "connector.delivered", entry=seq, status=status) for status in reports)
    )
    assert [item.error for item in out.outgoing if isinstance(item, Reply)] == [None] * 4
    assert [status for _, status, _ in fates(world, found)] == ["sent", "delivered", "read"]
    assert status_of(world, seq) == "read"


def test_a_report_that_comes_before_the_last_one_is_committed_does_not_go_back() -> None:
    world, found = world_of()
    connect(world)
    (seq,) = send(world, found, "Hi")
    outs = []
    for status in ("delivered", "sent"):
        request = world.asked("connector:sms", "connector.delivered", entry=seq, status=status)
        outs.append(world.step(request))
    for out in outs:
        if out.batch:
            world.store.commit(out.batch)
        world.core.committed(out)
    assert fates(world, found) == [(seq, "delivered", None)]
    assert status_of(world, seq) == "delivered"


def test_the_crew_hears_of_it_and_the_contact_does_not() -> None:
    world, found = world_of()
    connect(world)
    (seq,) = send(world, found, "Hi")
    acknowledge(world, seq, "failed", error="no such number")
    contact = world.look(found).contact
    assert contact is not None
    heard = world.heard("agent:ana", "delivery")
    assert [(entry.to, entry.status, entry.error) for entry in heard] == [(seq, "failed", "no such number")]
    assert fates(world, found, f"contact:{contact.id}") == []
    assert world.heard(f"contact:{contact.id}", "delivery") == []


@pytest.mark.parametrize("restarted", [False, True])
def test_a_closed_conversation_hears_of_it_too_also_from_the_store(restarted: bool) -> None:
    world, found = world_of()
    connect(world)
    (seq,) = send(world, found, "Goodbye")
    world.say("ana", "conversation.close", conversation=found)
    if restarted:
        world.boot()
        connect(world)
    acknowledge(world, seq, "sent")
    if restarted:
        world.boot()
        connect(world)
    acknowledge(world, seq, "failed")
    assert [status for _, status, _ in fates(world, found)] == ["sent", "failed"]
    assert world.look(found).state == "closed"


def test_a_refused_report_is_in_no_timeline() -> None:
    world, found = world_of()
    connect(world)
    (seq,) = send(world, found, "Hi")
    request = world.asked("connector:sms", "connector.delivered", entry=seq, status="sent")
    world.core.undo([world.step(request)], world.now)
    assert fates(world, found) == []
    acknowledge(world, seq, "sent")
    assert fates(world, found) == [(seq, "sent", None)]

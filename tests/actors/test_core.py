"""Turns that fail, restarts, resuming. [architecture; behaviour §9]"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from actors.conversation import ConversationActor
from actors.core import RESUME_MAX, Core
from actors.digest import Digests
from actors.effects import Asked, Opened, Reply, Welcome
from actors.house import House
from actors.system import Turn
from protocol.records import Missed
from tests.invariants import broken
from tests.storm import snapshot
from tests.world import START, World, principal, service, slots, small_world

MINUTE = 60_000


@pytest.fixture
def world() -> World:
    """ana has one conversation, and one waits for her."""
    found = small_world(service("support", "ana bo"), online="ana", agents=[slots("ana", 1)])
    found.receive("+1")
    found.receive("+2")
    found.open("backend")
    return found


Fault = Callable[[ConversationActor, bool], None]


class Buggy(Digests):
    """Every turn comes by here when it is quiet. The compiled core has no methods that could be replaced."""

    def __init__(self, house: House, fault: Fault) -> None:
        super().__init__(house)
        self.fault = fault

    def settle(self, turn: Turn) -> None:
        super().settle(turn)
        for actor in tuple(turn.before):
            if isinstance(actor, ConversationActor):
                self.fault(actor, turn.session == 0)


def faulty(world: World, fault: Fault) -> None:
    """Have a fault happen to every conversation that a turn has touched; it is told whether it is a timer's turn."""
    house = world.core.house
    assert len(house.digests) == 0
    house.digests = Buggy(house, fault)
    world.tolerant = True


# ---------------------------------------------------------------- a turn that fails


@pytest.mark.parametrize("request_", ["close", "start", "send", "assign"])
def test_a_handler_that_raises_has_changed_nothing(world: World, request_: str) -> None:
    asked: dict[str, tuple[str, str, dict[str, Any]]] = {
        "close": ("ana", "conversation.close", {"conversation": "c000000000001"}),
        "send": ("ana", "message.send", {"conversation": "c000000000001", "text": "Hi"}),
        "assign": ("backend", "conversation.assign", {"conversation": "c000000000001", "agent": "bo", "anyway": True}),
        "start": ("backend", "conversation.start", {"contact": "nia", "service": "support", "text": "Hi"}),
    }
    who, method, params = asked[request_]
    before, bugs = snapshot(world.core), [RuntimeError("a bug")]

    def fault(actor: ConversationActor, is_timer: bool) -> None:
        if bugs:
            raise bugs.pop()

    faulty(world, fault)
    out = world.give(world.asked(who, method, **params))
    (reply,) = out.outgoing
    assert isinstance(reply, Reply)
    assert reply.error is not None
    assert reply.error.code == -32603
    assert not out.batch
    assert snapshot(world.core) == before
    assert broken(world.core) == []
    assert str(reply.error.data["incident"]) in world.core.failures[0]
    assert world.core.statistics()["failures"] == 1
    world.say(who, method, **params)
    assert broken(world.core) == []


def test_a_refused_request_leaves_no_trace(world: World) -> None:
    before = snapshot(world.core)
    for who, method, params in (
        ("ana", "conversation.assign", {"conversation": "c000000000004", "agent": "bo"}),
        ("backend", "conversation.transfer", {"conversation": "c000000000001", "service": "support"}),
        ("backend", "conversation.start", {"contact": "nia", "service": "none", "text": "Hi"}),
        ("ana", "conversation.snooze", {"conversation": "c000000000001", "for": "0s"}),
    ):
        out = world.give(world.asked(who, method, **params))
        assert not out.batch, method
        assert snapshot(world.core) == before, method
    assert world.receive("+3").id == f"c{before['seq'] + 1:012x}", "no number is lost"


def test_one_bad_input_harms_none_of_the_others_in_its_step(world: World) -> None:
    def fault(actor: ConversationActor, is_timer: bool) -> None:
        if actor.record.id == "c000000000001":
            raise RuntimeError("a bug")

    faulty(world, fault)
    asked = [
        world.asked("backend", "message.comment", conversation=name, text="x")
        for name in ("c000000000004", "c000000000001", "c000000000004")
    ]
    out = world.give(*asked)
    codes = [reply.error and reply.error.code for reply in out.outgoing if isinstance(reply, Reply)]
    assert codes == [None, -32603, None]
    seqs = [record.entry.seq for record in out.batch.entries]
    assert seqs == list(range(seqs[0], seqs[0] + 2))


def test_one_that_keeps_failing_is_parked_and_the_rest_goes_on(world: World) -> None:
    def fault(actor: ConversationActor, is_timer: bool) -> None:
        if actor.record.id == "c000000000001":
            raise RuntimeError("a bug")

    faulty(world, fault)
    for _ in range(5):
        world.ask("backend", "message.comment", conversation="c000000000001", text="x")
    assert list(world.core.supervisor.parked) == ["conversation:c000000000001"]
    assert world.core.supervisor.failures == 3, "a parked one is not even tried"
    error = world.ask("backend", "conversation.get", conversation="c000000000001", limit=0).error
    assert error is not None
    assert error.code == -32603
    world.say("backend", "message.comment", conversation="c000000000004", text="x")


def test_success_forgives_what_failed_before(world: World) -> None:
    turns = iter([True, True, False, True, True, False, True])

    def fault(actor: ConversationActor, is_timer: bool) -> None:
        if next(turns, False):
            raise RuntimeError("a bug")

    faulty(world, fault)
    for _ in range(7):
        world.ask("backend", "message.comment", conversation="c000000000001", text="x")
    assert world.core.supervisor.parked == {}


def test_a_timer_that_fails_stops_no_other_and_is_parked() -> None:
    world = small_world(service("support", "ana"))
    ids = [world.receive(f"+{number}").id for number in range(3)]

    def fault(actor: ConversationActor, is_timer: bool) -> None:
        if is_timer and actor.record.id == ids[0]:
            raise RuntimeError("a bug")

    faulty(world, fault)
    world.wait(10 * MINUTE)
    assert [world.look(name).lateness for name in ids[1:]] == ["overdue", "overdue"]
    assert list(world.core.supervisor.parked) == [f"conversation:{ids[0]}"]
    assert world.core.next_deadline() is not None


def test_a_timer_that_fails_once_fires_again() -> None:
    world = small_world(service("support", "ana"))
    found = world.receive("+1").id
    bugs = [RuntimeError("a bug")]

    def fault(actor: ConversationActor, is_timer: bool) -> None:
        if is_timer and bugs:
            raise bugs.pop()

    faulty(world, fault)
    world.wait(10 * MINUTE)
    assert world.look(found).lateness == "overdue"


def test_a_session_is_answered_though_its_principal_is_parked(world: World) -> None:
    for _ in range(3):
        world.core.supervisor.failed("agent:bo", "a bug")
    out = world.core.step(world.now, [Opened(99, principal("bo"), 0, None)])
    assert [item for item in out.outgoing if isinstance(item, Welcome)]


# ---------------------------------------------------------------- time and restarts


def test_nothing_happens_early_and_next_deadline_is_never_too_late(world: World) -> None:
    due = world.core.next_deadline()
    assert due is not None
    assert due <= START + 3 * MINUTE + 1
    world.wait(3 * MINUTE)
    assert not world.give().batch
    world.wait(1)
    assert world.look("c000000000001").lateness == "soon"


def test_a_clock_that_was_set_back_does_not_take_the_house_with_it(world: World) -> None:
    world.wait(10 * MINUTE)
    world.core.step(world.now - 9 * MINUTE, [])
    assert world.receive("+1", "Hello?").lateness == "overdue"


def test_without_fire_deadlines_wait(world: World) -> None:
    out = world.core.step(world.now + 10 * MINUTE, [], fire=False)
    assert not out.batch
    world.now += 10 * MINUTE
    world.give()
    assert world.look("c000000000001").lateness == "overdue"


def test_deadlines_that_passed_while_it_was_down_fire_once_in_order_and_are_dated_when_they_were_due() -> None:
    """§9"""
    steps = [{"after": "10m", "do": "notify", "agents": ["bo"]}, {"after": "20m", "do": "add_managers"}]
    world = small_world(service("support", "ana bo mia/admin", escalation=steps, auto_close_after="2h"), online="ana")
    one = world.receive("+1").id
    world.wait(MINUTE)
    two = world.receive("+2").id
    world.say("ana", "conversation.snooze", conversation=two, until="2026-01-05T09:15:00Z")
    world.now = START + 24 * 60 * MINUTE
    world.boot()
    while world.core.behind:
        world.give()
    world.give()
    since = world.core.house.seq
    fired = sorted(
        (entry.seq, entry.at - START, entry.type, entry.reason)
        for name in (one, two)
        for entry in world.timeline(name)
        if entry.at > START + MINUTE and entry.type in ("escalated", "woke", "closed")
    )
    assert [(at / MINUTE, kind, reason) for _, at, kind, reason in fired] == [
        (10, "escalated", "notify"), (11, "escalated", "notify"), (15, "woke", "timer"),
        (20, "escalated", "add_managers"), (21, "escalated", "add_managers"),
        (120 + 1 / MINUTE, "closed", "auto"), (135 + 1 / MINUTE, "closed", "auto"),
    ]  # fmt: skip
    world.boot()
    world.give()
    assert world.core.house.seq == since, "never twice"


def test_a_crash_loses_nothing_that_was_acknowledged(world: World) -> None:
    before = snapshot(world.core, live=False)
    loaded = Core(world.settings)
    loaded.load(world.store.load(), world.now)
    assert snapshot(loaded, live=False) == before


# ---------------------------------------------------------------- sessions


def test_a_client_that_resumes_gets_what_it_missed_and_was_told(world: World) -> None:
    found = world.start("nia", service="support").id
    since = world.core.house.seq
    world.end("contact:nia")
    world.say("backend", "message.send", conversation=found, text="Two")
    world.say("backend", "message.comment", conversation=found, text="For us only")
    welcome = world.open("contact:nia", since=since)
    assert welcome.missed == Missed("contact:nia", since, world.core.house.seq)
    assert [entry.text for entry in world.store.read([welcome.missed])[0]] == ["Two"]
    assert not welcome.resync


@pytest.mark.parametrize(("since", "resync"), [(0, False), (-1, True), (1, True)])
def test_too_far_back_or_from_the_future_a_client_reads_afresh(world: World, since: int, resync: bool) -> None:
    now = world.core.house.seq
    world.core.house.seq = now + RESUME_MAX
    welcome = world.open("ana", since={0: now, -1: now - 1, 1: now + RESUME_MAX + 1}[since])
    assert welcome.resync is resync
    assert (welcome.missed is None) is resync


def test_up_to_date_means_nothing_missed(world: World) -> None:
    welcome = world.open("ana", since=world.core.house.seq)
    assert (welcome.missed, welcome.resync) == (None, False)


def test_requests_of_sessions_that_are_gone_are_dropped(world: World) -> None:
    request = world.asked("ana", "conversation.close", conversation="c000000000001")
    world.end("ana")
    out = world.give(request)
    assert out.outgoing == ()
    assert out.taken == 1
    assert world.look("c000000000001").state == "open"


def test_a_request_without_an_id_is_done_and_not_answered(world: World) -> None:
    asked = world.asked("ana", "message.send", conversation="c000000000001", text="Hi")
    quiet = Asked(asked.session, msgspec.structs.replace(asked.call, id=msgspec.UNSET))
    out = world.give(quiet)
    assert [item for item in out.outgoing if isinstance(item, Reply)] == []
    assert world.look("c000000000001").needs is None


def test_deadlines_that_have_fired_are_counted() -> None:
    world = small_world(service("support", "ana", escalation=[]))
    world.receive("+1")
    world.wait(10 * MINUTE)
    assert world.core.statistics()["deadlines_fired"] == 2  # soon and overdue

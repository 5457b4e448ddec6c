"""Lost agents: the grace, what it lets stand, and what happens after it. [behaviour §9]"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from actors.core import Core
from actors.effects import Configured
from tests.world import World, service, small_world

MINUTE = 60_000


def two(**settings: object) -> World:
    return small_world(service("support", "ana bo", **settings), online="ana")


def test_back_within_the_grace_nothing_has_happened() -> None:
    world = two()
    found = world.receive("+1")
    world.end("ana")
    world.wait(MINUTE - 1)
    assert world.agent("ana").availability["messaging"] == "green"
    world.open("ana")
    world.wait(10 * MINUTE)
    assert world.look(found.id).assignee == "ana"
    assert "unassigned" not in [entry.type for entry in world.timeline(found.id)]


def test_during_the_grace_the_colour_stays_but_it_is_no_candidate() -> None:
    world = two()
    world.end("ana")
    assert world.agent("ana").availability["messaging"] == "green"
    assert world.receive("+1").queued


def test_after_exactly_the_grace_it_is_red_and_the_unanswered_go_back_at_their_age() -> None:
    world = two()
    unanswered = world.receive("+1")
    born = world.now
    answered = world.receive("+2")
    world.say("ana", "message.send", conversation=answered.id, text="Hi")
    world.wait(1_000)
    world.end("ana")
    world.wait(MINUTE - 1)
    assert world.look(unanswered.id).assignee == "ana"
    world.wait(1)
    found = world.look(unanswered.id)
    assert (found.assignee, found.queued, found.queued_since, found.crew) == (None, True, born, ())
    assert found.waiting_since == born
    assert world.look(answered.id).assignee == "ana"
    assert world.agent("ana").availability == {"chat": "red", "messaging": "red", "email": "red"}
    lost = [entry for entry in world.timeline(unanswered.id) if entry.type == "unassigned"]
    assert [(entry.agent, entry.reason, entry.at) for entry in lost] == [("ana", "lost", world.now)]


def test_what_is_lost_goes_to_the_next_agent_as_requeued() -> None:
    world = two()
    found = world.receive("+1")
    world.online("bo")
    world.end("ana")
    world.wait(MINUTE)
    assert world.look(found.id).assignee == "bo"
    assert world.timeline(found.id)[-1].reason == "requeued"


@pytest.mark.parametrize(
    ("policy", "answered", "kept"),
    [
        ("requeue_unanswered", True, True), ("requeue_unanswered", False, False), ("keep", True, True),
        ("keep", False, True), ("requeue_all", True, False), ("requeue_all", False, False),
    ],
)  # fmt: skip
def test_each_policy_does_its_own(policy: str, answered: bool, kept: bool) -> None:
    world = two(on_disconnect=policy)
    found = world.receive("+1")
    if answered:
        world.say("ana", "message.send", conversation=found.id, text="Hi")
    world.end("ana")
    world.wait(MINUTE)
    assert (world.look(found.id).assignee == "ana") is kept


def test_only_the_last_session_counts() -> None:
    world = two()
    found = world.receive("+1")
    world.open("ana/2")
    world.end("ana")
    world.wait(10 * MINUTE)
    assert world.look(found.id).assignee == "ana"
    world.end("ana/2")
    world.wait(MINUTE)
    assert world.look(found.id).assignee is None


def test_each_service_follows_its_own_grace_and_the_colour_the_longest() -> None:
    world = small_world(
        service("fast", "ana", disconnect_grace="10s"), service("slow", "ana", disconnect_grace="2m"), online="ana"
    )
    fast, slow = world.receive("+1", service="fast"), world.receive("+1", service="slow")
    world.end("ana")
    world.wait(10_000)
    assert world.look(fast.id).assignee is None
    assert world.look(slow.id).assignee == "ana"
    assert world.agent("ana").availability["messaging"] == "green"
    world.wait(2 * MINUTE - 10_001)
    assert world.agent("ana").availability["messaging"] == "green"
    world.wait(1)
    assert world.look(slow.id).assignee is None
    assert world.agent("ana").availability["messaging"] == "red"


def test_each_loss_has_a_grace_of_its_own() -> None:
    world = two()
    found = world.receive("+1")
    for _ in range(5):
        world.end("ana")
        world.wait(MINUTE - 1)
        world.open("ana")
        world.wait(1)
    assert world.look(found.id).assignee == "ana"


def test_what_is_snoozed_is_not_lost_and_a_joined_agent_stays_in_the_crew() -> None:
    world = two(on_disconnect="requeue_all")
    asleep, joined = world.receive("+1"), world.receive("+2")
    world.say("ana", "conversation.join", conversation=joined.id)
    world.say("ana", "conversation.snooze", conversation=asleep.id, **{"for": "3h"})
    world.end("ana")
    world.wait(MINUTE)
    assert world.look(asleep.id).state == "snoozed"
    found = world.look(joined.id)
    assert (found.assignee, found.crew, found.queued) == (None, ("ana",), True)


def test_after_a_restart_the_grace_runs_from_the_restart_for_whoever_was_live() -> None:
    world = two()
    found = world.receive("+1")
    world.now += 10 * MINUTE
    world.boot()
    world.wait(MINUTE - 1)
    assert world.look(found.id).assignee == "ana"
    world.wait(1)
    assert world.look(found.id).assignee is None


def test_a_grace_that_ran_before_a_crash_goes_on_and_is_dated_when_it_ended() -> None:
    world = two()
    found = world.receive("+1")
    world.end("ana")
    ended = world.now
    world.wait(30_000)
    world.now += 10 * MINUTE
    world.boot()
    world.give()
    assert world.look(found.id).assignee is None
    lost = next(entry for entry in world.timeline(found.id) if entry.type == "unassigned")
    assert lost.at == ended + MINUTE


def test_back_after_a_restart_nothing_has_happened() -> None:
    world = two()
    found = world.receive("+1")
    world.boot()
    world.open("ana")
    world.wait(10 * MINUTE)
    assert world.look(found.id).assignee == "ana"


def test_the_grace_after_a_restart_survives_a_store_that_refuses_the_first_step() -> None:
    world = two()
    found = world.receive("+1")
    world.core = Core(world.settings)
    world.sessions.clear()
    world.core.load(world.store.load(), world.now)
    out = world.step(Configured(world.settings))
    world.core.undo([out], world.now)
    world.wait(MINUTE)
    assert world.look(found.id).assignee is None


def test_a_grace_of_nothing_holds_for_each_loss_even_in_one_millisecond() -> None:
    world = two(disconnect_grace="0s", on_disconnect="requeue_all")
    world.end("ana")
    world.wait(0)
    world.open("ana")
    found = world.receive("+1")
    world.end("ana")
    world.wait(1)
    assert world.look(found.id).assignee is None


def test_the_grace_of_a_service_one_was_removed_from_still_holds() -> None:
    world = two(disconnect_grace="2m")
    found = world.receive("+1")
    world.say("backend", "service.put", service={"id": "support", "members": [{"agent": "bo"}]})
    world.end("ana")
    world.wait(2 * MINUTE)
    assert world.look(found.id).assignee is None


def test_a_new_grace_holds_at_once_also_for_who_is_no_member_but_has_one_of_its_conversations() -> None:
    """Storm seeds 40, 46 and 103."""
    world = two(disconnect_grace="10m")
    found = world.receive("+1")
    world.say("backend", "service.put", service={"id": "support", "members": [{"agent": "bo"}]})
    world.end("ana")
    world.say("backend", "service.put", service={"id": "support", "disconnect_grace": "2m"})
    world.wait(2 * MINUTE)
    assert world.look(found.id).assignee is None


def test_what_a_lost_agent_does_costs_the_same_whether_it_holds_ten_conversations_or_hundreds() -> None:
    assert calls_of_a_close(held=400) < 1.5 * calls_of_a_close(held=10)


def calls_of_a_close(held: int) -> int:
    """How many calls the core makes to close one of an agent's conversations by their clock, in the agent's grace."""
    world = small_world(service("support", "ana", on_disconnect="keep", auto_close_after="1h"), online="ana")
    first = world.receive("+0").id
    world.wait(1_000)
    for number in range(1, held):
        world.receive(f"+{number}")
    world.wait(60 * MINUTE - 1_000)  # the first is due in a millisecond
    world.end("ana")
    calls = 0

    def count(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        world.wait(1)
    finally:
        sys.setprofile(None)
    assert world.look(first).state == "closed"
    return calls

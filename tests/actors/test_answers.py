"""Answers that fail on their way: the contact's wait goes on as if there had been none. [behaviour §5]"""

from __future__ import annotations

import pytest

from protocol.objects import Entry
from tests.world import START, World, service, small_world

MINUTE = 60_000
LADDER = [{"after": "10m", "do": "raise_priority", "by": 5}, {"after": "60m", "do": "add_managers"}]


def world_of(wait_ms: int = MINUTE) -> tuple[World, str]:
    """A contact has waited for ana so long, on sms."""
    world = small_world(service("support", "ana mia/manager", escalation=LADDER), online="ana")
    found = world.receive("+47").id
    world.wait(wait_ms)
    return world, found


def answer(world: World, conversation: str, text: str = "Here I am") -> int:
    seq: int = world.say("ana", "message.send", conversation=conversation, text=text).entry.seq
    return seq


def report(world: World, seq: int, status: str = "failed") -> None:
    world.say("connector:sms", "connector.delivered", entry=seq, status=status)


def waits_since(world: World, conversation: str) -> int | None:
    return world.look(conversation).waiting_since


def climbed(world: World, conversation: str) -> list[Entry]:
    return [entry for entry in world.timeline(conversation) if entry.type == "escalated"]


def test_a_message_that_failed_did_not_end_the_wait() -> None:
    world, found = world_of()
    seq = answer(world, found)
    assert waits_since(world, found) is None
    report(world, seq)
    assert waits_since(world, found) == START
    assert world.look(found).needs == "reply"


@pytest.mark.parametrize("status", ["sent", "delivered", "read"])
def test_one_that_arrived_did(status: str) -> None:
    world, found = world_of()
    report(world, answer(world, found), status)
    assert waits_since(world, found) is None


def test_what_passed_meanwhile_is_made_up_for_at_the_moment_of_the_failure() -> None:
    world, found = world_of()
    seq = answer(world, found)
    world.wait(20 * MINUTE)
    assert climbed(world, found) == []
    report(world, seq)
    assert world.look(found).lateness == "overdue"
    world.wait(0)
    assert [(entry.reason, entry.at) for entry in climbed(world, found)] == [("raise_priority", world.now)]
    world.wait(39 * MINUTE)
    assert [entry.reason for entry in climbed(world, found)] == ["raise_priority", "add_managers"]
    assert climbed(world, found)[-1].at == START + 60 * MINUTE


def test_steps_that_had_fired_before_the_answer_do_not_fire_again() -> None:
    world, found = world_of(15 * MINUTE)
    seq = answer(world, found)
    world.wait(MINUTE)
    report(world, seq)
    world.wait(10 * MINUTE)
    assert [entry.reason for entry in climbed(world, found)] == ["raise_priority"]
    assert world.look(found).priority == 5


def test_an_answer_that_stands_is_enough() -> None:
    for order in ((0,), (1,)):
        world, found = world_of()
        seqs = [answer(world, found, text) for text in ("1", "2")]
        for place in order:
            report(world, seqs[place])
        assert waits_since(world, found) is None, order


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("restarted", [False, True])
def test_when_every_answer_has_failed_the_wait_goes_on(order: tuple[int, ...], restarted: bool) -> None:
    world, found = world_of()
    seqs = [answer(world, found, "1")]
    world.wait(MINUTE)
    seqs.append(answer(world, found, "2"))
    for place in order:
        if restarted:
            world.boot()
        report(world, seqs[place])
    assert waits_since(world, found) == START


def test_what_the_contact_wrote_meanwhile_waits_no_shorter_for_it() -> None:
    world, found = world_of()
    seq = answer(world, found)
    world.wait(MINUTE)
    world.receive("+47", "Hello?")
    assert waits_since(world, found) == START + 2 * MINUTE
    report(world, seq)
    assert waits_since(world, found) == START


def test_a_later_wait_that_was_answered_is_over_whatever_fails_of_the_first() -> None:
    world, found = world_of()
    first = answer(world, found)
    world.receive("+47", "Hello?")
    answer(world, found, "Really")
    report(world, first)
    assert waits_since(world, found) is None


def test_a_closed_conversation_waits_for_nothing_nor_does_it_when_reopened() -> None:
    world, found = world_of()
    seq = answer(world, found)
    world.say("ana", "conversation.close", conversation=found)
    world.say("ana", "conversation.reopen", conversation=found)
    report(world, seq)
    assert waits_since(world, found) is None
    again = answer(world, found)
    world.say("ana", "conversation.close", conversation=found)
    report(world, again)
    assert waits_since(world, found) is None
    assert world.look(found).needs is None


def test_a_message_that_answered_no_wait_begins_none() -> None:
    world = small_world(service("support", "ana"), online="ana")
    found = world.receive("+47").id
    report(world, answer(world, found), "delivered")
    world.say("ana", "conversation.close", conversation=found)
    world.say("ana", "conversation.reopen", conversation=found)
    report(world, answer(world, found, "By the way"))
    assert waits_since(world, found) is None


def test_what_the_backend_sent_is_no_answer_anyway() -> None:
    world, found = world_of()
    seq = world.say("backend", "message.send", conversation=found, text="We are busy").entry.seq
    assert waits_since(world, found) == START
    report(world, seq)
    assert waits_since(world, found) == START


def test_a_snoozed_conversation_waits_on_as_well() -> None:
    world, found = world_of()
    seq = answer(world, found)
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "3h"})
    report(world, seq)
    assert (world.look(found).state, waits_since(world, found)) == ("snoozed", START)


# ---------------------------------------------------------------- sent again


def retry(world: World, seq: int) -> None:
    world.say("backend", "outbox.retry", kind="message", id=str(seq))


def test_what_is_sent_again_ends_the_wait_again_and_its_second_failure_does_not() -> None:
    world, found = world_of(15 * MINUTE)
    seq = answer(world, found)
    report(world, seq)
    retry(world, seq)
    assert (waits_since(world, found), world.look(found).lateness) == (None, None)
    report(world, seq)
    assert waits_since(world, found) == START
    world.wait(0)
    assert [entry.reason for entry in climbed(world, found)] == ["raise_priority"]


def test_what_the_contact_wrote_after_it_failed_is_not_answered_by_sending_it_again() -> None:
    world, found = world_of()
    seq = answer(world, found)
    report(world, seq)
    world.wait(MINUTE)
    world.receive("+47", "Hello?")
    retry(world, seq)
    assert waits_since(world, found) == START


def test_one_of_two_failed_answers_that_is_sent_again_counts_with_the_other() -> None:
    world, found = world_of()
    first, second = answer(world, found), answer(world, found, "Again")
    report(world, first)
    retry(world, first)
    report(world, second)
    assert waits_since(world, found) is None
    report(world, first)
    assert waits_since(world, found) == START

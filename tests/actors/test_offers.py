"""Offers: grab and collaboration services. [S4; behaviour §3]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.notices import ConversationAssigned, OfferGone, OfferMade
from tests.world import World, service, slots, small_world

MINUTE = 60_000


def floor(mode: str = "grab", online: str = "ana bo mia", **settings: Any) -> World:
    agents = [slots("ana", 1), slots("bo", 1)]
    return small_world(service("floor", "ana bo cy mia/admin", mode=mode, **settings), online=online, agents=agents)


def made(world: World, who: str) -> list[tuple[str, str]]:
    return [(notice.conversation, notice.mode) for notice in world.told(f"agent:{who}", OfferMade)]


def gone(world: World, who: str) -> list[tuple[str, str]]:
    return [(notice.conversation, notice.reason) for notice in world.told(f"agent:{who}", OfferGone)]


@pytest.mark.parametrize("mode", ["grab", "collaboration"])
def test_every_member_gets_an_offer_and_so_does_one_who_comes_online_later(mode: str) -> None:
    world = floor(mode)
    found = world.start("nia", "Hello there", service="floor")
    assert (found.queued, found.assignee, found.needs) == (True, None, "rep")
    for who in ("ana", "bo", "mia"):
        assert made(world, who) == [(found.id, mode)], who
    assert world.told("agent:ana", OfferMade)[0].preview == "Hello there"
    world.outgoing.clear()
    world.online("cy")
    offers = [notice.conversation for notice in world.told(world.sessions["cy"], OfferMade)]
    assert offers == [found.id]


def test_the_first_grab_wins_and_every_offer_is_withdrawn() -> None:
    world = floor()
    found = world.start("nia", service="floor").id
    taken = world.say("bo", "conversation.grab", conversation=found).conversation
    assert (taken.assignee, taken.crew, taken.queued) == ("bo", ("bo",), False)
    assert world.agent("bo").used["chat"] == 1
    assert [item.reason for item in world.told("agent:bo", ConversationAssigned)] == ["grabbed"]
    for who in ("ana", "bo", "mia"):
        assert gone(world, who) == [(found, "taken")], who
    data = world.refused("ana", "conversation.grab", conversation=found)
    assert (data["reason"], data.get("state")) == ("already_owned", None)
    world.say("bo", "conversation.close", conversation=found)
    assert world.refused("ana", "conversation.grab", conversation=found)["reason"] == "already_owned", "a late one too"


@pytest.mark.parametrize(
    "method", ["conversation.get", "conversation.join", "conversation.assign", "message.comment", "conversation.close"]
)
def test_other_representatives_neither_see_nor_join_it_and_admins_do(method: str) -> None:
    world = floor()
    found = world.start("nia", service="floor").id
    more = {"text": "Hm"} if method == "message.comment" else {}
    world.say("ana", "conversation.get", conversation=found)
    world.say("bo", "conversation.grab", conversation=found)
    assert world.refused("ana", method, conversation=found, **more)["reason"] == "not_found"
    assert found not in [item.id for item in world.say("ana", "conversation.list").items]
    assert world.ask("mia", method, conversation=found, **more).error is None


def test_an_admin_can_never_grab() -> None:
    world = floor()
    found = world.start("nia", service="floor").id
    assert world.refused("mia", "conversation.grab", conversation=found)["reason"] == "forbidden"
    assert world.look(found).queued


@pytest.mark.parametrize("why", ["full", "off"])
def test_a_grab_needs_a_free_slot_and_the_class_switched_on(why: str) -> None:
    world = floor()
    first, second = world.start("nia", service="floor").id, world.start("oli", service="floor").id
    if why == "full":
        world.say("ana", "conversation.grab", conversation=first)
    else:
        world.say("ana", "agent.set_availability", available=False)
    assert world.refused("ana", "conversation.grab", conversation=second)["reason"] == "no_free_slot"
    assert world.look(second).queued
    world.say("bo", "conversation.grab", conversation=second)


def test_what_is_left_is_offered_again_to_all() -> None:
    world = floor()
    found = world.start("nia", service="floor").id
    world.say("ana", "conversation.grab", conversation=found)
    world.say("ana", "conversation.leave", conversation=found)
    now = world.look(found)
    assert (now.queued, now.assignee, now.crew) == (True, None, ())
    assert made(world, "bo") == [(found, "grab")] * 2
    world.say("bo", "conversation.grab", conversation=found)


def test_in_collaboration_everyone_may_join_and_whoever_joins_has_taken_it() -> None:
    world = floor("collaboration")
    found = world.start("nia", service="floor").id
    joined = world.say("ana", "conversation.join", conversation=found).conversation
    assert (joined.queued, joined.assignee, joined.crew, joined.needs) == (False, None, ("ana",), "reply")
    assert world.agent("ana").used["chat"] == 0
    assert gone(world, "bo") == [(found, "taken")]
    world.say("bo", "conversation.join", conversation=found)
    world.say("bo", "message.send", conversation=found, text="Hi")
    assert world.say("ana", "conversation.assign", conversation=found).conversation.assignee == "ana"
    assert world.agent("ana").used["chat"] == 1


def test_what_is_closed_while_on_offer_is_gone() -> None:
    world = floor()
    found = world.start("nia", service="floor").id
    world.say("backend", "conversation.close", conversation=found)
    assert gone(world, "ana") == [(found, "closed")]


@pytest.mark.parametrize("mode", ["grab", "collaboration"])
def test_nobody_took_it_in_time_so_it_is_pushed_and_else_its_offers_stand(mode: str) -> None:
    """[P] offer_within"""
    world = floor(mode, online="", offer_within="2m")
    found = world.start("nia", service="floor").id
    world.wait(2 * MINUTE)
    assert world.look(found).queued
    world.open("bo")
    assert [notice.conversation for notice in world.told(world.sessions["bo"], OfferMade)] == [found], "it stands"
    world.online("ana")
    assert world.look(found).assignee == "ana"
    assert gone(world, "bo")[-1] == (found, "pushed")


def test_it_is_pushed_exactly_in_time() -> None:
    world = floor(offer_within="2m", online="ana bo")
    found = world.start("nia", service="floor").id
    world.wait(2 * MINUTE - 1)
    assert world.look(found).queued
    world.wait(1)
    assert world.look(found).assignee == "ana"
    assert [item.reason for item in world.told("agent:ana", ConversationAssigned)] == ["offer_timeout"]


@pytest.mark.parametrize("mode", ["grab", "collaboration"])
def test_what_wakes_goes_to_the_first_available_agent_in_every_mode(mode: str) -> None:
    world = floor(mode)
    found = world.start("nia", service="floor").id
    world.say("ana", "conversation.join" if mode == "collaboration" else "conversation.grab", conversation=found)
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
    before = len(made(world, "bo"))
    world.wait(60 * MINUTE)
    assert world.look(found).assignee in ("ana", "bo")
    assert len(made(world, "bo")) == before


def test_a_reopening_follows_the_mode() -> None:
    world = floor()
    found = world.start("nia", service="floor").id
    world.say("ana", "conversation.grab", conversation=found)
    world.say("ana", "conversation.close", conversation=found)
    world.say("contact:nia", "message.send", conversation=found, text="Again")
    assert world.look(found).queued
    world.say("bo", "conversation.grab", conversation=found)


def test_offers_stand_after_a_restart() -> None:
    world = floor()
    found = world.start("nia", service="floor").id
    world.boot()
    world.open("bo")
    assert [notice.conversation for notice in world.told(world.sessions["bo"], OfferMade)] == [found]
    world.say("bo", "conversation.grab", conversation=found)

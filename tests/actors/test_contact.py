"""Which conversation a message belongs to. [behaviour §4, one live conversation]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.effects import Reply
from tests.world import World, service, small_world


def two(**settings: Any) -> World:
    """support (with these settings) and sales, both ana's."""
    return small_world(service("support", "ana", **settings), service("sales", "ana"), online="ana")


def close(world: World, conversation: str) -> None:
    world.say("backend", "conversation.close", conversation=conversation)


def move(world: World, conversation: str, name: str) -> None:
    world.say("backend", "conversation.transfer", conversation=conversation, service=name, anyway=True)


def texts(world: World, conversation: str) -> list[str | None]:
    return [entry.text for entry in world.timeline(conversation) if entry.type == "message"]


def test_simultaneous_first_messages_of_one_contact_make_one_conversation() -> None:
    world = two()
    world.open("connector:sms")
    asked = [
        world.asked("connector:sms", "connector.receive", channel="sms", address="+1", external_id=f"m{number}",
                    text=str(number), service="support")
        for number in range(5)
    ]  # fmt: skip
    replies = [item for item in world.give(*asked).outgoing if isinstance(item, Reply)]
    assert len({reply.result.conversation.id for reply in replies}) == 1
    assert texts(world, replies[0].result.conversation.id) == ["0", "1", "2", "3", "4"]


def test_each_contact_channel_and_service_has_its_own() -> None:
    world = two()
    ids = {
        world.receive("+1", service="support").id,
        world.receive("+2", service="support").id,
        world.receive("+1", service="sales").id,
        world.receive("+1", channel="whatsapp", service="support").id,
        world.start("nia", service="support").id,
        world.start("nia", service="support", channel="scheduler").id,
    }
    assert len(ids) == 6


def test_it_is_found_where_it_was_begun_though_it_was_transferred() -> None:
    world = two()
    found = world.receive("+1", service="support").id
    move(world, found, "sales")
    assert world.receive("+1", service="support").id == found
    assert world.receive("+1", service="sales").id == found
    assert world.look(found).service == "sales"


def test_without_a_service_the_latest_on_the_channel_is_found() -> None:
    world = two()
    world.receive("+1", service="support")
    world.wait(1)
    later = world.receive("+1", service="sales").id
    assert world.receive("+1").id == later


def test_of_several_that_fit_the_latest_is_found() -> None:
    """One begun in support is in sales; then another begins in support... and is found first there."""
    world = two(reopen="new")
    old = world.receive("+1", service="support").id
    move(world, old, "sales")
    close(world, old)
    world.wait(1)
    new = world.receive("+1", service="support").id
    assert new != old
    assert world.receive("+1", service="support").id == new


def test_a_closed_one_is_reopened_where_it_is_now() -> None:
    world = two()
    found = world.receive("+1", service="support").id
    move(world, found, "sales")
    close(world, found)
    again = world.receive("+1", service="support")
    assert (again.id, again.service, again.state) == (found, "sales", "open")


def test_the_latest_closed_one_is_reopened() -> None:
    world = two(reopen="new")
    ids = []
    for _ in range(3):
        ids.append(world.receive("+1", service="support").id)
        close(world, ids[-1])
        world.wait(1)
    world.say("backend", "service.put", service={"id": "support", "reopen": "same"})
    assert world.receive("+1", service="support").id == ids[-1]
    assert len(set(ids)) == 3


def test_the_named_service_says_whether_a_closed_one_goes_on() -> None:
    world = two(reopen="new")
    begun_in_sales = world.receive("+1", service="sales").id
    move(world, begun_in_sales, "support")
    close(world, begun_in_sales)
    assert world.receive("+1", service="sales").id == begun_in_sales, "sales says same"
    close(world, begun_in_sales)
    assert world.receive("+1", service="support").id != begun_in_sales, "support says new"


def test_a_live_one_is_preferred_to_a_closed_one() -> None:
    world = two()
    closed = world.receive("+1", service="sales").id
    live = world.receive("+1", service="support").id
    close(world, closed)
    assert world.receive("+1").id == live


def test_a_snoozed_one_is_live() -> None:
    world = two()
    found = world.receive("+1", service="support").id
    world.say("ana", "conversation.snooze", conversation=found, **{"for": "1h"})
    assert world.receive("+1", service="support").id == found


# ---------------------------------------------------------------- connectors


def test_without_a_service_it_begins_in_the_first_that_names_the_channel_else_the_first_that_takes_all() -> None:
    """protocol §4, connector.receive"""
    world = small_world(
        service("all", ""), service("other", "", channels=["email"]), service("texts", "", channels=["sms"]),
        service("texts too", "", channels=["sms", "email"]),
    )  # fmt: skip
    assert world.receive("+1").service == "texts"
    assert world.receive("+1", channel="email").service == "other"
    assert world.receive("+1", channel="pigeon").service == "all"


def test_if_no_service_takes_the_channel_the_params_are_wrong() -> None:
    world = small_world(service("texts", "", channels=["sms"]))
    ask = {"channel": "email", "address": "a@b", "external_id": "m", "text": "Hi"}
    data = world.refused("connector:email", "connector.receive", **ask)
    assert (data["code"], data["field"]) == (-32602, "service")
    assert len(world.core.house.contacts) == 0, "nobody was created"


def test_what_a_connector_knows_of_a_contact_is_kept_and_replaces_what_was_known() -> None:
    world = two()
    world.receive("+1", contact={"name": "Kari", "company": "Acme"})
    found = world.receive("+1", contact={"name": "Kari N."})
    assert found.contact is not None
    assert (found.contact.name, found.contact.company) == ("Kari N.", "Acme")
    world.boot()
    again = world.look(found.id).contact
    assert again is not None
    assert again.name == "Kari N."


def test_what_is_known_of_a_contact_is_replaced_if_given_taken_away_by_null_and_else_stays() -> None:
    world = two()
    contact = world.receive("+1", contact={"name": "Kari", "email": "kari@example.org"}).contact
    assert contact is not None
    known = {"phone": "+47", "company": "Fjord", "language": "nb", "custom": {"plan": "gold"}}
    world.say("ana", "contact.update", contact=contact.id, **known)
    found = world.say("ana", "contact.update", contact=contact.id, email=None, phone=None, company="Fjell", custom=None)
    assert (found.name, found.email, found.phone, found.company) == ("Kari", None, None, "Fjell")
    assert (found.language, found.custom) == ("nb", {"plan": "gold"})


def test_a_connectors_message_is_taken_though_its_old_conversation_cannot_be_reopened() -> None:
    """§3: "messages of connectors are always taken"; §4: one live conversation.

    The closed one was begun in support and is in sales, where another one is live by now.
    """
    world = small_world(service("support", "ana"), service("sales", "ana", reopen="new"), online="ana")
    old = world.receive("+1", service="support").id
    move(world, old, "sales")
    close(world, old)
    live = world.receive("+1", service="sales").id
    taken = world.receive("+1", "Hello?", service="support").id
    assert taken != old
    assert world.look(live).state == "open"


# ---------------------------------------------------------------- with a named agent


def named(world: World, contact: str = "nia", agent: str = "ana", text: str = "Hello") -> tuple[str, bool]:
    result = world.say(f"contact:{contact}", "conversation.start", agent=agent, channel="web", text=text)
    return result.conversation.id, result.continued


def test_starting_with_a_named_agent_continues_the_earlier_one_with_that_agent() -> None:
    """[S1] Even where closed ones do not go on."""
    world = small_world(service("front", "ana bo", reopen="new"), online="ana bo")
    first, continued = named(world)
    assert not continued
    assert named(world, text="Still there?") == (first, True)
    close(world, first)
    assert named(world, text="Back again") == (first, True)
    assert named(world, agent="bo")[0] != first
    assert named(world, contact="oli")[0] != first
    assert texts(world, first) == ["Hello", "Still there?", "Back again"]


def test_it_belongs_to_the_first_service_that_has_the_agent_and_takes_the_channel() -> None:
    world = small_world(
        service("one", "bo"), service("two", "ana", channels=["sms"]), service("three", "ana"), online="ana"
    )
    assert world.look(named(world)[0]).service == "three"


@pytest.mark.parametrize("agent", ["zoe", "lone", "ana"])
def test_an_agent_who_cannot_be_reached_on_the_channel_is_not_found(agent: str) -> None:
    world = small_world(service("texts", "ana", channels=["sms"]), agents=[{"id": "lone"}], online="ana lone")
    data = world.refused("contact:nia", "conversation.start", agent=agent, channel="web", text="Hi")
    assert data["reason"] == "not_found"
    assert world.core.house.seq == 0


def test_it_goes_to_that_agent_if_green_and_else_is_routed_as_any_other() -> None:
    world = small_world(service("front", "ana bo"), online="ana bo")
    assert world.look(named(world, agent="bo")[0]).assignee == "bo"
    world.say("bo", "agent.set_availability", available=False)
    assert world.look(named(world, contact="oli", agent="bo")[0]).assignee == "ana"


def test_it_goes_to_a_named_admin_who_is_green() -> None:
    """§4: "goes to this agent if green"; that admins are not routed to is about the strategy."""
    world = small_world(service("front", "ana mia/admin"), online="ana mia")
    assert world.agent("mia").availability["chat"] == "green"
    assert world.look(named(world, agent="mia")[0]).assignee == "mia"


def test_a_live_conversation_with_the_service_does_not_stand_in_the_way_of_the_agents() -> None:
    """§4: one live conversation per contact, channel and service; with a named agent: and agent."""
    world = small_world(service("front", "ana", reopen="new"), online="ana")
    with_ana, _ = named(world)
    close(world, with_ana)
    world.start("nia", service="front")
    assert named(world, text="Back again") == (with_ana, True)

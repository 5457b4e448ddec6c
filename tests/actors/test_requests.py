"""From a request to its result: what is checked, what is configured, what every method answers. [protocol §4]"""

from __future__ import annotations

from typing import Any

import pytest

from protocol.errors import INTERNAL
from protocol.requests import METHODS
from tests.world import World, service, slots, small_world

SOON, LATER = "2026-01-05T12:00:00.000Z", "2026-01-06T12:00:00.000Z"


@pytest.fixture
def world() -> World:
    return small_world(service("support", "ana bo"), service("texts", "bo", channels=["sms"]), online="ana")


# ---------------------------------------------------------------- conversation.start


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({}, "service"), ({"service": "support", "agent": "ana"}, "service"),
        ({"service": "support", "text": ""}, "text"), ({"service": "support", "channel": "a\x1fb"}, "channel"),
        ({"service": "texts"}, "service"),
    ],
)  # fmt: skip
def test_a_start_that_makes_no_sense_names_the_field(world: World, params: dict[str, str], field: str) -> None:
    before = world.core.house.seq
    data = world.refused("contact:nia", "conversation.start", **{"channel": "web", **params})
    assert (data["code"], data["field"]) == (-32602, field)
    assert world.core.house.seq == before


def test_an_unknown_service_is_not_found(world: World) -> None:
    assert world.refused("contact:nia", "conversation.start", service="x", text="Hi")["reason"] == "not_found"
    with pytest.raises(Exception, match="no such service"):
        world.receive("+1", service="x")


def test_the_backend_says_with_whom_and_may_set_the_priority_and_a_contact_may_not(world: World) -> None:
    assert world.refused("backend", "conversation.start", service="support", text="Hi")["field"] == "contact"
    ask = {"service": "support", "text": "Hi", "priority": 9}
    by_backend = world.say("backend", "conversation.start", contact="nia", **ask).conversation
    assert (by_backend.priority, by_backend.contact.id) == (9, "nia")
    by_contact = world.say("contact:oli", "conversation.start", **ask, contact="nia").conversation
    assert world.look(by_contact.id).priority == 0
    assert by_contact.contact.id == "oli", "a contact speaks for itself"


def test_what_was_created_says_by_whom_and_what_was_written_was_the_contacts(world: World) -> None:
    ask = {"service": "support", "text": "Hi", "contact": "nia"}
    found = world.say("backend", "conversation.start", **ask).conversation.id
    created, message = world.timeline(found)[:2]
    assert created.by is not None
    assert message.by is not None
    assert (created.type, created.by.kind, created.reason) == ("created", "backend", "backend")
    assert (message.type, message.by.kind, message.by.id) == ("message", "contact", "nia")


def test_a_live_one_is_continued_and_the_text_appended(world: World) -> None:
    first = world.say("contact:nia", "conversation.start", service="support", text="One")
    second = world.say("contact:nia", "conversation.start", service="support", text="Two")
    third = world.say("contact:nia", "conversation.start", service="support")
    assert [item.continued for item in (first, second, third)] == [False, True, True]
    texts = [entry.text for entry in world.timeline(first.conversation.id) if entry.type == "message"]
    assert texts == ["One", "Two"]


# ---------------------------------------------------------------- what is sent


@pytest.mark.parametrize("who", ["ana", "contact:nia", "backend"])
def test_a_message_needs_text_and_not_too_much_of_it(world: World, who: str) -> None:
    found = world.start("nia", service="support").id
    assert world.refused(who, "message.send", conversation=found, text="")["code"] == -32602
    assert world.refused(who, "message.send", conversation=found, text="x" * 32_769)["reason"] == "too_large"
    entry = world.say(who, "message.send", conversation=found, text="x" * 32_768).entry
    assert len(entry.text) == 32_768
    assert entry.seq == world.look(found).last_seq


def test_an_answer_names_what_it_answers(world: World) -> None:
    found = world.start("nia", service="support").id
    first = world.say("ana", "message.send", conversation=found, text="One").entry
    assert world.say("contact:nia", "message.send", conversation=found, text="Two", reply_to=first.seq).entry.reply_to


def test_an_entry_is_told_at_once_to_who_may_see_it_the_sender_included(world: World) -> None:
    found = world.start("nia", service="support").id
    entry = world.say("ana", "message.send", conversation=found, text="Hi").entry
    for address in ("agent:ana", "contact:nia"):
        assert world.heard(address, "message")[-1] == entry
    comment = world.say("ana", "message.comment", conversation=found, text="Between us").entry
    assert world.heard("agent:ana", "comment") == [comment]
    assert world.heard("contact:nia", "comment") == []
    assert "comment" not in [item.type for item in world.timeline(found, "contact:nia")]
    assert world.heard("agent:bo") == []


@pytest.mark.parametrize("field", ["address", "external_id"])
def test_what_a_connector_names_has_no_control_characters(world: World, field: str) -> None:
    ask = {"channel": "sms", "address": "+1", "external_id": "m", "text": "Hi", field: "a\nb"}
    data = world.refused("connector:sms", "connector.receive", **ask)
    assert (data["code"], data["field"]) == (-32602, field)


# ---------------------------------------------------------------- conversation.update


def test_what_is_given_replaces_and_what_is_not_given_stays(world: World) -> None:
    found = world.receive("+1", service="support").id
    world.say("ana", "conversation.update", conversation=found, name="A", description="B", priority=3, skills=["en"])
    world.say("ana", "conversation.update", conversation=found, name="C", add_tags=["x", "y"])
    now = world.say("ana", "conversation.update", conversation=found, add_tags=["z"], remove_tags=["x"]).conversation
    assert (now.name, now.description, now.priority, now.skills) == ("C", "B", 3, ("en",))
    assert now.tags == ("y", "z", "support")


def test_more_tags_than_allowed_change_nothing(world: World) -> None:
    found = world.receive("+1", service="support").id
    world.say("ana", "conversation.update", conversation=found, add_tags=[str(number) for number in range(50)])
    data = world.refused("ana", "conversation.update", conversation=found, add_tags=["one more"], name="N")
    assert (data["reason"], data["limit"]) == ("too_large", 50)
    assert world.look(found).name is None
    world.say("ana", "conversation.update", conversation=found, add_tags=["one more"], remove_tags=["0"])


# ---------------------------------------------------------------- services and agents


def test_a_service_that_is_put_again_keeps_what_is_not_named(world: World) -> None:
    world.say("backend", "service.put", service={"id": "support", "soon_after": "1m"})
    settings = world.say("backend", "service.get", service="support")
    assert [member.agent for member in settings.members] == ["ana", "bo"]
    assert int(settings.soon_after) == 60_000
    assert int(settings.overdue_after) == 300_000


def test_services_stand_in_the_order_in_which_they_were_configured(world: World) -> None:
    world.say("backend", "service.put", service={"id": "a new one"})
    world.say("backend", "service.put", service={"id": "support", "name": "S"})
    names = [item.id for item in world.say("backend", "service.list").services]
    assert names == ["support", "texts", "a new one"]
    world.boot()
    assert [item.id for item in world.say("backend", "service.list").services] == names


@pytest.mark.parametrize(
    ("method", "params", "field"),
    [
        ("service.put", {"service": {"id": "s", "members": [{"agent": "a"}, {"agent": "a"}]}}, "service.members"),
        ("service.put", {"service": {"id": "s", "max_slots": {"smoke": 1}}}, "service.max_slots.smoke"),
        ("service.put", {"service": {"id": "a\tb"}}, "service.id"),
        ("agent.put", {"agent": {"id": "a", "capacity": {"smoke": 1}}}, "agent.capacity.smoke"),
        ("agent.put", {"agent": {"id": "a\tb"}}, "agent.id"),
    ],
)
def test_a_configuration_that_makes_no_sense_names_the_field(
    world: World, method: str, params: dict[str, Any], field: str
) -> None:
    data = world.refused("backend", method, **params)
    assert (data["code"], data["field"]) == (-32602, field)


def test_a_new_configuration_applies_at_once_and_evicts_nobody(world: World) -> None:
    found = world.receive("+1", service="support").id
    world.wait(90_000)
    world.say("backend", "service.put", service={"id": "support", "soon_after": "1m", "members": [{"agent": "bo"}]})
    now = world.look(found)
    assert (now.lateness, now.assignee) == ("soon", "ana")
    world.say("backend", "service.put", service={"id": "support", "soon_after": "2m"})
    assert world.look(found).lateness is None
    world.wait(30_001)
    assert world.look(found).lateness == "soon"


def test_an_agent_shows_colours_and_used_slots_of_every_class(world: World) -> None:
    world.say("backend", "agent.put", agent=slots("ana", 1, name="Ana", skills=["en"]))
    world.receive("+1", service="support")
    seen = world.say("ana", "agent.get", agent="ana")
    assert (seen.name, seen.skills, seen.capacity["messaging"]) == ("Ana", ("en",), 1)
    assert seen.availability == {"chat": "green", "messaging": "orange", "email": "green"}
    assert seen.used == {"chat": 0, "messaging": 1, "email": 0}


# ---------------------------------------------------------------- every method


def everything(world: World) -> dict[str, tuple[str, dict[str, Any]]]:
    """A request of each method, by somebody who may call it."""
    web = world.start("nia", service="support").id
    text = world.receive("+1", service="support").id
    named: dict[str, tuple[str, dict[str, Any]]] = {
        "service.put": ("backend", {"service": {"id": "new"}}),
        "agent.put": ("backend", {"agent": {"id": "new"}}),
        "agent.set_availability": ("ana", {"available": True}),
        "agent.get": ("ana", {"agent": "ana"}),
        "agent.delete": ("backend", {"agent": "bo"}),
        "service.get": ("ana", {"service": "support"}),
        "service.delete": ("backend", {"service": "texts"}),
        "conversation.start": ("contact:oli", {"service": "support", "text": "Hi"}),
        "conversation.transfer": ("ana", {"conversation": text, "agent": "bo", "anyway": True}),
        "conversation.snooze": ("ana", {"conversation": text, "for": "1h"}),
        "conversation.move": ("ana", {"conversation": text, "service": "texts"}),
        "conversation.presence": ("ana", {"conversation": web, "state": "viewing"}),
        "conversation.read": ("ana", {"conversation": web, "seq": 1}),
        "conversation.unwatch": ("ana", {"watch": "w1"}),
        "message.send": ("ana", {"conversation": web, "text": "Hi"}),
        "message.comment": ("ana", {"conversation": web, "text": "Hi"}),
        "message.react": ("ana", {"conversation": web, "to": 1, "emoji": "👍"}),
        "message.forward": ("ana", {"conversation": web, "messages": [1], "to": ["guest@example.org"]}),
        "conversation.create": ("ana", {"name": "Launch"}),
        "conversation.invite": ("ana", {"conversation": web, "members": [{"agent": "bo"}]}),
        "conversation.remove": ("ana", {"conversation": web, "members": [{"agent": "bo"}]}),
        "conversation.join_link": ("ana", {"link": world.look(web).link}),
        "contact.merge": ("backend", {"contact": "nia", "into": "nia"}),
        "contact.get": ("ana", {"contact": "nia"}),
        "contact.update": ("ana", {"contact": "nia", "name": "Nia"}),
        "meeting.slots": ("ana", {"agent": "ana", "from": SOON, "to": LATER}),
        "meeting.schedule": ("ana", {"agent": "ana", "start": SOON, "email": "guest@example.org"}),
        "meeting.confirm": ("ana", {"meeting": "m1"}),
        "meeting.reschedule": ("ana", {"meeting": "m1", "start": SOON}),
        "meeting.cancel": ("ana", {"meeting": "m1"}),
        "template.put": ("backend", {"template": {"name": "t", "text": "Hi"}}),
        "template.delete": ("backend", {"template": "t"}),
        "connector.receive": ("connector:sms", {"channel": "sms", "address": "+9", "external_id": "z", "text": "Hi"}),
        "connector.delivered": ("connector:sms", {"entry": 1, "status": "sent"}),
        "outbox.retry": ("backend", {"kind": "message", "id": "1"}),
    }
    for name, method in METHODS.items():
        if name not in named and "conversation" in method.params.__struct_fields__:
            named[name] = ("ana", {"conversation": text})
    return named


@pytest.mark.parametrize("method", [name for name in sorted(METHODS) if not name.startswith("session.")])
def test_every_method_is_handled(world: World, method: str) -> None:
    """A result or a typed refusal; a method nobody taught the core would be our fault, -32603."""
    who, params = everything(world).get(method, ("backend", {}))
    if who == "backend" and "backend" not in METHODS[method].roles:
        who = "ana"
    reply = world.ask(who, method, **params)
    if reply.error is not None:
        assert reply.error.code != INTERNAL
        assert reply.error.data.get("reason") not in ("forbidden", None) or reply.error.code == -32602
    else:
        assert isinstance(reply.result, METHODS[method].result), method

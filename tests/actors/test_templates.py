"""Templates, and the reply window of WhatsApp. [S4; behaviour §6]"""

from __future__ import annotations

from typing import Any

import pytest

from tests.world import World, service, small_world

DAY = 86_400_000


@pytest.fixture
def world() -> World:
    found = small_world(service("support", "ana", auto_close_after=None), online="ana")
    for template in (
        {"name": "hello", "text": "Dear {{name}}, {{ what }}. {{name}}!", "approved": True},
        {"name": "plain", "text": "Hello"},
        {"name": "mail", "text": "Hello", "channels": ["email"]},
    ):
        found.say("backend", "template.put", template=template)
    return found


def conversation(world: World, channel: str = "whatsapp") -> str:
    return world.receive("+1", channel=channel).id


def send(world: World, template: str, found: str, /, **values: str) -> Any:
    use = {"name": template, "vars": values}
    return world.say("ana", "message.send", conversation=found, template=use).entry


def test_variables_are_filled_in(world: World) -> None:
    entry = send(world, "hello", conversation(world), name="Kari", what="{{name}} is text", more="ignored")
    assert (entry.text, entry.template) == ("Dear Kari, {{name}} is text. Kari!", "hello")
    assert entry.vars == {"name": "Kari", "what": "{{name}} is text"}


def test_a_template_without_variables_has_no_values(world: World) -> None:
    assert send(world, "plain", conversation(world, "sms"), name="Kari").vars is None


def test_a_missing_variable_is_a_mistake_in_the_params(world: World) -> None:
    data = world.refused("ana", "message.send", conversation=conversation(world),
                         template={"name": "hello", "vars": {"name": "Kari"}})  # fmt: skip
    assert (data["code"], data["field"]) == (-32602, "template.vars.what")


def test_unknown_ones_those_of_other_channels_and_text_as_well_are_refused(world: World) -> None:
    found = conversation(world)
    ask: dict[str, Any] = {"conversation": found}
    assert world.refused("ana", "message.send", **ask, template={"name": "none"})["reason"] == "not_found"
    assert world.refused("ana", "message.send", **ask, template={"name": "mail"})["code"] == -32602
    assert world.refused("ana", "message.send", **ask, template={"name": "plain"}, text="Hi")["code"] == -32602
    world.say("backend", "template.delete", template="plain")
    assert world.refused("ana", "message.send", **ask, template={"name": "plain"})["reason"] == "not_found"


def test_exactly_a_day_after_the_contacts_message_is_inside_the_window(world: World) -> None:
    found = conversation(world)
    world.wait(DAY)
    world.say("ana", "message.send", conversation=found, text="Just in time")
    world.wait(1)
    assert world.refused("ana", "message.send", conversation=found, text="Late")["reason"] == "window_closed"
    data = world.refused("ana", "message.send", conversation=found, template={"name": "plain"})
    assert data["reason"] == "window_closed", "not approved"
    send(world, "hello", found, name="Kari", what="news")
    world.receive("+1", "Thanks", channel="whatsapp")
    world.say("ana", "message.send", conversation=found, text="Open again")


def test_other_channels_have_no_window(world: World) -> None:
    found = conversation(world, "sms")
    world.wait(9 * DAY)
    world.say("ana", "message.send", conversation=found, text="Long ago")


def test_put_replaces_what_is_given_and_list_is_by_name(world: World) -> None:
    world.say("backend", "template.put", template={"name": "hello", "approved": False})
    listed = world.say("ana", "template.list").templates
    assert [(item.name, item.approved) for item in listed] == [("hello", False), ("mail", False), ("plain", False)]
    assert listed[0].text.startswith("Dear")
    world.boot()
    assert world.say("ana", "template.list").templates == listed


def test_a_template_of_the_backend_does_not_stop_the_clock(world: World) -> None:
    """§5: "templates sent by automation"."""
    found = conversation(world)
    use = {"name": "plain", "vars": {}}
    world.say("backend", "message.send", conversation=found, template=use)
    assert world.look(found).needs == "reply"
    send(world, "plain", found)
    assert world.look(found).needs is None

"""Who may do what with which conversation. [behaviour §10]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.access import NEEDS
from protocol.ids import ROLES
from protocol.requests import METHODS
from tests.world import World, service, small_world


@pytest.fixture
def world() -> World:
    """c: nia's web conversation in support, ana's; bo is in sales; oli is another contact."""
    return small_world(service("support", "ana cy mia/admin"), service("sales", "bo"), online="ana bo")


@pytest.fixture
def conversation(world: World) -> str:
    return world.start("nia", service="support").id


#: what to say with each method that names a conversation
PARAMS: dict[str, dict[str, Any]] = {
    "conversation.transfer": {"agent": "cy"},
    "conversation.snooze": {"for": "1h"},
    "message.send": {"text": "Hi"},
    "message.comment": {"text": "Hi"},
    "message.react": {"to": 1, "emoji": "👍"},
    "message.forward": {"messages": [1], "to": ["guest@example.org"]},
    "conversation.move": {"service": "sales"},
    "conversation.presence": {"state": "viewing"},
    "conversation.read": {"seq": 1},
    "conversation.invite": {"members": [{"agent": "mia"}]},
    "conversation.remove": {"members": [{"agent": "mia"}]},
    "meeting.schedule": {"agent": "ana", "start": "2026-01-05T12:00:00.000Z"},
}
ABOUT_ONE = sorted(NEEDS)


@pytest.mark.parametrize("method", ABOUT_ONE)
def test_what_one_may_not_see_does_not_exist(world: World, conversation: str, method: str) -> None:
    """An agent of another service and another contact cannot tell it from an id that never was."""
    roles = METHODS[method].roles
    for who, role in (("bo", "agent"), ("contact:oli", "contact")):
        if role in roles:
            params = PARAMS.get(method, {})
            found = world.refused(who, method, conversation=conversation, **params)
            unknown = world.refused(who, method, conversation="c0000000000ff", **params)
            assert found == unknown
            assert found["reason"] == "not_found"


@pytest.mark.parametrize("method", [name for name in sorted(METHODS) if not name.startswith("session.")])
def test_a_method_that_a_role_may_never_call_is_forbidden_whatever_it_names(
    world: World, conversation: str, method: str
) -> None:
    speakers = {"agent": "ana", "contact": "contact:nia", "connector": "connector:sms", "backend": "backend"}
    for role in ROLES:
        if role in METHODS[method].roles:
            continue
        for named in (conversation, "c0000000000ff"):
            params = sample_params(method, named)
            assert world.refused(speakers[role], method, **params)["reason"] == "forbidden", role


def sample_params(method: str, conversation: str) -> dict[str, Any]:
    """Params that decode."""
    others: dict[str, dict[str, Any]] = {
        "service.put": {"service": {"id": "support"}}, "service.get": {"service": "support"},
        "service.delete": {"service": "support"}, "agent.put": {"agent": {"id": "ana"}}, "agent.get": {"agent": "ana"},
        "agent.delete": {"agent": "ana"}, "agent.set_availability": {"available": True}, "conversation.start": {},
        "connector.receive": {"channel": "sms", "address": "+1", "external_id": "m", "text": "Hi"},
        "connector.delivered": {"entry": 1, "status": "sent"}, "contact.get": {"contact": "nia"},
        "contact.update": {"contact": "nia"}, "template.put": {"template": {"name": "t", "text": "x"}},
        "template.delete": {"template": "t"}, "conversation.unwatch": {"watch": "w1"},
        "conversation.create": {"name": "Launch"}, "conversation.join_link": {"link": "secret"},
        "contact.merge": {"contact": "nia", "into": "oli"},
        "outbox.retry": {"kind": "message", "id": "1"},
        "meeting.slots": {"agent": "ana", "from": "2026-01-05T12:00:00.000Z", "to": "2026-01-05T13:00:00.000Z"},
        **{f"meeting.{name}": {"meeting": "m1"} for name in ("confirm", "reschedule", "cancel")},
    }  # fmt: skip
    if method in others:
        return others[method]
    if "conversation" in METHODS[method].params.__struct_fields__:
        return {"conversation": conversation, **PARAMS.get(method, {})}
    return {}


NEEDS_CREW = ["conversation.transfer", "conversation.snooze", "conversation.close", "conversation.update"]


@pytest.mark.parametrize("method", NEEDS_CREW)
def test_some_things_only_the_crew_or_an_admin_may_do(world: World, conversation: str, method: str) -> None:
    params = PARAMS.get(method, {})
    world.online("cy")
    assert world.refused("cy", method, conversation=conversation, **params)["reason"] == "not_in_crew"
    for who in ("mia", "ana"):
        assert world.ask(who, method, conversation=world.start(who, service="support").id, **params).error is None, who


@pytest.mark.parametrize("method", ["message.send", "conversation.leave", "conversation.decline"])
def test_some_things_only_the_crew_may_do_admins_included(world: World, conversation: str, method: str) -> None:
    data = world.refused("mia", method, conversation=conversation, **PARAMS.get(method, {}))
    assert data["reason"] == "not_in_crew"


@pytest.mark.parametrize("who", ["cy", "mia"])
def test_members_see_comment_and_join_what_is_in_their_service(world: World, conversation: str, who: str) -> None:
    world.say(who, "conversation.get", conversation=conversation)
    world.say(who, "message.comment", conversation=conversation, text="Hm")
    assert who in world.say(who, "conversation.join", conversation=conversation).conversation.crew


def test_an_admin_of_one_service_is_nobody_in_another(world: World) -> None:
    found = world.receive("+1", service="sales")
    assert world.refused("mia", "conversation.close", conversation=found.id)["reason"] == "not_found"


def test_whoever_joined_sees_it_still_when_it_is_in_another_service(world: World, conversation: str) -> None:
    world.say("cy", "conversation.join", conversation=conversation)
    world.say("backend", "conversation.transfer", conversation=conversation, service="sales")
    assert world.say("cy", "conversation.get", conversation=conversation, limit=0).conversation.service == "sales"
    assert world.refused("ana", "conversation.get", conversation=conversation)["reason"] == "not_found"


def test_a_contact_sees_its_own_and_nobody_elses(world: World, conversation: str) -> None:
    assert world.say("contact:nia", "conversation.get", conversation=conversation, limit=0).conversation.id
    assert [item.id for item in world.say("contact:nia", "conversation.list").items] == [conversation]
    assert world.say("contact:oli", "conversation.list").items == ()
    assert world.refused("contact:oli", "message.send", conversation=conversation, text="Hi")["reason"] == "not_found"


# ---------------------------------------------------------------- agents and services


def test_agents_see_those_they_share_a_service_with(world: World) -> None:
    assert [agent.id for agent in world.say("ana", "agent.list").agents] == ["ana", "cy", "mia"]
    assert [agent.id for agent in world.say("backend", "agent.list").agents] == ["ana", "cy", "mia", "bo"]
    assert world.refused("ana", "agent.get", agent="bo") == world.refused("ana", "agent.get", agent="zoe")
    assert [item.id for item in world.say("bo", "service.list").services] == ["sales"]
    assert world.refused("bo", "service.get", service="support") == world.refused("bo", "service.get", service="x")


def test_oneself_an_admin_of_a_shared_service_and_the_backend_may_switch(world: World) -> None:
    for who in ("ana", "mia", "backend"):
        for available in (False, True):
            seen = world.say(who, "agent.set_availability", agent="ana", available=available).availability
            assert seen["chat"] == ("green" if available else "red")
    assert world.refused("cy", "agent.set_availability", agent="ana", available=False)["reason"] == "forbidden"
    assert world.refused("bo", "agent.set_availability", agent="ana", available=False)["reason"] == "not_found"
    assert world.refused("backend", "agent.set_availability", available=True)["code"] == -32602


def test_somebody_the_workspace_does_not_know_as_an_agent_gets_no_session(world: World) -> None:
    welcome = world.open("zoe")
    assert welcome.error is not None
    assert welcome.error.data["reason"] == "not_found"


# ---------------------------------------------------------------- connectors


def receive(channel: str, external: str) -> dict[str, str]:
    return {"channel": channel, "address": "+1", "external_id": external, "text": "Secret", "service": "support"}


def test_a_connector_serves_the_channels_of_its_token_and_no_other(world: World) -> None:
    assert world.refused("connector:sms", "connector.receive", **receive("whatsapp", "m1"))["reason"] == "forbidden"
    assert world.refused("connector:sms,email", "connector.receive", **receive("web", "m1"))["reason"] == "forbidden"
    world.say("connector:sms,email", "connector.receive", **receive("email", "m1"))


def test_a_connector_cannot_read_the_answers_of_another_channel(world: World) -> None:
    """§10: "receive and deliver messages for its channels; nothing else"."""
    world.say("connector:sms", "connector.receive", **receive("sms", "m1"))
    assert world.refused("connector:whatsapp", "connector.receive", **receive("sms", "m1"))["reason"] == "forbidden"

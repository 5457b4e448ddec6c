"""Forwarding: chosen messages go by mail to outside addresses, and only the house sees that they did."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.effects import Mail
from tests.world import World, service

TO = ["workshop@example.org", "lab@example.org"]


def world(**more: Any) -> World:
    agents = [{"id": name} for name in ("ana", "bo", "mia")]
    services = [service("support", "ana bo mia/admin")]
    return World({"services": services, "agents": agents, "mail": {}} | more, online=["ana"])


def talk(house: World) -> tuple[str, list[int]]:
    """nia's conversation with ana: the seqs of two messages, and of a comment."""
    conversation = house.start("nia", service="support").id
    first = house.timeline(conversation)[1].seq
    second = house.say("ana", "message.send", conversation=conversation, text="Which one?").entry.seq
    comment = house.say("ana", "message.comment", conversation=conversation, text="Strange").entry.seq
    return conversation, [first, second, comment]


def mails(house: World) -> list[Mail]:
    house.wait(0)
    return [item for item in house.outgoing if isinstance(item, Mail)]


def test_each_address_gets_a_mail_and_the_timeline_says_what_went_to_whom() -> None:
    house = world()
    conversation, (first, second, _) = talk(house)
    entry = house.say(
        "ana", "message.forward", conversation=conversation, messages=[second, first, second], to=[*TO, TO[0]]
    ).entry
    assert (entry.type, entry.messages, entry.to, entry.by.id) == ("forwarded", (first, second), tuple(TO), "ana")
    assert house.timeline(conversation)[-1] == entry
    found = mails(house)
    assert [(mail.id, mail.recipient) for mail in found] == [(f"e{entry.seq}-{n}", to) for n, to in enumerate(TO)]
    assert msgspec.json.decode(found[0].data) == {"messages": [first, second], "by": {"kind": "agent", "id": "ana"}}


def test_the_contact_learns_nothing_of_it() -> None:
    house = world()
    conversation, (first, *_) = talk(house)
    house.say("ana", "message.forward", conversation=conversation, messages=[first], to=TO)
    assert house.heard("contact:nia", "message")
    assert house.heard("contact:nia", "forwarded") == []
    assert "forwarded" not in {entry.type for entry in house.timeline(conversation, "contact:nia")}
    assert house.heard("agent:ana", "forwarded")


def test_only_messages_of_this_conversation_can_be_forwarded() -> None:
    house = world()
    conversation, (first, _, comment) = talk(house)
    other = house.receive("+1", service="support")
    elsewhere = house.timeline(other.id)[1].seq
    created = house.timeline(conversation)[0].seq
    for wrong in (comment, elsewhere, created, 9_999):
        error = house.refused("ana", "message.forward", conversation=conversation, messages=[first, wrong], to=TO)
        assert (error["code"], error["field"]) == (-32602, "messages")
    assert mails(house) == []
    assert house.timeline(conversation)[-1].type == "comment"


@pytest.mark.parametrize("address", ["a@b.c\nBcc: x@y.z", "a@b.c\n", "a@b\x00.c", "nobody", "a@b.c, d@e.f"])
def test_what_is_no_address_is_refused(address: str) -> None:
    house = world()
    conversation, (first, *_) = talk(house)
    with pytest.raises(msgspec.ValidationError):
        house.asked("ana", "message.forward", conversation=conversation, messages=[first], to=[address])


def test_only_the_crew_and_the_backend_forward() -> None:
    house = world()
    conversation, (first, *_) = talk(house)
    params = {"conversation": conversation, "messages": [first], "to": TO}
    assert house.refused("bo", "message.forward", **params)["reason"] == "not_in_crew"
    assert house.refused("mia", "message.forward", **params)["reason"] == "not_in_crew"
    assert house.refused("contact:nia", "message.forward", **params)["reason"] == "forbidden"
    assert house.say("backend", "message.forward", **params).entry.by.kind == "backend"


def test_a_closed_conversation_can_be_forwarded_and_a_stub_cannot() -> None:
    house = world(services=[service("support", "ana"), service("sales", "bo")])
    conversation, (first, *_) = talk(house)
    params = {"messages": [first], "to": TO}
    stub = house.say("ana", "conversation.move", conversation=conversation, service="sales").stub.id
    house.say("backend", "conversation.close", conversation=conversation)
    house.say("backend", "message.forward", conversation=conversation, **params)
    assert house.refused("backend", "message.forward", conversation=stub, **params)["reason"] == "wrong_state"


def test_a_workspace_without_mail_forwards_nothing() -> None:
    house = world(mail=None)
    conversation, (first, *_) = talk(house)
    error = house.refused("ana", "message.forward", conversation=conversation, messages=[first], to=TO)
    assert error["reason"] == "not_found"


def test_repeated_with_its_key_it_forwards_once() -> None:
    house = world()
    conversation, (first, *_) = talk(house)
    params = {"conversation": conversation, "messages": [first], "to": TO[:1], "key": "k1"}
    assert house.say("ana", "message.forward", **params) is not None
    house.say("ana", "message.forward", **params)
    assert len(mails(house)) == 1


def test_it_neither_answers_the_contact_nor_ends_the_wait() -> None:
    house = world()
    conversation = house.start("nia", service="support").id
    first = house.timeline(conversation)[1].seq
    house.say("ana", "message.forward", conversation=conversation, messages=[first], to=TO)
    assert house.look(conversation).needs == "reply"

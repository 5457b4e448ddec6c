"""E-mail fallback: what the house writes to a web contact who is away goes by mail, too, and the entry says so."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.effects import Mail
from tests.world import World, service


def world(*, mail: bool = True) -> World:
    config: dict[str, Any] = {"services": [service("support", "ana")], "agents": [{"id": "ana"}]}
    return World(config | ({"mail": {"language": "nb"}} if mail else {}), online=["ana"])


def away(house: World, channel: str = "web", *, email: str | None = "nia@example.org") -> str:
    """nia's conversation with ana; nia has left."""
    conversation = house.start("nia", service="support", channel=channel).id
    if email is not None:
        house.say("ana", "contact.update", contact="nia", email=email)
    house.end("contact:nia")
    return conversation


def mails(house: World) -> list[Mail]:
    house.wait(0)
    return [item for item in house.outgoing if isinstance(item, Mail)]


def send(house: World, conversation: str, who: str = "ana") -> str | None:
    """Who sends a message, and the fallback its entry names."""
    found: str | None = house.say(who, "message.send", conversation=conversation, text="You are away").entry.fallback
    return found


@pytest.mark.parametrize("who", ["ana", "backend"])
def test_a_message_to_a_contact_who_is_away_is_mailed_and_the_sender_is_told(who: str) -> None:
    house = world()
    conversation = away(house)
    assert send(house, conversation, who) == "email"
    (mail,) = mails(house)
    entry = house.timeline(conversation)[-1]
    assert (mail.kind, mail.recipient, mail.conversation) == ("fallback", "nia@example.org", conversation)
    assert (mail.id, msgspec.json.decode(mail.data)) == (f"e{entry.seq}", {"entry": entry.seq})
    assert entry.fallback == "email"


def test_the_mail_is_in_the_contacts_language_or_the_workspaces() -> None:
    house = world()
    conversation = away(house)
    send(house, conversation)
    house.say("ana", "contact.update", contact="nia", language="de")
    send(house, conversation)
    assert [mail.language for mail in mails(house)] == ["nb", "de"]


def test_a_contact_who_is_there_gets_no_mail() -> None:
    house = world()
    conversation = away(house)
    house.open("contact:nia")
    assert send(house, conversation) is None
    assert mails(house) == []


def test_one_of_several_sessions_is_enough_to_be_there() -> None:
    house = world()
    conversation = house.start("nia", service="support").id
    house.say("ana", "contact.update", contact="nia", email="nia@example.org")
    house.open("contact:nia")
    house.end("contact:nia")
    assert send(house, conversation) is None


def test_there_is_none_without_an_address_or_without_mail() -> None:
    house = world()
    assert send(house, away(house, email=None)) is None
    house = world(mail=False)
    assert send(house, away(house)) is None
    assert mails(house) == []


def test_a_contact_who_writes_by_another_channel_is_reached_there() -> None:
    house = world()
    conversation = house.receive("+1", service="support", contact={"email": "kari@example.org"}).id
    assert send(house, conversation) is None
    assert mails(house) == []


def test_comments_and_the_contacts_own_words_are_not_mailed() -> None:
    house = world()
    conversation = away(house)
    house.say("ana", "message.comment", conversation=conversation, text="Gone")
    house.say("ana", "conversation.close", conversation=conversation)
    house.say("contact:nia", "message.send", conversation=conversation, text="Back")
    assert mails(house) == []


def test_a_contact_no_longer_in_memory_is_fetched_for_it() -> None:
    house = world()
    conversation = away(house)
    house.say("ana", "conversation.close", conversation=conversation)
    house.boot()
    house.online("ana")
    house.say("ana", "conversation.reopen", conversation=conversation)
    assert send(house, conversation) == "email"


def test_a_refused_step_leaves_no_mail() -> None:
    house = world()
    conversation = away(house)
    out = house.step(house.asked("ana", "message.send", conversation=conversation, text="Lost"))
    house.core.undo([out], house.now)
    assert house.core.house.mails == {}
    assert mails(house) == []


def test_a_mail_survives_a_crash_before_its_first_attempt() -> None:
    house = world()
    conversation = away(house)
    house.give(house.asked("ana", "message.send", conversation=conversation, text="You are away"))
    assert not [item for item in house.outgoing if isinstance(item, Mail)]
    house.boot()
    assert len(mails(house)) == 1

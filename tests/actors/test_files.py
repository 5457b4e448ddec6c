"""Uploaded files: who may send and fetch them, and when one is thrown away. [behaviour §6]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.effects import Discard, Discarded, Shown, Uploaded, Wanted
from protocol.records import FileRecord
from tests.world import World, principal, service, small_world

HOUR = 3_600_000
ID = "file-of-ana-0123456789abc"


@pytest.fixture
def world() -> World:
    return small_world(service("support", "ana bo", auto_close_after=None), online="ana")


def upload(world: World, owner: str = "agent:ana", name: str = ID, kind: str = "image/png") -> str:
    file = FileRecord(id=name, owner=owner, name="plan.png", type=kind, size=3, created_at=world.now)
    shown = [item for item in world.give(Uploaded(7, file)).outgoing if isinstance(item, Shown)]
    assert shown == [Shown(7, file)]
    return name


def fetch(world: World, who: str, name: str = ID) -> FileRecord | None:
    out = world.give(Wanted(9, name, principal(who)))
    [shown] = [item for item in out.outgoing if isinstance(item, Shown)]
    assert (shown.ticket, shown.error) == (9, None)
    return shown.file


def discards(items: list[Any]) -> list[str]:
    return [item.file for item in items if isinstance(item, Discard)]


def test_nobody_but_its_owner_sees_a_file_before_it_is_sent(world: World) -> None:
    upload(world)
    assert fetch(world, "ana") is not None
    for who in ("bo", "backend", "contact:nia", "connector:sms"):
        assert fetch(world, who) is None


def test_once_sent_whoever_sees_the_message_sees_the_file_and_nobody_else(world: World) -> None:
    found = world.start("nia", service="support")
    entry = world.say("ana", "message.send", conversation=found.id, attachments=[upload(world)]).entry
    assert (entry.attachments, entry.text) == ((ID,), "")
    for who in ("ana", "bo", "backend", "contact:nia"):
        assert fetch(world, who) is not None
    for who in ("contact:oli", "connector:web2"):
        assert fetch(world, who) is None


def test_a_connector_fetches_what_goes_out_through_its_channels(world: World) -> None:
    found = world.receive("+1")
    world.say("ana", "message.send", conversation=found.id, text="Here", attachments=[upload(world)])
    assert fetch(world, "connector:sms") is not None
    assert fetch(world, "connector:whatsapp") is None


def test_a_file_of_somebody_else_cannot_be_sent_nor_one_that_is_not_there(world: World) -> None:
    found = world.start("nia", service="support")
    upload(world, "agent:bo")
    for name in (ID, "nothing"):
        data = world.refused("ana", "message.send", conversation=found.id, attachments=[name])
        assert (data["reason"], data["field"]) == ("not_found", "attachments")
    data = world.refused("ana", "message.send", conversation=found.id, attachments=[ID, ID])
    assert (data["code"], data["field"]) == (-32602, "attachments")
    assert [entry.type for entry in world.timeline(found.id)].count("message") == 1


def test_a_message_needs_a_text_or_a_file(world: World) -> None:
    found = world.start("nia", service="support")
    assert world.refused("ana", "message.send", conversation=found.id)["field"] == "text"
    world.say("contact:nia", "message.send", conversation=found.id, attachments=[upload(world, "contact:nia")])
    assert world.look(found.id).needs == "reply"


def test_what_comes_through_a_connector_may_have_files_and_no_text(world: World) -> None:
    upload(world, "connector:sms")
    found = world.receive("+1", "", attachments=[ID])
    [message] = [entry for entry in world.timeline(found.id) if entry.type == "message"]
    assert (message.text, message.attachments) == ("", (ID,))
    assert fetch(world, "ana") is not None


def test_a_file_that_was_sent_is_known_after_a_restart_and_outlives_a_day(world: World) -> None:
    found = world.start("nia", service="support")
    world.say("ana", "message.send", conversation=found.id, attachments=[upload(world)])
    world.say("ana", "conversation.close", conversation=found.id)
    world.wait(25 * HOUR)
    assert discards(world.outgoing) == []
    world.boot()
    assert world.core.house.files == {}
    assert fetch(world, "contact:nia") is not None
    assert fetch(world, "contact:oli") is None


def test_a_file_that_nobody_sends_is_discarded_after_a_day_and_asked_for_until_it_is_gone(world: World) -> None:
    upload(world)
    world.wait(24 * HOUR - 1)
    assert discards(world.outgoing) == []
    world.wait(1)
    assert discards(world.outgoing) == [ID]
    world.wait(HOUR)
    assert discards(world.outgoing) == [ID, ID]
    world.give(Discarded(ID))
    world.wait(3 * HOUR)
    assert discards(world.outgoing) == [ID, ID]
    assert fetch(world, "ana") is None
    assert world.core.house.files == {}


def test_a_file_whose_day_ends_while_the_house_is_down_is_discarded_after_the_restart(world: World) -> None:
    upload(world)
    world.now += 30 * HOUR
    world.boot()
    world.wait(1)
    assert discards(world.outgoing) == [ID]


def test_whoever_was_merged_still_fetches_and_sends_with_the_old_token(world: World) -> None:
    found = world.start("oli", service="support")
    world.say("contact:oli", "message.send", conversation=found.id, attachments=[upload(world, "contact:oli")])
    world.open("contact:nia")
    world.say("backend", "contact.merge", contact="oli", into="nia")
    for who in ("contact:oli", "contact:nia"):
        assert fetch(world, who) is not None
    world.sessions.pop("contact:oli")
    other = upload(world, "contact:oli", ID + "2")
    assert world.say("contact:oli", "message.send", conversation=found.id, attachments=[other]).entry.by.id == "nia"


def test_a_picture_is_an_uploaded_image_of_who_sets_it(world: World) -> None:
    found = world.start("nia", service="support")
    upload(world, kind="application/pdf")
    assert world.refused("ana", "conversation.update", conversation=found.id, picture=ID)["code"] == -32602
    upload(world, name=ID + "2")
    result = world.say("ana", "conversation.update", conversation=found.id, picture=ID + "2")
    assert result.conversation.picture == ID + "2"
    assert fetch(world, "contact:nia", ID + "2") is not None
    assert world.say("ana", "conversation.update", conversation=found.id, picture=None).conversation.picture is None

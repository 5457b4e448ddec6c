"""Mails are written down as data; a workspace without mail writes none."""

from __future__ import annotations

import msgspec

from actors.effects import Mail
from actors.mail import write
from actors.system import Turn
from tests.world import World


def written(world: World, language: str | None = None) -> list[Mail]:
    turn = Turn(world.now)
    write(world.core.house, turn, "d1", "digest", "ana@example.org", {"unread": 3}, language=language)
    assert world.core._run(turn, "test", world.now) is None
    world.wait(0)
    return [item for item in world.outgoing if isinstance(item, Mail)]


def test_a_mail_leaves_with_what_it_is_made_of() -> None:
    world = World({"mail": {"sender": "house@example.org"}})
    (mail,) = written(world)
    assert (mail.id, mail.kind, mail.recipient, mail.created_at) == ("d1", "digest", "ana@example.org", world.now)
    assert msgspec.json.decode(mail.data) == {"unread": 3}


def test_the_language_is_the_recipients_or_the_workspaces() -> None:
    settings = {"mail": {"sender": "house@example.org", "language": "nb"}}
    assert written(World(settings))[0].language == "nb"
    assert written(World(settings), "de")[0].language == "de"


def test_a_workspace_without_mail_writes_none() -> None:
    world = World({})
    assert written(world) == []
    assert world.core.house.mails == {}

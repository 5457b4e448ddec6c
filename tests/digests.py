"""A small house that mails what is unread, for the tests of digests: ana has an address and lives in London."""

from __future__ import annotations

from typing import Any

from actors.effects import Mail, Mailed, Opened
from protocol.ids import Principal
from storage.store import Store
from tests.world import World, service

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def house(*agents: dict[str, Any], store: Store | None = None, **mail: Any) -> World:
    ana = {"id": "ana", "email": "ana@example.org", "time_zone": "Europe/London"}
    config = {
        "services": [service("support", "ana bo", auto_close_after=None, on_disconnect="keep", escalation=[])],
        "agents": [ana, {"id": "bo"}, *agents],
        "mail": mail,
    }
    return World(config, store=store, online=["ana"])


def mails(world: World, recipient: str = "ana@example.org") -> list[Mail]:
    """The digests that have left for somebody since this was asked last, each once; the mail server takes them."""
    found = {item.id: item for item in world.outgoing if isinstance(item, Mail)}
    world.outgoing = [item for item in world.outgoing if not isinstance(item, Mail)]
    for ident in found:
        world.give(Mailed(ident, taken=True))
    assert all(item.kind == "digest" for item in found.values())
    return [item for item in found.values() if item.recipient == recipient]


def sign_in(world: World, name: str, email: str | None) -> None:
    """A contact opens a session with a token that names its e-mail."""
    world._numbers += 1
    world.sessions[f"contact:{name}"] = world._numbers
    world.give(Opened(world._numbers, Principal("contact", name, email=email), 0))


def write(world: World, text: str = "Hello", address: str = "+1") -> str:
    return world.receive(address, text, service="support").id


def read(world: World, conversation: str, who: str = "ana") -> None:
    world.say(who, "conversation.read", conversation=conversation, seq=10**6)

"""A house as plain data, for comparing two of them."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.core import Core
from tests.invariants import LIVE
from tests.storm_reading import counts, next_digests


def snapshot(core: Core, *, live: bool = True, now: int | None = None) -> dict[str, Any]:
    """A house as plain data ``now`` (None = where its wheel is); without ``live`` only what a restart keeps."""
    house = core.house
    now = house.wheel.now if now is None else now
    conversations = {
        name: msgspec.structs.asdict(actor.record)
        for name, actor in sorted(house.conversations.items())
        if live or actor.record.state in LIVE or actor.record.unmailed_since is not None
    }
    agents = {name: msgspec.structs.asdict(actor.record) for name, actor in house.agents.items()}
    if not live:
        for record in agents.values():
            del record["live"], record["lost_at"]
    found: dict[str, Any] = {
        "conversations": conversations,
        "agents": agents,
        "services": {name: msgspec.structs.asdict(actor.record) for name, actor in house.services.items()},
        "queues": {name: len(actor.waiting) for name, actor in house.services.items()},
        "held": {name: sorted(actor.holds()) for name, actor in house.agents.items()},
        "pending": {name: sorted(actor.pending) for name, actor in house.channels.items() if actor.pending},
        "mails": {name: msgspec.structs.asdict(actor.record) for name, actor in sorted(house.mails.items())},
        "meetings": {
            actor.record.id: msgspec.structs.asdict(actor.record)
            for actor in sorted(house.meetings, key=lambda actor: str(actor.record.id))
            if actor.until > now  # those that are over leave when they are committed
        },
        "digests": next_digests(core),
        "seq": house.seq,
    }
    if live:
        found["counts"] = counts(core)
        found["sessions"] = sorted(house.sessions)
        found["contacts"] = {n: msgspec.structs.asdict(a.record) for n, a in sorted(house.contacts.items())}
        found["presence"] = {name: list(actor.sessions) for name, actor in house.agents.items()}
    return found

"""Idempotency: under which names a request's first answer is remembered. [protocol §2]

A client's key holds for a day, for that client and that very request. What a connector hands in has a name by nature,
the channel's own id of the message: it holds for ever, whatever else the repeated request says.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from msgspec import Raw

from protocol.codec import Call, encode_json
from protocol.errors import refused
from protocol.frozen import Frozen
from protocol.ids import Principal
from protocol.records import KeyRecord
from protocol.requests import ConnectorReceive
from protocol.times import MILLISECONDS

if TYPE_CHECKING:
    from actors.memory import Memory

KEY_MS = 24 * MILLISECONDS["h"]


class KeyName(Frozen, frozen=True):
    """A name under which an answer is remembered: whose, which, of what request, for how long (None = for ever)."""

    owner: str
    key: str
    digest: str
    length: int | None


def names_of(call: Call, principal: Principal) -> list[KeyName]:
    """All names of a request; the one that is looked at first comes first."""
    names, params = [], call.params
    if type(params) is ConnectorReceive:
        names.append(KeyName(f"channel:{params.channel}", params.external_id, call.method, None))
    if params.key is not None:
        names.append(KeyName(principal.owner, params.key, _digest(call), KEY_MS))
    return names


def recall(memory: Memory, names: list[KeyName], now: int) -> Raw | None:
    """The first answer under one of these names. Raises RequestError (conflict): another request has that name."""
    for name in names:
        known = memory.recall(name.owner, name.key)
        if known is None or (known.expires_at is not None and known.expires_at <= now):
            continue
        if known.digest != name.digest:
            raise refused("conflict", "this key was used for another request")
        return Raw(known.answer)
    return None


def records(names: list[KeyName], answer: Any, now: int) -> list[KeyRecord]:
    """What to remember of an answer."""
    if not names:
        return []
    encoded = encode_json(answer)
    return [
        KeyRecord(
            owner=name.owner,
            key=name.key,
            digest=name.digest,
            answer=encoded,
            expires_at=None if name.length is None else now + name.length,
        )
        for name in names
    ]


def _digest(call: Call) -> str:
    """A fingerprint of what was asked."""
    return hashlib.blake2b(encode_json((call.method, call.params)), digest_size=16).hexdigest()

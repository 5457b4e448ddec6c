"""``session.revoke``: a principal's sessions end at once, and its tokens of before that moment are no longer accepted.

The moments are in memory, and all of them in one row of ``request_keys`` that never expires: it is committed before
anything ends, so that it holds after a restart and on whichever machine the store is opened next. Cost: a revocation
writes that row, 40 bytes a principal; a look-up is one of a dict. The core knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import trio
from msgspec import Struct

from actors.keys import KeyName, names_of, records
from protocol.codec import Call
from protocol.errors import bad_params, refused
from protocol.ids import Principal
from protocol.records import Batch, KeyOf, KeyRecord, Question
from protocol.requests import SessionRevoke, SessionRevoked
from protocol.times import MILLISECONDS, Moment

OWNER, KEY = "house", "revocations"
REVOKED_MAX = 10_000  # principals
KEPT_MS = 400 * MILLISECONDS["d"]  # after which a place may be given to somebody else: no token should last so long

Read = Callable[[Sequence[Question]], Awaitable[list[Any]]]
Commit = Callable[[Batch], Awaitable[None]]


class Revoked(Struct, frozen=True):
    """What became of the request: ``answer`` for whoever asked; whose sessions end, unless it was a repetition."""

    answer: Any
    address: str
    is_new: bool = True


class Revocations:
    """What is revoked. ``read`` and ``commit``: the store's, which raise StorageUnavailable."""

    def __init__(self, read: Read, commit: Commit) -> None:
        self._read = read
        self._commit = commit
        self._before: dict[str, int] = {}  # address -> tick
        self._writing = trio.Lock()

    async def load(self) -> None:
        """Read what the store remembers. Raises StorageUnavailable."""
        [row] = await self._read([KeyOf(OWNER, KEY)])
        self._before = {} if row is None else msgspec.json.decode(row.answer, type=dict[str, int])

    def is_revoked(self, address: str, issued_at: Callable[[], int | None]) -> bool:
        """Whether a token is too old, by when it was made. One that does not say when (``iat``) is."""
        before = self._before.get(address)
        if before is None:
            return False
        made = issued_at()
        return made is None or made < before

    async def revoke(self, call: Call, principal: Principal, now: int) -> Revoked:
        """Remember it. Raises RequestError (forbidden, conflict, too_large, −32602), StorageUnavailable."""
        params: SessionRevoke = call.params
        if principal.role != "backend":
            raise refused("forbidden")
        if params.before is not None and params.before > now:
            raise bad_params("before", "a moment that is not in the future")
        address, names = Principal(params.role, params.sub).address, names_of(call, principal)
        async with self._writing:
            if (known := await self._known(names, now)) is not None:
                return Revoked(known, address, is_new=False)
            before = max(now if params.before is None else int(params.before), self._before.get(address, 0))
            answer = SessionRevoked(Moment(before))
            moments = {**self._with_room(address, now), address: before}
            row = KeyRecord(owner=OWNER, key=KEY, digest="", answer=msgspec.json.encode(moments), expires_at=None)
            await self._commit(Batch(keys=(row, *records(names, answer, now))))
            self._before = moments
        return Revoked(answer, address)

    def statistics(self) -> dict[str, int]:
        """How many principals have had tokens revoked."""
        return {"principals": len(self._before), "max": REVOKED_MAX}

    async def _known(self, names: Sequence[KeyName], now: int) -> Any:
        """The first answer under a key; None = there is none. Raises RequestError (conflict)."""
        for name, row in zip(names, await self._read([KeyOf(name.owner, name.key) for name in names]), strict=True):
            if row is not None and (row.expires_at is None or row.expires_at > now):
                if row.digest != name.digest:
                    raise refused("conflict", "this key was used for another request")
                return msgspec.Raw(row.answer)
        return None

    def _with_room(self, address: str, now: int) -> dict[str, int]:
        """What is known, with room for one more. Raises RequestError (too_large)."""
        if address in self._before or len(self._before) < REVOKED_MAX:
            return self._before
        kept = {each: before for each, before in self._before.items() if before > now - KEPT_MS}
        if len(kept) >= REVOKED_MAX:
            raise refused("too_large", "too many have been revoked one by one: change the keys", limit=REVOKED_MAX)
        return kept

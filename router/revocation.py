"""``session.revoke``: a principal's sessions end at once, and its tokens of before that moment are no longer accepted.

The moments are in memory and in the table ``revocations``, a row a principal: it is committed before anything ends, so
that it holds after a restart and on whichever machine the store is opened next. A row is kept for as long as a token of
before may last, 400 days, or for ever where tokens need no end. Cost: a revocation writes a row; a look-up is one of a
dict. The core knows nothing of it.
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
from protocol.records import Batch, KeyOf, Question, RevocationRecord, RevokedAt
from protocol.requests import SessionRevoke, SessionRevoked
from protocol.times import MILLISECONDS, Moment

REVOKED_MAX = 10_000  # principals
KEPT_MS = 400 * MILLISECONDS["d"]  # no token should last so long

Read = Callable[[Sequence[Question]], Awaitable[list[Any]]]
Commit = Callable[[Batch], Awaitable[None]]


class Revoked(Struct, frozen=True):
    """What became of the request: ``answer`` for whoever asked; whose sessions end, unless it was a repetition."""

    answer: Any
    address: str
    is_new: bool = True


class Revocations:
    """What is revoked.

    Parameters: ``read`` and ``commit``, the store's, which raise StorageUnavailable; whether every token has an end.
    """

    def __init__(self, read: Read, commit: Commit, tokens_end: Callable[[], bool]) -> None:
        self._read = read
        self._commit = commit
        self._tokens_end = tokens_end
        self._known: dict[str, RevocationRecord] = {}  # by address
        self._writing = trio.Lock()

    async def load(self, now: int) -> None:
        """Read what the store remembers and has not expired at this tick. Raises StorageUnavailable."""
        [records] = await self._read([RevokedAt(now)])
        self._known = {record.address: record for record in records}

    def is_revoked(self, address: str, issued_at: Callable[[], int | None]) -> bool:
        """Whether a token is too old, by when it was made. One that does not say when (``iat``) is."""
        known = self._known.get(address)
        if known is None:
            return False
        made = issued_at()
        return made is None or made < known.revoked_before

    async def revoke(self, call: Call, principal: Principal, now: int) -> Revoked:
        """Remember it. Raises RequestError (forbidden, conflict, too_large, −32602), StorageUnavailable."""
        params: SessionRevoke = call.params
        if principal.role != "backend":
            raise refused("forbidden")
        if params.before is not None and params.before > now:
            raise bad_params("before", "a moment that is not in the future")
        address, names = Principal(params.role, params.sub).address, names_of(call, principal)
        async with self._writing:
            if (answered := await self._answered(names, now)) is not None:
                return Revoked(answered, address, is_new=False)
            forgotten = self._forgotten(address, now)
            before = now if params.before is None else int(params.before)
            if (earlier := self._known.get(address)) is not None:
                before = max(before, earlier.revoked_before)
            answer = SessionRevoked(Moment(before))
            record = RevocationRecord(address, before, before + KEPT_MS if self._tokens_end() else None)
            ended = (msgspec.structs.replace(old, expires_at=now) for old in forgotten)  # and swept out one day
            keys = tuple(records(names, answer, now))
            await self._commit(Batch(records=(*ended, record), keys=keys, before=(*forgotten, earlier)))
            for old in forgotten:
                del self._known[old.address]
            self._known[address] = record
        return Revoked(answer, address)

    def statistics(self) -> dict[str, int]:
        """How many principals have had tokens revoked."""
        return {"principals": len(self._known), "max": REVOKED_MAX}

    async def _answered(self, names: Sequence[KeyName], now: int) -> Any:
        """The first answer under a key; None = there is none. Raises RequestError (conflict)."""
        for name, row in zip(names, await self._read([KeyOf(name.owner, name.key) for name in names]), strict=True):
            if row is not None and (row.expires_at is None or row.expires_at > now):
                if row.digest != name.digest:
                    raise refused("conflict", "this key was used for another request")
                return msgspec.Raw(row.answer)
        return None

    def _forgotten(self, address: str, now: int) -> list[RevocationRecord]:
        """Those that make way for one more. Raises RequestError (too_large)."""
        if address in self._known or len(self._known) < REVOKED_MAX:
            return []
        forgotten = [each for each in self._known.values() if each.revoked_before <= now - KEPT_MS]
        if not forgotten:
            raise refused("too_large", "too many have been revoked one by one: change the keys", limit=REVOKED_MAX)
        return forgotten

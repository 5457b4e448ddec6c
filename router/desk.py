"""What connections see of the house: where requests are handed in, tokens checked, sessions counted and ended.

The driver takes from the inbox what is handed in here.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import trio
from msgspec import UNSET

from actors.effects import Ended, Input, Reply
from actors.wheel import Timer, TimerWheel
from protocol.codec import Call
from protocol.errors import RequestError, internal, refused
from protocol.ids import Principal
from protocol.session import Limits
from router.bell import Bell
from router.clock import Clock
from router.connection import Connection
from router.hub import Hub
from router.incident import report
from router.revocation import Revocations, Revoked
from storage.store import StorageUnavailable, StorageUnfit

INBOX_MAX = 8_192  # then readers wait
SECRET_BYTES = 24  # of chance in a link
RECHECK_MAX = 64  # tokens verified at one go, 30 µs each


class Verifier(Protocol):
    """What the desk needs of ``router.auth.Gate``."""

    def verify(self, token: str, now_ms: int) -> tuple[Principal, int | None]:
        """Who the token is for and when it ends (tick). Raises RequestError (unauthenticated)."""

    def issued_at(self, token: str) -> int | None:
        """When a token that was verified was made (tick); None = it does not say."""

    @property
    def tokens_end(self) -> bool:
        """Whether a token without an end is refused."""


class HouseDesk:
    """The desk of one workspace (``router.connection.Desk``)."""

    def __init__(self, workspace: str, gate: Verifier, limits: Limits, clock: Clock) -> None:
        self.workspace = workspace
        self.limits = limits
        self.heartbeat_s = 20
        self.hub = Hub()
        self.draining = False
        self._gate = gate
        self._revocations: Revocations  # whoever has a store sets these two
        self._spawn: Callable[..., None]
        self._clock = clock
        self._inbox: deque[Input] = deque()
        self._reads = 0  # answers that are being read after their step
        self._expiries = TimerWheel(0)
        self._expiring: dict[int, Timer] = {}
        self._moved = False  # a deadline may be earlier than the one that is slept until
        self._work = Bell()  # rung when there is something to step
        self._progress = Bell()  # rung when a step was made, taken by the writer or delivered

    def now(self) -> int:
        """The present tick."""
        return self._clock.now()

    def verify(self, token: str) -> tuple[Principal, int | None]:
        """Who the token is for and when it ends. Raises RequestError (unauthenticated)."""
        principal, expires_at = self._gate.verify(token, self.now())
        if self._revocations.is_revoked(principal.address, partial(self._gate.issued_at, token)):
            raise refused("unauthenticated", "the token has been revoked: get a new one")
        return principal, expires_at

    def submit(self, item: Input) -> None:
        """Hand in something to be done. Raises RequestError (draining)."""
        if self.draining:
            if isinstance(item, Ended):
                return  # whoever is online at a shutdown is in grace from the restart on
            raise refused("draining")
        self._inbox.append(item)
        self._work.ring()

    def secret(self) -> str:
        """A new one nobody can guess."""
        return secrets.token_urlsafe(SECRET_BYTES)

    def revoke(self, connection: Connection, call: Call) -> None:
        """``session.revoke``, answered when it is durable. Raises RequestError (draining)."""
        if self.draining:
            raise refused("draining")
        self._spawn(self._revoke, connection, call)

    def rekey(self, gate: Verifier) -> None:
        """From now on these keys vouch for tokens. ``recheck`` afterwards."""
        self._gate = gate

    async def recheck(self) -> int:
        """End the sessions whose tokens no key vouches for any more (4001); how many."""
        ended = 0
        for count, connection in enumerate(self.hub, 1):
            if count % RECHECK_MAX == 0:
                await trio.lowlevel.checkpoint()
            if connection.token is not None and connection.session.state == "open":
                try:
                    self.verify(connection.token)
                except RequestError:
                    connection.revoke()
                    ended += 1
        return ended

    async def _revoke(self, connection: Connection, call: Call) -> None:
        principal = connection.principal
        assert principal is not None
        done: Revoked | None = None
        error: RequestError | None = None
        try:
            done = await self._revocations.revoke(call, principal, self.now())
        except RequestError as problem:
            error = problem
        except StorageUnavailable:
            error = refused("storage_unavailable", retry_after_s=1.0)
        except StorageUnfit:
            raise
        except Exception as problem:
            error = internal(report("revocation.failed", problem))
        if call.id is not UNSET:
            result = None if done is None else done.answer
            self.hub.deliver([Reply(connection.number, call.id, call.method, result, error)], _reads_nothing)
        if done is not None and done.is_new:
            self._end_older(done.address, everyone=call.params.before is None)

    def _end_older(self, address: str, everyone: bool) -> None:
        """End the sessions of a principal: everyone's, or those whose token is revoked."""
        for connection in self.hub:
            if connection.principal is not None and connection.principal.address == address:
                assert connection.token is not None
                if everyone or self._revocations.is_revoked(address, partial(self._gate.issued_at, connection.token)):
                    connection.revoke()

    def join(self, connection: Connection) -> int:
        """A connection begins."""
        return self.hub.join(connection)

    def admit(self, connection: Connection) -> None:
        """A session was authenticated. Raises RequestError (draining, rate_limited)."""
        if self.draining:
            raise refused("draining")
        self.hub.admit(connection)

    def part(self, connection: Connection, *, admitted: bool) -> None:
        """A connection is gone."""
        self.hub.part(connection, admitted=admitted)
        timer = self._expiring.pop(connection.number, None)
        if timer is not None:
            self._expiries.cancel(timer)

    def expires(self, connection: Connection, at: int | None) -> None:
        """End the session at this tick; None = never."""
        timer = self._expiring.setdefault(connection.number, Timer(connection, "token"))
        if at is None:
            self._expiries.cancel(timer)
        else:
            self._expiries.arm(timer, at)
            self._look_again()

    async def room(self) -> None:
        """Wait until there is room for more: a reader that waits here stops its peer by TCP."""
        if not self._has_room():
            await self._progress.until(self._has_room)

    def _has_room(self) -> bool:
        return len(self._inbox) < INBOX_MAX and self._reads < INBOX_MAX

    def _look_again(self) -> None:
        self._moved = True
        self._work.ring()

    def _expire(self) -> None:
        """End the sessions whose tokens have expired."""
        now = self.now()
        while (timer := self._expiries.pop(now)) is not None or self._expiries.behind:
            if timer is not None:
                timer.owner.expire()


def _reads_nothing(question: Any, then: Callable[[Any], None]) -> None:
    raise AssertionError("an answer that needs no reading")

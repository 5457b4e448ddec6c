"""What connections see of the house: where requests are handed in, tokens checked, sessions counted and ended.

The driver takes from the inbox what is handed in here.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from actors.effects import Ended, Input
from actors.wheel import Timer, TimerWheel
from protocol.errors import refused
from protocol.ids import Principal
from protocol.session import Limits
from router.bell import Bell
from router.clock import Clock
from router.connection import Connection
from router.hub import Hub

INBOX_MAX = 8_192  # then readers wait


class Verifier(Protocol):
    """What the desk needs of ``router.auth.Gate``."""

    def verify(self, token: str, now_ms: int) -> tuple[Principal, int | None]:
        """Who the token is for and when it ends (tick). Raises RequestError (unauthenticated)."""


class HouseDesk:
    """The desk of one workspace (``router.connection.Desk``)."""

    def __init__(self, workspace: str, gate: Verifier, limits: Limits, clock: Clock) -> None:
        self.workspace = workspace
        self.limits = limits
        self.heartbeat_s = 20
        self.hub = Hub()
        self.draining = False
        self._gate = gate
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
        return self._gate.verify(token, self.now())

    def submit(self, item: Input) -> None:
        """Hand in something to be done. Raises RequestError (draining)."""
        if self.draining:
            if isinstance(item, Ended):
                return  # whoever is online at a shutdown is in grace from the restart on
            raise refused("draining")
        self._inbox.append(item)
        self._work.ring()

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

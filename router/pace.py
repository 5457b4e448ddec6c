"""How fast one peer is read: bytes, and frames that no rate of requests counts (pings, pongs, parts of messages).

Whoever sends more is not refused but read later, so that TCP stops it and nobody else pays for it: a ping of six
bytes costs as much time as a request.
"""

from __future__ import annotations

import trio

from protocol.bucket import Bucket
from protocol.ids import Role
from protocol.session import Limits

BYTES_BURST_S = 4  # after a pause, the bytes of so many seconds


class Pace:
    """One connection's pace. Until it is trusted it is an unknown's."""

    __slots__ = ("_bytes", "_frames", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.trust(None)

    def trust(self, role: Role | None) -> None:
        """From now on the pace of this role."""
        rate, now = self._limits.byte_rate(role), _now()
        self._bytes = Bucket(rate, rate * BYTES_BURST_S, now)
        self._frames = Bucket(*self._limits.rate(role), now)

    async def bytes(self, count: int) -> None:
        """So many have come: wait until they are paid for."""
        if wait_s := self._bytes.spend(_now(), count):
            await trio.sleep(wait_s)

    async def frame(self) -> None:
        """A frame has come that is no request: the same."""
        if wait_s := self._frames.spend(_now()):
            await trio.sleep(wait_s)


def _now() -> int:
    return int(trio.current_time() * 1000)

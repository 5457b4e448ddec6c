"""How fast one peer is read: bytes, and what comes in frames (requests, pings, pongs, parts of messages).

Whoever sends more is not refused but read later, so that TCP stops it and nobody else pays for it: a ping of six bytes
costs as much time as a request, and a request that is refused for its rate half as much as one that is done. Twice the
rate of requests is read, so that who sends too many is told so before it is made to wait.
"""

from __future__ import annotations

import trio

from protocol.bucket import Bucket
from protocol.ids import Role
from protocol.session import TRUSTED, Limits

AHEAD = 2  # what is read to what is done


class Pace:
    """One connection's pace. Until it is trusted it is an unknown's.

    ``shared``: buckets of bytes and of frames of all unknowns, agents and contacts of a remote address.
    """

    __slots__ = ("_bytes", "_frames", "_limits", "_shared")

    def __init__(self, limits: Limits, shared: tuple[Bucket, Bucket] | None = None) -> None:
        self._limits = limits
        self._shared = shared
        self.trust(None)

    def trust(self, role: Role | None) -> None:
        """From now on the pace of this role."""
        rate, now = self._limits.byte_rate(role), _now()
        self._bytes = [Bucket(rate, max(rate, self._limits.frame_bytes), now)]
        self._frames = [frames(*self._limits.rate(role), now)]
        if self._shared is not None and role not in TRUSTED:
            self._bytes.append(self._shared[0])
            self._frames.append(self._shared[1])

    async def bytes(self, count: int) -> None:
        """So many have come: wait until they are paid for."""
        await _pay(self._bytes, count)

    async def frame(self, count: int = 1) -> None:
        """So many requests, or other frames, have come: the same."""
        await _pay(self._frames, count)


def frames(rate: int, burst: int, now: int) -> Bucket:
    """The bucket of frames that goes with a rate of requests."""
    return Bucket(rate * AHEAD, burst * AHEAD, now)


async def _pay(buckets: list[Bucket], count: int) -> None:
    now, wait_s = _now(), 0.0
    for bucket in buckets:
        wait_s = max(wait_s, bucket.spend(now, count))
    if wait_s:
        await trio.sleep(wait_s)


def _now() -> int:
    return int(trio.current_time() * 1000)

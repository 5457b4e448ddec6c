"""One session's rules, without a socket: what may be said when, how fast, and until when.

    new --session.open--> open --session.close, expiry, flooding--> closed

Bytes go in, calls and refusals come out; time is an argument. Whoever carries the frames (socket,
embedding, simulation) checks the token, hands the calls on and does what ``closing`` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from protocol import closing
from protocol.codec import Call, Codec, Refusal
from protocol.errors import RequestError, refused
from protocol.ids import Principal


class Limits(Struct, frozen=True, kw_only=True):
    """What one session may send and hold. [protocol §7] Rates are requests a second."""

    frame_bytes: int = 262_144
    batch: int = 256
    requests_per_s: int = 200
    requests_burst: int = 400
    trusted_requests_per_s: int = 20_000  # connectors and backends
    trusted_requests_burst: int = 40_000
    outbox_notices: int = 1_024
    outbox_bytes: int = 4_194_304
    refusals_max: int = 1_000  # rate refusals in a row, after which a peer is flooding


class Session:
    """The state machine of one connection. ``closing`` is None or the close code it must end with."""

    __slots__ = ("_refilled_at", "_refusals", "_tokens", "batch", "closing", "codec", "expires_at", "limits",
                 "principal", "state")  # fmt: skip

    def __init__(self, codec: Codec, limits: Limits, now: int) -> None:
        self.codec = codec
        self.limits = limits
        self.state: Literal["new", "open", "closed"] = "new"
        self.principal: Principal | None = None
        self.batch = False
        self.expires_at: int | None = None
        self.closing: int | None = None
        self._tokens = float(limits.requests_burst)
        self._refilled_at = now
        self._refusals = 0

    def receive(self, frame: bytes | str, now: int) -> Iterator[Call | Refusal]:
        """A frame's requests in order, each either to be done or already refused. Ticks: ``now`` in ms.

        Each is judged when it is asked for: what follows ``session.open`` in one array finds the session open.
        """
        for item in self.codec.decode(frame, self.limits.batch):
            yield self._admit(item, now)

    def open(self, principal: Principal, *, batch: bool, expires_at: int | None) -> None:
        """The token was good. Raises RequestError (conflict) if the session is open already."""
        if self.state != "new":
            raise refused("conflict", "the session is open already")
        self.state, self.principal, self.batch, self.expires_at = "open", principal, batch, expires_at
        self._tokens = float(self._burst)

    def refresh(self, principal: Principal, expires_at: int | None) -> None:
        """A new token. Raises RequestError (conflict) if it is somebody else's."""
        if self.principal is None or principal.address != self.principal.address:
            raise refused("conflict", "the new token is for somebody else")
        self.principal, self.expires_at = principal, expires_at

    def close(self, code: int = closing.DONE) -> None:
        """Nothing more is admitted; the carrier closes with ``code``. The first code stays."""
        self.state = "closed"
        self.closing = self.closing or code

    def check_expiry(self, now: int) -> None:
        """End the session if its token has expired."""
        if self.expires_at is not None and now >= self.expires_at:
            self.close(closing.TOKEN_EXPIRED)

    def frames(self, objects: list[bytes]) -> list[bytes]:
        """What is ready at one moment, as frames: one array if the client takes arrays, else one object each."""
        if not self.batch or len(objects) < 2:
            return objects
        size = self.limits.batch
        parts = [objects[start : start + size] for start in range(0, len(objects), size)]
        return [self.codec.joined(part) for part in parts]

    @property
    def _trusted(self) -> bool:
        return self.principal is not None and self.principal.role in ("connector", "backend")

    @property
    def _rate(self) -> int:
        return self.limits.trusted_requests_per_s if self._trusted else self.limits.requests_per_s

    @property
    def _burst(self) -> int:
        return self.limits.trusted_requests_burst if self._trusted else self.limits.requests_burst

    def _admit(self, item: Call | Refusal, now: int) -> Call | Refusal:
        if not self._take_token(now):
            return Refusal(self._slow_down(), item.id)
        self._refusals = 0
        if isinstance(item, Refusal):
            return item
        if self.state != "open" and not (self.state == "new" and item.method == "session.open"):
            return Refusal(refused("unauthenticated"), item.id)
        if self.state == "open" and item.method == "session.open":
            return Refusal(refused("conflict", "the session is open already"), item.id)
        return item

    def _take_token(self, now: int) -> bool:
        """A token bucket: ``_rate`` a second up to ``_burst``."""
        earned = max(0, now - self._refilled_at) * self._rate / 1000
        self._tokens = min(float(self._burst), self._tokens + earned)
        self._refilled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _slow_down(self) -> RequestError:
        self._refusals += 1
        if self._refusals > self.limits.refusals_max:
            self.close(closing.FLOODING)
        wait = (1 - self._tokens) / self._rate
        return refused("rate_limited", retry_after_s=round(max(wait, 0.001), 3))

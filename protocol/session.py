"""One session's rules, without a socket: what may be said when, how fast, and until when.

    new --session.open--> open --session.close, expiry, flooding--> closed
     '----- too much before it, flooding ----------------------------^

Bytes go in, calls and refusals come out; time is an argument. Whoever carries the frames (socket,
embedding, simulation) checks the token, hands the calls on and does what ``closing`` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from protocol import closing
from protocol.bucket import Bucket
from protocol.codec import Call, Codec, Refusal
from protocol.errors import RequestError, refused
from protocol.ids import Principal, Role

TRUSTED: tuple[Role, ...] = ("connector", "backend")  # the operator's own programs
#: methods that change the session itself, and with it how what follows in an array is judged
OF_SESSION = frozenset({"session.open", "session.refresh", "session.close", "session.revoke"})

FLOOD_MS = 10_000  # ``refusals_max`` are counted over so long
STRANGE_MAX = 10  # requests before ``session.open``, after which a peer is no client of ours


class Limits(Struct, frozen=True, kw_only=True):
    """What one session, one principal and one remote address may send and hold. [protocol §7] Rates are a second."""

    frame_bytes: int = 262_144
    batch: int = 256
    requests_per_s: int = 200
    requests_burst: int = 400
    trusted_requests_per_s: int = 20_000  # connectors and backends
    trusted_requests_burst: int = 40_000
    outbox_notices: int = 1_024
    outbox_bytes: int = 4_194_304
    refusals_max: int = 1_000  # rate refusals within FLOOD_MS, after which a peer is flooding
    bytes_per_s: int = 262_144  # what is more is read later
    trusted_bytes_per_s: int = 67_108_864
    principal_sessions: int = 100
    principal_outbox_bytes: int = 16_777_216  # of all sessions of an agent or contact
    principal_requests_per_s: int = 400
    principal_requests_burst: int = 800
    address_connections: int = 1_000
    address_connections_per_s: int = 50
    address_requests_per_s: int = 500
    address_requests_burst: int = 1_000
    address_bytes_per_s: int = 1_048_576
    address_outbox_bytes: int = 67_108_864  # of all sessions of agents and contacts from there
    address_faults: int = 100  # failed tokens and the like, a minute

    def rate(self, role: Role | None) -> tuple[int, int]:
        """Requests a second and at once of a session; None = nobody yet."""
        if role in TRUSTED:
            return self.trusted_requests_per_s, self.trusted_requests_burst
        return self.requests_per_s, self.requests_burst

    def principal_rate(self, role: Role) -> tuple[int, int]:
        """The same of all sessions of one principal."""
        if role in TRUSTED:
            return self.rate(role)
        return self.principal_requests_per_s, self.principal_requests_burst

    def byte_rate(self, role: Role | None) -> int:
        """Bytes a second that are read of a session."""
        return self.trusted_bytes_per_s if role in TRUSTED else self.bytes_per_s


class Session:
    """The state machine of one connection. ``closing`` is None or the close code it must end with."""

    __slots__ = ("_bucket", "_flood_from", "_refusals", "_shared", "_strange", "batch", "closing", "codec",
                 "expires_at", "limits", "principal", "state")  # fmt: skip

    def __init__(self, codec: Codec, limits: Limits, now: int, shared: tuple[Bucket, ...] = ()) -> None:
        """``shared``: buckets of requests that others of the same remote address take from too."""
        self.codec = codec
        self.limits = limits
        self.state: Literal["new", "open", "closed"] = "new"
        self.principal: Principal | None = None
        self.batch = False
        self.expires_at: int | None = None
        self.closing: int | None = None
        self._bucket = Bucket(*limits.rate(None), now)
        self._shared = shared
        self._refusals = 0  # for the rate, since ``_flood_from``
        self._flood_from = now
        self._strange = 0

    def receive(self, frame: bytes | str, now: int) -> Iterator[Call | Refusal]:
        """A frame's requests in order, each either to be done or already refused. Ticks: ``now`` in ms.

        Each is judged when it is asked for: what follows ``session.open`` in one array finds the session open. Where
        nothing in the array changes the session, and all can be paid for, it is paid for at once.
        """
        items = self.codec.decode(frame, self.limits.batch)
        methods = [item.method for item in items if type(item) is Call]
        if self.state == "open" and OF_SESSION.isdisjoint(methods) and self._pay(now, len(items)):
            return iter(items)
        return (self._admit(item, now) for item in items)

    def open(self, principal: Principal, *, batch: bool, expires_at: int | None) -> None:
        """The token was good. Raises RequestError (conflict) if the session is open already."""
        if self.state != "new":
            raise refused("conflict", "the session is open already")
        self.state, self.principal, self.batch, self.expires_at = "open", principal, batch, expires_at
        self._bucket = Bucket(*self.limits.rate(principal.role), self._bucket.filled_at)
        if principal.role in TRUSTED:
            self._shared = ()

    def share(self, bucket: Bucket) -> None:
        """Take from this bucket too: that of all sessions of the principal."""
        self._shared = (*self._shared, bucket)

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

    def _admit(self, item: Call | Refusal, now: int) -> Call | Refusal:
        if not self._pay(now):
            return Refusal(self._slow_down(now), item.id)
        if self.state == "new" and (isinstance(item, Refusal) or item.method != "session.open"):
            self._count_stranger()
        if isinstance(item, Refusal):
            return item
        if self.state != "open" and not (self.state == "new" and item.method == "session.open"):
            return Refusal(refused("unauthenticated"), item.id)
        if self.state == "open" and item.method == "session.open":
            return Refusal(refused("conflict", "the session is open already"), item.id)
        return item

    def _pay(self, now: int, count: int = 1) -> bool:
        """So many of each bucket, or none of any."""
        for bucket in self._shared:
            if bucket.wait_s(now, count):
                return False
        if not self._bucket.take(now, count):
            return False
        for bucket in self._shared:
            bucket.take(now, count)
        return True

    def _slow_down(self, now: int) -> RequestError:
        """Refuse for the rate; a peer that goes on regardless is flooding, whatever is taken in between."""
        if not 0 <= now - self._flood_from < FLOOD_MS:
            self._flood_from, self._refusals = now, 0
        self._refusals += 1
        if self._refusals > self.limits.refusals_max:
            self.close(closing.FLOODING)
        wait_s = max(bucket.wait_s(now) for bucket in (self._bucket, *self._shared))
        return refused("rate_limited", retry_after_s=round(max(wait_s, 0.001), 3))

    def _count_stranger(self) -> None:
        """Something else came before ``session.open``: so much and no more."""
        self._strange += 1
        if self._strange > STRANGE_MAX:
            self.close(closing.UNAUTHENTICATED)

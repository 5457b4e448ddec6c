"""Who comes from where, and how much one remote address may take.

    connections   at once, and new ones a second: beyond that an upgrade gets 503, and far beyond it nothing at all
    requests      of all sessions of agents and contacts (``Session`` takes from the bucket)
    reading       bytes and frames of all but trusted sessions (``Pace``)
    faults        failed tokens, broken frames, floods: too many in a minute, and upgrades from there get 429

An IPv6 address counts by its /64, which is what one customer has. A proxy of the operator is not counted itself: it
names in ``X-Forwarded-For`` for whom it speaks, and what it does not name is not counted. An address is remembered
until it is gone and its buckets are full again, so that leaving and coming back gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import TracebackType

import trio

from protocol.bucket import Bucket
from protocol.session import Limits
from router.head import RefusedError
from router.pace import frames
from router.share import Share
from router.tls import socket_of

SPARE_MAX = 16  # connections beyond the limit, that still get pages and a 503
FAULT_S = 60.0  # ``address_faults`` are counted over so long
FLOOD_FAULTS = 10  # what a flood counts for
_SWEEP_MIN = 1_024

Network = IPv4Network | IPv6Network


class Addresses:
    """All remote addresses. ``proxies``: addresses or networks (``10.0.0.0/8``) whose word is taken for others'."""

    def __init__(self, limits: Limits, proxies: Sequence[str] = ()) -> None:
        self._limits = limits
        self._proxies = [ip_network(proxy) for proxy in proxies]
        self._places: dict[str, _Place] = {}
        self._sweep_at = _SWEEP_MIN

    def visit(self, stream: trio.abc.AsyncResource) -> Visit:
        """A connection begins; as a context it also ends."""
        return Visit(self, _peer(stream))

    def turns_away(self, stream: trio.abc.AsyncResource) -> bool:
        """Whether a new connection gets no answer at all: its address has far too many, or they come too fast."""
        return self.is_overrun(_peer(stream))

    def is_overrun(self, address: IPv4Address | IPv6Address | None) -> bool:
        """Whether one more connection from this address is far too many, or too soon after others."""
        if address is None or self.is_proxy(address):
            return False
        place = self.place(address)
        return place.arrivals.wait_s(_now()) > 0 or place.open >= place.limits.address_connections + SPARE_MAX

    def statistics(self) -> dict[str, int]:
        """How many addresses are known, and how many of them are barred."""
        now = _now()
        return {"known": len(self._places), "barred": sum(place.barred_s(now) > 0 for place in self._places.values())}

    def is_proxy(self, address: IPv4Address | IPv6Address) -> bool:
        """Whether this one speaks for others."""
        return any(address in network for network in self._proxies)

    def place(self, address: IPv4Address | IPv6Address) -> _Place:
        """What is known of an address."""
        name = str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)
        if name not in self._places:
            self._sweep()
            self._places[name] = _Place(self._limits, _now())
        return self._places[name]

    def _sweep(self) -> None:
        """Forget who is gone and owes nothing; amortized O(1) an address."""
        if len(self._places) >= self._sweep_at:
            now = _now()
            self._places = {name: place for name, place in self._places.items() if not place.is_idle(now)}
            self._sweep_at = max(_SWEEP_MIN, 2 * len(self._places))


class Visit:
    """One connection, and the address it counts for."""

    __slots__ = ("_addresses", "_place", "_rushes", "_speaks_for_others")

    def __init__(self, addresses: Addresses, address: IPv4Address | IPv6Address | None) -> None:
        self._addresses = addresses
        self._place: _Place | None = None
        self._rushes = False  # it came sooner after others than it may
        self._speaks_for_others = address is not None and addresses.is_proxy(address)
        if address is not None and not self._speaks_for_others:
            self._enter(address)

    def __enter__(self) -> Visit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._place is not None:
            self._place.open -= 1

    @property
    def requests(self) -> tuple[Bucket, ...]:
        """The buckets its requests are taken from."""
        return () if self._place is None else (self._place.requests,)

    @property
    def pace(self) -> tuple[Bucket, Bucket] | None:
        """The buckets of what is read of it: bytes, and frames."""
        return None if self._place is None else (self._place.bytes, self._place.frames)

    @property
    def outgoing(self) -> tuple[Share, ...]:
        """What its outbox counts to, unless it is trusted."""
        return () if self._place is None else (self._place.outgoing,)

    def forwarded(self, names: Iterable[str]) -> None:
        """What ``X-Forwarded-For`` says, if one of our proxies says it: the last that is no proxy counts."""
        if not self._speaks_for_others or self._place is not None:
            return
        for name in reversed(list(names)):
            address = _address(name)
            if address is None:
                return
            if not self._addresses.is_proxy(address):
                self._enter(address)
                return

    def check(self) -> None:
        """Whether a WebSocket may begin. Raises RefusedError (crowded, barred)."""
        place = self._place
        if place is None:
            return
        if self._rushes or place.open > place.limits.address_connections:
            raise RefusedError("crowded")
        if place.barred_s(_now()):
            raise RefusedError("barred")

    def fault(self, count: int = 1) -> None:
        """It did something that an honest client rarely does."""
        if self._place is not None:
            for _ in range(count):
                self._place.faults.take(_now())

    def _enter(self, address: IPv4Address | IPv6Address) -> None:
        self._place = self._addresses.place(address)
        self._place.open += 1
        self._rushes = not self._place.arrivals.take(_now())


class _Place:
    """What one address has and may."""

    __slots__ = ("arrivals", "bytes", "faults", "frames", "limits", "open", "outgoing", "requests")

    def __init__(self, limits: Limits, now: int) -> None:
        self.limits = limits
        self.open = 0
        self.outgoing = Share(limits.address_outbox_bytes)
        self.arrivals = Bucket(limits.address_connections_per_s, limits.address_connections + SPARE_MAX, now)
        self.requests = Bucket(limits.address_requests_per_s, limits.address_requests_burst, now)
        self.frames = frames(limits.address_requests_per_s, limits.address_requests_burst, now)
        self.bytes = Bucket(limits.address_bytes_per_s, max(limits.address_bytes_per_s, limits.frame_bytes), now)
        self.faults = Bucket(limits.address_faults / FAULT_S, limits.address_faults, now)

    def barred_s(self, now: int) -> float:
        return self.faults.wait_s(now)

    def is_idle(self, now: int) -> bool:
        buckets = (self.arrivals, self.requests, self.frames, self.bytes, self.faults)
        return not self.open and all(bucket.wait_s(now, bucket.burst) == 0 for bucket in buckets)


def _peer(stream: trio.abc.AsyncResource) -> IPv4Address | IPv6Address | None:
    """The address at the other end; None if there is none."""
    socket = socket_of(stream)
    if socket is None:
        return None
    try:
        return _address(str(socket.getpeername()[0]))
    except OSError:  # it has gone already
        return None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address as a socket or a proxy writes it (``::1``, ``[::1]:80``, ``192.0.2.1:80``); None if it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _now() -> int:
    return int(trio.current_time() * 1000)

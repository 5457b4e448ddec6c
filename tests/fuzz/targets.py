"""What is fuzzed. A target takes any bytes and returns if they were taken or refused as they should be, else raises."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import msgspec
import structlog
import trio
from hypothesis import strategies as st
from msgspec import UNSET
from trio.testing import MockClock, memory_stream_pair

from protocol.codec import CODECS, Call, Codec, Refusal
from protocol.errors import RequestError
from protocol.requests import METHODS
from protocol.session import Limits, Session
from router.addresses import _address
from router.auth import Gate
from router.front import Front
from router.head import Head, RefusedError, _read
from router.listener import Listener
from router.metrics import Metrics
from router.pages import Pages
from router.upgrade import check_upgrade, wants_upgrade

SECRET = b"a secret of the fuzzers, 32 bytes"
GATE = Gate(secret=SECRET)
SMALL = Limits(frame_bytes=500, requests_burst=10_000, refusals_max=10_000)


# ---------------------------------------------------------------- codec


def _decode(codec: Codec, data: bytes) -> None:
    items = codec.decode(data, 8)
    assert 1 <= len(items) <= 8
    for item in items:
        if isinstance(item, Call):
            assert isinstance(item.params, METHODS[item.method].params)
            assert codec.decode(codec.encode(_again(item)))[0] == item
        else:
            assert isinstance(item, Refusal)
            ident = None if item.id is UNSET else item.id
            assert msgspec.json.decode(CODECS["json"].failure(ident, item.error))["error"]["code"] < 0
            codec.failure(ident, item.error)
    session = Session(codec, Limits(), 0)
    assert len(list(session.receive(data, 0))) >= 1


def _again(call: Call) -> dict[str, Any]:
    """The call as a request; what was left out of its params may be written out."""
    request = {"jsonrpc": "2.0", "method": call.method, "params": call.params}
    return request if call.id is UNSET else {**request, "id": call.id}


def json(data: bytes) -> None:
    """A frame of a JSON session, as bytes and, if it is UTF-8, as text."""
    _decode(CODECS["json"], data)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    assert len(CODECS["json"].decode(text, 8)) >= 1


def msgpack(data: bytes) -> None:
    """A frame of a MessagePack session."""
    _decode(CODECS["msgpack"], data)


# ---------------------------------------------------------------- HTTP


class _Chunks:
    """A stream that gives out its bytes a few at a time and never waits."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def receive_some(self, max_bytes: int) -> bytes:
        size = 1 + len(self._data) % 7 * 40
        data, self._data = self._data[:size], self._data[size:]
        return data


def head(data: bytes) -> None:
    """An HTTP head and what is behind it, in chunks."""
    stream: Any = _Chunks(data)
    try:
        _read(stream, 2_000).send(None)
    except RefusedError:
        return
    except StopIteration as stop:
        found: Head | None = stop.value
    if found is None:
        return
    assert found.rest in data
    try:
        found.words("x-forwarded-for")
        found.one("authorization")
        if wants_upgrade(found):
            upgrade = check_upgrade(found, ["https://*.example.org"])
            lines = upgrade.answer().split(b"\r\n")  # nothing of the peer's makes a line of its own in it
            assert (len(lines), lines[-2:]) == (6 + (upgrade.subprotocol is not None), [b"", b""])
    except RefusedError:
        pass


def address(data: bytes) -> None:
    """What a proxy may write into X-Forwarded-For."""
    _address(data.decode("latin-1"))


def token(data: bytes) -> None:
    """A token."""
    text = data.decode("utf-8", "surrogateescape")
    try:
        GATE.verify(text, 0)
    except RequestError:
        pass
    GATE.issued_at(text)


# ---------------------------------------------------------------- frames


class _Desk:
    """Takes everything and answers nothing."""

    workspace, limits, heartbeat_s = "main", SMALL, 20

    def __getattr__(self, name: str) -> Any:
        return {"now": lambda: 0, "join": lambda connection: 1}.get(name, lambda *some, **more: None)

    def verify(self, token: str) -> Any:
        return GATE.verify(token, 0)


def frames(data: bytes) -> None:
    """What follows a good handshake, over memory streams in virtual time: no incident of ours, and an end."""
    with structlog.testing.capture_logs() as log:
        trio.run(_frames, data, clock=MockClock(autojump_threshold=0))
    assert log == []


async def _frames(data: bytes) -> None:
    desk: Any = _Desk()
    metrics = Metrics()
    pages = Pages(ready=lambda: (True, ""), openrpc=lambda: b"", metrics=metrics)
    front = Front(desk, pages, metrics)
    listener = Listener(front.handle, metrics)  # type: ignore[arg-type] # memory streams
    here, there = memory_stream_pair()
    good = b"GET /v1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    with trio.fail_after(1_000):
        async with trio.open_nursery() as nursery:
            await nursery.start(front.run)
            async with trio.open_nursery() as connections:
                connections.start_soon(listener._guard, there, False)
                await here.send_all(good + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + data)
                await here.send_eof()
                while await here.receive_some():
                    pass
            nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- where to begin

_REQUEST = b'{"jsonrpc":"2.0","id":1,"method":"message.send","params":{"conversation":"c1","text":"Hi","key":"k"}}'
_HEAD = (
    b"GET /v1?x HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: https://a.example.org\r\nX-Forwarded-For: ::1\r\n\r\n"
)


def masked(payload: bytes, first: int) -> bytes:
    """A client's frame, with a mask of zeros, so that what is mutated stays what it is."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
    return bytes([first]) + length + bytes(4) + payload


TARGETS: dict[str, Callable[[bytes], None]] = {
    "json": json, "msgpack": msgpack, "head": head, "frames": frames, "token": token, "address": address,
}  # fmt: skip
SEEDS: dict[str, list[bytes]] = {
    "json": [_REQUEST, b"[" + _REQUEST + b"," + _REQUEST + b"]", b'{"jsonrpc":"2.0","method":"session.open"}'],
    "msgpack": [msgspec.msgpack.encode(msgspec.json.decode(_REQUEST)), b"\x92\x80\xc0"],
    "head": [_HEAD, b"HEAD http://a/healthz HTTP/1.0\r\n\r\n"],
    "frames": [
        masked(_REQUEST, 0x81) + masked(b"1", 0x89), masked(b"{", 0x01) + masked(b"}", 0x80),
        masked(b"\x03\xe8bye", 0x88),
    ],
    "token": [GATE.issue("agent", "ana", now_ms=0, ttl_ms=1).encode()],
    "address": [b"192.0.2.1:80", b"[2001:db8::1%eth0]:80"],
}  # fmt: skip


def inputs(name: str) -> st.SearchStrategy[bytes]:
    """Bytes for a target: any, or what it knows with a few places changed."""

    def changed(whole: bytes, places: list[tuple[int, int, bytes]]) -> bytes:
        data = bytearray(whole)
        for start, length, new in places:
            at = start % (len(data) + 1)
            data[at : at + length] = new
        return bytes(data)

    places = st.lists(
        st.tuples(st.integers(0, 2_000), st.integers(0, 8), st.binary(max_size=8)), min_size=1, max_size=6
    )
    return st.one_of(st.binary(max_size=200), st.builds(changed, st.sampled_from(SEEDS[name]), places))

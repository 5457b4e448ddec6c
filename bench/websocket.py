"""A WebSocket client that costs next to nothing, so that a thousand of them leave the machine to the server.

One asyncio.Protocol a connection, callbacks instead of tasks and futures, whole frames only, no extensions. Frames are
masked with zeros, which RFC 6455 allows to nobody who fears for proxies, and which here saves the masking.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import msgspec

HANDSHAKE = (
    "GET /v1 HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, CLOSE, PING, PONG = 0x81, 0x88, 0x89, 0x8A
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode

Then = Callable[[dict[str, Any]], None]


def frame(first: int, payload: bytes) -> bytes:
    """A client's frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        return bytes((first, 0x80 | size, 0, 0, 0, 0)) + payload
    if size < 65_536:
        return bytes((first, 0xFE)) + size.to_bytes(2, "big") + bytes(4) + payload
    return bytes((first, 0xFF)) + size.to_bytes(8, "big") + bytes(4) + payload


class Session(asyncio.Protocol):
    """One connection with an open session.

    Parameters: the host and port for the handshake, the token, and where refusals are counted. ``notice`` is called for
    what the server says unasked, ``opened`` when the session is open. ``batch``: it takes arrays.
    """

    batch = True

    def __init__(self, host: str, port: int, token: str, errors: Counter[str]) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # the session is open
        self.ending: str | None = None  # how it ended
        self._head = HANDSHAKE.format(host=host, port=port).encode()
        self._token = token
        self._errors = errors
        self._ids = count(1)
        self._waiting: dict[int, Then] = {}
        self._buffer = bytearray()
        self._upgraded = False
        self._transport: asyncio.Transport

    def notice(self, method: str, params: dict[str, Any]) -> None:
        """Something the server said unasked."""

    def opened(self) -> None:
        """The session is open."""

    def call(self, method: str, then: Then | None = None, **params: Any) -> None:
        """Send a request; ``then`` gets its result. A refusal is counted, and ends what was to follow."""
        ident = next(self._ids)
        if then is not None:
            self._waiting[ident] = then
        request = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        self._transport.write(frame(TEXT, _encode(request)))

    def close(self) -> None:
        """Go without a word."""
        self._transport.abort()

    # ------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by birth
        self._transport.write(self._head)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ending = self.ending or f"lost: {exc}"
        if not self.ready.done():
            self.ready.set_exception(ConnectionError(f"not let in: {self.ending} {dict(self._errors)}"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._upgraded and not self._upgrade():
            return
        while (found := self._frame()) is not None:
            self._take(*found)

    def _upgrade(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        if b" 101 " not in self._buffer[:20]:
            self._errors["no upgrade"] += 1
            self._transport.abort()
            return False
        del self._buffer[: end + 4]
        self._upgraded = True
        self.call("session.open", self._opened, token=self._token, batch=self.batch)
        return True

    def _frame(self) -> tuple[int, bytes] | None:
        """The next whole frame: its first byte and its payload."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        size, start = buffer[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(buffer[2:start], "big")
        if len(buffer) < start + size:
            return None
        first, payload = buffer[0], bytes(buffer[start : start + size])
        del buffer[: start + size]
        return first, payload

    def _take(self, first: int, payload: bytes) -> None:
        if first == PING:
            self._transport.write(frame(PONG, payload))
        elif first == CLOSE:
            self.ending = f"closed: {int.from_bytes(payload[:2], 'big')}"
        elif first == TEXT:
            message = _decode(payload)
            for item in message if isinstance(message, list) else (message,):
                self._hear(item)

    def _hear(self, message: dict[str, Any]) -> None:
        if "method" in message:
            self.notice(message["method"], message["params"])
            return
        then = self._waiting.pop(message["id"], None)
        if "error" in message:
            self._errors[message["error"]["data"].get("reason", str(message["error"]["code"]))] += 1
        elif then is not None:
            then(message["result"])

    def _opened(self, result: dict[str, Any]) -> None:
        self.ready.set_result(None)
        self.opened()

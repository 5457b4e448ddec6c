"""The way out of one connection: whole frames or nothing, and an end that is either polite or abrupt.

Two facts decide everything. ``torn``: a write did not come to its end, so half a frame may be out; nothing may
follow it and the socket is reset. ``finished``: a close frame has gone out; nothing follows that either, and the
peer gets time to read it. A server's frames carry no mask, so a frame here is a few bytes before the payload.
"""

from __future__ import annotations

import struct
from contextlib import suppress

import trio

from router.metrics import Metrics
from router.tls import socket_of

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88  # first bytes of whole frames
_REASON_BYTES_MAX = 123
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST


class Wire:
    """Writes to one stream, one at a time, whoever asks."""

    __slots__ = ("_lock", "_metrics", "finished", "stream", "torn")

    def __init__(self, stream: trio.abc.HalfCloseableStream, metrics: Metrics) -> None:
        self.stream = stream
        self.torn = False
        self.finished = False
        self._lock = trio.StrictFIFOLock()
        self._metrics = metrics

    @property
    def is_writing(self) -> bool:
        """True while a write is under way: if that lasts, the peer does not read."""
        return self._lock.locked()

    async def write(self, data: bytes) -> None:
        """Write whole frames; a close frame comes alone and ends the wire, what comes later is dropped.

        Raises BrokenResourceError if the peer is gone or an earlier write was cut short.
        """
        try:
            self._lock.acquire_nowait()  # saves a turn of trio's loop in the ordinary case
        except trio.WouldBlock:
            await self._lock.acquire()
        try:
            await self._write(data)
        finally:
            self._lock.release()

    async def _write(self, data: bytes) -> None:
        if self.torn:
            raise trio.BrokenResourceError("an earlier write was cut short")
        if self.finished:
            return
        self.torn = True  # until proven otherwise: a cancelled send does not say how much has gone out
        await self.stream.send_all(data)
        self.torn = False
        self.finished = data[0] == CLOSE
        self._metrics.bytes_sent += len(data)

    async def farewell(self, limit_s: float) -> None:
        """Close the stream, once nobody else uses it: politely if a close frame is out. At most ``limit_s``."""
        if self.torn:
            await abort(self.stream)
        elif self.finished:
            await part(self.stream, limit_s)
        else:
            await trio.aclose_forcefully(self.stream)


async def abort(stream: trio.abc.AsyncResource) -> None:
    """Close at once with a reset: the peer cannot take the half of something for the whole."""
    if (socket := socket_of(stream)) is not None:
        with suppress(OSError):
            socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, _RESET)
    await trio.aclose_forcefully(stream)


async def part(stream: trio.abc.HalfCloseableStream, limit_s: float) -> None:
    """Say that nothing more comes, wait until the peer says so too, close; after ``limit_s`` abort.

    Closing with input unread would make the kernel send a reset, which can overtake the last words.
    """
    parted = False
    try:
        with trio.move_on_after(limit_s):
            await stream.send_eof()
            while await stream.receive_some():
                pass
            parted = True
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        if parted:
            await trio.aclose_forcefully(stream)
        else:
            await abort(stream)


def frame(opcode: int, payload: bytes) -> tuple[bytes, bytes]:
    """A whole frame as its header and its payload, to be joined with others. [RFC 6455 §5.2]"""
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)), payload
    if size < 65_536:
        return struct.pack("!BBH", opcode, 126, size), payload
    return struct.pack("!BBQ", opcode, 127, size), payload


def close_frame(code: int, reason: str) -> bytes:
    """A close frame; a reason that is too long is cut between characters."""
    text = reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore").encode()
    return b"".join(frame(CLOSE, struct.pack("!H", code) + text))

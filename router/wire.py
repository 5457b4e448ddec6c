"""The way out of one connection: whole frames or nothing, and an end that is either polite or abrupt.

Nobody waits to write. What the socket takes at once goes out at once, by one call of the system; only what it does not
take is left to a task, which lives as long as something is left. TLS and streams in memory always need the task.

Three facts decide everything. ``is_writing``: something is on its way, and what comes now goes behind it. ``torn``: a
write did not come to its end, so half a frame may be out; nothing may follow it and the socket is reset. ``finished``:
a close frame has gone out; nothing follows that either, and the peer gets time to read it. A server's frames carry no
mask, so a frame here is a few bytes before the payload.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import trio

from router.metrics import Metrics
from router.tls import socket_of

TEXT, BINARY, CLOSE = 0x81, 0x82, 0x88  # first bytes of whole frames
_REASON_BYTES_MAX = 123
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close() sends RST


class Spawn(Protocol):
    """``start_soon`` of a nursery."""

    def __call__(self, job: Callable[[], Awaitable[None]], /) -> None:
        """Run ``job`` in a task."""


class Wire:
    """Reads and writes one stream. ``start`` comes first."""

    __slots__ = ("_deadline", "_ended", "_fd", "_idle", "_last", "_metrics", "_pong", "_rest", "_scope", "_socket",
                 "_spawn", "finished", "stream", "torn", "writing_since")  # fmt: skip

    def __init__(self, stream: trio.abc.HalfCloseableStream, metrics: Metrics) -> None:
        self.stream = stream
        self.torn = False
        self.finished = False
        self.writing_since: float | None = None  # trio's time
        self._socket = stream.socket if isinstance(stream, trio.SocketStream) else None
        self._fd = -1 if self._socket is None else self._socket.fileno()  # ours until the farewell
        self._metrics = metrics
        self._rest = b""  # behind what is on its way
        self._pong = b""  # behind that
        self._last = False  # a close frame was handed in
        self._scope: trio.CancelScope | None = None
        self._deadline = math.inf

    def start(self, spawn: Spawn, idle: Callable[[], None], ended: Callable[[], None]) -> None:
        """``spawn`` runs a task that ends with the connection. ``idle`` is called when what had to wait is out,
        ``ended`` when nothing more can be written: a close frame is out, or the wire is torn.
        """
        self._spawn, self._idle, self._ended = spawn, idle, ended

    @property
    def is_writing(self) -> bool:
        """True while a write is under way: if that lasts, the peer does not read."""
        return self.writing_since is not None

    # ------------------------------------------------------------ in

    async def read(self, count: int) -> bytes:
        """What has come, at most so many bytes; empty at the end, however it came to it."""
        try:
            if self._socket is None:
                return bytes(await self.stream.receive_some(count))
            while True:
                await trio.lowlevel.wait_readable(self._socket)
                try:
                    return os.read(self._fd, count)
                except BlockingIOError:
                    continue
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            return b""

    # ------------------------------------------------------------ out

    def write(self, data: bytes) -> None:
        """Write whole frames, behind what is on its way; a close frame comes alone and is the last."""
        if self.torn or self._last:
            return
        self._last = data[0] == CLOSE
        self._metrics.bytes_sent += len(data)
        if self.is_writing:
            self._rest += data
            return
        self._rest = self._try(data)
        if self._rest:
            self.writing_since = trio.current_time()
            try:
                self._spawn(self._drain)
            except RuntimeError:  # the connection is just ending: its nursery takes nothing more
                self.tear()
        elif self._last:
            self._finish()

    def pong(self, data: bytes) -> None:
        """Answer a ping; of several that must wait, only the last. [RFC 6455 §5.5.3]"""
        if self.is_writing:
            self._pong = data
        else:
            self.write(data)

    def tear(self) -> None:
        """Write nothing more: the socket will be reset."""
        self.torn = True
        self._ended()

    def hurry(self, limit_s: float) -> None:
        """What is written from now on must be out in so many seconds, or the wire is torn."""
        self._deadline = trio.current_time() + limit_s
        if self._scope is not None:
            self._scope.deadline = self._deadline

    def _try(self, data: bytes) -> bytes:
        """What of it the socket does not take at once."""
        if self._socket is None:
            return data
        try:
            return data[os.write(self._fd, data) :]
        except BlockingIOError:
            return data
        except OSError:  # the peer is gone
            self.tear()
            return b""

    async def _drain(self) -> None:
        try:
            with trio.CancelScope(deadline=self._deadline) as self._scope:
                while self._rest:
                    data, self._rest = self._rest, b""
                    await self.stream.send_all(data)
                    if not self._rest and not self._last:
                        self._rest, self._pong = self._pong, b""
                self.writing_since = None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self.torn = self.torn or self.is_writing  # a cancelled send does not say how much has gone out
        if self.torn:
            self._ended()
        elif self._last:
            self._finish()
        else:
            self._idle()

    def _finish(self) -> None:
        self.finished = not self.torn
        self._ended()

    async def farewell(self, limit_s: float) -> None:
        """Close the stream, once nobody else uses it: politely if a close frame is out. At most ``limit_s``."""
        self._last = True
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


_latest: tuple[int, bytes, bytes] = (0, b"", b"")


def whole_frame(opcode: int, payload: bytes) -> bytes:
    """A whole frame in one piece. What many sessions hear comes many times in a row, so the latest is kept."""
    global _latest
    if payload is not _latest[1] or opcode != _latest[0]:
        _latest = (opcode, payload, b"".join(frame(opcode, payload)))
    return _latest[2]


def close_frame(code: int, reason: str) -> bytes:
    """A close frame; a reason that is too long is cut between characters."""
    text = reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore").encode()
    return b"".join(frame(CLOSE, struct.pack("!H", code) + text))

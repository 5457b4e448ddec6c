"""What waits to go out to one client, bounded; and the one task that writes it.

Everything that is ready goes out in one write, as arrays if the client takes arrays. A client that does not
keep up is ended with 4008: what waits for it is dropped, so that it costs no more than its bound.

    bytes    more than ``outbox_bytes`` not yet written: at once.
    notices  more than ``outbox_notices`` waiting behind a write that has been stuck for STUCK_S. A step of the
             core may put out thousands at one moment (answers to a batch, a replay): that alone is not slowness.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import trio

from protocol import closing
from protocol.session import Limits
from router.metrics import Metrics
from router.wire import Wire, close_frame, frame

CLOSE_S = 5.0  # to take in what is queued and the close frame
STUCK_S = 1.0
_STRETCH = 256  # objects taken from a series at once


class Outbox:
    """The Carrier of a connection on a socket. ``opcode``: of its frames; ``close_s``: a polite end takes no longer.

    ``join`` makes frames of objects: ``Session.frames`` once there is a session.
    """

    __slots__ = ("_bytes", "_close_s", "_limits", "_metrics", "_opcode", "_queue", "_ready", "_scope",
                 "_writing_since", "closing", "join")  # fmt: skip

    def __init__(self, limits: Limits, metrics: Metrics, *, opcode: int, close_s: float = CLOSE_S) -> None:
        self.closing: tuple[int, str] | None = None
        self.join: Callable[[list[bytes]], list[bytes]] = list
        self._limits = limits
        self._metrics = metrics
        self._opcode = opcode
        self._close_s = close_s
        self._queue: deque[bytes | Iterator[bytes]] = deque()
        self._bytes = 0  # queued as bytes, or on their way
        self._ready = trio.Event()
        self._scope = trio.CancelScope()
        self._writing_since: float | None = None

    # ------------------------------------------------------------ the Carrier: called from anywhere, never waits

    def send(self, data: bytes) -> None:
        """Queue one encoded object. On overflow the connection ends with 4008; after its end this does nothing."""
        if self.closing is None:
            self._queue.append(data)
            self._bytes += len(data)
            self._ready.set()
            if self._bytes > self._limits.outbox_bytes or len(self._queue) > self._limits.outbox_notices:
                self._check_bounds()

    def send_series(self, objects: Iterable[bytes]) -> None:
        """Queue a long answer as one item: its objects are made as they go out, so it needs no room here.

        What is sent later goes out later. ``objects`` must not raise.
        """
        if self.closing is None:
            self._queue.append(iter(objects))
            self._ready.set()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close with ``code``. The first code stays."""
        if self.closing is None:
            self.closing = (code, reason)
            self._scope.deadline = trio.current_time() + self._close_s
            self._ready.set()

    def statistics(self) -> dict[str, int]:
        """What waits: objects, and bytes including those on their way."""
        return {"notices": len(self._queue), "bytes": self._bytes}

    # ------------------------------------------------------------ the writer

    async def write_to(self, wire: Wire) -> None:
        """Write what comes until a close frame is out, the peer is gone, or closing took too long. To be run once."""
        with self._scope:
            try:
                await self._write_to(wire)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass

    async def _write_to(self, wire: Wire) -> None:
        while self._queue or self.closing is None:
            await self._ready.wait()
            self._ready = trio.Event()
            while objects := self._take():
                await self._write(wire, objects)
        await wire.write(close_frame(*self.closing))

    async def _write(self, wire: Wire, objects: list[bytes]) -> None:
        frames = self.join(objects)
        self._writing_since = trio.current_time()
        await wire.write(b"".join([part for payload in frames for part in frame(self._opcode, payload)]))
        self._writing_since = None
        self._bytes -= sum(map(len, objects))
        self._metrics.frames_sent += len(frames)

    def _take(self) -> list[bytes]:
        """All that is ready; of a series the next stretch, and nothing behind it."""
        taken: list[bytes] = []
        while self._queue:
            first = self._queue[0]
            if not isinstance(first, bytes):
                stretch = list(islice(first, _STRETCH))
                self._bytes += sum(map(len, stretch))
                if stretch:
                    return taken + stretch
            else:
                taken.append(first)
            self._queue.popleft()
        return taken

    def _check_bounds(self) -> None:
        since = self._writing_since
        stuck = since is not None and trio.current_time() - since > STUCK_S
        if self._bytes > self._limits.outbox_bytes or stuck:
            self._queue.clear()
            self._metrics.slow_consumers += 1
            self.close(closing.SLOW_CONSUMER, closing.MEANINGS[closing.SLOW_CONSUMER][0])

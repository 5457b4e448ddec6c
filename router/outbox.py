"""What waits to go out to one client, bounded.

Everything that is ready goes out in one write, as arrays if the client takes arrays. A client that does not
keep up is ended with 4008: what waits for it is dropped, so that it costs no more than its bound.

    bytes    more than ``outbox_bytes`` not yet written: at once. It may share a further bound (``share.py``), in which
             it counts with what is left after a round of writing: who reads never counts at all.
    notices  more than ``outbox_notices`` waiting behind a write that has been stuck for STUCK_S. A step of the
             core may put out thousands at one moment (answers to a batch, a replay): that alone is not slowness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import trio

from protocol import closing
from protocol.session import Limits
from router.incident import report
from router.metrics import Metrics
from router.rounds import Rounds
from router.share import Share
from router.wire import Wire, close_frame, frame, whole_frame

CLOSE_S = 5.0  # to take in what is queued and the close frame
STUCK_S = 1.0
_STRETCH = 256  # objects taken from a series at once


class Outbox:
    """The Carrier of a connection on a socket; to be started with its wire, whose ``idle`` is ``flush``.

    ``opcode``: of its frames; ``close_s``: a polite end takes no longer. ``join`` makes frames of objects:
    ``Session.frames`` once there is a session.
    """

    __slots__ = ("_bytes", "_bytes_max", "_close_s", "_counted", "_entered", "_metrics", "_notices_max", "_on_its_way",
                 "_opcode", "_queue", "_rounds", "_shares", "_wire", "closing", "join")  # fmt: skip

    def __init__(
        self,
        wire: Wire,
        rounds: Rounds,
        limits: Limits,
        metrics: Metrics,
        *,
        opcode: int,
        close_s: float = CLOSE_S,
    ) -> None:
        self.closing: tuple[int, str] | None = None
        self.join: Callable[[list[bytes]], list[bytes]] = list
        self._wire = wire
        self._rounds = rounds
        self._bytes_max, self._notices_max = limits.outbox_bytes, limits.outbox_notices
        self._metrics = metrics
        self._opcode = opcode
        self._close_s = close_s
        self._queue: list[bytes | Iterator[bytes]] = []
        self._bytes = 0  # queued as bytes, or on their way
        self._counted = 0  # of these, in the shares
        self._on_its_way = 0
        self._entered = False  # in the next round
        self._shares: tuple[Share, ...] = ()

    @property
    def held(self) -> int:
        """Bytes not yet written."""
        return self._bytes

    def take_part(self, *shares: Share) -> None:
        """Count with others from now on, until ``leave``."""
        self._shares += shares
        for share in shares:
            share.holders.add(self)
            share.bytes += self._counted

    def leave(self) -> None:
        """It is over: count with nobody."""
        for share in self._shares:
            share.bytes -= self._counted
            share.holders.discard(self)
        self._shares = ()

    def overflow(self) -> None:
        """Drop what waits and end with 4008. What is on its way goes in ``close_s``, and counts with others no more."""
        self.leave()
        self._queue.clear()
        self._bytes = self._on_its_way
        if self.closing is None:
            self._metrics.slow_consumers += 1
            self.close(closing.SLOW_CONSUMER, closing.MEANINGS[closing.SLOW_CONSUMER][0])

    # ------------------------------------------------------------ the Carrier: called from anywhere, never waits

    def send(self, data: bytes) -> None:
        """Queue one encoded object. On overflow the connection ends with 4008; after its end this does nothing."""
        if self.closing is not None:
            return
        self._queue.append(data)
        self._bytes += len(data)
        if not self._entered:
            self._enter()
        if self._bytes > self._bytes_max or len(self._queue) > self._notices_max:
            self._check_bounds()

    def send_series(self, objects: Iterable[bytes]) -> None:
        """Queue a long answer as one item: its objects are made as they go out, so it needs no room here.

        What is sent later goes out later. ``objects`` must not raise.
        """
        if self.closing is None:
            self._queue.append(iter(objects))
            if not self._entered:
                self._enter()

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close with ``code``. The first code stays."""
        if self.closing is None:
            self.closing = (code, reason)
            self._wire.hurry(self._close_s)
            self.flush()  # now: a goodbye of the peer that comes next is the answer to ours

    def statistics(self) -> dict[str, int]:
        """What waits: objects, and bytes including those on their way."""
        return {"notices": len(self._queue), "bytes": self._bytes}

    # ------------------------------------------------------------ writing

    def flush(self) -> None:
        """Write what is ready, unless something is on its way still; then the wire calls again when that is out."""
        self._entered = False
        if not self._wire.is_writing:
            try:
                self._flush()
            except Exception as problem:
                report("outbox.failed", problem)
                self._wire.tear()
        if self._bytes != self._counted:
            self._count()

    def _flush(self) -> None:
        self._bytes -= self._on_its_way
        self._on_its_way = 0
        if objects := self._take():
            self._write(objects)
        if self._wire.is_writing:
            return
        if self._queue:  # a long answer: others may go between its parts
            self._enter()
        elif self.closing is not None:
            self._wire.write(close_frame(*self.closing))

    def _write(self, objects: list[bytes]) -> None:
        frames, size = self.join(objects), sum(map(len, objects))
        if len(frames) == 1:
            self._wire.write(whole_frame(self._opcode, frames[0]))
        else:
            self._wire.write(b"".join([part for payload in frames for part in frame(self._opcode, payload)]))
        self._metrics.frames_sent += len(frames)
        if self._wire.is_writing:
            self._on_its_way = size
        else:
            self._bytes -= size

    def _count(self) -> None:
        """Tell the shares what is left."""
        more, self._counted = self._bytes - self._counted, self._bytes
        for share in self._shares:
            share.bytes += more
        for share in self._shares:
            if share.bytes > share.bytes_max:
                share.relieve()

    def _enter(self) -> None:
        self._entered = True
        self._rounds.enter(self)

    def _take(self) -> list[bytes]:
        """All that is ready; of a series the next stretch, and nothing behind it."""
        taken: list[bytes] = []
        for place, first in enumerate(self._queue):
            if isinstance(first, bytes):
                taken.append(first)
            elif stretch := list(islice(first, _STRETCH)):
                self._bytes += sum(map(len, stretch))
                del self._queue[:place]
                return taken + stretch
        self._queue = []
        return taken

    def _check_bounds(self) -> None:
        since = self._wire.writing_since
        stuck = since is not None and trio.current_time() - since > STUCK_S
        if self._bytes > self._bytes_max or stuck:
            self.overflow()

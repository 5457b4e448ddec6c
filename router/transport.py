"""One WebSocket on one stream. trio-websocket lives in this file and nowhere else.

It does the handshake, reads frames and answers pings and closes. It never touches the socket: it gets a stream of
ours, because of what it does when left alone (trio-websocket 0.12, wsproto 1.3):

- it drops bytes that came with the handshake, or before it was accepted: the stream holds them back;
- a header it does not like raises through its nursery: it reads our own short head instead of the peer's;
- frames against the protocol end it without a close frame: closing the stream only marks it, the goodbye is ours;
- it raises in its reader when a ping crosses a close: one nursery a connection, and the peer's faults stay in it;
- it answers pings and takes parts of messages as fast as they come: here they have a pace.

Frames go out past it, through the same Wire: many at a time, encoded once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.events import BytesMessage, Ping, Pong, TextMessage
from wsproto.utilities import ProtocolError

from protocol import closing
from router.metrics import Metrics
from router.pace import Pace
from router.upgrade import Upgrade
from router.wire import Wire

HANDSHAKE_S = 10.0
HEARTBEAT_S = 20.0
UNANSWERED_MAX = 2

_READ_BYTES = 16_384
_ABNORMAL = 1006  # never on the wire: the connection broke
_PEER_FAULTS = (
    ProtocolError, ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError,
)  # fmt: skip


class GoneError(Exception):
    """The peer is gone, or both sides have said goodbye: there is nothing more to do."""


class FaultyError(Exception):
    """The peer sent what is no WebSocket message: end with this close ``code`` and ``reason``."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class WebSocket:
    """One upgraded connection.

    Parameters: ``upgrade``: the checked handshake; ``rest``: bytes that came behind it; ``frame_bytes``: the size
    of a message, at most; ``pace``: how fast it is read; ``heartbeat_s``: seconds between pings, of which two may stay
    unanswered; ``first_s``: seconds to the first ping, so that those who came together do not beat together.
    """

    def __init__(
        self,
        wire: Wire,
        upgrade: Upgrade,
        rest: bytes,
        metrics: Metrics,
        *,
        frame_bytes: int,
        pace: Pace,
        heartbeat_s: float = HEARTBEAT_S,
        first_s: float | None = None,
    ) -> None:
        self._wire = wire
        self._upgrade = upgrade
        self._stream = HeldStream(wire, upgrade.head(), rest, metrics, pace)
        self._frame_bytes = frame_bytes
        self._pace = pace
        self._heartbeat_s = heartbeat_s
        self._first_s = heartbeat_s if first_s is None else first_s
        self.faulty = False  # the peer broke the WebSocket protocol or a limit of it
        self._pings = 0  # sent, ever
        self._unanswered = 0
        self._websocket: _Paced

    async def run(self, read: Callable[[], Awaitable[None]], write: Callable[[], Awaitable[None]]) -> None:
        """Shake hands, then do both until either returns. Whatever the peer does wrong ends here, quietly.

        Afterwards nobody uses the wire: its farewell is the caller's to say.
        """
        try:
            async with trio.open_nursery() as nursery:
                await self._shake_hands(nursery)
                nursery.start_soon(self._beat, nursery)
                nursery.start_soon(_last, write, nursery.cancel_scope)
                await _last(read, nursery.cancel_scope)
        except* _PEER_FAULTS:
            pass

    async def receive(self) -> str | bytes:
        """The next whole message. Raises GoneError or FaultyError when there will be none."""
        try:
            message = await self._websocket.get_message()
        except ConnectionClosed:
            ending = self._ending()
            self.faulty = isinstance(ending, FaultyError)
            raise ending from None
        # trio-websocket counts characters, the limit is in bytes
        if isinstance(message, str) and not message.isascii() and len(message.encode()) > self._frame_bytes:
            self.faulty = True
            raise FaultyError(closing.TOO_BIG, closing.MEANINGS[closing.TOO_BIG][0])
        return message

    def _ending(self) -> GoneError | FaultyError:
        ended = self._websocket.closed
        if ended is None or ended.code == _ABNORMAL or self._wire.finished:
            return GoneError()
        return FaultyError(ended.code, ended.reason or "")

    async def _shake_hands(self, nursery: trio.Nursery) -> None:
        with trio.fail_after(HANDSHAKE_S):
            # what wrap_server_stream does, with our own class
            self._websocket = _Paced(
                self._stream,
                WSConnection(ConnectionType.SERVER),
                message_queue_size=1,  # a longer queue costs 26 % [perf.md], and is not bounded in bytes
                max_message_size=self._frame_bytes,
                receive_buffer_size=_READ_BYTES,
            )
            self._websocket.pace = self._pace
            nursery.start_soon(self._websocket._reader_task)
            request = await self._websocket._get_request()
            await request.accept(subprotocol=self._upgrade.subprotocol)
        self._stream.release()

    # ------------------------------------------------------------ heartbeat

    async def _beat(self, nursery: trio.Nursery) -> None:
        """Ping; reset a peer that left two pings unanswered, or hoards.

        A beat tells nothing while we ourselves do not read because the house is full: the answer may lie unread.
        """
        told, wait_s = False, self._first_s
        while not self._is_hoarding():
            await trio.sleep(wait_s)
            wait_s = self._heartbeat_s
            tells = self._stream.is_waiting or self._wire.is_writing
            if self._unanswered < UNANSWERED_MAX:
                nursery.start_soon(self._ping)
            elif tells and told:
                break
            told = tells
        self._wire.torn = True
        nursery.cancel_scope.cancel()

    async def _ping(self) -> None:
        self._pings += 1
        self._unanswered += 1
        try:
            await self._websocket.ping(b"%d" % self._pings)
        except ConnectionClosed:
            return
        self._unanswered -= 1

    def _is_hoarding(self) -> bool:
        """True if a message has more parts than it may have bytes: empty ones, which no size limit ever ends."""
        return len(self._websocket._message_parts) > self._frame_bytes


class _Paced(WebSocketConnection):
    """The library's connection, with a pace for what it would do as fast as it comes."""

    pace: Pace

    async def _handle_ping_event(self, event: Ping) -> None:
        await self.pace.frame()
        await super()._handle_ping_event(event)

    async def _handle_pong_event(self, event: Pong) -> None:
        await super()._handle_pong_event(event)
        await self.pace.frame()

    async def _handle_message_event(self, event: TextMessage | BytesMessage) -> None:
        await super()._handle_message_event(event)
        if not event.message_finished:
            await self.pace.frame()


class HeldStream(trio.abc.Stream):
    """What trio-websocket takes for the socket: our head first, after ``release`` what the peer sends.

    Speed work has its place here: a non-blocking receive first saves a turn of the loop.
    """

    def __init__(self, wire: Wire, head: bytes, rest: bytes, metrics: Metrics, pace: Pace) -> None:
        self.is_waiting = False
        self._pace = pace
        self._wire = wire
        self._head = head
        self._rest = rest
        self._metrics = metrics
        self._released = trio.Event()
        self._closed = False

    def release(self) -> None:
        """The handshake is done: what follows is frames."""
        self._released.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The head, then what came behind it, then the socket."""
        if self._head:
            head, self._head = self._head, b""
            return head
        if not self._released.is_set():
            await self._released.wait()
        if self._closed:
            raise trio.ClosedResourceError
        if self._rest:
            data, self._rest = self._rest[:max_bytes], self._rest[max_bytes:]
        else:
            self.is_waiting = True
            data = bytes(await self._wire.stream.receive_some(max_bytes))
            self.is_waiting = False
        self._metrics.bytes_received += len(data)
        await self._pace.bytes(len(data))
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Through the wire, among the frames that go past the library."""
        await self._wire.write(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        """Nobody asks; a stream must have it."""
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        """Mark it; the socket stays open for the farewell."""
        self._closed = True
        await trio.lowlevel.checkpoint()


async def _last(job: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
    await job()
    scope.cancel()

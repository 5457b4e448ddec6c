"""One WebSocket on one stream, read by the task of its connection. ``websockets`` lives in this file and nowhere else.

The library's protocol without I/O reads the frames, answers pings and the peer's close, and says what is against
RFC 6455. What it leaves to its user is done here: parts are put together, text is decoded, pings of ours are counted.
What it would do as fast as it comes has a pace here.

Bytes are handed to it a stretch at a time: a peer whose frames are tiny would otherwise hold everybody up for as long
as it takes to read thousands of them. Frames go out past it, through the Wire: many at a time, encoded once.
"""

from __future__ import annotations

import logging

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER
from websockets.protocol import Protocol as Frames

from protocol import closing
from router.metrics import Metrics
from router.pace import Pace
from router.wire import CLOSE, Wire, frame

HEARTBEAT_S = 20.0
UNANSWERED_MAX = 2
PING = 0x89

_READ_BYTES = 16_384
_STRETCH_BYTES = 2_048
_NO_CODE = 1005  # never on the wire
_FAULTS = (ProtocolError, PayloadTooBig, UnicodeDecodeError)
_SILENT = logging.getLogger("signalbox.websocket")  # what a peer did wrong is in the metrics
_SILENT.setLevel(logging.CRITICAL + 1)


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

    Parameters: ``rest``: bytes that came behind the handshake; ``frame_bytes``: the size of a message, at most;
    ``pace``: how fast it is read.
    """

    __slots__ = ("_answered", "_ending", "_frames", "_kind", "_metrics", "_pace", "_parts", "_pings", "_protocol",
                 "_told", "_unread", "_wire", "faulty", "is_waiting")  # fmt: skip

    def __init__(self, wire: Wire, metrics: Metrics, rest: bytes = b"", *, frame_bytes: int, pace: Pace) -> None:
        self.faulty = False  # the peer broke the WebSocket protocol or a limit of it
        self.is_waiting = False  # for the peer
        self._wire = wire
        self._metrics = metrics
        self._pace = pace
        self._protocol = Frames(SERVER, max_size=frame_bytes, logger=_SILENT)
        self._unread = rest
        self._frames: list[Frame] = []  # the next is the last
        self._kind: Opcode | None = None  # of the message whose parts are coming
        self._parts: list[bytes] = []
        self._ending: GoneError | FaultyError | None = None  # behind the frames
        self._pings = 0  # sent, ever
        self._answered = 0  # of these
        self._told = False

    async def receive(self) -> str | bytes:
        """The next whole message. Raises GoneError or FaultyError when there will be none."""
        while True:
            while self._frames:
                message = self._take(self._frames.pop())
                if message is not None:
                    return message
            if self._ending is not None:
                self.faulty = isinstance(self._ending, FaultyError)
                raise self._ending
            await self._read()

    def _take(self, part: Frame) -> str | bytes | None:
        """The message that is whole with this frame."""
        if part.opcode is Opcode.PONG:
            self._pong(part.data)
        elif part.opcode in _MESSAGES:
            if part.fin and self._kind is None:
                return self._whole(part.opcode, part.data)
            return self._join(part)
        return None

    def _join(self, part: Frame) -> str | bytes | None:
        kind = self._kind = self._kind or part.opcode
        if part.data:  # endless empty parts, which no limit of bytes ever ends, are not hoarded
            self._parts.append(bytes(part.data))
        if not part.fin:
            return None
        parts, self._parts, self._kind = self._parts, [], None
        return self._whole(kind, b"".join(parts))

    def _whole(self, opcode: Opcode, data: bytes | bytearray | memoryview) -> str | bytes | None:
        if opcode is Opcode.BINARY:
            return bytes(data)
        try:
            return str(data, "utf-8")
        except UnicodeDecodeError:
            self._frames.clear()
            self._ending = FaultyError(1007, "text that is not UTF-8")
            return None

    # ------------------------------------------------------------ reading

    async def _read(self) -> None:
        """Some more frames, at their pace."""
        if not self._unread:
            self.is_waiting = True
            self._unread = await self._wire.read(_READ_BYTES)
            self.is_waiting = False
            if not self._unread:
                self._ending = GoneError()
                return
        stretch, self._unread = self._unread[:_STRETCH_BYTES], self._unread[_STRETCH_BYTES:]
        self._metrics.bytes_received += len(stretch)
        protocol = self._protocol
        protocol.receive_data(stretch)
        self._frames.extend(reversed(protocol.events_received()))  # type: ignore[arg-type] # no handshake comes here
        answers = [data for data in protocol.data_to_send() if data]
        goodbye = answers.pop() if protocol.state is not OPEN else b""
        await self._pace.bytes(len(stretch))
        if extra := sum(not part.fin or part.opcode not in _MESSAGES for part in self._frames):
            await self._pace.frame(extra)
        if answers:
            self._wire.pong(b"".join(answers))
        if goodbye:
            self._end(goodbye)

    def _end(self, goodbye: bytes) -> None:
        """The peer said goodbye and gets it back, or did what it must not: then the goodbye is somebody else's.

        Nothing is read after that, or a peer could fill our memory.
        """
        fault, sent, received = self._protocol.parser_exc, self._protocol.close_sent, self._protocol.close_rcvd
        self._unread = b""
        if received is not None:
            if fault is not None:  # in the middle of a message, which the library takes for one
                goodbye = b"".join(frame(CLOSE, b"" if received.code == _NO_CODE else received.serialize()))
            self._ending = GoneError()
            self._wire.write(goodbye)
        elif isinstance(fault, _FAULTS) and sent is not None:
            self._ending = FaultyError(sent.code, closing.MEANINGS.get(sent.code, (sent.reason, ""))[0])
        elif fault is not None:
            raise fault

    # ------------------------------------------------------------ heartbeat

    def beat(self) -> None:
        """Ping; tear off a peer that left two pings unanswered.

        A beat tells nothing while we ourselves do not read because the house is full: the answer may lie unread.
        """
        told, self._told = self._told, self.is_waiting or self._wire.is_writing
        if self._pings - self._answered < UNANSWERED_MAX:
            self._pings += 1
            if not self._wire.is_writing:
                self._wire.write(b"".join(frame(PING, b"%d" % self._pings)))
        elif told and self._told:
            self._wire.tear()

    def _pong(self, data: bytes | bytearray | memoryview) -> None:
        """The answer to a ping answers those before it."""
        text = bytes(data)
        if text.isdigit() and self._answered < int(text) <= self._pings:
            self._answered = int(text)


_MESSAGES = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)

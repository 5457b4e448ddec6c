"""``--debug-echo``: a WebSocket at /debug/echo that says back what it hears, for conformance tests of the transport.

It has no session, no token and wide limits, so the command refuses it on any address but loopback.
"""

from __future__ import annotations

import trio

from protocol.session import Limits
from router.bell import Bell
from router.metrics import Metrics
from router.pace import Pace
from router.transport import FaultyError, GoneError, WebSocket
from router.upgrade import Upgrade
from router.wire import BINARY, TEXT, Wire, close_frame, frame

ECHO_PATH = "/debug/echo"
ECHO_BYTES_MAX = 33_554_432
_FAST = 10**9
_WIDE = Limits(requests_per_s=_FAST, requests_burst=_FAST, bytes_per_s=_FAST)


async def echo(
    stream: trio.abc.HalfCloseableStream, upgrade: Upgrade, rest: bytes, metrics: Metrics, close_s: float
) -> None:
    """Serve one connection to its end, however long it is quiet."""
    wire, bell = Wire(stream, metrics), Bell()
    socket = WebSocket(wire, metrics, rest, frame_bytes=ECHO_BYTES_MAX, pace=Pace(_WIDE))
    try:
        async with trio.open_nursery() as nursery:
            wire.start(nursery.start_soon, bell.ring, nursery.cancel_scope.cancel)
            wire.write(upgrade.answer())
            await _answer(socket, wire, bell)
            wire.hurry(close_s)
            await bell.until(lambda: not wire.is_writing)
            nursery.cancel_scope.cancel()
    finally:
        await wire.farewell(close_s)


async def _answer(socket: WebSocket, wire: Wire, bell: Bell) -> None:
    try:
        while True:
            message = await socket.receive()
            opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
            wire.write(b"".join(frame(opcode, payload)))
            await bell.until(lambda: not wire.is_writing)
    except GoneError:
        return
    except FaultyError as fault:
        wire.write(close_frame(fault.code, fault.reason))

"""``--debug-echo``: a WebSocket at /debug/echo that says back what it hears, for conformance tests of the transport.

It has no session, no token and wide limits, so the command refuses it on any address but loopback.
"""

from __future__ import annotations

from functools import partial

import trio

from protocol.session import Limits
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
    wire = Wire(stream, metrics)
    socket = WebSocket(wire, upgrade, rest, metrics, frame_bytes=ECHO_BYTES_MAX, pace=Pace(_WIDE), heartbeat_s=3_600.0)
    try:
        await socket.run(partial(_answer, socket, wire), trio.sleep_forever)
    finally:
        await wire.farewell(close_s)


async def _answer(socket: WebSocket, wire: Wire) -> None:
    try:
        while True:
            message = await socket.receive()
            opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, bytes(message))
            await wire.write(b"".join(frame(opcode, payload)))
    except GoneError:
        return
    except FaultyError as fault:
        await wire.write(close_frame(fault.code, fault.reason))

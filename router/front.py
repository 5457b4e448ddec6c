"""One accepted connection from its first byte to its last: a head, then a page or a session.

    head ── refused ──────────────► an error page
         ── no upgrade ───────────► a page
         ── upgrade ──► WebSocket ─► Connection.receive, a message at a time
                                  ◄─ Outbox ◄─ Connection

Whatever goes wrong here concerns this connection only. What is left over is for the listener's guard.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from protocol import closing
from protocol.codec import CODECS
from router.connection import Connection, Desk
from router.head import HEAD_S, Head, RefusedError, read_head
from router.incident import report
from router.metrics import Metrics
from router.outbox import CLOSE_S, Outbox
from router.pages import Pages, refusal, send_page
from router.transport import HEARTBEAT_S, FaultyError, GoneError, WebSocket
from router.upgrade import Upgrade, check_upgrade, wants_upgrade
from router.wire import BINARY, TEXT, Wire

ENDING_S = 30.0  # for the last answer to come out of the house, after the session has ended


async def _no_bound() -> None:
    """A house that always has room."""


class Front:
    """What happens to each connection. One instance serves them all.

    Parameters: ``room`` waits until the house takes more input; ``origins``: patterns of allowed Origins, none = all;
    ``head_s``, ``heartbeat_s``, ``close_s``: seconds for a head, between pings, for a polite end.
    """

    def __init__(
        self,
        desk: Desk,
        pages: Pages,
        metrics: Metrics,
        *,
        room: Callable[[], Awaitable[None]] = _no_bound,
        origins: Sequence[str] = (),
        head_s: float = HEAD_S,
        heartbeat_s: float = HEARTBEAT_S,
        close_s: float = CLOSE_S,
    ) -> None:
        self.draining = False  # set it before a shutdown: no new session then, but pages
        self._desk = desk
        self._pages = pages
        self._metrics = metrics
        self._room = room
        self._origins = tuple(origins)
        self._head_s = head_s
        self._heartbeat_s = heartbeat_s
        self._close_s = close_s

    async def handle(self, stream: trio.abc.HalfCloseableStream, full: bool = False) -> None:
        """Serve one connection to its end. ``full``: there is no place for one more session, but pages are answered."""
        try:
            head = await read_head(stream, limit_s=self._head_s)
            if head is None:
                return
            upgrade = self._admit(head, full) if wants_upgrade(head) else None
            authorization = head.one("authorization")
        except RefusedError as refused:
            self._metrics.refused(refused.why)
            await send_page(stream, refusal(refused.why))
            return
        if upgrade is None:
            await send_page(stream, self._pages.answer(head), with_body=head.method != "HEAD")
        else:
            await self._converse(stream, upgrade, head.rest, authorization)

    def _admit(self, head: Head, full: bool) -> Upgrade:
        upgrade = check_upgrade(head, self._origins)
        if self.draining or full:
            raise RefusedError("draining" if self.draining else "full")
        return upgrade

    async def _converse(
        self, stream: trio.abc.HalfCloseableStream, upgrade: Upgrade, rest: bytes, authorization: str | None
    ) -> None:
        limits, metrics = self._desk.limits, self._metrics
        wire = Wire(stream, metrics)
        outbox = Outbox(limits, metrics, opcode=TEXT if upgrade.format == "json" else BINARY, close_s=self._close_s)
        socket = WebSocket(wire, upgrade, rest, metrics, frame_bytes=limits.frame_bytes, heartbeat_s=self._heartbeat_s)
        connection = Connection(self._desk, outbox, CODECS[upgrade.format], authorization)
        outbox.join = connection.session.frames
        try:
            await socket.run(partial(self._read, socket, connection, outbox), partial(outbox.write_to, wire))
        finally:
            try:
                connection.lost()
            finally:
                await wire.farewell(self._close_s)

    async def _read(self, socket: WebSocket, connection: Connection, outbox: Outbox) -> None:
        """Hand in what the peer sends. Returns only if it is gone: any other end is the writer's to make."""
        try:
            await self._read_all(socket, connection, outbox)
        except GoneError:
            return
        except FaultyError as fault:
            outbox.close(fault.code, fault.reason)
        except Exception as problem:
            incident = report("connection.failed", problem, connection=connection.number)
            outbox.close(closing.INTERNAL, f"internal error, incident {incident}")
        await trio.sleep(ENDING_S)
        code = connection.session.closing or closing.DONE
        outbox.close(code, closing.MEANINGS[code][0])
        await trio.sleep_forever()

    async def _read_all(self, socket: WebSocket, connection: Connection, outbox: Outbox) -> None:
        session = connection.session
        while session.state != "closed":
            message = await socket.receive()
            if outbox.closing is not None:  # it ended while we waited
                return
            self._metrics.frames_received += 1
            connection.receive(message)
            await self._room()

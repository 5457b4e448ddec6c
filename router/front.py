"""One accepted connection from its first byte to its last: a head, then a page or a session.

    (TLS) ─ fails ────────────────► nothing
    head ── refused ──────────────► an error page
         ── no upgrade ───────────► a page
         ── upgrade ──► WebSocket ─► Connection.receive, a message at a time
                                  ◄─ Outbox ◄─ Connection

Whatever goes wrong here concerns this connection only. What is left over is for the listener's guard.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence

import trio

from protocol import closing
from protocol.codec import CODECS
from protocol.session import TRUSTED
from router.addresses import FLOOD_FAULTS, Addresses, Visit
from router.connection import Connection, Desk
from router.echo import ECHO_PATH, echo
from router.files.http import Files
from router.head import HEAD_S, Head, RefusedError, read_head
from router.heart import Heart
from router.incident import report
from router.metrics import Metrics
from router.outbox import CLOSE_S, Outbox
from router.pace import Pace
from router.pages import Pages, refusal, send_page
from router.rounds import Rounds
from router.share import Shares
from router.tls import Tls
from router.transport import HEARTBEAT_S, FaultyError, GoneError, WebSocket
from router.upgrade import PATH, Upgrade, check_upgrade, wants_upgrade
from router.wire import BINARY, TEXT, Wire

OPEN_S = 10.0
#: refusals that no honest client provokes, by their key in REFUSALS
FAULTS = ("malformed", "not_ascii", "slow", "too_big")
ENDING_S = 30.0  # for the last answer to come out of the house, after the session has ended


async def _no_bound() -> None:
    """A house that always has room."""


class Front:
    """What happens to each connection. One instance serves them all.

    Parameters: ``room`` waits until the house takes more input; ``origins``: patterns of allowed Origins, none = all;
    ``addresses``: what each remote address may; ``tls``: None = plain; ``head_s``, ``open_s``, ``heartbeat_s``,
    ``close_s``: seconds for a head (and TLS), for a session to be opened, between pings, for a polite end;
    ``jitter``: of the first beat, so much of it at most is left out, by chance; ``debug_echo``: ``router.echo`` too;
    ``files``: uploads and downloads.
    """

    def __init__(
        self,
        desk: Desk,
        pages: Pages,
        metrics: Metrics,
        *,
        room: Callable[[], Awaitable[None]] = _no_bound,
        origins: Sequence[str] = (),
        addresses: Addresses | None = None,
        tls: Tls | None = None,
        head_s: float = HEAD_S,
        open_s: float = OPEN_S,
        heartbeat_s: float = HEARTBEAT_S,
        close_s: float = CLOSE_S,
        jitter: float = 0.0,
        debug_echo: bool = False,
        files: Files | None = None,
    ) -> None:
        self.draining = False  # before the house is ready and before a shutdown: no new session then, but pages
        self._desk = desk
        self._pages = pages
        self._metrics = metrics
        self._room = room
        self._origins = tuple(origins)
        self._addresses = addresses or Addresses(desk.limits)
        self._tls = tls
        self._head_s = head_s
        self._open_s = open_s
        self._heartbeat_s = heartbeat_s
        self._close_s = close_s
        self._jitter = jitter
        self._echo_path = ECHO_PATH if debug_echo else None
        self._files = files
        self._rounds = Rounds()
        self._shares = Shares(desk.limits.principal_outbox_bytes)
        self._heart = Heart(heartbeat_s)

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """What all connections share, forever: to be run beside ``handle``."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._rounds.run)
            nursery.start_soon(self._heart.run)
            task_status.started()

    def statistics(self) -> dict[str, int]:
        """How many connections beat, how many principals have a share, and the bytes that wait for them."""
        return {**self._heart.statistics(), **self._shares.statistics()}

    def turns_away(self, stream: trio.SocketStream) -> bool:
        """Whether a connection is not even answered, because of where it comes from."""
        return self._addresses.turns_away(stream)

    async def handle(self, stream: trio.abc.HalfCloseableStream, full: bool = False) -> None:
        """Serve one connection to its end. ``full``: there is no place for one more session, but pages are answered."""
        with self._addresses.visit(stream) as visit:
            if self._tls is None or not isinstance(stream, trio.SocketStream):
                await self._serve(stream, visit, full)
            elif (secured := await self._tls.secured(stream, self._head_s)) is not None:
                await self._serve(secured, visit, full)
            else:
                visit.fault()
                self._metrics.refused("tls")

    async def _serve(self, stream: trio.abc.HalfCloseableStream, visit: Visit, full: bool) -> None:
        try:
            head = await read_head(stream, limit_s=self._head_s)
            if head is None:
                return
            visit.forwarded(head.words("x-forwarded-for"))
            upgrade = self._admit(head, visit, full) if wants_upgrade(head) else None
            about_files = upgrade is None and self._files is not None and self._files.serves(head)
            if about_files:
                visit.check()
            elif head.method not in ("GET", "HEAD"):
                raise RefusedError("method")
            authorization = head.one("authorization")
        except RefusedError as refused:
            if refused.why in FAULTS:
                visit.fault()
            self._metrics.refused(refused.why)
            await send_page(stream, refusal(refused.why))
            return
        if about_files and self._files is not None:
            await self._files.answer(stream, head)
        elif upgrade is None:
            await send_page(stream, self._pages.answer(head), with_body=head.method != "HEAD")
        elif head.path == self._echo_path:
            await echo(stream, upgrade, head.rest, self._metrics, self._close_s)
        else:
            await self._converse(stream, visit, upgrade, head.rest, authorization)

    def _admit(self, head: Head, visit: Visit, full: bool) -> Upgrade:
        path = head.path if head.path == self._echo_path else PATH
        upgrade = check_upgrade(head, self._origins, path)
        if self.draining or full:
            raise RefusedError("draining" if self.draining else "full")
        visit.check()
        return upgrade

    async def _converse(
        self,
        stream: trio.abc.HalfCloseableStream,
        visit: Visit,
        upgrade: Upgrade,
        rest: bytes,
        authorization: str | None,
    ) -> None:
        limits, metrics, pace = self._desk.limits, self._metrics, Pace(self._desk.limits, visit.pace)
        opcode = TEXT if upgrade.format == "json" else BINARY
        wire = Wire(stream, metrics)
        outbox = Outbox(wire, self._rounds, limits, metrics, opcode=opcode, close_s=self._close_s)
        socket = WebSocket(wire, metrics, rest, frame_bytes=limits.frame_bytes, pace=pace)
        connection = Connection(self._desk, outbox, CODECS[upgrade.format], authorization, visit.requests)
        outbox.join = connection.session.frames
        heartbeat = self._heart.start(socket, self._heartbeat_s * (1 - self._jitter * random.random()))
        try:
            async with trio.open_nursery() as nursery:
                wire.start(nursery.start_soon, outbox.flush, nursery.cancel_scope.cancel)
                wire.write(upgrade.answer())
                await self._read(socket, connection, outbox, pace, visit)
                nursery.cancel_scope.cancel()
        finally:
            self._heart.stop(heartbeat)
            outbox.leave()
            if connection.principal is not None:
                self._shares.sweep(connection.principal.address)
            visit.fault(_faults(connection, socket))
            try:
                connection.lost()
            finally:
                await wire.farewell(self._close_s)

    async def _read(self, socket: WebSocket, connection: Connection, outbox: Outbox, pace: Pace, visit: Visit) -> None:
        """Hand in what the peer sends. Returns only if it is gone: any other end is the writer's to make."""
        try:
            await self._read_first(socket, connection, outbox, pace)
            if (principal := connection.principal) is not None:
                pace.trust(principal.role)
                if principal.role not in TRUSTED:
                    outbox.take_part(self._shares.of(principal.address), *visit.outgoing)
            await self._read_all(socket, connection, outbox, pace)
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

    async def _read_first(self, socket: WebSocket, connection: Connection, outbox: Outbox, pace: Pace) -> None:
        """Up to the message that opens the session, for which there is so much time and no more."""
        with trio.move_on_after(self._open_s) as patience:
            while connection.session.state == "new":
                count = await self._read_one(socket, connection, outbox)
                if connection.session.state == "new":  # whoever opens it in time is not cut off while it pays
                    await pace.frame(count)
        if patience.cancelled_caught:
            connection.session.close(closing.UNAUTHENTICATED)
            outbox.close(closing.UNAUTHENTICATED, f"no session was opened within {self._open_s:g} s")

    async def _read_all(self, socket: WebSocket, connection: Connection, outbox: Outbox, pace: Pace) -> None:
        await self._room()
        while connection.session.state != "closed" and outbox.closing is None:
            await pace.frame(await self._read_one(socket, connection, outbox))
            await self._room()

    async def _read_one(self, socket: WebSocket, connection: Connection, outbox: Outbox) -> int:
        """Hand in one message; how many requests were in it."""
        message = await socket.receive()
        if outbox.closing is not None:  # it ended while we waited
            return 0
        self._metrics.frames_received += 1
        return connection.receive(message)


def _faults(connection: Connection, socket: WebSocket) -> int:
    """How much of what a connection did counts against its address."""
    ended = connection.session.closing
    if ended == closing.FLOODING:
        return FLOOD_FAULTS
    return max(connection.failed_tokens, int(socket.faulty or ended == closing.UNAUTHENTICATED))

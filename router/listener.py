"""Accepting connections: a guard around each, a bound on all, and an end in three steps.

trio's own server lets one handler's exception end every connection; here it is logged under
an incident's id and ends its own. To stop: ``stop()`` closes the ports, then whoever knows the sessions tells them,
then ``drain()`` waits for the last to go and aborts those that do not.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Awaitable, Callable, Sequence

import structlog
import trio

from router.incident import report
from router.metrics import Metrics

CONNECTIONS_MAX = 10_000
SPARE_MAX = 64  # connections beyond, that still get health, metrics and a 503
ACCEPT_PAUSE_S = 0.1
RUSH_PAUSE_S = 0.001  # some 900 a second at most; longer, and newcomers from elsewhere wait behind them
STRETCH_S = 60.0  # after so long without a failure the next one is told again
_BACKLOG = 1_024
_ATTEMPTS = 5
_NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

Handle = Callable[[trio.SocketStream, bool], Awaitable[None]]


def _nobody(stream: trio.SocketStream) -> bool:
    return False


class Listener:
    """One set of listening sockets and their connections.

    ``handle`` gets a stream and whether the house is full: beyond ``connections_max`` it answers but starts no session.
    Those whom ``turns_away`` names are closed at once, and the next is accepted a little later: who is here already
    goes before who comes too fast.
    """

    def __init__(
        self,
        handle: Handle,
        metrics: Metrics,
        *,
        connections_max: int = CONNECTIONS_MAX,
        turns_away: Callable[[trio.SocketStream], bool] = _nobody,
    ) -> None:
        self._handle = handle
        self._turns_away = turns_away
        self._metrics = metrics
        self._connections_max = connections_max
        self._open = 0
        self._accepting = trio.CancelScope()
        self._serving = trio.CancelScope()
        self._gone = trio.Event()
        self._gone.set()

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Accept until ``stop()``; return when the last connection is gone. To be run once. Closes ``listeners``."""
        self._gone = trio.Event()
        try:
            with self._serving:
                async with trio.open_nursery() as connections:
                    await self._accept_all(listeners, connections, task_status)
        finally:
            self._gone.set()

    def stop(self) -> None:
        """Close the ports. Connections live on."""
        self._accepting.cancel()

    async def drain(self, limit_s: float) -> None:
        """Stop, wait until all connections have ended, after ``limit_s`` seconds abort the rest."""
        self.stop()
        with trio.move_on_after(limit_s):
            await self._gone.wait()
        self._serving.cancel()
        await self._gone.wait()

    def statistics(self) -> dict[str, int]:
        """How many connections there are, and may be."""
        return {"open": self._open, "max": self._connections_max}

    async def _accept_all(
        self,
        listeners: Sequence[trio.SocketListener],
        connections: trio.Nursery,
        task_status: trio.TaskStatus[None],
    ) -> None:
        try:
            with self._accepting:
                async with trio.open_nursery() as loops:
                    for listener in listeners:
                        loops.start_soon(self._accept, listener, connections)
                    task_status.started()
        finally:
            for listener in listeners:
                await trio.aclose_forcefully(listener)

    async def _accept(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        failed_at = -math.inf
        while True:
            try:
                stream = await listener.accept()
            except OSError as problem:
                # out of descriptors or memory (a peer that left meanwhile is no error to trio): others may go first
                if (
                    trio.current_time() - failed_at > STRETCH_S
                ):  # each that ends lets one more in, and then it fails again
                    structlog.get_logger().warning("listener.cannot_accept", errno=problem.errno)
                failed_at = trio.current_time()
                await trio.sleep(ACCEPT_PAUSE_S)
                continue
            self._metrics.connections_accepted += 1
            if self._turns_away(stream):
                self._metrics.refused("overload")
                stream.socket.close()
                await trio.sleep(RUSH_PAUSE_S)
            elif self._open < self._connections_max + SPARE_MAX:
                self._open += 1
                connections.start_soon(self._guard, stream, self._open > self._connections_max)
            else:
                self._metrics.refused("overload")
                await trio.aclose_forcefully(stream)

    async def _guard(self, stream: trio.SocketStream, full: bool) -> None:
        """Nothing that goes wrong in one connection gets past here."""
        self._metrics.connections_open += 1
        try:
            await self._handle(stream, full)
        except* Exception as problem:
            report("listener.connection_failed", problem)
        finally:
            self._open -= 1
            self._metrics.connections_open -= 1
            await trio.aclose_forcefully(stream)


async def open_listeners(hosts: Sequence[str], port: int) -> list[trio.SocketListener]:
    """Listen on the addresses of ``hosts``. Port 0: any free one, the same on all. Raises OSError."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return await _open(hosts, port)
        except OSError:
            # the port that was free on the first address need not be on the second
            if port:
                raise
    return await _open(hosts, port)


def port_of(listeners: Sequence[trio.SocketListener]) -> int:
    """The port they listen on."""
    return int(listeners[0].socket.getsockname()[1])


async def _open(hosts: Sequence[str], port: int) -> list[trio.SocketListener]:
    listeners: list[trio.SocketListener] = []
    try:
        for host in hosts:
            listeners += await _open_host(host, port)
            port = port_of(listeners)
    except BaseException:
        _close(listeners)
        raise
    return listeners


async def _open_host(host: str, port: int) -> list[trio.SocketListener]:
    """Listen on a host's addresses; one that this machine lacks (IPv6 of localhost) is left out if another is there."""
    listeners: list[trio.SocketListener] = []
    missing: OSError | None = None
    for address in await _addresses(host):
        try:
            listeners += await trio.open_tcp_listeners(port, host=address, backlog=_BACKLOG)
            port = port_of(listeners)
        except OSError as problem:
            if problem.errno not in _NO_SUCH_ADDRESS:
                _close(listeners)
                raise
            missing = problem
    if missing is not None and not listeners:
        raise missing
    return listeners


async def _addresses(host: str) -> list[str]:
    found = await trio.socket.getaddrinfo(host, None, type=trio.socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _close(listeners: Sequence[trio.SocketListener]) -> None:
    for listener in listeners:
        listener.socket.close()

"""The same house behind trio-websocket as it comes: what the frame path is measured against.

Driver, core, store, codec and the collector's settings are the server's own; only the transport is not. Each connection
has one task that calls ``get_message`` and one that calls ``send_message`` for each object, as any program with
trio-websocket would. There are no limits, heartbeats or pages. Started by ``bench.house`` as ``python -m bench.stock``.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from bench.house import SECRET
from protocol.codec import JSON
from router import config as configuration
from router import garbage
from router.auth import Gate
from router.clock import Clock
from router.connection import Connection
from router.driver import Driver
from storage.urls import open_store


class StockCarrier:
    """The way out of a session: a queue, and a task that sends one message after the other."""

    def __init__(self) -> None:
        self._queue: deque[bytes] = deque()
        self._ready = trio.Event()
        self._code: int | None = None

    def send(self, data: bytes) -> None:
        """Queue one object."""
        self._queue.append(data)
        self._ready.set()

    def send_series(self, series: Iterable[bytes]) -> None:
        """Queue many."""
        for data in series:
            self.send(data)

    def close(self, code: int, reason: str) -> None:
        """Close behind what is queued."""
        self._code = code
        self._ready.set()

    async def write_to(self, socket: WebSocketConnection) -> None:
        """``send_message`` for each object, until the end."""
        while self._code is None or self._queue:
            await self._ready.wait()
            self._ready = trio.Event()
            while self._queue:
                await socket.send_message(self._queue.popleft().decode())
        await socket.aclose(self._code)


async def converse(driver: Driver, request: WebSocketRequest) -> None:
    """One connection from its handshake to its end."""
    socket = await request.accept()
    carrier = StockCarrier()
    connection = Connection(driver, carrier, JSON)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(carrier.write_to, socket)
            while True:
                await driver.room()
                connection.receive(await socket.get_message())
    except* ConnectionClosed:
        pass
    finally:
        connection.lost()


async def serve(config: configuration.Config) -> None:
    """Serve until the process is ended."""
    driver = Driver(config.workspace, open_store(config.store.url), Gate(secret=SECRET.encode()),
                    config.limits, Clock())  # fmt: skip
    with garbage.loading():
        await driver.start()
    async with trio.open_nursery() as nursery:
        await nursery.start(driver.run)
        await driver.settled()
        handler = partial(converse, driver)
        server = await nursery.start(partial(serve_websocket, handler, config.server.host, config.server.port, None))
        print(f"stock ready on ws://{config.server.host}:{server.port}/v1", flush=True)


def arguments() -> argparse.ArgumentParser:
    """What ``bench.house`` gives every server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--store", required=True)
    return parser


def main() -> None:
    """Serve, until it is ended."""
    given = arguments().parse_args()
    trio.run(serve, configuration.load(given.config, {}, {"port": given.port, "store": given.store}))


if __name__ == "__main__":
    main()

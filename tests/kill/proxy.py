"""A network between the clients and the server that does everything networks do, by the dice of a seed.

Each connection goes well for a while, then may be slow (``delay``), come in drops (``trickle``), end in the middle of a
frame (``cut``), be reset (``reset``), or go silent while both sides think they are connected (``half_open``).
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from contextlib import suppress

CHUNK = 1 << 16
SILENT_S = 1.5  # then even a half-open link ends
#: what happens to a piece of data on its way, and how often in a thousand
FAULTS = {"delay": 20, "trickle": 8, "cut": 2, "reset": 2, "half_open": 1}


class FaultProxy:
    """Listens on one port for as long as it lives; ``target`` is where the server is now. ``calm``: no more faults."""

    def __init__(self, rng: random.Random) -> None:
        self.target: tuple[str, int] | None = None
        self.calm = False
        self.faults: Counter[str] = Counter()
        self._rng = rng
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> str:
        """The URL to connect to."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.target is None:
            return
        try:
            there, back = await asyncio.open_connection(*self.target)
        except OSError:
            return
        link = _Link(self, (writer, back))
        ways = [asyncio.create_task(link.pass_on(reader, back)), asyncio.create_task(link.pass_on(there, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            back.transport.abort()

    def fault(self) -> str | None:
        """What happens to the next piece of data."""
        if self.calm:
            return None
        roll = self._rng.randrange(1000)
        for name, share in FAULTS.items():
            if roll < share:
                self.faults[name] += 1
                return name
            roll -= share
        return None

    def part(self, length: int) -> int:
        """How much of a piece goes through before a cut."""
        return self._rng.randrange(length)


class _Link:
    """One connection, in both directions."""

    def __init__(self, proxy: FaultProxy, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self._proxy = proxy
        self._writers = writers
        self._is_silent = False

    async def pass_on(self, source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        """One direction, until either side ends or a fault ends both."""
        with suppress(OSError):
            while data := await source.read(CHUNK):
                if self._is_silent:
                    continue
                match self._proxy.fault():
                    case "delay":
                        await asyncio.sleep(0.1)
                    case "trickle":
                        data = await self._trickle(data, to)
                    case "cut":
                        to.write(data[: self._proxy.part(len(data))])
                        await to.drain()
                        return
                    case "reset":
                        self._reset()
                        return
                    case "half_open":
                        self._is_silent = True
                        await asyncio.sleep(SILENT_S)
                        return
                to.write(data)
                await to.drain()

    async def _trickle(self, data: bytes, to: asyncio.StreamWriter) -> bytes:
        """The first bytes one by one; gives the rest."""
        for place in range(min(20, len(data))):
            to.write(data[place : place + 1])
            await to.drain()
            await asyncio.sleep(0.002)
        return data[20:]

    def _reset(self) -> None:
        for writer in self._writers:
            found: socket.socket = writer.get_extra_info("socket")
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

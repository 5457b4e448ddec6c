"""A small house behind a real port, and clients that can misbehave: shared by the tests of the network floor."""

from __future__ import annotations

import os
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio
from trio.testing import memory_stream_pair

from actors.effects import Asked, Opened, Reply, Welcome
from protocol.errors import refused
from protocol.ids import Principal
from protocol.session import Limits
from router.connection import Connection
from router.front import Front
from router.listener import Listener, open_listeners, port_of
from router.metrics import Metrics
from router.pages import Pages

OPEN = b'{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":"ana"}}'
ASK = b'{"jsonrpc":"2.0","id":2,"method":"agent.list"}'
NOTE = b'{"jsonrpc":"2.0","method":"test.note","params":{}}'


class FakeDesk:
    """Answers each request at once with the name of its method; ``crash_at`` is a method that fails."""

    def __init__(self, limits: Limits) -> None:
        self.workspace = "main"
        self.limits = limits
        self.heartbeat_s = 20
        self.connections: dict[int, Connection] = {}
        self.parted: list[int] = []
        self.crash_at: str | None = None
        self.asked = 0

    def now(self) -> int:
        return 0

    def verify(self, token: str) -> tuple[Principal, int | None]:
        if token == "bad":
            raise refused("unauthenticated")
        return Principal("agent", token), None

    def secret(self) -> str:
        return "a secret"

    def submit(self, item: Any) -> None:
        if isinstance(item, Asked):
            self.asked += 1
            if item.call.method == self.crash_at:
                raise RuntimeError("secret words of a customer")
        # as in the real house, answers come after the frame was taken in
        trio.lowlevel.current_trio_token().run_sync_soon(self._answer, item)

    def _answer(self, item: Any) -> None:
        connection = self.connections.get(item.session)
        if connection is not None and isinstance(item, Opened):
            connection.welcome(Welcome(item.session, item.id, 0), lambda *_: None)
        elif connection is not None and isinstance(item, Asked):
            method = item.call.method
            connection.reply(Reply(item.session, item.call.id, method=method, result={"did": method}), lambda *_: None)

    def join(self, connection: Connection) -> int:
        number = len(self.connections) + len(self.parted) + 1
        self.connections[number] = connection
        return number

    def admit(self, connection: Connection) -> None: ...

    def expires(self, connection: Connection, at: int | None) -> None: ...

    def part(self, connection: Connection, *, admitted: bool) -> None:
        self.parted.append(connection.number)
        del self.connections[connection.number]

    def tell_all(self, data: bytes = NOTE) -> None:
        for connection in self.connections.values():
            connection.notice(data)


@dataclass
class House:
    """Everything behind the port."""

    desk: FakeDesk
    metrics: Metrics
    front: Front
    listener: Listener
    port: int = 0

    async def raw(self, subprotocol: str | None = None) -> Peer:
        """A client on a bare socket, upgraded."""
        peer = Peer(await trio.open_tcp_stream("127.0.0.1", self.port))
        await peer.upgrade(subprotocol=subprotocol)
        return peer

    async def plain(self) -> Peer:
        """A client on a bare socket that has said nothing yet."""
        return Peer(await trio.open_tcp_stream("127.0.0.1", self.port))

    def in_memory(self) -> tuple[Peer, trio.abc.HalfCloseableStream]:
        """A client and its server's end, without a socket: for virtual time."""
        here, there = memory_stream_pair()
        return Peer(here), there

    async def serve(self, stream: trio.abc.HalfCloseableStream) -> None:
        """One connection, and what the front does beside it, until the connection ends."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self.front.run)
            await self.front.handle(stream)
            nursery.cancel_scope.cancel()


def build(limits: Limits | None = None, *, connections_max: int = 100, **settings: Any) -> House:
    desk, metrics = FakeDesk(limits or Limits()), Metrics()
    pages = Pages(ready=lambda: (True, "ready"), openrpc=lambda: b"{}", metrics=metrics)
    front = Front(desk, pages, metrics, **settings)
    return House(
        desk,
        metrics,
        front,
        Listener(front.handle, metrics, connections_max=connections_max, turns_away=front.turns_away),
    )


@asynccontextmanager
async def house(limits: Limits | None = None, **settings: Any):
    """A house that listens on a free port of the loopback."""
    built = build(limits, **settings)
    listeners = await open_listeners(["127.0.0.1"], 0)
    built.port = port_of(listeners)
    async with trio.open_nursery() as nursery:
        await nursery.start(built.front.run)
        await nursery.start(built.listener.serve, listeners)
        yield built
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- a client that knows every byte


def head(*lines: str, path: str = "/v1", method: str = "GET") -> bytes:
    """A WebSocket handshake with further header lines."""
    usual = (
        "Host: test",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    return "\r\n".join([f"{method} {path} HTTP/1.1", *usual, *lines, "", ""]).encode("latin-1")


def masked(payload: bytes, first: int = 0x81) -> bytes:
    """A client's frame."""
    size = len(payload)
    length = (
        bytes([0x80 | size])
        if size < 126
        else b"\xfe" + struct.pack("!H", size)
        if size < 65_536
        else b"\xff" + struct.pack("!Q", size)
    )
    key = os.urandom(4)
    return bytes([first]) + length + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


@dataclass
class Peer:
    """A client on a bare stream."""

    stream: Any
    data: bytearray = field(default_factory=bytearray)

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def upgrade(self, *lines: str, subprotocol: str | None = None, behind: bytes = b"") -> bytes:
        """Shake hands, with bytes ``behind`` the head in the same write; the response's head."""
        protocol = (f"Sec-WebSocket-Protocol: {subprotocol}",) if subprotocol else ()
        await self.send(head(*protocol, *lines) + behind)
        return await self.response_head()

    async def response_head(self) -> bytes:
        while b"\r\n\r\n" not in self.data:
            await self._more()
        response, _, rest = bytes(self.data).partition(b"\r\n\r\n")
        self.data[:] = rest
        return response

    async def everything(self) -> bytes:
        """All there is, up to the end of the stream."""
        try:
            while True:
                await self._more()
        except EOFError:
            return bytes(self.data)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame's first byte and payload."""
        await self._need(2)
        first, size, start = self.data[0], self.data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            await self._need(start)
            size = int.from_bytes(self.data[2:start], "big")
        await self._need(start + size)
        payload = bytes(self.data[start : start + size])
        del self.data[: start + size]
        return first, payload

    async def json(self) -> Any:
        """The next text frame's object."""
        first, payload = await self.frame()
        assert first == 0x81, (first, payload)
        return msgspec.json.decode(payload)

    async def close_code(self) -> int:
        """Read on to the close frame, and then to the end of the stream."""
        while True:
            first, payload = await self.frame()
            if first == 0x88:
                assert await self.everything() == b""
                await self.stream.aclose()
                return int.from_bytes(payload[:2], "big")

    async def works(self) -> None:
        """Assert that this client is served, whatever else comes."""
        await self.send(masked(ASK))
        while b'"id":2,' not in (await self.frame())[1]:
            pass

    async def opened(self, who: bytes = b"ana") -> Peer:
        """Open the session."""
        await self.send(masked(OPEN.replace(b"ana", who)))
        assert (await self.json())["result"]["sub"] == who.decode()
        return self

    async def _need(self, size: int) -> None:
        while len(self.data) < size:
            await self._more()

    async def _more(self) -> None:
        chunk = await self.stream.receive_some()
        if not chunk:
            raise EOFError
        self.data += chunk


async def until(condition: Any) -> None:
    """Wait for something another task or the kernel is about to do."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - the kernel sets no events
            await trio.sleep(0.001)

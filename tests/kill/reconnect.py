"""Everybody is cut off at once, and comes back: how long until all have caught up.

    python -m tests.kill.reconnect [--clients 5000]

Each client is a contact with a conversation. While all are away an agent writes to each; whoever comes back resumes
with ``since`` and has caught up when it has that message. Those whom the server tells to read afresh (``resync``: more
than 10,000 entries of the workspace since) read their conversation. Prints seconds from the first attempt to the last
message.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from router.auth import Gate
from tests.kill.process import SECRET, Server

CONFIG = """
[server]
connections_max = 20000
[limits]
requests_per_s = 100000
requests_burst = 100000
principal_requests_per_s = 100000
principal_requests_burst = 100000
bytes_per_s = 100000000
outbox_notices = 100000
outbox_bytes = 100000000
address_connections = 20000
address_connections_per_s = 20000
address_requests_per_s = 100000
address_requests_burst = 100000
address_bytes_per_s = 100000000
[[services]]
id = "support"
members = [{agent = "ana"}]
escalation = []
auto_close_after = "1h"
[[agents]]
id = "ana"
capacity = {chat = 100000}
"""
AT_ONCE = 200  # handshakes of this process that are under way: more would only wait in the kernel's queue
AGAIN_S = 0.2
PATIENCE_S = 300.0
FILES = 20_000  # that this process may have open


class Peer:
    """One session of somebody, that can be lost and resumed."""

    def __init__(self, url: str, gate: Gate, role: Any, sub: str) -> None:
        self.seq: int | None = None
        self._url = url
        self._token = gate.issue(role, sub, now_ms=int(time.time() * 1000), ttl_ms=3_600_000)
        self._socket: ClientConnection | None = None
        self._number = 0

    async def open(self) -> bool:
        """Connect and go on after the last entry; again and again until it succeeds. True: too much was missed."""
        while True:
            try:
                self._socket = await connect(self._url, compression=None, ping_interval=None, open_timeout=60)
                result = await self.ask("session.open", token=self._token, since=self.seq)
                if self.seq is None:
                    self.seq = result["seq"]
                return bool(result.get("resync"))
            except (OSError, EOFError, TimeoutError, KeyError):
                await asyncio.sleep(AGAIN_S)

    async def ask(self, method: str, **params: Any) -> Any:
        """A request; entries that come before its answer are taken in."""
        assert self._socket is not None
        self._number += 1
        await self._socket.send(json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}))
        while (message := await self._next()).get("id") != self._number:
            pass
        return message["result"]

    async def until_told(self, text: str) -> None:
        """Until this message has come."""
        while True:
            entry = (await self._next()).get("params", {}).get("entry", {})
            if entry.get("text") == text:
                return

    def cut(self) -> None:
        """Lose the connection without a word."""
        assert self._socket is not None
        self._socket.transport.abort()

    async def _next(self) -> dict[str, Any]:
        assert self._socket is not None
        message: dict[str, Any] = json.loads(await self._socket.recv())
        if message.get("method") == "conversation.entry":
            self.seq = message["params"]["entry"]["seq"]
        return message


async def measure(clients: int, folder: Path) -> tuple[float, float, int]:
    """Seconds until the first time all are there, and until all have caught up; how many of them by reading afresh."""
    server = Server(folder, CONFIG, f"sqlite:///{folder}/signalbox.db")
    await server.start()
    try:
        url, gate = await server.ready(), Gate(secret=SECRET.encode())
        ana = Peer(url, gate, "agent", "ana")
        await ana.open()
        await ana.ask("agent.set_availability", available=True)
        listening = asyncio.create_task(_listen(ana))
        peers = [Peer(url, gate, "contact", f"c{number}") for number in range(clients)]
        began = time.monotonic()
        conversations = await _all(peers, _begin)
        there_s = time.monotonic() - began
        for peer in peers:
            peer.cut()
        writer = Peer(url, gate, "agent", "ana")
        await writer.open()
        for conversation in conversations:
            await writer.ask("message.send", conversation=conversation, text=f"to {conversation}")
        began = time.monotonic()
        afresh = sum(await _all(list(zip(peers, conversations, strict=True)), _come_back))
        back_s = time.monotonic() - began
        listening.cancel()
        await server.stop()
        return there_s, back_s, afresh
    finally:
        await server.end()


async def _begin(peer: Peer) -> str:
    await peer.open()
    result = await peer.ask("conversation.start", channel="web", service="support", text="Hello")
    conversation: str = result["conversation"]["id"]
    return conversation


async def _come_back(pair: tuple[Peer, str]) -> bool:
    """Until it has the message; True: by reading afresh."""
    peer, conversation = pair
    text = f"to {conversation}"
    resync = await peer.open()
    if not resync:
        await peer.until_told(text)
        return False
    read = await peer.ask("conversation.get", conversation=conversation)
    if text not in [entry.get("text") for entry in read["entries"]]:
        raise AssertionError(f"{conversation} was read afresh and the message is not in it")
    return True


async def _listen(peer: Peer) -> None:
    while True:
        await peer._next()


async def _all(items: list[Any], do: Any) -> list[Any]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: Any) -> Any:
        async with gate:
            return await do(item)

    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.gather(*map(one, items))


def main() -> int:
    """0 if all came back."""
    parser = argparse.ArgumentParser(prog="tests.kill.reconnect", description="All clients are cut off at once.")
    parser.add_argument("--clients", type=int, default=5_000)
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with tempfile.TemporaryDirectory(prefix="signalbox-reconnect-") as name:
        there_s, back_s, afresh = asyncio.run(measure(options.clients, Path(name)))
    print(
        f"{options.clients} clients: there after {there_s:.1f} s; cut at once, all back and caught up in {back_s:.1f} s"
        f", {options.clients - afresh} by what they had missed, {afresh} by reading afresh"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

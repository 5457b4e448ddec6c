"""A well-behaved agent's latency with hostile peers and without, in turns: ``python -m bench.hostile``.

Three processes: a server on a SQLite file; the agent, who sends a message every 10 ms and waits for its answer, which
is durable; the hostile peers, from another loopback address, who do everything at once (or one thing: ``--attack``) in
every other stretch of two seconds. Compare the two rows of one run. The hostile process runs at a lower priority, or on
a small machine it would take from the agent the time that it is to be denied by the server; ``--attack spin`` shows how
much of that is left.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import secrets
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import trio
from websockets.sync.client import ClientConnection, connect

from protocol.ids import Role
from router.auth import Gate

ROOT = Path(__file__).parents[1]
STRETCH_S, PAUSE_S = 2.0, 0.3  # the pause is not measured: attacks begin and end in it
EVERY_S = 0.01
HOSTILE, HONEST = "127.0.0.2", "127.0.0.3"
CONFIG = (
    'services = [{id = "support", members = [{agent = "ana"}], auto_close_after = "never"}]\nagents = [{id = "ana"}]\n'
)
DAY_MS = 86_400_000


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=48, help="of the measurement (default: 48)")
    parser.add_argument("--attack", choices=ATTACKS, action="append", help="only this one (default: all at once)")
    parser.add_argument("--peers", type=int, default=10, help="hostile peers of each kind (default: 10)")
    parser.add_argument("--hostile", type=int, metavar="PORT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen: list[str] = arguments.attack or [name for name in ATTACKS if name != "spin"]
    if arguments.hostile:
        trio.run(attack_on_demand, arguments.hostile, chosen, arguments.peers)
    else:
        measure(arguments.seconds, chosen, arguments.peers)


# ---------------------------------------------------------------- the measurement


def measure(seconds: float, chosen: list[str], peers: int) -> None:
    """Start the three, take turns, print."""
    secret = secrets.token_hex(32)
    environ = {**os.environ, "SIGNALBOX_SECRET": secret, "SIGNALBOX_LOG_LEVEL": "error"}
    with tempfile.TemporaryDirectory(prefix="signalbox-hostile-") as folder:
        config = Path(folder, "signalbox.toml")
        config.write_text(CONFIG)
        store = f"sqlite:///{folder}/signalbox.db"
        server = start(["-m", "router.cli", "serve", "--port", "0", "--config", str(config), "--store", store], environ)
        port = int(said(server).rpartition(":")[2].partition("/")[0])
        enemies = [arg for name in chosen for arg in ("--attack", name)]
        hostile = start(["-m", "bench.hostile", "--hostile", str(port), "--peers", str(peers), *enemies], environ)
        try:
            calm, under_attack = take_turns(port, Gate(secret=secret.encode()), hostile, seconds)
            tell(chosen, peers, calm, under_attack, server.pid, said(hostile, "count"))
        finally:
            for process in (hostile, server):
                process.terminate()
                process.wait(60)


def start(arguments: list[str], environ: dict[str, str]) -> subprocess.Popen[str]:
    """A process of this measurement."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environ, stdin=pipe, stdout=pipe, text=True)


def said(process: subprocess.Popen[str], order: str = "") -> str:
    """The next line of a process, after an order if there is one."""
    assert process.stdin is not None
    assert process.stdout is not None
    if order:
        process.stdin.write(f"{order}\n")
        process.stdin.flush()
    return process.stdout.readline()


def take_turns(
    port: int, gate: Gate, hostile: subprocess.Popen[str], seconds: float
) -> tuple[list[float], list[float]]:
    """Latencies in ms, without and with hostile peers, in stretches by turns."""
    calm: list[float] = []
    under_attack: list[float] = []
    with connect(f"ws://{HONEST}:{port}/v1", sock=from_address(HONEST, port)) as ana:
        ask(ana, "session.open", token=gate.issue("agent", "ana", now_ms=now_ms(), ttl_ms=DAY_MS))
        ask(ana, "agent.set_availability", available=True)
        with connect(f"ws://{HONEST}:{port}/v1", sock=from_address(HONEST, port)) as kari:
            ask(kari, "session.open", token=gate.issue("contact", "kari", now_ms=now_ms(), ttl_ms=DAY_MS))
            started = ask(kari, "conversation.start", service="support", text="Hello")
        chat = str(started["conversation"]["id"])  # type: ignore[index]
        stretch(ana, chat, STRETCH_S)  # to warm up
        for _ in range(max(1, round(seconds / (2 * (STRETCH_S + PAUSE_S))))):
            calm += stretch(ana, chat, STRETCH_S)
            said(hostile, "on")
            stretch(ana, chat, PAUSE_S)
            under_attack += stretch(ana, chat, STRETCH_S)
            said(hostile, "off")
            stretch(ana, chat, PAUSE_S)
    return calm, under_attack


def from_address(source: str, port: int) -> socket.socket:
    """A connection from one of the loopback addresses."""
    return socket.create_connection(("127.0.0.1", port), source_address=(source, 0))


def now_ms() -> int:
    """The wall clock, ms since 1970."""
    return time.time_ns() // 1_000_000


def ask(client: ClientConnection, method: str, **params: object) -> dict[str, object]:
    """One request and its result."""
    client.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))
    while "id" not in (message := json.loads(client.recv(timeout=30))):
        pass
    assert "result" in message, message
    result: dict[str, object] = message["result"]
    return result


def stretch(ana: ClientConnection, chat: str, seconds: float) -> list[float]:
    """Latencies of a message every EVERY_S; one that is late makes the next ones no later."""
    found, due = [], time.perf_counter()
    ends = due + seconds
    while due < ends:
        time.sleep(max(0.0, due - time.perf_counter()))
        ask(ana, "message.send", conversation=chat, text="I am looking into it")
        found.append((time.perf_counter() - due) * 1000)  # from when it was due: a wait is nobody else's luck
        due = max(due + EVERY_S, time.perf_counter() - EVERY_S)
    return found


def tell(chosen: list[str], peers: int, calm: list[float], under_attack: list[float], server: int, counts: str) -> None:
    """The figures."""
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    print(f"attacks: {', '.join(chosen)}; {peers} peers of each; their acts: {counts.strip()}")
    cuts = {}
    for name, values in (("without", calm), ("with", under_attack)):
        cut = statistics.quantiles(values, n=100)
        cuts[name] = cut
        figures = f"p50 {cut[49]:.2f} ms, p90 {cut[89]:.2f} ms, p99 {cut[98]:.2f} ms, most {max(values):.1f} ms"
        print(f"{name:8} {len(values):5} messages: {figures}")
    ratios = (f"p{place} {cuts['with'][place - 1] / cuts['without'][place - 1]:.2f}" for place in (50, 90, 99))
    print("with/without: " + ", ".join(ratios))


# ---------------------------------------------------------------- the hostile peers

counts: dict[str, int] = {}


def did(what: str, times: int = 1) -> None:
    """Count what was tried."""
    counts[what] = counts.get(what, 0) + times


async def attack_on_demand(port: int, chosen: list[str], peers: int) -> None:
    """``on`` and ``off`` on standard input; each is answered when it is done. ``count``: what was done so far."""
    os.nice(10)
    gate = Gate(secret=os.environ["SIGNALBOX_SECRET"].encode())
    scope = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        while order := (await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)).strip():
            scope.cancel()
            if order == "on":
                scope = trio.CancelScope()
                nursery.start_soon(attack, scope, port, gate, chosen, peers)
            print(json.dumps(counts), flush=True)
        nursery.cancel_scope.cancel()


async def attack(scope: trio.CancelScope, port: int, gate: Gate, chosen: list[str], peers: int) -> None:
    """All chosen enemies at once, until the scope ends."""
    with scope:
        async with trio.open_nursery() as nursery:
            for name in chosen:
                for number in range(peers):
                    nursery.start_soon(again_and_again, name, Enemy(port, gate, f"{name} {number}"))


class Enemy:
    """One hostile peer's way in: valid tokens too, as any visitor of a page has."""

    def __init__(self, port: int, gate: Gate, name: str) -> None:
        self.port = port
        self._gate = gate
        self._name = name

    async def stream(self) -> trio.SocketStream:
        """A TCP connection."""
        return await trio.open_tcp_stream("127.0.0.1", self.port, local_address=HOSTILE)

    async def upgraded(self) -> trio.SocketStream:
        """A WebSocket."""
        stream = await self.stream()
        await stream.send_all(HEAD)
        answer = bytes(await stream.receive_some())
        if b" 101 " not in answer:
            did(f"refused with {answer[9:12].decode() or 'nothing'}")
            await stream.aclose()
            raise trio.BrokenResourceError
        return stream

    async def opened(self, role: Role = "contact") -> trio.SocketStream:
        """A session."""
        stream = await self.upgraded()
        token = self._gate.issue(role, self._name, now_ms=now_ms(), ttl_ms=DAY_MS)
        await stream.send_all(text(request("session.open", token=token)))
        await stream.receive_some()
        return stream


async def again_and_again(name: str, enemy: Enemy) -> None:
    """Whoever is thrown out comes back at once, or as fast as it may."""
    while True:
        with suppress(OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            did(name)
            await ATTACKS[name](enemy)
        await trio.sleep(0.01)


HEAD = (
    b"GET /v1 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def request(method: str, **params: object) -> bytes:
    """One request as JSON."""
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


def text(payload: bytes, first: int = 0x81) -> bytes:
    """A frame masked with zeros."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    else:
        length = b"\xfe" + struct.pack("!H", size) if size < 65_536 else b"\xff" + struct.pack("!Q", size)
    return bytes([first]) + length + bytes(4) + payload


async def slow_headers(enemy: Enemy) -> None:
    """A handshake byte by byte."""
    async with await enemy.stream() as stream:
        for byte in HEAD[:-1]:
            await stream.send_all(bytes([byte]))
            await trio.sleep(0.02)


async def silence(enemy: Enemy) -> None:
    """A WebSocket that never opens a session."""
    async with await enemy.upgraded() as stream:
        await stream.receive_some()


async def requests(enemy: Enemy) -> None:
    """As many requests as it can send, without reading the answers fast enough to matter."""
    async with await enemy.opened() as stream:
        await until_thrown_out(stream, text(request("conversation.list")) * 50)


async def pings(enemy: Enemy) -> None:
    """Nothing but pings."""
    async with await enemy.opened() as stream:
        await until_thrown_out(stream, text(b"", 0x89) * 500)


async def parts(enemy: Enemy) -> None:
    """A message in parts that never ends."""
    async with await enemy.opened() as stream:
        await stream.send_all(text(b'"', 0x01))
        await until_thrown_out(stream, text(b"a", 0x00) * 500)


async def huge(enemy: Enemy) -> None:
    """The largest frames that are allowed, full of what has to be decoded."""
    async with await enemy.opened() as stream:
        await until_thrown_out(stream, text(b"[" + b"1," * 130_000 + b"1]"))


async def broken_frames(enemy: Enemy) -> None:
    """Frames that are none."""
    async with await enemy.upgraded() as stream:
        await until_thrown_out(stream, b"\xff\x02{}")


async def bad_tokens(enemy: Enemy) -> None:
    """Sessions with tokens that are none."""
    async with await enemy.upgraded() as stream:
        await until_thrown_out(stream, text(request("session.open", token="a.b.c")))


async def deaf(enemy: Enemy) -> None:
    """Asks and never reads."""
    async with await enemy.opened() as stream:
        for _ in range(1_000):
            await stream.send_all(text(request("conversation.list")))
            await trio.sleep(0.005)


async def connections(enemy: Enemy) -> None:
    """Connections that are closed at once."""
    async with await enemy.stream():
        pass


async def spin(enemy: Enemy) -> None:
    """No attack: uses the processor as the others do, and shows what that alone does to the agent's latency."""
    ends = time.monotonic() + 1
    while time.monotonic() < ends:
        await trio.lowlevel.checkpoint()


async def until_thrown_out(stream: trio.SocketStream, data: bytes) -> None:
    """Send it over and over until the server ends the connection."""
    async with trio.open_nursery() as nursery:

        async def write() -> None:
            while True:
                await stream.send_all(data)

        nursery.start_soon(write)
        while await stream.receive_some():
            pass
        nursery.cancel_scope.cancel()


ATTACKS: dict[str, Callable[[Enemy], Awaitable[None]]] = {
    "slow-headers": slow_headers, "silence": silence, "requests": requests, "pings": pings, "parts": parts,
    "huge": huge, "broken-frames": broken_frames, "bad-tokens": bad_tokens, "deaf": deaf, "connections": connections,
    "spin": spin,
}  # fmt: skip


if __name__ == "__main__":
    main()

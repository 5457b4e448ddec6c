"""A client that survives its server: it resumes where it was and repeats what it has no answer to.

One asyncio task reads; whoever asks waits for the answer, through as many connections as it takes. Everything is
written down in the client's ledger.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from protocol.ids import Role
from router.auth import Gate
from tests.kill.ledger import Entry, Ledger, Request, Session, milliseconds

AGAIN_S = 0.02
LATER_S = 0.3
HOUR_MS = 3_600_000
TOKEN_MS = 4 * HOUR_MS  # nobody works longer
LATER = ("storage_unavailable", "draining", "rate_limited")


class Place:
    """Where the server is, while it is anywhere. ``resting``: nobody begins anything new."""

    def __init__(self, gate: Gate, now_ms: int) -> None:
        self.gate = gate
        self.now_ms = now_ms
        self.url = ""
        self.up = asyncio.Event()
        self.resting = False


class Client:
    """Somebody with one session at a time. ``live`` keeps it open until cancelled."""

    def __init__(self, place: Place, role: Role, sub: str, rng: random.Random, channels: tuple[str, ...] = ()) -> None:
        self.ledger = Ledger(role, sub)
        self.place = place
        self.rng = rng
        self.reads: set[int] = set()  # numbers of requests that change nothing and are not written down
        self._token = place.gate.issue(role, sub, now_ms=place.now_ms, ttl_ms=TOKEN_MS, channels=channels)
        self._socket: ClientConnection | None = None
        self._waiting: dict[int, tuple[Request, asyncio.Future[dict[str, Any]]]] = {}
        self._number = 0
        self._away_s = AGAIN_S
        self.insists = True  # what was refused because the store was away is sent again
        self._later: set[asyncio.Task[None]] = set()
        self._session: Session | None = None

    async def live(self) -> None:
        """Connect, converse, and come back whenever the connection is lost."""
        while True:
            await self.place.up.wait()
            try:
                async with self._connected() as socket:
                    await self._converse(socket)
            except (OSError, EOFError, TimeoutError, WebSocketException):
                pass
            away_s, self._away_s = self._away_s, AGAIN_S
            await asyncio.sleep(away_s)

    async def behave(self) -> None:
        """What it does while the others work."""

    def on_notice(self, method: str, params: dict[str, Any]) -> None:
        """Something the server said unasked, besides entries."""

    def on_entry(self, entry: Entry) -> None:
        """An entry, live or missed before."""

    # ------------------------------------------------------------ asking

    async def change(self, method: str, **params: Any) -> Any:
        """A request that changes something, done once however often it is sent; its result, None if it was refused."""
        if method != "connector.receive":
            params["key"] = f"{self.ledger.sub}-{self._number + 1}"
        return (await self._ask(method, params)).get("result")

    async def read(self, method: str, **params: Any) -> Any:
        """A request that only reads."""
        self.reads.add(self._number + 1)
        answer = await self._ask(method, params)
        assert "result" in answer, f"{self.ledger.address} cannot {method} {params}: {answer}"
        return answer["result"]

    async def repeat(self) -> None:
        """Send a request again that was answered long ago."""
        answered = [request for request in self.ledger.requests if request.result is not None]
        if answered:
            request = self.rng.choice(answered)
            if request.number not in self._waiting:
                await self._send(request)

    def cut(self, away_s: float = AGAIN_S) -> None:
        """Lose the connection without a word, and come back after so long."""
        self._away_s = away_s
        if self._socket is not None:
            self._socket.transport.abort()

    @property
    def unanswered(self) -> int:
        """How many requests wait for an answer."""
        return len(self._waiting)

    async def _ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        self._number += 1
        request = Request(self._number, method, params)
        if request.number not in self.reads:
            self.ledger.requests.append(request)
        return await self._send(request)

    async def _send(self, request: Request) -> dict[str, Any]:
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request.number] = (request, future)
        if self._session is not None:
            await self._transmit(request)
        return await future

    async def _again(self, number: int) -> None:
        """The store was away: the same request with the same key, until it is answered one way or the other."""
        await asyncio.sleep(LATER_S)
        if self._session is not None and number in self._waiting:
            await self._transmit(self._waiting[number][0])

    async def _transmit(self, request: Request) -> None:
        request.attempts += 1
        await self._put(request.number, request.method, request.params)

    async def _put(self, ident: int, method: str, params: dict[str, Any]) -> None:
        message = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        try:
            if self._socket is not None:
                await self._socket.send(json.dumps(message))
        except WebSocketException:
            pass  # the reader finds out, and it is sent again

    # ------------------------------------------------------------ one connection

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[ClientConnection]:
        options: dict[str, Any] = {"compression": None, "max_size": None, "ping_interval": None, "close_timeout": 0.1}
        async with connect(self.place.url, open_timeout=5, **options) as socket:
            self._socket = socket
            try:
                yield socket
            finally:
                self._socket = self._session = None

    async def _converse(self, socket: ClientConnection) -> None:
        since = self.ledger.last_seq
        await self._put(0, "session.open", {"token": self._token, "since": since, "batch": self.rng.random() < 0.5})
        async for frame in socket:
            messages = json.loads(frame)
            for message in messages if isinstance(messages, list) else [messages]:
                if message.get("id") == 0:
                    await self._opened(message, since)
                else:
                    self._hear(message)

    async def _opened(self, message: dict[str, Any], since: int | None) -> None:
        result = message.get("result")
        if _reason(message) in LATER:
            return  # the server closes: come again
        if result is None or result["resync"]:
            self.ledger.problems.append(f"{self.ledger.address} could not go on after {since}: {message}")
            return
        session = Session(since, result["seq"], milliseconds(result["now"]))
        self.ledger.sessions.append(session)
        self._session = session
        for request, _ in list(self._waiting.values()):
            await self._transmit(request)

    def _hear(self, message: dict[str, Any]) -> None:
        if self._session is None:
            self.ledger.problems.append(f"{self.ledger.address} was told {message} before its session was open")
        if "id" in message and message["id"] not in self._waiting:
            self.ledger.problems.append(f"{self.ledger.address} was answered what it did not ask: {message}")
        elif "id" in message and self.insists and _reason(message) == "storage_unavailable":
            self._later.add(task := asyncio.create_task(self._again(message["id"])))
            task.add_done_callback(self._later.discard)
        elif "id" in message:
            request, future = self._waiting.pop(message["id"])
            request.answers.append(message)
            future.set_result(message)
        elif message["method"] == "conversation.entry":
            self.ledger.sessions[-1].entries.append(message["params"]["entry"])
            self.on_entry(message["params"]["entry"])
        else:
            self.on_notice(message["method"], message["params"])


def _reason(message: dict[str, Any]) -> str | None:
    """Why it was refused, if it was."""
    reason: str | None = message.get("error", {}).get("data", {}).get("reason")
    return reason

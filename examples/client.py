"""A client of the protocol in one file, with nothing but the library ``websockets``: read this one first.

    async with Client("ws://127.0.0.1:8400/v1", token) as client:
        await client.do("agent.set_availability", available=True)
        async for notice in client:
            print(notice.method, notice.params)

The connection may break at any moment; four rules make that harmless:

1. *Resume.* Every fact has a ``seq``. The client remembers the last one it heard and opens the next session with
   ``since``: the server first sends exactly what was missed, then goes on live.
2. *Repeat.* A request whose answer never came is sent again. ``do`` gives it a key, so it is applied once.
3. *Obey.* The close code says whether to come back (``STOP``, ``LATER``).
4. *Wait.* Longer each time, and never exactly as long as everybody else.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import random
import uuid
from dataclasses import dataclass
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

log = logging.getLogger(__name__)

#: close codes after which coming back would not help, and what would
STOP = {
    1000: "the session is over",
    1009: "a frame was larger than the server takes: send less at once",
    4001: "the token is not valid: get a new one",
    4003: "this origin is not allowed: ask the operator",
}
#: close codes after which to come back, but not soon. All others (1001, 4002, 4008, a broken line): come back.
LATER = {1011: "the server failed", 1013: "the server is too busy", 4029: "too many requests"}
#: refusals that mean "not now": the same request is good a little later
NOT_NOW = ("rate_limited", "storage_unavailable", "draining")

SHORTEST_S, LONGEST_S, LATER_S = 0.25, 30.0, 2.5
FRAME_BYTES = 8 * 1024 * 1024  # a page of long messages is larger than the library's usual limit


class RefusedError(Exception):
    """The server said no, and nothing has changed. ``reason`` says why; ``data`` has more (a colour, a state)."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.data: dict[str, Any] = error.get("data") or {}
        self.reason = self.data.get("reason", str(error["code"]))


class StoppedError(Exception):
    """The session has ended for good; the text says what to do."""


@dataclass(frozen=True)
class Notice:
    """What the server said unasked; and ``session.opened``, the client's own after every connect, with the answer."""

    method: str
    params: dict[str, Any]


@dataclass
class Request:
    """A request on its way. ``text`` is the frame, kept to be sent again."""

    text: str
    answer: asyncio.Future[Any]


class Client:
    """One session that survives its connections. Use it with ``async with``.

    ``token`` is what the operator's own login handed out, or ``signalbox token`` printed.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token
        self.since: int | None = None  # the last seq heard
        self._ids = itertools.count(1)
        self._pending: dict[int, Request] = {}
        self._notices: asyncio.Queue[Notice | None] = asyncio.Queue()
        self._socket: ClientConnection | None = None
        self._stopped: StoppedError | None = None
        self._retry_after_s = 0.0
        self._runner: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._runner = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._runner.cancel()
        await asyncio.gather(self._runner, return_exceptions=True)

    # ------------------------------------------------------------ asking

    async def ask(self, method: str, **params: Any) -> Any:
        """Send a request that only reads; its result, however many connections that takes.

        Raises RefusedError or StoppedError.
        """
        while True:
            try:
                return await self._request(method, params)
            except RefusedError as refused:
                if refused.reason not in NOT_NOW:
                    raise
                await asyncio.sleep(refused.data.get("retry_after_s", 1.0))

    async def do(self, method: str, **params: Any) -> Any:
        """The same for a request that changes something: its ``key`` makes sure that a repetition changes nothing."""
        return await self.ask(method, **{"key": uuid.uuid4().hex, **params})

    async def _request(self, method: str, params: dict[str, Any]) -> Any:
        if self._stopped:
            raise self._stopped
        number = next(self._ids)
        text = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        request = self._pending[number] = Request(text, asyncio.get_running_loop().create_future())
        try:
            if self._socket:
                await self._send(self._socket, request)
            return await request.answer
        finally:
            del self._pending[number]

    async def _send(self, socket: ClientConnection, request: Request) -> None:
        try:
            await socket.send(request.text)
        except ConnectionClosed:
            pass  # it is pending: the next connection sends it

    # ------------------------------------------------------------ listening

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Notice:
        """The next notice. Raises StoppedError after the last."""
        notice = await self._notices.get()
        if notice is None:
            self._notices.put_nowait(None)  # for whoever else listens
            raise self._stopped or StopAsyncIteration
        return notice

    def _hear(self, message: dict[str, Any]) -> None:
        """One object from the server: a notice, or the answer to a request."""
        if "method" in message:
            self._note(Notice(message["method"], message["params"]))
            return
        request = self._pending.get(message["id"])
        if request is None or request.answer.done():
            return
        if "error" in message:
            request.answer.set_exception(RefusedError(message["error"]))
        else:
            request.answer.set_result(message["result"])

    def _note(self, notice: Notice) -> None:
        if notice.method == "conversation.entry":
            self.since = notice.params["entry"]["seq"]
        elif notice.method == "session.ending":  # a polite end says when to come back
            self._retry_after_s = notice.params["retry_after_s"]
        self._notices.put_nowait(notice)

    # ------------------------------------------------------------ connecting

    async def _run(self) -> None:
        """Connect, and again, until a close code says stop."""
        failures = 0
        try:
            while True:
                code, why, lived = await self._connection()
                if code in STOP:
                    return self._stop(f"{STOP[code]} ({why})")
                failures = 1 if lived else failures + 1
                pause = max(_pause_s(failures, code), self._retry_after_s)
                self._retry_after_s = 0.0
                log.info("connection lost (%s); again in %.2f s", why, pause)
                await asyncio.sleep(pause)
        except Exception as problem:  # nothing that time would heal; whoever waits must not wait for ever
            self._stop(str(problem) or repr(problem))

    async def _connection(self) -> tuple[int | None, str, bool]:
        """One connection from its beginning to its end: the close code, why, and whether a session was opened."""
        lived, refused = False, ""
        try:
            async with connect(self.url, max_size=FRAME_BYTES) as socket:
                refused = await self._open(socket)
                lived = not refused
                async for frame in socket:
                    self._hear(json.loads(frame))
        except ConnectionClosed:
            pass  # the code says it all
        except InvalidStatus as answer:  # an HTTP answer; below 500 (a wrong path, a forbidden origin) it will stay so
            if answer.response.status_code < 500:
                raise
            return 1013, str(answer), lived
        except (OSError, TimeoutError, InvalidHandshake) as problem:
            return None, str(problem) or "no connection", lived
        finally:
            self._socket = None
        return socket.close_code, refused or socket.close_reason or "the line broke", lived

    async def _open(self, socket: ClientConnection) -> str:
        """Open the session and send again what was never answered. Returns why it was refused, or nothing."""
        params = {"token": self.token, "since": self.since}
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": 0, "method": "session.open", "params": params}))
        answer = json.loads(await socket.recv())
        if "error" in answer:
            return str(answer["error"]["message"])  # the close code follows and says what to do
        opened = answer["result"]
        if self.since is None or opened["resync"]:  # the first time, or too much was missed: read afresh from here
            self.since = opened["seq"]
        self._socket = socket
        self._note(Notice("session.opened", opened))
        for request in list(self._pending.values()):
            await self._send(socket, request)
        return ""

    def _stop(self, why: str) -> None:
        self._stopped = StoppedError(why)
        self._notices.put_nowait(None)
        for request in self._pending.values():
            if not request.answer.done():
                request.answer.set_exception(self._stopped)


def _pause_s(failures: int, code: int | None) -> float:
    """0.5 s, 1 s, 2 s … up to 30 s; with chance in it, so that a thousand clients do not come back as one."""
    shortest = LATER_S if code in LATER else SHORTEST_S
    return min(LONGEST_S, shortest * 2.0**failures) * random.uniform(0.5, 1.0)

"""One session over a real WebSocket, for greenlets: websocket-client under gevent's sockets, a reader of its own.

Whatever is acknowledged is noted by the reader, not by whoever asked: a user that Locust ends in the middle of a
request leaves no hole in the books. A peer stays connected when its user has gone, so that what was acknowledged can
arrive.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import gevent
import websocket
from gevent.event import AsyncResult

Note = Callable[[dict[str, Any]], None]
ANSWER_S = 30.0


class RefusedError(Exception):
    """The server said no, and why."""


class Peer:
    """A session. ``hear`` gets what the server says unasked: its method and its params."""

    def __init__(self, url: str, token: str, hear: Callable[[str, dict[str, Any]], None]) -> None:
        self.ending: str | None = None  # how it ended, unless it was us
        self._hear = hear
        self._ids = count(1)
        self._waiting: dict[int, tuple[AsyncResult[Any], Note | None]] = {}
        self._leaving = False
        self._socket = websocket.create_connection(url, timeout=None, enable_multithread=False)
        self._reader = gevent.spawn(self._read)
        self.call("session.open", token=token, batch=True)

    def call(self, method: str, note: Note | None = None, **params: Any) -> dict[str, Any]:
        """A request and its result; ``note`` gets it first. Raises RefusedError, ConnectionError, gevent.Timeout."""
        ident, answer = next(self._ids), AsyncResult()
        self._waiting[ident] = (answer, note)
        request = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
        self._socket.send(json.dumps(request))
        found: dict[str, Any] = answer.get(timeout=ANSWER_S)
        return found

    def tell(self, method: str, note: Note | None = None, **params: Any) -> None:
        """A request whose answer nobody waits for."""
        gevent.spawn(self._try, method, note, params)

    def leave(self) -> None:
        """Close the connection."""
        self._leaving = True
        self._reader.kill(block=False)
        self._socket.shutdown()

    def _try(self, method: str, note: Note | None, params: dict[str, Any]) -> None:
        try:
            self.call(method, note, **params)
        except (RefusedError, ConnectionError, gevent.Timeout):
            pass  # refusals are noted by the server's answer; a lost connection by ``ending``

    def _read(self) -> None:
        try:
            while True:
                text = self._socket.recv()
                if not text:
                    raise ConnectionError("closed by the server")
                found = json.loads(text)
                for message in found if isinstance(found, list) else (found,):
                    self._take(message)
        except (OSError, websocket.WebSocketException) as problem:
            if not self._leaving:
                self.ending = f"{type(problem).__name__}: {problem}"
            for answer, _ in self._waiting.values():
                answer.set_exception(ConnectionError(self.ending))

    def _take(self, message: dict[str, Any]) -> None:
        if "method" in message:
            self._hear(message["method"], message["params"])
            return
        answer, note = self._waiting.pop(message["id"])
        if "error" in message:
            error = message["error"]
            answer.set_exception(RefusedError(str(error["data"].get("reason", error["code"]))))
            return
        if note is not None:
            note(message["result"])
        answer.set(message["result"])


def now() -> float:
    """Seconds, for latencies."""
    return time.perf_counter()

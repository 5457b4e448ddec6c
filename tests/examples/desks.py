"""Both ends of a connector's test: somebody of the house on a socket, and a provider that is played over HTTP."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from programs import PATIENCE_S, House
from websockets.sync.client import connect


class Desk:
    """A session of somebody in the house: ``ask`` and what was heard meanwhile."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self._notices: list[dict[str, Any]] = []

    def ask(self, method: str, **params: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}))
        while (said := self._next()).get("id") != self._number:
            self._notices.append(said)
        assert "error" not in said, said
        return said["result"]

    def _next(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self._socket.recv(PATIENCE_S))
        return said

    def hears(self, method: str, where: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The first such notice, heard or still to come."""
        while True:
            for notice in self._notices:
                if notice["method"] == method and where(notice["params"]):
                    self._notices.remove(notice)
                    params: dict[str, Any] = notice["params"]
                    return params
            self._notices.append(self._next())

    def reads(self, text: str) -> str:
        """A contact's message with this text arrives; its conversation."""
        entry = self.hears("conversation.entry", lambda said: said["entry"].get("text") == text)["entry"]
        return str(entry["conversation"])

    def is_given(self, contact_name: str | None = None) -> dict[str, Any]:
        """A conversation is assigned; its summary."""
        wanted = self.hears(
            "conversation.assigned",
            lambda said: contact_name is None or said["conversation"]["contact"]["name"] == contact_name,
        )
        conversation: dict[str, Any] = wanted["conversation"]
        return conversation

    def answers(self, conversation: str, text: str, **more: Any) -> int:
        params = {"text": text, **more} if text else more
        seq: int = self.ask("message.send", conversation=conversation, **params)["entry"]["seq"]
        return seq

    def learns(self, seq: int, status: str) -> dict[str, Any]:
        """The entry that says what became of a message."""
        wanted = self.hears(
            "conversation.entry",
            lambda said: (
                (said["entry"]["type"], said["entry"].get("to"), said["entry"].get("status"))
                == ("delivery", seq, status)
            ),
        )
        entry: dict[str, Any] = wanted["entry"]
        return entry

    def timeline(self, conversation: str, kind: str) -> list[dict[str, Any]]:
        entries = self.ask("conversation.get", conversation=conversation, limit=100)["entries"]
        return [entry for entry in entries if entry["type"] == kind]


@contextmanager
def desk(house: House, who: str) -> Iterator[Desk]:
    """``agent dag``, ``backend backend``: a session with the token that the server printed."""
    with connect(house.url, proxy=None) as socket:
        found = Desk(socket)
        found.ask("session.open", token=house.token(who))
        if who.startswith("agent"):
            found.ask("agent.set_availability", available=True)
        yield found


def room_for_all(house: House) -> None:
    """Nobody is ever full."""
    with desk(house, "backend backend") as backend:
        for agent in ("ana", "dag"):
            capacity = dict.fromkeys(("chat", "messaging", "email"))
            backend.ask("agent.put", agent={"id": agent, "capacity": capacity})


class Asked(NamedTuple):
    """A request that the provider got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.body)
        return said

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


Answer = tuple[int, dict[str, Any]]


class Provider:
    """An HTTP API: keeps what it is asked, answers from ``script`` first, else with ``usual``.

    ``None`` in the script = it takes the request and never answers.
    """

    def __init__(self, usual: Callable[[Asked], Answer]) -> None:
        self.usual = usual
        self.script: deque[Answer | None] = deque()
        self.asked: list[Asked] = []
        self._news = threading.Condition()
        self._over = threading.Event()
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server names it so
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                provider._answer(self, Asked(self.path, {n.lower(): v for n, v in self.headers.items()}, body))

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        with self._news:
            answer = self.script.popleft() if self.script else self.usual(asked)
            self.asked.append(asked)
            self._news.notify_all()
        if answer is None:
            self._over.wait()
            return
        body = json.dumps(answer[1]).encode()
        handler.send_response(answer[0])
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def until(self, count: int, where: Callable[[Asked], bool] = lambda _: True) -> list[Asked]:
        """Wait until so many such requests have come."""
        with self._news:
            self._news.wait_for(lambda: sum(map(where, self.asked)) >= count, PATIENCE_S)
            found = [asked for asked in self.asked if where(asked)]
        assert len(found) >= count, self.asked
        return found

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

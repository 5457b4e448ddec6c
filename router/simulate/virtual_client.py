"""A client of a virtual server: what it says, the answers it got, and every notice since it was born.

It outlives its connections: notices, the mark and the last seq stay when it is cut, ends or the server dies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

import msgspec
from msgspec import Struct

from protocol.codec import CODECS, encode_json
from protocol.ids import Principal
from router.connection import Connection
from router.simulate.virtual import VirtualServer


class Heard(Struct, frozen=True):
    """A notice that has come."""

    method: str
    params: dict[str, Any]


class SessionRefused(Exception):  # noqa: N818 - what happened
    """``session.open`` was refused; ``error`` is the error object (None: no answer at all)."""

    def __init__(self, error: dict[str, Any] | None) -> None:
        super().__init__(error)
        self.error = error


class Client:
    """Somebody who speaks to a virtual server, through one connection at a time."""

    def __init__(self, principal: Principal, server: VirtualServer) -> None:
        self.principal = principal
        self.notices: list[Heard] = []
        self.mark = 0  # notices before it have been dealt with
        self.last_seq: int | None = None  # the greatest that was got
        self.stays_away = False  # cut or ended on purpose: only a request brings it back
        self._server = server
        self._line: _Line | None = None
        self._ids = count(1)
        self._answers: dict[Any, dict[str, Any]] = {}

    @property
    def connected(self) -> bool:
        """Whether a session is open."""
        return self._line is not None and not self._line.closed

    def open(self, *, resume: bool = False) -> None:
        """Open a session; with ``resume`` go on after the last seq. One that was open is lost then.

        Raises SessionRefused.
        """
        before, self._line = self._line, _Line(self, self._server)
        params: dict[str, Any] = {"token": self._server.token(self.principal)}
        if resume:
            params["since"] = self.last_seq
        [ident] = self.send([("session.open", params)])
        self._server.settle()
        answer = self.take(ident) or {"error": None}
        if "result" not in answer:
            raise SessionRefused(answer["error"])
        self.stays_away = False
        self.saw(answer["result"]["seq"])
        if before is not None:
            before.cut()
            self._server.settle()

    def send(self, calls: Sequence[tuple[str, dict[str, Any]]], *, batch: bool = False) -> list[int]:
        """Hand in one frame per call, or one with all of them; the ids. The answers are there after ``settle``."""
        assert self._line is not None, "open first"
        idents = [next(self._ids) for _ in calls]
        requests = [
            {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
            for ident, (method, params) in zip(idents, calls, strict=True)
        ]
        for frame in [requests] if batch else requests:
            self._line.connection.receive(encode_json(frame).decode())
        return idents

    def take(self, ident: int) -> dict[str, Any] | None:
        """The answer to a request, once; None if none came. An answer to no id stands for any."""
        return self._answers.pop(ident, None) or self._answers.pop(None, None)

    def end(self) -> None:
        """End the session politely; nothing happens without one."""
        if self.connected:
            self.send([("session.close", {})])
            self._server.settle()
            self.cut()

    def cut(self) -> None:
        """End the connection without a close; the server learns it at once."""
        self.stays_away = True
        if self._line is not None:
            self._line.cut()
            self._server.settle()

    def forget(self) -> None:
        """The server has died: there is no connection any more, and nobody who could be told."""
        self._line = None

    def hear(self, message: dict[str, Any]) -> None:
        """One object from the server."""
        if "method" not in message:
            self._answers[message["id"]] = message
            return
        self.notices.append(Heard(message["method"], message["params"]))
        if message["method"] == "conversation.entry":
            self.saw(message["params"]["entry"]["seq"])

    def saw(self, seq: int) -> None:
        """A seq was got; the greatest counts."""
        self.last_seq = max(seq, self.last_seq or 0)


class _Line:
    """The carrier of one connection."""

    def __init__(self, client: Client, server: VirtualServer) -> None:
        self.closed = False
        self._client = client
        self._server = server
        self.connection = Connection(server, self, CODECS["json"])

    def cut(self) -> None:
        self.closed = True
        self.connection.lost()

    def send(self, data: bytes) -> None:
        if not self.closed:
            self._client.hear(msgspec.json.decode(data))

    def send_series(self, series: Iterable[bytes]) -> None:
        """Many at once, as a resuming client gets them."""
        for data in series:
            self.send(data)

    def close(self, code: int, reason: str) -> None:
        self.closed = True
        self._server.hang_up(self.connection)

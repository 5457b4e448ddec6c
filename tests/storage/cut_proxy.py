"""A network between a store and PostgreSQL that fails when a test says so.

It forwards bytes in threads, and knows one thing about them: when a commit passes, which is a COMMIT, or a statement
among whose values is ``marker``. ``at_commit`` says what happens to the next one, once: the connection is cut before it
arrives (``before``), or after it was answered (``after``), or it is withheld while both sides think they are connected
(``hold``), until ``release``. With ``away`` set, or from a cut on if ``away_after_cut`` is set, nobody can connect.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Literal
from urllib.parse import parse_qs, urlencode, urlsplit

_COMMIT = b"COMMIT\0"  # a simple query
_READY = b"Z\0\0\0\5I"  # the end of an answer, outside of transactions


class CutProxy:
    """A proxy before the server of a PostgreSQL URL; ``url`` leads through it."""

    def __init__(self, url: str) -> None:
        self.at_commit: Literal["before", "after", "hold"] | None = None
        self.marker: bytes | None = None
        self.away = False
        self.away_after_cut = False
        self.cuts = 0
        self.refusals = 0
        self.release = threading.Event()
        self.delivered = threading.Event()  # the commit that was held has reached the server's socket
        self._target = urlsplit(url)
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        user = self._target.netloc.rpartition("@")[0]
        port = self._listener.getsockname()[1]
        query = {name: values[0] for name, values in parse_qs(self._target.query).items() if name != "host"}
        query["sslmode"] = "disable"
        self.url = f"postgresql://{user}@127.0.0.1:{port}{self._target.path}?{urlencode(query)}"
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def cut(self) -> None:
        """End all connections."""
        for each in self._sockets:
            _end(each)

    def close(self) -> None:
        """End everything."""
        self.release.set()
        self.away = True
        _end(self._listener)
        self.cut()
        for thread in self._threads:
            thread.join()
        for each in (self._listener, *self._sockets):
            each.close()

    def _start(self, target: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=target, daemon=True))
        self._threads[-1].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.away:
                self.refusals += 1
                client.close()
                continue
            server = self._connect()
            self._sockets += [client, server]
            link = _Link(self, client, server)
            self._start(link.requests)
            self._start(link.answers)

    def _connect(self) -> socket.socket:
        folder = parse_qs(self._target.query).get("host")
        if folder:
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{folder[0]}/.s.PGSQL.{self._target.port or 5432}")
            return server
        return socket.create_connection((self._target.hostname or "127.0.0.1", self._target.port or 5432))

    def take_order(self) -> str | None:
        """What is to happen to this commit."""
        order, self.at_commit = self.at_commit, None
        return order

    def note_cut(self) -> None:
        """A commit was cut off."""
        self.cuts += 1
        self.away = self.away or self.away_after_cut


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: CutProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._cut_at_answer = False

    def requests(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(1 << 16):
                order = self._proxy.take_order() if self._commits(data) else None
                if order == "before":
                    self._cut()
                elif order == "hold":
                    self._proxy.release.wait()
                    with suppress(OSError):
                        self._server.sendall(data)
                    self._proxy.delivered.set()
                    break
                else:
                    self._cut_at_answer = order == "after"
                    self._server.sendall(data)
        _end(self._server)

    def _commits(self, data: bytes) -> bool:
        return data.endswith(_COMMIT) or (self._proxy.marker is not None and self._proxy.marker in data)

    def answers(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(1 << 16):
                if self._cut_at_answer and data.endswith(_READY):
                    self._cut()
                    return
                self._client.sendall(data)
        _end(self._client)

    def _cut(self) -> None:
        self._proxy.note_cut()
        _end(self._client)
        _end(self._server)


def _end(which: socket.socket) -> None:
    with suppress(OSError):
        which.shutdown(socket.SHUT_RDWR)

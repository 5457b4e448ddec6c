"""The server as a process, with real sockets: how it is started, asked and ended."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from router.auth import Gate

SECRET = "a secret of the tests, 32 bytes long"
PATIENCE_S = 15.0
CONFIG = """
server.shutdown_s = 5
services = [{id = "support", members = [{agent = "ana"}]}]
agents = [{id = "ana"}]
"""
ROOT = Path(__file__).parents[2]


class Server:
    """A process, and what it said."""

    def __init__(self, *arguments: str, secret: str | None = SECRET, secret_file: Path | None = None) -> None:
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SIGNALBOX_")}
        environ |= {"SIGNALBOX_SECRET": secret} if secret else {}
        environ |= {"SIGNALBOX_SECRET_FILE": str(secret_file)} if secret_file else {}
        command = [sys.executable, "-m", "router.cli", "serve", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=pipe, stderr=pipe, text=True)
        self.port = 0
        self.scheme = "ws"
        self._sockets = ExitStack()

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"

    def ready(self) -> Server:
        """Wait for the line that says so."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"the server did not start: {self.end()}")
        found = re.match(r"signalbox ready on (wss?)://127\.0\.0\.1:", line)
        assert found is not None, line
        self.scheme = found[1]
        assert line.endswith("/v1\n")
        self.port = int(line.rpartition(":")[2].removesuffix("/v1\n"))
        return self

    def wait_for(self, event: str) -> None:
        """Read the log up to this event."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if f'"{event}"' in line:
                return
        raise AssertionError(f"the log ended without {event}")

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """Wait for the end: the exit code, and what else stood on standard error."""
        _, error = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, error

    def page(self, path: str, port: int | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=PATIENCE_S)
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, body

    def client(self, role: str, sub: str, secret: str = SECRET, **params: Any) -> Client:
        return Client(self._sockets.enter_context(connect(self.url)), role, sub, params, secret)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)
        self._sockets.close()


class Client:
    """A real socket with an open session."""

    def __init__(self, socket: ClientConnection, role: Any, sub: str, params: dict[str, Any], secret: str) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []
        self._ids = 0
        token = Gate(secret=secret.encode()).issue(role, sub, now_ms=0, ttl_ms=10**13)
        self.opened = self.say("session.open", token=token, **params)

    def ask(self, method: str, **params: Any) -> int:
        self._ids += 1
        self.socket.send(json.dumps({"jsonrpc": "2.0", "id": self._ids, "method": method, "params": params}))
        return self._ids

    def say(self, method: str, **params: Any) -> Any:
        ident = self.ask(method, **params)
        while (message := self.next()).get("id") != ident:
            pass
        assert "result" in message, message
        return message["result"]

    def next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.socket.recv(timeout=PATIENCE_S))
        self.heard.append(message)
        return message

    def rest(self) -> int:
        """Hear everything up to the end; its close code."""
        try:
            while True:
                self.next()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else 1006

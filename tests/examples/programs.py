"""Programs as their readers run them: a server process on a free port, and whatever talks to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import jwt

ROOT = Path(__file__).parents[2]
SIGNALBOX = Path(sys.executable).with_name("signalbox")
SECRET = "signalbox-dev-secret-known-to-everybody"
PATIENCE_S = 20.0  # far beyond what anything here takes: only a broken example waits so long


class Program:
    """A process whose lines are kept, and which ends with its ``with``, whatever happens."""

    def __init__(self, arguments: Sequence[str | Path], folder: Path = ROOT, **environment: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        self.process = subprocess.Popen(
            arguments,
            cwd=folder,
            env={**clean, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._said:
                self.lines.append(line.rstrip("\n"))
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line in which the pattern is found."""

        def found() -> re.Match[str] | None:
            return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

        with self._said:
            self._said.wait_for(lambda: found() or self._ended, PATIENCE_S)
            match = found()
        assert match, f"{pattern!r} was not said in:\n" + "\n".join(self.lines)
        return match

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def leave(self) -> int:
        """Ctrl-D; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.code()

    def code(self) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class House:
    """A server on a store of its own, and the tokens it printed."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        store = f"sqlite:///{folder / 'house.db'}"
        self.server = Program([SIGNALBOX, "serve", "--dev", "--port", str(port), "--store", store], folder)
        self.folder = folder

    def wait(self) -> Self:
        self.url = self.server.until(r"ready on (ws://\S+)")[1]
        self.port = int(re.findall(r":(\d+)/", self.url)[0])
        return self

    def token(self, who: str) -> str:
        return self.server.until(rf"^{who}: (\S+)")[1]

    def connector(self, channel: str) -> str:
        """A token of its own for a connector."""
        claims = {"sub": channel, "role": "connector", "channels": [channel], "aud": "signalbox", "exp": 4_000_000_000}
        return jwt.encode(claims, SECRET)

    def example(self, who: str, *arguments: str) -> Program:
        return Program(arguments, SIGNALBOX_URL=self.url, SIGNALBOX_TOKEN=self.token(who))

    def agent(self, name: str) -> Program:
        return self.example(f"agent {name}", sys.executable, "-m", "examples.agent", "--think", "0")

    def telephone(self, number: str, name: str) -> Program:
        arguments = ("-m", "examples.whatsapp", "--from", number, "--name", name)
        return self.example("connector whatsapp", sys.executable, *arguments)


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[House]:
    house = House(folder, port)
    with house.server:
        yield house.wait()

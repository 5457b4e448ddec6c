"""The server as a process that can be killed and started again on the same store."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECRET = "a secret of the tests, 32 bytes long"
START_S = 30.0
COMPLAINTS = ('"level":"error"', '"level":"critical"', "Traceback")


class Server:
    """One store, and one process after another on it. What they log is kept in ``folder``."""

    def __init__(self, folder: Path, config: str, store: str, environ: dict[str, str] | None = None) -> None:
        self.log = folder / "server.log"
        self.starts = 0
        self.kills_ms: list[int] = []
        self.readies_ms: list[int] = []
        self._config = folder / "signalbox.toml"
        self._config.write_text(config)
        self._store = store
        self._environ = environ or {}
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; ``ready`` tells when it listens."""
        arguments = ["serve", "--config", str(self._config), "--port", "0", "--store", self._store]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SIGNALBOX_")}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "router.cli", *arguments, cwd=ROOT,
                env=environ | self._environ | {"SIGNALBOX_SECRET": SECRET},
                stdout=asyncio.subprocess.PIPE, stderr=log,
            )  # fmt: skip
        self.starts += 1

    async def ready(self) -> str:
        """The URL where it listens."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(START_S):
            line = (await self._process.stdout.readline()).decode()
        if "ready on" not in line:
            raise AssertionError(f"the server did not start again:\n{self._tail()}")
        return line.split()[-1]

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    async def pause(self, seconds: float) -> None:
        """Stop it in its tracks, and let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it without a word."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """End it politely; its exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> int:
        assert self._process is not None
        if self._process.returncode is not None:
            raise AssertionError(f"the server ended by itself, with {self._process.returncode}:\n{self._tail()}")
        self._process.send_signal(number)
        async with asyncio.timeout(START_S):
            return await self._process.wait()

    async def end(self) -> None:
        """Whatever happened, no process is left."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def _tail(self) -> str:
        return self.log.read_text()[-3000:]

    def complaints(self, expected: tuple[str, ...] = ()) -> list[str]:
        """What stands in the log that should not; ``expected`` are words of lines that may."""
        lines = [line for line in self.log.read_text().splitlines() if not any(word in line for word in expected)]
        return [f"the log says: {line[:500]}" for line in lines if any(word in line for word in COMPLAINTS)]

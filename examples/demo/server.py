"""A server of our own: a real process with a fresh store, a free port and a secret that nobody else knows."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt

from examples.demo.pace import Pace

START_S, STOP_S, TOKEN_S = 20.0, 10.0, 86_400

#: deadlines are in seconds of speed 1: short, so that one sees them pass
CONFIG = """
[[services]]
id = "support"
name = "Support"
strategy = "longest_idle"
members = [{{ agent = "ana" }}, {{ agent = "bo" }}, {{ agent = "cleo", role = "admin", manager = true }}]
soon_after = "{soon}"
overdue_after = "{overdue}"
disconnect_grace = "{grace}"
decline_pause = "{pause}"
escalation = [{{ after = "{raised}", do = "raise_priority", by = 10 }}, {{ after = "{called}", do = "add_managers" }}]

[[services]]
id = "sales"
name = "Sales"
strategy = "least_busy"
sticky = true
members = [{{ agent = "cleo" }}, {{ agent = "dag" }}]
soon_after = "{soon}"
overdue_after = "{overdue}"
disconnect_grace = "{grace}"
decline_pause = "{pause}"

[[agents]]
id = "ana"
name = "Ana"
capacity = {{ chat = 2, messaging = 2 }}

[[agents]]
id = "bo"
name = "Bo"
capacity = {{ chat = 1, messaging = 3 }}

[[agents]]
id = "cleo"
name = "Cleo"
capacity = {{ chat = 1, messaging = 1 }}

[[agents]]
id = "dag"
name = "Dag"
capacity = {{ chat = 2, messaging = 2 }}
"""
DEADLINES = {"soon": 6, "overdue": 12, "raised": 15, "called": 20, "grace": 3, "pause": 10}


class Server:
    """A running server. Made by ``started``."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, secret: str) -> None:
        self.process = process
        self.url = url
        self._secret = secret

    def token(self, role: str, sub: str, **more: Any) -> str:
        """What an operator's own login would hand out."""
        claims = {"sub": sub, "role": role, "aud": "signalbox", "exp": time.time() + TOKEN_S, **more}
        return jwt.encode(claims, self._secret, algorithm="HS256")

    async def watch(self) -> None:
        """Wait for the server to end, which it should not."""
        raise RuntimeError(f"the server ended with code {await self.process.wait()}")


@asynccontextmanager
async def started(pace: Pace) -> AsyncIterator[Server]:
    """Start a server in a temporary folder, and end it. Raises RuntimeError if it does not start."""
    with tempfile.TemporaryDirectory(prefix="signalbox-demo-") as name:
        folder, secret = Path(name), secrets.token_hex(32)
        process = await _start(folder, secret, pace)
        try:
            yield Server(process, await _ready(process, folder), secret)
        finally:
            await _stop(process)


async def _start(folder: Path, secret: str, pace: Pace) -> asyncio.subprocess.Process:
    config, store = folder / "demo.toml", folder / "demo.db"
    config.write_text(CONFIG.format(**{key: pace.text(seconds) for key, seconds in DEADLINES.items()}))
    arguments = ["serve", "--config", str(config), "--port", "0", "--store", f"sqlite:///{store}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
    with (folder / "log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "router.cli", *arguments),
            env={**environment, "SIGNALBOX_SECRET": secret},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            start_new_session=True,  # Ctrl-C is for us: we end it when everybody has left
        )


async def _ready(process: asyncio.subprocess.Process, folder: Path) -> str:
    """The URL, from the one line that the server prints when it is ready."""
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_S)
    except TimeoutError:
        line = b""
    if not line:
        raise RuntimeError(f"the server did not start:\n{(folder / 'log').read_text()}")
    return line.decode().split()[-1]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()

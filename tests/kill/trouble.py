"""Troubles of a real server, one at a time, with real clients; each is survived without a restart.

    python -m tests.kill.trouble disk [--tmpfs]     the disk is full, and has room again
    python -m tests.kill.trouble database           PostgreSQL is stopped, and started again
    python -m tests.kill.trouble pause              the process is stopped for 30 s (SIGSTOP)
    python -m tests.kill.trouble clock              the wall clock jumps, by libfaketime

What must hold: changes are refused with ``storage_unavailable`` and reads go on; ``/readyz`` says 503 and then 200
again; what was acknowledged is there once, what was refused is not there; deadlines fire at their own moment, once.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from router.auth import Gate
from tests.kill.client import Client, Place
from tests.kill.ledger import milliseconds
from tests.kill.process import SECRET, Server
from tests.kill.rows import read_rows

CONFIG = """
[[services]]
id = "support"
members = [{agent = "ana"}]
disconnect_grace = "10m"
escalation = []
[[agents]]
id = "ana"
capacity = {messaging = 1000}
"""
TRIES = 4_000
READY_S = 15.0
PATIENCE_S = 240.0
LIBRARIES = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib*/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/*.so.1",
)


class Trouble(AssertionError):  # noqa: N818 - what it is
    """Something that must hold does not."""


class Stage:
    """A server, a connector that hands in messages, an agent, and somebody who only reads."""

    def __init__(self, folder: Path, url: str, environ: dict[str, str] | None = None) -> None:
        self.url = url
        self.server = Server(folder, CONFIG, url, environ)
        place = Place(Gate(secret=SECRET.encode()), int(time.time() * 1000))
        self.place = place
        self.sms = Client(place, "connector", "sms", random.Random(1), channels=("sms",))
        self.ana = Client(place, "agent", "ana", random.Random(2))
        self.reader = Client(place, "backend", "reader", random.Random(3))
        self.sms.insists = False  # it wants to know
        self.acknowledged: list[str] = []
        self.refused: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Stage]:
        """The server runs and everybody is connected; in the end what they were told is held against the rows."""
        await self.server.start()
        self.place.url = await self.server.ready()
        self.place.up.set()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(client.live()) for client in (self.sms, self.ana, self.reader)]
                await self.ana.change("agent.set_availability", available=True)
                yield self
                for task in tasks:
                    task.cancel()
            if (code := await self.server.stop()) != 0:
                raise Trouble(f"the server ended with {code}")
        finally:
            await self.server.end()
        await self.compare()

    async def send(self, size: int = 20) -> str | None:
        """One message comes in; the reason if it was refused."""
        name = f"m{len(self.acknowledged) + len(self.refused) + 1}"
        request = {"channel": "sms", "address": f"+{len(self.acknowledged) % 7}", "external_id": name}
        result = await self.sms.change("connector.receive", text=name.ljust(size, "."), **request)
        if result is not None:
            self.acknowledged.append(name)
            return None
        self.refused.append(name)
        reason: str = self.sms.ledger.requests[-1].answers[0]["error"]["data"]["reason"]
        return reason

    async def until_refused(self, size: int = 20) -> None:
        """Messages come in until one is refused, which must be because of the store."""
        for _ in range(TRIES):
            reason = await self.send(size)
            if reason is not None and reason != "rate_limited":
                break
        else:
            raise Trouble("nothing was refused")
        if reason != "storage_unavailable":
            raise Trouble(f"it was refused with {reason}")

    async def until_taken(self, wait_s: float = 60.0) -> float:
        """Messages come in until one is taken; after how many seconds."""
        began = time.monotonic()
        while await self.send() is not None:
            if time.monotonic() - began > wait_s:
                raise Trouble(f"the store takes no changes {wait_s} s after the trouble was over")
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def until_ready(self, wanted: int) -> None:
        """``/readyz`` gives this status, soon."""
        deadline = time.monotonic() + READY_S
        while (status := await asyncio.to_thread(_status, self.place.url, "/readyz")) != wanted:
            if time.monotonic() > deadline:
                raise Trouble(f"/readyz says {status}, and {wanted} is expected")
            await asyncio.sleep(0.05)

    async def outage(self) -> None:
        """What must hold while the store takes no changes."""
        sessions = [len(client.ledger.sessions) for client in (self.ana, self.reader)]
        await self.until_ready(503)
        if not (await self.reader.read("conversation.list", limit=5))["items"]:
            raise Trouble("lists are empty while the store takes no changes")
        await self.reader.read("agent.list")
        if sessions != [len(client.ledger.sessions) for client in (self.ana, self.reader)]:
            raise Trouble("sessions ended with the store")

    async def compare(self) -> None:
        """What was acknowledged is there once, what was refused is not."""
        rows = await read_rows(self.url)
        found = [row.text.strip(".") for row in rows.entries if row.text is not None]
        if sorted(found) != sorted(self.acknowledged):
            lost = sorted(set(self.acknowledged) - set(found))[:5]
            raise Trouble(f"{len(self.acknowledged)} acknowledged, {len(found)} stored; lost {lost}")


def _status(url: str, path: str) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


async def disk(folder: Path, *, tmpfs: bool = False) -> str:
    """The disk is full and has room again; what was done, in a sentence."""
    with _tmpfs(folder / "disk") if tmpfs else _folder(folder / "disk") as place:
        stage = Stage(folder, f"sqlite:///{place}/signalbox.db")
        async with stage.running():
            for _ in range(50):
                await stage.send(2_000)
            with _full(place) if tmpfs else _limited(stage.server.pid, place):
                await stage.until_refused(8_000)
                await stage.outage()
            seconds = await stage.until_taken()
            await stage.until_ready(200)
        return f"{_said(stage)}; changes again {seconds:.1f} s after there was room"


async def database(folder: Path) -> str:
    """PostgreSQL is stopped, politely and at once, and started again; what was done, in a sentence."""
    from tests.kill.database import Database

    postgres = await asyncio.to_thread(Database)
    try:
        stage, waits = Stage(folder, postgres.url), []
        async with stage.running():
            for at_once in (False, True):
                for _ in range(20):
                    await stage.send()
                await asyncio.to_thread(postgres.stop, at_once=at_once)
                await stage.until_refused()
                await stage.outage()
                await asyncio.to_thread(postgres.start)
                waits.append(await stage.until_taken())
            await stage.until_ready(200)
        return f"{_said(stage)}; changes again {max(waits):.1f} s after the database was there"
    finally:
        await asyncio.to_thread(postgres.close)


async def pause(folder: Path, seconds: float = 30.0) -> str:
    """The process stands still, and a deadline falls into that time; what was done, in a sentence."""
    stage = Stage(folder, f"sqlite:///{folder}/signalbox.db")
    async with stage.running():
        conversation, until = await _snoozed(stage, f"{int(seconds * 500)}ms")
        sending = asyncio.create_task(_keep_sending(stage, seconds))
        await asyncio.sleep(0.5)
        await stage.server.pause(seconds)
        await sending
        await stage.until_taken()
        late = await _woken(stage, conversation, until)
        sessions = max(len(client.ledger.sessions) for client in (stage.sms, stage.ana, stage.reader))
    return f"{_said(stage)}; stopped for {seconds} s; {sessions} sessions each at most; woke {late} ms from its moment"


async def clock(folder: Path) -> str:
    """The wall clock jumps half an hour ahead and forty minutes back; what was done, in a sentence."""
    library = _faketime()
    if library is None:
        return "SKIPPED: there is no libfaketime; on Debian: apt-get install faketime"
    offset = folder / "offset"
    offset.write_text("+0s\n")
    stage = Stage(folder, f"sqlite:///{folder}/signalbox.db", {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
    })  # fmt: skip
    async with stage.running():
        first, until = await _snoozed(stage, "20m")
        offset.write_text("+1800s\n")
        await stage.until_taken()
        late = await _woken(stage, first, until)
        offset.write_text("-600s\n")
        second, again = await _snoozed(stage, "2s")
        late_again = await _woken(stage, second, again)
        await _woken(stage, first, until)
    return f"{_said(stage)}; woke {late} and {late_again} ms from its moment after +30 and -40 minutes"


# ---------------------------------------------------------------- parts


def _faketime() -> Path | None:
    return next((path for pattern in LIBRARIES for path in Path("/").glob(pattern[1:])), None)


def _said(stage: Stage) -> str:
    return f"{len(stage.acknowledged)} acknowledged, all there once; {len(stage.refused)} refused, none there"


async def _keep_sending(stage: Stage, seconds: float) -> None:
    for _ in range(int(seconds)):
        await stage.send()
        await asyncio.sleep(0.2)


async def _snoozed(stage: Stage, length: str) -> tuple[str, int]:
    """A conversation sleeps: which, and until when."""
    await stage.send()
    conversation = stage.sms.ledger.requests[-1].result["conversation"]["id"]
    result = await stage.ana.change("conversation.snooze", **{"conversation": conversation, "for": length})
    return conversation, milliseconds(result["conversation"]["snoozed_until"])


async def _woken(stage: Stage, conversation: str, until: int, wait_s: float = 30.0) -> int:
    """It wakes, once for each time it slept; how many ms the latest entry is from its moment."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        entries = (await stage.reader.read("conversation.get", conversation=conversation, limit=500))["entries"]
        slept, woke = ([entry for entry in entries if entry["type"] == kind] for kind in ("snoozed", "woke"))
        if len(woke) > len(slept):
            raise Trouble("it woke twice")
        if len(woke) == len(slept):
            return milliseconds(woke[-1]["at"]) - until
        await asyncio.sleep(0.1)
    raise Trouble("it did not wake")


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    path.mkdir()
    yield path


@contextmanager
def _tmpfs(path: Path) -> Iterator[Path]:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "signalbox", str(path)], check=True)
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], check=True)


@contextmanager
def _full(place: Path) -> Iterator[None]:
    """Somebody else's file takes all the room there is."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    yield
    ballast.unlink()


@contextmanager
def _limited(pid: int, place: Path) -> Iterator[None]:
    """No file of the process may grow: for those who may not mount anything."""
    largest = max(file.stat().st_size for file in place.iterdir())
    hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest, hard))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def survived(trouble: Coroutine[Any, Any, str]) -> str:
    """Run one; what was done. Raises Trouble."""
    return asyncio.run(asyncio.wait_for(trouble, PATIENCE_S))


def main() -> int:
    """0 if it was survived."""
    parser = argparse.ArgumentParser(prog="tests.kill.trouble", description="One trouble of a real server.")
    parser.add_argument("trouble", choices=("disk", "database", "pause", "clock"))
    parser.add_argument("--tmpfs", action="store_true", help="disk: a file system of 4 MB (root only)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="signalbox-trouble-") as name:
        folder = Path(name)
        match options.trouble:
            case "disk":
                done = disk(folder, tmpfs=options.tmpfs and os.geteuid() == 0)
            case "database":
                done = database(folder)
            case "pause":
                done = pause(folder)
            case _:
                done = clock(folder)
        print(f"{options.trouble}: {survived(done)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What connectors share: the way in and the way out, with patience, in order, and across crashes.

    provider ── webhook ──► receive ──► connector.receive      once, by the provider's own id of the message
    server ── connector.deliver ──► send ──► provider          until the provider has taken it or says never
    provider ── receipt ──► report ──► connector.delivered     sent, delivered, read, failed

The server hands messages over in their order and does not wait between them. Here each address has a line of its own:
the next message goes when the one before was taken or refused for good, so trying again keeps the order. A message
that is on its way when this process dies is handed over again. The ``Journal`` remembers which the provider has taken
already, so that those are reported and not sent a second time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp import web

from examples.client import Client, RefusedError, StoppedError

log = logging.getLogger("connector")

HAND_IN_S = 10.0  # so long a provider's webhook waits for the server; then the provider is asked to come again
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 60.0
GIVE_UP_S = 24 * 3600.0
REMEMBERED_S = 30 * 24 * 3600.0
TEXT_MAX = 32_000  # the server takes a little more
BODY_BYTES_MAX = 1024 * 1024  # of a webhook

Deliver = Callable[[dict[str, Any]], Awaitable[str]]


class UnavailableError(Exception):
    """Not now: try again later, after so many seconds if the other side named a time."""

    def __init__(self, why: str, retry_after_s: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s


class RejectedError(Exception):
    """Never: the provider will not take this message."""


class Journal:
    """What must survive this process, in a small SQLite file."""

    def __init__(self, path: str) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.executescript("""
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS sent (seq INTEGER PRIMARY KEY, external_id TEXT NOT NULL, at REAL NOT NULL);
            CREATE INDEX IF NOT EXISTS sent_as ON sent (external_id);
            CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
        """)
        self._file.execute("DELETE FROM sent WHERE at < ?", (time.time() - REMEMBERED_S,))

    def sent(self, seq: int, external_id: str) -> None:
        """The provider has taken this message, and calls it so."""
        self._file.execute("INSERT OR REPLACE INTO sent VALUES (?, ?, ?)", (seq, external_id, time.time()))

    def failed(self, seq: int) -> None:
        """It was not delivered after all: if it is handed over again, it is to be sent again."""
        self._file.execute("DELETE FROM sent WHERE seq = ?", (seq,))

    def was_sent(self, seq: int) -> bool:
        """Whether this entry has gone out."""
        return self._file.execute("SELECT 1 FROM sent WHERE seq = ?", (seq,)).fetchone() is not None

    def seq_of(self, external_id: str) -> int | None:
        """The entry that the channel knows by this id."""
        row = self._file.execute("SELECT seq FROM sent WHERE external_id = ?", (external_id,)).fetchone()
        return None if row is None else int(row[0])

    def note(self, name: str, value: str) -> None:
        """Remember a value by name."""
        self._file.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, value))

    def noted(self, name: str) -> str | None:
        """What was remembered; None = nothing."""
        row = self._file.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def secret(self) -> str:
        """One of this connector's own, made at its first start."""
        if self.noted("secret") is None:
            self.note("secret", secrets.token_hex(32))
        return self.noted("secret") or ""


class Bridge:
    """One channel between the server and a provider."""

    def __init__(self, client: Client, channel: str, journal: Journal) -> None:
        self.client = client
        self.channel = channel
        self.journal = journal
        self._under_way: set[int] = set()
        self._lines: dict[str, tuple[asyncio.Lock, int]] = {}  # address -> whose turn it is, how many stand there

    # ------------------------------------------------------------ in

    async def receive(self, address: str, external_id: str, text: str, **contact: str | None) -> dict[str, Any]:
        """Hand in what a contact wrote; handing it in again is harmless. Raises UnavailableError."""
        text = clean(text)
        if len(text) > TEXT_MAX:
            text = text[:TEXT_MAX] + " […]"
        contact = {name: clean(value)[:200] for name, value in contact.items() if value}
        message = {"address": address, "external_id": external_id, "text": text, "contact": contact}
        received: dict[str, Any] = await self._within("connector.receive", {"channel": self.channel, **message})
        log.info("%s wrote in %s", address, received["conversation"]["id"])
        return received

    async def report(self, seq: int, status: str, error: str | None = None, external_id: str = "") -> None:
        """Say what became of a message. Raises UnavailableError."""
        if status == "failed":
            self.journal.failed(seq)
        elif external_id:
            self.journal.sent(seq, external_id)
        params = {"entry": seq, "status": status} | ({"error": error[:2000]} if error else {})
        try:
            await self._within("connector.delivered", params)
        except RefusedError as refused:  # not a message of this channel
            log.warning("%s of %d: %s", status, seq, refused)
        else:
            log.info("%d is %s%s", seq, status, f": {error}" if error else "")

    async def _within(self, method: str, params: dict[str, Any]) -> Any:
        try:
            async with asyncio.timeout(HAND_IN_S):
                return await self.client.ask(method, **params)
        except TimeoutError:
            raise UnavailableError("the server does not answer") from None
        except RefusedError as refused:
            if method == "connector.delivered":
                raise
            raise UnavailableError(f"the server refuses it: {refused}") from None

    # ------------------------------------------------------------ out

    async def run(self, send: Deliver) -> None:
        """Send whatever the server hands over, until the session is over. Raises StoppedError.

        ``send`` gives a message to the provider and returns the provider's id of it; it may raise UnavailableError
        and RejectedError.
        """
        async with asyncio.TaskGroup() as tasks:
            async for notice in self.client:
                if notice.method == "session.opened":
                    log.info("connected to the server")
                elif notice.method == "connector.deliver" and notice.params["channel"] == self.channel:
                    seq = notice.params["entry"]["seq"]
                    if seq not in self._under_way:  # handed over again after a reconnect
                        self._under_way.add(seq)
                        tasks.create_task(self._in_line(send, notice.params))

    async def _in_line(self, send: Deliver, delivery: dict[str, Any]) -> None:
        """Behind whatever came before for the same address: tasks begin in the order of the notices."""
        address = delivery["address"]
        line, waiting = self._lines.get(address, (asyncio.Lock(), 0))
        self._lines[address] = (line, waiting + 1)
        async with line:
            await self._deliver(send, delivery)
        line, waiting = self._lines.pop(address)
        if waiting > 1:
            self._lines[address] = (line, waiting - 1)

    async def _deliver(self, send: Deliver, delivery: dict[str, Any]) -> None:
        seq = delivery["entry"]["seq"]
        status, error = "sent", None
        try:
            await self._patiently(send, delivery)
        except RejectedError as why:
            status, error = "failed", str(why)
        while True:
            try:
                await self.report(seq, status, error)
                break
            except UnavailableError as why:
                log.info("%s", why)
        self._under_way.discard(seq)

    async def _patiently(self, send: Deliver, delivery: dict[str, Any]) -> None:
        """Until the provider has it. Raises RejectedError."""
        seq, pause_s = delivery["entry"]["seq"], FIRST_PAUSE_S
        give_up_at = time.monotonic() + GIVE_UP_S
        while not self.journal.was_sent(seq):  # a receipt may tell it before the answer does
            try:
                self.journal.sent(seq, await send(delivery))
            except UnavailableError as why:
                if time.monotonic() > give_up_at:
                    raise RejectedError(f"given up: {why}") from None
                pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
                log.warning("%d not sent (%s); again in %.0f s", seq, why, max(pause_s, why.retry_after_s))
                await asyncio.sleep(max(pause_s, why.retry_after_s))


def clean(text: str) -> str:
    """A text as the server takes it: whatever a provider hands on, without NUL and halves of characters."""
    return text.replace("\0", "").encode(errors="replace").decode()


# ---------------------------------------------------------------- HTTP on both sides


async def listen(routes: list[web.RouteDef], host: str, port: int, *, debug_name: str) -> web.AppRunner:
    """Serve a provider's webhooks; ``cleanup`` ends it. What cannot be done now is a 503: the provider comes again."""

    @web.middleware
    async def later(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
        try:
            return await handler(request)
        except (UnavailableError, StoppedError) as why:
            log.warning("webhook put off: %s", why)
            return web.Response(status=503, headers={"Retry-After": "10"})

    app = web.Application(middlewares=[later], client_max_size=BODY_BYTES_MAX)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    bound = runner.addresses[0]
    log.info("%s listens on http://%s:%s", debug_name, bound[0], bound[1])
    return runner


@contextlib.asynccontextmanager
async def provider() -> Any:
    """A session for calls of the provider; what goes wrong with the line is for later."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


async def call(session: aiohttp.ClientSession, url: str, **given: Any) -> tuple[int, dict[str, Any], float]:
    """POST; status, what the JSON says, and Retry-After in seconds. Raises UnavailableError if nobody answers."""
    try:
        async with session.post(url, allow_redirects=False, **given) as answer:
            try:
                said = await answer.json(content_type=None)
            except ValueError:
                said = {}
            after = answer.headers.get("Retry-After", "")
            return answer.status, said if isinstance(said, dict) else {}, float(after) if after.isdigit() else 0.0
    except (aiohttp.ClientError, TimeoutError, OSError) as problem:
        raise UnavailableError(f"the provider does not answer: {problem!r}") from None


# ---------------------------------------------------------------- a program


def setting(name: str, default: str | None = None) -> str:
    """A setting from the environment, where secrets belong; without it the program ends with its name."""
    value = os.environ.get(name, default)
    if value is None:
        sys.exit(f"set {name}")
    return value


def run(main: Callable[[Client], Awaitable[None]]) -> None:
    """Run a connector until SIGTERM, SIGINT or the end of its session; the exit code is 1 if the session ended."""
    logging.basicConfig(level=logging.INFO, format="-- %(message)s", stream=sys.stdout)
    url, token = setting("SIGNALBOX_URL", "ws://127.0.0.1:8400/v1"), setting("SIGNALBOX_TOKEN")

    async def connected() -> None:
        this = asyncio.current_task()
        assert this is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
        async with Client(url, token) as client:
            await main(client)

    try:
        asyncio.run(connected())
    except* StoppedError as stopped:
        sys.exit(f"stopped: {stopped.exceptions[0]}")
    except* (KeyboardInterrupt, asyncio.CancelledError):
        pass

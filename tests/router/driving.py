"""A driver over a real store that can be told to wait or to refuse, in virtual time, and sessions without sockets.

Storage threads are real, so nothing here sleeps: whoever waits is woken by a bell, and a store that is slow waits
for an event. Time moves only by ``mock_clock.jump``.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.core import Core
from protocol.codec import JSON, convert, encode_json
from protocol.errors import refused
from protocol.ids import Principal
from protocol.records import Batch, ConversationById, Question, Snapshot
from protocol.session import Limits
from protocol.settings import WorkspaceSettings
from router.bell import Bell
from router.clock import Clock
from router.connection import Connection
from router.driver import PROBE_S, Driver
from storage.store import StorageUnavailable, StorageUnfit
from storage.urls import open_store
from tests.storm import snapshot
from tests.world import START

PATIENCE_S = 20.0  # real seconds that a held storage thread waits at most: only a broken test gets there
CONFIG: dict[str, Any] = {
    "services": [{"id": "support", "members": [{"agent": "ana"}], "escalation": [], "auto_close_after": None}],
    "agents": [{"id": "ana"}],
}


class SteeredStore:
    """A SQLite store in memory. ``refuses_commits`` and ``refuses_reads`` make it fail, ``hold…`` make it wait."""

    def __init__(self, url: str = "sqlite:///:memory:") -> None:
        self.refuses_commits = False
        self.refuses_reads = False
        self.unreadable: str | None = None  # the row of this conversation is damaged
        self.poison: str | None = None  # a batch with this text is nothing the store can take
        self.refuses_after_poison = False
        self.committing = 0  # calls that are under way
        self.reading = 0
        self.batches: list[Batch] = []  # committed
        self.tried: list[Batch] = []
        self.bell = Bell()
        self._inner = open_store(url)
        self._token = trio.lowlevel.current_trio_token()
        self._may_commit = threading.Event()
        self._may_read = threading.Event()
        self.let_go()

    def hold_commits(self) -> None:
        self._may_commit.clear()

    def hold_reads(self) -> None:
        self._may_read.clear()

    def let_go(self) -> None:
        self._may_commit.set()
        self._may_read.set()

    async def until(self, holds: Callable[[SteeredStore], bool]) -> None:
        """Wait until a call has come or gone."""
        await self.bell.until(lambda: holds(self))

    # ------------------------------------------------------------ the port, called in threads

    def open(self) -> None:
        self._inner.open()

    def load(self) -> Snapshot:
        return self._inner.load()

    def commit(self, batch: Batch) -> None:
        self._change(committing=1)
        try:
            assert self._may_commit.wait(PATIENCE_S)
            self.tried.append(batch)
            if self.refuses_commits:
                raise StorageUnavailable("it was told to refuse")
            if self.poison is not None and any(record.entry.text == self.poison for record in batch.entries):
                self.refuses_commits = self.refuses_after_poison
                raise ValueError("it cannot take that")
            self._inner.commit(batch)
            self.batches.append(batch)
        finally:
            self._change(committing=-1)

    def read(self, questions: Sequence[Question]) -> list[Any]:
        self._change(reading=1)
        try:
            assert self._may_read.wait(PATIENCE_S)
            if self.refuses_reads:
                raise StorageUnavailable("it was told to refuse")
            if self.unreadable is not None and ConversationById(self.unreadable) in questions:
                raise StorageUnfit("there is a row that nobody understands")
            return self._inner.read(questions)
        finally:
            self._change(reading=-1)

    def close(self) -> None: ...  # the store in memory is looked at after the driver has let go of it

    def _change(self, committing: int = 0, reading: int = 0) -> None:
        self._token.run_sync_soon(self._changed, committing, reading)

    def _changed(self, committing: int, reading: int) -> None:
        self.committing += committing
        self.reading += reading
        self.bell.ring()


class Tokens:
    """``agent:ana`` is a token; ``agent:ana@5000`` ends 5 s after START, ``agent:ana#70`` was made 70 ms after it."""

    tokens_end = True

    def issued_at(self, token: str) -> int | None:
        made = token.partition("#")[2]
        return START + int(made) if made else None

    def verify(self, token: str, now_ms: int) -> tuple[Principal, int | None]:
        name, _, after = token.partition("#")[0].partition("@")
        role, _, sub = name.partition(":")
        if role not in ("agent", "contact", "connector", "backend"):
            raise refused("unauthenticated")
        channels = (sub,) if role == "connector" else ()
        return Principal(role, sub, channels), START + int(after) if after else None


class Client:
    """The carrier of one session, and what it was sent, decoded."""

    def __init__(self, driver: Driver, token: str) -> None:
        self.heard: list[dict[str, Any]] = []
        self.closed: int | None = None
        self.bell = Bell()
        self._token = token
        self._ids = 0
        self.connection = Connection(driver, self, JSON)

    def send(self, data: bytes) -> None:
        if self.closed is None:
            self.heard.append(msgspec.json.decode(data))
            self.bell.ring()

    def send_series(self, series: Iterable[bytes]) -> None:
        for data in series:
            self.send(data)

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or code
        self.bell.ring()

    def ask(self, method: str, params: Mapping[str, Any] | None = None, /, **more: Any) -> int:
        """Hand in a request; its id."""
        self._ids += 1
        request = {"jsonrpc": "2.0", "id": self._ids, "method": method, "params": {**(params or {}), **more}}
        self.connection.receive(encode_json(request))
        return self._ids

    async def answer(self, ident: int) -> dict[str, Any]:
        """The whole response to a request."""
        await self.until(lambda: self.has_answer(ident) or self.closed is not None)
        return next(message for message in self.heard if message.get("id") == ident)

    async def say(self, method: str, params: Mapping[str, Any] | None = None, /, **more: Any) -> Any:
        """A request that must succeed; its result."""
        return (await self.answer(self.ask(method, params, **more)))["result"]

    async def refused(self, ident: int) -> dict[str, Any]:
        """The data of the error that answers a request."""
        data: dict[str, Any] = (await self.answer(ident))["error"]["data"]
        return data

    async def open(self, since: int | None = None) -> dict[str, Any]:
        result: dict[str, Any] = await self.say("session.open", token=self._token, since=since)
        return result

    async def until(self, holds: Callable[[], bool]) -> None:
        await self.bell.until(holds)

    def has_answer(self, ident: int) -> bool:
        return any(message.get("id") == ident for message in self.heard)

    def notices(self, method: str) -> list[dict[str, Any]]:
        return [message["params"] for message in self.heard if message.get("method") == method]

    def entries(self) -> list[dict[str, Any]]:
        return [notice["entry"] for notice in self.notices("conversation.entry")]

    def answers(self) -> list[int]:
        return [message["id"] for message in self.heard if "id" in message]


class House:
    """A running driver and its store."""

    def __init__(self, driver: Driver, store: SteeredStore) -> None:
        self.driver = driver
        self.store = store

    async def client(self, token: str, since: int | None = None) -> Client:
        """Somebody with an open session."""
        client = Client(self.driver, token)
        await client.open(since)
        return client

    async def ana(self) -> Client:
        """The agent, switched on."""
        ana = await self.client("agent:ana")
        await ana.say("agent.set_availability", available=True)
        return ana

    async def receive(self, connector: Client, number: int = 1) -> str:
        """A contact of its own writes; the conversation."""
        result = await connector.say("connector.receive", message(number))
        found: str = result["conversation"]["id"]
        return found

    async def quiet(self) -> None:
        """Everything handed in is durable and delivered, and nobody has anything to do."""
        await wait_all_tasks_blocked()
        await self.driver.settled()
        await wait_all_tasks_blocked()

    async def probing(self) -> None:
        """Wait until the driver sleeps before it tries the store again, or need not any more."""
        driver, statistics = self.driver, trio.lowlevel.current_statistics
        await until(lambda: driver.available or 0 < statistics().seconds_to_next_deadline <= PROBE_S)

    async def recover(self, clock: MockClock) -> None:
        """The store takes changes again; time goes on until the driver knows."""
        self.store.refuses_commits = False
        await self.probing()
        if not self.driver.available:
            clock.jump(PROBE_S)
        await until(lambda: self.driver.available)

    def equals_its_store(self) -> bool:
        """Whether a restart would find what is in memory."""
        loaded = Core(convert(CONFIG, WorkspaceSettings))
        loaded.load(self.store.load(), self.driver.now())
        return snapshot(self.driver.core, live=False) == snapshot(loaded, live=False)


def message(number: int) -> dict[str, Any]:
    """The params of a connector's message."""
    return {"channel": "sms", "address": f"+{number}", "external_id": f"m{number}", "text": f"Hello {number}"}


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what no bell tells, without letting time pass."""
    while not holds():
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def house(
    config: Mapping[str, Any] = CONFIG, store: SteeredStore | None = None, limits: Limits | None = None
) -> AsyncIterator[House]:
    """A driver that runs, at START of virtual time (ask for the fixture ``mock_clock``)."""
    store = store or SteeredStore()
    clock = Clock(lambda: START / 1000 + trio.current_time())
    driver = Driver(convert(dict(config), WorkspaceSettings), store, Tokens(), limits or Limits(), clock)
    await driver.start()
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(driver.run)
            await driver.settled()
            yield House(driver, store)
            store.let_go()
            nursery.cancel_scope.cancel()
    finally:
        store.let_go()
        await driver.close()

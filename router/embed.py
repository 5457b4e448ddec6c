"""The router inside a Python program: the same sessions as over the wire, without a socket.

    async with router.open_router({"services": [...], "agents": [...]}) as house:
        ana = await house.connect(role="agent", sub="ana")
        await ana.call("agent.set_availability", available=True)
        async for notice in ana:
            print(notice.method, notice.params)

Requests and answers go through the same codec, rules and commits as a client's; a result is plain data, just
as a client sees it.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import trio
from msgspec import Struct

from protocol import closing
from protocol.codec import JSON, encode_json
from protocol.errors import RequestError, refused
from protocol.ids import Principal, Role
from router import config as configuration
from router.bell import Bell
from router.clock import Clock
from router.config import Config
from router.connection import Connection
from router.driver import Driver
from router.mail.opening import open_mailer
from storage.urls import open_store


class SessionEndedError(Exception):
    """The session is over; ``code`` says why and what to do next (``protocol.closing.MEANINGS``)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Notice(Struct, frozen=True):
    """Something the server said unasked."""

    method: str
    params: dict[str, Any]


class EmbeddedSession:
    """A session of one principal. Made by ``EmbeddedRouter.connect``; ends with its ``async with`` or ``close``."""

    def __init__(self, driver: Driver) -> None:
        self.opened: dict[str, Any] = {}  # the result of session.open
        self._bell = Bell()
        self._answers: dict[int, dict[str, Any] | None] = {}  # of the calls that are waited for
        self._notices: deque[Notice] = deque()
        self._ended: tuple[int, str] | None = None
        self._ids = 0
        self._limit = driver.limits.outbox_notices
        self._connection = Connection(driver, _WayOut(self), JSON)
        self._room = driver.room

    async def call(self, method: str, params: Mapping[str, Any] | None = None, /, **more: Any) -> Any:
        """Send a request and wait for its result, which is durable.

        Parameters go by name (``call("message.send", conversation=c, text="Hi")``) or, where a name is a
        Python keyword, as a mapping. Raises RequestError if it is refused, SessionEndedError if the session is over.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._room()
        self._ids += 1
        request = {"jsonrpc": "2.0", "id": self._ids, "method": method, "params": {**(params or {}), **more}}
        self._check()
        answer = await self._answer(self._ids, encode_json(request))
        if "error" in answer:
            error = answer["error"]
            raise RequestError(error["code"], error["message"], error["data"])
        return answer["result"]

    async def _answer(self, ident: int, request: bytes) -> dict[str, Any]:
        self._answers[ident] = None
        try:
            self._connection.receive(request)
            await self._bell.until(lambda: self._answers[ident] is not None or self._ended is not None)
        finally:  # whoever gives up waiting leaves nothing behind
            answer = self._answers.pop(ident)
        if answer is None:
            self._check()
        assert answer is not None
        return answer

    def statistics(self) -> dict[str, int]:
        """How many calls wait for their answer, and how many notices for their reader."""
        return {"calls": len(self._answers), "notices": len(self._notices)}

    def __aiter__(self) -> AsyncIterator[Notice]:
        return self

    async def __anext__(self) -> Notice:
        """The next notice; the iteration ends with the session."""
        await self._bell.until(lambda: bool(self._notices) or self._ended is not None)
        if self._notices:
            return self._notices.popleft()
        if self._ended is not None and self._ended[0] not in (closing.DONE, closing.GOING_AWAY):
            self._check()
        raise StopAsyncIteration

    async def close(self) -> None:
        """End the session. Idempotent."""
        self._end(closing.DONE, "done")
        await trio.lowlevel.checkpoint()

    async def __aenter__(self) -> EmbeddedSession:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end(closing.DONE, "done")

    # ------------------------------------------------------------ what the server says

    def _hear(self, data: bytes, *, bounded: bool = True) -> None:
        if self._ended is not None:
            return
        message = msgspec.json.decode(data)
        if "method" in message:
            self._notices.append(Notice(message["method"], message["params"]))
            if bounded and len(self._notices) > self._limit:
                self._end(closing.SLOW_CONSUMER, closing.MEANINGS[closing.SLOW_CONSUMER][0])
        elif message["id"] in self._answers:
            self._answers[message["id"]] = message
        self._bell.ring()

    def _end(self, code: int, reason: str) -> None:
        if self._ended is None:
            self._ended = (code, reason)
            self._connection.lost()
            self._bell.ring()

    def _check(self) -> None:
        if self._ended is not None:
            raise SessionEndedError(*self._ended)


class _WayOut:
    """The carrier of an embedded session (``router.connection.Carrier``)."""

    def __init__(self, session: EmbeddedSession) -> None:
        self._session = session

    def send(self, data: bytes) -> None:
        self._session._hear(data)

    def send_series(self, series: Iterable[bytes]) -> None:
        for data in series:
            self._session._hear(data, bounded=False)

    def close(self, code: int, reason: str) -> None:
        self._session._end(code, reason)


class EmbeddedRouter:
    """A running house. Made by ``open_router``."""

    def __init__(self, driver: Driver, tickets: _Tickets) -> None:
        self.driver = driver
        self._tickets = tickets

    async def connect(
        self,
        *,
        role: Role,
        sub: str,
        channels: tuple[str, ...] = (),
        name: str | None = None,
        email: str | None = None,
        since: int | None = None,
    ) -> EmbeddedSession:
        """Open a session for somebody the program vouches for.

        ``channels`` are a connector's, ``name`` and ``email`` a contact's; ``since`` resumes after that seq.
        Raises RequestError if the session is refused.
        """
        session = EmbeddedSession(self.driver)
        token = self._tickets.issue(Principal(role, sub, tuple(channels), name, email))
        try:
            session.opened = await session.call("session.open", {"token": token, "since": since})
        except BaseException:
            await session.close()
            raise
        return session


class _Tickets:
    """In-process tokens, each good for one opening."""

    tokens_end = True

    def __init__(self) -> None:
        self._principals: dict[str, Principal] = {}

    def issue(self, principal: Principal) -> str:
        ticket = secrets.token_urlsafe(24)
        self._principals[ticket] = principal
        return ticket

    def verify(self, token: str, now_ms: int) -> tuple[Principal, int | None]:
        """Raises RequestError (unauthenticated)."""
        principal = self._principals.pop(token, None)
        if principal is None:
            raise refused("unauthenticated", "no such ticket")
        return principal, None

    def issued_at(self, token: str) -> int | None:
        """A ticket is made at the moment it is used: none is ever too old."""
        return 2**53


@asynccontextmanager
async def open_router(
    config: Config | Mapping[str, Any] | str | Path | None = None, *, store: str = "sqlite:///:memory:"
) -> AsyncIterator[EmbeddedRouter]:
    """Run a house inside this program, under trio.

    ``config`` is a ``router.config.Config``, the path of a TOML file, or plain data with the keys of a
    workspace (``services``, ``agents``, …); ``store`` is the URL used where config does not bring its own.
    Raises ConfigError, StorageUnfit, StorageUnavailable.
    """
    settled = _read(config, store)
    tickets = _Tickets()
    driver = Driver(settled.workspace, open_store(settled.store.url), tickets, settled.limits, Clock())
    driver.errands.mailer = open_mailer(settled.workspace, os.environ)
    try:
        await driver.start()
        async with trio.open_nursery() as nursery:
            await nursery.start(driver.run)
            await driver.settled()
            yield EmbeddedRouter(driver, tickets)
            await driver.drain("the program is ending", 1.0)
            nursery.cancel_scope.cancel()
    finally:
        await driver.close()


def _read(config: Config | Mapping[str, Any] | str | Path | None, store: str) -> Config:
    if isinstance(config, Config):
        return config
    if isinstance(config, str | Path):
        return configuration.load(config)
    workspace = configuration.read_workspace(config or {})
    return Config(store=configuration.StoreSettings(url=store), workspace=workspace)

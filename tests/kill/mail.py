"""Mail through kills: a backend forwards without end, a mail server of ours listens, the house dies again and again.

What must hold at the end: each mail whose forwarding was acknowledged has come, under one Message-ID; and none has come
after a kill at which the store said already that it was taken.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import apsw

from router.auth import Gate
from router.mail.sink import Sink
from tests.kill.client import Client, Place
from tests.kill.process import SECRET, Server
from tests.kill.run import _now_ms

CONFIG = """
[mail]
sender = "Support <support@example.org>"
port = {port}

[[services]]
id = "support"
"""
REST_S = 30.0


@dataclass
class Post:
    """What has come, by Message-ID: how often, and in which life of the server last; what came twice in one life."""

    life: int = 0
    came: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    to: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, message: EmailMessage) -> None:
        ident = str(message["Message-ID"])
        self.came[ident] = self.came.get(ident, 0) + 1
        if self.last.get(ident) == self.life:
            self.problems.append(f"{ident} came twice in life {self.life}, which did not end between")
        self.last[ident] = self.life
        self.to[ident] = str(message["To"])


class Forwarder(Client):
    """Starts a conversation, and forwards its first message as often as it can."""

    async def behave(self) -> None:
        begins = {"contact": "nia", "service": "support", "channel": "web", "text": "Broken"}
        started = await self.change("conversation.start", **begins)
        conversation = started["conversation"]["id"]
        page = await self.read("conversation.get", conversation=conversation, limit=10)
        message = next(entry["seq"] for entry in page["entries"] if entry["type"] == "message")
        while not self.place.resting:
            to = [f"guest{self._number}@example.org"]
            await self.change("message.forward", conversation=conversation, messages=[message], to=to)


async def campaign(kills: int, seed: int, folder: Path) -> tuple[list[str], dict[str, int]]:
    """Run it on an empty SQLite file: what broke, and how much was done."""
    rng, post, database = random.Random(seed), Post(), folder / "mail.db"
    async with _sink(post) as port:
        server = Server(folder, CONFIG.format(port=port), f"sqlite:///{database}")
        place = Place(Gate(secret=SECRET.encode()), _now_ms())
        person = Forwarder(place, "backend", "forwarder", rng)
        problems: list[str] = []
        done: dict[str, int] = {}  # mail -> the life after which the store had it as taken
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job()) for job in (person.live, person.behave)]
            try:
                for _ in range(kills):
                    await _start(server, place)
                    await asyncio.sleep(rng.uniform(0.2, 0.6))
                    place.up.clear()
                    await server.kill()
                    for mail in _mails(database, "done"):
                        done.setdefault(mail, post.life)
                    post.life += 1
                await _start(server, place)
                place.resting = True
                await _rest(person, database)
                code = await server.stop()
            finally:
                await server.end()
                for task in tasks:
                    task.cancel()
    if code != 0:
        problems.append(f"the server ended with {code}")
    problems += person.ledger.problems + post.problems + _judge(person, post, done)
    return problems, {"forwarded": len(post.came), "came twice": sum(count > 1 for count in post.came.values())}


def _judge(person: Forwarder, post: Post, done: dict[str, int]) -> list[str]:
    forwards = [request for request in person.ledger.requests if request.method == "message.forward"]
    problems = []
    for request in forwards:
        if request.result is not None:
            seq = request.result["entry"]["seq"]
            idents = [ident for ident in post.came if ident.startswith(f"<e{seq}-0.")]
            if [post.to[ident] for ident in idents] != request.params["to"]:
                problems.append(f"the mail of entry {seq} came as {idents}")
    for mail, life in done.items():
        ident = next((ident for ident in post.came if ident.startswith(f"<{mail}.")), None)
        if ident is None:
            problems.append(f"{mail} is done, and never came")
        elif post.last[ident] > life:
            problems.append(f"{mail} was done in life {life}, and came again in life {post.last[ident]}")
    return problems


async def _start(server: Server, place: Place) -> None:
    await server.start()
    place.url = await server.ready()
    place.up.set()


async def _rest(person: Forwarder, database: Path) -> None:
    async with asyncio.timeout(REST_S):
        while person.unanswered or _mails(database, "pending"):  # noqa: ASYNC110 - nothing tells the last
            await asyncio.sleep(0.05)


def _mails(database: Path, status: str) -> list[str]:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.set_busy_timeout(5_000)
    try:
        return [str(row[0]) for row in connection.execute("SELECT id FROM mails WHERE status = ?", (status,))]
    finally:
        connection.close()


@asynccontextmanager
async def _sink(post: Post) -> AsyncIterator[int]:
    sink = Sink(post.take)
    port: Any = await sink.open()
    try:
        yield port
    finally:
        await sink.close()

"""The campaign: load, kill, start again, repeat; then rest, read everything, and let the checker judge."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from router.auth import Gate
from tests.kill.checker import broken
from tests.kill.client import Client, Place
from tests.kill.ledger import Entry, Final, milliseconds
from tests.kill.life import Rules, deadline_of
from tests.kill.people import CONFIG, MANAGER, Connector, Contact, Person, everybody
from tests.kill.process import SECRET, Server
from tests.kill.rows import read_rows

RULES = Rules(((500, "notify"), (1100, "add_managers")), 3_000, (MANAGER,), ("dee",))
REST_S = 30.0
PAGE = 100
POLL_S = 0.05
CLOSE_POLLS = 200
BARRIERS = {"agent": "agent.list", "contact": "conversation.list"}


@dataclass
class Report:
    """What broke, and how much was done: a campaign in which nothing happened proves nothing."""

    problems: list[str]
    counts: dict[str, int] = field(default_factory=dict)


class Weather(Protocol):
    """What else goes wrong; ``tests.kill.storm.Storm`` is one."""

    expected: tuple[str, ...]  # words of lines of the log that are no complaint then

    async def route(self, url: str) -> str:
        """The server is at ``url`` now; where clients find it."""

    async def strike(self, server: Server) -> None:
        """Something happens while the server runs."""

    def calm(self) -> None:
        """Nothing happens any more."""


class Fair:
    """Nothing else goes wrong."""

    expected = ()

    async def route(self, url: str) -> str:
        """Straight."""
        return url

    async def strike(self, server: Server) -> None:
        """Not here."""

    def calm(self) -> None:
        """It always is."""


FAIR = Fair()


async def campaign(
    kills: int, seed: int, url: str, folder: Path, say: Callable[[str], None] = print, weather: Weather = FAIR
) -> Report:
    """Run it on an empty store. Parameters: how often to kill, the seed of all dice, a folder for the log."""
    rng = random.Random(seed)
    server = Server(folder, CONFIG, url)
    place = Place(Gate(secret=SECRET.encode()), _now_ms())
    people = everybody(place, rng)
    async with _working(people), _ended(server):
        for number in range(kills):
            await _one_life(server, place, rng, weather)
            say(f"kill {number + 1} of {kills}: {_sum_up(people)}")
        weather.calm()
        await _start(server, place, weather)
        final = await _rest(place, people)
        code = await server.stop()
    final.rows = await read_rows(url)
    problems = broken([person.ledger for person in people], final, RULES) + server.complaints(weather.expected)
    if code != 0:
        problems.append(f"the server ended with {code} when it was asked to stop")
    return Report(problems, _counts(people, final) | {"fired late": _late(final, server)})


@asynccontextmanager
async def _working(people: Sequence[Person]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(job()) for person in people for job in (person.live, person.behave)]
        tasks += [group.create_task(person.deliver()) for person in people if isinstance(person, Connector)]
        yield
        for task in tasks:
            task.cancel()


@asynccontextmanager
async def _ended(server: Server) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await server.end()


async def _start(server: Server, place: Place, weather: Weather) -> None:
    await server.start()
    place.url = await weather.route(await server.ready())
    server.readies_ms.append(_now_ms())
    place.up.set()


async def _one_life(server: Server, place: Place, rng: random.Random, weather: Weather) -> None:
    """From a start to a kill: mostly amid work, at times amid those who come back, or before it listens."""
    moment = rng.random()
    if moment < 0.1 and server.starts:
        await server.start()
        await asyncio.sleep(rng.uniform(0.05, 0.6))
    else:
        await _start(server, place, weather)
        await asyncio.sleep(rng.uniform(0.02, 0.15) if moment < 0.3 else rng.uniform(0.3, 1.2))
        await weather.strike(server)
    place.up.clear()
    server.kills_ms.append(_now_ms())
    await server.kill()


def _now_ms() -> int:
    return int(time.time() * 1000)


# ---------------------------------------------------------------- the end


async def _rest(place: Place, people: Sequence[Person]) -> Final:
    """Nobody begins anything; everything is answered and every deadline fires; then all is read."""
    place.resting = True
    reader = Client(place, "backend", "checker", random.Random(0))
    async with asyncio.timeout(REST_S), asyncio.TaskGroup() as group:
        reading = group.create_task(reader.live())
        await _all_answered(people)
        await _all_closed(reader)
        for person in people:  # whatever was told before has come when this is answered
            if person.ledger.role in BARRIERS:
                await person.read(BARRIERS[person.ledger.role])
        await _all_answered(people)
        final = await _read_all(reader, people)
        reading.cancel()
    return final


async def _all_closed(reader: Client) -> None:
    """Until auto-close has ended every conversation; what stays open too long is for the checker to name."""
    for _ in range(CLOSE_POLLS):
        if not (await reader.read("conversation.list", limit=1))["items"]:
            break
        await asyncio.sleep(POLL_S)


async def _all_answered(people: Sequence[Person]) -> None:
    while any(person.unanswered for person in people):  # noqa: ASYNC110 - nothing tells the last answer
        await asyncio.sleep(POLL_S)


async def _read_all(reader: Client, people: Sequence[Person]) -> Final:
    names = {entry["conversation"] for person in people for s in person.ledger.sessions for entry in s.entries}
    names |= {
        request.result["conversation"]["id"]
        for person in people
        for request in person.ledger.requests
        if request.result is not None and "conversation" in request.result
    }
    now = reader.ledger.sessions[-1].now
    pages = {name: await _timeline(reader, name) for name in sorted(names)}
    final = Final(now, {name: page[1] for name, page in pages.items()}, {name: page[0] for name, page in pages.items()})
    for person in people:
        if isinstance(person, Contact):
            mine = [name for name, page in pages.items() if page[0]["contact"]["id"] == person.ledger.sub]
            final.seen[person.ledger.address] = {name: (await _timeline(person, name))[1] for name in mine}
    return final


async def _timeline(client: Client, name: str) -> tuple[dict[str, Any], list[Entry]]:
    """The summary and all entries, page by page from the newest back."""
    entries: list[Entry] = []
    while True:
        before = {"before": entries[0]["seq"]} if entries else {}
        page = await client.read("conversation.get", conversation=name, limit=PAGE, **before)
        entries = [*page["entries"], *entries]
        if not page["more"]:
            return page["conversation"], entries


# ---------------------------------------------------------------- how much was done


def _counts(people: Sequence[Person], final: Final) -> dict[str, int]:
    requests = [request for person in people for request in person.ledger.requests]
    entries = [entry for timeline in final.timelines.values() for entry in timeline]
    return {
        "requests": len(requests),
        "acknowledged": sum(request.result is not None for request in requests),
        "sent again": sum(request.attempts > len(request.answers) for request in requests),
        "sessions": sum(len(person.ledger.sessions) for person in people),
        "conversations": len(final.timelines),
        "entries": len(entries),
        "told": sum(len(session.entries) for person in people for session in person.ledger.sessions),
        "snoozed": sum(entry["type"] == "snoozed" for entry in entries),
        "woke by time": sum((entry["type"], entry.get("reason")) == ("woke", "timer") for entry in entries),
        "escalated": sum(entry["type"] == "escalated" for entry in entries),
        "closed by time": sum((entry["type"], entry.get("reason")) == ("closed", "auto") for entry in entries),
        "graces over": sum(entry["type"] == "unassigned" for entry in entries),
        "messages out": len(final.rows.deliveries),
    }


def _late(final: Final, server: Server) -> int:
    """Deadlines that fell into a time in which no server ran."""
    entries = [entry for timeline in final.timelines.values() for entry in timeline]
    moments = [milliseconds(entry["at"]) for entry in entries if deadline_of(entry) is not None]
    downs = [(killed, min(ready for ready in server.readies_ms if ready > killed)) for killed in server.kills_ms]
    return sum(any(killed < moment < ready for killed, ready in downs) for moment in moments)


def _sum_up(people: Sequence[Person]) -> str:
    requests = [request for person in people for request in person.ledger.requests]
    acknowledged = sum(request.result is not None for request in requests)
    unknown = sum(person.unanswered for person in people)
    entries = sum(len(session.entries) for person in people for session in person.ledger.sessions)
    return f"{len(requests)} requests, {acknowledged} acknowledged, {unknown} unknown, {entries} entries told"

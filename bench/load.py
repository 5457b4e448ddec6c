"""What the measurements with sockets share: houses side by side, each with a crowd of its own, asked in turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, TypeVar

import uvloop
from msgspec import Struct

from bench.house import House, a_store, config, postgres
from loadtest.crowd import Crowd
from loadtest.openloop import Run, flood, run, search
from loadtest.traffic import Traffic

T = TypeVar("T")


class Contestant(Struct):
    """A house and who asks it. ``frame``: requests in a frame; ``sessions`` of each agent."""

    name: str
    traffic: Callable[[], Traffic]
    kind: str = "signalbox"
    store: str = "sqlite"
    frame: int = 1
    senders: int = 50
    agents: int = 20
    sessions: int = 1
    batch: bool = True
    warm_up: int = 500  # requests


class Bout:
    """A contestant in its house, ready to be asked."""

    def __init__(self, contestant: Contestant, house: House) -> None:
        self.contestant = contestant
        self.house = house
        self.crowd = Crowd(house, batch=contestant.batch)
        self.traffic = contestant.traffic()

    async def prepare(self) -> None:
        """Everybody comes."""
        its = self.contestant
        await self.crowd.come(its.agents, its.senders, self.traffic.role, sessions=its.sessions)
        await self.traffic.prepare(self.crowd)
        self.crowd.count()
        await self.flood(its.warm_up)

    async def flood(self, count: int, depth: int = 4) -> float:
        """Requests a second, by a closed loop that ends with the last delivery."""
        return await flood(self.crowd, self.traffic, count, frame=self.contestant.frame, depth=depth)

    async def run(self, rate: float, seconds: float) -> Run:
        """One rate, by an open loop."""
        found = await run(self.crowd, self.traffic, rate, seconds, frame=self.contestant.frame)
        state = "kept" if found.is_sustained else f"not kept: {found.missing or found.refused}"
        print(f"  {self.contestant.name}: {rate:,.0f} a second {state}", flush=True)
        return found

    async def search(self, first: float, seconds: float, within: float) -> tuple[float, list[Run]]:
        """The highest sustainable rate, by open loops."""
        return await search(lambda rate: self.run(rate, seconds), first, within=within)


def with_houses(contestants: list[Contestant], work: Callable[[dict[str, Bout]], Awaitable[T]], **settings: Any) -> T:
    """Start a house for each, let its crowd come, do ``work`` with all of them, and end them."""

    async def whole(bouts: dict[str, Bout]) -> T:
        for name, bout in bouts.items():
            await bout.prepare()
            print(f"  {name}: ready", flush=True)
        found = await work(bouts)
        for bout in bouts.values():
            bout.crowd.leave()
        return found

    with ExitStack() as stack:
        server = stack.enter_context(postgres()) if any(c.store == "postgresql" for c in contestants) else None
        bouts = {}
        for its in contestants:
            url = stack.enter_context(a_store(its.store, server))
            house = stack.enter_context(House(config(its.agents, **settings), url, its.kind))
            bouts[its.name] = Bout(its, house)
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        return runner.run(whole(bouts))


async def floods_in_turns(bouts: dict[str, Bout], counts: dict[str, int], rounds: int) -> dict[str, list[float]]:
    """Floods of each, in turns; requests a second by name."""
    found: dict[str, list[float]] = {name: [] for name in bouts}
    for number in range(rounds):
        for name, bout in bouts.items():
            found[name].append(await bout.flood(counts[name]))
        print(f"  round {number + 1} of {rounds}: " + ", ".join(f"{n} {found[n][-1]:,.0f}" for n in bouts), flush=True)
    return found

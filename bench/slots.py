"""The limit test: 20 agents with 5 slots each, 140 customers, 1 to 64 at a time, over real sockets.

    python -m bench.slots                       # --store sqlite|postgresql, --quick

Each customer has a socket and starts a conversation on it; so many start at the same moment. Then the backend looks:
exactly 100 must be assigned, no agent above 5, 40 waiting. Then conversations are closed one by one: each slot that
comes free must go to the one that came first of those who wait. Live Helper Chat assigned all 140, with up to 10 for
one agent (``docs/performance.md``). It counts, it does not time. Exit code 1 if anything is wrong.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import uvloop
from msgspec import Struct

from bench import report
from bench.house import STORES, House, a_store, config, raise_limit
from bench.websocket import Session
from loadtest.crowd import asked_of

AGENTS, SLOTS, CUSTOMERS = 20, 5, 140
AT_A_TIME = (1, 2, 4, 8, 16, 32, 64)
NOT_SHOWN = "agents who come and go meanwhile, several services (for both: python -m tests.storm)"


class Outcome(Struct):
    """One round."""

    assigned: int
    most: int  # of one agent
    waiting: int
    in_order: int  # of those who waited, assigned in the order of their arrival

    @property
    def is_exact(self) -> bool:
        """As it must be."""
        waiting = CUSTOMERS - AGENTS * SLOTS
        return (self.assigned, self.most, self.waiting, self.in_order) == (AGENTS * SLOTS, SLOTS, waiting, waiting)


async def opened(house: House, role: Any, sub: str, errors: Counter[str]) -> Session:
    """A session."""
    host, port = house.address
    token = house.token(role, sub)
    loop = asyncio.get_running_loop()
    _, made = await loop.create_connection(lambda: Session(host, port, token, errors), host, port)
    await made.ready
    return made


async def play(house: House, at_a_time: int) -> Outcome:
    """Everybody comes, starts, and is looked at."""
    errors: Counter[str] = Counter()
    agents = [await opened(house, "agent", f"a{number}", errors) for number in range(AGENTS)]
    await asyncio.gather(*(asked_of(agent, "agent.set_availability", available=True) for agent in agents))
    people = [await opened(house, "contact", f"k{number}", errors) for number in range(CUSTOMERS)]
    started: list[dict[str, Any]] = []
    for begin in range(0, CUSTOMERS, at_a_time):
        asked = [asked_of(one, "conversation.start", service="s0", text="Hi") for one in people[begin:][:at_a_time]]
        started += await asyncio.gather(*asked)
    backend = await opened(house, "backend", "crm", errors)
    found = [await look(backend, item["conversation"]["id"]) for item in started]
    load = Counter(item["assignee"] for item in found if item["assignee"])
    # ids are given out in the order of arrival: they, not the order of the answers, say who came first
    waiting = sorted(item["id"] for item in found if item["queued"])
    taken = [item["id"] for item in found if item["assignee"]]
    in_order = await free(backend, taken, waiting)
    for client in (*agents, *people, backend):
        client.close()
    if errors:
        raise RuntimeError(f"refused: {dict(errors)}")
    return Outcome(sum(load.values()), max(load.values()), len(waiting), in_order)


async def look(backend: Session, name: str) -> dict[str, Any]:
    """A conversation's summary."""
    found: dict[str, Any] = (await asked_of(backend, "conversation.get", conversation=name, limit=0))["conversation"]
    return found


async def free(backend: Session, taken: list[str], waiting: list[str]) -> int:
    """Close as many as wait, one by one; how many of those who wait got the slot in their turn."""
    good = 0
    for name, expected in zip(taken, waiting, strict=False):
        await asked_of(backend, "conversation.close", conversation=name)
        later = waiting[waiting.index(expected) + 1 :][:1]
        moved = (await look(backend, expected))["assignee"] is not None
        jumped = bool(later) and (await look(backend, later[0]))["assignee"] is not None
        good += moved and not jumped
    return good


def main() -> int:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--store", choices=STORES, default="sqlite")
    given = parser.parse_args()
    raise_limit(1_000)
    made = report.Report("slots", f"{CUSTOMERS} customers for {AGENTS} agents × {SLOTS} slots", not_shown=NOT_SHOWN)
    made.columns = ["at a time", "assigned", "most of one agent", "waiting", "served in order"]
    exact = 0
    sizes = (1, 8, 64) if given.quick else AT_A_TIME
    for size in sizes:
        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        with a_store(given.store) as url, House(config(AGENTS, slots=SLOTS), url) as house, runner:
            found = runner.run(play(house, size))
        made.row(size, found.assigned, found.most, found.waiting, found.in_order)
        exact += found.is_exact
        print(f"  {size} at a time: {'exact' if found.is_exact else found}", flush=True)
    made.row("Live Helper Chat, 8", 140, 10, 0, None)
    made.goals = [report.Goal(f"rounds of {len(sizes)} that were exact", exact, "", len(sizes), len(sizes))]
    made.publish(keep=not given.quick)
    return 0 if exact == len(sizes) else 1


if __name__ == "__main__":
    raise SystemExit(main())

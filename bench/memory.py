"""Memory: a live conversation with its deadlines, an idle agent, an idle connection; beside a task each and stock.

    python -m bench.memory                      # --conversations 100000, --connections 2000, --quick
    python -m bench.memory --parts              # what a waiting conversation consists of, by the line that made it

Conversations and agents: what the core's process grows by (resident memory, and what Python itself counts) when they
begin to exist: each conversation with its contact, waiting in the queue or assigned, its deadlines on the wheel. An
actor as a trio task with a channel is measured the same way. Connections: what a server's process grows by for each
idle session, ours beside ``bench.stock`` (the same house behind trio-websocket as it comes).
"""

from __future__ import annotations

import asyncio
import gc
import linecache
import multiprocessing
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio
import trio.testing
import uvloop

from bench import report
from bench.house import House, a_store, config, raise_limit
from bench.loop_timers import resident
from bench.rooms import Room
from loadtest.crowd import Crowd

NOT_SHOWN = (
    "closed conversations, which are not in memory; long queues of unsent notices; the lists of agents with thousands "
    "of live conversations each; what the kernel keeps for a socket."
)


def growth(make: Callable[[], Any], counted: bool) -> float:
    """Bytes that this process grows by; ``counted``: as Python counts them, else as the system does."""
    gc.collect()
    if counted:
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] if counted else resident()
    kept = make()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0] if counted else resident()
    assert kept is not None
    return float(after - before)


def conversations(count: int, crew: bool) -> Room:
    """So many live ones, each with the first words of its contact; nobody there, or all assigned to 100 agents."""
    room = Room(agents=100, slots=None if crew else 0)
    for begin in range(0, count, 256):
        room.give(*(room.receive(f"+{n}", service="s0") for n in range(begin, min(count, begin + 256))))
    return room


def agents(count: int) -> Room:
    """So many agents, switched on."""
    return Room(agents=count)


def _in_a_process(what: str, count: int, counted: bool, out: Any) -> None:
    if what == "task":
        out.put(trio.run(_tasks, count, counted))
        return
    makers = {
        "waiting": lambda: conversations(count, crew=False),
        "assigned": lambda: conversations(count, crew=True),
        "agent": lambda: agents(count),
    }
    smaller = {"waiting": 1_000, "assigned": 1_000, "agent": 100}[what]
    first: list[Any] = [{"agent": agents}.get(what, lambda n: conversations(n, crew=what == "assigned"))(smaller)]
    out.put(growth(makers[what], counted) / count)
    first.clear()


async def _tasks(count: int, counted: bool) -> float:
    """Bytes of an actor that is a task with a channel and a deadline."""

    async def actor(channel: trio.MemoryReceiveChannel[object]) -> None:
        with trio.move_on_after(3_600):
            await channel.receive()

    async with trio.open_nursery() as nursery:
        kept: list[Any] = []
        gc.collect()
        if counted:
            tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0] if counted else resident()
        for _ in range(count):
            send, receive = trio.open_memory_channel[object](8)
            kept.append(send)
            nursery.start_soon(actor, receive)
        await trio.testing.wait_all_tasks_blocked()
        gc.collect()
        after = tracemalloc.get_traced_memory()[0] if counted else resident()
        nursery.cancel_scope.cancel()
    return (after - before) / count


def bytes_each(what: str, count: int, *, counted: bool = False) -> float:
    """Measured in a process of its own, which nothing else has used."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=_in_a_process, args=(what, count, counted, out))
    process.start()
    found: float = out.get(timeout=600)
    process.join()
    return found


def parts(count: int) -> None:
    """Print what each waiting conversation consists of, as Python counts it: bytes by the line that made them."""
    first = conversations(1_000, crew=False)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.take_snapshot()
    kept = conversations(count, crew=False)
    gc.collect()
    found = tracemalloc.take_snapshot().compare_to(before, "lineno")
    assert first is not kept
    for part in sorted(found, key=lambda part: -part.size_diff):
        place = part.traceback[0]
        if (size := part.size_diff / count) >= 1:
            code = linecache.getline(place.filename, place.lineno).strip()
            print(f"{size:8.1f}  {Path(place.filename).name}:{place.lineno}  {code[:90]}")
    print(f"{sum(part.size_diff for part in found) / count:8.1f}  altogether")


async def connected(house: House, count: int) -> float:
    """Bytes that a server grows by for each idle session of a backend."""
    crowd = Crowd(house)
    await crowd.come(1, 200, "backend")
    await asyncio.sleep(1)
    before = house.memory_mb()
    more = Crowd(house)
    await more.come(1, count, "backend")
    await asyncio.sleep(1)
    grown = (house.memory_mb() - before) * 1024 * 1024 / count
    for one in (crowd, more):
        one.leave()
    return grown


def connection(kind: str, count: int) -> float:
    """The same, with its server."""
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with a_store("sqlite") as url, House(config(1), url, kind) as house, runner:
        return runner.run(connected(house, count))


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--conversations", type=int)
    parser.add_argument("--connections", type=int)
    parser.add_argument("--parts", action="store_true")
    given = parser.parse_args()
    if given.parts:
        parts(given.conversations or 20_000)
        return
    many = given.conversations or (2_000 if given.quick else 100_000)
    sockets = given.connections or (300 if given.quick else 4_000)
    raise_limit(2 * sockets + 1_000)
    made = report.Report("memory", "Bytes each", not_shown=NOT_SHOWN)
    made.columns = ["", "how many", "bytes each, resident", "counted by Python"]
    found: dict[str, float] = {}
    few = max(500, many // 10)
    for name, what, count in (
        ("live conversation that waits, no crew, with contact and deadlines", "waiting", many),
        ("live conversation of an agent, with contact and deadlines", "assigned", many),
        ("idle agent", "agent", min(5_000, many)),
        ("actor as a trio task with a channel and a deadline", "task", few),
    ):
        found[what] = bytes_each(what, count)
        made.row(name, count, found[what], None if given.quick else bytes_each(what, min(count, 20_000), counted=True))
        print(f"  {name}: {found[what]:,.0f} bytes", flush=True)
    for name, kind in (("idle connection", "signalbox"), ("idle connection, stock trio-websocket", "bench.stock")):
        found[kind] = connection(kind, sockets)
        made.row(name, sockets, found[kind], None)
        print(f"  {name}: {found[kind]:,.0f} bytes", flush=True)
    made.goals = [
        report.Goal("live conversation with its deadlines and no crew", found["waiting"] / 1024, "kB", 1.5, 1.0, True),
        report.Goal("idle connection, share of stock", found["signalbox"] / found["bench.stock"], "×", 1.0, None, True),
        report.Goal("idle connection", found["signalbox"] / 1024, "kB", None, 15, True),
        report.Goal("idle agent to a trio task", found["agent"] / found["task"], "×", None, None, True),
    ]
    made.data = dict(found)
    made.publish(keep=not given.quick)


if __name__ == "__main__":
    main()

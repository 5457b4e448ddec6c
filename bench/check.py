"""A guard against getting slower that asserts no time: ratios of one run, each with a margin. ``make bench-check``.

    python -m bench.check                       # exit code 1 if one is beyond its margin
    python -m bench.check --update              # what is measured now becomes what later runs are compared with

Each probe measures two things in turns in the same process and takes the least of each: what slows the machine slows
both, and the ratio stays. For the core the other thing is a fixed piece of plain Python (``yardstick``), so the ratio
says how many yardsticks a message costs, on any machine with this Python. ``bench/baseline.json`` has the ratios;
a probe fails if it is worse than that by more than its margin.
"""

from __future__ import annotations

import asyncio
import gc
import json
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from actors.wheel import Timer, TimerWheel
from bench import report
from bench.assign import Indexed, world
from bench.house import a_store
from bench.rooms import BACKEND, Room, results
from protocol.codec import JSON
from storage.urls import open_store

BASELINE = Path(__file__).with_name("baseline.json")
ROUNDS = 7
MARGIN = 1.35  # a ratio of least times wobbles by a tenth on a busy machine


class Probe(Struct):
    """``this`` costs so many times ``that``; less is better. Both take no argument and return ns an operation."""

    name: str
    this: Callable[[], float]
    that: Callable[[], float]
    margin: float = MARGIN


def ns_each(work: Callable[[], object], times: int) -> float:
    """CPU time."""
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / times


def yardstick() -> float:
    """A fixed piece of plain Python: objects, a dict, a list, sorting, attributes."""

    def work() -> int:
        total = 0
        for number in range(300):
            items = {f"k{place}": (place, number) for place in range(20)}
            total += sum(value[0] for value in sorted(items.values(), reverse=True))
        return total

    return ns_each(work, 300)


def messages(room: Room) -> float:
    """A message of a contact, by the core alone."""
    return ns_each(lambda: room.messages(256), 256)


def chats(room: Room, numbers: list[int]) -> float:
    """A new conversation and its close, by the core alone: as many are live afterwards as before."""

    def work() -> None:
        first = numbers[0]
        numbers[0] += 64
        found = results(room.give(*(room.receive(f"+new{first + n}", service="s0") for n in range(64))))
        room.give(*(room.asked(BACKEND, "conversation.close", conversation=one.conversation.id) for one in found))

    return ns_each(work, 64)


def rearm(count: int = 20_000) -> float:
    """The wheel's lazy re-arm."""
    wheel, timers = TimerWheel(), [Timer(number) for number in range(count)]
    deadlines = [random.Random(1).randrange(10**6, 2 * 10**6) for _ in timers]
    for timer, deadline in zip(timers, deadlines, strict=True):
        wheel.arm(timer, deadline)

    def work() -> None:
        for timer, deadline in zip(timers, deadlines, strict=True):
            wheel.arm(timer, deadline + 60_000)

    return ns_each(work, count)


def rearm_asyncio(count: int = 20_000) -> float:
    """asyncio's: cancel, and call_at again."""
    loop = asyncio.new_event_loop()
    handles = [loop.call_at(1e9 + number, print) for number in range(count)]

    def work() -> None:
        for place, handle in enumerate(handles):
            handle.cancel()
            handles[place] = loop.call_at(2e9 + place, print)

    found = ns_each(work, count)
    loop.close()
    return found


def frames(one: int, count: int = 2_048) -> float:
    """Decoding requests, so many in a frame."""
    request = b'{"jsonrpc":"2.0","id":%d,"method":"message.send","params":{"conversation":"c1","text":"Hello there"}}'
    items = [request % number for number in range(count)]
    made = [b"[" + b",".join(items[at : at + one]) + b"]" if one > 1 else items[at] for at in range(0, count, one)]

    def work() -> None:
        for frame in made:
            for _ in JSON.decode(frame, 256):
                pass

    return ns_each(work, count)


def commits(size: int, folder: str, count: int = 256) -> float:
    """Committing messages to SQLite, so many in a transaction; wall time, since it is the disk that is waited for."""
    room = Room(contacts=64, start=f"{size}-{time.time_ns()}")
    store = open_store(folder)
    room.core.house.seq = store.load().last_seq
    batches = [room.messages(size) for _ in range(0, count, size)]
    began = time.perf_counter_ns()
    for batch in batches:
        store.commit(batch)
    found = (time.perf_counter_ns() - began) / count
    store.close()
    return found


def probes(url: str) -> list[Probe]:
    """All of them."""
    small, large = Room(contacts=100), Room(contacts=10_000)
    for room in (small, large):
        gc.collect()
        room.messages(64)
    few, many = (Indexed(*world(size)) for size in (100, 10_000))
    numbers = {id(small): [0], id(large): [0]}
    ticks = iter(range(10**9, 10**10))

    def picks(index: Indexed) -> float:
        return ns_each(lambda: [index.assign(next(ticks)) for _ in range(2_000)], 2_000)

    return [
        Probe("core: a message, in yardsticks", partial(messages, small), yardstick),
        Probe("core: a message with 10,000 live to one with 100", partial(messages, large), partial(messages, small)),
        Probe("core: a new chat with 10,000 live to one with 100", partial(chats, large, numbers[id(large)]),
              partial(chats, small, numbers[id(small)])),
        Probe("assignment: among 10,000 agents to among 100", partial(picks, many), partial(picks, few)),
        Probe("wheel: a deadline moved later, to asyncio's", rearm, rearm_asyncio),
        Probe("codec: a request of 64 in a frame to one alone", partial(frames, 64), partial(frames, 1)),
        Probe("store: an event of 256 in a commit to one alone", partial(commits, 256, url), partial(commits, 1, url),
              5.0),
    ]  # fmt: skip


def measured(probe: Probe, rounds: int) -> float:
    """The ratio of the least of each, in turns."""
    this, that = zip(*((probe.this(), probe.that()) for _ in range(rounds)), strict=True)
    return min(this) / min(that)


def judged(name: str, now: float, before: dict[str, float], margin: float) -> bool:
    """Whether it is within its margin; what nobody measured before is."""
    return name not in before or now <= before[name] * margin


def main() -> int:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--update", action="store_true", help="keep what is measured now")
    given = parser.parse_args()
    before: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    made = report.Report("check", "Ratios of one run, with a margin")
    made.columns = ["", "now", "before", "margin", ""]
    now, worse = {}, []
    with a_store("sqlite") as url:
        for probe in probes(url):
            now[probe.name] = measured(probe, 3 if given.quick else ROUNDS)
            good = judged(probe.name, now[probe.name], before, probe.margin)
            worse += [] if good else [probe.name]
            made.row(probe.name, now[probe.name], before.get(probe.name), probe.margin, "" if good else "WORSE")
    made.publish(keep=False)
    if given.update:
        BASELINE.write_text(json.dumps({name: round(value, 4) for name, value in now.items()}, indent=1) + "\n")
        return 0
    print(f"worse than before: {', '.join(worse)}" if worse else "nothing is worse than before")
    return 1 if worse else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Lists of conversations from indexes beside a plain scan of all records: the same page, the same counts, taking turns.

    python -m bench.views [--quick] [--plot docs/img/views.png]        # --quick: to 10,000, without the plot

A house of 40 services and 6 channels with n open conversations, loaded as after a restart. One agent of all 40 services
asks for pages of 50 with counts: ``Views.page``, and a loop over every record that does the same by definition. Both
answers are compared before anything is timed.
"""

import argparse
import gc
import os
import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from heapq import nlargest
from importlib.metadata import version
from itertools import cycle
from pathlib import Path
from typing import Any

from msgspec import Struct, convert, structs

from actors.core import Core
from actors.places import EVERY
from actors.summary import summary
from actors.views import passes, wanted_of
from protocol.ids import Principal
from protocol.objects import Conversation
from protocol.records import AgentRecord, ContactRecord, ConversationRecord, ServiceRecord, Snapshot
from protocol.requests import STATUSES, ConversationItems, ConversationList
from protocol.settings import AgentSettings, ServiceSettings, WorkspaceSettings

NOW = 1_767_603_600_000
SERVICES = [f"s{number:02}" for number in range(40)]
CHANNELS = ("web", "sms", "whatsapp", "email", "messenger", "scheduler")
AGENTS = [f"a{number:03}" for number in range(100)]  # who have conversations in grab mode; the reader is another
READER = Principal("agent", "reader")
PAGE = 50
CHANGES = 2_000

NOTES = """
index: Views.page, as the core answers conversation.list. scan: a loop over all records, statuses worked out, nlargest
by id (sorted for "longest waiting"), 50 summaries. Medians of alternating runs, in CPU time, collector off. An admin
and a representative see the same in push mode; in grab mode a representative sees what nobody owns and an admin
everything: cells are kept by owner there (100 of them here), and once more for all. "by tag" and "longest waiting" go
through everything in both contestants. A change is paid for by every request that changes a
status, a filter's field or an owner; the scan pays nothing. Not shown: decoding, encoding and the socket, closed
conversations (from the store), live lists, memory, the time to load, other spreads of conversations over services,
channels and owners, other machines. Look at the ratios, not at the digits."""


class Case(Struct, frozen=True):
    """A list that somebody asks for."""

    title: str
    params: dict[str, Any] = {}
    mode: str = "push"
    role: str = "representative"
    page: int = 1


CASES = (
    Case("first page"),
    Case("first page, admin", role="admin"),
    Case("100th page, by cursor", page=100),
    Case("status overdue", {"status": "overdue"}),
    Case("two channels of six", {"channels": ("sms", "email")}),
    Case("one service of forty", {"service": "s07"}),
    Case("by tag", {"tag": "refund"}),
    Case("longest waiting first", {"sort": "waiting"}),
    Case("grab mode", mode="grab"),
    Case("grab mode, admin", mode="grab", role="admin"),
)


# ---------------------------------------------------------------- the house


def house_of(count: int, mode: str, role: str) -> Core:
    """A core that has loaded this many conversations."""
    chance = random.Random(count)
    agents = [*AGENTS, READER.sub]
    members = [{"agent": READER.sub, "role": role}, *({"agent": agent} for agent in AGENTS)]
    services = [convert({"id": name, "mode": mode, "members": members}, ServiceSettings) for name in SERVICES]
    people = range(max(1, count // 3))
    core = Core(WorkspaceSettings())
    core.load(
        Snapshot(
            services=tuple(ServiceRecord(id=s.id, position=place, settings=s) for place, s in enumerate(services)),
            agents=tuple(AgentRecord(id=a, position=p, settings=AgentSettings(id=a)) for p, a in enumerate(agents)),
            contacts=tuple(ContactRecord(id=f"p{number}", name=f"Person {number}") for number in people),
            conversations=tuple(_record(number, chance, len(people)) for number in range(count)),
            last_seq=count,
        ),
        NOW,
    )
    return core


def _record(number: int, chance: random.Random, people: int) -> ConversationRecord:
    """Four in five have an agent; half wait for an answer, some of those too long; some are tagged."""
    agent = chance.choice(AGENTS) if chance.random() < 0.8 else None
    waits = chance.random() < 0.5
    since = NOW - chance.randrange(600_000) if waits else None
    late = None if since is None or NOW - since < 180_000 else "soon" if NOW - since < 300_000 else "overdue"
    channel = chance.choice(CHANNELS)
    return ConversationRecord(
        id=f"c{number:012x}", service=chance.choice(SERVICES), channel=channel,
        channel_class="chat" if channel in ("web", "scheduler") else "email" if channel == "email" else "messaging",
        contact=f"p{chance.randrange(people)}", assignee=agent, crew=(agent,) if agent else (), owner=agent,
        queued=agent is None, age_since=NOW, created_at=NOW, waiting_since=since, lateness=late,
        tags=("refund",) if chance.random() < 0.05 else (),
    )  # fmt: skip


# ---------------------------------------------------------------- the contestants


def indexed(core: Core, params: ConversationList) -> ConversationItems:
    """The page from the indexes."""
    return core.house.views.page(params, READER, NOW, ())


def scanned(core: Core, params: ConversationList) -> ConversationItems:
    """Every record: whether it is in the list, what counts it; then the first of them after the cursor."""
    house, wanted = core.house, wanted_of(params) or {EVERY}
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    found = []
    for actor in house.conversations.values():
        record = actor.record
        if passes(house, params, READER, record):
            statuses = set(house.views.where.statuses(record))
            for status in statuses & counts.keys():
                counts[status] += 1
            if statuses & wanted:
                found.append(record)
    shown = list(_first(found, params))
    return ConversationItems(tuple(_summaries(core, shown[:PAGE])), counts, _cursor(params, shown))


def _first(found: list[ConversationRecord], params: ConversationList) -> list[ConversationRecord]:
    """One more than a page of them, in order."""
    if params.sort == "waiting":
        return sorted(found, key=lambda r: (r.waiting_since is None, r.waiting_since or 0, r.id))[: PAGE + 1]
    before = (r for r in found if params.cursor is None or r.id < params.cursor)
    return nlargest(PAGE + 1, before, key=lambda r: r.id)


def _summaries(core: Core, records: list[ConversationRecord]) -> Iterator[Conversation]:
    return (summary(core.house, record, NOW) for record in records)


def _cursor(params: ConversationList, shown: list[ConversationRecord]) -> str | None:
    return shown[PAGE - 1].id if len(shown) > PAGE and params.sort != "waiting" else None


# ---------------------------------------------------------------- measuring


class Figure(Struct, frozen=True):
    """Milliseconds a page."""

    index: float
    scan: float


def milliseconds(call: Callable[..., Any], *arguments: Any) -> float:
    """CPU of one call, ms."""
    start = time.thread_time_ns()
    call(*arguments)
    return (time.thread_time_ns() - start) / 1e6


def measure(core: Core, case: Case, runs: int) -> Figure | None:
    """A case's medians; None = there is no such page."""
    params = ConversationList(limit=PAGE, **case.params)
    for _ in range(case.page - 1):
        cursor = indexed(core, params).cursor
        if cursor is None:
            return None
        params = structs.replace(params, cursor=cursor)
    _compare(indexed(core, params), scanned(core, params))
    taken: dict[Any, list[float]] = {indexed: [], scanned: []}
    for _ in range(runs):
        for contestant in (indexed, scanned):
            taken[contestant].append(milliseconds(contestant, core, params))
    return Figure(statistics.median(taken[indexed]), statistics.median(taken[scanned]))


def _compare(left: ConversationItems, right: ConversationItems) -> None:
    assert left.items == right.items
    assert left.counts == right.counts


def change_us(core: Core) -> float:
    """Microseconds of the indexes for a change of status: an answer, or a new wait."""
    chance, views = random.Random(7), core.house.views
    actors = chance.sample(list(core.house.conversations.values()), min(CHANGES, len(core.house.conversations)))
    start = time.thread_time_ns()
    for actor in actors:
        record = actor.record
        record.waiting_since = NOW if record.waiting_since is None else None
        record.lateness = None
        views.put(record)
    return (time.thread_time_ns() - start) / 1e3 / len(actors)


def figures(count: int, runs: int) -> tuple[dict[str, Figure | None], dict[str, float]]:
    """Every case at one size, and what a change costs in each mode. Houses are made one at a time."""
    found: dict[str, Figure | None] = {}
    changes: dict[str, float] = {}
    for mode, role in dict.fromkeys((case.mode, case.role) for case in CASES):
        core = house_of(count, mode, role)
        gc.collect()
        for case in CASES:
            if (case.mode, case.role) == (mode, role):
                found[case.title] = measure(core, case, runs)
        changes[mode] = change_us(core)
    return {case.title: found[case.title] for case in CASES}, changes


# ---------------------------------------------------------------- saying it


def say(count: int, found: dict[str, Figure | None], changes: dict[str, float]) -> None:
    """One table for so many open conversations."""
    print(f"\n{count:,} open conversations{'':12}{'index ms':>12}{'scan ms':>12}{'scan / index':>14}")
    for title, figure in found.items():
        if figure is None:
            print(f"  {title:38}{'there are fewer pages':>24}")
        else:
            ratio = figure.scan / figure.index
            print(f"  {title:32}{figure.index:12.2f}{figure.scan:12.2f}{ratio:14.1f}")
    costs = ", ".join(f"{mode} {cost:.1f} µs" for mode, cost in changes.items())
    print(f"  a change to the indexes: {costs}")


def plot(path: Path, by_size: dict[int, dict[str, Figure | None]], machine: str) -> None:
    """The same figures as lines; nothing if matplotlib is not there."""
    try:
        import matplotlib
    except ImportError:
        print("\nno plot: pip install matplotlib")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = ("first page", "100th page, by cursor", "status overdue", "by tag", "grab mode, admin")
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for title, colour in zip(shown, cycle(pyplot.rcParams["axes.prop_cycle"].by_key()["color"]), strict=False):
        points = [(size, found[title]) for size, found in by_size.items()]
        there = [(size, cost) for size, cost in points if cost is not None]
        axes.plot([n for n, _ in there], [c.index for _, c in there], "o-", color=colour, label=title)
        axes.plot([n for n, _ in there], [c.scan for _, c in there], ":", color=colour)
    axes.set(
        xscale="log", yscale="log", xlabel="open conversations", ylabel="milliseconds (dotted: the same by a scan)"
    )
    axes.set_title(f"A page of 50 with counts, an agent of 40 services\n{machine}", fontsize=9)
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    print(f"\nplot: {path}")


def machine_line() -> str:
    """Where and when this was measured."""
    libraries = ", ".join(f"{name} {version(name)}" for name in ("sortedcontainers", "msgspec"))
    where = f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"
    return f"CPython {platform.python_version()}, {libraries}; {where}; {datetime.now(UTC):%Y-%m-%d}"


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = argparse.ArgumentParser(description="Pages of lists: indexes beside a scan.")
    parser.add_argument("--quick", action="store_true", help="to 10,000 conversations, 5 runs, no plot")
    parser.add_argument("--plot", type=Path, default=Path("docs/img/views.png"))
    options = parser.parse_args()
    sizes = (1_000, 10_000) if options.quick else (1_000, 10_000, 50_000, 200_000)
    print(machine_line())
    gc.disable()
    by_size = {}
    for count in sizes:
        found, changes = figures(count, 5 if options.quick or count > 50_000 else 9)
        by_size[count] = found
        say(count, found, changes)
    print(NOTES)
    if not options.quick:
        plot(options.plot, by_size, machine_line())


if __name__ == "__main__":
    main()

"""From a crash to ready with 100,000 live conversations: how long until the server takes connections.

    python -m bench.restart                     # --conversations 100000, --store sqlite|postgresql, --quick

The store is filled by the core itself in virtual time, 200 agents, each conversation with a contact and three entries.
Then the server is started on it, killed and started again. Time counts from the start of the process (Python and its
imports too) until it says that it is ready, which is after the configuration is committed and deadlines are armed. The
CPU time of the server until then, and that of PostgreSQL meanwhile, are what it would take on a machine of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench import report
from bench.database import Database, more_s
from bench.house import STORES, House, a_store, config, raise_limit
from bench.rooms import Room
from storage.urls import open_store

AGENTS = 200
A_STEP = 512
NOT_SHOWN = (
    "a machine that has just booted (the files are in the system's cache), clients that all come back at once (python "
    "-m tests.kill), PostgreSQL over a network, PostgreSQL's own recovery after a crash of its machine."
)


def fill(url: str, count: int) -> None:
    """Live conversations, assigned to agents."""
    store = open_store(url)
    room = Room(agents=AGENTS, keep=store.commit, now=time.time_ns() // 1_000_000)  # nothing is overdue
    for begin in range(0, count, A_STEP):
        room.give(*(room.receive(f"+{n}", service="s0") for n in range(begin, min(count, begin + A_STEP))))
    store.close()


def size_mb(url: str) -> float | None:
    """Of a SQLite file."""
    if not url.startswith("sqlite:///"):
        return None
    return Path(url.removeprefix("sqlite:///")).stat().st_size / 1e6


def imports_s() -> tuple[float, float]:
    """What Python takes to start and import the server, before it looks at a store: seconds, and of CPU."""
    began, before = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-c", "import router.server"], check=True)
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu_s


def main() -> None:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--conversations", type=int)
    parser.add_argument("--store", choices=STORES, action="append")
    given = parser.parse_args()
    raise_limit(500)
    most = given.conversations or (2_000 if given.quick else 100_000)
    sizes = [most] if given.quick else [0, most // 10, most]
    made = report.Report("restart", "Seconds from the start of the process to ready", not_shown=NOT_SHOWN)
    made.columns = ["store", "live conversations", "seconds", "CPU seconds", "PostgreSQL's", "memory MB", "store MB"]
    imports = min(imports_s() for _ in range(3))
    made.row("(Python and imports alone)", None, *imports)
    for kind in given.store or (STORES[:1] if given.quick else STORES):
        for size in sizes:
            with a_store(kind) as url:
                fill(url, size)
                database, times, cpu, others = Database(url), [], [], []
                for _ in range(1 if given.quick else 3):
                    before = database.cpu_s()
                    with House(config(AGENTS), url) as house:
                        cpu.append(house.cpu_s())
                        others.append(more_s(before, database.cpu_s()))
                        times.append(house.started_s)
                        memory = house.memory_mb()
                        house.stop(kill=True)
                of_postgres = min(others) if kind == "postgresql" else None
                made.row(kind, size, statistics.median(times), min(cpu), of_postgres, memory, size_mb(url))
                made.data[f"{kind} {size}"] = times
                made.data[f"{kind} {size} CPU"] = cpu
                made.data[f"{kind} {size} CPU of PostgreSQL"] = others
                print(f"  {kind}, {size:,}: {statistics.median(times):.2f} s, CPU {min(cpu):.2f} s", flush=True)
        what = f"restart with {most:,} live conversations, {kind}"
        made.goals.append(report.Goal(what, statistics.median(times), "s", 5, 2, is_cost=True))
        made.goals.append(report.Goal("the same, CPU time of the server", min(cpu), "s", None, None, is_cost=True))
    made.publish(keep=not given.quick)


if __name__ == "__main__":
    main()

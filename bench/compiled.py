"""The core interpreted and compiled: the same work in two processes, in turns, CPU time.

    make compiled                        # makes build/compiled, once
    python -m bench.compiled             # [--quick] [--tree build/compiled]

Timers, what one message costs the core alone, the pick of an agent, a whole turn: as in ``bench.wheel``,
``bench.batch`` and ``bench.assign``, but by ``time.process_time``, so that other work on the machine counts for little.
The garbage collector is set as the server sets it (``router/garbage.py``), and no output is kept.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import report
from bench.assign import Indexed, us_each, whole_turns, world
from bench.batch import core_alone
from bench.wheel import HOUR, Wheel
from router import build, garbage

TREE = report.ROOT / "build" / "compiled"
NOT_SHOWN = (
    "the shell, the codec and the store, which stay as they are: the whole server gains as its core is a part of it. "
    "The calls come from interpreted code, as the server's do."
)


def wheel(count: int) -> dict[str, float]:
    """ns of CPU for each timer."""
    chance = random.Random(1)
    numbers = chance.sample(range(count), count)
    deadlines = [chance.randrange(HOUR // 2, HOUR) for _ in numbers]
    made, found = Wheel(count), {}
    found["timer: arm, ns"] = ns_each(made.arm, numbers, deadlines)
    found["timer: move later, ns"] = ns_each(made.arm, numbers, [deadline + 60_000 for deadline in deadlines])
    found["timer: cancel, ns"] = ns_each(made.cancel, numbers[::2])
    began = time.process_time_ns()
    fired = sum(sum(made.advance(tick)) for tick in range(0, 2 * HOUR, HOUR // 1000))
    found["timer: fire, ns"] = (time.process_time_ns() - began) / fired
    assert fired == len(numbers[1::2])
    return found


def ns_each(call: Callable[..., None], *arguments: list[int]) -> float:
    """Nanoseconds of CPU a call."""
    rows = list(zip(*arguments, strict=True))
    began = time.process_time_ns()
    for row in rows:
        call(*row)
    return (time.process_time_ns() - began) / len(rows)


def measured(quick: bool) -> dict[str, float]:
    """Every figure, in this process. The timers come last: they leave the memory in pieces."""
    found: dict[str, float] = {}
    with garbage.loading():
        indexed = Indexed(*world(1_000 if quick else 10_000))
    found["pick of an agent, µs"] = min(us_each(indexed.assign, 10_000, start) for start in (10**9, 10**10, 10**11))
    found["pick of one that waits, µs"] = min(us_each(indexed.refill, 10_000, start) for start in (10**9, 10**10))
    found["core alone: a message, µs"] = 1e6 / core_alone(2_048 if quick else 20_000)
    found["one closed, another assigned: whole turn, µs"] = whole_turns(1_000, 200 if quick else 1_000)
    return found | wheel(50_000 if quick else 300_000)


def in_tree(tree: Path, wanted: str, quick: bool) -> dict[str, float]:
    """The figures of a process of its own, whose code is that of ``tree``."""
    command = [sys.executable, "-m", "bench.compiled", "--here", *(["--quick"] if quick else [])]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    if found.pop("core") != wanted:
        raise SystemExit(f"the core of {tree} is not {wanted}")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure both and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("--tree", type=Path, default=TREE, help="where the compiled core is (default: build/compiled)")
    parser.add_argument("--rounds", type=int, default=3, help="of each (default: 3; the least counts)")
    parser.add_argument("--here", action="store_true", help="measure this process's core only, print JSON")
    given = parser.parse_args(arguments)
    if given.here:
        print(json.dumps({**measured(given.quick), "core": build.core()}))
        return
    if not (given.tree / "bench").is_dir():
        raise SystemExit(f"there is no compiled core in {given.tree}: make compiled")
    trees = {"pure Python": report.ROOT, "compiled": given.tree.resolve()}
    rounds = [
        {name: in_tree(tree, name, given.quick) for name, tree in trees.items()}
        for _ in range(1 if given.quick else given.rounds)
    ]
    made = report.Report("compiled", "The core, interpreted and compiled: CPU time", not_shown=NOT_SHOWN)
    made.columns = ["", "pure Python", "compiled", "times as fast"]
    for what in rounds[0]["compiled"]:
        pure, compiled = ([turn[name][what] for turn in rounds] for name in ("pure Python", "compiled"))
        made.row(what, min(pure), min(compiled), report.ratio(pure, compiled))
    made.data = {"rounds": rounds}
    made.publish(keep=not given.quick)


if __name__ == "__main__":
    main()

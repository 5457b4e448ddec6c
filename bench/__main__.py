"""All measurements, one after the other: ``python -m bench [--quick]``; ``make bench``.

Each is a process of its own. A full run takes a quarter of an hour and more, and keeps what it finds; a quick one
takes under two minutes. Exit code 1 if one of them failed: the others are run all the same.
"""

from __future__ import annotations

import subprocess
import sys
import time

from bench import report

#: the rows of docs/performance.md, then what has a chapter there
ROWS = ("batch", "single", "fanout", "commit", "wheel", "assign", "chats", "slots", "memory", "restart")
OTHERS = ("views", "erlang")


def main() -> int:
    """Measure and print; a full run is kept."""
    parser = report.parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"only these, of {', '.join(ROWS + OTHERS)}")
    given = parser.parse_args()
    names = given.names or [*ROWS, *(() if given.quick else OTHERS)]
    failed = []
    for number, name in enumerate(names, 1):
        began = time.perf_counter()
        print(f"== {number} of {len(names)}: {name}", flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *(["--quick"] if given.quick else [])]
        if subprocess.run(command, cwd=report.ROOT).returncode:
            failed.append(name)
        print(f"== {name}: {time.perf_counter() - began:.0f} s", flush=True)
    if not given.quick:
        subprocess.run([sys.executable, "-m", "bench.summary"], cwd=report.ROOT, check=True)
    print(f"failed: {', '.join(failed)}" if failed else "all done")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""``python -m tests.kill``: see the package's docstring."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.kill.run import campaign


def main() -> int:
    """0 if nothing broke; else the seed and what did."""
    parser = argparse.ArgumentParser(prog="tests.kill", description="Kill a server under load; nothing may be lost.")
    parser.add_argument("--kills", type=int, default=20, help="how often (default: 20)")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(10**6), help="of all dice (default: a random one)"
    )
    parser.add_argument("--store", default="sqlite", metavar="URL", help="sqlite, or the URL of an empty store")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="signalbox-kill-") as name:
        url = f"sqlite:///{name}/signalbox.db" if options.store == "sqlite" else options.store
        print(f"seed {options.seed}, {options.kills} kills", flush=True)
        began = time.monotonic()
        report = asyncio.run(
            campaign(options.kills, options.seed, url, Path(name), lambda text: print(text, flush=True))
        )
    for what, count in report.counts.items():
        print(f"{what:>16} {count}")
    print(f"{time.monotonic() - began:.1f} s")
    for problem in report.problems[:50]:
        print(f"BROKEN: {problem}")
    if report.problems:
        print(f"seed {options.seed}: {len(report.problems)} problems")
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())

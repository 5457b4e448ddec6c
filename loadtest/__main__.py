"""A day of load against a server of its own: ``make loadtest``, ``python -m loadtest``.

Starts the server on a temporary store, runs Locust headless against it for a bounded time and ends both. Exit code 1 if
anything that was acknowledged was not delivered, or anything was refused.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench import report
from bench.house import SECRET, STORES, House, a_store, config, raise_limit

ROOT = Path(__file__).parents[1]
AGENTS, SERVICES, SLOTS = 200, 4, 5


def configuration() -> str:
    """Agents shared out among services, and a lead of each."""
    text = config(AGENTS, services=SERVICES, slots=SLOTS, reopen="new")
    for number in range(SERVICES):
        members = f'id = "s{number}"\nmembers = ['
        text = text.replace(members, f'{members}{{agent = "lead{number}", role = "admin"}}, ')
    return text + "".join(f'[[agents]]\nid = "lead{number}"\n' for number in range(SERVICES))


def main() -> int:
    """Load, judge, print. 0: everything acknowledged was delivered."""
    parser = report.parser(__doc__)
    parser.add_argument("--users", type=int, default=100, help="in the busiest hour (default: 100)")
    parser.add_argument("--seconds", type=int, default=60, help="that the day lasts (default: 60)")
    parser.add_argument("--hurry", type=float, default=4.0, help="times faster than people are (default: 4)")
    parser.add_argument("--store", choices=STORES, default="sqlite")
    parser.add_argument("--web", action="store_true", help="Locust's page on http://127.0.0.1:8089 instead")
    given = parser.parse_args()
    users, seconds = (30, 15) if given.quick else (given.users, given.seconds)
    raise_limit(4 * users + 500)
    with a_store(given.store) as url, House(configuration(), url) as house:
        environ = {
            **os.environ, "LOADTEST_SECRET": SECRET, "LOADTEST_USERS": str(users), "LOADTEST_DAY_S": str(seconds),
            "LOADTEST_HURRY": str(given.hurry), "LOADTEST_AGENTS": str(AGENTS), "LOADTEST_SERVICES": str(SERVICES),
        }  # fmt: skip
        command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--host", house.url]
        command += ["--web-host", "127.0.0.1"] if given.web else ["--headless", "--only-summary"]
        locust = subprocess.Popen(command, cwd=ROOT, env=environ | {"PYTHONPATH": str(ROOT)})
        try:
            code = locust.wait()
        except KeyboardInterrupt:  # Locust has heard it too
            code = locust.wait(60)
        print(f"server: {house.cpu_s():.1f} s of CPU, {house.memory_mb('VmHWM'):.0f} MB at its peak")
    print(f"{report.command()}\n{report.machine()}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())

"""Mixed load for a long time: does the server's memory grow?

    python -m tests.kill.soak --minutes 60 [--plot soak.png]

The crowd of the kill test works in fair weather; the server's resident memory is read every few seconds. Printed: where
it began and ended, and the slope of the second half (least squares), which should be about zero. What is closed
stays in memory up to a bound (10,000 conversations), so a short run shows that filling up.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from pathlib import Path

from router.auth import Gate
from tests.kill.client import TOKEN_MS, Place
from tests.kill.people import CONFIG, Person, everybody
from tests.kill.process import SECRET, Server
from tests.kill.run import _ended, _working

EVERY_S = 5.0
TELL_EVERY = 60  # samples
Sample = tuple[float, float]  # seconds, MB


async def soak(minutes: float, folder: Path) -> tuple[list[Sample], int]:
    """The server's memory over time, and how many requests there were."""
    server = Server(folder, CONFIG, f"sqlite:///{folder}/signalbox.db")
    place = Place(Gate(secret=SECRET.encode()), int(time.time() * 1000))
    people = everybody(place, random.Random(1))
    samples: list[Sample] = []
    requests = 0
    async with _working(people), _ended(server):
        await server.start()
        place.url = await server.ready()
        place.up.set()
        began = time.monotonic()
        while (now := time.monotonic() - began) < minutes * 60:
            samples.append((now, _resident_mb(server.pid)))
            requests += _forget(people)
            if len(samples) % TELL_EVERY == 0:
                print(f"{now / 60:.0f} min: {requests} requests, {samples[-1][1]:.0f} MB", flush=True)
            await asyncio.sleep(EVERY_S)
    return samples, requests


def _forget(people: list[Person]) -> int:
    """The crowd remembers everything for the checker; here nobody checks. How many requests were forgotten."""
    count = 0
    for person in people:
        for session in person.ledger.sessions:
            del session.entries[:-1]
        count += max(0, len(person.ledger.requests) - 100)
        del person.ledger.requests[:-100]
    return count


def _resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)


def slope(samples: list[Sample]) -> float:
    """MB an hour, by least squares."""
    mean_s = sum(second for second, _ in samples) / len(samples)
    mean_mb = sum(mb for _, mb in samples) / len(samples)
    spread = sum((second - mean_s) ** 2 for second, _ in samples)
    return 3600 * sum((second - mean_s) * (mb - mean_mb) for second, mb in samples) / spread


def _plot(samples: list[Sample], path: str) -> None:
    try:
        import matplotlib
    except ImportError:
        print(f"SKIPPED: no plot in {path}, there is no matplotlib (pip install signalbox[bench])")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.plot([second / 60 for second, _ in samples], [mb for _, mb in samples])
    pyplot.xlabel("minutes")
    pyplot.ylabel("resident memory, MB")
    pyplot.ylim(bottom=0)
    pyplot.savefig(path)


def main() -> int:
    """0 when it is over."""
    parser = argparse.ArgumentParser(prog="tests.kill.soak", description="Mixed load for a long time.")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--plot", default="soak.png", metavar="FILE")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="signalbox-soak-") as name:
        samples, requests = asyncio.run(soak(min(options.minutes, TOKEN_MS / 60_000 - 1), Path(name)))
    later = samples[len(samples) // 2 :]
    print(f"{samples[0][1]:.0f} MB at the start, {samples[-1][1]:.0f} MB after {samples[-1][0] / 60:.1f} minutes")
    print(f"{requests} requests")
    print(f"slope of the second half: {slope(later):+.1f} MB an hour")
    _plot(samples, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The kill test in the worst weather: a network with faults, SIGSTOP and restarts of PostgreSQL, besides kill -9.

    python -m tests.kill.storm --minutes 10 [--kills 1000] [--seed 7] [--store sqlite|postgres]

Rounds of some kills each, every round on a store of its own and with a seed of its own, until the time is over or so
many kills are done. The same checker judges as in fair weather: see the package's docstring.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

from storage.raw import reading
from storage.tables import CONVERSATIONS, ENTRIES
from tests.kill.database import Database
from tests.kill.process import Server
from tests.kill.proxy import FaultProxy
from tests.kill.run import Report, campaign

KILLS_A_ROUND = 20
PAUSE_S = (0.05, 1.5)
AWAY_S = (0.0, 0.8)


class Storm:
    """The weather of one round; ``database``: the PostgreSQL that is restarted now and then."""

    expected = ("the store refused a batch", "cannot read", "reading failed", "the store takes no changes")

    def __init__(self, rng: random.Random, database: Database | None) -> None:
        self.struck: Counter[str] = Counter()
        self.proxy = FaultProxy(random.Random(rng.random()))
        self._rng = rng
        self._database = database
        self._url: str | None = None

    async def route(self, url: str) -> str:
        """Through the proxy."""
        parts = urlsplit(url)
        self.proxy.target = (parts.hostname or "", parts.port or 0)
        self._url = self._url or await self.proxy.start()
        return self._url

    async def strike(self, server: Server) -> None:
        """Sometimes the process stands still for a moment, sometimes the database goes away."""
        roll = self._rng.random()
        if roll < 0.15:
            self.struck["paused"] += 1
            await server.pause(self._rng.uniform(*PAUSE_S))
        elif roll < 0.30 and self._database is not None:
            self.struck["database restarted"] += 1
            await asyncio.to_thread(self._database.stop, at_once=self._rng.random() < 0.5)
            await asyncio.sleep(self._rng.uniform(*AWAY_S))
            await asyncio.to_thread(self._database.start)
            await asyncio.sleep(self._rng.uniform(*PAUSE_S))

    def calm(self) -> None:
        """The rest is fair weather."""
        self.proxy.calm = True


async def one_round(kills: int, seed: int, folder: Path, database: Database | None) -> Report:
    """A campaign on an empty store, in a storm."""
    url = f"sqlite:///{folder}/signalbox.db"
    if database is not None:
        url = await asyncio.to_thread(database.create)
    weather = Storm(random.Random(seed), database)
    try:
        report = await campaign(kills, seed, url, folder, lambda text: None, weather)
    finally:
        await weather.proxy.close()
    if report.problems:
        (folder / "rows.txt").write_text(await asyncio.to_thread(_stories, url, report.problems))
    report.counts |= {**weather.struck, **weather.proxy.faults, "kills": kills}
    return report


def _stories(url: str, problems: list[str]) -> str:
    """The rows of the conversations that are complained of."""
    names = sorted({name for problem in problems for name in re.findall(r"\bc[0-9a-f]{12}\b", problem)})[:5]
    lines = []
    with reading(url) as raw:
        for table in (ENTRIES, CONVERSATIONS):
            where = table.names.index("conversation" if table is ENTRIES else "id")
            lines += [str(tuple(row)) for page in raw.pages(table) for row in page if row[where] in names]
    return "\n".join(lines)


def main() -> int:
    """0 if nothing broke; else the seeds of the rounds in which something did."""
    parser = argparse.ArgumentParser(prog="tests.kill.storm", description="Kills, a bad network, a shaky database.")
    parser.add_argument("--minutes", type=float, default=5.0, help="begin no round after so long (default: 5)")
    parser.add_argument("--kills", type=int, default=10**9, help="begin no round after so many kills")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="of the first round")
    parser.add_argument("--store", choices=("sqlite", "postgres"), default="sqlite")
    options = parser.parse_args()
    database = Database() if options.store == "postgres" else None
    began, total, seed, broken = time.monotonic(), Counter[str](), options.seed, 0
    try:
        while time.monotonic() - began < options.minutes * 60 and total["kills"] < options.kills:
            with tempfile.TemporaryDirectory(prefix="signalbox-storm-") as name:
                report = asyncio.run(one_round(KILLS_A_ROUND, seed, Path(name), database))
                if report.problems:
                    shutil.copytree(name, f"storm-{options.store}-{seed}", dirs_exist_ok=True)
            total.update(report.counts)
            for problem in report.problems[:30]:
                print(f"BROKEN: seed {seed}: {problem}")
            broken += len(report.problems)
            print(f"seed {seed}: {total['kills']} kills, {total['acknowledged']} acknowledged, {broken} problems",
                  flush=True)  # fmt: skip
            seed += 1
    finally:
        if database is not None:
            database.close()
    for what, count in total.items():
        print(f"{what:>20} {count}")
    print(f"{time.monotonic() - began:.0f} s on {options.store}, {broken} problems")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())

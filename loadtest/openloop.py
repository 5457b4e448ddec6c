"""An open loop: requests go out at moments fixed beforehand, however slow the answers. For rates Locust cannot reach.

    python -m loadtest.openloop --rate 5000                      # one rate, with its latencies
    python -m loadtest.openloop --search                         # the highest rate that is sustainable
    python -m loadtest.openloop --search --frame 64 --senders 50 --store postgresql --traffic start

Latency counts from the scheduled moment. A rate is sustained if, ``drain`` seconds after the last scheduled moment,
everything has been acknowledged and everything acknowledged has been delivered to the agents' sockets. The server is
started on a store of its own, unless ``--url`` and ``--secret`` name one that is there.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import uvloop
from hdrh.histogram import HdrHistogram
from msgspec import Struct

from bench import report
from bench.house import STORES, House, a_store, config, raise_limit
from loadtest.arrivals import Kind, moments
from loadtest.crowd import Crowd, Sender, clock
from loadtest.traffic import KINDS, Traffic

DRAIN_S = 0.3  # to come to the end after the last scheduled moment, plus a twentieth of the run
FLOOD_S = 300.0  # no flood takes longer
STRAGGLERS_S = 30.0  # to let a run that failed run out before the next
CLIMB = 1.5
LATE_S = 0.05  # later than that itself, the client was the limit
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)


class Run(Struct):
    """One rate, tried."""

    rate: float  # requests a second that were wanted
    seconds: float
    sent: int
    refused: dict[str, int]
    missing: dict[str, int]  # when the time was up
    took_s: float  # from the first moment until everything was delivered, or nobody waited any longer
    behind_s: float  # how late the client itself was at worst, p99
    acknowledged: HdrHistogram
    delivered: HdrHistogram

    @property
    def is_sustained(self) -> bool:
        """Whether the server kept up with everything."""
        return not self.refused and not self.missing

    @property
    def client_was_late(self) -> bool:
        """Whether the client could not keep its own times: then the figure is the client's."""
        return self.behind_s > LATE_S

    def ms(self, percentile: float, *, delivered: bool = False) -> float:
        """Latency from the scheduled moment, to the acknowledgement or to the delivery."""
        found = self.delivered if delivered else self.acknowledged
        return float(found.get_value_at_percentile(percentile)) / 1000


async def run(
    crowd: Crowd, traffic: Traffic, rate: float, seconds: float, *, frame: int = 1, kind: Kind = "poisson",
    seed: int = 1, drain_s: float = DRAIN_S,
) -> Run:  # fmt: skip
    """Send ``rate`` requests a second for so long, ``frame`` of them in each frame, and see what becomes of them."""
    ledger, first = crowd.ledger, len(crowd.ledger)
    errors = ledger.errors.copy()
    began = clock()
    late = await _send(crowd, traffic, moments(rate / frame, seconds, kind, Random(seed)), began, frame)
    await until(lambda: ledger.is_done, began + seconds + drain_s + seconds / 20)
    missing = ledger.missing(first)
    if missing:
        await until(lambda: ledger.is_done or crowd.is_broken, clock() + STRAGGLERS_S)
    return Run(
        rate=rate,
        seconds=seconds,
        sent=len(ledger) - first,
        refused=dict(ledger.errors - errors),
        missing=missing,
        took_s=clock() - began,
        behind_s=late,
        acknowledged=ledger.histogram(first),
        delivered=ledger.histogram(first, delivered=True),
    )


async def _send(crowd: Crowd, traffic: Traffic, when: Iterator[float], began: float, frame: int) -> float:
    """Send each frame at its moment, from the senders in turns. Returns how late that was, p99 in seconds."""
    ledger, senders = crowd.ledger, crowd.senders
    lateness: list[float] = []
    for sent, moment in enumerate(when, 1):
        due = began + moment
        while (wait_s := due - clock()) > 0:  # noqa: ASYNC110 - a moment in time has no event
            await asyncio.sleep(wait_s)
        senders[sent % len(senders)].write(framed(traffic, [ledger.ask(due) for _ in range(frame)]))
        lateness.append(-wait_s)
        if sent % 16 == 0:
            await asyncio.sleep(0)  # behind or not, answers are read
    return sorted(lateness)[len(lateness) * 99 // 100] if lateness else 0.0


def framed(traffic: Traffic, numbers: list[int]) -> bytes:
    """The payload of a frame: one request alone, several as an array."""
    if len(numbers) == 1:
        return traffic.request(numbers[0])
    return b"[" + b",".join(map(traffic.request, numbers)) + b"]"


async def flood(crowd: Crowd, traffic: Traffic, count: int, *, frame: int = 1, depth: int = 4) -> float:
    """A closed loop: ``depth`` frames of each sender under way. Requests a second until all is delivered.

    Its rate is one that the server can do, since it is counted to the last delivery; its latencies mean nothing.
    Raises RuntimeError if something is lost.
    """
    ledger, first = crowd.ledger, len(crowd.ledger)
    owed: dict[Sender, int] = dict.fromkeys(crowd.senders, 0)

    def go_on(sender: Sender, acknowledged: int) -> None:
        owed[sender] -= acknowledged
        while owed[sender] <= (depth - 1) * frame and (left := count - (len(ledger) - first)) > 0:
            numbers = [ledger.ask(clock()) for _ in range(min(frame, left))]
            owed[sender] += len(numbers)
            sender.write(framed(traffic, numbers))

    began = clock()
    for sender in crowd.senders:
        sender.told = go_on
        go_on(sender, 0)
    await until(lambda: (len(ledger) - first >= count and ledger.is_done) or crowd.is_broken, began + FLOOD_S)
    took_s = clock() - began
    for sender in crowd.senders:
        sender.told = None
    if ledger.errors or crowd.is_broken or ledger.missing(first):
        raise RuntimeError(f"refused: {dict(ledger.errors)}, lost: {ledger.missing(first)}")
    return count / took_s


async def until(holds: Callable[[], bool], deadline: float) -> None:
    """Wait until it holds, or it is so late."""
    while not holds() and clock() < deadline:  # noqa: ASYNC110 - callbacks set no events
        await asyncio.sleep(0.002)


async def search(attempt: Callable[[float], Any], first: float, *, within: float = 0.05) -> tuple[float, list[Any]]:
    """The highest rate at which ``attempt`` (rate -> Run) is sustained, to within this share; and all runs.

    Climbs or halves from ``first``, then bisects. A rate that fails is tried once more: a machine hiccups.
    """
    low, high, tried = 0.0, float("inf"), []
    rate = first
    while high == float("inf") or high - low > within * high:
        for _ in range(2):
            found = await attempt(rate)
            tried.append(found)
            if found.is_sustained:
                break
        if found.is_sustained:
            low = rate
            if found.client_was_late:  # what goes beyond that says nothing of the server
                break
        else:
            high = rate
        if high == float("inf"):
            rate = low * CLIMB
        elif low == 0.0:
            rate = high / 2
            if rate < 1:
                break
        else:
            rate = (low + high) / 2
    return low, tried


# ---------------------------------------------------------------- the command


def rows_of(runs: list[Run]) -> list[list[Any]]:
    """One line for each run."""
    return [
        [f"{found.rate:,.0f}", "yes" if found.is_sustained else "no", *(found.ms(p) for p in PERCENTILES[:4]),
         found.ms(99.0, delivered=True), 1000 * found.behind_s, words(found)]
        for found in runs
    ]  # fmt: skip


COLUMNS = ["requests/s", "sustained", "p50 ms", "p90", "p99", "p99.9", "delivered p99", "client late", "missing"]


def words(found: Run) -> str:
    """What did not come, in words."""
    return ", ".join(f"{number:,} {what}" for what, number in {**found.missing, **found.refused}.items()) or "nothing"


async def measure(house: House, given: argparse.Namespace) -> list[Run]:
    """Everybody comes, then one rate or the search."""
    traffic = KINDS[given.traffic]()
    crowd = Crowd(house, batch=given.frame > 1)
    await crowd.come(given.agents, given.senders, traffic.role)
    await traffic.prepare(crowd)
    crowd.count()

    async def attempt(rate: float) -> Run:
        found = await run(crowd, traffic, rate, given.seconds, frame=given.frame, kind=given.arrivals)
        print(f"  {rate:,.0f} a second: {words(found)} missing, p99 {found.ms(99):.1f} ms", flush=True)
        return found

    await run(crowd, traffic, given.rate / 4, 1.0, frame=given.frame)  # to warm up
    runs = (await search(attempt, given.rate))[1] if given.search else [await attempt(given.rate)]
    crowd.leave()
    return runs


def main() -> int:
    """Load, judge, print. 0: everything acknowledged was delivered."""
    parser = report.parser(__doc__)
    parser.add_argument("--rate", type=float, default=1_000.0, help="requests a second; with --search the first try")
    parser.add_argument("--search", action="store_true", help="look for the highest sustainable rate")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run (default: 5)")
    parser.add_argument("--frame", type=int, default=1, help="requests in a frame (default: 1)")
    parser.add_argument("--senders", type=int, default=50, help="sockets that ask (default: 50)")
    parser.add_argument("--agents", type=int, default=20, help="agents that hear (default: 20)")
    parser.add_argument("--traffic", choices=tuple(KINDS), default="message", help="what is asked")
    parser.add_argument("--arrivals", choices=("poisson", "fixed"), default="poisson")
    parser.add_argument("--store", choices=STORES, default="sqlite", help="kind of the temporary store")
    given = parser.parse_args()
    raise_limit(1_000 + 2 * (given.senders + given.agents))
    loop = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with a_store(given.store) as url, House(config(given.agents), url) as house, loop:
        runs = loop.run(measure(house, given))
    made = report.Report("openloop", f"{given.traffic}, {given.frame} a frame, {given.senders} sockets", COLUMNS)
    made.rows = rows_of(runs)
    made.not_shown = "a network, other machines; server, store and client share the cores"
    made.publish(keep=False)
    best = max((found.rate for found in runs if found.is_sustained), default=0.0)
    print(f"highest sustained: {best:,.0f} a second" if given.search else "")
    return 0 if best else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""What Locust runs: the people, a day's curve, and the check at the end. See loadtest/README.md."""

from __future__ import annotations

import os
from typing import Any

import gevent
from locust import LoadTestShape, events

from bench.crowd import Tally
from loadtest.arrivals import HOURS, share_at
from loadtest.people import AgentUser, ConnectorUser, ContactUser, SupervisorUser, peers, refusals, tally

__all__ = ["AgentUser", "ConnectorUser", "ContactUser", "SupervisorUser"]
SETTLE_S = 15.0
PEAK = int(os.environ.get("LOADTEST_USERS", "100"))
DAY_S = float(os.environ.get("LOADTEST_DAY_S", "60"))


if os.environ.get("LOADTEST_SHAPE", "day") == "day":

    class DayShape(LoadTestShape):  # type: ignore[misc]
        """A day of 24 hours in ``LOADTEST_DAY_S`` seconds, ``LOADTEST_USERS`` in its busiest hour."""

        def tick(self) -> tuple[int, float] | None:
            """How many are at work now, and how fast they come and go."""
            passed = self.get_run_time()
            if passed > DAY_S:
                return None
            users = max(10, round(PEAK * share_at(HOURS * passed / DAY_S)))
            return users, max(5.0, PEAK / DAY_S * 4)


@events.test_start.add_listener
def begin(environment: Any, **more: Any) -> None:
    """Clean books: on Locust's page a second run may follow the first."""
    Tally.__init__(tally)
    refusals.clear()
    peers.clear()


@events.test_stop.add_listener
def check(environment: Any, **more: Any) -> None:
    """Everything that was acknowledged must have been delivered, soon after the last has stopped."""
    with gevent.Timeout(SETTLE_S, False):
        while tally.missing(whole=False):
            gevent.sleep(0.1)
    problems = tally.missing(whole=False)
    problems += [f"{number} refused: {what}" for what, number in refusals.items()]
    ended = [peer.ending for peer in peers if peer.ending]
    problems += [f"{len(ended)} sessions were ended: {ended[0]}"] if ended else []
    counts = (len(tally.began), len(tally.assigned), len(tally.answers), len(tally.said), len(tally.closed))
    print("acknowledged: {:,} web conversations; assigned {:,}; answers {:,}, contacts' words to an agent {:,}, "
          "closed {:,}; sessions {:,}".format(*counts, len(peers)))  # fmt: skip
    for problem in problems:
        print(f"NOT DELIVERED: {problem}")
    print("everything acknowledged was delivered" if not problems else "the check has failed", flush=True)
    if not tally.answers:
        print("nothing was answered: this was no test")
    environment.process_exit_code = 1 if problems or not tally.answers else 0
    for peer in peers:
        peer.leave()

"""When each user acts next, and from when its latency counts: a schedule that a slow server does not move. Pure.

Locust's own waiting begins when a task has ended, so a server that stops for a second makes everybody come a second
later and the second is measured once. Here the next moment follows from the last *scheduled* one. Whoever is late acts
at once, and counts from when it should have.
"""

from __future__ import annotations

from random import Random


class Pacer:
    """One user's schedule. Parameters: the mean ``gap_s`` between two acts (exponential), chance, and the time now."""

    __slots__ = ("_chance", "_gap_s", "due")

    def __init__(self, gap_s: float, chance: Random, now: float) -> None:
        self._gap_s = gap_s
        self._chance = chance
        self.due = now  # the scheduled moment of the act at hand

    def wait_s(self, now: float) -> float:
        """Go on to the next moment; how long until then, 0 if it has passed."""
        self.due += self._chance.expovariate(1 / self._gap_s)
        return max(0.0, self.due - now)

    def late_s(self, now: float) -> float:
        """How long ago the act at hand was due: its latency, when it has been answered."""
        return now - self.due

"""A token bucket: so many a second, more at once after a pause. Time is an argument, in ticks (ms).

``spend`` may go into debt, for what has happened already and is paid for by waiting. O(1); no timer refills it.
"""

from __future__ import annotations


class Bucket:
    """Full at first. Parameters: ``rate`` a second, up to ``burst`` at once, the tick ``now``."""

    __slots__ = ("_level", "burst", "filled_at", "rate")

    def __init__(self, rate: float, burst: float, now: int) -> None:
        self.rate = rate
        self.burst = float(burst)
        self._level = self.burst
        self.filled_at = now

    def wait_s(self, now: int, amount: float = 1.0) -> float:
        """Seconds until so much can be taken; 0 = now."""
        self._fill(now)
        return 0.0 if amount <= self._level else (amount - self._level) / self.rate

    def take(self, now: int, amount: float = 1.0) -> bool:
        """Take so much if it is there, else nothing."""
        self._fill(now)
        if self._level < amount:
            return False
        self._level -= amount
        return True

    def spend(self, now: int, amount: float = 1.0) -> float:
        """Take so much, there or not; seconds to wait until the debt is paid."""
        self._fill(now)
        self._level -= amount
        return 0.0 if self._level >= 0 else -self._level / self.rate

    def _fill(self, now: int) -> None:
        """A clock that went back gives nothing, and from there on it counts again."""
        if now > self.filled_at:
            self._level = min(self.burst, self._level + (now - self.filled_at) * self.rate / 1000)
        self.filled_at = now

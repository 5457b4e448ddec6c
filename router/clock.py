"""The house's clock: wall time that never goes back.

Waits are monotonic, due dates are wall time. The two are tied at the start; if the wall clock is later found
ahead (the machine slept, the clock was corrected forward) its time is adopted, so that due dates hold; if it
was set back, the house's time goes on as it was and nothing fires twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

JUMP_S = 1.0  # less is drift, which is followed when it has grown


class Clock:
    """``now`` in ticks. Parameters: ``wall`` gives seconds since 1970 (tests give their own)."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._offset_s = wall() - trio.current_time()
        self.jumps = 0

    def now(self) -> int:
        """The present tick (ms since 1970)."""
        monotonic_s = trio.current_time()
        ahead_s = self._wall() - monotonic_s - self._offset_s
        if ahead_s > JUMP_S:
            self._offset_s += ahead_s
            self.jumps += 1
        return int((monotonic_s + self._offset_s) * 1000)

    def when(self, tick: int) -> float:
        """A tick as trio's time, for sleeping until it; rounded up, so that one never wakes too early."""
        return (tick + 1) / 1000 - self._offset_s

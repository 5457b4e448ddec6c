"""One heart for all connections: it says when each has to ping. A timer in a wheel instead of a task each.

Beats do not wait for anything a connection does, so a peer hears our pings also while the house is full and does not
read: it can tell a slow server from a dead one.
"""

from __future__ import annotations

import math
from typing import Protocol

import trio

from actors.wheel import Timer, TimerWheel

_GRAIN_MS = 50  # beats so near to each other come together: 20,000 connections would wake us a thousand times a second


class Beating(Protocol):
    """A connection."""

    def beat(self) -> None:
        """Ping, or end it. Must neither wait nor raise."""


class Heart:
    """``beat_s``: seconds between two beats of a connection, > 0."""

    def __init__(self, beat_s: float) -> None:
        self._beat_ms = max(1, round(beat_s * 1000))
        self._grain_ms = min(_GRAIN_MS, self._beat_ms)
        self._wheel = TimerWheel()
        self._next = math.inf  # what ``run`` sleeps until, in ticks
        self._sooner = trio.Event()

    def start(self, one: Beating, first_s: float) -> Timer:
        """Let it beat, first after so many seconds, until ``stop``."""
        timer = Timer(one)
        at = _now() + round(first_s * 1000)
        self._arm(timer, -(-at // self._grain_ms) * self._grain_ms)
        return timer

    def stop(self, timer: Timer) -> None:
        """No more beats of this one."""
        self._wheel.cancel(timer)

    async def run(self) -> None:
        """Beat, forever."""
        while True:
            due = self._next = self._wheel.next_deadline() or math.inf
            self._sooner = trio.Event()
            with trio.move_on_at(due / 1000) as sleep:
                await self._sooner.wait()
            now = max(_now(), int(due)) if sleep.cancelled_caught else _now()  # seconds are rounded
            while (timer := self._wheel.pop(now)) is not None or self._wheel.behind:
                if timer is not None:
                    # a process that stood still owes no beats: the peer could not have answered them
                    late = timer.deadline + self._beat_ms <= now
                    self._arm(timer, (now if late else timer.deadline) + self._beat_ms)
                    timer.owner.beat()

    def _arm(self, timer: Timer, at: int) -> None:
        self._wheel.arm(timer, at)
        if at < self._next:
            self._sooner.set()

    def statistics(self) -> dict[str, int]:
        """How many beat."""
        return {"beating": len(self._wheel)}


def _now() -> int:
    return int(trio.current_time() * 1000)

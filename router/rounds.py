"""What becomes ready in one turn of the loop goes out together, once: many answers of a step in one write each.

A commit lets out the answers of hundreds of requests at one moment. Each outbox enters once and is flushed in the next
turn, all by one task: waking a task for each would cost more than the write itself.
"""

from __future__ import annotations

from typing import Protocol

import trio

_STRETCH = 200  # between two checkpoints: some milliseconds


class Flushable(Protocol):
    """Something with output that waits."""

    def flush(self) -> None:
        """Write what is ready, without waiting. Must not raise."""


class Rounds:
    """Those with something to write, once each, in the order they came."""

    def __init__(self) -> None:
        self._ready: list[Flushable] = []
        self._bell = trio.Event()

    def enter(self, one: Flushable) -> None:
        """Have it flushed in the next round."""
        if not self._ready:
            self._bell.set()
        self._ready.append(one)

    async def run(self) -> None:
        """Flush, forever."""
        while True:
            await self._bell.wait()
            self._bell = trio.Event()
            ready, self._ready = self._ready, []
            for number, one in enumerate(ready, 1):
                one.flush()
                if number % _STRETCH == 0:
                    await trio.lowlevel.checkpoint()

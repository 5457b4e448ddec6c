"""Something to wait on until a condition may have changed."""

from __future__ import annotations

from collections.abc import Callable

import trio


class Bell:
    """``ring`` when something has changed; whoever waits for a condition looks again."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = trio.Event()

    def ring(self) -> None:
        """Wake everybody who waits."""
        self._event.set()
        self._event = trio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at now and at every ring. A checkpoint in any case."""
        await trio.lowlevel.checkpoint()
        while not holds():
            await self._event.wait()

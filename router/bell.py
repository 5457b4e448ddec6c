"""Something to wait on until a condition may have changed."""

from __future__ import annotations

from collections.abc import Callable

import trio


class Bell:
    """``ring`` when something has changed; whoever waits for a condition looks again."""

    __slots__ = ("_awaited", "_event")

    def __init__(self) -> None:
        self._awaited = False  # somebody may wait
        self._event = trio.Event()

    def ring(self) -> None:
        """Wake everybody who waits. It is rung for each request: if nobody waits it costs nothing."""
        if self._awaited:
            self._awaited = False
            self._event.set()
            self._event = trio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until the condition holds; it is looked at now and at every ring. A checkpoint in any case."""
        await trio.lowlevel.checkpoint()
        while not holds():
            self._awaited = True
            await self._event.wait()

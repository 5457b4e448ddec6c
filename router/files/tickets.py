"""Asking the core about a file from a task that waits for the answer."""

from __future__ import annotations

from collections.abc import Callable

import trio

from actors.effects import Input, Shown, Uploaded, Wanted
from protocol.errors import refused

LIMIT_S = 60.0  # for a commit


class Tickets:
    """Questions under way, each with its number. ``submit`` hands an input to the core; it may raise RequestError."""

    def __init__(self, submit: Callable[[Input], None]) -> None:
        self._submit = submit
        self._numbers = 0
        self._waiting: dict[int, _Waiting] = {}

    async def ask(self, question: Callable[[int], Uploaded | Wanted]) -> Shown:
        """The core's answer. Raises RequestError (draining, storage_unavailable)."""
        self._numbers += 1
        number, waiting = self._numbers, _Waiting()
        self._waiting[number] = waiting
        try:
            self._submit(question(number))
            with trio.move_on_after(LIMIT_S):
                await waiting.event.wait()
        finally:
            del self._waiting[number]
        if waiting.answer is None:
            raise refused("storage_unavailable", retry_after_s=1)
        return waiting.answer

    def answered(self, item: Shown) -> None:
        """The core has answered; whoever asked may be gone."""
        waiting = self._waiting.get(item.ticket)
        if waiting is not None:
            waiting.answer = item
            waiting.event.set()

    def statistics(self) -> dict[str, int]:
        """How many wait."""
        return {"waiting": len(self._waiting)}


class _Waiting:
    """Somebody who waits."""

    __slots__ = ("answer", "event")

    def __init__(self) -> None:
        self.event = trio.Event()
        self.answer: Shown | None = None

"""Reading what inputs need before they are stepped: the core asks, the store answers. [architecture, "The core"]

What cannot be read is refused, and the rest goes on: while the store is away, and when one row of it is damaged, which
concerns only who asks for that row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog

from actors.core import Core
from actors.effects import Asked, Input, Opened
from protocol.errors import RequestError, internal
from protocol.records import Question
from storage.store import StorageUnavailable

log = structlog.get_logger("signalbox.prefetch")


class Refuse(Protocol):
    """Answers inputs with an error; without ``why`` it is ``storage_unavailable``."""

    def __call__(self, inputs: Sequence[Input], why: RequestError | None = None) -> None:
        """None of these has happened."""


class Prefetch:
    """Parameters: the core; ``read``, which asks the store and raises what the store raises; ``refuse``."""

    def __init__(self, core: Core, read: Callable[[Sequence[Question]], Awaitable[list[Any]]], refuse: Refuse) -> None:
        self._core = core
        self._read = read
        self._refuse = refuse
        self._incidents = 0

    async def fetch(self, inputs: Sequence[Input]) -> Sequence[Input]:
        """Have the core know what these inputs need. Refuses those for which it cannot; returns the rest."""
        while True:
            questions, inputs = self._questions(inputs)
            if not questions:
                return inputs
            inputs = await self._absorb(questions, inputs)

    def _questions(self, inputs: Sequence[Input]) -> tuple[Sequence[Question], Sequence[Input]]:
        """What must be read. A bug met on the way refuses the input that met it, as a bug in a handler does."""
        try:
            return self._core.questions(inputs), inputs
        except Exception:
            sound = [item for item in inputs if self._is_sound(item, _opening(inputs))]
            return self._core.questions(sound), sound

    def _is_sound(self, item: Input, opening: dict[int, Opened]) -> bool:
        try:
            self._core.questions(_with_opening(item, opening))
        except Exception as problem:
            self._refuse([item], self._incident("a request cannot even be prepared", problem))
            return False
        return True

    async def _absorb(self, questions: Sequence[Question], inputs: Sequence[Input]) -> Sequence[Input]:
        try:
            answers = await self._read(questions)
        except StorageUnavailable as problem:
            log.warning("cannot read", problem=str(problem))
            return self._without(questions, inputs)
        except Exception as problem:
            if len(questions) > 1:  # which of them is it?
                for question in questions:
                    inputs = await self._absorb([question], inputs)
                return inputs
            return self._without(questions, inputs, self._incident("the store cannot read an answer", problem))
        self._core.absorb(questions, answers)
        return inputs

    def _without(
        self, unread: Sequence[Question], inputs: Sequence[Input], why: RequestError | None = None
    ) -> Sequence[Input]:
        """Refuse the inputs that raise one of these questions; returns the others."""
        opening = _opening(inputs)

        def raises(item: Input) -> bool:
            return any(question in unread for question in self._core.questions(_with_opening(item, opening)))

        needy = [item for item in inputs if raises(item)] or list(inputs)  # never the same question again
        self._refuse(needy, why)
        return [item for item in inputs if item not in needy]

    def _incident(self, what: str, problem: Exception) -> RequestError:
        self._incidents += 1
        incident = f"read-{self._incidents}"
        log.error(what, incident=incident, problem=repr(problem))
        return internal(incident)


def _opening(inputs: Sequence[Input]) -> dict[int, Opened]:
    return {item.session: item for item in inputs if isinstance(item, Opened)}


def _with_opening(item: Input, opening: dict[int, Opened]) -> list[Input]:
    """A request that came together with its session's opening is asked for as by who opens it."""
    opened = opening.get(item.session) if isinstance(item, Asked) else None
    return [item] if opened is None else [opened, item]

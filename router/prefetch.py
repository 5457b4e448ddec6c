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
        while questions := self._core.questions(inputs):
            inputs = await self._absorb(questions, inputs)
        return inputs

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
            self._incidents += 1
            incident = f"read-{self._incidents}"
            log.error("the store cannot read an answer", incident=incident, problem=repr(problem))
            return self._without(questions, inputs, internal(incident))
        self._core.absorb(questions, answers)
        return inputs

    def _without(
        self, unread: Sequence[Question], inputs: Sequence[Input], why: RequestError | None = None
    ) -> Sequence[Input]:
        """Refuse the inputs that raise one of these questions; returns the others."""
        opening = {item.session: item for item in inputs if isinstance(item, Opened)}
        needy = [item for item in inputs if isinstance(item, Asked | Opened) and self._raises(item, unread, opening)]
        self._refuse(needy, why)
        return [item for item in inputs if item not in needy]

    def _raises(self, item: Asked | Opened, unread: Sequence[Question], opening: dict[int, Opened]) -> bool:
        """A request that came with its session's opening is asked for as the one who opens it."""
        opened = opening.get(item.session)
        asked = [item] if opened is None or opened is item else [opened, item]
        return any(question in unread for question in self._core.questions(asked))

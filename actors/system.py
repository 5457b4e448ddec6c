"""The machinery of actors: who handles what next, and all or nothing. Knows nothing of conversations.

An actor is a plain object with a durable ``record`` and whatever it derives from it. There is one run queue,
a FIFO of (actor, message): an actor's mailbox is its share of that queue, so an idle actor holds no mailbox
at all, and because messages are handled in the order they were sent, cause always comes before effect.
``later`` puts a message behind everything that is under way: decisions that must see a settled house (who
gets which conversation) are made one at a time that way; ``last`` comes after those.

A *turn* is one input and everything it sets off. Before an actor handles its first message of a turn its
record is copied (shallow: the values in a record are immutable). If a handler raises, every record is as it
was before the turn: a refused request has changed nothing, and a bug in one handler harms nobody else.

    turn: begin -> messages until none are left -> settle -> effects
                          \\-- a handler raises --> records restored, effects dropped

Cost: about 1 microsecond a message beyond its handler. Models: Erlang's run queue; LMAX's single writer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

from msgspec import Struct

from actors import mypyc_attr
from protocol.times import Moment

#: a tick that is handed on and kept as the object it is: of a plain ``int`` compiled code makes a new one of 32 bytes
#: for each field that it is put into
Tick = int | Moment

MESSAGES_MAX = 5_000_000  # in one turn: only a loop among our own actors could reach it


@mypyc_attr(allow_interpreted_subclasses=True)  # tests have actors of their own
class Actor:
    """Something that alone changes its own state, one message at a time."""

    __slots__ = ("changed_step",)
    record: Any
    DERIVES: ClassVar[bool] = True  # whether indexes or timers elsewhere are derived from its record

    @property
    def address(self) -> str:
        """What it is called in logs: ``conversation:c00000000002a``."""
        return f"{type(self).__name__.removesuffix('Actor').lower()}:{self.record.id}"

    def __init__(self) -> None:
        self.changed_step = 0  # the last step that changed its record

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message: change only oneself, ``turn.send`` what concerns others.

        Raises RequestError to refuse the request that set the turn off, before anything has changed.
        """
        raise NotImplementedError

    def settle(self, turn: Turn) -> None:
        """The turn is quiet: bring timers in line, say what has changed. Sends nothing."""


class Turn:
    """One input and everything it sets off. ``now`` is its moment, in ticks."""

    __slots__ = (
        "_last", "_later", "_queue", "about", "answer", "before", "effects", "now", "secret", "session", "undo",
    )  # fmt: skip

    def __init__(self, now: Tick) -> None:
        self.now: Tick = now
        self.session = 0  # whose request it is
        self.secret = ""  # that nobody can guess, for this request
        self.answer: Any = None  # what the request's result needs beside the state: the entry it made,
        self.about: Any = None  # or the conversation it led to
        self.before: dict[Actor, Struct | None] = {}  # what each actor was; None = it did not exist
        self.effects: list[Any] = []  # what leaves the core, in order
        self.undo: list[Callable[[], object]] = []  # how to take back what no record shows, newest last
        self._queue: deque[tuple[Actor, Struct]] = deque()
        self._later: deque[tuple[Actor, Struct]] | None = None  # most turns need neither of these
        self._last: deque[tuple[Actor, Struct]] | None = None

    def send(self, actor: Actor, message: Struct) -> None:
        """Hand a message to an actor, behind those already under way."""
        self._queue.append((actor, message))

    def later(self, actor: Actor, message: Struct) -> None:
        """Hand it over when nothing else is under way, in the order of such calls."""
        if self._later is None:
            self._later = deque()
        self._later.append((actor, message))

    def last(self, actor: Actor, message: Struct) -> None:
        """Hand it over when not even a ``later`` one is left."""
        if self._last is None:
            self._last = deque()
        self._last.append((actor, message))

    def spawned(self, actor: Actor, was: Struct | None = None) -> None:
        """This actor is new: if the turn fails, it never was. ``was``: its record, if the store has one."""
        self.before[actor] = was

    def change(self, actor: Actor) -> Any:
        """The record of an actor that no message goes to, for changing it in this turn."""
        if actor not in self.before:
            self.before[actor] = copied(actor.record)
        return actor.record

    def run(self) -> int:
        """Handle messages until none is left. Returns how many; raises what a handler raised."""
        queue, before = self._queue, self.before
        for count in range(MESSAGES_MAX):
            if queue:
                actor, message = queue.popleft()
            elif self._later:
                actor, message = self._later.popleft()
            elif self._last:
                actor, message = self._last.popleft()
            else:
                return count
            if actor not in before:
                before[actor] = copied(actor.record)
            actor.receive(message, self)
        raise RuntimeError(f"a turn of more than {MESSAGES_MAX} messages")

    def changed(self) -> list[Actor]:
        """The actors whose records differ from what they were, in the order they were first touched."""
        return [actor for actor, old in self.before.items() if actor.record is not None and old != actor.record]


def copied(record: Any) -> Any:
    """A shallow copy of a record, if there is one: what ``copy.copy`` gives, in a third of its time."""
    return None if record is None else record.__copy__()


class Supervisor:
    """Counts failures by actor. One that keeps failing is parked: it gets no more messages. [architecture]

    Parameters: ``failures_max`` failures in a row park an actor.
    """

    def __init__(self, failures_max: int = 3) -> None:
        self._failures_max = failures_max
        self._in_a_row: dict[str, int] = {}
        self.failures = 0
        self.parked: dict[str, str] = {}  # address -> the last failure

    def failed(self, address: str, why: str) -> None:
        """A handler of this actor raised."""
        self.failures += 1
        self._in_a_row[address] = self._in_a_row.get(address, 0) + 1
        if self._in_a_row[address] >= self._failures_max:
            self.parked[address] = why

    def worked(self, address: str) -> None:
        """A turn that began at this actor went well."""
        if self._in_a_row:
            self._in_a_row.pop(address, None)

    def statistics(self) -> dict[str, int]:
        """How often handlers have failed and how many actors are parked."""
        return {"failures": self.failures, "parked": len(self.parked)}

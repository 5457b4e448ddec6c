"""One thread in which a blocking store is called, in the order of the calls.

The event loop submits a call and goes on; when it is done, the thread reports its outcome by ``done``, which
hands it back to the loop (``trio.from_thread`` or the like: nothing here knows of loops). A store needs two of
these: one for ``load`` and ``commit``, one for ``read``.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import Struct

from storage.store import StorageUnavailable

T = TypeVar("T")
Done = Callable[[T | None, BaseException | None], None]

_log = logging.getLogger("storage")


class ThreadStatistics(Struct, frozen=True):
    """``queued`` wait, ``running`` is 0 or 1, ``done`` were done since the start."""

    queued: int
    running: int
    done: int


class StoreThread:
    """A worker thread with a bounded queue: first in, first out.

    Parameters: the thread's name; ``queued_max``, how many calls may wait.
    """

    def __init__(self, name: str = "storage", queued_max: int = 10_000) -> None:
        self._calls: deque[tuple[Callable[[], Any], Done[Any]]] = deque()
        self._queued_max = queued_max
        self._changed = threading.Condition()
        self._closed = False
        self._running = 0
        self._done = 0
        # a daemon, so that a process that dies of an exception is not held up; a commit is whole or not at all
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, call: Callable[[], T], done: Callable[[T | None, BaseException | None], None]) -> None:
        """Have ``call`` made after all that were submitted before.

        ``done(result, None)`` or ``done(None, error)`` is called in the thread; it must be quick, and if it raises,
        that is logged. Raises StorageUnavailable if too many wait; RuntimeError after ``close``.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError(f"the thread {self._thread.name} is closed")
            if len(self._calls) >= self._queued_max:
                raise StorageUnavailable(f"{len(self._calls)} calls wait for the store already")
            self._calls.append((call, done))
            self._changed.notify()

    def close(self) -> None:
        """Take no more calls, make those that wait, and end the thread; idempotent. Blocks until it has ended."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def statistics(self) -> ThreadStatistics:
        """How busy it is."""
        with self._changed:
            return ThreadStatistics(len(self._calls), self._running, self._done)

    def queue(self, name: str) -> dict[str, int]:
        """What waits, and at most how much, for metrics."""
        with self._changed:
            return {f"{name}_queued": len(self._calls), f"{name}_queued_max": self._queued_max}

    def _work(self) -> None:
        while (item := self._next()) is not None:
            _make(*item)
            with self._changed:
                self._running, self._done = 0, self._done + 1

    def _next(self) -> tuple[Callable[[], Any], Done[Any]] | None:
        """Wait for a call; None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._calls or self._closed)
            if not self._calls:
                return None
            self._running = 1
            return self._calls.popleft()


def _make(call: Callable[[], Any], done: Done[Any]) -> None:
    result, error = None, None
    try:
        result = call()
    except BaseException as problem:
        error = problem
    try:
        done(result, error)
    except BaseException:
        _log.exception("whoever was told the outcome of a call to the store has raised")

"""The storage thread: in order, one at a time, to the end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from storage.store import StorageUnavailable
from storage.thread import StoreThread, ThreadStatistics


@pytest.fixture
def thread() -> Iterator[StoreThread]:
    thread = StoreThread("storage-test", queued_max=3)
    yield thread
    thread.close()


class Outcomes:
    """Collects what ``done`` is told; ``wait`` for so many."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, Any]] = []
        self._changed = threading.Condition()

    def __call__(self, result: Any, error: BaseException | None) -> None:
        with self._changed:
            self.told.append((result, error))
            self._changed.notify_all()

    def wait(self, count: int) -> list[tuple[Any, Any]]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.told) >= count)
        return self.told


def test_calls_are_made_in_order_in_one_thread_with_its_name() -> None:
    thread = StoreThread("storage-test")
    outcomes = Outcomes()
    for number in range(200):
        thread.submit(lambda number=number: (number, threading.current_thread().name), outcomes)  # type: ignore[misc]
    thread.close()
    assert outcomes.told == [((number, "storage-test"), None) for number in range(200)]


def test_done_is_called_in_the_thread(thread: StoreThread) -> None:
    names: list[str] = []
    thread.submit(lambda: None, lambda result, error: names.append(threading.current_thread().name))
    thread.close()
    assert names == ["storage-test"]


def test_an_error_is_reported_and_the_next_call_is_made(thread: StoreThread) -> None:
    outcomes = Outcomes()
    problem = StorageUnavailable("disk full")

    def fail() -> None:
        raise problem

    thread.submit(fail, outcomes)
    thread.submit(lambda: 2, outcomes)
    assert outcomes.wait(2) == [(None, problem), (2, None)]


def test_a_done_that_raises_is_logged_and_harms_nobody(thread: StoreThread, caplog: Any) -> None:
    outcomes = Outcomes()
    with caplog.at_level(logging.ERROR, "storage"):
        thread.submit(lambda: 1, lambda result, error: 1 / 0)
        thread.submit(lambda: 2, outcomes)
        assert outcomes.wait(1) == [(2, None)]
    assert "ZeroDivisionError" in caplog.text


def test_close_makes_what_waits_and_takes_no_more(thread: StoreThread) -> None:
    outcomes, gate = Outcomes(), threading.Event()
    thread.submit(gate.wait, outcomes)
    thread.submit(lambda: "waited", outcomes)
    closing = threading.Thread(target=thread.close)
    closing.start()
    gate.set()
    closing.join()
    assert [result for result, _ in outcomes.told] == [True, "waited"]
    with pytest.raises(RuntimeError, match="closed"):
        thread.submit(lambda: None, outcomes)
    thread.close()


def test_close_may_be_called_in_the_thread_itself(thread: StoreThread) -> None:
    outcomes = Outcomes()
    thread.submit(thread.close, outcomes)
    assert outcomes.wait(1) == [(None, None)]


def test_too_many_calls_are_refused_and_counted(thread: StoreThread) -> None:
    outcomes, gate, begun = Outcomes(), threading.Event(), threading.Event()
    thread.submit(lambda: begun.set() or gate.wait(), outcomes)  # type: ignore[func-returns-value]
    begun.wait()
    for _ in range(3):
        thread.submit(lambda: None, outcomes)
    assert thread.statistics() == ThreadStatistics(queued=3, running=1, done=0)
    assert thread.queue("writer") == {"writer_queued": 3, "writer_queued_max": 3}
    with pytest.raises(StorageUnavailable, match="3 calls wait"):
        thread.submit(lambda: None, outcomes)
    gate.set()
    thread.close()
    assert thread.statistics() == ThreadStatistics(queued=0, running=0, done=4)

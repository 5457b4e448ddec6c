"""The core and the store by themselves, as the server runs them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import asdict

from actors.effects import Output
from bench import batch
from bench.rooms import Room
from router.garbage import THRESHOLDS


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """The collector as it was before."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_the_core_alone_runs_with_the_collector_of_the_server() -> None:
    gc.set_threshold(700, 10, 10)
    assert batch.core_alone(batch.STEP) > 0
    assert gc.get_threshold() == THRESHOLDS
    assert gc.isenabled()


def test_every_step_of_the_core_alone_writes_all_its_messages() -> None:
    steps = list(batch.steps_alone(2 * batch.STEP))
    assert [len(written.entries) for _, written in steps] == [batch.STEP, batch.STEP]
    assert all(len(written.records) == batch.CONVERSATIONS for _, written in steps)


def test_the_core_alone_keeps_no_output(monkeypatch: pytest.MonkeyPatch) -> None:
    class Watched(Output, frozen=True, weakref=True):
        """An output whose end can be seen."""

    kept: list[weakref.ref[Output]] = []
    give = Room.give

    def watched(room: Room, *inputs: Any) -> Output:
        output = Watched(**asdict(give(room, *inputs)))
        kept.append(weakref.ref(output))
        return output

    monkeypatch.setattr(Room, "give", watched)
    batch.core_alone(4 * batch.STEP)
    assert len(kept) > 4
    assert [output() for output in kept] == [None] * len(kept)


def test_the_store_alone_takes_what_the_core_made() -> None:
    assert batch.store_alone("sqlite", batch.STEP) > 0

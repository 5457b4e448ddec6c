"""The collector rests while everything is loaded, and is set for the time after."""

from __future__ import annotations

import gc

import pytest

from router import garbage


@pytest.fixture
def collector():
    before = gc.get_threshold()
    yield
    gc.enable()
    gc.unfreeze()
    gc.set_threshold(*before)


class Node:
    def __init__(self) -> None:
        self.me = self


def test_nothing_is_collected_while_things_are_loaded(collector):
    with garbage.loading():
        before = gc.get_stats()
        kept = [[n] for n in range(100_000)]
        assert gc.get_stats() == before
    assert len(kept) == 100_000


def test_what_was_loaded_is_never_looked_at_again_and_what_comes_seldom(collector):
    with garbage.loading():
        kept = [[n] for n in range(10_000)]
    assert gc.get_threshold() == garbage.THRESHOLDS
    assert gc.get_freeze_count() > len(kept)


def test_circles_are_still_found(collector):
    with garbage.loading():
        pass
    Node()
    assert gc.isenabled()
    assert gc.collect() > 0


def test_a_start_that_fails_leaves_the_collector_as_it_was(collector):
    before = gc.get_threshold()
    with pytest.raises(OSError, match="no disk"), garbage.loading():
        raise OSError("no disk")
    assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == (True, before, 0)

"""The collector is set once, when everything is loaded."""

from __future__ import annotations

import gc

import pytest

from router import garbage


@pytest.fixture
def collector():
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_there_is_never_looked_at_again_and_what_comes_seldom(collector):
    garbage.settle()
    assert gc.get_threshold() == garbage.THRESHOLDS
    assert gc.get_freeze_count() > 10_000


def test_circles_are_still_found(collector):
    garbage.settle()

    class Node:
        def __init__(self) -> None:
            self.me = self

    Node()
    assert gc.collect() > 0

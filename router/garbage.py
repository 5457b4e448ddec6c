"""The garbage collector, set for a process that holds much and makes little garbage in circles.

By default Python looks through the youngest objects after every 700 new ones, and through all now and then. Here
nearly everything dies by its count of references, and what lives, lives long: half of what a new conversation costs
was such looking (docs/performance.md), and two fifths of a start. So it does not look while what lives is loaded, nor
ever at that, and from then on a hundred times less often.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLDS = (70_000, 20, 100)


@contextmanager
def loading() -> Iterator[None]:
    """What is made within lives long: no collections until its end, never one of it, and fewer afterwards.

    The circles that imports have left are collected first, as long as there is little to look through.
    """
    gc.collect()
    gc.disable()
    try:
        yield
        gc.freeze()
        gc.set_threshold(*THRESHOLDS)
    finally:
        gc.enable()

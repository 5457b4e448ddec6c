"""The garbage collector, set for a process that holds much and makes little garbage in circles.

By default Python looks through the youngest objects after every 700 new ones, and through all now and then. Here
nearly everything dies by its count of references, and what lives, lives long: half of what a new conversation costs
was such looking (docs/performance.md). So it looks a hundred times less often, and never at what was loaded at first.
"""

from __future__ import annotations

import gc

THRESHOLDS = (70_000, 20, 100)


def settle() -> None:
    """Everything that lives long has been loaded: keep it out of collections, and have fewer of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)

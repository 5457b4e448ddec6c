"""Tests that break the core on purpose by replacing a function of it, to show that a judge notices.

Compiled code calls its own functions without looking them up: a replaced one is never asked. Such tests say nothing
there, so they are skipped, and listed. Whatever shows that the core itself bears a bug puts it where the compiled core
meets it too: see ``Buggy`` in tests/actors/test_core.py.
"""

from __future__ import annotations

import pytest

from router import build

replaces_core = pytest.mark.skipif(
    build.core() == "compiled", reason="replaces a function of the core, which compiled code would not look up"
)

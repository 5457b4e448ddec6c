"""How this installation was built: whether its core is compiled. See setup.py."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal


def core() -> Literal["compiled", "pure Python"]:
    """What the core runs as: machine code made by mypyc, or the same files interpreted. Imports nothing of it."""
    spec = find_spec("actors.core")
    assert spec is not None
    return "pure Python" if str(spec.origin).endswith(".py") else "compiled"

"""The base of structs that do not change, for modules that may be compiled.

mypyc drops the keywords of a class: in a compiled module ``class Place(Struct, frozen=True)`` would be neither frozen
nor hashable. What is inherited is kept, so there it is ``class Place(Frozen, frozen=True)``; the keyword is for the
types.
"""

from __future__ import annotations

from msgspec import Struct


class Frozen(Struct, frozen=True):
    """A struct whose fields are set once; it can be the key of a dict if they all can."""

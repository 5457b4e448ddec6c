"""The base of structs that do not change, for modules that may be compiled.

mypyc drops the keywords of a class: in a compiled module ``class Place(Struct, frozen=True)`` would be neither frozen
nor hashable. What is inherited is kept, so there it is ``class Place(Frozen, frozen=True)``; the keyword is for the
types.
"""

from __future__ import annotations

from msgspec import Struct


class Frozen(Struct, frozen=True):
    """A struct whose fields are set once; it can be the key of a dict if they all can."""


class Ordered(Struct, frozen=True, order=True, gc=False):
    """The same, compared field by field as a tuple is, for what exists by the hundred thousand.

    A tuple of four has 72 bytes, and in compiled modules is made anew for each place that holds it; this has 48. It
    must not be part of a cycle: the collector does not look at it.
    """

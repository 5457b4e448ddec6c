"""What the params of all methods share."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Key = Annotated[str, Meta(min_length=1, max_length=64, description="repeating a request with its key does it once")]
Custom = str | bool | Annotated[int, Meta(ge=-(2**53), le=2**53)] | float | None
Limit = Annotated[int, Meta(ge=1, le=500)]
EMAIL = r"^[^\s@<>\",;:\x00-\x1f\x7f]+@[^\s@<>\",;:\x00-\x1f\x7f]+(?![\s\S])"  # a $ would allow a line break at the end
Email = Annotated[str, Meta(max_length=320, pattern=EMAIL, description="an e-mail address")]


class Params(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all params have: the idempotency key."""

    key: Key | None = None


class Nothing(Struct, frozen=True):
    """An empty result."""

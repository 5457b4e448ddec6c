"""Names that a scenario gives to what came (``save``) and uses later (``$name``).

A reference takes the longest identifier: ``$c10`` is not ``$c1``. A value that is only ``$name`` keeps the
type of what was saved; inside a longer text it becomes text. What was saved is never looked at for references.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

#: ``$any`` and the other matchers are keys, never values, so they are no references
REFERENCE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def substitute(value: Any, saved: Mapping[str, Any]) -> Any:
    """The value with every reference replaced; mapping keys stay. Raises LookupError with the unknown name."""
    if isinstance(value, dict):
        return {key: substitute(item, saved) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [substitute(item, saved) for item in value]
    if not isinstance(value, str):
        return value
    if whole := REFERENCE.fullmatch(value):
        return _known(whole[1], saved)
    return REFERENCE.sub(lambda found: _text(_known(found[1], saved)), value)


def references(value: Any) -> Iterator[str]:
    """The names a value refers to, in order, with repeats."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
        return
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for part in parts:
        yield from references(part)


def numbered(value: Any, number: int) -> Any:
    """The value with ``{n}`` replaced in every text, keys included."""
    if isinstance(value, dict):
        return {numbered(key, number): numbered(item, number) for key, item in value.items()}
    if isinstance(value, list):
        return [numbered(item, number) for item in value]
    return value.replace("{n}", str(number)) if isinstance(value, str) else value


def dig(value: Any, path: str) -> Any:
    """What stands at a dotted path (``items.0.id``). Raises LookupError with how far the path led."""
    here = value
    parts = path.split(".")
    for depth, part in enumerate(parts):
        try:
            here = here[int(part)] if isinstance(here, list) else here[part]
        except (KeyError, IndexError, ValueError, TypeError):
            raise LookupError(".".join(parts[: depth + 1])) from None
    return here


def _known(name: str, saved: Mapping[str, Any]) -> Any:
    if name not in saved:
        raise LookupError(name)
    return saved[name]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

"""A decoder's complaint in words that help: which field is wrong and what it must be.

msgspec says *what* in a sentence and *where* as a path inside it. This takes the sentence apart; where it
only repeats the bad value (``Invalid enum value 'x'``) the path is followed through the wanted type to
list what is allowed. It runs only for requests that have failed already, so it may be slow.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec.inspect as types

from protocol.errors import RequestError, bad_params

_PATH = re.compile(r"(?P<what>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL)
_ENUM = re.compile(r"Invalid enum value .*", re.DOTALL)
_EXPECTED = re.compile(r"Expected (?P<expected>.*?)(?:, got .*)?", re.DOTALL)
_STEP = re.compile(r"[^.\[\]]+|\[\]")


def explain(problem: str, root: str = "params", wanted: Any = None) -> RequestError:
    """A decoder's complaint as an error that names the field and what it must be.

    ``root`` is left out of the path; ``wanted`` is the type that was decoded there, to name allowed values.
    """
    found = _PATH.fullmatch(problem)
    what, path = (found["what"], found["path"] or "") if found else (problem, "")
    path = path.strip(".").removeprefix(root).strip(".").replace("[...]", "[]")
    if missing := _MISSING.fullmatch(what):
        return bad_params(_join(path, missing["field"], root), "it to be given")
    if unknown := _UNKNOWN.fullmatch(what):
        return bad_params(_join(path, unknown["field"], root), "no such field")
    if _ENUM.fullmatch(what) and (allowed := _allowed(wanted, path)):
        return bad_params(path or root, allowed)
    expected = _EXPECTED.fullmatch(what)
    return bad_params(path or root, expected["expected"].replace("`", "") if expected else what)


def nul_path(value: Any, path: str = "") -> str | None:
    """Where a text with a NUL character stands, as a path; None if nowhere."""
    if isinstance(value, str):
        return path if "\0" in value else None
    if isinstance(value, dict):
        pairs = [(f"{path}.{name}" if path else str(name), item) for name, item in value.items()]
        if any("\0" in str(name) for name in value):
            return path or "params"
    elif isinstance(value, list | tuple):
        pairs = [(f"{path}[{index}]", item) for index, item in enumerate(value)]
    else:
        return None
    return next((found for place, item in pairs if (found := nul_path(item, place)) is not None), None)


def _join(path: str, field: str, root: str) -> str:
    return f"{path}.{field}" if path else ("params" if field == root else field)


def _allowed(wanted: Any, path: str) -> str:
    """``one of push, grab``: the values that the type allows at this path; empty if it cannot be told."""
    steps = _STEP.findall(re.sub(r"\[\d+\]", "[]", path))
    values = [] if wanted is None else _literals(_inspected(wanted), steps)
    return f"one of {', '.join(values)}" if len(values) > 1 else "".join(values)


@cache
def _inspected(wanted: Any) -> types.Type:
    return types.type_info(wanted)


def _literals(kind: types.Type, steps: list[str]) -> list[str]:
    """All literal values of the type at the end of these steps, through unions, lists, dicts and structs."""
    match kind:
        case types.Metadata():
            return _literals(kind.type, steps)
        case types.UnionType():
            return [value for option in kind.types for value in _literals(option, steps)]
        case types.LiteralType() if not steps:
            return [str(value) for value in kind.values]
        case types.StructType() if steps:
            inner = (field.type for field in kind.fields if field.encode_name == steps[0])
            return [value for option in inner for value in _literals(option, steps[1:])]
        case types.VarTupleType() | types.ListType() if steps:
            return _literals(kind.item_type, steps[1:])
        case types.DictType() if steps:
            return _literals(kind.value_type, steps[1:])
    return []

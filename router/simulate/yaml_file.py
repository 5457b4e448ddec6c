"""A YAML 1.2 file as plain data, with the line on which each part stands.

Times stay text (they are no type of YAML 1.2's core schema), keys are text, values are what JSON can hold.
Doubled keys are refused, as is anything with a tag of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode

#: where something stands: keys and indexes from the top
Place = tuple[str | int, ...]
DEPTH_MAX = 100


class NotPlain(Exception):  # noqa: N818 - what the file is
    """The file cannot be read as plain data: the ``line`` (from 1, or None), the place, and why."""

    def __init__(self, why: str, line: int | None = None, place: Place = ()) -> None:
        super().__init__(why)
        self.why, self.line, self.place = why, line, place


class Document:
    """What a file says: ``data``, and ``line(place)``."""

    def __init__(self, data: Any, lines: dict[Place, int]) -> None:
        self.data = data
        self._lines = lines

    def line(self, place: Place) -> int:
        """The line of this place, or of the nearest one around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 1)


class _Constructor(RoundTripConstructor):
    """Times stay as they are written."""


def _as_text(constructor: _Constructor, node: ScalarNode) -> str:
    return str(node.value)


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", _as_text)


def read(path: Path) -> Document:
    """The file as plain data. Raises NotPlain, or OSError if it cannot be opened."""
    yaml = YAML(typ="rt")
    yaml.Constructor = _Constructor
    try:
        loaded = yaml.load(path.read_bytes())
        lines: dict[Place, int] = {(): 1}
        return Document(_plain(loaded, (), lines), lines)
    except MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        why = ", ".join(part for part in (problem.context, problem.problem) if part)
        raise NotPlain(" ".join(why.split()), mark.line + 1 if mark else None) from None
    except (YAMLError, UnicodeDecodeError) as problem:
        raise NotPlain(" ".join(str(problem).split())) from None
    except RecursionError:
        raise NotPlain("it is nested too deeply") from None


def _plain(value: Any, place: Place, lines: dict[Place, int]) -> Any:
    """Containers and scalars without what the YAML library adds to them; fills ``lines``."""
    if len(place) > DEPTH_MAX:
        raise NotPlain("it is nested too deeply, or contains itself", lines.get(place[:1]), place[:1])
    if isinstance(value, CommentedMap | CommentedSeq):
        lines.update((where, line) for where, line in _marks(value, place))
    if isinstance(value, CommentedMap):
        return {_key(key, place, lines): _plain(item, (*place, key), lines) for key, item in value.items()}
    if isinstance(value, CommentedSeq):
        return [_plain(item, (*place, index), lines) for index, item in enumerate(value)]
    return _scalar(value, place, lines)


def _marks(container: CommentedMap | CommentedSeq, place: Place) -> Iterator[tuple[Place, int]]:
    for key, marks in (container.lc.data or {}).items():
        yield (*place, key), marks[0] + 1


def _key(key: Any, place: Place, lines: dict[Place, int]) -> str:
    if not isinstance(key, str):
        raise NotPlain(f"the key {key!r} is not text: put it in quotes", lines.get((*place, key)), place)
    return str(key)


def _scalar(value: Any, place: Place, lines: dict[Place, int]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind) and not (isinstance(value, float) and not math.isfinite(value)):
            return kind(value)
    line = next((lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in lines), None)
    raise NotPlain(f"{value!r} is neither text, number, boolean nor null", line, place)

"""Whether what came is what a scenario expects, and if not, where they differ.

A pattern is plain data: a mapping matches if each of its keys does, a list if it has the same length and
each item does, a scalar if equal; null matches null and absent. A mapping with a ``$`` key is a matcher, one
line of ``MATCHERS``. Times are compared with the scenario's ``start`` (a tick). Nothing here raises on
whatever came: what cannot be compared does not match.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from protocol.times import Duration, Moment
from router.simulate.names import REFERENCE
from router.simulate.wording import ABSENT, nearest, show


class Difference(Struct, frozen=True):
    """One place where what came is not what was expected; both sides are ready to print."""

    path: str
    expected: str
    got: str

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}expected {self.expected}, got {self.got}"


def matches(pattern: Any, value: Any, start: int) -> bool:
    """Whether the value matches; ``start`` is the tick that ``$after`` and ``$near`` count from."""
    return not differences(pattern, value, start)


def differences(pattern: Any, value: Any, start: int, path: str = "") -> list[Difference]:
    """Where the value does not match, outermost first; empty if it does. Paths are as in ``save``."""
    if isinstance(pattern, dict):
        if (name := _matcher_of(pattern)) is not None:
            fits = MATCHERS[name].fits(_argument(name, pattern), value, start)
            return [] if fits else [Difference(path, _show_matcher(pattern, start), show(value))]
        if isinstance(value, dict):
            pairs = ((key, part, value.get(key, ABSENT)) for key, part in pattern.items())
            return _within(pairs, start, path)
    elif isinstance(pattern, list) and isinstance(value, list):
        if len(pattern) != len(value):
            return [Difference(path, _items(pattern), _items(value))]
        return _within(
            ((str(index), *pair) for index, pair in enumerate(zip(pattern, value, strict=True))), start, path
        )
    elif _same(pattern, value):
        return []
    return [Difference(path, show(pattern), show(value))]


def _within(parts: Iterable[tuple[str, Any, Any]], start: int, path: str) -> list[Difference]:
    found: list[Difference] = []
    for key, pattern, value in parts:
        found += differences(pattern, value, start, f"{path}.{key}" if path else key)
    return found


def _same(pattern: Any, value: Any) -> bool:
    """Equal as JSON: a boolean is no number, an int may equal a float."""
    if pattern is None:
        return value is None or value is ABSENT
    return isinstance(pattern, bool) == isinstance(value, bool) and bool(pattern == value)


def _items(value: list[Any]) -> str:
    return f"{len(value)} item{'' if len(value) == 1 else 's'} {show(value)}"


# ---------------------------------------------------------------- matchers

Fits = Callable[[Any, Any, int], bool]


class Matcher(Struct, frozen=True):
    """A line of the table: ``fits(argument, value, start)``; ``takes`` says what an argument may be."""

    fits: Fits
    takes: Callable[[Any], bool]
    argument: str


def _comparison(holds: Callable[[Any, Any], bool]) -> Fits:
    """Numbers with numbers; texts with texts, since times of the protocol sort as text."""

    def fits(argument: Any, value: Any, start: int) -> bool:
        both = (_is_number(argument) and _is_number(value)) or (isinstance(argument, str) and isinstance(value, str))
        return both and holds(value, argument)

    return fits


def _near(argument: Any, value: Any, start: int) -> bool:
    length, within = argument
    wanted, allowed, came = _duration(length), _duration(within), _moment(value)
    if wanted is None or allowed is None or came is None:
        return False
    return abs(came - start - wanted) <= allowed


def _len(argument: Any, value: Any, start: int) -> bool:
    return isinstance(value, list | dict | str) and matches(argument, len(value), start)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_size(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)


def _is_duration(value: Any) -> bool:
    return _duration(value) is not None


def _anything(value: Any) -> bool:
    return True


def _duration(value: Any) -> Duration | None:
    try:
        return Duration.parse(value)
    except ValueError:
        return None


def _moment(value: Any) -> Moment | None:
    try:
        return Moment.parse(value)
    except ValueError:
        return None


def _bound(holds: Callable[[Any, Any], bool]) -> Matcher:
    return Matcher(_comparison(holds), lambda bound: _is_number(bound) or isinstance(bound, str), "a number or a time")


MATCHERS: dict[str, Matcher] = {
    "$any": Matcher(lambda _, value, start: value is not None and value is not ABSENT, lambda a: a is True, "true"),
    "$contains": Matcher(
        lambda part, value, start: isinstance(part, str) and isinstance(value, str) and part in value,
        lambda part: isinstance(part, str),
        "a text",
    ),
    "$not": Matcher(lambda pattern, value, start: not matches(pattern, value, start), _anything, "a value"),
    "$in": Matcher(
        lambda patterns, value, start: isinstance(patterns, list) and any(matches(p, value, start) for p in patterns),
        lambda patterns: isinstance(patterns, list),
        "a list",
    ),
    "$has": Matcher(
        lambda pattern, value, start: isinstance(value, list) and any(matches(pattern, item, start) for item in value),
        _anything,
        "a value",
    ),
    "$len": Matcher(_len, _is_size, "a number from 0"),
    "$gt": _bound(operator.gt),
    "$ge": _bound(operator.ge),
    "$lt": _bound(operator.lt),
    "$le": _bound(operator.le),
    "$after": Matcher(
        lambda length, value, start: _near((length, "0s"), value, start), _is_duration, 'a duration such as "5m"'
    ),
    "$near": Matcher(
        _near, lambda both: all(map(_is_duration, both)), 'a duration such as "5m", and "within" another one'
    ),
}


def _matcher_of(pattern: dict[Any, Any]) -> str | None:
    return next((key for key in pattern if key in MATCHERS), None)


def _argument(name: str, pattern: dict[str, Any]) -> Any:
    return (pattern["$near"], pattern.get("within")) if name == "$near" else pattern[name]


def problem(pattern: Any, path: str) -> tuple[str, str] | None:
    """What is wrong with a pattern before any value has come, as (path, sentence); None if nothing is.

    An argument that names something saved (``$c``) is not looked at: its value comes later.
    """
    if isinstance(pattern, list):
        parts: list[tuple[str, Any]] = [(f"{path}.{index}", item) for index, item in enumerate(pattern)]
    elif isinstance(pattern, dict):
        if (wrong := _matcher_problem(pattern)) is not None:
            return path, wrong
        parts = [(f"{path}.{key}", item) for key, item in pattern.items()]
    else:
        return None
    return next((found for place, part in parts if (found := problem(part, place)) is not None), None)


def _matcher_problem(pattern: dict[str, Any]) -> str | None:
    names = [key for key in pattern if key.startswith("$")]
    if not names:
        return None
    unknown = [name for name in names if name not in MATCHERS]
    if unknown:
        return f"there is no matcher {unknown[0]}{nearest(unknown[0], MATCHERS)}"
    name = names[0]
    allowed = {"$near", "within"} if name == "$near" else {name}
    if set(pattern) - allowed:
        return f"{name} stands alone, without {', '.join(sorted(set(pattern) - allowed))}"
    argument = _argument(name, pattern)
    if isinstance(argument, str) and REFERENCE.search(argument):
        return None
    return None if MATCHERS[name].takes(argument) else f"{name} takes {MATCHERS[name].argument}"


def _show_matcher(pattern: dict[str, Any], start: int) -> str:
    """The matcher as written; one of a time also says which time it means."""
    length = _duration(pattern.get("$after", pattern.get("$near")))
    meaning = "" if length is None else f" ({Moment(start + length).text()})"
    return show(pattern) + meaning

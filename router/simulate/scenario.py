"""A scenario: a workspace, and steps in virtual time; from its file, or why the file is none. [spec, "Scenarios"]

The whole file is checked before anything is played: every key and matcher is known, every time can be read,
every ``$name`` was saved by an earlier step. Repeats are unrolled here. What this version of the server does
not know (a method, a setting) is no fault of the file: it shows when the scenario is played.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from protocol.codec import convert
from protocol.times import Moment
from router.config import ConfigError
from router.simulate.names import numbered, references
from router.simulate.needs import Lacking, settings_of
from router.simulate.steps import STEPS, Batch, OneOf, Repeat, Request, Step, Text, Together, principal
from router.simulate.wording import nearest
from router.simulate.yaml_file import Document, NotPlain, Place, read

DEFAULT_START = Moment.parse("2026-01-05T09:00:00Z")  # a Monday
STEPS_MAX = 100_000  # after repeats are unrolled


class Placed(Struct, frozen=True):
    """A step to be played: its number as the file counts (``4.2``), where it stands, the rounds of its repeats."""

    number: str
    place: tuple[str | int, ...]
    line: int
    step: Step
    rounds: tuple[int, ...] = ()


class Heading(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A scenario's file, as its keys stand there."""

    name: Text
    steps: list[Any]
    tags: tuple[str, ...] = ()
    start: Moment = DEFAULT_START
    config: dict[str, Any] = {}
    online: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        for who in self.online:
            principal(who)


class Scenario(Struct, frozen=True, kw_only=True):
    """A scenario that can be played: every step checked, every repeat unrolled."""

    file: str
    heading: Heading
    steps: tuple[Placed, ...]

    @property
    def name(self) -> str:
        """Its name, in one line."""
        return " ".join(self.heading.name.split())


class NotAScenario(Exception):  # noqa: N818 - what the file is
    """The file is not a scenario; the text is ``file:line: place: why``."""

    def __init__(self, file: str, line: int | None, place: Place, why: str) -> None:
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {_words(place)}: {why}" if place else f"{where}: {why}")


class _Wrong(Exception):  # noqa: N818
    def __init__(self, place: Place, why: str) -> None:
        super().__init__(why)
        self.place, self.why = place, why


def read_scenario(path: Path) -> Scenario:
    """The scenario in this file. Raises NotAScenario."""
    file = str(path)
    try:
        document = read(path)
    except OSError as problem:
        raise NotAScenario(file, None, (), f"cannot be read: {problem.strerror}") from None
    except NotPlain as problem:
        raise NotAScenario(file, problem.line, problem.place, problem.why) from None
    try:
        heading = _struct(Heading, document.data, ())
        _check_config(heading.config)
        steps = tuple(_unrolled(heading.steps, ("steps",), "", document))
        _check_names(steps, document)
    except _Wrong as wrong:
        raise NotAScenario(file, document.line(wrong.place), wrong.place, wrong.why) from None
    return Scenario(file=file, heading=heading, steps=steps)


def _check_config(config: dict[str, Any]) -> None:
    """What is newer than this version is left for the scenario to fail by."""
    try:
        settings_of(config)
    except Lacking:
        return
    except ConfigError as error:
        path, _, why = error.problems[0].partition(": ")
        others = len(error.problems) - 1
        place = tuple(name or int(index) for name, index in _PART.findall(f".{path}"))
        raise _Wrong(("config", *place), why + (f" (and {others} more)" if others else "")) from None


# ---------------------------------------------------------------- steps


def _unrolled(raws: Sequence[Any], place: Place, prefix: str, document: Document) -> Iterator[Placed]:
    """The steps of a list, repeats unrolled; bounded by STEPS_MAX."""
    count = 0
    for index, raw in enumerate(raws):
        here, number = (*place, index), f"{prefix}{index + 1}"
        for placed in _one(raw, here, number, document):
            count += 1
            if count > STEPS_MAX:
                raise _Wrong(here, f"that is more than {STEPS_MAX} steps")
            yield placed


def _one(raw: Any, place: Place, number: str, document: Document) -> Iterator[Placed]:
    step = _step(raw, place)
    if not isinstance(step, Repeat):
        yield Placed(number, place, document.line(place), step)
        return
    for n in range(1, step.repeat + 1):
        steps = [item if _is_repeat(item) else numbered(item, n) for item in step.steps]
        for inner in _unrolled(steps, (*place, "steps"), f"{number}.", document):
            yield msgspec.structs.replace(inner, rounds=(n, *inner.rounds))


def _is_repeat(raw: Any) -> bool:
    """A repeat within a repeat: ``{n}`` is its own number there."""
    return isinstance(raw, dict) and "repeat" in raw


def _step(raw: Any, place: Place) -> Step:
    if not isinstance(raw, dict):
        raise _Wrong(place, "a step is a mapping")
    kinds = [key for key in STEPS if key in raw]
    if len(kinds) > 1:
        raise _Wrong((*place, kinds[1]), f"a step is one thing, this one is {' and '.join(kinds)}")
    if not kinds:
        hint = next((hint for key in raw if (hint := nearest(key, STEPS))), "")
        raise _Wrong(place, f"no step has the keys {', '.join(raw) or '(none)'}{hint}; one of {', '.join(STEPS)}")
    kind = STEPS[kinds[0]]
    return _struct(kind, _with_speaker(raw, place) if kind is Batch else raw, place)


def _with_speaker(raw: dict[str, Any], place: Place) -> dict[str, Any]:
    """A batch whose items are spoken by whoever sends the frame."""
    items = raw["batch"]
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if isinstance(item, dict) and "as" in item:
            raise _Wrong((*place, "batch", index, "as"), "a batch is one frame of one client: as stands beside batch")
    if "as" not in raw:
        raise _Wrong(place, "as is missing")
    if not isinstance(items, list):
        return raw
    return raw | {"batch": [item | {"as": raw["as"]} if isinstance(item, dict) else item for item in items]}


# ---------------------------------------------------------------- names


def _check_names(steps: Sequence[Placed], document: Document) -> None:
    """Every ``$name`` was saved by an earlier step (requests of one turn are made before any is answered)."""
    saved: set[str] = set()
    for placed in steps:
        for name in references(msgspec.to_builtins(placed.step, enc_hook=str)):
            if name not in saved:
                raise _Wrong(placed.place, f"${name} has not been saved before this step{nearest(name, saved)}")
        saved.update(_saves(placed.step))


def _saves(step: Step) -> Iterator[str]:
    items: Sequence[Request] = ()
    if isinstance(step, Together):
        items = step.together
    elif isinstance(step, Batch):
        items = step.batch
    elif isinstance(step, OneOf):
        items = step.one_of
    for part in (step, *items):
        yield from getattr(part, "save", {})


# ---------------------------------------------------------------- structs

_COMPLAINT = re.compile(r"(?P<why>.*?)(?: - at `(?:key in )?\$(?P<path>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<key>.*)`")
_MISSING = re.compile(r"Object missing required field `(?P<key>.*)`")
_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_Kind = TypeVar("_Kind", bound=Struct)


def _struct(kind: type[_Kind], raw: Any, place: Place) -> _Kind:
    """The plain value as this struct; what is wrong is named by the words of the file."""
    try:
        built: _Kind = convert(raw, kind)
    except msgspec.ValidationError as problem:
        raise _explained(str(problem), kind, place) from None
    return built


def _explained(complaint: str, kind: type[Struct], place: Place) -> _Wrong:
    found = _COMPLAINT.fullmatch(complaint)
    why, path = (found["why"], found["path"] or "") if found else (complaint, "")
    inner = tuple(key or int(index) for key, index in _PART.findall(path))
    if unknown := _UNKNOWN.fullmatch(why):
        key = unknown["key"]
        return _Wrong((*place, *inner, key), f"there is no key {key}{nearest(key, _keys(kind, bool(inner)))}")
    if missing := _MISSING.fullmatch(why):
        return _Wrong((*place, *inner), f"{missing['key']} is missing")
    return _Wrong(
        (*place, *inner),
        why[:1].lower() + why[1:].replace("`object`", "a mapping").replace("`array`", "a list").replace("`", ""),
    )


def _keys(kind: type[Struct], nested: bool) -> tuple[str, ...]:
    """The keys that stand in such a mapping; those nested in a step are requests (or a timeline's count)."""
    if not nested:
        return kind.__struct_encode_fields__
    return ("of", "is") if "timeline" in kind.__struct_encode_fields__ else Request.__struct_encode_fields__


def _words(place: Place) -> str:
    """A place as people say it: ``step 4.2: where``, ``config.services.0``."""
    numbers: list[str] = []
    while len(place) > 1 and place[0] == "steps" and isinstance(place[1], int):
        numbers.append(str(place[1] + 1))
        place = place[2:]
    rest = ".".join(map(str, place))
    if not numbers:
        return rest
    return f"step {'.'.join(numbers)}" + (f": {rest}" if rest else "")

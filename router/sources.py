"""The sources of a configuration: a TOML file, environment variables, flags, each checked where it stands.

Every source becomes the same plain nested table. Values are checked one by one against the types of the
structs in ``router.config`` instead of all at once, so that every problem is found and is named in the words
of its source: ``services[1].mode``, ``SIGNALBOX_SERVER_PORT``, ``--port``.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct

from protocol.codec import convert
from protocol.complaints import explain, nul_path
from protocol.times import Duration

PREFIX = "SIGNALBOX_"
#: variables that others read; everything else with the prefix must be a setting
OTHERS = (
    "SIGNALBOX_SECRET",
    "SIGNALBOX_SECRET_FILE",
    "SIGNALBOX_WEBHOOK_SECRET",
    "SIGNALBOX_WEBHOOK_SECRET_FILE",
    "SIGNALBOX_SMTP_PASSWORD",
    "SIGNALBOX_SMTP_PASSWORD_FILE",
    "SIGNALBOX_COMPILE",
)
TESTS = "SIGNALBOX_TEST_"
STORE = "SIGNALBOX_STORE"
#: what Kubernetes sets by itself in every pod when a service there is called signalbox
LINKS = re.compile(r"SIGNALBOX_(SERVICE_(HOST|PORT)\w*|PORT_\d+_\w+)")
#: the section whose keys may also stand at the top level of a file, but for its id, which says little there
AT_TOP, NOT_AT_TOP = "workspace", "id"
#: TOML has no null: this text stands for it where a duration may be absent
NEVER = "never"
FLAGS = {
    "host": ("server", "host"),
    "port": ("server", "port"),
    "store": ("store", "url"),
    "tls_certificate": ("tls", "certificate"),
    "tls_key": ("tls", "key"),
}

Table = dict[str, Any]
Problems = list[str]


def from_file(path: str | Path | None, root: type[Struct], problems: Problems) -> Table:
    """The tables of a TOML file. ``problems`` gets what is wrong with it."""
    if path is None:
        return {}
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as problem:
        problems.append(f"{path}: cannot be read: {os.strerror(problem.errno or 0)}")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as problem:
        problems.append(f"{path}: is not TOML: {problem}")
        return {}
    return _with_top(table, root, problems)


def from_environment(environ: Mapping[str, str], root: type[Struct], problems: Problems) -> Table:
    """The settings that variables name. An empty variable counts as not set."""
    known = variables(root)
    table: Table = {}
    ours = {name: text for name, text in sorted(environ.items()) if text and _is_ours(name, text)}
    if ours.keys() >= {STORE, "SIGNALBOX_STORE_URL"}:
        problems.append(f"{STORE}: set it or SIGNALBOX_STORE_URL, not both")
    for name, text in ours.items():
        if name not in known:
            problems.append(f"{name}: no such setting{_instead(name, [*known, *OTHERS])}")
            continue
        *above, key = known[name]
        place, inner = table, root
        for step in above:
            place, inner = place.setdefault(step, {}), _table(_fields(inner)[step].type)
        place[key] = _from_text(text, _fields(inner)[key].type, name, problems)
    return table


def from_flags(flags: Mapping[str, Any], root: type[Struct], problems: Problems) -> Table:
    """The settings that were given on the command line; None = not given."""
    table: Table = {}
    for name, value in flags.items():
        if value is not None:
            section, key = FLAGS[name]
            wanted = _fields(_fields(root)[section].type)[key].type
            table.setdefault(section, {})[key] = checked(value, wanted, f"--{name.replace('_', '-')}", problems)
    return table


def merged(layers: Iterable[Table]) -> Table:
    """One table; what a later layer sets replaces what an earlier one did, key by key of each table."""
    whole: Table = {}
    for layer in layers:
        _merge(layer, whole)
    return whole


def _merge(layer: Table, whole: Table) -> None:
    for key, value in layer.items():
        if isinstance(value, dict):
            _merge(value, whole.setdefault(key, {}))
        else:
            whole[key] = value


def variables(root: type[Struct]) -> dict[str, tuple[str, ...]]:
    """Every variable that is a setting, with the keys that lead to it; a table at the top of a file is a section."""
    known: dict[str, tuple[str, ...]] = {STORE: ("store", "url")}
    for section, table in _fields(root).items():
        for key, item in _fields(table.type).items():
            if _fits_a_variable(item.type):
                known[_variable(section, key)] = (section, key)
            elif section == AT_TOP and _item(item.type) is None and (inner := _struct(item.type)) is not None:
                known |= {_variable(key, name): (section, key, name) for name in _fields(inner)}
    return known


def _variable(section: str, key: str) -> str:
    return f"{PREFIX}{section}_{key}".upper()


def checked(value: Any, wanted: Any, path: str, problems: Problems) -> Any:
    """Plain data as it can be converted to ``wanted``; what is wrong with it is added to ``problems``.

    Parameters: the value's ``path`` as the operator would write it, empty for the whole.
    """
    if isinstance(value, dict) and (table := _struct(wanted)) is not None:
        return _checked_table(value, table, path, problems)
    if isinstance(value, list | tuple) and (item := _item(wanted)) is not None and _struct(item) is not None:
        return [checked(inner, item, f"{path}[{index}]", problems) for index, inner in enumerate(value)]
    if value == NEVER and {Duration, type(None)} <= set(_options(wanted)):
        return None
    try:
        convert(value, wanted)
    except msgspec.ValidationError as problem:
        data = explain(str(problem), root="", wanted=wanted).data
        problems.append(f"{_below(path, data['field'])}: expected {data['expected']}")
    if (place := nul_path(value, path)) is not None:
        problems.append(f"{place}: expected text without NUL characters")
    return value


def _checked_table(value: Table, table: type[Struct], path: str, problems: Problems) -> Table:
    fields = _fields(table)
    for key in value:
        if key not in fields:
            problems.append(f"{_below(path, key)}: no such setting{_instead(key, fields, path)}")
    for key, item in fields.items():
        if item.required and key not in value:
            problems.append(f"{_below(path, key)}: expected it to be given")
    return {
        key: checked(inner, fields[key].type, _below(path, key), problems)
        for key, inner in value.items()
        if key in fields
    }


def _with_top(table: Table, root: type[Struct], problems: Problems) -> Table:
    """A file's sections; the workspace's keys are taken from the top level as well, but not from both places."""
    inner: type[Struct] = _fields(root)[AT_TOP].type
    names = [key for key in _fields(inner) if key != NOT_AT_TOP]
    own = {key: table.pop(key) for key in names if key in table}
    for key in [key for key in table if key not in _fields(root)]:
        hint = _moved(key, root) or _instead(key, [*_fields(root), *names])
        problems.append(f"{key}: no such setting{hint}")
        del table[key]
    given = table.get(AT_TOP, {})
    doubled = [key for key in own if isinstance(given, dict) and key in given]
    problems.extend(f"{key}: given twice, here and in [{AT_TOP}]" for key in doubled)
    sections: Table = checked(table, root, "", problems)
    above = checked(own, inner, "", problems) if own else {}
    if above and isinstance(given, dict):
        sections[AT_TOP] = {**sections.get(AT_TOP, {}), **above}
    return sections


def _from_text(text: str, wanted: Any, name: str, problems: Problems) -> Any:
    """A variable's text as plain data: numbers and bools as text, lists with commas."""
    item = _item(wanted)
    parts = [part.strip() for part in text.split(",")] if item is not None else [text]
    values = []
    for part in parts:
        try:
            values.append(convert(part, item or wanted, strict=False))
        except msgspec.ValidationError as problem:
            expected = explain(str(problem), root="", wanted=item or wanted).data["expected"]
            problems.append(f"{name}: expected {expected}")
    return values if item is not None else next(iter(values), None)


def _is_ours(name: str, text: str) -> bool:
    linked = LINKS.fullmatch(name) or (name == "SIGNALBOX_PORT" and "://" in text)
    return name.startswith(PREFIX) and not (name in OTHERS or name.startswith(TESTS) or linked)


def _fields(table: type[Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {item.encode_name: item for item in msgspec.structs.fields(table)}


def _options(wanted: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself; annotations left out."""
    if get_origin(wanted) is Annotated:
        return _options(get_args(wanted)[0])
    if get_origin(wanted) in (Union, UnionType):
        return tuple(option for part in get_args(wanted) for option in _options(part))
    return (wanted,)


def _struct(wanted: Any) -> type[Struct] | None:
    classes = (option for option in _options(wanted) if isinstance(option, type))
    return next((option for option in classes if issubclass(option, Struct)), None)


def _table(wanted: Any) -> type[Struct]:
    """The struct of a setting that is one."""
    found = _struct(wanted)
    assert found is not None
    return found


def _item(wanted: Any) -> Any:
    """X of ``tuple[X, ...]``, else None."""
    lists = (option for option in _options(wanted) if get_origin(option) is tuple)
    return next((get_args(option)[0] for option in lists), None)


def _fits_a_variable(wanted: Any) -> bool:
    """True for texts, numbers, choices, and lists of them; tables and dicts are for the file."""
    item = _item(wanted)
    return _struct(item or wanted) is None and all(get_origin(option) is not dict for option in _options(wanted))


def _below(path: str, name: str) -> str:
    return f"{path}{'.' if path and name and not name.startswith('[') else ''}{name}"


def _moved(key: str, root: type[Struct]) -> str:
    """``; did you mean server.port?`` for a key that stands outside its section."""
    sections = (section for section, table in _fields(root).items() if key in _fields(table.type))
    return next((f"; did you mean {section}.{key}?" for section in sections), "")


def _instead(name: str, known: Iterable[str], path: str = "") -> str:
    """``; did you mean server.port?``, or what there is."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {_below(path, near[0])}?"
    return f"; there are {', '.join(names)}" if len(names) < 20 else ""

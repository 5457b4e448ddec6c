"""Writes the pages that are made from the code: ``python -m docs.generate``, or ``--check`` to only compare.

``configuration.md`` is made from the structs that read the configuration: key, variable, type and default come
from them, the sentences from ``docs.meanings``. A setting without a sentence is an error, and the other way round.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import msgspec.inspect as types
from msgspec import Struct

from docs.meanings import MEANINGS, SECTIONS
from protocol.codec import encode_json
from protocol.settings import WorkspaceSettings
from protocol.times import Duration, Moment
from router.config import Config
from router.sources import variables

HERE = Path(__file__).parent
#: settings that stand at the top level of a file instead of in their section
AT_TOP = "workspace"
TABLE_HEAD = ("| key | type | default | meaning |", "|---|---|---|---|")
NAMED = {Duration: "duration", Moment: "time"}


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` say which are out of date. Returns the exit code."""
    pages = {HERE / "configuration.md": configuration()}
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(HERE.parent)} is out of date: run make docs", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(pages[path], encoding="utf-8")
    return 0


def configuration() -> str:
    """The page about configuration. Raises LookupError if a setting has no meaning, or a meaning no setting."""
    found = dict(settings())
    _check_complete(set(MEANINGS), set(found))
    _check_complete(set(SECTIONS), set(_sections(found)))
    example = (HERE / "example.toml").read_text(encoding="utf-8")
    parts = [INTRODUCTION, EXAMPLE.format(example=example.strip())]
    parts += [_section(name, found) for name in _sections(found)]
    return "\n".join([*parts, ENVIRONMENT])


def _check_complete(explained: set[str], there: set[str]) -> None:
    if missing := there - explained:
        raise LookupError(f"docs/meanings.py has no sentence for {', '.join(sorted(missing))}")
    if stale := explained - there:
        raise LookupError(f"docs/meanings.py explains what is not there: {', '.join(sorted(stale))}")


def settings() -> Iterator[tuple[str, types.Field]]:
    """Every setting by its path, in the order of the structs; what is inside a list of tables too."""
    for section in _struct_fields(Config):
        inner = _struct_of(section.type)
        assert inner is not None
        for field in _struct_fields(inner):
            yield from _inside(section.encode_name, field)


def _inside(path: str, field: types.Field) -> Iterator[tuple[str, types.Field]]:
    inner = _struct_of(field.type)
    top = path == AT_TOP and inner is not None
    name = field.encode_name if top else f"{path}.{field.encode_name}"
    if not top:
        yield name, field
    if inner is not None:
        for below in _struct_fields(inner):
            yield from _inside(name, below)


def _sections(found: dict[str, types.Field]) -> list[str]:
    names = [path.rpartition(".")[0] for path in found]
    return sorted(set(names), key=names.index)


def _section(name: str, found: dict[str, types.Field]) -> str:
    depth = "####" if "." in name else "###"
    rows = [(path.removeprefix(f"{name}."), path) for path in found if path.rpartition(".")[0] == name]
    lines = [f"{depth} {_header(name, found)}", "", SECTIONS[name], "", *TABLE_HEAD]
    for key, path in rows:
        cells = (f"`{key}`", kind(found[path].type), default(found[path]), MEANINGS[path])
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*lines, ""])


def _header(name: str, found: dict[str, types.Field]) -> str:
    """As it stands in a file: one table, or one of a list of them."""
    tables = (*_struct_fields(Config), *_struct_fields(WorkspaceSettings))
    single = name in {field.encode_name for field in tables if not isinstance(field.type, types.VarTupleType)}
    inside = name in found and not isinstance(found[name].type, types.VarTupleType)
    return f"`[{name}]`" if single or inside else f"`[[{name}]]`"


def kind(wanted: types.Type) -> str:
    """A type in an operator's words."""
    match wanted:
        case types.Metadata():
            return kind(wanted.type)
        case types.UnionType():
            return " or ".join(kind(option) for option in wanted.types if not isinstance(option, types.NoneType))
        case types.LiteralType():
            return ", ".join(f"`{value}`" for value in wanted.values)
        case types.VarTupleType() | types.ListType():
            return f"list of {kind(wanted.item_type)}s"
        case types.TupleType():
            return "pair" if len(wanted.item_types) == 2 else "list"
        case types.DictType():
            return f"table: {kind(wanted.key_type)} → {kind(wanted.value_type)}"
        case types.StructType():
            return "table"
        case types.CustomType():
            return NAMED[wanted.cls]
        case types.IntType():
            return f"whole number{_bounds(wanted)}"
        case types.FloatType():
            return f"number{_bounds(wanted)}"
        case types.BoolType():
            return "true or false"
        case types.StrType():
            return "text"
    raise NotImplementedError(f"no words for {wanted}")


def _bounds(number: types.IntType | types.FloatType) -> str:
    """`` 1 to 200``, `` ≥ 1``, or nothing."""
    if number.ge is not None and number.le is not None:
        return f" {number.ge} to {number.le}"
    least = number.ge if number.ge is not None else number.gt
    return "" if least is None else f" {'≥' if number.ge is not None else '>'} {least}"


def default(field: types.Field) -> str:
    """A default as it would be written in the file."""
    if field.required:
        return "required"
    factory = field.default_factory
    value = field.default if factory is msgspec.NODEFAULT else factory()
    if value is None:
        return "–"
    return f"`{_toml(msgspec.json.decode(encode_json(value)))}`"


def _toml(value: Any) -> str:
    """Plain data as an inline value of TOML; what is null is left out."""
    match value:
        case dict():
            pairs = [f"{key} = {_toml(inner)}" for key, inner in value.items() if inner is not None]
            return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
        case list():
            return f"[{', '.join(_toml(inner) for inner in value)}]"
        case float() if value.is_integer():
            return str(int(value))
    return msgspec.json.encode(value).decode()


def _struct_fields(struct: type[Struct]) -> tuple[types.Field, ...]:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    return info.fields


def _struct_of(wanted: types.Type) -> type[Struct] | None:
    """The struct that a setting is, or is a list of."""
    match wanted:
        case types.StructType():
            return wanted.cls
        case types.VarTupleType():
            return _struct_of(wanted.item_type)
        case types.UnionType():
            return next((struct for option in wanted.types if (struct := _struct_of(option)) is not None), None)
    return None


def _variable_rows() -> str:
    shown = {".".join(path[-2:]): name for name, path in variables(Config).items()}
    return "\n".join(f"| `{name}` | `{path}` |" for path, name in sorted(shown.items()))


INTRODUCTION = """\
# Configuration

<!-- Made by `make docs` from the code and docs/meanings.py: do not edit. -->

A setting comes from the first of these that has it: a flag (`--host`, `--port`, `--store`), an environment variable,
the TOML file that `--config` names, its default. A key or variable that means nothing is an error, so that a misspelt
limit is found now and not on the day it is needed. All problems are listed at once, a line each:

    server.prot: no such setting; did you mean server.port?
    services[0].members[1].role: expected one of admin, representative

`signalbox check-config FILE` reads a file as the server would, and also counts as wrong what the server only warns of,
because the backend may add agents later: members and classes that nothing defines.

Durations are texts such as `"250ms"`, `"45s"`, `"3m"`, `"1h30m"`, `"1d"`. TOML has no null: where a duration may be
absent, `"never"` says so.
"""

EXAMPLE = """\
## Example

```toml
{example}
```

## Settings
"""

ENVIRONMENT = f"""\
## Environment

Lists are written with commas: `SIGNALBOX_SERVER_ORIGINS=https://a.example,https://b.example`. An empty variable counts
as not set. Services and agents can only be set in the file, or by the backend at run time. One variable of `mail` is
enough for mail to be written, with the defaults for what is not set.

| variable | setting |
|---|---|
| `SIGNALBOX_STORE` | `store.url` |
{_variable_rows()}

Left alone: `SIGNALBOX_TEST_*`, `SIGNALBOX_COMPILE`, and what Kubernetes sets by itself for a service called signalbox
(`SIGNALBOX_SERVICE_HOST`, `SIGNALBOX_PORT_8400_TCP` and the like).

### Secrets

Tokens are signed with a secret of at least 32 bytes, from `SIGNALBOX_SECRET` or the file that `SIGNALBOX_SECRET_FILE`
names; line breaks at its end are not part of it. There is no flag and no key for it: flags can be seen by every
process of the machine, and configuration files get copied around. With `auth.public_key_files` the secret is optional.

    openssl rand -hex 32 > /run/secrets/signalbox

Webhooks of the escalation ladder are signed with a secret of their own, `SIGNALBOX_WEBHOOK_SECRET` or the file that
`SIGNALBOX_WEBHOOK_SECRET_FILE` names; without one they are not called.

The mail server's password is in `SIGNALBOX_SMTP_PASSWORD` or the file that `SIGNALBOX_SMTP_PASSWORD_FILE` names.

`signalbox serve --dev` uses a secret that everybody knows unless one is set, prints tokens, and listens on loopback
only.
"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

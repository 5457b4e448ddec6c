"""Floors and style as tests. [architecture, "Rooms and floors"; style §16]

Each rule is a function over source text that returns complaints; each is first shown something bad.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import REASONS
from protocol.requests import METHODS

ROOT = Path(__file__).parent.parent
ROOMS = ("protocol", "actors", "storage", "router")
STDLIB = sys.stdlib_module_names

#: what a room may import beside the standard library
MAY_IMPORT = {
    "protocol": {"protocol", "msgspec"},
    "actors": {"actors", "protocol", "msgspec", "sortedcontainers", "mypy_extensions"},
    "storage": {"storage", "protocol", "msgspec", "apsw", "asyncpg", "uvloop"},
}
NEVER_IN_A_ROOM = {"tests", "bench", "loadtest", "examples", "docs", "console"}
#: the part of the standard library that reads no clock, no chance, no file and no environment
PURE = {
    "__future__", "abc", "bisect", "collections", "copy", "dataclasses", "datetime", "enum", "functools", "hashlib",
    "heapq", "itertools", "math", "operator", "re", "string", "traceback", "types", "typing",
}  # fmt: skip
PURE_IN = {"actors": PURE, "protocol": PURE}
#: what reads a database of the system, and where it may
EXCEPT = {("actors/hours.py", "zoneinfo")}
NEVER_CALLED = {"open", "print", "input", "id", "hash", "eval", "exec", "vars", "globals", "breakpoint"}
CLOCKS = {"now", "utcnow", "today", "fromtimestamp"}
#: modules behind which a library stands
ONLY_IN = {"websockets": "router/transport.py", "mypy_extensions": "actors/__init__.py"}
LINES_MAX = 400
#: longer than that, for now: take a line out when its file is shorter
LONG = {
    "actors/agent.py",
    "actors/core.py",
    "actors/memory.py",
    "actors/requests.py",
    "bench/erlang.py",
    "protocol/records.py",
    "protocol/requests.py",
    "router/driver.py",
    "tests/actors/test_hours.py",
    "tests/actors/test_reading.py",
    "tests/actors/test_wheel.py",
    "tests/protocol/test_codec.py",
    "tests/secrecy.py",
    "tests/test_roles.py",
}  # fmt: skip
#: plain data, tested wherever it is used
NO_MIRROR = {"actors/effects.py", "actors/messages.py"}


def sources(*rooms: str) -> Iterator[tuple[str, str]]:
    """Path (as in git) and text of every Python file of these rooms."""
    for room in rooms:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def every_file() -> list[tuple[str, str]]:
    return list(sources("protocol", "actors", "storage", "router", "tests", "bench", "docs", "examples", "loadtest"))


# ---------------------------------------------------------------- floors


def imported(text: str) -> list[tuple[int, str]]:
    """Line and full name of every module that is imported, wherever that stands."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.lineno, "." * node.level + (node.module or "")))
    return found


def against_floors(path: str, text: str) -> list[str]:
    """Imports that go up, sideways or out of the house."""
    room, complaints = path.split("/")[0], []
    for line, name in imported(text):
        first = name.split(".")[0]
        where = f"{path}:{line} imports {name}"
        pure = PURE_IN.get(room)
        if name.startswith("."):
            complaints.append(f"{where}: absolute names only")
        elif first in NEVER_IN_A_ROOM:
            complaints.append(f"{where}: nobody depends on that")
        elif ONLY_IN.get(first, path) != path:
            complaints.append(f"{where}: only {ONLY_IN[first]} may")
        elif room in MAY_IMPORT and first not in STDLIB and first not in MAY_IMPORT[room]:
            complaints.append(f"{where}: not from this floor")
        elif pure is not None and first in STDLIB and first not in pure and (path, first) not in EXCEPT:
            complaints.append(f"{where}: not deterministic")
    return complaints


@pytest.mark.parametrize("room", ROOMS)
def test_imports_go_down_and_never_up_or_sideways(room: str) -> None:
    files = list(sources(room))
    assert len(files) > 5
    assert [found for path, text in files for found in against_floors(path, text)] == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("protocol/x.py", "from actors.core import Core"), ("protocol/x.py", "import sortedcontainers"),
        ("protocol/x.py", "import time"), ("actors/x.py", "from storage.store import Store"),
        ("actors/x.py", "import router"), ("actors/x.py", "import trio"), ("actors/x.py", "import asyncio"),
        ("actors/x.py", "def f():\n    import random"), ("actors/x.py", "import os.path"),
        ("actors/x.py", "if TYPE_CHECKING:\n    from logging import Logger"), ("actors/x.py", "import zoneinfo"),
        ("actors/x.py", "from . import core"), ("storage/x.py", "from actors.core import Core"),
        ("storage/x.py", "import router.driver"), ("storage/x.py", "import trio"),
        ("router/x.py", "import websockets"),
        ("router/x.py", "from tests.world import World"), ("router/x.py", "import examples.demo"),
    ],
)  # fmt: skip
def test_an_import_against_the_floors_is_seen(path: str, text: str) -> None:
    assert len(against_floors(path, text)) == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("actors/hours.py", "from zoneinfo import ZoneInfo"), ("actors/x.py", "from protocol import ids"),
        ("router/transport.py", "from websockets.frames import Frame"),
        ("router/x.py", "from actors.core import Core\nimport time"), ("storage/x.py", "import asyncpg, threading"),
    ],
)  # fmt: skip
def test_an_import_that_goes_down_is_not(path: str, text: str) -> None:
    assert against_floors(path, text) == []


# ---------------------------------------------------------------- the core is a function of its inputs


def impure(path: str, text: str) -> list[str]:
    """Calls that would make the core depend on something that is no input; loops over sets."""
    complaints = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            if name in NEVER_CALLED:
                complaints.append(f"{path}:{node.lineno} calls {name}()")
            if isinstance(node.func, ast.Attribute) and _is_clock(node.func, len(node.args)):
                complaints.append(f"{path}:{node.lineno} asks a clock")
        elif isinstance(node, ast.For | ast.comprehension) and _is_set(node.iter):
            complaints.append(f"{path}:{node.iter.lineno} goes through a set in its own order")
        elif isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            complaints.append(f"{path}:{node.lineno} waits")
    return complaints


def _is_clock(called: ast.Attribute, arguments: int) -> bool:
    """``datetime.now()`` and the like; ``fromtimestamp`` with a zone is arithmetic."""
    owner = called.value.id if isinstance(called.value, ast.Name) else ""
    if called.attr not in CLOCKS or owner not in ("datetime", "date", "time"):
        return False
    return called.attr != "fromtimestamp" or arguments < 2


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("set", "frozenset")


@pytest.mark.parametrize("room", ["protocol", "actors"])
def test_the_core_asks_nothing_but_its_inputs(room: str) -> None:
    assert [found for path, text in sources(room) for found in impure(path, text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "x = open('f')", "print(1)", "key = id(actor)", "order = hash(name)", "t = datetime.now(UTC)",
        "t = datetime.fromtimestamp(5)", "t = date.today()", "for x in {1, 2}: f(x)", "y = [x for x in set(names)]",
        "async def f(): pass", "def f():\n    return input()",
    ],
)  # fmt: skip
def test_whatever_is_no_input_is_seen(text: str) -> None:
    assert len(impure("actors/x.py", text)) == 1


def test_sorting_a_set_and_translating_a_tick_are_allowed() -> None:
    assert impure("actors/x.py", "for x in sorted({1, 2}): f(x)\nt = datetime.fromtimestamp(5, zone)") == []


# ---------------------------------------------------------------- words


def undocumented(path: str, text: str) -> list[str]:
    """Public modules, classes and functions without a docstring."""
    tree = ast.parse(text)
    complaints = [] if ast.get_docstring(tree) else [f"{path} has no docstring"]
    return complaints + [f"{path}: {name} has no docstring" for name in _silent(tree, "")]


def _silent(tree: ast.AST, prefix: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield prefix + node.name
        if isinstance(node, ast.ClassDef):
            yield from _silent(node, f"{prefix}{node.name}.")


@pytest.mark.parametrize("room", ROOMS)
def test_everything_public_says_what_it_is(room: str) -> None:
    assert [found for path, text in sources(room) for found in undocumented(path, text)] == []


def test_what_says_nothing_is_seen() -> None:
    text = "class A:\n    def f(self): pass\n    def _g(self): pass\nasync def h(): pass\n"
    assert undocumented("x.py", text) == [
        "x.py has no docstring", "x.py: A has no docstring", "x.py: A.f has no docstring", "x.py: h has no docstring",
    ]  # fmt: skip
    assert undocumented("x.py", '"""Doc."""\ndef _f(): pass\n') == []


def reasons(text: str) -> set[str]:
    """The reasons with which this text refuses: ``refused("not_found")``."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call) and node.args)
    named = (node.args[0] for node in calls if isinstance(node.func, ast.Name) and node.func.id == "refused")
    return {word for first in named for word in _texts(first)}


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def refusals() -> Iterator[tuple[str, str]]:
    """Path and reason of every refusal in the rooms that means ``protocol.errors.refused``."""
    for path, text in sources(*ROOMS):
        if "protocol.errors" in [name for _, name in imported(text)]:
            for word in sorted(reasons(text)):
                yield path, word


def test_every_reason_is_in_the_table() -> None:
    found = list(refusals())
    assert len({word for _, word in found}) > 10
    assert [(path, word) for path, word in found if word not in REASONS] == []


def test_every_reason_has_a_sentence_and_stands_in_the_reference() -> None:
    reference = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
    for word, (sentence, _) in REASONS.items():
        assert sentence.endswith("."), word
        assert f"`{word}`" in reference, word


def test_reasons_are_found_in_refusals_only() -> None:
    text = 'raise refused("a" if x else "b", "text")\nrefused(word)\nother("c")\nself.refused("d")'
    assert reasons(text) == {"a", "b"}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_sentence_and_stands_in_the_reference(name: str) -> None:
    assert METHODS[name].summary.endswith(".")
    assert METHODS[name].name == name
    assert f"`{name}`" in (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")


# ---------------------------------------------------------------- files


def unmirrored(paths: list[str]) -> list[str]:
    """Modules of actors and storage without ``tests/<room>/test_<module>.py``."""
    there, missing = set(paths), []
    for path in paths:
        room, _, module = path.partition("/")
        is_module = room in ("actors", "storage") and not module.startswith("__") and path not in NO_MIRROR
        if is_module and f"tests/{room}/test_{module}" not in there:
            missing.append(path)
    return missing


def test_every_module_has_its_mirror() -> None:
    assert unmirrored([path for path, _ in every_file()]) == []


def test_a_module_without_a_mirror_is_seen() -> None:
    paths = ["actors/__init__.py", "actors/a.py", "actors/b.py", "tests/actors/test_a.py", "tests/storage/test_b.py"]
    assert unmirrored(paths) == ["actors/b.py"]


def too_long(path: str, text: str) -> bool:
    return len(text.splitlines()) > LINES_MAX


def test_no_file_is_too_long() -> None:
    long = {path for path, text in every_file() if too_long(path, text)}
    assert long <= LONG, "split it"
    assert long >= LONG & {path for path, _ in every_file()}, "these are short now: take them out of LONG"


def test_a_file_that_is_too_long_is_seen() -> None:
    assert too_long("x.py", "x\n" * (LINES_MAX + 1))
    assert not too_long("x.py", "x\n" * LINES_MAX)

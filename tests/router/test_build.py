"""The core runs as it was asked for, and its files keep to what mypyc can compile. [setup.py]"""

from __future__ import annotations

import ast
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from router import build

ROOT = Path(__file__).parents[2]
INTERPRETED = {"__init__", "effects", "messages"}
MODULES = sorted(path.stem for path in (ROOT / "actors").glob("*.py"))
ASKED = "compiled" if os.environ.get("SIGNALBOX_COMPILE") == "1" else "pure Python"


def test_the_core_is_what_the_environment_asked_for() -> None:
    """Or `make compiled` could test the interpreted one without anybody noticing, and `make test` the other."""
    assert build.core() == ASKED


@pytest.mark.parametrize("module", MODULES)
def test_every_module_of_the_core_is_from_this_tree_and_as_the_others(module: str) -> None:
    spec = find_spec(f"actors.{module}" if module != "__init__" else "actors")
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parent == ROOT / "actors"
    is_compiled = not spec.origin.endswith(".py")
    assert is_compiled == (ASKED == "compiled" and module not in INTERPRETED)


def test_setup_leaves_out_the_same_modules() -> None:
    names = {f"{name}.py" for name in INTERPRETED}
    lines = (ROOT / "setup.py").read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line.startswith("INTERPRETED = ")]
    assert [ast.literal_eval(line.partition(" = ")[2]) for line in found] == [names]


# ---------------------------------------------------------------- what mypyc cannot compile


def beyond_mypyc(path: str, text: str) -> list[str]:
    """What the compiler has refused before; there is more, and `make compiled` says so."""
    complaints = []
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Compare(ops=[ast.In() | ast.NotIn()], comparators=[other]) if _has_star(other):
                complaints.append(f"{path}:{node.lineno} looks into a tuple made with a star: use `or`")
            case ast.BinOp(left, ast.BitAnd() | ast.BitOr() | ast.Sub(), right) if _is_keys(left) or _is_keys(right):
                complaints.append(f"{path}:{node.lineno} combines a set with keys(): make a set of them")
            case ast.ClassDef(keywords=[_, *_], bases=[ast.Name(id="Struct")]):
                complaints.append(f"{path}:{node.lineno} mypyc drops keywords of a class: inherit from Frozen")
    return complaints


def _has_star(node: ast.expr) -> bool:
    return isinstance(node, ast.Tuple | ast.List | ast.Set) and any(isinstance(e, ast.Starred) for e in node.elts)


def _is_keys(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "keys"


def test_the_core_keeps_to_what_can_be_compiled() -> None:
    modules = set(MODULES) - INTERPRETED
    texts = {name: (ROOT / "actors" / f"{name}.py").read_text(encoding="utf-8") for name in modules}
    assert len(texts) > 40
    assert [found for name, text in texts.items() for found in beyond_mypyc(f"actors/{name}.py", text)] == []


@pytest.mark.parametrize(
    "text", ["x in (a, *b)", "x not in {*b}", "a & d.keys()", "d.keys() - a", "class A(Struct, frozen=True): ..."]
)
def test_what_cannot_be_compiled_is_seen(text: str) -> None:
    assert len(beyond_mypyc("actors/x.py", text)) == 1


@pytest.mark.parametrize(
    "text", ["x in (a, b)", "y = (a, *b)", "a & set(d.keys())", "x in d.keys()", "class A(Frozen, frozen=True): ..."]
)
def test_what_can_is_not(text: str) -> None:
    assert beyond_mypyc("actors/x.py", text) == []

from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct, ValidationError, convert, field

from protocol.complaints import explain, nul_path


class Inner(Struct):
    kind: Literal["b", "a"] = "a"
    size: Annotated[int, Meta(ge=1)] | None = None


class Outer(Struct):
    one: Inner = field(default_factory=Inner)
    many: tuple[Inner, ...] = ()
    named: dict[str, Literal["x", "y"]] = {}
    either: Literal["p"] | list[Literal["q", "r"]] = "p"
    only: Literal["last"] = "last"
    renamed: Literal["u", "v"] = field(default="u", name="as")


def expected(value: dict) -> tuple[str, str]:
    with pytest.raises(ValidationError) as caught:
        convert(value, Outer)
    data = explain(str(caught.value), root="", wanted=Outer).data
    return data["field"], data["expected"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"one": {"kind": "c"}}, ("one.kind", "one of a, b")),
        ({"many": [{}, {"kind": "c"}]}, ("many[1].kind", "one of a, b")),
        ({"named": {"k": "z"}}, ("named[]", "one of x, y")),
        ({"either": "z"}, ("either", "p")),
        ({"either": ["q", "z"]}, ("either[1]", "one of q, r")),
        ({"only": "z"}, ("only", "last")),
        ({"as": "z"}, ("as", "one of u, v")),
        ({"one": {"size": 0}}, ("one.size", "int >= 1")),
        ({"one": 5}, ("one", "object")),
    ],
)
def test_the_path_is_followed_to_the_allowed_values(value: dict, found: tuple[str, str]) -> None:
    assert expected(value) == found


def test_without_a_type_the_complaint_stands_as_it_is() -> None:
    assert explain("Invalid enum value 'x' - at `$.params.mode`").data["expected"] == "Invalid enum value 'x'"


def test_the_root_is_left_out_of_the_path() -> None:
    assert explain("Expected `int`, got `str` - at `$.params.a.b`").data["field"] == "a.b"
    assert explain("Expected `int`, got `str` - at `$.config.a`", root="config").data["field"] == "a"
    assert explain("Expected `object`, got `str` - at `$.params`").data["field"] == "params"


@pytest.mark.parametrize("name", ["`", "x` - at `$.y", "\n", "", "$", "[...]"])
def test_a_strange_field_name_is_no_trouble(name: str) -> None:
    assert explain(f"Object contains unknown field `{name}` - at `$.params`").data["expected"] == "no such field"


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": "ok", "b": ["x", {"c": "\0"}]}, "b[1].c"),
        ({"a": {"\0": 1}}, "a"),
        ({"\0": 1}, "params"),
        (["\0"], "[0]"),
        ("\0", ""),
        ({"a": ["b", None, 1, 1.5, True]}, None),
    ],
)
def test_a_nul_character_is_found_wherever_it_stands(value: object, place: str | None) -> None:
    assert nul_path(value) == place

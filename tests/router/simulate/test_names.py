"""Names that a scenario saves and uses."""

from __future__ import annotations

from typing import Any

import pytest

from router.simulate.names import dig, numbered, references, substitute

SAVED = {"c": "c01", "c10": "ten", "n": 7, "yes": True, "none": None, "list": [1, 2]}


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("$c", "c01"),
        ("$c10", "ten"),
        ("$n", 7),
        ("$yes", True),
        ("$none", None),
        ("$list", [1, 2]),
        ("<$c>", "<c01>"),
        ("$c$c10", "c01ten"),
        ("$c-1", "c01-1"),
        ("no $n, $yes, $none, $list", "no 7, true, null, [1,2]"),
        ("5 $", "5 $"),
        ("$5", "$5"),
        ({"$not": "$c"}, {"$not": "c01"}),
        ({"a": ["$n", {"b": "$c"}]}, {"a": [7, {"b": "c01"}]}),
        (("$n",), [7]),
        (3, 3),
        (None, None),
    ],
)
def test_a_reference_is_replaced_by_what_was_saved(value: Any, result: Any) -> None:
    assert substitute(value, SAVED) == result


def test_what_was_saved_is_not_looked_at_again() -> None:
    assert substitute("$a and $a", {"a": "$b", "b": 1}) == "$b and $b"


@pytest.mark.parametrize(("value", "name"), [("$nobody", "nobody"), ("x $c1 y", "c1"), ({"a": ["$_"]}, "_")])
def test_an_unknown_name_is_an_error(value: Any, name: str) -> None:
    with pytest.raises(LookupError, match=f"^'{name}'$|^{name}$"):
        substitute(value, SAVED)


def test_references_are_found_wherever_they_stand() -> None:
    value = {"$not": ["$c10 and $c"], "b": ("$c",), "n": 1, "$key": None}
    assert list(references(value)) == ["c10", "c", "c"]


def test_the_number_of_a_round_goes_into_every_text() -> None:
    value = {"c{n}": ["m{n}-{n}", 1, None, {"x": "{m}"}]}
    assert numbered(value, 12) == {"c12": ["m12-12", 1, None, {"x": "{m}"}]}


@pytest.mark.parametrize(
    ("path", "found"), [("a", {"b": [{"id": 5}]}), ("a.b.0.id", 5), ("a.b", [{"id": 5}]), ("none", None)]
)
def test_a_path_leads_through_mappings_and_lists(path: str, found: Any) -> None:
    assert dig({"a": {"b": [{"id": 5}]}, "none": None}, path) == found


@pytest.mark.parametrize(
    ("path", "stops"), [("b", "b"), ("a.c.d", "a.c"), ("a.b.1.id", "a.b.1"), ("a.b.x", "a.b.x"), ("none.x", "none.x")]
)
def test_a_path_that_leads_nowhere_says_where_it_stops(path: str, stops: str) -> None:
    with pytest.raises(LookupError) as missing:
        dig({"a": {"b": [{"id": 5}]}, "none": None}, path)
    assert missing.value.args == (stops,)

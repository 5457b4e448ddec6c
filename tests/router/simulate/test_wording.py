"""Values in one short line."""

from __future__ import annotations

from typing import Any

import pytest

from router.simulate.wording import ABSENT, nearest, show


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (ABSENT, "nothing"),
        (True, "true"),
        (1.5, "1.5"),
        ("ana", "ana"),
        ("Hello you", "Hello you"),
        ("1", '"1"'),
        ("1e5", '"1e5"'),
        ("1h30m", "1h30m"),
        ("$c", "$c"),
        ("true", '"true"'),
        ("nothing", '"nothing"'),
        ("", '""'),
        ("two\nlines", '"two\\nlines"'),
        ("a: b", '"a: b"'),
        ("2026-01-05T09:00:00.000Z", '"2026-01-05T09:00:00.000Z"'),
        ({"a": [1, "b", None], "c": {}}, "{a: [1, b, null], c: {}}"),
    ],
)
def test_a_value_is_shown_so_that_its_type_can_be_told(value: Any, text: str) -> None:
    assert show(value) == text


def test_a_long_value_is_cut() -> None:
    assert show("a" * 20, limit=10) == "a" * 9 + "…"
    assert show("a" * 10, limit=10) == "a" * 10


def test_a_misspelt_word_gets_a_hint_only_if_one_is_near() -> None:
    assert nearest("reslt", ["result", "error"]) == " (did you mean result?)"
    assert nearest("banana", ["result", "error"]) == ""

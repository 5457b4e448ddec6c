"""YAML files as plain data with lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from router.simulate.yaml_file import NotPlain, read


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file.yaml"


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 2026-01-05T09:00:00Z", {"a": "2026-01-05T09:00:00Z"}),
        ("{a: on, b: no, c: yes}", {"a": "on", "b": "no", "c": "yes"}),
        (
            "{a: true, b: null, c: ~, d: 1, e: 1.5, f: '1'}",
            {"a": True, "b": None, "c": None, "d": 1, "e": 1.5, "f": "1"},
        ),
        ("- &x {a: 1}\n- *x", [{"a": 1}, {"a": 1}]),
        ("a: |\n  two\n  lines\n", {"a": "two\nlines\n"}),
        ("", None),
    ],
)
def test_a_file_is_plain_data(file: Path, text: str, data: Any) -> None:
    file.write_text(text)
    read_back = read(file).data
    assert read_back == data
    assert type(read_back) is type(data)


def test_every_scalar_is_of_a_plain_type(file: Path) -> None:
    file.write_text('[0x1F, 1_000, 1e3, "quoted", |\n literal\n, true]'.replace("|\n literal\n", "plain"))
    assert [type(value) for value in read(file).data] == [int, int, float, str, str, bool]


def test_the_line_of_a_place_is_known_or_that_of_the_nearest_around_it(file: Path) -> None:
    file.write_text("name: x\nsteps:\n  - wait: 1s\n  - as: ana\n    with: {a: 1,\n      b: 2}\n")
    document = read(file)
    places: list[tuple[str | int, ...]] = [
        (), ("steps",), ("steps", 1), ("steps", 1, "with"), ("steps", 1, "with", "b"), ("steps", 0, "no"), ("what",),
    ]  # fmt: skip
    assert [document.line(place) for place in places] == [1, 2, 4, 5, 6, 3, 1]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("a: 1\na: 2", 2, 'while constructing a mapping, found duplicate key "a" with value "2" (original value: "1")'),
        ("a: [", 1, "while parsing a flow node, expected the node content, but found '<stream end>'"),
        ("a: b\n---\nc: d", 2, "expected a single document in the stream, but found another document"),
        ("b: 1\na: {1: 2}", 2, "the key 1 is not text: put it in quotes"),
        ("a:\n  - .inf", 2, "inf is neither text, number, boolean nor null"),
        ("a: *b", 1, "found undefined alias 'b'"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_its_line(file: Path, text: str, line: int, why: str) -> None:
    file.write_text(text)
    with pytest.raises(NotPlain) as refused:
        read(file)
    assert (refused.value.line, refused.value.why) == (line, why)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"a: \x00", b"\xc3("])
def test_bytes_that_are_no_text_are_refused(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(NotPlain):
        read(file)


@pytest.mark.parametrize("text", ["[" * 150 + "]" * 150, "a: !thing b"])
def test_what_is_too_deep_or_has_a_tag_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(NotPlain):
        read(file)

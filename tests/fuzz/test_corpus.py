"""What once broke a decoder is given to it again; and the fuzzers find what is broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.targets import SEEDS, TARGETS

CORPUS = sorted(path for path in Path(__file__).with_name("corpus").iterdir() if path.suffix != ".md")


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_what_once_broke_no_longer_does(path: Path) -> None:
    TARGETS[path.name.partition("-")[0]](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_what_it_begins_with_and_its_pieces(name: str) -> None:
    for whole in SEEDS[name]:
        for end in range(0, len(whole) + 1, max(1, len(whole) // 5)):
            TARGETS[name](whole[:end])


def test_a_decoder_that_breaks_is_found_shrunk_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def breaks(data: bytes) -> None:
        assert b"Hi" in data or b"{" not in data

    monkeypatch.setitem(TARGETS, "json", breaks)
    monkeypatch.setattr(fuzz, "CORPUS", tmp_path)
    monkeypatch.setattr("sys.argv", ["fuzz", "--seconds", "0", "--seed", "5", "json"])
    assert fuzz.main() == 1
    [kept] = tmp_path.iterdir()
    assert kept.read_bytes() == b"{"
    assert "BROKEN: json, seed 5: b'{'" in capsys.readouterr().out

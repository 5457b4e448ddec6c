"""Figures of the two cores are not mixed up."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bench import compiled


def test_it_says_what_to_do_where_nothing_was_compiled(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="make compiled"):
        compiled.main(["--tree", str(tmp_path)])


def test_a_tree_whose_core_is_another_one_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, stdout=json.dumps({"core": "pure Python", "x": 1.5}))

    monkeypatch.setattr(subprocess, "run", run)
    assert compiled.in_tree(tmp_path, "pure Python", quick=True) == {"x": 1.5}
    with pytest.raises(SystemExit, match="is not compiled"):
        compiled.in_tree(tmp_path, "compiled", quick=True)


def test_every_timer_that_was_not_cancelled_fires() -> None:
    assert all(ns > 0 for ns in compiled.wheel(500).values())

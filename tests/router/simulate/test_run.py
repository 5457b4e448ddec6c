"""The command: its lines, its order, its exit codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.core import Core
from router.simulate.run import main
from storage.sqlite import SQLiteStore
from storage.store import StorageUnavailable, Store
from storage.urls import open_store

GOOD = "name: A good one\nconfig: {agents: [{id: ana}]}\nsteps:\n- {as: ana, call: agent.get, with: {agent: ana}}\n"
BAD = (
    "name: A bad one\nconfig: {agents: [{id: ana}]}\nsteps:\n- wait: 1s\n"
    "- {as: ana, call: agent.get, with: {agent: ana}, result: {id: bo, used: {$len: 9}}}\n"
)
NONE = "name: No scenario\nsteps:\n- wiat: 1s\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("b-good.yaml", GOOD), ("a-bad.yaml", BAD), ("notes.txt", NONE)):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_scenario_that_passes_is_a_line_and_exit_code_0(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder / "b-good.yaml")], None) == 0
    assert capsys.readouterr() == ("ok  A good one\n1 passed, 0 failed\n", "")


def test_one_that_fails_is_a_line_that_says_why_and_exit_code_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder / "a-bad.yaml")], None) == 1
    assert capsys.readouterr() == (
        "FAILED  A bad one  step 2 (as ana call agent.get): id: expected bo, got ana;"
        " used: expected {$len: 9}, got {chat: 0, messaging: 0, email: 0}"
        f"  [{folder}/a-bad.yaml:5]\n0 passed, 1 failed\n",
        "",
    )


def test_a_folder_is_its_yaml_files_in_order_of_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder), str(folder / "b-good.yaml")], None) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[:2] for line in lines] == [
        ["FAILED", "A bad one"], ["ok", "A good one"], ["ok", "A good one"], ["2 passed, 1 failed"],
    ]  # fmt: skip


def test_a_file_that_is_no_scenario_is_exit_code_2_and_the_others_are_played(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(folder / "notes.txt"), str(folder)], None) == 2
    out, err = capsys.readouterr()
    assert out.endswith("\n1 passed, 1 failed\n")
    assert err.startswith(
        f"signalbox simulate: {folder}/notes.txt:3: step 1: no step has the keys wiat (did you mean wait?)"
    )
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("nowhere.yaml", "cannot be read: No such file or directory"), ("empty", "there is no *.yaml in this folder")],
)
def test_a_path_without_scenarios_is_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, complaint: str
) -> None:
    (tmp_path / "empty").mkdir()
    assert main([str(tmp_path / name)], None) == 2
    assert capsys.readouterr() == ("0 passed, 0 failed\n", f"signalbox simulate: {tmp_path / name}: {complaint}\n")


def test_no_path_is_exit_code_2() -> None:
    assert main([], None) == 2


def test_a_store_that_cannot_be_used_is_exit_code_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(folder)], "mysql://root:secret@host/db") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("signalbox simulate: the store cannot be used: a store is named by a URL")
    assert "secret" not in err


def test_the_named_store_says_where_the_throwaway_one_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []

    def opening(url: str) -> Store:
        opened.append(Path(url.removeprefix("sqlite:///")))
        return open_store(url)

    monkeypatch.setattr("router.simulate.run.open_store", opening)
    assert main([str(folder / "b-good.yaml")], f"sqlite:///{folder}/own.db") == 0
    assert [file.parent.parent for file in opened] == [folder]
    assert not (folder / "own.db").exists()


def test_a_fault_of_the_server_is_a_failure_with_its_trace(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Core.step

    def faulty(core: Core, now: int, inputs: Any) -> Any:
        if inputs and inputs[0].__class__.__name__ == "Asked":
            raise ZeroDivisionError("no reason at all")
        return step(core, now, inputs)

    monkeypatch.setattr(Core, "step", faulty)
    assert main([str(folder / "b-good.yaml")], None) == 1
    out, err = capsys.readouterr()
    assert out.startswith(
        "FAILED  A good one  step 1 (as ana call agent.get): the server failed: ZeroDivisionError: no reason at all  ["
    )
    assert "Traceback" in err


def test_a_server_that_cannot_start_is_a_failure(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(core: Core, *arguments: Any) -> Any:
        raise ZeroDivisionError("not even a start")

    monkeypatch.setattr(Core, "load", faulty)
    assert main([str(folder / "b-good.yaml")], None) == 1
    assert "  start: the server failed: ZeroDivisionError: not even a start  [" in capsys.readouterr().out


def test_a_fault_inside_an_actor_is_a_failure_even_if_the_answer_is_as_expected(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Core.step

    def faulty(core: Core, now: int, inputs: Any) -> Any:
        core.failures.append("i7-1 at agent:ana: Traceback\n  ZeroDivisionError")
        return step(core, now, inputs)

    monkeypatch.setattr(Core, "step", faulty)
    assert main([str(folder / "b-good.yaml")], None) == 1
    assert "the server failed: i7-1 at agent:ana: Traceback ZeroDivisionError" in capsys.readouterr().out


def test_a_store_that_fails_on_the_way_fails_the_scenario(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, commits = SQLiteStore.commit, []

    def full(store: SQLiteStore, batch: Any) -> None:
        commits.append(batch)
        if len(commits) > 1:
            raise StorageUnavailable("the disk is full")
        commit(store, batch)

    monkeypatch.setattr(SQLiteStore, "commit", full)
    assert main([str(folder / "b-good.yaml")], None) == 1
    assert "the server failed: StorageUnavailable: the disk is full" in capsys.readouterr().out


def test_names_with_line_breaks_stay_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.yaml").write_text('name: "two\\n lines"\nsteps: []')
    assert main([str(tmp_path)], None) == 0
    assert capsys.readouterr().out == "ok  two lines\n1 passed, 0 failed\n"

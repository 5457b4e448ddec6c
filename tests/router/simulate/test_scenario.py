"""Files of scenarios: what is read from them, and why a file is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocol.times import Moment
from router.simulate.scenario import NotAScenario, Scenario, read_scenario
from router.simulate.steps import Batch, Request, Wait


def scenario(folder: Path, text: str) -> Scenario:
    file = folder / "file.yaml"
    file.write_text(text)
    return read_scenario(file)


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(NotAScenario) as refused:
        scenario(folder, text)
    return str(refused.value).removeprefix(str(folder / "file.yaml"))


def test_a_scenario_has_a_name_a_start_and_numbered_steps(tmp_path: Path) -> None:
    read = scenario(
        tmp_path,
        "name: |\n  Two\n  lines\nstart: 2026-02-01T00:00:00Z\nonline: [ana]\n"
        "steps:\n- wait: 1s\n- {as: ana, call: x}\n",
    )
    assert read.name == "Two lines"
    assert read.heading.start == Moment.parse("2026-02-01T00:00:00Z")
    assert read.heading.online == ("ana",)
    assert [(placed.number, placed.line, type(placed.step)) for placed in read.steps] == [
        ("1", 7, Wait),
        ("2", 8, Request),
    ]


def test_without_a_start_it_is_a_monday_morning(tmp_path: Path) -> None:
    assert scenario(tmp_path, "name: x\nsteps: []").heading.start == Moment.parse("2026-01-05T09:00:00Z")


def test_a_repeat_is_unrolled_with_its_number_in_every_text(tmp_path: Path) -> None:
    read = scenario(
        tmp_path,
        'name: x\nsteps:\n- repeat: 2\n  steps:\n  - {as: "a{n}", call: x, with: {t: "{n}"}, save: {"c{n}": id}}\n'
        "  - wait: 1s\n- {as: ana, call: x, with: {t: $c1$c2}}",
    )
    assert [(placed.number, placed.rounds, placed.line) for placed in read.steps] == [
        ("1.1", (1,), 5), ("1.2", (1,), 6), ("1.1", (2,), 5), ("1.2", (2,), 6), ("2", (), 7),
    ]  # fmt: skip
    first, _, third, *_ = (placed.step for placed in read.steps)
    assert isinstance(first, Request)
    assert isinstance(third, Request)
    assert (third.who, third.params, third.save) == ("a2", {"t": "2"}, {"c2": "id"})


def test_a_repeat_within_a_repeat_counts_for_itself(tmp_path: Path) -> None:
    read = scenario(
        tmp_path,
        'name: x\nsteps:\n- repeat: 2\n  steps:\n  - {repeat: 3, steps: [{as: ana, call: "x{n}"}]}\n'
        '  - {as: ana, call: "y{n}"}',
    )
    calls = [placed.step.call for placed in read.steps if isinstance(placed.step, Request)]
    assert calls == ["x1", "x2", "x3", "y1", "x1", "x2", "x3", "y2"]
    assert [placed.rounds for placed in read.steps][2:5] == [(1, 3), (1,), (2, 1)]


def test_the_items_of_a_batch_are_spoken_by_whoever_sends_it(tmp_path: Path) -> None:
    read = scenario(tmp_path, "name: x\nsteps:\n- {as: ana, batch: [{call: x}, {call: y}]}")
    [placed] = read.steps
    assert isinstance(placed.step, Batch)
    assert [(item.who, item.call) for item in placed.step.batch] == [("ana", "x"), ("ana", "y")]


def test_a_setting_that_is_newer_than_this_version_is_no_fault_of_the_file(tmp_path: Path) -> None:
    text = "name: x\nconfig: {tariffs: [], services: [{id: s, mode: auction}]}\nsteps: []"
    assert scenario(tmp_path, text).heading.config["tariffs"] == []


CASES = (Path(__file__).parent / "no_scenarios.txt").read_text().split("\n###\n")[1:]


@pytest.mark.parametrize("case", CASES, ids=[case.partition("=> ")[2].strip() for case in CASES])
def test_a_file_that_is_no_scenario_says_where_and_why(tmp_path: Path, case: str) -> None:
    text, _, expected = case.partition("=> line ")
    assert complaint(tmp_path, text) == f":{expected.strip()}"


def test_what_an_item_of_a_turn_saves_is_known_to_later_steps(tmp_path: Path) -> None:
    text = (
        "name: x\nsteps:\n- together: [{as: a, call: x, save: {a: id}}]\n- {as: a, batch: [{call: x, save: {b: id}}]}\n"
        "- {one_of: [{as: a, call: x, save: {c: id}}], rest: {}}\n- {look: $a, save: {d: id}}\n"
        "- {as: a, notice: x, save: {e: id}}\n- look: $a$b$c$d$e"
    )
    assert len(scenario(tmp_path, text).steps) == 6


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(NotAScenario, match=r"none\.yaml: cannot be read: No such file or directory"):
        read_scenario(tmp_path / "none.yaml")

"""What measurements say besides their figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import check, report, summary
from bench.report import Goal, Report


@pytest.mark.parametrize(
    ("reached", "is_cost", "verdict"),
    [
        (45.0, False, "aim reached"), (25.0, False, "reached"), (20.0, False, "reached"), (19.9, False, "not reached"),
        (5.0, True, "aim reached"), (19.0, True, "not reached"),
    ],
)  # fmt: skip
def test_a_goal_is_judged_by_its_least_and_its_aim(reached: float, is_cost: bool, verdict: str) -> None:
    least, aim = (10.0, 5.0) if is_cost else (20.0, 40.0)
    assert Goal("it", reached, "×", least, aim, is_cost).verdict == verdict


def test_a_goal_with_an_aim_only_is_not_reached_short_of_it() -> None:
    assert Goal("it", 99_000.0, "/s", None, 100_000.0).verdict == "not reached"
    assert Goal("it", 99_000.0, "/s").verdict == "no goal"


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), ("a", "a"), (1234567, "1,234,567"), (1234.5, "1,234"), (12.345, "12.3"), (0.0456, "0.05"), (7, "7")],
)
def test_a_figure_has_as_many_digits_as_mean_something(value: Any, words: str) -> None:
    assert report.figure(value) == words


def test_a_table_puts_numbers_to_the_right() -> None:
    assert report.table(["", "n"], [["one", 1], ["twelve", 12]]).splitlines()[2:] == ["one      1", "twelve  12"]


def test_measuring_in_turns_takes_each_once_a_round() -> None:
    order: list[str] = []

    def figure_of(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = report.in_turns({"a": lambda: figure_of("a"), "b": lambda: figure_of("b")}, 2)
    assert order == ["a", "b", "a", "b"]
    assert found == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


def test_a_ratio_is_that_of_pairs_measured_together() -> None:
    assert report.ratio([10.0, 400.0, 30.0], [1.0, 40.0, 2.0]) == 10.0


def test_a_quick_run_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    Report("one", "One").publish(keep=False)
    assert list(tmp_path.iterdir()) == []


def test_the_summary_has_a_line_for_each_goal_of_what_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    for name in ("restart", "batch"):
        made = Report(name, name.title(), ["", "s"], [["a", 1.5]])
        made.goals = [Goal(f"the {name}", 3.0, "s", 5.0, 2.0, is_cost=True)]
        made.publish(keep=True)
    lines = [line for line in summary.markdown(summary.load(tmp_path)).splitlines() if line.startswith("| the")]
    assert [line.split("|")[1:4] for line in lines] == [
        [" the batch ", " 3.00 s ", " ≤ 5.00, aim ≤ 2.00 "],
        [" the restart ", " 3.00 s ", " ≤ 5.00, aim ≤ 2.00 "],
    ]


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    page = f"before\n{summary.BEGIN}\nold\n{summary.END}\nafter\n"
    assert summary.replaced(page, "new") == f"before\n{summary.BEGIN}\nnew\n{summary.END}\nafter\n"
    with pytest.raises(ValueError, match="lacks"):
        summary.replaced("no marks", "new")


def test_a_probe_is_worse_only_beyond_its_margin() -> None:
    before = {"a": 2.0}
    assert check.judged("a", 2.6, before, 1.35)
    assert not check.judged("a", 2.8, before, 1.35)
    assert check.judged("never measured", 99.0, before, 1.35)

"""The table of docs/performance.md from the JSON of the last full runs: ``python -m bench.summary``.

It replaces what stands between the two marks; everything else on that page is written by hand.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.__main__ import ROWS
from bench.report import RESULTS, ROOT, Goal, Report, figure

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- bench.summary: begin -->", "<!-- bench.summary: end -->"
MARKS = {"aim reached": "**yes**, the aim too", "reached": "**yes**", "not reached": "**no**", "no goal": "–"}


def load(folder: Path = RESULTS) -> list[Report]:
    """The kept reports, in the order of the rows; those of other stores behind their own."""
    found = [msgspec.json.decode(path.read_bytes(), type=Report) for path in sorted(folder.glob("*.json"))]
    order = {name: place for place, name in enumerate(ROWS)}
    return sorted(found, key=lambda made: (order.get(made.name.partition("-")[0], len(order)), made.name))


def line(made: Report, goal: Goal) -> str:
    """One goal."""
    reached = f"{figure(goal.reached)} {goal.unit}".strip()
    how = f"`{made.command.replace('python -m ', '')}`"
    return f"| {goal.what} | {reached} | {goal.wanted or '–'} | {MARKS[goal.verdict]} | {how} |"


def markdown(reports: list[Report]) -> str:
    """The table, and under it where and when each was measured."""
    lines = ["| what | reached | wanted | | by `python -m` |", "|---|---|---|---|---|"]
    lines += [line(made, goal) for made in reports for goal in made.goals]
    machines: dict[str, list[str]] = {}
    for made in reports:
        machines.setdefault(made.machine.partition("; ")[0], []).append(
            f"{made.name} {made.at} ({made.machine.partition('; ')[2]})"
        )
    notes = [f"{machine}: {'; '.join(where)}." for machine, where in machines.items()]
    return "\n".join([*lines, "", *notes])


def replaced(page: str, text: str) -> str:
    """The page with this between its marks. Raises ValueError if they are not there."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks {BEGIN} or {END}")
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"


def main() -> None:
    """Write the table anew."""
    PAGE.write_text(replaced(PAGE.read_text(), markdown(load())))
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

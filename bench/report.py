"""What every measurement says besides its figures: command, machine, versions, what it does not show.

A module of ``bench`` makes one ``Report``, adds rows and goals, and calls ``publish``: a table on the terminal, JSON in
``bench/results`` and, if it draws one, a plot in ``docs/img``. ``python -m bench.summary`` makes the table of
docs/performance.md from the JSON. A quick run prints only: its figures are too rough to keep.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct, field

from router import build

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
IMAGES = ROOT / "docs" / "img"
LIBRARIES = (
    "trio", "websockets", "trio-websocket", "wsproto", "msgspec", "uvloop", "asyncpg", "apsw", "sortedcontainers",
)  # fmt: skip
Verdict = Literal["aim reached", "reached", "not reached", "no goal"]


class Goal(Struct):
    """One figure that was wished for. ``least`` must be reached, ``aim`` is hoped for; None = nobody said.

    ``is_cost``: less is better.
    """

    what: str
    reached: float
    unit: str
    least: float | None = None
    aim: float | None = None
    is_cost: bool = False

    @property
    def verdict(self) -> Verdict:
        """How it came out."""
        if self.least is None and self.aim is None:
            return "no goal"
        if self._passes(self.aim):
            return "aim reached"
        return "reached" if self._passes(self.least) else "not reached"

    def _passes(self, bound: float | None) -> bool:
        if bound is None:
            return False
        return self.reached <= bound if self.is_cost else self.reached >= bound

    @property
    def wanted(self) -> str:
        """The bounds in words."""
        sign = "≤" if self.is_cost else "≥"
        bounds = [f"{sign} {figure(self.least)}"] if self.least is not None else []
        bounds += [f"aim {sign} {figure(self.aim)}"] if self.aim is not None else []
        return ", ".join(bounds)


class Report(Struct):
    """One measurement, ready to be printed and kept."""

    name: str
    title: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    not_shown: str = ""
    plot: str | None = None  # the file in docs/img
    data: dict[str, Any] = field(default_factory=dict)  # what the plot shows, for whoever draws another
    command: str = ""
    at: str = ""
    machine: str = ""

    def row(self, *cells: Any) -> None:
        """Add a row; numbers are written with as many digits as mean something."""
        self.rows.append(list(cells))

    def publish(self, *, keep: bool) -> None:
        """Print it; ``keep``: write the JSON too."""
        self.command, self.at, self.machine = command(), f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z", machine()
        print(f"\n{self.title}\n")
        print(table(self.columns, self.rows))
        for goal in self.goals:
            print(f"{goal.verdict:>12}: {goal.what}: {figure(goal.reached)} {goal.unit} (wanted: {goal.wanted or '–'})")
        print(f"\nNot shown: {self.not_shown}" if self.not_shown else "")
        print(f"{self.command}   {self.at}\n{self.machine}\n", flush=True)
        if keep:
            RESULTS.mkdir(exist_ok=True)
            text = msgspec.json.format(msgspec.json.encode(self), indent=1)
            (RESULTS / f"{self.name}.json").write_bytes(text + b"\n")


def figure(value: Any) -> str:
    """A cell: three digits that mean something, thousands set apart."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "–" if value is None else str(value)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Aligned text: the first column to the left, the others to the right."""
    cells = [list(columns), *([figure(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells if place < len(row)) for place in range(len(columns))]
    lines = []
    for row in cells:
        padded = [cell.ljust(width) if place == 0 else cell.rjust(width)
                  for place, (cell, width) in enumerate(zip(row, widths, strict=False))]  # fmt: skip
        lines.append("  ".join(padded).rstrip())
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]]) + "\n"


# ---------------------------------------------------------------- where it ran


def command() -> str:
    """What was typed, passwords left out."""
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = f"python -m {module.name}" if module is not None else Path(sys.argv[0]).name
    name = name.removesuffix(".__main__")
    return re.sub(r"(//[^:/@]*:)[^@]+@", r"\1…@", " ".join([name, *sys.argv[1:]]))


def machine() -> str:
    """The machine, the versions, the state of the code, and what else was going on."""
    found = []
    for library in LIBRARIES:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            pass
    where = f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    load = os.getloadavg()[0]
    what = f"CPython {platform.python_version()}, {build.core()} core"
    return f"{where}, {what}, {', '.join(found)}; {revision()}; load average {load:.1f}"


def cpu_name() -> str:
    """The processor, as Linux calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def revision() -> str:
    """The commit that was measured, with a + if the tree differs from it."""
    try:
        found = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return "no revision"
    return f"revision {found.stdout.strip() or 'unknown'}"


# ---------------------------------------------------------------- measuring in turns


def in_turns(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Measure each once a round, in turns, so that what slows the machine slows all of them. Figures by name."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name, measure in contestants.items():
            figures[name].append(measure())
        print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return figures


def ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of pairs that were measured together."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


# ---------------------------------------------------------------- the command line, and plots


def parser(doc: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """The arguments that all measurements take. From here on SIGTERM ends the servers too that a measurement began."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    made = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    made.add_argument("--quick", action="store_true", help="small and rough: nothing is kept")
    made.set_defaults(**defaults)
    return made


@contextmanager
def plot(report: Report, *, keep: bool, width: float = 7.0, height: float = 4.2) -> Iterator[Any]:
    """Axes to draw on; the file stands in docs/img afterwards. Without ``keep`` nothing is written."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("plots need matplotlib: pip install -e '.[bench]', or say --quick") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(figsize=(width, height), constrained_layout=True)
    axes.grid(True, which="both", alpha=0.3)
    yield axes
    if keep:
        report.plot = f"{report.name}.png"
        axes.set_title(axes.get_title() or report.title, fontsize=10)
        drawing.savefig(IMAGES / report.plot, dpi=110, metadata={"Software": None})
    pyplot.close(drawing)

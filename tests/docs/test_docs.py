"""What the documentation shows is tried: code runs, configurations load, scenarios pass, links lead somewhere.

A fenced block is tried by its language: ``toml`` as a configuration file, ``yaml`` as a scenario, ``console`` and
``sh`` by the parser of the command line, ``json`` and SQL as what they are. ``python`` runs if the line above says so:
``<!-- run: alone -->`` or ``<!-- run: dev server -->``; the blocks of a page run in order and share their names. What
a block after ``<!-- output -->`` shows is compared with what was printed, ``...`` standing for anything.
"""

from __future__ import annotations

import contextlib
import doctest
import http.client
import io
import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import apsw
import msgspec
import pytest

from docs import reference
from protocol import closing
from protocol.codec import JSON, Call
from protocol.errors import REASONS
from protocol.notices import NOTICES
from protocol.requests import METHODS
from protocol.session import Limits
from protocol.settings import ServiceSettings, Step
from router import config
from router.cli import _parser
from router.head import REFUSALS
from router.simulate import perform
from router.simulate.matching import MATCHERS
from router.simulate.scenario import read_scenario
from router.simulate.steps import STEPS

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
SCENARIOS = sorted((ROOT / "docs" / "scenarios").glob("*.yaml"))
START_S = 20  # a server that is not ready by then never will be
DEMO_URL = "ws://127.0.0.1:8400/v1"
FENCE = re.compile(r"(?:^<!-- (?P<mark>.+?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced block: its language, the comment above it, and what it says."""

    page: Path
    line: int
    language: str
    mark: str
    text: str


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"], found["mark"] or "", found["text"])
        for found in FENCE.finditer(text)
    ]


def blocks_in(*languages: str) -> list[Any]:
    found = [block for page in PAGES for block in blocks_of(page) if block.language in languages]
    return [pytest.param(block, id=f"{block.page.name}-{block.line}") for block in found]


def prose_of(page: Path) -> str:
    """A page without its blocks and comments."""
    return re.sub(r"<!--.*?-->", "", FENCE.sub("", page.read_text(encoding="utf-8")), flags=re.DOTALL)


# ---------------------------------------------------------------- code that runs


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a demonstration server of this test's own, and the file of its store."""
    store = tmp_path / "docs.db"
    command = [sys.executable, "-m", "router.cli", "serve", "--dev", "--port", "0", "--store", f"sqlite:///{store}"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
    too_late = threading.Timer(START_S, process.kill)
    too_late.start()
    assert process.stdout is not None
    ready = process.stdout.readline()
    too_late.cancel()
    try:
        assert ready.startswith("signalbox ready on "), (tmp_path / "log").read_text()
        yield ready.split()[-1], store
    finally:
        process.terminate()
        process.wait(START_S)
        process.stdout.close()


def run_page(page: Path, wanted: str, url: str = DEMO_URL) -> str:
    """Run a page's blocks that are marked so, and compare what they print. Returns all that was printed."""
    names: dict[str, Any] = {"__name__": "__docs__"}
    last, everything = "", ""
    for block in blocks_of(page):
        if block.mark == "output":
            options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
            same = doctest.OutputChecker().check_output(block.text, last, options)
            assert same, f"{page.name}:{block.line} shows\n{block.text}but this came\n{last}"
        elif block.mark == f"run: {wanted}":
            printed = io.StringIO()
            code = compile("\n" * block.line + block.text.replace(DEMO_URL, url), str(page), "exec")
            with contextlib.redirect_stdout(printed):
                exec(code, names)
            last = printed.getvalue()
            everything += last
    if "sockets" in names:
        names["sockets"].close()
    return everything


def pages_to_run(wanted: str) -> list[Path]:
    return [page for page in PAGES if any(block.mark == f"run: {wanted}" for block in blocks_of(page))]


def test_every_python_block_says_whether_it_runs() -> None:
    silent = [param.values[0] for param in blocks_in("python") if not param.values[0].mark.startswith("run: ")]
    assert not silent


@pytest.mark.parametrize("page", pages_to_run("alone"), ids=lambda page: page.stem)
def test_code_that_needs_nothing_runs(page: Path) -> None:
    run_page(page, "alone")


@pytest.mark.filterwarnings("error")
def test_the_readmes_conversation_takes_place(served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    printed = run_page(ROOT / "README.md", "dev server", served[0])
    assert printed.splitlines()[-1] == "I am looking into it"


@pytest.mark.filterwarnings("error")
def test_the_quickstart_goes_as_it_says_and_its_tables_can_be_queried(
    served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    printed = run_page(ROOT / "docs" / "quickstart.md", "dev server", served[0])
    for line in ("connector.deliver +15550100 It is on its way, Kari", "snoozed None", "open ana"):
        assert line in printed.splitlines()
    assert metrics_at(served[0]) >= set(re.findall(r"`(signalbox_\w+)`", text_of("docs/operations.md")))
    queries = [block.text for block in blocks_of(ROOT / "docs" / "operations.md") if block.language == "sql"]
    selects = [query for query in queries if query.startswith("SELECT")]
    assert len(selects) >= 2
    with contextlib.closing(apsw.Connection(str(served[1]), flags=apsw.SQLITE_OPEN_READONLY)) as tables:
        answers = [tables.execute(query).fetchall() for query in selects]
    assert answers[0][0][1] == "support"
    assert ("ana", "new", 1) in answers[1]


@pytest.mark.filterwarnings("error")
def test_the_connector_of_the_page_bridges_a_channel_and_its_dead_letter_is_listed(
    served: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    page = ROOT / "docs" / "connectors.md"
    assert "message pigeon:Kari too heavy" in run_page(page, "dev server", served[0]).splitlines()
    program = next(block.text for block in blocks_of(page) if block.language == "python")
    assert len(program.splitlines()) <= 60


def metrics_at(url: str) -> set[str]:
    """The names of the metrics that a server gives out."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=START_S)
    with contextlib.closing(connection):
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
    return set(re.findall(r"^# TYPE (\w+)", page, re.MULTILINE))


def test_only_pages_that_are_known_need_a_server() -> None:
    known = ["README.md", "connectors.md", "files.md", "quickstart.md"]
    assert [page.name for page in pages_to_run("dev server")] == known


# ---------------------------------------------------------------- configurations, scenarios, commands


@pytest.mark.parametrize("block", blocks_in("toml"))
def test_a_configuration_is_right(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "shown.toml"
    path.write_text(block.text, encoding="utf-8")
    assert config.doubts(config.load(path)) == []


@pytest.mark.parametrize("block", blocks_in("yaml"))
def test_a_scenario_that_is_shown_passes(block: Block, tmp_path: Path) -> None:
    if block.mark:
        assert block.text == text_of(block.mark), f"{block.page.name}:{block.line} is not {block.mark}"
        return
    path = tmp_path / "shown.yaml"
    path.write_text(block.text, encoding="utf-8")
    perform(read_scenario(path))


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.stem)
def test_a_scenario_of_the_guide_passes(file: Path) -> None:
    perform(read_scenario(file))


def test_every_scenario_has_its_place_in_the_guide() -> None:
    guide = text_of("docs/guide.md")
    named = [file.stem for file in SCENARIOS if f"scenarios/{file.name}" in guide]
    assert named == [file.stem for file in SCENARIOS]


@pytest.mark.parametrize("block", blocks_in("console", "sh"))
def test_a_command_can_be_given_like_that(block: Block) -> None:
    verbs = re.findall(r"^([a-z]+):", text_of("Makefile"), re.MULTILINE)
    for line in block.text.splitlines():
        program, *words = shlex.split(line, comments=True) or [""]
        if program.endswith("signalbox"):
            _parser().parse_args(words)
        elif program == "make":
            assert words[0] in verbs


@pytest.mark.parametrize("block", blocks_in("json"))
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


# ---------------------------------------------------------------- links and names


def anchors_of(page: Path) -> set[str]:
    """Where a link into a page may lead, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name} links to {target}"
        assert path.is_relative_to(ROOT), f"{page.name} links out of the project: {target}"
        if anchor and path.suffix == ".md":
            assert anchor in anchors_of(path), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    for name in re.findall(r"`(\w+(?:/\w+)+\.(?:py|mjs|html|yaml|toml))`", prose_of(page)):
        assert (ROOT / name).exists(), f"{page.name} names {name}"


def test_the_tours_files_without_a_room_are_the_routers() -> None:
    tour = text_of("docs/tour.md")
    assert [name for name in re.findall(r"[`\s](\w+\.py)\b", tour) if not list((ROOT).glob(f"[apr]*/{name}"))] == []


def test_nothing_refers_to_what_is_not_part_of_the_project() -> None:
    for page in PAGES:
        if page.name != "decisions.md":  # it tells where decisions come from
            assert not re.search(r"behaviour §|protocol §|\[S\d\]", page.read_text(encoding="utf-8")), page.name


# ---------------------------------------------------------------- nothing is left out


def test_the_page_of_methods_is_up_to_date(capsys: Any) -> None:
    assert reference.main(["--check"]) == 0, capsys.readouterr().err


def test_every_method_and_notice_has_a_section() -> None:
    headings = re.findall(r"^### (\S+)$", text_of("docs/methods.md"), re.MULTILINE)
    assert {*METHODS, *NOTICES} <= set(headings)


def test_every_example_request_is_understood() -> None:
    requests = [param.values[0].text for param in blocks_in("json") if param.values[0].page == reference.PAGE]
    assert len(requests) == len(METHODS)
    for request in requests:
        [call] = JSON.decode(request)
        assert isinstance(call, Call), f"{request}: {call}"


def test_a_method_without_an_example_is_an_error() -> None:
    with pytest.raises(LookupError, match=r"no example of house\.paint$"):
        reference.example("house.paint", [])


def test_every_notice_is_told_of_in_the_protocol() -> None:
    page = text_of("docs/protocol.md")
    assert [name for name in NOTICES if f"`{name}`" not in page] == []


def test_every_reason_is_in_the_protocol_with_what_to_do() -> None:
    page = text_of("docs/protocol.md").partition("| `reason` |")[2].partition("## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (yes|no) \|$", page, re.MULTILINE))
    reserved = re.findall(r"`(\w+)`", re.findall(r"^Reserved, .*$", page, re.MULTILINE)[0])
    assert {*rows, *reserved} == set(REASONS)
    assert rows == {reason: "yes" if again else "no" for reason, (_, again) in REASONS.items() if reason in rows}


def test_every_close_code_is_in_the_protocol() -> None:
    rows = re.findall(r"^\| (\d{4}) \|", text_of("docs/protocol.md"), re.MULTILINE)
    assert {str(code) for code in closing.MEANINGS} <= set(rows)


def test_every_status_of_a_refused_connection_is_in_the_protocol() -> None:
    rows = re.findall(r"^\| (4\d\d|5\d\d)(?:, (\d{3}))? \|", text_of("docs/protocol.md"), re.MULTILINE)
    assert {str(status) for status, *_ in REFUSALS.values()} <= {status for row in rows for status in row}


def test_every_limit_is_in_the_protocol() -> None:
    page = text_of("docs/protocol.md")
    left_out = [name for name in Limits.__struct_fields__ if f"limits.{name}" not in page]
    assert left_out == ["refusals_max"]  # told of at its close code
    assert f"{Limits().refusals_max:,} requests within 10 s" in page
    assert f"{Limits().frame_bytes:,} bytes" in page


def test_every_type_of_entry_is_in_the_protocol() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "actors").glob("*.py"))
    noted = set(re.findall(r"note\(\s*turn,\s*(?:\w+,\s*)?\"(\w+)\"", sources))
    assert len(noted) > 15
    page = text_of("docs/protocol.md")
    assert [kind for kind in sorted(noted) if f"`{kind}`" not in page] == []


def test_every_setting_of_a_service_is_told_of_in_the_guide() -> None:
    guide = text_of("docs/guide.md")
    names = [*ServiceSettings.__struct_fields__, *Step.__struct_fields__]
    assert [name for name in names if not re.search(rf"\b{name}\b", guide)] == []


def test_every_section_of_the_configuration_has_a_heading() -> None:
    headings = re.findall(r"^### `\[+(\w+)\]+`$", text_of("docs/configuration.md"), re.MULTILINE)
    sections = [field.encode_name for field in msgspec.structs.fields(config.Config)]
    assert {*sections, "services", "agents"} <= set(headings)


def test_every_step_and_matcher_is_told_of() -> None:
    page = text_of("docs/simulate.md")
    assert [step for step in STEPS if f"{step}" not in page] == []
    assert [matcher for matcher in MATCHERS if f"{{{matcher}: " not in page] == []

"""The page about configuration is what the code says, and its example works."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from docs import generate, meanings
from router.cli import main
from router.config import Config, load
from router.sources import variables

DOCS = Path(generate.__file__).parent


def test_the_committed_page_is_up_to_date(capsys: Any) -> None:
    assert generate.main(["--check"]) == 0, capsys.readouterr().err


def test_a_page_that_is_out_of_date_is_named_and_then_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(generate, "HERE", tmp_path)
    (tmp_path / "example.toml").write_text("[server]\n")
    assert generate.main(["--check"]) == 1
    assert "configuration.md is out of date: run make docs" in capsys.readouterr().err
    assert not (tmp_path / "configuration.md").exists()
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "configuration.md").write_text("old")
    assert generate.main(["--check"]) == 1


def test_the_example_is_right(capsys: Any) -> None:
    path = DOCS / "example.toml"
    assert main(["check-config", str(path)]) == 0
    assert capsys.readouterr().out.startswith("ok\nservices: support\nagents: ana, bo, mia\n")
    assert load(path).workspace.services[0].auto_close_after is None


def test_the_page_shows_the_example_as_it_is() -> None:
    [shown] = re.findall(r"```toml\n(.*?)```", generate.configuration(), re.DOTALL)
    assert shown == (DOCS / "example.toml").read_text(encoding="utf-8")


def test_every_setting_has_a_meaning_and_every_meaning_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = {path: text for path, text in meanings.MEANINGS.items() if path != "server.port"}
    monkeypatch.setattr(generate, "MEANINGS", missing)
    with pytest.raises(LookupError, match=r"no sentence for server\.port$"):
        generate.configuration()
    monkeypatch.setattr(generate, "MEANINGS", {**meanings.MEANINGS, "server.colour": "Red."})
    with pytest.raises(LookupError, match=r"not there: server\.colour$"):
        generate.configuration()


def test_every_variable_is_on_the_page() -> None:
    page = generate.configuration()
    assert all(f"| `{name}` | `{'.'.join(path[-2:])}` |" in page for name, path in variables(Config).items())


@pytest.mark.parametrize(
    "row",
    [
        "| `port` | whole number 0 to 65535 | `8400` |",
        "| `http_port` | whole number 0 to 65535 | – |",
        "| `origins` | list of texts | `[]` |",
        "| `shutdown_s` | number 0 to 86400 | `30` |",
        "| `require_expiry` | true or false | `true` |",
        "| `level` | `debug`, `error`, `info`, `warning` | `info` |".replace("`info` |", '`"info"` |'),
        '| `soon_after` | duration | `"3m"` |',
        "| `members` | list of tables | `[]` |",
        '| `escalation` | list of tables | `[{ after = "1h", do = "add_managers", agents = [], by = 1 }]` |',
        "| `max_slots` | table: text → whole number 0 to 1000000 | `{}` |",
        "| `agent` | text | required |",
    ],
)
def test_types_and_defaults_are_in_an_operators_words(row: str) -> None:
    assert row in generate.configuration()


def test_defaults_are_written_as_toml() -> None:
    written = re.findall(r"^\| `\w+` \| [^|]+ \| `(.+?)` \| ", generate.configuration(), re.MULTILINE)
    assert len(written) > 30
    for value in written:
        tomllib.loads(f"x = {value}")

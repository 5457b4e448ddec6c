"""What an operator sets, from where, and what is said when it is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from protocol.settings import MailSettings, WorkspaceSettings
from protocol.times import Duration
from router.config import Config, ConfigError, ServerSettings, doubts, load, read_workspace

PAIR = """
[[services]]
id = "support"
members = [{ agent = "ana" }]

[[agents]]
id = "ana"
"""


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "signalbox.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def problems(path: Path | None = None, environ: Mapping[str, str] | None = None, **flags: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ, flags)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


# ---------------------------------------------------------------- sources


def test_without_any_source_the_defaults_hold() -> None:
    config = load()
    assert config == Config()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8400)
    assert config.store.url == "sqlite:///data/signalbox.db"
    assert config.auth.require_expiry
    assert config.workspace.id == "main"


def test_a_later_source_wins_key_by_key(written: Any) -> None:
    path = written('[server]\nhost = "::1"\nport = 1\nheartbeat_s = 5\n')
    assert load(path).server == ServerSettings(host="::1", port=1, heartbeat_s=5)
    environ = {"SIGNALBOX_SERVER_PORT": "2", "SIGNALBOX_SERVER_HEARTBEAT_S": "6"}
    assert load(path, environ).server == ServerSettings(host="::1", port=2, heartbeat_s=6)
    flags = {"port": 3, "host": None, "store": "postgresql://db/x"}
    config = load(path, environ, flags)
    assert config.server == ServerSettings(host="::1", port=3, heartbeat_s=6)
    assert config.store.url == "postgresql://db/x"


def test_mail_is_set_by_the_file_and_variables_key_by_key_and_by_a_variable_alone(written: Any) -> None:
    path = written('[mail]\nhost = "smtp.example.org"\nport = 25\n')
    environ = {"SIGNALBOX_MAIL_PORT": "587", "SIGNALBOX_MAIL_SECURITY": "starttls"}
    both = MailSettings(host="smtp.example.org", port=587, security="starttls")
    assert load(path, environ).workspace.mail == both
    assert load(None, environ).workspace.mail == MailSettings(port=587, security="starttls")
    assert load(None, {"SIGNALBOX_SMTP_PASSWORD": "hush"}).workspace.mail is None


def test_a_file_has_services_and_agents_at_the_top_level(written: Any) -> None:
    workspace = load(written(PAIR)).workspace
    assert [service.id for service in workspace.services] == ["support"]
    assert [agent.id for agent in workspace.agents] == ["ana"]
    assert workspace.channel_classes == WorkspaceSettings().channel_classes


def test_a_file_may_have_them_in_the_workspace_table_as_well(written: Any) -> None:
    text = PAIR.replace("[[services]]", "[[workspace.services]]") + '[workspace]\nid = "acme"\n'
    workspace = load(written(text)).workspace
    assert (workspace.id, len(workspace.services), len(workspace.agents)) == ("acme", 1, 1)


def test_but_not_in_both_places(written: Any) -> None:
    text = PAIR + '[[workspace.agents]]\nid = "bo"\n'
    assert problems(written(text)) == ["agents: given twice, here and in [workspace]"]


def test_never_stands_for_no_deadline(written: Any) -> None:
    text = '[[services]]\nid = "s"\nauto_close_after = "never"\nreply_within = "never"\nsoon_after = "never"\n'
    assert problems(written(text)) == [
        'services[0].soon_after: expected a duration such as "250ms", "45s", "3m", "1h30m" or "1d"'
    ]
    [service] = load(written(text.replace('soon_after = "never"\n', ""))).workspace.services
    assert service.auto_close_after is None


def test_durations_and_slots_are_read(written: Any) -> None:
    text = '[[services]]\nid = "s"\nsoon_after = "90s"\nmax_slots = { chat = 2 }\n'
    [service] = load(written(text)).workspace.services
    assert service.soon_after == Duration(90_000)
    assert service.max_slots == {"chat": 2}


# ---------------------------------------------------------------- what is wrong with a file


def test_all_problems_are_listed_at_once(written: Any) -> None:
    text = """
port = 1

[server]
prot = 8401
heartbeat_s = 0

[log]
level = "loud"

[limits]
batch = "x"

[[services]]
id = "s"
strategy = "fastest"
members = [{ agent = "a", role = "boss" }, { agnt = "b" }]

[[agents]]
name = "x"
"""
    assert problems(written(text), {"SIGNALBOX_SERVER_PORT": "abc"}, port=99_999) == [
        "port: no such setting; did you mean server.port?",
        "server.prot: no such setting; did you mean server.port?",
        "server.heartbeat_s: expected int >= 1",
        "log.level: expected one of debug, error, info, warning",
        "limits.batch: expected int",
        "services[0].strategy: expected one of least_busy, longest_idle, lowest_ratio, most_spare, round_robin",
        "services[0].members[0].role: expected one of admin, representative",
        "services[0].members[1].agnt: no such setting; did you mean services[0].members[1].agent?",
        "services[0].members[1].agent: expected it to be given",
        "agents[0].id: expected it to be given",
        "SIGNALBOX_SERVER_PORT: expected int",
        "--port: expected int <= 65535",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("colour = 1", "colour: no such setting; there are server, store"),
        ("servces = []", "servces: no such setting; did you mean services?"),
        ("level = 'info'", "level: no such setting; did you mean log.level?"),
        ('id = "acme"', "id: no such setting; did you mean workspace.id?"),
        ("server = 5", "server: expected object"),
        ("workspace = 5", "workspace: expected object"),
        ("workspace = 5\nagents = []", "workspace: expected object"),
        ("services = 5", "services: expected array"),
        ("services = [5]", "services[0]: expected object"),
        ("[store]\nurl = 5", "store.url: expected str"),
        ("[server]\nport = true", "server.port: expected int"),
        ("[server]\nport = -1", "server.port: expected int >= 0"),
        ("[server]\nport = 2026-01-05", "server.port: expected int"),
        ('[[agents]]\nid = "a"\ncapacity = { chat = "x" }', "agents[0].capacity[]: expected int | null"),
        ('[[agents]]\nid = "a"\nname = "\\u0000"', "agents[0].name: expected text without NUL characters"),
        ('[[agents]]\nid = "a"\nskills = ["\\u0000"]', "agents[0].skills[0]: expected text without NUL characters"),
    ],
)
def test_a_problem_names_the_path_and_what_is_expected(written: Any, text: str, problem: str) -> None:
    [found] = problems(written(text))
    assert found.startswith(problem)


@pytest.mark.parametrize("text", ["[server", "a = 1\na = 2", b"\xff", "x = " + "[" * 5000])
def test_a_file_that_is_not_toml_is_refused(written: Any, text: str | bytes) -> None:
    [problem] = problems(written(text))
    assert "is not TOML" in problem


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    [problem] = problems(tmp_path / "nowhere.toml")
    assert problem.endswith("nowhere.toml: cannot be read: No such file or directory")


# ---------------------------------------------------------------- a workspace alone


def test_a_scenarios_config_is_a_workspace() -> None:
    workspace = read_workspace({"agents": ({"id": "ana", "capacity": {"chat": None}},), "services": [{"id": "s"}]})
    assert workspace.agents[0].capacity == {"chat": None}
    assert workspace.services[0].id == "s"
    assert read_workspace({}) == WorkspaceSettings()


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"agent": []}, "agent: no such setting; did you mean agents?"),
        ({"agents": [{"id": "a", "name": "\0"}]}, "agents[0].name: expected text without NUL characters"),
        ({"agents": ({"id": 5},)}, "agents[0].id: expected str"),
        ({"agents": [{"id": "a"}, {"id": "a"}]}, "agents[1].id: 'a' is the id of agents[0] already"),
    ],
)
def test_a_wrong_workspace_is_refused(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_workspace(table)
    assert caught.value.problems == [problem]


def test_a_configuration_may_be_used_and_still_be_doubtful(written: Any) -> None:
    config = load(written(PAIR.replace('id = "ana"', 'id = "bo"')))
    assert doubts(config) == ["services[0].members[0].agent: there is no agent 'ana'"]
    assert doubts(load(written(PAIR))) == []

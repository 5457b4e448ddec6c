"""Names that agree, deadlines in order, zones that exist."""

from typing import Any

import pytest

from protocol.codec import convert
from protocol.session import Limits
from protocol.settings import AgentSettings, ServiceSettings, WorkspaceSettings
from router.config import Config
from router.consistency import doubts, problems, workspace_problems


def workspace(**table: Any) -> WorkspaceSettings:
    built: WorkspaceSettings = convert(table, WorkspaceSettings)
    return built


def config(**table: Any) -> Config:
    built: Config = convert(table, Config)
    return built


def test_the_defaults_are_right() -> None:
    assert problems(Config()) == []
    assert doubts(WorkspaceSettings()) == []
    assert workspace_problems(workspace(services=[{"id": "s"}], agents=[{"id": "a"}])) == []


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"services": [{"id": "s"}, {"id": "t"}, {"id": "s"}]}, "services[2].id: 's' is the id of services[0] already"),
        ({"agents": [{"id": "a"}, {"id": "a"}]}, "agents[1].id: 'a' is the id of agents[0] already"),
        (
            {"channel_classes": {"chat": ["web", "sms"], "text": ["sms"]}},
            "channel_classes.text: channel 'sms' is in class 'chat' already",
        ),
        (
            {"services": [{"id": "s", "members": [{"agent": "a"}, {"agent": "a"}]}]},
            "services[0].members[1].agent: 'a' is a member already",
        ),
        (
            {"services": [{"id": "s", "soon_after": "5m", "overdue_after": "5m"}]},
            "services[0].overdue_after: expected more than soon_after, which is 5m",
        ),
        (
            {"services": [{"id": "s", "escalation": [{"after": "5m", "do": "notify"}]}]},
            "services[0].escalation[0].agents: expected whom to notify",
        ),
        ({"services": [{"id": "s\n"}]}, "services[0].id: expected text without control characters"),
        ({"agents": [{"id": "\x1b[0m"}]}, "agents[0].id: expected text without control characters"),
    ],
)
def test_what_contradicts_itself_is_a_problem(table: dict[str, Any], problem: str) -> None:
    assert workspace_problems(workspace(**table)) == [problem]


@pytest.mark.parametrize(
    "zone", ["Europe/Olso", "Europe", "../etc/passwd", "", "/etc/localtime", "localtime", "x" * 64]
)
def test_a_time_zone_must_exist(zone: str) -> None:
    [problem] = workspace_problems(workspace(agents=[{"id": "a", "time_zone": zone}]))
    assert problem.startswith("agents[0].time_zone: there is no time zone")


def test_working_hours_must_make_sense_and_are_looked_at_once_the_zone_is_right() -> None:
    hours = {"weekly": {"mon": [["17:00", "09:00"]]}}
    [problem] = workspace_problems(workspace(agents=[{"id": "a", "working_hours": hours}]))
    assert problem.startswith("agents[0].working_hours: mon: 17:00–09:00 does not end after it begins")
    [problem] = workspace_problems(workspace(agents=[{"id": "a", "working_hours": hours, "time_zone": "x"}]))
    assert problem.startswith("agents[0].time_zone")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Oslo", "America/Argentina/Buenos_Aires"])
def test_a_time_zone_that_exists_is_fine(zone: str) -> None:
    assert workspace_problems(workspace(agents=[{"id": "a", "time_zone": zone}])) == []


def test_deadlines_in_order_are_fine() -> None:
    assert workspace_problems(workspace(services=[{"id": "s", "soon_after": "5m", "overdue_after": "5m1ms"}])) == []


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_no_limit_may_be_nothing(name: str) -> None:
    assert problems(config(limits={name: 0})) == [f"limits.{name}: expected int >= 1"]


def test_two_ports_are_two() -> None:
    [problem] = problems(config(server={"port": 8400, "http_port": 8400}))
    assert problem.startswith("server.http_port: expected another port")
    assert problems(config(server={"port": 0, "http_port": 0})) == []
    assert problems(config(server={"port": 1, "http_port": 2})) == []


@pytest.mark.parametrize("url", ["sqlite:///a.db", "sqlite:///:memory:", "postgresql://u@h/d"])
def test_a_store_has_a_known_kind_of_url(url: str) -> None:
    assert problems(config(store={"url": url})) == []


@pytest.mark.parametrize("url", ["", "mysql://u:hush@h/d", "postgres://u:hush@h/d", "sqlite://a.db", "data/hush.db"])
def test_a_wrong_store_is_not_repeated_because_of_its_password(url: str) -> None:
    [problem] = problems(config(store={"url": url}))
    assert problem.startswith("store.url: expected sqlite:///")
    assert "hush" not in problem


def test_names_that_nothing_defines_are_doubtful() -> None:
    service = {
        "id": "s",
        "members": [{"agent": "a"}, {"agent": "b"}],
        "escalation": [{"after": "1m", "do": "notify", "agents": ["a", "c"]}],
        "max_slots": {"chat": 1, "chta": 1},
    }
    agent = {"id": "a", "capacity": {"messaging": 1, "msg": 1}}
    table = workspace(services=[service], agents=[agent])
    assert workspace_problems(table) == []
    assert doubts(table) == [
        "services[0].members[1].agent: there is no agent 'b'",
        "services[0].escalation[0].agents: there is no agent 'c'",
        "services[0].max_slots: there is no channel class 'chta'",
        "agents[0].capacity: there is no channel class 'msg'",
    ]


def test_every_kind_of_settings_that_has_an_id_is_looked_at() -> None:
    several = WorkspaceSettings(
        services=(ServiceSettings(id="\x00"), ServiceSettings(id="s")),
        agents=(AgentSettings(id="a"), AgentSettings(id="\x00")),
    )
    found = workspace_problems(several)
    assert [line.split(":")[0] for line in found] == ["services[0].id", "agents[1].id"]


@pytest.mark.parametrize(
    ("mail", "found"),
    [
        ({"sender": "nobody"}, "mail.sender: expected an address such as"),
        ({"sender": "Ana\nBcc: x <a@b.c>"}, "mail.sender: expected an address such as"),
        ({"unsubscribe": "javascript:alert(1)"}, "mail.unsubscribe: expected https://… or mailto:…"),
        ({"time_zone": "Mars/Base"}, 'mail.time_zone: Unknown time zone "Mars/Base"'),
    ],
)
def test_mail_must_have_a_sender_a_zone_and_a_link_that_can_be_followed(mail: dict[str, Any], found: str) -> None:
    (problem,) = workspace_problems(workspace(mail=mail))
    assert problem.startswith(found)
    right = {"sender": "Support <a@b.c>", "unsubscribe": "mailto:a@b.c", "time_zone": "Europe/Oslo"}
    assert workspace_problems(workspace(mail=right)) == []


LADDER = "services[0].escalation[0]"


@pytest.mark.parametrize(
    ("service", "found"),
    [
        ({"escalation": [{"after": "1m", "do": "move_to"}]}, f"{LADDER}.service: expected where to move it"),
        ({"escalation": [{"after": "1m", "do": "webhook"}]}, f"{LADDER}.url: expected whom to call"),
        ({"business_hours": {"time_zone": "Mars/Base"}}, "services[0].business_hours: "),
        ({"business_hours": {"weekly": {"mon": [["12:00", "08:00"]]}}}, "services[0].business_hours: "),
    ],
)
def test_a_ladder_and_hours_must_make_sense(service: dict[str, Any], found: str) -> None:
    settings = workspace(services=[{"id": "support", **service}])
    assert [problem[: len(found)] for problem in workspace_problems(settings)] == [found]


def test_a_ladder_that_moves_to_an_unknown_service_is_doubtful() -> None:
    ladder = [{"after": "1m", "do": "move_to", "service": "sales"}]
    settings = workspace(services=[{"id": "support", "escalation": ladder}])
    assert doubts(settings) == [f"{LADDER}.service: there is no service 'sales'"]

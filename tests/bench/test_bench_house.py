"""Servers to measure."""

from __future__ import annotations

from pathlib import Path

from bench.house import config
from router.config import load


def test_the_configuration_of_a_house_is_one_the_server_takes(tmp_path: Path) -> None:
    file = tmp_path / "signalbox.toml"
    file.write_text(config(5, services=2, slots=3, reopen="new"))
    found = load(file)
    assert [len(service.members) for service in found.workspace.services] == [3, 2]
    assert found.workspace.agents[4].capacity == {"chat": 3, "messaging": 3, "email": 3}
    assert found.workspace.services[1].reopen == "new"
    assert found.limits.trusted_requests_per_s == 10_000_000

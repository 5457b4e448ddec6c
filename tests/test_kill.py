"""A real server under load is killed again and again: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from tests.kill.run import Report, campaign

#: what must have happened for a campaign to have shown anything
SHOWN = ("acknowledged", "sent again", "told", "snoozed", "woke by time", "escalated", "closed by time", "fired late")

pytestmark = pytest.mark.timeout(300)


def run(kills: int, url: str, folder: Path) -> Report:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    report = asyncio.run(campaign(kills, seed, url, folder))
    print(report.counts)
    return report


def test_twenty_kills_lose_nothing_on_sqlite(tmp_path: Path) -> None:
    report = run(20, f"sqlite:///{tmp_path}/signalbox.db", tmp_path)
    assert report.problems == []
    assert [what for what in SHOWN if not report.counts[what]] == []


def test_five_kills_lose_nothing_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    assert run(5, postgres_url, tmp_path).problems == []

"""A real server in trouble: the disk is full, the database restarts, the process stands still. It goes on by itself.

The same with more patience from the command line: ``python -m tests.kill.trouble``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill import trouble

pytestmark = pytest.mark.timeout(120)


def test_a_full_disk_refuses_changes_and_loses_nothing(tmp_path: Path) -> None:
    assert "all there once" in trouble.survived(trouble.disk(tmp_path))


def test_a_database_that_is_stopped_and_started_again_loses_nothing(tmp_path: Path) -> None:
    assert "all there once" in trouble.survived(trouble.database(tmp_path))


def test_a_process_that_stood_still_fires_what_fell_due_at_its_own_moment(tmp_path: Path) -> None:
    assert "woke 0 ms from its moment" in trouble.survived(trouble.pause(tmp_path, 3.0))

"""A real server that mails is killed again and again: each mail comes, and none after its confirmation is stored."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from tests.kill.mail import campaign

pytestmark = pytest.mark.timeout(200)


def test_kills_lose_no_mail_and_send_none_again_that_was_confirmed(tmp_path: Path) -> None:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    problems, counts = asyncio.run(campaign(8, seed, tmp_path))
    print(counts)
    assert problems == []
    assert counts["forwarded"] > 20

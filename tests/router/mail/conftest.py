"""A loop thread for each test that asks for one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from router.mail.loop import LoopThread


@pytest.fixture
async def loop() -> AsyncIterator[LoopThread]:
    thread = LoopThread("test-mail")
    yield thread
    await thread.close()

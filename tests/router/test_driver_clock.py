"""The wall clock jumps under a running house: due dates keep to it, waits do not, and nothing fires twice."""

from __future__ import annotations

import pytest
import trio
from driving import START, Client, House, house
from trio.testing import MockClock, wait_all_tasks_blocked

from router.driver import WAIT_MAX_S

pytestmark = pytest.mark.timeout(30)
HOUR_S = 3_600.0


def set_wall(h: House, ahead_s: float) -> None:
    """The wall clock is so far ahead of where it would be; the monotonic one knows nothing of it."""
    h.driver._clock._wall = lambda: START / 1000 + trio.current_time() + ahead_s


async def sleeping(h: House, ana: Client, sms: Client, number: int, length: str) -> tuple[str, str]:
    """A conversation that is snoozed: which, and until when."""
    conversation = await h.receive(sms, number)
    result = await ana.say("conversation.snooze", {"conversation": conversation, "for": length})
    return conversation, result["conversation"]["snoozed_until"]


async def woke(backend: Client, conversation: str) -> list[str]:
    """The moments at which it woke."""
    entries = (await backend.say("conversation.get", conversation=conversation))["entries"]
    return [entry["at"] for entry in entries if entry["type"] == "woke"]


async def test_after_a_jump_forward_what_fell_due_fires_soon_and_at_its_own_moment_though_nobody_asks(
    mock_clock: MockClock,
) -> None:
    """A machine that slept: its monotonic clock stood still, and nobody is there to wake the driver."""
    async with house() as h:
        ana, sms, backend = await h.ana(), await h.client("connector:sms"), await h.client("backend:crm")
        first, due = await sleeping(h, ana, sms, 1, "1h")
        second, later = await sleeping(h, ana, sms, 2, "3h")
        set_wall(h, 2 * HOUR_S)
        await wait_all_tasks_blocked()
        mock_clock.jump(WAIT_MAX_S)
        await h.quiet()
        assert await woke(backend, first) == [due]
        assert await woke(backend, second) == []
        set_wall(h, 4 * HOUR_S)
        mock_clock.jump(WAIT_MAX_S)
        await h.quiet()
        assert (await woke(backend, first), await woke(backend, second)) == ([due], [later])
        assert h.equals_its_store()


@pytest.mark.parametrize("back_s", [2.0, HOUR_S, 400 * 24 * HOUR_S])
async def test_after_a_jump_back_nothing_fires_twice_and_waits_are_as_long_as_they_were(
    back_s: float, mock_clock: MockClock
) -> None:
    async with house() as h:
        ana, sms, backend = await h.ana(), await h.client("connector:sms"), await h.client("backend:crm")
        first, due = await sleeping(h, ana, sms, 1, "10s")
        mock_clock.jump(11)
        await h.quiet()
        set_wall(h, -back_s)
        second, later = await sleeping(h, ana, sms, 2, "10s")
        assert later > due
        mock_clock.jump(9)
        await h.quiet()
        assert await woke(backend, second) == []
        mock_clock.jump(1.1)
        await h.quiet()
        assert (await woke(backend, first), await woke(backend, second)) == ([due], [later])
        assert h.equals_its_store()

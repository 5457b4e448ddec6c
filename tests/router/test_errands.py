"""Errands of the shell: each runs, its end is told to the core, and a shutdown waits a moment for those under way."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors.effects import Mail, Mailed, Post, Posted
from protocol.records import MailRecord
from protocol.settings import MailSettings
from router.errands import DRAIN_S, Errands
from router.mail.mailer import Mailer
from router.mail.sink import Sink
from tests.router.driving import CONFIG, House, house, until

POST = Post(5, "https://example.org/", "{}")
MAIL = Mail("e5", "fallback", "nia@example.org", "c1", '{"entry":5}', "en", 0)


class Slow:
    """A caller and postman that waits to be told."""

    def __init__(self) -> None:
        self.go = trio.Event()
        self.begun: list[Any] = []
        self.closed = 0

    async def open(self) -> None: ...

    async def call(self, item: Post, now_ms: int) -> bool:
        self.begun.append((item, now_ms))
        await self.go.wait()
        return True

    async def send(self, mail: Mail, read: Any, agent_name: Any) -> Mailed | None:
        self.begun.append((mail, agent_name("ana")))
        await self.go.wait()
        return Mailed(mail.id, taken=True)

    async def close(self) -> None:
        self.closed += 1


async def nothing(questions: Any) -> list[Any]:
    return []


@pytest.fixture
def heard() -> list[Posted | Mailed]:
    return []


@pytest.fixture
def errands(heard: list[Posted | Mailed]) -> Errands:
    made = Errands(nothing, str.title, heard.append, lambda: 9)
    made.webhooks = made.mailer = Slow()
    return made


async def test_what_became_of_each_is_told(errands: Errands, heard: list[Any], nursery: trio.Nursery) -> None:
    slow: Any = errands.mailer
    go = errands.on(nursery.start_soon)
    go(POST)
    go(MAIL)
    await wait_all_tasks_blocked()
    assert errands.statistics() == {"under_way": 2, "taken_kept": 0}
    assert heard == []
    slow.go.set()
    await errands.drain()
    assert sorted(map(repr, heard)) == sorted(map(repr, [Posted(5, taken=True), Mailed("e5", taken=True)]))
    assert sorted(map(repr, slow.begun)) == sorted(map(repr, [(POST, 9), (MAIL, "Ana")]))


async def test_without_a_way_out_nothing_is_told(heard: list[Any], nursery: trio.Nursery) -> None:
    errands = Errands(nothing, str.title, heard.append, lambda: 9)
    go = errands.on(nursery.start_soon)
    go(POST)
    go(MAIL)
    await errands.open()
    await wait_all_tasks_blocked()
    await errands.close()
    assert heard == []


async def test_while_draining_none_is_begun(errands: Errands, heard: list[Any], nursery: trio.Nursery) -> None:
    slow: Any = errands.mailer
    await errands.drain()
    errands.on(nursery.start_soon)(MAIL)
    await wait_all_tasks_blocked()
    assert slow.begun == []


async def test_a_drain_waits_only_a_moment(errands: Errands, autojump_clock: Any, nursery: trio.Nursery) -> None:
    errands.on(nursery.start_soon)(MAIL)
    await wait_all_tasks_blocked()
    started = trio.current_time()
    await errands.drain()
    assert trio.current_time() - started == pytest.approx(DRAIN_S)
    nursery.cancel_scope.cancel()


async def test_what_was_taken_is_not_done_again_though_it_is_asked_for(
    errands: Errands, heard: list[Any], nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store may have been away when that was heard."""
    slow: Any = errands.mailer
    slow.go.set()
    monkeypatch.setattr("router.errands.TAKEN_KEPT", 1)
    go = errands.on(nursery.start_soon)
    for item, times in ((MAIL, 1), (MAIL, 1), (POST, 2), (POST, 2), (MAIL, 3)):
        go(item)
        await wait_all_tasks_blocked()
        assert len(slow.begun) == times
    assert heard.count(Mailed("e5", taken=True)) == 3
    assert errands.statistics()["taken_kept"] == 1


async def test_closing_closes_both(errands: Errands) -> None:
    slow: Any = errands.mailer
    await errands.close()
    assert slow.closed == 2


# ---------------------------------------------------------------- in a driver

NIA = {"service": "support", "channel": "web", "text": "Hello"}


async def fall_back(running: House, clock: MockClock) -> None:
    """ana writes to nia, who has gone."""
    nia = await running.client("contact:nia")
    started = await nia.say("conversation.start", NIA)
    conversation = started["conversation"]["id"]
    backend = await running.client("backend:b")
    await backend.say("contact.update", contact="nia", email="nia@example.org")
    nia.connection.lost()
    ana = await running.ana()
    await ana.say("conversation.join", conversation=conversation)
    await ana.say("message.send", conversation=conversation, text="You are away")
    clock.jump(0.001)  # the first attempt is due now, and a sleeper wakes when that is past


def mails(running: House) -> list[Any]:
    """The mails as they stand in the store, the latest of each."""
    found = {}
    for batch in running.store.batches:
        found |= {record.id: record for record in batch.records if isinstance(record, MailRecord)}
    return list(found.values())


async def test_a_mail_goes_all_the_way_and_its_end_is_durable(mock_clock: MockClock) -> None:
    sink = Sink()
    mailer = Mailer(MailSettings(), "main", None, sink)
    await mailer.open()
    async with house({**CONFIG, "mail": {}}) as running:
        running.driver.errands.mailer = mailer
        await fall_back(running, mock_clock)
        await until(lambda: not running.driver.core.house.mails)
        await running.quiet()
        (record,) = mails(running)
        assert (record.status, record.attempts, record.recipient) == ("done", 1, "nia@example.org")
        (found,) = sink.kept
        assert "You are away" in found.get_body(("plain",)).get_content()
        assert running.equals_its_store()


async def test_a_mail_that_is_taken_during_a_shutdown_stands_as_taken(mock_clock: MockClock) -> None:
    slow = Slow()
    async with house({**CONFIG, "mail": {}}) as running:
        running.driver.errands.mailer = slow
        await fall_back(running, mock_clock)
        await until(lambda: bool(slow.begun))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.driver.drain, "shutdown", 1.0)
            await wait_all_tasks_blocked()
            slow.go.set()
        assert [record.status for record in mails(running)] == ["done"]


async def test_what_is_heard_while_the_store_is_away_is_kept(mock_clock: MockClock) -> None:
    slow = Slow()
    async with house({**CONFIG, "mail": {}}) as running:
        running.driver.errands.mailer = slow
        await fall_back(running, mock_clock)
        await until(lambda: bool(slow.begun))
        running.store.refuses_commits = True
        slow.go.set()
        await until(lambda: not running.driver.available)
        await running.recover(mock_clock)
        await until(lambda: not running.driver.core.house.mails)
        await running.quiet()
        assert [record.status for record in mails(running)] == ["done"]
        assert len(slow.begun) == 1  # though the core has asked for it again meanwhile

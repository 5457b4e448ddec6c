"""The driver and its sessions: tokens that expire, resume without gap or repeat, drain."""

from __future__ import annotations

import pytest
import trio
from driving import START, Client, SteeredStore, house, message
from trio.testing import MockClock, wait_all_tasks_blocked

FEW = 16

pytestmark = pytest.mark.timeout(30)


def seqs(client: Client) -> list[int]:
    return [entry["seq"] for entry in client.entries()]


# ---------------------------------------------------------------- tokens


async def test_a_session_ends_when_its_token_expires(mock_clock: MockClock) -> None:
    async with house() as h:
        ana = await h.client("agent:ana@5000")
        bo = await h.client("contact:nia")
        await h.quiet()
        mock_clock.jump(4.9)
        await h.quiet()
        assert ana.closed is None
        mock_clock.jump(0.2)
        await ana.until(lambda: ana.closed is not None)
        assert (ana.closed, bo.closed) == (4002, None)


async def test_a_session_that_is_gone_no_longer_waits_for_its_end(mock_clock: MockClock) -> None:
    async with house() as h:
        ana = await h.client("agent:ana@5000")
        assert h.driver.queues()["sessions_expiring"] == 1
        ana.connection.lost()
        assert h.driver.queues()["sessions_expiring"] == 0


async def test_a_new_token_lets_the_session_go_on(mock_clock: MockClock) -> None:
    async with house() as h:
        ana = await h.client("agent:ana@5000")
        refreshed = await ana.say("session.refresh", token="agent:ana@9000")
        assert refreshed == {"expires": "2026-01-05T09:00:09.000Z"}
        mock_clock.jump(8.9)
        await h.quiet()
        assert ana.closed is None
        mock_clock.jump(0.2)
        await ana.until(lambda: ana.closed is not None)
        assert ana.closed == 4002


async def test_a_new_token_that_ends_earlier_ends_the_session_earlier(mock_clock: MockClock) -> None:
    async with house() as h:
        ana = await h.client("agent:ana@9000")
        await ana.say("session.refresh", token="agent:ana@5000")
        await h.quiet()
        mock_clock.jump(5.1)
        await ana.until(lambda: ana.closed is not None)
        assert ana.closed == 4002


# ---------------------------------------------------------------- resume


async def test_a_resume_has_no_gap_and_no_repeat_while_entries_come_in(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        conversation = await h.receive(sms)
        since = max(seqs(ana))
        ana.connection.lost()
        for text in ("one", "two"):
            await sms.say("connector.receive", {**message(1), "external_id": text, "text": text})
        back = Client(h.driver, "agent:ana")
        h.store.hold_reads()
        opening = back.ask("session.open", token="agent:ana", since=since)
        await h.store.until(lambda store: store.reading == 1)
        other = await h.client("backend:crm")
        for text in ("three", "four"):  # live, while what was missed is being read
            await other.say("message.send", conversation=conversation, text=text)
        assert back.heard == []
        h.store.let_go()
        await back.answer(opening)
        await other.say("message.send", conversation=conversation, text="five")
        await back.until(lambda: len(back.entries()) >= 5)
        assert [entry["text"] for entry in back.entries()] == ["one", "two", "three", "four", "five"]
        assert back.heard[0]["result"]["seq"] == back.entries()[1]["seq"]


async def test_a_resume_that_cannot_be_read_is_not_opened(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        await h.receive(sms)
        h.store.refuses_reads = True
        back = Client(h.driver, "agent:ana")
        opening = back.ask("session.open", token="agent:ana", since=max(seqs(ana)) - 1)
        await back.until(lambda: back.closed is not None)
        assert back.closed == 1013
        assert [message for message in back.heard if "result" in message or "method" in message] == []
        assert (await back.refused(opening))["reason"] == "storage_unavailable"


# ---------------------------------------------------------------- drain


async def test_a_drain_answers_what_was_taken_and_takes_nothing_new(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        conversation = await h.receive(sms)
        h.store.hold_commits()
        taken = ana.ask("message.send", conversation=conversation, text="Last words")
        await h.store.until(lambda store: store.committing == 1)
        behind = ana.ask("message.send", conversation=conversation, text="And these")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(h.driver.drain, "shutdown", 2.0)
            await wait_all_tasks_blocked()
            late = ana.ask("message.send", conversation=conversation, text="Too late")
            refusal = await ana.refused(late)
            assert (refusal["reason"], refusal["retry"]) == ("draining", True)
            newcomer = Client(h.driver, "agent:ana")
            assert (await newcomer.refused(newcomer.ask("session.open", token="agent:ana")))["reason"] == "draining"
            assert (ana.closed, newcomer.closed) == (None, 1013)
            h.store.let_go()
        for ident in (taken, behind):
            assert "result" in await ana.answer(ident)
        assert ana.heard[-1] == {
            "jsonrpc": "2.0",
            "method": "session.ending",
            "params": {"reason": "shutdown", "retry_after_s": 2.0},
        }
        assert (ana.closed, sms.closed) == (1001, 1001)


async def test_a_drain_waits_for_requests_whose_questions_are_being_read(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        conversation = await h.receive(sms)
        h.store.hold_reads()
        taken = ana.ask("message.send", conversation=conversation, text="Last words", key="k1")
        await h.store.until(lambda store: store.reading == 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(h.driver.drain, "shutdown", 2.0)
            await wait_all_tasks_blocked()
            assert ana.closed is None
            h.store.let_go()
        assert ana.answers()[-1] == taken
        assert ana.closed == 1001


async def test_a_drain_waits_for_pages_that_are_being_read(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        conversation = await h.receive(sms)
        h.store.hold_reads()
        taken = ana.ask("conversation.get", conversation=conversation)
        await h.store.until(lambda store: store.reading == 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(h.driver.drain, "shutdown", 2.0)
            await wait_all_tasks_blocked()
            assert ana.closed is None
            h.store.let_go()
        assert ana.answers()[-1] == taken
        assert ana.heard[-1]["method"] == "session.ending"
        assert ana.closed == 1001


async def test_a_drain_says_goodbye_also_if_the_store_does_not_answer_in_time(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        h.store.hold_commits()
        taken = sms.ask("connector.receive", message(1))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(h.driver.drain, "shutdown", 2.0, 15.0)
            await wait_all_tasks_blocked()
            assert ana.closed is None
            mock_clock.jump(15)
        assert (ana.heard[-1]["method"], ana.closed, sms.closed) == ("session.ending", 1001, 1001)
        assert not sms.has_answer(taken)


async def test_whoever_is_online_at_a_shutdown_is_in_grace_from_the_restart_on(mock_clock: MockClock) -> None:
    store = SteeredStore()
    async with house(store=store) as h:
        ana = await h.ana()
        await h.driver.drain("shutdown", 2.0)
        ana.connection.lost()
    mock_clock.jump(600)
    async with house(store=store) as h:
        assert h.driver.core.house.agents["ana"].record.lost_at == START + 600_000

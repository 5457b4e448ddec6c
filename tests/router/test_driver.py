"""The driver over a store that is slow: group commit, order, reads that fail, backpressure."""

from __future__ import annotations

from functools import partial

import pytest
import trio
from driving import House, house, message
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import core
from router import desk, driver
from storage.thread import StoreThread

FEW = 16

pytestmark = pytest.mark.timeout(30)


# ---------------------------------------------------------------- commits


async def test_nothing_is_delivered_before_its_commit(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        ana.heard.clear()
        sms.heard.clear()
        h.store.hold_commits()
        ident = sms.ask("connector.receive", message(1))
        await h.store.until(lambda store: store.committing == 1)
        await wait_all_tasks_blocked()
        assert (ana.heard, sms.heard) == ([], [])
        h.store.let_go()
        answer = await sms.answer(ident)
        assert answer["result"]["conversation"]["assignee"] == "ana"
        assert [entry["type"] for entry in ana.entries()] == ["assigned"]


async def test_what_comes_during_a_commit_makes_the_next_batch(mock_clock: MockClock) -> None:
    async with house() as h:
        sms = await h.client("connector:sms")
        h.store.hold_commits()
        h.store.batches.clear()
        asked = [sms.ask("connector.receive", message(1))]
        await h.store.until(lambda store: store.committing == 1)
        for number in range(2, 10):
            asked.append(sms.ask("connector.receive", message(number)))
            await wait_all_tasks_blocked()
        h.store.let_go()
        await sms.answer(asked[-1])
        assert [len(batch.keys) for batch in h.store.batches] == [1, 8]  # the first alone, and all the others together
        seqs = [record.entry.seq for batch in h.store.batches for record in batch.entries]
        assert seqs == sorted(set(seqs))


async def test_steps_made_during_a_commit_and_what_is_left_after_it_make_one_batch(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "AHEAD_MIN", 2)
    async with house() as h:
        backend = await h.client("backend:crm")
        h.store.hold_commits()
        h.store.batches.clear()
        waits = []
        for name in ("first", "a", "b", "c", "d", "e"):
            last = backend.ask("agent.put", agent={"id": name})  # needs nothing from the store
            await wait_all_tasks_blocked()
            waits.append((h.driver.queues()["inbox"], h.driver.queues()["under_way"]))
        assert waits == [(0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3)]
        h.store.let_go()
        await backend.answer(last)
        names = [[record.settings.id for record in batch.records] for batch in h.store.batches]
        assert names == [["first"], ["a", "b", "c", "d", "e"]]
        await h.quiet()
        assert h.equals_its_store()


@pytest.mark.parametrize(("inputs", "steps"), [(4, 8), (100, 2)])
async def test_what_waits_for_a_commit_is_bounded(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch, inputs: int, steps: int
) -> None:
    monkeypatch.setattr(driver, "AHEAD_MIN", 2)
    monkeypatch.setattr(driver, "STEP_MAX", inputs)
    monkeypatch.setattr(driver, "AHEAD_MAX", steps)
    async with house() as h:
        backend = await h.client("backend:crm")
        h.store.hold_commits()
        for name in ("first", "a", "b", "c", "d", "e", "f", "g"):
            last = backend.ask("agent.put", agent={"id": name})
            await wait_all_tasks_blocked()
        assert (h.driver.queues()["inbox"], h.driver.queues()["under_way"]) == (3, 3)
        h.store.let_go()
        await backend.answer(last)


async def test_answers_come_in_the_order_of_the_requests(mock_clock: MockClock) -> None:
    async with house() as h:
        backend = await h.client("backend:crm")
        asked = []
        for number in range(40):
            put = {"agent": {"id": f"a{number}"}}
            asked.append(backend.ask("agent.put", put) if number % 2 else backend.ask("agent.list"))
            if number % 7 == 0:
                await wait_all_tasks_blocked()
        await backend.answer(asked[-1])
        assert backend.answers()[1:] == asked


async def test_a_page_of_the_timeline_keeps_its_place_among_the_answers(mock_clock: MockClock) -> None:
    async with house() as h:
        sms, backend = await h.client("connector:sms"), await h.client("backend:crm")
        conversation = await h.receive(sms)
        h.store.hold_reads()
        page = backend.ask("conversation.get", conversation=conversation)
        later = backend.ask("agent.list")
        await h.store.until(lambda store: store.reading == 1)
        await wait_all_tasks_blocked()
        assert not backend.has_answer(later)
        h.store.let_go()
        await backend.answer(later)
        assert backend.answers()[1:] == [page, later]


async def test_requests_wait_in_their_order_until_all_due_deadlines_have_fired(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "TIMERS_A_STEP", 2)
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        for number in range(1, 8):
            asleep = {"conversation": await h.receive(sms, number), "for": "10s"}
            await ana.say("conversation.snooze", asleep)
        await h.quiet()
        h.store.batches.clear()
        mock_clock.jump(11)
        asked = [sms.ask("connector.receive", message(number)) for number in (11, 12, 13)]
        await sms.answer(asked[-1])
        types = [record.entry.type for batch in h.store.batches for record in batch.entries]
        assert [kind for kind in types if kind in ("woke", "created")] == ["woke"] * 7 + ["created"] * 3
        assert sms.answers()[-3:] == asked


# ---------------------------------------------------------------- reads that fail


async def test_what_cannot_be_read_is_refused_and_all_else_goes_on(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        conversation = await h.receive(sms)
        h.store.refuses_reads = True
        page = ana.ask("conversation.get", conversation=conversation)
        keyed = ana.ask("message.send", conversation=conversation, text="Keyed", key="k1")
        plain = ana.ask("message.send", conversation=conversation, text="Plain")
        assert (await ana.refused(page))["reason"] == "storage_unavailable"
        assert (await ana.refused(keyed))["reason"] == "storage_unavailable"
        assert (await ana.answer(plain))["result"]["entry"]["text"] == "Plain"
        h.store.refuses_reads = False
        assert (await ana.say("message.send", conversation=conversation, text="Keyed", key="k1"))["entry"]


async def test_more_pages_than_can_wait_are_refused_and_not_the_end(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "StoreThread", partial(StoreThread, queued_max=FEW))
    async with house() as h:
        sms, backend = await h.client("connector:sms"), await h.client("backend:crm")
        conversation = await h.receive(sms)
        h.store.hold_reads()
        asked = [backend.ask("conversation.get", conversation=conversation) for _ in range(FEW + 2)]
        await wait_all_tasks_blocked()
        h.store.let_go()
        assert (await backend.refused(asked[-1]))["reason"] == "storage_unavailable"
        assert ["result" in await backend.answer(ident) for ident in asked].count(True) >= FEW
        assert (await backend.say("conversation.get", conversation=conversation))["entries"]


# ---------------------------------------------------------------- backpressure


async def has_to_wait(h: House) -> None:
    """Whoever reads from a socket waits now, and no longer when the store goes on."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(h.driver.room)
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        h.store.let_go()


async def test_a_full_inbox_makes_readers_wait_until_there_is_room(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "INBOX_MAX", FEW)
    async with house() as h:
        backend = await h.client("backend:crm")
        h.store.hold_commits()
        backend.ask("agent.put", agent={"id": "first"})
        await wait_all_tasks_blocked()
        asked = [backend.ask("agent.list") for _ in range(FEW - 1)]
        await h.driver.room()
        asked.append(backend.ask("agent.list"))
        assert h.driver.queues()["inbox"] == FEW
        await has_to_wait(h)
        await backend.answer(asked[-1])
        assert h.driver.queues()["inbox"] == 0


async def test_too_many_pages_being_read_make_readers_wait_as_well(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "INBOX_MAX", FEW)
    async with house() as h:
        sms, backend = await h.client("connector:sms"), await h.client("backend:crm")
        conversation = await h.receive(sms)
        h.store.hold_reads()
        for _ in range(FEW):
            await h.driver.room()
            backend.ask("conversation.get", conversation=conversation)
            await wait_all_tasks_blocked()
        await has_to_wait(h)

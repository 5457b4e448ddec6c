"""The driver while the store refuses: what is taken back, what waits, and how service resumes."""

from __future__ import annotations

import pytest
import trio
from driving import CONFIG, START, Client, SteeredStore, Tokens, house, message, until
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import core
from protocol.codec import convert
from protocol.errors import INTERNAL, REFUSED
from protocol.session import Limits
from protocol.settings import WorkspaceSettings
from router import driver
from router.clock import Clock
from router.driver import PROBE_S, Driver

pytestmark = pytest.mark.timeout(30)


@pytest.mark.parametrize("ahead", [1, 64])
async def test_a_refused_commit_refuses_its_changes_and_those_behind_it(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    monkeypatch.setattr(driver, "AHEAD_MIN", ahead)
    async with house() as h:
        sms, backend = await h.client("connector:sms"), await h.client("backend:crm")
        h.store.hold_commits()
        h.store.refuses_commits = True
        changes = [sms.ask("connector.receive", message(1))]
        await h.store.until(lambda store: store.committing == 1)
        changes += [sms.ask("connector.receive", message(number)) for number in (2, 3)]
        read = backend.ask("agent.list")
        change = backend.ask("agent.put", agent={"id": "bo"})
        await wait_all_tasks_blocked()
        h.store.let_go()
        for refusal in [*[await sms.refused(ident) for ident in changes], await backend.refused(change)]:
            assert (refusal["reason"], refusal["retry"]) == ("storage_unavailable", True)
            assert refusal["retry_after_s"] == PROBE_S
        assert [agent["id"] for agent in (await backend.answer(read))["result"]["agents"]] == ["ana"]
        assert not h.driver.available
        await h.quiet()
        assert h.equals_its_store()


async def test_reads_go_on_during_an_outage_and_changes_are_refused_at_once(mock_clock: MockClock) -> None:
    async with house() as h:
        sms, backend = await h.client("connector:sms"), await h.client("backend:crm")
        conversation = await h.receive(sms)
        h.store.refuses_commits = True
        await backend.refused(backend.ask("agent.put", agent={"id": "bo"}))
        page = await backend.say("conversation.get", conversation=conversation)
        assert [entry["type"] for entry in page["entries"]] == ["created", "message", "queued"]
        tries = len(h.store.tried)
        await backend.refused(backend.ask("agent.put", agent={"id": "bo"}))
        assert len(h.store.tried) == tries


async def test_service_resumes_by_itself(mock_clock: MockClock) -> None:
    async with house() as h:
        backend = await h.client("backend:crm")
        h.store.refuses_commits = True
        await backend.refused(backend.ask("agent.put", agent={"id": "bo"}))
        for tries in range(len(h.store.tried), len(h.store.tried) + 3):  # it goes on trying
            await h.probing()
            mock_clock.jump(PROBE_S)
            await h.store.until(lambda store, tries=tries: len(store.tried) > tries)
            assert not h.driver.available
        await h.recover(mock_clock)
        assert (await backend.say("agent.put", agent={"id": "bo"}))["id"] == "bo"


async def test_deadlines_wait_for_the_end_of_an_outage_and_then_fire_once(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        conversation = await h.receive(sms)
        snooze = {"conversation": conversation, "for": "10s"}
        until = (await ana.say("conversation.snooze", snooze))["conversation"]["snoozed_until"]
        h.store.refuses_commits = True
        await sms.refused(sms.ask("connector.receive", message(2)))
        before = len(h.store.tried)
        await wait_all_tasks_blocked()
        mock_clock.jump(11)
        await sms.refused(sms.ask("connector.receive", message(2)))  # the driver has stepped since
        await h.quiet()
        assert not any(batch.entries for batch in h.store.tried[before:])  # nothing was even tried but the probe
        await h.recover(mock_clock)
        await ana.until(
            lambda: any(entry["type"] == "assigned" and entry["reason"] == "woke" for entry in ana.entries())
        )
        backend = await h.client("backend:crm")
        entries = (await backend.say("conversation.get", conversation=conversation))["entries"]
        assert [entry["at"] for entry in entries if entry["type"] == "woke"] == [until]


async def test_a_deadline_that_was_taken_back_fires_again(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        conversation = await h.receive(sms)
        await ana.say("conversation.snooze", {"conversation": conversation, "for": "10s"})
        h.store.refuses_commits = True
        await wait_all_tasks_blocked()
        mock_clock.jump(10.1)
        await until(lambda: not h.driver.available)
        await h.recover(mock_clock)
        await ana.until(lambda: "assigned" in [entry["type"] for entry in ana.entries()[2:]])
        page = await ana.say("conversation.get", conversation=conversation)
        assert [entry["type"] for entry in page["entries"]].count("woke") == 1


async def test_a_session_that_ends_during_an_outage_is_not_forgotten(mock_clock: MockClock) -> None:
    config = {**CONFIG, "services": [{**CONFIG["services"][0], "disconnect_grace": "5s"}]}
    async with house(config) as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        backend = await h.client("backend:crm")
        conversation = await h.receive(sms)
        h.store.refuses_commits = True
        await backend.refused(backend.ask("agent.put", agent={"id": "bo"}))
        ana.connection.lost()
        await backend.say("agent.list")
        await h.recover(mock_clock)
        await h.quiet()
        assert h.driver.core.house.agents["ana"].record.lost_at == START + 1000 * PROBE_S
        mock_clock.jump(5.1)
        await h.store.until(lambda store: any(r.entry.type == "unassigned" for b in store.batches for r in b.entries))
        page = await backend.say("conversation.get", conversation=conversation)
        assert page["conversation"]["queued"]
        assert (await backend.say("agent.get", agent="ana"))["availability"]["messaging"] == "red"


async def test_a_keyed_request_that_was_refused_and_repeated_is_applied_once(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        conversation = await h.receive(sms)
        h.store.refuses_commits = True
        asked = {"conversation": conversation, "text": "Once", "key": "k1"}
        assert (await ana.refused(ana.ask("message.send", asked)))["reason"] == "storage_unavailable"
        await h.recover(mock_clock)
        first = await ana.say("message.send", asked)
        assert await ana.say("message.send", asked) == first
        page = await ana.say("conversation.get", conversation=conversation)
        assert [entry["seq"] for entry in page["entries"] if entry.get("text") == "Once"] == [first["entry"]["seq"]]
        assert [entry["text"] for entry in ana.entries() if entry["type"] == "message"] == ["Once"]


async def test_who_comes_during_an_outage_is_told_to_come_again(mock_clock: MockClock) -> None:
    async with house() as h:
        backend = await h.client("backend:crm")
        h.store.refuses_commits = True
        await backend.refused(backend.ask("agent.put", agent={"id": "bo"}))
        late = Client(h.driver, "agent:ana")
        refusal = await late.refused(late.ask("session.open", token="agent:ana"))
        assert (refusal["reason"], late.closed) == ("storage_unavailable", 1013)
        late.connection.lost()
        await h.recover(mock_clock)
        assert (await h.client("agent:ana")).closed is None
        assert h.driver.hub.statistics() == {"connections": 2, "principals": 2}


async def test_a_commit_refused_at_the_start_still_puts_the_agents_of_before_in_grace(mock_clock: MockClock) -> None:
    store = SteeredStore()
    async with house(store=store) as h:
        await h.ana()
    store.refuses_commits = True
    async with house(store=store) as h:
        assert not h.driver.available
        await h.recover(mock_clock)
        await h.quiet()
        agent = h.driver.core.house.agents["ana"].record
        assert (agent.live, agent.lost_at) == (False, START)
        assert h.equals_its_store()


async def test_a_token_expires_during_an_outage_as_well(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, backend = await h.client("agent:ana@5000"), await h.client("backend:crm")
        h.store.refuses_commits = True
        await backend.refused(backend.ask("agent.put", agent={"id": "bo"}))
        await h.quiet()
        mock_clock.jump(5.1)
        await ana.until(lambda: ana.closed is not None)
        assert ana.closed == 4002


@pytest.mark.parametrize("ahead", [1, 64])
async def test_what_the_store_cannot_take_is_refused_alone(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    monkeypatch.setattr(driver, "AHEAD_MIN", ahead)
    async with house() as h:
        sms = await h.client("connector:sms")
        h.store.hold_commits()
        first = sms.ask("connector.receive", message(1))
        await h.store.until(lambda store: store.committing == 1)
        h.store.poison = "Hello 3"
        others = [sms.ask("connector.receive", message(number)) for number in (2, 3, 4)]
        h.store.let_go()
        answers = [await sms.answer(ident) for ident in (first, *others)]
        assert [answer.get("error", {}).get("code") for answer in answers] == [None, None, INTERNAL, None]
        assert h.driver.available
        await h.quiet()
        assert h.equals_its_store()
        stored = [record.entry.text for batch in h.store.batches for record in batch.entries if record.entry.text]
        assert stored == ["Hello 1", "Hello 2", "Hello 4"]


async def test_if_the_store_goes_away_meanwhile_the_rest_is_refused_as_in_any_outage(mock_clock: MockClock) -> None:
    async with house() as h:
        sms = await h.client("connector:sms")
        h.store.poison, h.store.refuses_after_poison = "Hello 1", True
        asked = [sms.ask("connector.receive", message(number)) for number in (1, 2)]
        refusals = [await sms.refused(ident) for ident in asked]
        assert [refusal["reason"] for refusal in refusals] == ["storage_unavailable"] * 2
        assert not h.driver.available
        await h.recover(mock_clock)
        assert h.equals_its_store()


async def test_a_request_is_still_done_alone_after_many_deadlines(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "TIMERS_A_STEP", 2)
    async with house() as h:
        ana, sms = await h.ana(), await h.client("connector:sms")
        for number in range(1, 6):
            await ana.say("conversation.snooze", {"conversation": await h.receive(sms, number), "for": "10s"})
        h.store.poison = "Hello 11"
        h.store.hold_commits()
        asked = [sms.ask("connector.receive", message(11))]
        await h.store.until(lambda store: store.committing == 1)
        asked += [sms.ask("connector.receive", message(number)) for number in (12, 13)]
        await wait_all_tasks_blocked()
        mock_clock.jump(11)
        h.store.let_go()
        assert (await sms.answer(asked[0]))["error"]["code"] == INTERNAL
        for ident in asked[1:]:
            assert "result" in await sms.answer(ident)
        await h.quiet()
        assert h.equals_its_store()


async def test_a_row_that_cannot_be_read_refuses_only_who_asks_for_it(mock_clock: MockClock) -> None:
    async with house() as h:
        h.store.unreadable = "c9"
        backend = await h.client("backend:crm")
        asked = [backend.ask("conversation.get", conversation=name, limit=0) for name in ("c8", "c9", "c7")]
        answers = [await backend.answer(ident) for ident in asked]
        assert [answer["error"]["code"] for answer in answers] == [REFUSED, INTERNAL, REFUSED]
        assert [answer["error"]["data"].get("reason") for answer in answers] == ["not_found", None, "not_found"]
        assert h.driver.available


async def test_a_store_that_can_neither_be_read_nor_written_is_found_out_by_those_who_only_read(
    mock_clock: MockClock,
) -> None:
    """Every request of a connector needs an answer first: no commit was tried, and the server called itself ready."""
    async with house() as h:
        sms = await h.client("connector:sms")
        h.store.refuses_reads = h.store.refuses_commits = True
        assert (await sms.refused(sms.ask("connector.receive", message(1))))["reason"] == "storage_unavailable"
        await until(lambda: not h.driver.available)
        h.store.refuses_reads = False
        await h.recover(mock_clock)
        assert await h.receive(sms)
        assert h.equals_its_store()


async def test_a_store_that_cannot_be_read_but_takes_changes_is_not_given_up(mock_clock: MockClock) -> None:
    async with house() as h:
        sms, backend = await h.client("connector:sms"), await h.client("backend:crm")
        h.store.refuses_reads = True
        before = len(h.store.batches)
        for number in (1, 2):
            assert (await sms.refused(sms.ask("connector.receive", message(number))))["reason"] == "storage_unavailable"
            await h.store.until(lambda store, number=number: len(store.batches) == before + number)
            assert h.driver.available
        assert (await backend.say("agent.put", agent={"id": "bo"}))["id"] == "bo"


async def test_every_queue_of_the_driver_says_how_much_it_may_hold(mock_clock: MockClock) -> None:
    async with house() as h:
        sms = await h.client("connector:sms")
        h.store.hold_commits()
        asked = [sms.ask("connector.receive", message(number)) for number in range(1, 4)]
        await h.store.until(lambda store: store.committing == 1)
        await wait_all_tasks_blocked()
        queues = h.driver.queues()
        bounded = [name for name in queues if f"{name}_max" in queues]
        assert bounded == ["inbox", "under_way", "reads", "writer_queued", "reader_queued"]
        assert 0 < queues["under_way"] <= queues["under_way_max"]
        assert all(queues[name] <= queues[f"{name}_max"] for name in bounded)
        h.store.let_go()
        for ident in asked:
            assert "result" in await sms.answer(ident)


async def test_an_agent_whom_nobody_knows_does_no_harm_whatever_it_asks(mock_clock: MockClock) -> None:
    async with house() as h:
        ghost = Client(h.driver, "agent:ghost")
        opening = ghost.ask("session.open", token="agent:ghost")
        ghost.ask("conversation.list", status="closed")
        assert (await ghost.refused(opening))["reason"] == "not_found"
        assert (await h.client("backend:crm")).closed is None


# ---------------------------------------------------------------- a commit that hangs


async def hanging(store: SteeredStore, nursery: trio.Nursery) -> Driver:
    """A driver that runs in this nursery, whose commit hangs."""
    driver = Driver(convert(CONFIG, WorkspaceSettings), store, Tokens(), Limits(), Clock(lambda: START / 1000))
    await driver.start()
    await nursery.start(driver.run)
    await driver.settled()
    sms = Client(driver, "connector:sms")
    await sms.open()
    store.hold_commits()
    sms.ask("connector.receive", message(1))
    await store.until(lambda store: store.committing == 1)
    return driver


async def test_a_cancelled_driver_waits_for_a_commit_that_hangs(mock_clock: MockClock) -> None:
    store = SteeredStore()
    async with trio.open_nursery() as outer:
        inner = await outer.start(own_nursery)
        driver = await hanging(store, inner)
        commits = len(store.batches)
        inner.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        assert len(outer.child_tasks) == 1
        store.let_go()
    assert len(store.batches) == commits + 1
    await driver.close()


async def test_an_abandoned_one_waits_for_nothing_and_says_nothing_of_it(mock_clock: MockClock) -> None:
    store = SteeredStore()
    async with trio.open_nursery() as outer:
        inner = await outer.start(own_nursery)
        driver = await hanging(store, inner)
        inner.cancel_scope.cancel()
        await wait_all_tasks_blocked()
        driver.abandon()
    assert store.committing == 1
    with trio.CancelScope() as scope:
        scope.cancel()
        await driver.close()
    assert scope.cancelled_caught
    store.let_go()
    await store.until(lambda store: store.committing == 0)


async def test_a_driver_can_be_abandoned_while_it_closes(mock_clock: MockClock) -> None:
    store = SteeredStore()
    async with trio.open_nursery() as outer:
        inner = await outer.start(own_nursery)
        driver = await hanging(store, inner)
        inner.cancel_scope.cancel()
        outer.start_soon(driver.close)
        outer.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
        assert len(outer.child_tasks) == 2
        driver.abandon()
    assert store.committing == 1
    store.let_go()
    await store.until(lambda store: store.committing == 0)


async def own_nursery(task_status: trio.TaskStatus[trio.Nursery]) -> None:
    async with trio.open_nursery() as nursery:
        task_status.started(nursery)
        await trio.sleep_forever()

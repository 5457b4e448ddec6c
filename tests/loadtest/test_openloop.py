"""The open loop: what counts, and how the highest rate is found."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from bench.house import House, a_store, config
from loadtest.crowd import FIRST, Crowd, Heard, Ledger, number_of
from loadtest.openloop import Run, flood, framed, run, search
from loadtest.traffic import KINDS, Message


def heard(**message: Any) -> Heard:
    return msgspec.convert({"jsonrpc": "2.0", **message}, Heard)


def test_a_ledger_is_done_when_all_was_acknowledged_and_delivered() -> None:
    ledger = Ledger()
    one, two = ledger.ask(1.0), ledger.ask(2.0)
    ledger.acknowledge(one, 1.1)
    ledger.deliver(one, 1.2)
    ledger.acknowledge(two, 2.1)
    assert not ledger.is_done
    assert ledger.missing() == {"acknowledged, not delivered": 1}
    ledger.deliver(two, 2.2)
    assert ledger.is_done
    assert ledger.missing() == {}


def test_a_delivery_that_comes_twice_is_told() -> None:
    ledger = Ledger()
    number = ledger.ask(1.0)
    ledger.acknowledge(number, 1.0)
    ledger.deliver(number, 1.0)
    ledger.deliver(number, 1.0)
    assert ledger.missing() == {"delivered twice": 1}


def test_latency_counts_from_the_scheduled_moment() -> None:
    ledger = Ledger()
    number = ledger.ask(10.0)  # sent much later, for all the ledger knows
    ledger.acknowledge(number, 10.25)
    assert ledger.histogram().get_max_value() == pytest.approx(250_000, rel=0.001)


def test_notices_say_which_request_they_deliver() -> None:
    message = heard(method="conversation.entry", params={"entry": {"type": "message", "text": "17 Hello"}})
    begun = heard(method="conversation.assigned", params={"conversation": {"id": "c1", "contact": {"name": "18"}}})
    other = heard(method="conversation.entry", params={"entry": {"type": "assigned"}})
    typing = heard(method="presence.changed", params={"conversation": "c1"})
    assert [number_of(notice) for notice in (message, begun, other, typing)] == [17, 18, None, None]


def test_each_kind_of_traffic_makes_requests_with_their_number() -> None:
    message = Message()
    message._heads = [b'{"jsonrpc":"2.0","id":%d,"method":"message.send","params":{"conversation":"c1","text":"']
    for traffic in (message, KINDS["receive"](), KINDS["start"]()):
        [one, two] = json.loads(framed(traffic, [3, 4]))
        assert (one["id"], two["id"]) == (3 + FIRST, 4 + FIRST)
        assert one["params"]["text"].startswith("3 ")
        assert json.loads(framed(traffic, [3])) == one


def outcome(rate: float, limit: float) -> Run:
    ledger = Ledger()
    missing = {} if rate <= limit else {"not acknowledged": 1}
    return Run(rate, 1.0, 1, {}, missing, 1.0, 0.0, ledger.histogram(), ledger.histogram())


@pytest.mark.parametrize("first", [10.0, 700.0, 50_000.0])
def test_the_search_finds_the_highest_rate_that_is_sustained(first: float) -> None:
    async def attempt(rate: float) -> Run:
        return outcome(rate, limit=1_234.0)

    found, tried = asyncio.run(search(attempt, first, within=0.02))
    assert 1_234 * 0.98 <= found <= 1_234
    assert any(not one.is_sustained for one in tried)


def test_the_search_tries_a_rate_again_that_failed_once() -> None:
    failed: list[float] = []

    async def attempt(rate: float) -> Run:
        hiccup = rate not in failed
        failed.append(rate)
        return outcome(rate, 0.0 if hiccup else 1_000.0)

    found, _ = asyncio.run(search(attempt, 800.0, within=0.1))
    assert found >= 900.0


def test_a_small_open_loop_against_a_server_delivers_all_that_it_acknowledged() -> None:
    async def play(house: House) -> Run:
        crowd, traffic = Crowd(house), Message(10)
        await crowd.come(2, 3, traffic.role)
        await traffic.prepare(crowd)
        crowd.count()
        assert await flood(crowd, traffic, 30, frame=8) > 0
        found = await run(crowd, traffic, 100.0, 0.4, frame=2, kind="fixed", drain_s=60.0)
        crowd.leave()
        return found

    with a_store("sqlite") as url, House(config(2), url) as house:
        found = asyncio.run(play(house))
    assert found.sent == 40
    assert found.is_sustained, found.missing
    assert found.acknowledged.get_total_count() == found.delivered.get_total_count() == 40

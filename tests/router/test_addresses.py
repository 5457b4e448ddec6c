"""What one remote address may take, in virtual time; addresses are given, as a socket would tell them."""

from ipaddress import ip_address
from typing import Any

import pytest
from network import OPEN, Peer, head, house, masked, until
from trio.testing import MockClock, memory_stream_pair

from protocol.session import Limits
from router.addresses import FLOOD_FAULTS, SPARE_MAX, Addresses, Visit, _address
from router.head import RefusedError

OURS = ip_address("192.0.2.1")
FEW = Limits(address_connections=2, address_connections_per_s=1, address_faults=3)


def visit(addresses: Addresses, text: str = "192.0.2.1") -> Visit:
    return Visit(addresses, ip_address(text))


def why(visit: Visit) -> str:
    """The refusal of an upgrade, or nothing."""
    try:
        visit.check()
    except RefusedError as refused:
        return refused.why
    return ""


async def test_an_address_may_have_so_many_connections_and_one_that_goes_makes_room(mock_clock: MockClock) -> None:
    addresses = Addresses(FEW)
    visits = [visit(addresses) for _ in range(2)]
    assert [why(each) for each in visits] == ["", ""]
    mock_clock.jump(2)
    third = visit(addresses)
    assert (why(third), why(visit(addresses, "192.0.2.2"))) == ("crowded", "")
    with third, visits[0]:
        pass
    assert why(visit(addresses)) == ""


async def test_far_too_many_are_not_even_answered(mock_clock: MockClock) -> None:
    addresses = Addresses(Limits(address_connections=2, address_connections_per_s=100))
    visits = []
    for _ in range(2 + SPARE_MAX + 1):
        mock_clock.jump(1)
        assert addresses.is_overrun(OURS) is (len(visits) == 2 + SPARE_MAX)
        visits.append(visit(addresses))


async def test_whoever_comes_and_goes_too_fast_is_not_answered_until_it_slows_down(mock_clock: MockClock) -> None:
    addresses = Addresses(FEW)
    for _ in range(2 + SPARE_MAX):
        assert not addresses.is_overrun(OURS)
        with visit(addresses):
            pass
    assert addresses.is_overrun(OURS)
    assert not addresses.is_overrun(ip_address("192.0.2.2"))
    mock_clock.jump(1)
    assert not addresses.is_overrun(OURS)


async def test_faults_bar_an_address_for_a_while_and_nobody_else(mock_clock: MockClock) -> None:
    addresses = Addresses(FEW)
    bad = visit(addresses)
    bad.fault(2)
    assert why(bad) == ""
    bad.fault()
    assert (why(bad), why(visit(addresses, "192.0.2.2"))) == ("barred", "")
    assert addresses.statistics() == {"known": 2, "barred": 1}
    mock_clock.jump(20)  # three a minute
    assert why(bad) == ""


async def test_more_faults_do_not_bar_it_longer_than_the_minute(mock_clock: MockClock) -> None:
    addresses = Addresses(FEW)
    bad = visit(addresses)
    bad.fault(FLOOD_FAULTS * 5)
    mock_clock.jump(20)
    assert why(bad) == ""


async def test_leaving_and_coming_back_gains_nothing(mock_clock: MockClock) -> None:
    addresses = Addresses(FEW)
    with visit(addresses) as bad:
        bad.fault(3)
        [bucket] = bad.requests
    for index in range(5_000):  # many others come and go, so that who is gone is swept out
        with visit(addresses, f"10.0.{index // 250}.{index % 250}"):
            mock_clock.jump(0.002)
    again = visit(addresses)
    assert again.requests == (bucket,)
    assert why(again) == "barred"


async def test_who_is_gone_and_owes_nothing_is_forgotten(mock_clock: MockClock) -> None:
    addresses = Addresses(FEW)
    stays = visit(addresses, "192.0.2.9")
    for index in range(20_000):
        with visit(addresses, f"10.{index // 62_500}.{index // 250 % 250}.{index % 250}"):
            mock_clock.jump(1)
    assert addresses.statistics()["known"] < 2_500
    assert visit(addresses, "192.0.2.9").requests == stays.requests


async def test_a_network_of_ipv6_counts_as_one(mock_clock: MockClock) -> None:
    addresses = Addresses(FEW)
    one, two, other = (visit(addresses, text) for text in ("2001:db8::1", "2001:db8::2:3:4", "2001:db8:0:1::1"))
    assert one.requests == two.requests != other.requests


# ---------------------------------------------------------------- proxies


async def test_a_proxy_is_not_counted_and_names_whom_to_count(mock_clock: MockClock) -> None:
    addresses = Addresses(FEW, ["10.0.0.0/8", "::1"])
    for _ in range(50):
        silent = visit(addresses, "10.1.2.3")
        assert (why(silent), silent.requests) == ("", ())
    assert not addresses.is_overrun(ip_address("10.1.2.3"))
    through, direct = visit(addresses, "10.1.2.3"), visit(addresses, "192.0.2.1")
    through.forwarded(["192.0.2.1"])
    assert through.requests == direct.requests != ()
    third = visit(addresses, "::1")
    mock_clock.jump(1)
    third.forwarded(["192.0.2.1"])
    assert why(third) == "crowded"


@pytest.mark.parametrize(
    ("names", "counted"),
    [
        (["192.0.2.1"], True),
        (["203.0.113.9", "192.0.2.1"], True),  # what the peer itself wrote stands in front
        (["192.0.2.1", "10.9.9.9"], True),  # a chain of our proxies
        (["192.0.2.1:5000"], True),
        (["::ffff:192.0.2.1"], True),
        (["192.0.2.1", "nonsense"], False),
        (["10.0.0.1"], False),
        ([], False),
    ],
)
async def test_the_last_name_that_is_no_proxy_counts(names: list[str], counted: bool) -> None:
    addresses = Addresses(FEW, ["10.0.0.0/8"])
    through, direct = visit(addresses, "10.1.2.3"), visit(addresses, "192.0.2.1")
    through.forwarded(names)
    assert (through.requests == direct.requests) is counted


async def test_nobody_else_is_believed() -> None:
    addresses = Addresses(FEW, ["10.0.0.0/8"])
    liar, other = visit(addresses, "192.0.2.1"), visit(addresses, "192.0.2.2")
    before = liar.requests
    liar.forwarded(["192.0.2.2"])
    assert liar.requests == before != other.requests


@pytest.mark.parametrize(
    ("text", "address"),
    [("[2001:db8::1]:80", "2001:db8::1"), ("fe80::1%eth0", "fe80::1"), (" 192.0.2.1 ", "192.0.2.1"), ("x", None)],
)
def test_addresses_are_read_as_proxies_write_them(text: str, address: str | None) -> None:
    assert _address(text) == (ip_address(address) if address else None)


async def test_a_stream_without_an_address_is_not_counted() -> None:
    with Addresses(FEW).visit(memory_stream_pair()[0]) as each:
        assert (each.requests, why(each)) == ((), "")
    assert not Addresses(FEW).turns_away(memory_stream_pair()[0])


# ---------------------------------------------------------------- through the port


async def answer_to(built: Any, *lines: str) -> tuple[bytes, Peer]:
    peer = await built.plain()
    await peer.send(head(*lines))
    return await peer.response_head(), peer


async def test_an_upgrade_too_many_gets_503_pages_are_answered_and_others_are_served() -> None:
    async with house(Limits(address_connections=2)) as built:
        good = await (await built.raw()).opened()
        _, second = await answer_to(built)
        answer, _ = await answer_to(built)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 30\r\n" in answer
        page = await built.plain()
        await page.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await page.everything()).startswith(b"HTTP/1.1 200 ")
        await second.stream.aclose()
        await until(lambda: len(built.desk.connections) == 1)
        await good.works()
        assert b'refused_total{reason="crowded"} 1.0' in built.metrics.text()


async def test_an_address_whose_tokens_fail_gets_429_and_open_sessions_go_on() -> None:
    async with house(Limits(address_faults=2)) as built:
        good = await (await built.raw()).opened()
        for _ in range(2):
            bad = await built.raw()
            await bad.send(masked(OPEN.replace(b"ana", b"bad")))
            await bad.frame()
            assert await bad.close_code() == 4001
        await until(lambda: len(built.desk.connections) == 1)
        answer, _ = await answer_to(built)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"Retry-After: 60\r\n" in answer
        await good.works()


async def test_behind_a_proxy_each_client_has_its_own_limits() -> None:
    limits = Limits(address_connections=1)
    async with house(limits, addresses=Addresses(limits, ["127.0.0.1"])) as built:
        names = ("192.0.2.1", "192.0.2.1, 192.0.2.2", "192.0.2.1")
        named = [await answer_to(built, f"X-Forwarded-For: {name}") for name in names]  # they stay
        assert [each[9:12] for each, _ in named] == [b"101", b"101", b"503"]
        unnamed = [await answer_to(built) for _ in range(3)]
        assert [each[9:12] for each, _ in unnamed] == [b"101"] * 3


async def test_the_requests_of_one_address_share_a_bucket() -> None:
    async with house(Limits(address_requests_per_s=1, address_requests_burst=4)) as built:
        one, two = await (await built.raw()).opened(), await (await built.raw()).opened()
        ask = b'{"jsonrpc":"2.0","id":2,"method":"agent.list"}'
        await one.send(masked(ask) * 2)
        assert ["result" in await one.json() for _ in range(2)] == [True, True]
        await two.send(masked(ask))
        refusal = (await two.json())["error"]["data"]
        assert refusal["reason"] == "rate_limited"
        assert 0 < refusal["retry_after_s"] <= 1


async def test_who_comes_too_fast_is_closed_at_once_and_others_are_served() -> None:
    limits = Limits(address_connections=2, address_connections_per_s=1)
    async with house(limits) as built:
        good = await (await built.raw()).opened()
        for _ in range(1 + SPARE_MAX):
            await (await built.plain()).stream.aclose()
        assert await (await built.plain()).everything() == b""
        await good.works()
        assert b'refused_total{reason="overload"}' in built.metrics.text()

"""Tokens that are taken back: sessions end at once, and it holds after a restart. Virtual time, a real store."""

from __future__ import annotations

import pytest
from driving import START, Client, House, SteeredStore, Tokens, house
from trio.testing import MockClock, wait_all_tasks_blocked

from protocol.errors import RequestError, refused
from protocol.ids import Principal
from protocol.records import RevocationRecord, RevokedAt
from router import revocation

pytestmark = pytest.mark.timeout(30)

IN_BETWEEN = "2026-01-05T09:00:00.050Z"  # 50 ms after START


async def revoke(h: House, **params: str) -> dict[str, str]:
    shop = await h.client("backend:shop")
    result: dict[str, str] = await shop.say("session.revoke", {"role": "agent", "sub": "ana", **params})
    shop.connection.lost()
    return result


async def opens(h: House, token: str) -> bool:
    """Whether this token opens a session."""
    client = Client(h.driver, token)
    answer = await client.answer(client.ask("session.open", token=token))
    if "result" in answer:
        client.connection.lost()
        return True
    assert (answer["error"]["data"]["reason"], client.closed) == ("unauthenticated", 4001)
    return False


async def test_all_sessions_of_a_principal_end_at_once_and_nobody_elses(mock_clock: MockClock) -> None:
    async with house() as h:
        anas = [await h.client("agent:ana#0"), await h.client("agent:ana")]
        others = [await h.client("contact:ana"), await h.client("backend:ana")]
        mock_clock.jump(0.1)
        assert await revoke(h) == {"before": "2026-01-05T09:00:00.100Z"}
        assert [ana.closed for ana in anas] == [4001, 4001]
        assert [other.closed for other in others] == [None, None]
        await others[1].say("agent.list")


async def test_tokens_of_before_are_refused_and_later_ones_are_not(mock_clock: MockClock) -> None:
    async with house() as h:
        mock_clock.jump(0.1)
        assert await opens(h, "agent:ana#99")
        await revoke(h)
        assert [await opens(h, f"agent:ana#{made}") for made in (99, 100, 5_000)] == [False, True, True]
        assert not await opens(h, "agent:ana")  # it does not say when it was made
        assert await opens(h, "contact:ana#0")


async def test_it_holds_after_a_restart(mock_clock: MockClock) -> None:
    store = SteeredStore()
    async with house(store=store) as h:
        mock_clock.jump(0.1)
        await revoke(h)
    async with house(store=store) as h:
        assert [await opens(h, f"agent:ana#{made}") for made in (99, 100)] == [False, True]


async def test_a_moment_may_be_given_and_then_only_older_sessions_end(mock_clock: MockClock) -> None:
    async with house() as h:
        mock_clock.jump(0.1)
        old, new = await h.client("agent:ana#10"), await h.client("agent:ana#90")
        assert await revoke(h, before=IN_BETWEEN) == {"before": IN_BETWEEN}
        assert (old.closed, new.closed) == (4001, None)
        assert [await opens(h, f"agent:ana#{made}") for made in (49, 50)] == [False, True]


async def test_a_later_moment_is_never_taken_back_by_an_earlier_one(mock_clock: MockClock) -> None:
    async with house() as h:
        mock_clock.jump(0.1)
        await revoke(h)
        assert await revoke(h, before=IN_BETWEEN) == {"before": "2026-01-05T09:00:00.100Z"}
        assert not await opens(h, "agent:ana#60")


async def test_a_moment_in_the_future_is_refused(mock_clock: MockClock) -> None:
    async with house() as h:
        shop = await h.client("backend:shop")
        data = await shop.refused(shop.ask("session.revoke", role="agent", sub="ana", before="2026-01-05T09:00:01Z"))
        assert data["field"] == "before"
        assert await opens(h, "agent:ana#0")


async def test_repeating_it_with_its_key_ends_nobody_who_has_come_back_meanwhile(mock_clock: MockClock) -> None:
    async with house() as h:
        mock_clock.jump(0.1)
        first = await revoke(h, key="k1")
        mock_clock.jump(1)
        ana = await h.client("agent:ana#1000")
        assert await revoke(h, key="k1") == first
        assert ana.closed is None
        shop = await h.client("backend:shop")
        data = await shop.refused(shop.ask("session.revoke", role="agent", sub="bo", key="k1"))
        assert data["reason"] == "conflict"


@pytest.mark.parametrize("token", ["agent:ana", "contact:nia", "connector:sms"])
async def test_only_a_backend_may(mock_clock: MockClock, token: str) -> None:
    async with house() as h:
        client, other = await h.client(token), await h.client("backend:shop")
        data = await client.refused(client.ask("session.revoke", role="backend", sub="shop"))
        assert data["reason"] == "forbidden"
        assert other.closed is None


async def test_a_backend_may_end_itself_and_is_told_first(mock_clock: MockClock) -> None:
    async with house() as h:
        shop = await h.client("backend:shop")
        assert await shop.say("session.revoke", role="backend", sub="shop")
        await h.quiet()
        assert shop.closed == 4001


async def test_what_the_store_does_not_take_has_not_happened(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, shop = await h.client("agent:ana#0"), await h.client("backend:shop")
        h.store.refuses_commits = True
        data = await shop.refused(shop.ask("session.revoke", role="agent", sub="ana"))
        assert (data["reason"], data["retry"], ana.closed) == ("storage_unavailable", True, None)
        h.store.refuses_commits = False
        assert await opens(h, "agent:ana#0")


async def test_a_refresh_with_a_revoked_token_is_refused(mock_clock: MockClock) -> None:
    async with house() as h:
        mock_clock.jump(0.1)
        await revoke(h)
        ana = await h.client("agent:ana#100")
        data = await ana.refused(ana.ask("session.refresh", token="agent:ana#0"))
        assert (data["reason"], ana.closed) == ("unauthenticated", None)


async def test_there_is_room_for_so_many_and_the_oldest_make_way_after_a_year(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocation, "REVOKED_MAX", 2)
    async with house() as h:
        for sub in ("a", "b", "a"):
            await revoke(h, sub=sub)
        shop = await h.client("backend:shop")
        data = await shop.refused(shop.ask("session.revoke", role="agent", sub="c"))
        assert (data["reason"], data["limit"]) == ("too_large", 2)
        assert not await opens(h, "agent:a")
        mock_clock.jump(revocation.KEPT_MS / 1000 + 1)
        await revoke(h, sub="c")
        assert not await opens(h, "agent:c")
        [left] = h.store.read([RevokedAt(h.driver.now())])
        assert [record.address for record in left] == ["agent:c"]


async def test_it_is_forgotten_when_no_token_of_before_can_be_left(mock_clock: MockClock) -> None:
    store = SteeredStore()
    async with house(store=store) as h:
        await revoke(h)
        [[kept]] = store.read([RevokedAt(START)])
    assert kept == RevocationRecord("agent:ana", START, START + revocation.KEPT_MS)
    mock_clock.jump(revocation.KEPT_MS / 1000 - 1)
    async with house(store=store) as h:
        assert not await opens(h, "agent:ana")
    mock_clock.jump(1)
    async with house(store=store) as h:
        assert await opens(h, "agent:ana")


async def test_where_tokens_need_no_end_it_is_never_forgotten(
    mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tokens, "tokens_end", False)
    async with house() as h:
        await revoke(h)
        assert h.store.read([RevokedAt(2**53)]) == [(RevocationRecord("agent:ana", START, None),)]


async def test_one_that_opens_while_it_is_revoked_does_not_slip_through(mock_clock: MockClock) -> None:
    async with house() as h:
        mock_clock.jump(0.1)
        shop, ana = await h.client("backend:shop"), Client(h.driver, "agent:ana#0")
        h.store.hold_commits()
        asked = shop.ask("session.revoke", role="agent", sub="ana")
        await h.store.until(lambda store: store.committing == 1)
        ana.ask("session.open", token="agent:ana#0")  # verified before the commit
        await wait_all_tasks_blocked()
        h.store.let_go()
        await shop.answer(asked)
        await ana.until(lambda: ana.closed is not None)
        assert ana.closed == 4001


async def test_a_request_without_an_id_is_done_and_not_answered(mock_clock: MockClock) -> None:
    async with house() as h:
        ana, shop = await h.client("agent:ana#0"), await h.client("backend:shop")
        before = len(shop.heard)
        shop.connection.receive(b'{"jsonrpc":"2.0","method":"session.revoke","params":{"role":"agent","sub":"ana"}}')
        await ana.until(lambda: ana.closed is not None)
        assert (ana.closed, len(shop.heard)) == (4001, before)


# ---------------------------------------------------------------- keys that change


class Strict:
    """A gate that has lost the key of these."""

    tokens_end = True

    def __init__(self, *lost: str) -> None:
        self.lost = lost

    def issued_at(self, token: str) -> int | None:
        return None

    def verify(self, token: str, now_ms: int) -> tuple[Principal, int | None]:
        if token in self.lost:
            raise refused("unauthenticated")
        return Principal("agent", "ana"), None


async def test_sessions_whose_key_is_gone_end_when_keys_are_read_again(mock_clock: MockClock) -> None:
    async with house() as h:
        old, new = await h.client("agent:ana"), await h.client("agent:ana#5")
        h.driver.rekey(Strict("agent:ana"))
        assert await h.driver.recheck() == 1
        assert (old.closed, new.closed) == (4001, None)
        with pytest.raises(RequestError):
            h.driver.verify("agent:ana")


async def test_a_session_is_kept_by_the_token_it_was_refreshed_with(mock_clock: MockClock) -> None:
    async with house() as h:
        ana = await h.client("agent:ana")
        await ana.say("session.refresh", token="agent:ana#5")
        h.driver.rekey(Strict("agent:ana"))
        assert await h.driver.recheck() == 0
        assert ana.closed is None


async def test_a_session_whose_token_expires_at_this_very_tick_is_over(mock_clock: MockClock) -> None:
    async with house() as h:
        ana = await h.client("agent:ana@5000")
        mock_clock.jump(4.999)
        await h.quiet()
        assert ana.closed is None
        mock_clock.jump(0.002)  # the clock's ticks are whole milliseconds
        await ana.until(lambda: ana.closed is not None)
        assert (ana.closed, h.driver.now()) == (4002, START + 5_001)

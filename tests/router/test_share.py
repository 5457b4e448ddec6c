"""Bounds on what several sessions leave unread together."""

import trio
from network import Peer, house, until

from protocol.session import Limits
from router.share import Share, Shares


class Held:
    def __init__(self, held: int) -> None:
        self.held = held
        self.ended = False

    def overflow(self) -> None:
        self.ended = True


def test_the_one_that_holds_most_is_let_go():
    share = Share(100)
    few, most, some = Held(10), Held(70), Held(30)
    share.holders.update((few, most, some))
    share.relieve()
    assert [each.ended for each in (few, most, some)] == [False, True, False]


def test_a_share_is_there_as_long_as_it_has_a_holder():
    shares = Shares(100)
    share = shares.of("agent:ana")
    share.holders.add(Held(0))
    share.bytes = 7
    shares.sweep("agent:ana")
    assert shares.of("agent:ana") is share
    assert shares.statistics() == {"shares": 1, "outgoing_bytes": 7}
    share.holders.clear()
    shares.sweep("agent:ana")
    shares.sweep("agent:ana")
    assert shares.statistics() == {"shares": 0, "outgoing_bytes": 0}


async def deaf_and_hearing(limits: Limits) -> None:
    """Two sessions of one agent, one of them deaf: it is ended at a bound that is not its own."""
    async with house(limits) as built:
        deaf, hearing = await (await built.raw()).opened(), await (await built.raw()).opened()
        with trio.fail_after(10):
            while not built.metrics.slow_consumers:
                built.desk.tell_all(b'"%s"' % (b"a" * 50_000))
                assert (await hearing.frame())[0] == 0x81
        assert await deaf.close_code() == 4008
        await hearing.works()
        await deaf.stream.aclose()
        await until(lambda: len(built.desk.connections) == 1)
        assert built.front.statistics()["outgoing_bytes"] == 0
        await hearing.stream.aclose()
        await until(lambda: built.front.statistics() == {"beating": 0, "shares": 0, "outgoing_bytes": 0})


async def test_sessions_of_one_principal_share_a_bound():
    await deaf_and_hearing(Limits(principal_outbox_bytes=200_000))


async def test_sessions_of_one_address_share_a_bound():
    await deaf_and_hearing(Limits(address_outbox_bytes=200_000))


async def test_who_has_a_share_of_its_own_is_not_ended_for_others():
    async with house(Limits(principal_outbox_bytes=200_000)) as built:
        deaf = await (await built.raw()).opened()
        other: Peer = await built.raw()
        await other.opened(b"bea")
        while not built.metrics.slow_consumers:
            built.desk.tell_all(b'"%s"' % (b"a" * 50_000))
            assert (await other.frame())[0] == 0x81
        assert await deaf.close_code() == 4008
        await other.works()

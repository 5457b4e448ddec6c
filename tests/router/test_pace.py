"""How fast a peer is read, in virtual time."""

import trio
from network import Peer, build, masked
from trio.testing import MockClock

from protocol.bucket import Bucket
from protocol.session import Limits
from router.pace import AHEAD, Pace, frames

LIMITS = Limits(
    bytes_per_s=1_000, frame_bytes=1_000, requests_per_s=5, requests_burst=10, trusted_requests_per_s=1_000
)  # so 10 frames a second, and 20 at once


async def test_bytes_are_read_at_their_rate_after_a_burst(autojump_clock: MockClock) -> None:
    pace = Pace(LIMITS)
    started = trio.current_time()
    await pace.bytes(1_000)
    assert trio.current_time() == started
    await pace.bytes(500)
    await pace.bytes(500)
    assert 0.99 < trio.current_time() - started < 1.01


async def test_one_whole_frame_is_read_at_once_however_slow_the_rate(autojump_clock: MockClock) -> None:
    pace = Pace(Limits(bytes_per_s=10, frame_bytes=1_000))
    started = trio.current_time()
    await pace.bytes(1_000)
    assert trio.current_time() == started


async def test_what_is_shared_is_paid_for_by_all_but_whom_we_trust(autojump_clock: MockClock) -> None:
    shared = (Bucket(100, 100, 0), frames(5, 10, 0))
    one, two, trusted = (Pace(Limits(), shared) for _ in range(3))
    trusted.trust("connector")
    started = trio.current_time()
    await one.bytes(100)
    await one.frame(20)
    assert trio.current_time() == started
    await trusted.bytes(1_000)
    await trusted.frame(1_000)
    assert trio.current_time() == started
    await two.bytes(50)
    assert 0.49 < trio.current_time() - started < 0.51
    await two.frame(10 * AHEAD)
    assert 1.9 < trio.current_time() - started < 2.1


async def test_frames_are_read_at_the_rate_of_requests(autojump_clock: MockClock) -> None:
    pace = Pace(LIMITS)
    started = trio.current_time()
    for _ in range(120):
        await pace.frame()
    assert 9.9 < trio.current_time() - started < 10.1


async def test_whom_we_trust_is_read_faster(autojump_clock: MockClock) -> None:
    pace = Pace(LIMITS)
    pace.trust("backend")
    started = trio.current_time()
    for _ in range(10_000):
        await pace.frame()
    await pace.bytes(10_000_000)
    assert trio.current_time() == started


async def test_a_flood_of_pings_is_answered_at_that_rate_and_requests_behind_it_wait(autojump_clock: MockClock) -> None:
    built = build(LIMITS, heartbeat_s=1_000)
    here, there = built.in_memory()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(built.serve, there)
        await here.upgrade()
        await here.opened()
        started = trio.current_time()
        await here.send(masked(b"", 0x89) * 120)
        pongs = [await here.frame() for _ in range(120)]
        assert pongs == [(0x8A, b"")] * 120
        assert 9.9 < trio.current_time() - started < 10.2
        await here.works()
        nursery.cancel_scope.cancel()


async def test_a_flood_of_fragments_and_pongs_is_read_at_that_rate(autojump_clock: MockClock) -> None:
    built = build(LIMITS, heartbeat_s=1_000)
    here, there = built.in_memory()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(built.serve, there)
        await here.upgrade()
        await here.opened()
        started = trio.current_time()
        await here.send(masked(b"", 0x8A) * 60 + masked(b"", 0x01) + masked(b"", 0x00) * 59)
        await here.send(masked(b'{"jsonrpc":"2.0","id":2,"method":"agent.list"}', 0x80))
        assert (await here.json())["id"] == 2
        assert 9.9 < trio.current_time() - started < 10.2
        nursery.cancel_scope.cancel()


async def test_a_large_message_is_taken_but_not_many_at_once(autojump_clock: MockClock) -> None:
    built = build(Limits(bytes_per_s=10_000, frame_bytes=110_000), heartbeat_s=1_000)
    here, there = built.in_memory()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(built.serve, there)
        await here.upgrade()
        await here.opened()
        started = trio.current_time()
        large = b'{"jsonrpc":"2.0","id":2,"method":"agent.list"}' + b" " * 100_000
        nursery.start_soon(send, here, masked(large) * 3)
        for _ in range(3):
            assert (await here.json())["id"] == 2
        assert 18 < trio.current_time() - started < 31
        nursery.cancel_scope.cancel()


async def send(peer: Peer, data: bytes) -> None:
    await peer.send(data)

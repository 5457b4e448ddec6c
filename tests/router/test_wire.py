import struct
from contextlib import asynccontextmanager

import pytest
import trio
from network import Peer
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked

from router.metrics import Metrics
from router.wire import BINARY, TEXT, Wire, close_frame, frame, part, whole_frame


async def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Both ends of a TCP connection with small buffers."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    listener = listeners[0]
    listener.socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_SNDBUF, 4_096)
    client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    server = await listener.accept()
    await listener.aclose()
    return client, server


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 100_000])
async def test_frames_read_back_as_what_was_sent(size):
    here, there = memory_stream_pair()
    await here.send_all(b"".join(frame(TEXT, b"a" * size)))
    assert await Peer(there).frame() == (TEXT, b"a" * size)


def test_a_frame_that_many_get_is_made_once():
    words, others = b"words for many", b"words for some"
    assert whole_frame(TEXT, words) is whole_frame(TEXT, words)
    for opcode, payload in ((TEXT, words), (BINARY, words), (BINARY, others), (TEXT, words)):
        assert whole_frame(opcode, payload) == b"".join(frame(opcode, payload))


def test_a_close_reason_is_cut_between_characters():
    data = close_frame(4008, "ä" * 100)
    assert len(data) <= 127
    assert data[:4] == b"\x88" + bytes([len(data) - 2]) + struct.pack("!H", 4008)
    assert data[4:].decode() == "ä" * 61


@asynccontextmanager
async def started(stream):
    """A wire, until it ends or the test does."""
    wire = Wire(stream, Metrics())
    async with trio.open_nursery() as nursery:
        wire.start(nursery.start_soon, lambda: None, nursery.cancel_scope.cancel)
        yield wire
        nursery.cancel_scope.cancel()


async def test_a_cancelled_write_tears_the_wire_and_the_peer_sees_a_reset():
    client, server = await socket_pair()
    async with started(server) as wire:
        wire.write(b"".join(frame(TEXT, bytes(20_000_000))))
        assert wire.is_writing
    assert wire.torn
    sent = wire._metrics.bytes_sent
    wire.write(b"".join(frame(TEXT, b"{}")))
    assert wire._metrics.bytes_sent == sent
    await wire.farewell(5)
    with pytest.raises(trio.BrokenResourceError):
        await Peer(client).everything()


async def test_a_whole_write_leaves_the_wire_whole():
    client, server = await socket_pair()
    async with started(server) as wire:
        wire.write(b"".join(frame(TEXT, b"{}")))
    assert not wire.torn
    await wire.farewell(5)
    assert await Peer(client).everything() == b"\x81\x02{}"


async def test_nothing_follows_a_close_frame():
    client, server = await socket_pair()
    async with started(server) as wire:
        wire.write(close_frame(1000, "done"))
        wire.write(b"".join(frame(TEXT, b"late")))
    await client.send_eof()
    await wire.farewell(5)
    assert await Peer(client).everything() == close_frame(1000, "done")


@pytest.mark.parametrize("kind", ["socket", "memory"])
async def test_what_does_not_fit_goes_out_later_and_in_order(kind):
    client, server = await socket_pair() if kind == "socket" else memory_stream_pair()
    async with started(server) as wire:
        for letter in (b"a", b"b", b"c"):
            wire.write(b"".join(frame(TEXT, letter * 5_000_000)))
        assert wire.is_writing
        peer = Peer(client)
        for letter in (b"a", b"b", b"c"):
            assert await peer.frame() == (TEXT, letter * 5_000_000)
        await wait_all_tasks_blocked()
        assert not wire.is_writing
    assert not wire.torn


async def test_of_pings_behind_a_write_only_the_last_is_answered():
    client, server = await socket_pair()
    async with started(server) as wire:
        wire.write(b"".join(frame(TEXT, bytes(20_000_000))))
        for text in (b"1", b"2", b"3"):
            wire.pong(b"".join(frame(0x8A, text)))
        peer = Peer(client)
        await peer.frame()
        assert await peer.frame() == (0x8A, b"3")


async def test_who_must_hurry_and_cannot_is_torn(autojump_clock):
    here, there = lockstep_stream_pair()
    async with started(there) as wire:
        wire.write(b"".join(frame(TEXT, b"{}")))
        wire.hurry(5)
        await trio.sleep_forever()
    assert trio.current_time() == pytest.approx(5)
    assert wire.torn
    await here.aclose()


async def test_a_write_to_a_peer_that_is_gone_ends_the_wire():
    client, server = await socket_pair()
    client.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
    await client.aclose()
    async with started(server) as wire:
        while True:
            wire.write(b"".join(frame(TEXT, b"{}")))
            await trio.lowlevel.checkpoint()
    assert wire.torn


async def test_who_writes_while_the_connection_ends_does_no_harm():
    """A heartbeat between the last task of a connection and its farewell."""
    here, there = memory_stream_pair()
    wire = Wire(there, Metrics())
    async with trio.open_nursery() as nursery:
        wire.start(nursery.start_soon, lambda: None, nursery.cancel_scope.cancel)
    wire.write(b"".join(frame(TEXT, b"{}")))
    assert wire.torn
    await wire.farewell(5)
    assert await here.receive_some() == b""


async def test_unread_input_does_not_destroy_the_last_words():
    """Closing a socket with input in its buffer sends a reset, and the peer loses what it has not read yet."""
    client, server = await socket_pair()
    await client.send_all(bytes(100_000))
    async with started(server) as wire:
        wire.write(close_frame(4029, "flooding"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.farewell, 5)
        assert await Peer(client).everything() == close_frame(4029, "flooding")
        await client.aclose()


async def test_a_peer_that_never_leaves_is_aborted_at_the_limit(autojump_clock):
    here, there = memory_stream_pair()
    await part(there, 5)
    assert trio.current_time() == pytest.approx(5)
    with pytest.raises(trio.BrokenResourceError):
        await here.send_all(b"still here")


async def test_a_farewell_that_is_cancelled_still_closes():
    client, server = await socket_pair()
    with trio.move_on_after(0.01):
        await part(server, 5)
    assert server.socket.fileno() == -1
    await client.aclose()

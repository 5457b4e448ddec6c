import struct

import pytest
import trio
from network import Peer
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from router.metrics import Metrics
from router.wire import TEXT, Wire, close_frame, frame, part


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


def test_a_close_reason_is_cut_between_characters():
    data = close_frame(4008, "ä" * 100)
    assert len(data) <= 127
    assert data[:4] == b"\x88" + bytes([len(data) - 2]) + struct.pack("!H", 4008)
    assert data[4:].decode() == "ä" * 61


async def test_a_cancelled_write_tears_the_wire_and_the_peer_sees_a_reset():
    client, server = await socket_pair()
    wire = Wire(server, Metrics())
    with trio.move_on_after(0.01):
        await wire.write(b"".join(frame(TEXT, bytes(20_000_000))))
    assert wire.torn
    with pytest.raises(trio.BrokenResourceError):
        await wire.write(b"".join(frame(TEXT, b"{}")))
    await wire.farewell(5)
    with pytest.raises(trio.BrokenResourceError):
        await Peer(client).everything()


async def test_a_whole_write_leaves_the_wire_whole():
    client, server = await socket_pair()
    wire = Wire(server, Metrics())
    await wire.write(b"".join(frame(TEXT, b"{}")))
    assert not wire.torn
    await wire.farewell(5)
    assert await Peer(client).everything() == b"\x81\x02{}"


async def test_nothing_follows_a_close_frame():
    client, server = await socket_pair()
    wire = Wire(server, Metrics())
    await wire.write(close_frame(1000, "done"))
    await wire.write(b"".join(frame(TEXT, b"late")))
    await client.send_eof()
    await wire.farewell(5)
    assert await Peer(client).everything() == close_frame(1000, "done")


async def test_writes_of_two_tasks_do_not_mix():
    client, server = await socket_pair()
    wire = Wire(server, Metrics())
    peer = Peer(client)
    async with trio.open_nursery() as nursery:
        for letter in (b"a", b"b", b"c"):
            nursery.start_soon(wire.write, b"".join(frame(TEXT, letter * 150_000)))
        await wait_all_tasks_blocked()
        assert wire.is_writing
        read = [(await peer.frame())[1] for _ in range(3)]
    assert sorted(read) == [b"a" * 150_000, b"b" * 150_000, b"c" * 150_000]
    assert not wire.is_writing


async def test_unread_input_does_not_destroy_the_last_words():
    """Closing a socket with input in its buffer sends a reset, and the peer loses what it has not read yet."""
    client, server = await socket_pair()
    await client.send_all(bytes(100_000))
    wire = Wire(server, Metrics())
    await wire.write(close_frame(4029, "flooding"))
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

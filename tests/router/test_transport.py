"""What peers do to a WebSocket, on bare sockets; time passes virtually, over memory streams."""

import struct

import pytest
import structlog
import trio
from network import ASK, NOTE, OPEN, Peer, build, head, house, masked, until
from trio.testing import lockstep_stream_pair, memory_stream_pair

from protocol.session import Limits
from router.metrics import Metrics
from router.pace import Pace
from router.transport import FaultyError, GoneError, WebSocket
from router.wire import Wire

SMALL = Limits(frame_bytes=1_000)


def text_of(size: int) -> bytes:
    return b'"' + b"a" * (size - 2) + b'"'


@pytest.mark.parametrize(
    ("code", "frames"),
    [
        pytest.param(1002, b"\x81\x02{}", id="unmasked"),
        pytest.param(1002, masked(b"{}", 0xC1), id="reserved bit 1, as if compressed"),
        pytest.param(1002, masked(b"{}", 0x91), id="reserved bit 3"),
        pytest.param(1002, masked(b"{}", 0x83), id="reserved opcode"),
        pytest.param(1002, masked(b"", 0x09), id="ping in fragments"),
        pytest.param(1002, masked(b"a" * 126, 0x89), id="ping too long"),
        pytest.param(1002, masked(b"{}", 0x80), id="continuation of nothing"),
        pytest.param(1002, masked(b"{", 0x01) + masked(b"}", 0x81), id="message within a message"),
        pytest.param(1009, b"\x81\xff" + b"\xff" * 8 + b"mask", id="length with its top bit set"),
        pytest.param(1002, masked(b"\x03", 0x88), id="close with half a code"),
        pytest.param(1002, masked(struct.pack("!H", 1006), 0x88), id="close with a code that is never sent"),
        pytest.param(1007, masked(b"\xff\xfe"), id="text that is not UTF-8"),
        pytest.param(1007, masked(struct.pack("!H", 1000) + b"\xff", 0x88), id="close reason that is not UTF-8"),
        pytest.param(1009, masked(text_of(1_001)), id="a byte too large"),
        pytest.param(1009, masked(text_of(600), 0x01) + masked(text_of(600), 0x80), id="too large in fragments"),
        pytest.param(1009, masked('"{}"'.format("ä" * 600).encode()), id="too large in bytes, not in characters"),
        pytest.param(1009, masked(text_of(1_001)) + masked(b"", 0x89), id="too large, then a ping"),
        pytest.param(1009, masked(text_of(5_000)), id="much too large"),
    ],
)
@pytest.mark.parametrize("at_once", [False, True], ids=["later", "behind the handshake"])
async def test_bad_frames_end_their_own_connection_with_a_code(code, frames, at_once):
    async with house(SMALL) as built:
        good = await (await built.raw()).opened()
        bad = await built.plain()
        with structlog.testing.capture_logs() as log:
            await bad.upgrade(behind=frames if at_once else b"")
            if not at_once:
                await bad.send(frames)
            assert await bad.close_code() == code
            await until(lambda: len(built.desk.connections) == 1)
        assert not log  # the peer's fault, not ours
        await good.works()


async def test_good_frames_right_behind_the_handshake_are_served():
    async with house() as built:
        peer = await built.plain()
        await peer.upgrade(behind=masked(OPEN) + masked(ASK))
        assert (await peer.json())["id"] == 1
        assert (await peer.json())["result"] == {"did": "agent.list"}


async def test_the_largest_message_is_served_however_it_comes():
    async with house(SMALL) as built:
        peer = await (await built.raw()).opened()
        whole = ASK + b" " * (1_000 - len(ASK))
        await peer.send(masked(whole))
        assert (await peer.json())["id"] == 2
        await peer.send(masked(whole[:500], 0x01) + masked(b"hi", 0x89) + masked(whole[500:], 0x80))
        assert await peer.frame() == (0x8A, b"hi")
        assert (await peer.json())["id"] == 2


async def test_a_message_cut_short_by_the_end_of_the_stream_ends_its_connection():
    async with house() as built:
        good, bad = await (await built.raw()).opened(), await built.raw()
        await bad.send(masked(ASK)[:-3])
        await bad.stream.send_eof()
        assert await bad.everything() == b""
        await until(lambda: len(built.desk.connections) == 1)
        await good.works()


@pytest.mark.parametrize("sent", [b"\x81", masked(ASK)[:-3], masked(ASK) * 50], ids=["header", "half", "many"])
async def test_a_reset_ends_its_connection(sent):
    async with house() as built:
        good, bad = await (await built.raw()).opened(), await built.raw()
        await bad.send(sent)
        bad.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
        await bad.stream.aclose()
        await until(lambda: len(built.desk.connections) == 1)
        await good.works()


async def test_a_peer_that_says_goodbye_gets_its_own_code_back():
    async with house() as built:
        peer = await (await built.raw()).opened()
        await peer.send(masked(struct.pack("!H", 1000) + b"bye", 0x88))
        assert await peer.close_code() == 1000
        await until(lambda: not built.desk.connections)


@pytest.mark.parametrize(
    ("frames", "ending"), [(masked(b"\x03\xe8", 0x88), GoneError), (b"\x81\x02{}", FaultyError)], ids=["bye", "fault"]
)
async def test_only_a_fault_leaves_something_to_be_said(nursery, frames, ending):
    metrics = Metrics()
    wire = Wire(memory_stream_pair()[0], metrics)
    wire.start(nursery.start_soon, lambda: None, lambda: None)
    socket = WebSocket(wire, metrics, frames, frame_bytes=1_000, pace=Pace(Limits()))
    with pytest.raises(ending):
        await socket.receive()
    assert wire.is_writing == (ending is GoneError)


@pytest.mark.parametrize(("payload", "code"), [(b"\x03\xe8", b"\x03\xe8"), (b"", b"")], ids=["code", "none"])
async def test_a_goodbye_in_the_middle_of_a_message_is_no_fault(payload, code):
    async with house() as built:
        peer = await (await built.raw()).opened()
        await peer.send(masked(ASK[:10], 0x01) + masked(payload, 0x88) + masked(ASK[10:], 0x80))
        assert await peer.frame() == (0x88, code)
        assert built.desk.asked == 0


async def test_a_ping_that_crosses_our_goodbye_does_no_harm():
    async with house() as built:
        peer = await (await built.raw()).opened()
        next(iter(built.desk.connections.values())).expire()
        await peer.send(masked(b"1", 0x89) + masked(struct.pack("!H", 1000), 0x88))
        assert await peer.close_code() == 4002


async def test_text_and_binary_frames_may_both_hold_json():
    async with house() as built:
        peer = await built.raw()
        await peer.send(masked(OPEN, 0x82))
        assert (await peer.json())["id"] == 1


async def test_a_text_frame_in_a_msgpack_session_is_answered_not_fatal():
    async with house() as built:
        peer = await built.raw("signalbox.v1.msgpack")
        await peer.send(masked(OPEN))
        first, payload = await peer.frame()
        assert first == 0x82
        assert b"-32700" not in payload  # it is a number there
        assert b"code\xd1\x80\x44" in payload


# ---------------------------------------------------------------- heartbeat, in virtual time


async def beating(nursery, **settings):
    """A peer over memory streams, upgraded and open."""
    built = build(**settings)
    peer, stream = built.in_memory()
    nursery.start_soon(built.serve, stream)
    await peer.upgrade()
    return built, await peer.opened()


async def test_a_ping_comes_every_heartbeat_and_an_answer_keeps_the_connection(autojump_clock):
    async with trio.open_nursery() as nursery:
        _, peer = await beating(nursery, heartbeat_s=20)
        started = trio.current_time()
        for beat in range(1, 10):
            first, payload = await peer.frame()
            assert first == 0x89
            assert trio.current_time() - started == pytest.approx(20 * beat)
            await peer.send(masked(payload, 0x8A))
        nursery.cancel_scope.cancel()


async def test_two_pings_without_an_answer_abort_the_connection(autojump_clock):
    async with trio.open_nursery() as nursery:
        built, peer = await beating(nursery, heartbeat_s=20)
        started = trio.current_time()
        assert [(await peer.frame())[0] for _ in range(2)] == [0x89, 0x89]
        assert await peer.everything() == b""  # no goodbye
        assert trio.current_time() - started == pytest.approx(60)
        assert not built.desk.connections


async def test_a_dead_peer_is_reset_not_closed():
    async with house(heartbeat_s=0.01) as built:
        peer = await (await built.raw()).opened()
        with pytest.raises(trio.BrokenResourceError):
            await peer.everything()


async def test_an_answer_to_the_second_ping_answers_the_first(autojump_clock):
    async with trio.open_nursery() as nursery:
        _, peer = await beating(nursery, heartbeat_s=20)
        for _ in range(5):
            await peer.frame()
            await peer.send(masked((await peer.frame())[1], 0x8A))
        nursery.cancel_scope.cancel()


async def test_an_answer_to_something_else_is_no_answer(autojump_clock):
    async with trio.open_nursery() as nursery:
        _, peer = await beating(nursery, heartbeat_s=20)
        for _ in range(2):
            await peer.frame()
            await peer.send(masked(b"something else", 0x8A))
        assert await peer.everything() == b""


async def test_requests_are_no_answers_to_pings(autojump_clock):
    async with trio.open_nursery() as nursery:
        built, peer = await beating(nursery, heartbeat_s=20)

        async def ask() -> None:
            while True:
                await peer.send(masked(ASK))
                await trio.sleep(1)

        nursery.start_soon(ask)
        with trio.fail_after(100):
            await peer.everything()
        assert not built.desk.connections
        nursery.cancel_scope.cancel()


async def test_while_the_house_is_full_nobody_is_blamed_for_answers_we_do_not_read(autojump_clock):
    gate = trio.Event()
    async with trio.open_nursery() as nursery:
        built, peer = await beating(nursery, heartbeat_s=20, room=gate.wait)
        await peer.send(masked(ASK) * 10)
        await trio.sleep(200)
        assert built.desk.connections
        gate.set()
        await peer.works()
        nursery.cancel_scope.cancel()


async def test_after_a_full_house_a_peer_has_a_whole_beat_to_be_heard(autojump_clock):
    gate = trio.Event()
    async with trio.open_nursery() as nursery:
        _, peer = await beating(nursery, heartbeat_s=20, room=gate.wait)
        await peer.send(masked(ASK) * 10)
        await trio.sleep(59)
        gate.set()  # read again from here on, with both pings unanswered
        await trio.sleep(10)
        await peer.send(masked(b"2", 0x8A))
        await trio.sleep(30)
        await peer.works()
        nursery.cancel_scope.cancel()


async def test_a_peer_that_does_not_read_is_aborted_by_the_heartbeat(autojump_clock):
    """The pong we owe it is stuck, and our pings behind that: not its input but our output says that it is dead."""
    built = build(heartbeat_s=20)
    here, there = lockstep_stream_pair()
    peer = Peer(here)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(built.serve, there)
        await peer.upgrade()
        await peer.opened()
        await peer.send(masked(b"answer me", 0x89))
        await trio.sleep(59)
        assert built.desk.connections
        await trio.sleep(2)
        assert not built.desk.connections


async def test_endless_empty_fragments_are_not_hoarded(nursery, autojump_clock):
    """No limit of bytes ever ends them."""
    here, there = memory_stream_pair()
    metrics = Metrics()
    wire = Wire(there, metrics)
    socket = WebSocket(wire, metrics, frame_bytes=100, pace=Pace(Limits()))
    await here.send_all(masked(b"a", 0x01) + masked(b"", 0x00) * 2_000)
    with trio.move_on_after(60):
        await socket.receive()
    assert socket._parts == [b"a"]
    await here.send_all(masked(b"b", 0x80))
    assert await socket.receive() == "ab"


async def test_a_handshake_the_peer_breaks_off_is_quiet(autojump_clock):
    built = build()
    peer, stream = built.in_memory()
    await peer.send(head())
    await peer.stream.aclose()
    await built.serve(stream)
    assert not built.desk.connections


# ---------------------------------------------------------------- bounds


async def test_one_full_house_reads_no_further(autojump_clock):
    gate = trio.Event()
    async with trio.open_nursery() as nursery:
        built, peer = await beating(nursery, room=gate.wait)
        await peer.send(masked(ASK) * 300)
        await trio.sleep(10)
        assert built.desk.asked == 0  # what the opening frame left is waited for
        gate.set()
        await trio.sleep(10)
        assert built.desk.asked == 300
        nursery.cancel_scope.cancel()


async def test_frames_and_bytes_are_counted():
    async with house() as built:
        peer = await (await built.raw()).opened()
        built.desk.tell_all(NOTE)
        assert (await peer.json())["method"] == "test.note"
        metrics = built.metrics
        await until(lambda: metrics.frames_sent == 2)
        assert metrics.frames_received == 1
        assert metrics.bytes_received == len(masked(OPEN))
        assert metrics.bytes_sent > len(NOTE)


async def test_nothing_is_read_after_a_fault(nursery):
    """Else a peer could fill our memory while its goodbye is being written."""
    metrics = Metrics()
    here, there = memory_stream_pair()
    wire = Wire(there, metrics)
    socket = WebSocket(wire, metrics, b"\x81\x02{}", frame_bytes=1_000, pace=Pace(Limits()))
    await here.send_all(b"more")
    for _ in range(2):
        with pytest.raises(FaultyError):
            await socket.receive()
    assert await wire.read(10) == b"more"

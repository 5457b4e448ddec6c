"""Whatever one peer does, it is refused or closed with the right code, and a session beside it is served as ever.

Each attack is a function that ends with what it was told; the well-behaved session asks before, during and after it.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import structlog
import trio
from network import ASK, OPEN, House, Peer, build, head, house, masked, until
from trio.testing import MockClock

from protocol.session import Limits

LIMITS = Limits(
    frame_bytes=5_000, requests_burst=20, requests_per_s=1, refusals_max=30, outbox_bytes=50_000, bytes_per_s=10_000_000
)
DEEP = 2_000
DEEP_PARAMS = ASK[:-1] + b',"params":' + b'{"a":' * 300 + b"1" + b"}" * 301
Attack = Callable[[House], Awaitable[object]]


async def told(built: House, *frames: bytes, opened: bool = True) -> int:
    """The close code that these frames get."""
    peer = await built.raw()
    if opened:
        await peer.opened()
    await peer.send(b"".join(frames))
    return await peer.close_code()


async def refused(built: House, data: bytes) -> int:
    """The HTTP status that these bytes get, at the end of the stream."""
    peer = await built.plain()
    await peer.send(data)
    return int((await peer.everything())[9:12])


async def error(built: House, payload: bytes, first: int = 0x81) -> int:
    """The code of the error that a message gets; the session goes on."""
    peer = await (await built.raw()).opened()
    await peer.send(masked(payload, first))
    code: int = (await peer.json())["error"]["code"]
    await peer.works()
    return code


async def slow_reader(built: House) -> int:
    """Somebody who asks and is told, and never reads."""
    peer = await (await built.raw()).opened()
    peer.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4_096)
    note = b'{"text":"' + b"x" * 40_000 + b'"}'
    [connection] = [each for number, each in built.desk.connections.items() if number == max(built.desk.connections)]
    while connection.number in built.desk.connections and built.metrics.slow_consumers == 0:
        connection.notice(note)
        await trio.lowlevel.checkpoint()
    return await peer.close_code()


async def half_a_head(built: House) -> int:
    peer = await built.plain()
    await peer.send(head()[:-2])
    return int((await peer.everything())[9:12])


async def a_byte_at_a_time(built: House) -> int:
    """Slow headers: each byte comes in time, the head does not."""
    peer = await built.plain()
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:

            async def trickle() -> None:
                for byte in head() * 50:
                    await peer.send(bytes([byte]))
                    await trio.sleep(0.005)

            nursery.start_soon(trickle)
            answer = await peer.response_head()
            scope.cancel()
    return int(answer[9:12])


async def says_nothing(built: House) -> int:
    return await (await built.raw()).close_code()


async def says_much_but_never_opens(built: House) -> int:
    return await told(built, masked(ASK) * 11, opened=False)


async def refreshes_with_bad_tokens(built: House) -> int:
    bad = b'{"jsonrpc":"2.0","id":3,"method":"session.refresh","params":{"token":"bad"}}'
    return await told(built, masked(bad) * 3)


async def flood(built: House) -> int:
    return await told(built, masked(ASK) * 60)


async def flood_of_nonsense(built: House) -> int:
    return await told(built, masked(b"{") * 60)


async def flood_in_arrays(built: House) -> int:
    return await told(built, masked(b"[" + b",".join([ASK] * 60) + b"]"))


def text(size: int) -> bytes:
    return b'"' + b"a" * (size - 2) + b'"'


ATTACKS: list[tuple[str, Attack, int]] = [
    ("slow headers", a_byte_at_a_time, 408),
    ("half a head", half_a_head, 408),
    ("a head too large", lambda built: refused(built, b"GET /v1 HTTP/1.1\r\nA: " + b"a" * 20_000), 431),
    ("no HTTP", lambda built: refused(built, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400),
    ("bytes that are not ASCII", lambda built: refused(built, head("Origin: h\xe9")), 400),
    ("nothing after the upgrade", says_nothing, 4001),
    ("no session.open", says_much_but_never_opens, 4001),
    ("a bad token", lambda built: told(built, masked(OPEN.replace(b"ana", b"bad")), opened=False), 4001),
    ("bad tokens again and again", refreshes_with_bad_tokens, 4001),
    ("a flood", flood, 4029),
    ("a flood of nonsense", flood_of_nonsense, 4029),
    ("a flood in one array", flood_in_arrays, 4029),
    ("a slow reader", slow_reader, 4008),
    ("a huge frame", lambda built: told(built, masked(text(5_001))), 1009),
    ("a huge frame that is only announced", lambda built: told(built, masked(text(70_000))[:9_000]), 1009),
    ("a huge message in parts", lambda built: told(built, masked(text(3_000), 1), masked(text(3_000), 0x80)), 1009),
    ("text that is not UTF-8", lambda built: told(built, masked(b'"\xc3\x28"')), 1007),
    ("half a character", lambda built: told(built, masked(b'"\xc3"')), 1007),
    ("a surrogate", lambda built: told(built, masked(b'"\xed\xa0\x80"')), 1007),
    ("no mask", lambda built: told(built, b"\x81\x02{}"), 1002),
    ("a reserved bit", lambda built: told(built, masked(b"{}", 0xC1)), 1002),
    ("an unknown opcode", lambda built: told(built, masked(b"", 0x83)), 1002),
    ("an unknown control opcode", lambda built: told(built, masked(b"", 0x8B)), 1002),
    ("a control frame too long", lambda built: told(built, masked(b"x" * 126, 0x89)), 1002),
    ("a control frame in parts", lambda built: told(built, masked(b"", 0x09)), 1002),
    ("a part of nothing", lambda built: told(built, masked(b"{}", 0x80)), 1002),
    ("a message inside a message", lambda built: told(built, masked(b"{", 0x01), masked(b"{}")), 1002),
    ("a close frame of one byte", lambda built: told(built, masked(b"\x03", 0x88)), 1002),
    ("a close code that is never sent", lambda built: told(built, masked(struct.pack("!H", 1005), 0x88)), 1002),
    ("a close reason that is not UTF-8", lambda built: told(built, masked(b"\x03\xe8\xff", 0x88)), 1007),
    ("deep JSON", lambda built: error(built, b"[" * DEEP + b"]" * DEEP), -32700),
    ("deep JSON in params", lambda built: error(built, DEEP_PARAMS), -32602),
    ("deep JSON without an end", lambda built: error(built, b"[" * 4_900), -32700),
    ("no JSON", lambda built: error(built, b"\x00\x01\x02", 0x82), -32700),
]  # fmt: skip


@pytest.mark.parametrize(("attack", "ending"), [each[1:] for each in ATTACKS], ids=[each[0] for each in ATTACKS])
async def test_an_attack_ends_as_it_should_and_a_session_beside_it_is_served(attack: Attack, ending: int) -> None:
    async with house(LIMITS, head_s=0.1, open_s=0.1) as built:
        # limits of one session are small here, so the good one has several
        good = [await (await built.raw()).opened() for _ in range(3)]
        with structlog.testing.capture_logs() as log, trio.fail_after(20):
            await good[0].works()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(good[1].works)
                assert await attack(built) == ending
            await good[2].works()
            await good[0].works()
        assert log == []  # whatever peers do is no incident of ours
        for each in good:
            await each.stream.aclose()
        await until(lambda: not built.desk.connections)


async def test_an_embrace_too_deep_is_a_typed_error_in_either_format() -> None:
    async with house(Limits(frame_bytes=200_000)) as built:
        assert await error(built, b'{"jsonrpc":"2.0","id":7,"method":' + b"[" * 100_000) == -32700
        peer = await built.raw("signalbox.v1.msgpack")
        await peer.send(masked(b"\x91" * 100_000, 0x82))
        first, payload = await peer.frame()
        assert (first, b"code\xd1\x80\x44" in payload) == (0x82, True)  # -32700


async def test_a_half_open_link_is_ended_and_others_are_kept(autojump_clock: MockClock) -> None:
    built = build(heartbeat_s=20)
    async with trio.open_nursery() as nursery:
        good, dead = await in_memory(built, nursery), await in_memory(built, nursery)
        started = trio.current_time()
        assert [(await dead.frame())[0] for _ in range(2)] == [0x89, 0x89]

        async def answer() -> None:
            while True:
                first, payload = await good.frame()
                if first == 0x89:
                    await good.send(masked(payload, 0x8A))

        with trio.CancelScope() as answering:
            nursery.start_soon(answer)
            assert await dead.everything() == b""
            answering.cancel()
        assert trio.current_time() - started == pytest.approx(60)
        assert len(built.desk.connections) == 1
        nursery.cancel_scope.cancel()


async def in_memory(built: House, nursery: trio.Nursery) -> Peer:
    peer, stream = built.in_memory()
    nursery.start_soon(built.serve, stream)
    await peer.upgrade()
    return await peer.opened()


async def test_who_reconnected_together_does_not_beat_together(autojump_clock: MockClock) -> None:
    built = build(heartbeat_s=20, jitter=0.5)
    async with trio.open_nursery() as nursery:
        peers = [await in_memory(built, nursery) for _ in range(20)]
        firsts: list[float] = []

        async def note(peer: Peer) -> None:
            for _ in range(3):
                first, payload = await peer.frame()
                assert first == 0x89
                firsts.append(trio.current_time())
                await peer.send(masked(payload, 0x8A))

        async with trio.open_nursery() as noting:
            for peer in peers:
                noting.start_soon(note, peer)
        first_beats = sorted(firsts)[:20]
        assert 10 <= first_beats[0] < first_beats[-1] <= 20
        assert first_beats[-1] - first_beats[0] > 1
        assert len({round(at, 3) for at in first_beats}) > 10
        nursery.cancel_scope.cancel()


async def test_a_session_opened_in_time_may_then_be_as_quiet_as_it_likes(autojump_clock: MockClock) -> None:
    built = build(heartbeat_s=10_000, open_s=10)
    async with trio.open_nursery() as nursery:
        peer, stream = built.in_memory()
        nursery.start_soon(built.serve, stream)
        await peer.upgrade()
        await trio.sleep(9)
        await peer.opened()
        await trio.sleep(5_000)
        await peer.works()
        nursery.cancel_scope.cancel()


async def test_a_full_house_is_no_reason_to_cut_off_who_opened_in_time(autojump_clock: MockClock) -> None:
    gate = trio.Event()
    built = build(heartbeat_s=10_000, open_s=10, room=gate.wait)
    async with trio.open_nursery() as nursery:
        peer = await in_memory(built, nursery)
        await trio.sleep(100)
        gate.set()
        await peer.works()
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- out of file descriptors

ROOT = Path(__file__).parents[2]
EXHAUSTED = Path(__file__).with_name("exhausted.py")


def test_a_server_out_of_file_descriptors_waits_says_so_once_and_recovers() -> None:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(EXHAUSTED.parent)])}
    done = subprocess.run(
        [sys.executable, str(EXHAUSTED)], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"served_meanwhile": True, "warnings": 1, "served_after": True}

"""Whole sessions through the port, with real clients and with one that counts bytes."""

import json

import msgspec
import pytest
import structlog
import trio
from network import ASK, NOTE, OPEN, Peer, build, head, house, masked, until
from trio.testing import lockstep_stream_pair, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed, open_websocket
from websockets.exceptions import ConnectionClosed as ThreadConnectionClosed
from websockets.sync.client import connect

from protocol.session import Limits

JSON_PROTOCOL, MSGPACK_PROTOCOL = "signalbox.v1.json", "signalbox.v1.msgpack"


def talk(port: int, subprotocol: str | None, *frames: str | bytes) -> list:
    """The ``websockets`` library's client, in a thread: what it got for each frame, and its close code."""
    subprotocols = [subprotocol] if subprotocol else None
    with connect(f"ws://127.0.0.1:{port}/v1?x=1", subprotocols=subprotocols, compression="deflate") as client:
        got = [client.subprotocol]
        try:
            for frame in frames:
                client.send(frame)
                got.append(client.recv())
            client.recv()
        except ThreadConnectionClosed as end:
            got.append(end.rcvd.code)
        return got


CLOSE = b'{"jsonrpc":"2.0","id":9,"method":"session.close"}'


@pytest.mark.parametrize("subprotocol", [None, JSON_PROTOCOL])
async def test_a_session_in_json_by_another_library(subprotocol):
    async with house() as built:
        frames = [data.decode() for data in (OPEN, ASK, CLOSE)]
        got = await trio.to_thread.run_sync(talk, built.port, subprotocol, *frames)
    assert (got[0], got[-1]) == (subprotocol, 1000)
    assert [json.loads(text)["id"] for text in got[1:-1]] == [1, 2, 9]


async def test_a_session_in_msgpack_by_another_library():
    async with house() as built:
        frames = [msgspec.msgpack.encode(json.loads(data)) for data in (OPEN, ASK, CLOSE)]
        got = await trio.to_thread.run_sync(talk, built.port, MSGPACK_PROTOCOL, *frames)
    assert (got[0], got[-1]) == (MSGPACK_PROTOCOL, 1000)
    assert [msgspec.msgpack.decode(data)["id"] for data in got[1:-1]] == [1, 2, 9]


async def test_a_session_by_the_library_we_use_ourselves():
    async with (
        house() as built,
        open_websocket("127.0.0.1", built.port, "/v1", use_ssl=False, subprotocols=[JSON_PROTOCOL]) as client,
    ):
        await client.send_message(OPEN.decode())
        assert json.loads(await client.get_message())["result"]["sub"] == "ana"
        await client.ping()
        await client.send_message(CLOSE.decode())
        await client.get_message()
        with pytest.raises(ConnectionClosed) as end:
            await client.get_message()
        assert end.value.reason.code == 1000


async def test_requests_in_arrays_are_answered_in_arrays_if_asked_for():
    async with house() as built:
        peer = await built.raw()
        await peer.send(masked(OPEN.replace(b'"ana"', b'"ana","batch":true')))
        assert (await peer.json())["id"] == 1
        await peer.send(masked(b"[" + ASK + b"," + ASK.replace(b"2,", b"3,") + b"]"))
        assert [answer["id"] for answer in await peer.json()] == [2, 3]


async def test_requests_in_arrays_are_answered_one_by_one_if_not():
    async with house() as built:
        peer = await (await built.raw()).opened()
        await peer.send(masked(b"[" + ASK + b"," + ASK.replace(b"2,", b"3,") + b"]"))
        assert [(await peer.json())["id"] for _ in range(2)] == [2, 3]


async def test_the_token_may_come_in_the_head():
    async with house() as built:
        peer = await built.plain()
        await peer.upgrade("Authorization: Bearer bea")
        await peer.send(masked(b'{"jsonrpc":"2.0","id":1,"method":"session.open"}'))
        assert (await peer.json())["result"]["sub"] == "bea"


async def test_two_authorizations_are_refused():
    async with house() as built:
        peer = await built.plain()
        assert (await peer.upgrade("Authorization: Bearer a", "Authorization: Bearer b")).startswith(b"HTTP/1.1 400 ")


async def test_a_bad_token_is_answered_and_then_closed_with_4001():
    async with house() as built:
        peer = await built.raw()
        await peer.send(masked(OPEN.replace(b"ana", b"bad")) + masked(ASK))
        assert (await peer.json())["error"]["data"]["reason"] == "unauthenticated"
        assert await peer.close_code() == 4001
        assert built.desk.asked == 0


async def test_a_farewell_is_told_before_the_close():
    async with house() as built:
        peer = await (await built.raw()).opened()
        for connection in list(built.desk.connections.values()):
            connection.ending("shutdown", 2.0)
        assert (await peer.json())["params"] == {"reason": "shutdown", "retry_after_s": 2.0}
        assert await peer.close_code() == 1001


async def test_nothing_is_taken_from_a_session_that_has_ended():
    async with house() as built:
        peer = await (await built.raw()).opened()
        connection = next(iter(built.desk.connections.values()))
        connection.expire()
        await peer.send(masked(ASK))
        assert await peer.close_code() == 4002
        assert built.desk.asked == 0


async def test_nothing_is_taken_from_a_slow_consumer_after_its_overflow():
    built = build(Limits(outbox_bytes=1_000))
    here, there = lockstep_stream_pair()
    peer = Peer(here)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(built.serve, there)
        await peer.upgrade()
        await peer.opened()
        built.desk.tell_all(bytes(500))
        await wait_all_tasks_blocked()
        built.desk.tell_all(bytes(501))
        await peer.send(masked(ASK))
        await wait_all_tasks_blocked()
        assert built.desk.asked == 0
        assert await peer.close_code() == 4008


async def test_a_session_whose_last_answer_never_comes_is_closed_in_the_end(autojump_clock):
    built = build(heartbeat_s=1_000)
    built.desk.submit = lambda item: None
    peer, stream = built.in_memory()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(built.serve, stream)
        await peer.upgrade()
        await peer.send(masked(OPEN))
        await peer.send(masked(CLOSE))
        assert await peer.close_code() == 1000
        assert trio.current_time() == pytest.approx(30, abs=0.1)


async def test_a_handler_that_raises_ends_its_own_session_with_an_incident():
    async with house() as built:
        good, bad = await (await built.raw()).opened(), await (await built.raw()).opened()
        built.desk.crash_at = "agent.list"
        with structlog.testing.capture_logs() as log:
            await bad.send(masked(ASK))
            first, payload = await bad.frame()
        built.desk.crash_at = None
        assert (first, int.from_bytes(payload[:2], "big")) == (0x88, 1011)
        assert [entry["event"] for entry in log] == ["connection.failed"]
        assert log[0]["incident"] in payload.decode(errors="ignore")
        assert "RuntimeError" in log[0]["problems"][0]
        assert "secret" not in str(log)
        await good.works()


async def test_a_house_that_fails_at_a_parting_harms_nobody_else():
    async with house() as built:
        good, bad = await (await built.raw()).opened(), await (await built.raw()).opened()
        part, built.desk.part = built.desk.part, None
        with structlog.testing.capture_logs() as log:
            await bad.send(masked(b"\x03\xe8", 0x88))
            assert await bad.close_code() == 1000
            await until(lambda: log)
        assert [entry["event"] for entry in log] == ["listener.connection_failed"]
        built.desk.part = part
        await good.works()


async def test_while_draining_pages_are_answered_but_no_session_begins():
    async with house() as built:
        old = await (await built.raw()).opened()
        built.front.draining = True
        peer = await built.plain()
        await peer.send(head())
        answer = await peer.everything()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in answer
        page = await built.plain()
        await page.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await page.everything()).startswith(b"HTTP/1.1 200 ")
        await old.works()


async def test_a_slow_head_is_told_so(autojump_clock):
    built = build(head_s=10)
    peer, stream = built.in_memory()
    await peer.send(head()[:40])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(built.serve, stream)
        assert (await peer.everything()).startswith(b"HTTP/1.1 408 ")
        assert trio.current_time() == pytest.approx(10, abs=0.1)
        await peer.stream.aclose()
    assert b'connections_refused_total{reason="slow"} 1.0' in built.metrics.text()


async def test_nothing_secret_is_logged():
    async with house() as built:
        with structlog.testing.capture_logs() as log:
            peer = await built.plain()
            await peer.send(head("Authorization: Bearer hidden", path="/v1?token=hidden"))
            await peer.response_head()
            built.desk.crash_at = "agent.list"
            await peer.send(masked(OPEN) + masked(ASK[:-1] + b',"params":{"key":"hidden"}}'))
            assert await peer.close_code() == 1011
        assert log
        assert "hidden" not in str(log)


async def test_notices_reach_every_session():
    async with house() as built:
        peers = [await (await built.raw()).opened() for _ in range(3)]
        built.desk.tell_all(NOTE)
        assert [(await peer.json())["method"] for peer in peers] == ["test.note"] * 3

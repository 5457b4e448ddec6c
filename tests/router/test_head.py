import struct
from functools import partial

import outcome
import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st
from network import head, house, until
from trio.testing import memory_stream_pair

from router.head import HEAD_BYTES_MAX, REFUSALS, Head, RefusedError, parse_head, read_head

GET = b"GET /healthz?full=1 HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n\r\n"


async def read(data: bytes, *, size: int | None = None, **limits: float) -> Head | None:
    """Send ``data`` in pieces of ``size`` and read a head from it."""
    here, there = memory_stream_pair()

    async def send() -> None:
        for start in range(0, len(data), size or len(data)):
            await here.send_all(data[start : start + (size or len(data))])
        await here.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        found = await outcome.acapture(partial(read_head, there, **limits))
        nursery.cancel_scope.cancel()
    return found.unwrap()


async def refusal(data: bytes, **more: int) -> str:
    with pytest.raises(RefusedError) as caught:
        await read(data, **more)
    return caught.value.why


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
async def test_a_head_is_the_same_however_it_is_cut_into_pieces(size):
    found = await read(GET, size=size)
    assert (found.method, found.path, found.query) == ("GET", "/healthz", "full=1")
    assert found.headers == (("host", "a"), ("x-one", "1"))


async def test_bytes_behind_the_head_are_kept_unread():
    found = await read(GET + b"\x81\xff\x00\n")
    assert found.rest == b"\x81\xff\x00\n"


async def test_peer_that_leaves_before_the_head_is_whole_is_no_error():
    assert await read(GET[:-1]) is None


@pytest.mark.parametrize("size", [1, None])
@pytest.mark.parametrize(
    ("why", "data"),
    [
        ("not_ascii", GET.replace(b"X-One: 1", b"X-One: \xff")),
        ("not_ascii", GET.replace(b"healthz", b"h\xc3\xa9")),
        ("not_ascii", GET.replace(b"X-One: 1", b"X-One: \x01")),
        ("not_ascii", GET.replace(b"X-One: 1", b"X-One: \x7f")),
        ("not_ascii", GET.replace(b"X-One: 1", b"X-One: \x00")),
        ("not_ascii", GET.replace(b"\r\n", b"\n")),
        ("not_ascii", GET.replace(b"X-One: 1", b"X-One: 1\rX-Two: 2")),
        ("not_ascii", b"\x16\x03\x01\x02\x00\x01"),
        ("malformed", GET.replace(b"Host: a", b"Host a")),
        ("malformed", GET.replace(b"Host: a\r\n", b"")),
        ("malformed", GET.replace(b"Host: a", b"Host: a\r\nHost: b")),
        ("malformed", GET.replace(b"Host: a", b"Ho st: a")),
        ("malformed", GET.replace(b" HTTP/1.1", b"")),
        ("malformed", GET.replace(b"/healthz", b"healthz")),
        ("malformed", GET.replace(b"/healthz", b"*")),
        ("malformed", b"\r\n\r\n"),
        ("method", GET.replace(b"GET", b"PUT")),
        ("http_version", GET.replace(b"HTTP/1.1", b"HTTP/2.0")),
        ("too_big", GET.replace(b"X-One: 1", b"X-One: " + b"a" * HEAD_BYTES_MAX)),
    ],
)
async def test_what_is_no_good_head_is_refused(why, data, size):
    assert await refusal(data, size=size) == why


async def test_the_largest_head_is_read_and_one_byte_more_is_not():
    room = HEAD_BYTES_MAX - len(GET)
    whole = GET.replace(b"X-One: 1", b"X-One: 1" + b"a" * room)
    assert len(whole) == HEAD_BYTES_MAX
    assert (await read(whole)).path == "/healthz"
    assert await refusal(whole.replace(b"X-One: 1", b"X-One: 1a")) == "too_big"


async def test_an_endless_head_is_refused_before_it_ends():
    here, there = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(here.send_all, b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES_MAX)
        with pytest.raises(RefusedError, match="too_big"):
            await read_head(there)


async def test_a_head_of_one_byte_at_a_time_is_cut_at_its_limit(autojump_clock):
    here, there = memory_stream_pair()

    async def drip() -> None:
        for place in range(len(GET)):
            await here.send_all(GET[place : place + 1])
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        with pytest.raises(RefusedError, match="slow"):
            await read_head(there, limit_s=10)
        assert trio.current_time() == pytest.approx(10, abs=0.01)
        nursery.cancel_scope.cancel()


async def test_whole_urls_are_targets_too():
    found = await read(GET.replace(b"/healthz", b"http://a/v1"))
    assert (found.path, found.query) == ("/v1", "full=1")


def test_a_header_that_may_stand_once_is_refused_if_it_stands_twice():
    found = parse_head(b"GET / HTTP/1.1\r\nHost: a\r\nOrigin: b\r\nOrigin: c\r\nVia: d, e\r\nVia: f\r\n\r\n")
    with pytest.raises(RefusedError, match="malformed"):
        found.one("origin")
    assert found.words("via") == ["d", "e", "f"]
    assert found.one("absent") is None


def test_what_is_printed_of_a_head_holds_no_secrets():
    found = parse_head(b"GET /v1?token=hidden HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer hidden\r\n\r\n")
    assert "hidden" not in f"{found} {found!r}"


@given(st.binary(max_size=300))
def test_no_bytes_make_the_parser_raise_anything_else(data):
    for whole in (data + b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n" + data + b"\r\n\r\n"):
        try:
            assert isinstance(parse_head(whole), Head)
        except (RefusedError, UnicodeDecodeError):
            pass  # bytes above 0x7e never get that far


def test_every_refusal_is_an_error_status():
    assert all(400 <= status < 600 for status, _, _ in REFUSALS.values())


# ---------------------------------------------------------------- on a socket


@pytest.mark.parametrize("name", ["Connection", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions", "Host"])
async def test_a_byte_above_0x7f_in_an_upgrade_head_ends_only_that_peer(name):
    async with house() as built:
        good = await (await built.raw()).opened()
        bad = await built.plain()
        await bad.send(head(f"{name}: \xff"))
        assert (await bad.everything()).startswith(b"HTTP/1.1 400 ")
        await good.works()


async def test_a_host_that_no_codec_takes_is_never_shown_to_one():
    async with house() as built:
        peer = await built.plain()
        await peer.send(head().replace(b"Host: test", b"Host: xn--a." + b"b" * 70 + b"..c"))
        assert (await peer.response_head()).startswith(b"HTTP/1.1 101 ")
        await peer.opened()


async def test_a_body_behind_a_refused_request_does_not_swallow_the_answer():
    async with house() as built:
        peer = await built.plain()
        await peer.send(b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + bytes(200_000))
        answer = await peer.everything()
        assert answer.startswith(b"HTTP/1.1 405 ")
        assert b"Allow: GET, HEAD\r\n" in answer


async def test_a_reset_within_the_head_is_no_incident():
    async with house() as built:
        peer = await built.plain()
        await peer.send(head()[:40])
        peer.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, struct.pack("ii", 1, 0))
        with structlog.testing.capture_logs() as log:
            await peer.stream.aclose()
            await until(lambda: built.metrics.connections_accepted and not built.metrics.connections_open)
        assert not log

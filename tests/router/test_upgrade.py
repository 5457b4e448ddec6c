import base64
import hashlib

import pytest
from network import head, house

from router.head import RefusedError, parse_head
from router.upgrade import check_upgrade, is_allowed, wants_upgrade


def upgrade(*lines: str, origins: tuple[str, ...] = (), **changes: str):
    return check_upgrade(parse_head(head(*lines, **changes)), origins)


@pytest.mark.parametrize(
    ("offered", "chosen", "form"),
    [
        (None, None, "json"),
        ("signalbox.v1.json", "signalbox.v1.json", "json"),
        ("signalbox.v1.msgpack", "signalbox.v1.msgpack", "msgpack"),
        ("chat, signalbox.v1.msgpack, signalbox.v1.json", "signalbox.v1.msgpack", "msgpack"),
        ("chat", None, "json"),
    ],
)
async def test_the_first_subprotocol_we_know_is_chosen_and_echoed(offered, chosen, form):
    found = upgrade(*([f"Sec-WebSocket-Protocol: {offered}"] if offered else []))
    assert (found.subprotocol, found.format) == (chosen, form)
    async with house() as built:
        response = await (await built.plain()).upgrade(subprotocol=offered)
        echoed = [line for line in response.split(b"\r\n") if line.lower().startswith(b"sec-websocket-protocol")]
        assert echoed == ([f"Sec-WebSocket-Protocol: {chosen}".encode()] if chosen else [])


async def test_the_answer_is_to_the_peers_own_key():
    digest = hashlib.sha1(b"dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    async with house() as built:
        assert base64.b64encode(digest) in await (await built.plain()).upgrade()


async def test_compression_is_not_agreed_to():
    async with house() as built:
        peer = await built.plain()
        response = await peer.upgrade("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits")
        assert b"extensions" not in response.lower()


@pytest.mark.parametrize(
    ("why", "old", "new"),
    [
        ("path", b"/v1", b"/v2"),
        ("path", b"/v1", b"/healthz"),
        ("handshake", b"keep-alive, Upgrade", b"close"),
        ("handshake", b"GET", b"HEAD"),
        ("handshake", b"HTTP/1.1", b"HTTP/1.0"),
        ("handshake", b"dGhlIHNhbXBsZSBub25jZQ==", b"short"),
        ("handshake", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
        ("version", b"Version: 13", b"Version: 8"),
        ("version", b"Sec-WebSocket-Version: 13\r\n", b""),
        ("malformed", b"Version: 13", b"Version: 13\r\nSec-WebSocket-Version: 8"),
    ],
)
def test_a_handshake_that_is_not_whole_is_refused(why, old, new):
    with pytest.raises(RefusedError, match=why):
        check_upgrade(parse_head(head().replace(old, new)))


async def test_another_version_is_answered_with_the_one_we_speak():
    async with house() as built:
        peer = await built.plain()
        await peer.send(head().replace(b"Version: 13", b"Version: 8"))
        answer = await peer.everything()
        assert answer.startswith(b"HTTP/1.1 426 ")
        assert b"Sec-WebSocket-Version: 13\r\n" in answer


async def test_a_forbidden_origin_is_told_so_over_http_and_an_allowed_one_is_served():
    async with house(origins=["https://*.example.org"]) as built:
        evil = await built.plain()
        await evil.send(head("Origin: https://evil.test"))
        assert (await evil.everything()).startswith(b"HTTP/1.1 403 ")
        good = await built.plain()
        assert (await good.upgrade("Origin: https://desk.example.org")).startswith(b"HTTP/1.1 101 ")
        assert b'signalbox_connections_refused_total{reason="origin"} 1.0' in built.metrics.text()


def test_origins_are_patterns_and_none_means_all():
    assert is_allowed("https://a.test", [])
    assert is_allowed(None, ["https://a.test"])
    assert is_allowed("https://A.test", ["https://a.TEST"])
    assert not is_allowed("null", ["https://*"])
    assert not is_allowed("https://a.test.evil.test", ["https://a.test"])


def test_only_websocket_is_an_upgrade():
    assert wants_upgrade(parse_head(head()))
    assert not wants_upgrade(parse_head(head().replace(b"websocket", b"h2c")))


def test_the_answer_proves_that_the_key_was_read():
    """The example of RFC 6455 §1.3."""
    found = upgrade("Sec-WebSocket-Protocol: signalbox.v1.json", "Cookie: a=b", "Origin: https://a.test")
    lines = found.answer().decode().split("\r\n")
    assert lines[0] == "HTTP/1.1 101 Switching Protocols"
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in lines
    assert "Sec-WebSocket-Protocol: signalbox.v1.json" in lines
    assert lines[-2:] == ["", ""]
    assert b"Protocol" not in upgrade().answer().split(b"\r\n", 1)[1]

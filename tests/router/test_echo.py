"""The debug endpoint: it echoes, it keeps to the WebSocket protocol, and it is there only if it is asked for."""

from __future__ import annotations

import os
from typing import Any

import pytest
import trio
from network import build, head, house, masked, until

from router.cli import main


async def test_it_says_back_what_it_hears_text_and_bytes_and_parts() -> None:
    async with house(debug_echo=True) as built:
        peer = await built.plain()
        await peer.send(head(path="/debug/echo"))
        assert (await peer.response_head()).startswith(b"HTTP/1.1 101 ")
        await peer.send(masked("grüß".encode()) + masked(b"\xff\x00", 0x82) + masked(b"a", 0x01) + masked(b"b", 0x80))
        assert [await peer.frame() for _ in range(3)] == [(0x81, "grüß".encode()), (0x82, b"\xff\x00"), (0x81, b"ab")]
        await peer.send(masked(b"\x03\xe8", 0x88))
        assert await peer.close_code() == 1000
        await until(lambda: built.metrics.connections_open == 0)


@pytest.mark.parametrize(
    ("code", "frames"), [(1007, masked(b"\xff")), (1002, b"\x81\x02{}"), (1002, masked(b"", 0x83))]
)
async def test_a_fault_ends_it_with_its_code(code: int, frames: bytes) -> None:
    async with house(debug_echo=True) as built:
        peer = await built.plain()
        await peer.send(head(path="/debug/echo") + frames)
        await peer.response_head()
        assert await peer.close_code() == code


async def test_it_is_not_there_unless_it_is_asked_for() -> None:
    built = build()
    peer, stream = built.in_memory()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(built.serve, stream)
        await peer.send(head(path="/debug/echo"))
        assert (await peer.response_head()).startswith(b"HTTP/1.1 404 ")
        await peer.stream.aclose()


def test_it_is_refused_on_any_address_but_loopback(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    for name in [name for name in os.environ if name.startswith("SIGNALBOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SIGNALBOX_SECRET", "s" * 32)
    assert main(["serve", "--debug-echo", "--host", "0.0.0.0"]) == 2
    assert "--debug-echo serves everybody without limits: only on loopback" in capsys.readouterr().err

"""The floor of a fan-out: a frame encoded once and written to every socket in a plain loop, with no server behind it.

Nothing is checked, remembered, committed or bounded; a request is decoded only for its number. What this process takes
is what the system's calls take, and the loop around them: a server can do more, and nothing less. Several requests in a
frame are told in one frame, by one write to each. Started by ``bench.house`` as ``python -m bench.floor``.

Whoever does not ask hears: the crowd of ``bench.fanout`` is one sender and the sessions of one agent. Its frames are
masked with zeros, so they are read as they come.
"""

from __future__ import annotations

import os
import selectors
import socket
from typing import Any

import msgspec

from bench.stock import arguments
from protocol.codec import JSON
from protocol.notices import ConversationEntry
from protocol.objects import By, Entry
from protocol.times import Moment
from router.wire import TEXT, frame

_UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
_MASKED = 0x80
_decode = msgspec.json.Decoder().decode


class Floor:
    """The process. Sockets block: a client that measures reads what it gets."""

    def __init__(self) -> None:
        self._upgraded: dict[socket.socket, bytes] = {}  # and what of a frame has come
        self._seq = 0

    def take(self, peer: socket.socket) -> None:
        """What one peer has sent: its handshake, or frames."""
        data = peer.recv(1 << 20)
        if not data:
            raise ConnectionError
        if peer not in self._upgraded:
            self._upgraded[peer] = b""
            os.write(peer.fileno(), _UPGRADE)
            return
        *payloads, self._upgraded[peer] = payloads_of(self._upgraded[peer] + data)
        for payload in payloads:
            asked = _decode(payload)
            self._answer(peer, asked if isinstance(asked, list) else [asked])

    def gone(self, peer: socket.socket) -> None:
        """It hears nothing more."""
        self._upgraded.pop(peer, None)

    def _answer(self, peer: socket.socket, asked: list[dict[str, Any]]) -> None:
        os.write(peer.fileno(), joined([JSON.response(item["id"], {}) for item in asked]))
        told = [self._notice(item["params"]) for item in asked if item["method"] == "message.send"]
        if told:
            data = joined(told)
            for file in [other.fileno() for other in self._upgraded if other is not peer]:
                os.write(file, data)

    def _notice(self, params: dict[str, Any]) -> bytes:
        self._seq += 1
        entry = Entry(seq=self._seq, conversation=params["conversation"], at=Moment(1_767_603_600_000), type="message",
                      by=By("backend", "backend0"), text=params["text"], attachments=())  # fmt: skip
        return JSON.notification("conversation.entry", ConversationEntry(entry))


def payloads_of(data: bytes) -> list[bytes]:
    """The payloads of a client's whole frames, and last what is left of one that is not whole."""
    found = []
    while len(data) >= 2:
        size, start = data[1] & ~_MASKED, 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        start += 4  # the mask, zeros
        if len(data) < start + size:
            break
        found.append(data[start : start + size])
        data = data[start + size :]
    return [*found, data]


def joined(objects: list[bytes]) -> bytes:
    """One frame: an object alone, several as an array."""
    return b"".join(frame(TEXT, objects[0] if len(objects) == 1 else b"[" + b",".join(objects) + b"]"))


def serve(listener: socket.socket) -> None:
    """Serve until the process is ended."""
    floor, waiting = Floor(), selectors.DefaultSelector()
    waiting.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is listener:
                peer, _ = listener.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting.register(peer, selectors.EVENT_READ, peer)
                continue
            try:
                floor.take(key.data)
            except ConnectionError:
                floor.gone(key.data)
                waiting.unregister(key.data)
                key.data.close()


def main() -> None:
    """Serve, until it is ended."""
    given = arguments().parse_args()
    listener = socket.create_server(("127.0.0.1", given.port), backlog=1024)
    print(f"floor ready on ws://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
    serve(listener)


if __name__ == "__main__":
    main()

"""Whether a request may become a WebSocket, and in which format its frames will be. [protocol §1]

A browser cannot see close codes before the upgrade, so origin and version are refused over plain HTTP.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable
from fnmatch import fnmatchcase

from msgspec import Struct

from protocol.codec import Format
from router.head import Head, RefusedError

PATH = "/v1"
SUBPROTOCOLS: dict[str, Format] = {"signalbox.v1.json": "json", "signalbox.v1.msgpack": "msgpack"}

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64


class Upgrade(Struct, frozen=True):
    """A handshake that is good: the peer's ``key``, and the ``subprotocol`` to echo (None: none was asked for)."""

    key: str
    subprotocol: str | None
    format: Format

    def answer(self) -> bytes:
        """The head that accepts it. [RFC 6455 §4.2.2]"""
        digest = hashlib.sha1(self.key.encode("ascii") + _GUID, usedforsecurity=False).digest()
        protocol = f"Sec-WebSocket-Protocol: {self.subprotocol}\r\n" if self.subprotocol else ""
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {b64encode(digest).decode()}\r\n{protocol}\r\n"
        ).encode("ascii")


def wants_upgrade(head: Head) -> bool:
    """True if the peer asks for a WebSocket, rightly or wrongly."""
    return "websocket" in (word.lower() for word in head.words("upgrade"))


def check_upgrade(head: Head, origins: Iterable[str] = (), path: str = PATH) -> Upgrade:
    """The handshake in ``head``. ``origins``: patterns (fnmatch) of allowed Origins; none: all. Raises RefusedError."""
    if head.path != path:
        raise RefusedError("path")
    if not is_allowed(head.one("origin"), origins):
        raise RefusedError("origin")
    asked = "upgrade" in (word.lower() for word in head.words("connection"))
    if head.method != "GET" or not head.is_http_1_1 or not asked:
        raise RefusedError("handshake")
    if head.one("sec-websocket-version") != "13":
        raise RefusedError("version")
    key = head.one("sec-websocket-key")
    if key is None or not _KEY.fullmatch(key):
        raise RefusedError("handshake")
    subprotocol = next((name for name in head.words("sec-websocket-protocol") if name in SUBPROTOCOLS), None)
    return Upgrade(key, subprotocol, SUBPROTOCOLS[subprotocol] if subprotocol else "json")


def is_allowed(origin: str | None, origins: Iterable[str]) -> bool:
    """True if a page from ``origin`` may connect; None is a client that is no browser."""
    patterns = list(origins)
    if origin is None or not patterns:
        return True
    return any(fnmatchcase(origin.lower(), pattern.lower()) for pattern in patterns)

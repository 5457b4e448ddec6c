"""Plain HTTP on the WebSocket's port: health, metrics, the OpenRPC document; else a 404 that says what exists.

A page is a callable without parameters. Every answer ends its connection.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import msgspec
import trio
from msgspec import Struct

from router.head import REFUSALS, Head
from router.incident import report
from router.metrics import CONTENT_TYPE, Metrics
from router.upgrade import PATH
from router.wire import part

ANSWER_S = 5.0  # to take an answer in
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Page(Struct, frozen=True):
    """An answer: HTTP ``status``, ``body`` and its type, further ``headers``."""

    status: int
    body: bytes
    content_type: str = TEXT
    headers: tuple[tuple[str, str], ...] = ()

    def rendered(self, *, with_body: bool = True) -> bytes:
        """The bytes on the wire; without the body for HEAD."""
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            "X-Content-Type-Options: nosniff",
            *(f"{name}: {value}" for name, value in self.headers),
            "Connection: close",
        ]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + (self.body if with_body else b"")


class Pages:
    """What is answered at which path. ``ready`` says whether the server can work, and why not."""

    def __init__(
        self, *, ready: Callable[[], tuple[bool, str]], openrpc: Callable[[], bytes], metrics: Metrics
    ) -> None:
        self._pages: dict[str, Callable[[], Page]] = {
            "/healthz": lambda: Page(200, b"ok"),
            "/readyz": lambda: _readiness(*ready()),
            "/metrics": lambda: Page(200, metrics.text(), CONTENT_TYPE),
            "/openrpc.json": lambda: Page(200, openrpc(), JSON),
            PATH: _needs_upgrade,
        }

    def add(self, path: str, page: Callable[[], Page]) -> None:
        """Answer at one more path."""
        self._pages[path] = page

    def answer(self, head: Head) -> Page:
        """The page for a request. One that fails is reported and gives a 500 with the incident's id."""
        page = self._pages.get(head.path, self._nothing_here)
        try:
            return page()
        except Exception as problem:
            incident = report("pages.failed", problem)
            return Page(500, msgspec.json.encode({"error": "internal", "incident": incident}), JSON)

    def _nothing_here(self) -> Page:
        return Page(404, msgspec.json.encode({"error": "not_found", "paths": sorted(self._pages)}), JSON)


def refusal(why: str) -> Page:
    """The answer to a request that was refused; ``why`` is a key of ``head.REFUSALS``."""
    status, sentence, headers = REFUSALS[why]
    return Page(status, msgspec.json.encode({"error": why, "message": sentence}), JSON, headers)


async def send_page(stream: trio.abc.HalfCloseableStream, page: Page, *, with_body: bool = True) -> None:
    """Answer and end the connection, within ANSWER_S. A peer that has gone is no error."""
    with trio.move_on_after(ANSWER_S):
        try:
            await stream.send_all(page.rendered(with_body=with_body))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
        await part(stream, ANSWER_S)


def _readiness(is_ready: bool, text: str) -> Page:
    return Page(200 if is_ready else 503, text.encode())


def _needs_upgrade() -> Page:
    body = msgspec.json.encode({"error": "upgrade", "message": "Connect here with a WebSocket client."})
    return Page(426, body, JSON, (("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")))

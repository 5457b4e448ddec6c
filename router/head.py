"""The head of an HTTP request, read and checked before any library sees a byte of it.

A head is at most so many bytes, arrives within so many seconds, is strictly ASCII with whole line ends, and
parses (h11). What fails is ``RefusedError``: a table says with which status and sentence. The bytes behind the head
are kept, unread. Bodies are not read at all: what is asked here has none.
"""

from __future__ import annotations

import re

import h11
import trio
from msgspec import Struct

HEAD_BYTES_MAX = 16_384
HEAD_S = 10.0

METHODS = (b"GET", b"HEAD", b"POST", b"OPTIONS")  # the last two are for files only

_READ_BYTES = 4_096
_END = b"\r\n\r\n"
#: values of headers are read as ASCII everywhere; a control character in one is somebody smuggling
_ILLEGAL = re.compile(rb"[^\t\r\n -~]|(?<!\r)\n|\r(?=[^\n])")

#: why -> (status, sentence, further headers)
REFUSALS: dict[str, tuple[int, str, tuple[tuple[str, str], ...]]] = {
    "malformed": (400, "This is not an HTTP/1.1 request.", ()),
    "not_ascii": (400, "A request head is ASCII text without control characters.", ()),
    "handshake": (400, "This is not a WebSocket handshake.", ()),
    "origin": (403, "This origin is not allowed.", ()),
    "path": (404, "There is no WebSocket here, but at /v1.", ()),
    "method": (405, "Only GET and HEAD are answered here.", (("Allow", "GET, HEAD"),)),
    "slow": (408, "The request head did not arrive in time.", ()),
    "barred": (429, "Too much went wrong with connections from your address.", (("Retry-After", "60"),)),
    "version": (426, "WebSocket version 13 is spoken here.", (("Sec-WebSocket-Version", "13"),)),
    "too_big": (431, f"A request head has at most {HEAD_BYTES_MAX} bytes.", ()),
    "full": (503, "The server has as many connections as it may hold.", (("Retry-After", "5"),)),
    "crowded": (503, "Too many connections come from your address.", (("Retry-After", "30"),)),
    "draining": (503, "The server is starting or shutting down.", (("Retry-After", "1"),)),
    "http_version": (505, "HTTP/1.1 is spoken here.", ()),
}


class RefusedError(Exception):
    """A request that is answered with an error and ends. ``why`` is a key of REFUSALS."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Head(Struct, frozen=True):
    """A request. ``headers``: names in lower case, in the order sent; ``rest``: what came behind the head."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    rest: bytes = b""
    is_http_1_1: bool = True

    def __repr__(self) -> str:
        """Without query and headers: they hold secrets, and reprs end up in logs."""
        return f"Head({self.method} {self.path})"

    def one(self, name: str) -> str | None:
        """The value of a header that may be given once. Raises RefusedError (malformed) if it comes more often."""
        values = [value for key, value in self.headers if key == name]
        if len(values) > 1:
            raise RefusedError("malformed")
        return values[0] if values else None

    def words(self, name: str) -> list[str]:
        """The members of a comma-separated list header, over all its lines."""
        lines = (value for key, value in self.headers if key == name)
        return [word.strip() for line in lines for word in line.split(",") if word.strip()]


async def read_head(
    stream: trio.abc.ReceiveStream, *, bytes_max: int = HEAD_BYTES_MAX, limit_s: float = HEAD_S
) -> Head | None:
    """Read and check one head; None if the peer left before it was whole.

    Parameters: the head has at most ``bytes_max`` bytes and ``limit_s`` seconds from now. Raises RefusedError.
    """
    with trio.move_on_after(limit_s):
        try:
            return await _read(stream, bytes_max)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return None
    raise RefusedError("slow")


async def _read(stream: trio.abc.ReceiveStream, bytes_max: int) -> Head | None:
    data = bytearray()
    while True:
        chunk = await stream.receive_some(_READ_BYTES)
        if not chunk:
            return None
        known = len(data)
        data += chunk
        found = data.find(_END, max(0, known - len(_END) + 1))
        end = found + len(_END) if found >= 0 else len(data)
        # looked at chunk by chunk: what is not a head is told so at once, not after it has used up its time
        if _ILLEGAL.search(data, max(0, known - 1), end):
            raise RefusedError("not_ascii")
        if end > bytes_max:
            raise RefusedError("too_big")
        if found >= 0:
            return parse_head(bytes(data[:end]), bytes(data[end:]))


def parse_head(data: bytes, rest: bytes = b"") -> Head:
    """A whole head, up to its empty line, as a Head. Raises RefusedError."""
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=len(data) + 1)
    parser.receive_data(data)
    try:
        request = parser.next_event()
    except h11.RemoteProtocolError:
        raise RefusedError("malformed") from None
    if not isinstance(request, h11.Request):
        raise RefusedError("malformed")
    if request.method not in METHODS:
        raise RefusedError("method")
    if request.http_version not in (b"1.0", b"1.1"):
        raise RefusedError("http_version")
    path, query = _path(request.target.decode("ascii"))
    headers = tuple((name.decode("ascii"), value.decode("ascii")) for name, value in request.headers)
    return Head(request.method.decode("ascii"), path, query, headers, rest, request.http_version == b"1.1")


def _path(target: str) -> tuple[str, str]:
    """Path and query of a request target, which may be a whole URL. [RFC 9112 §3.2.2]"""
    scheme, found, behind = target.partition("://")
    if found and scheme.lower() in ("http", "https"):
        target = "/" + behind.partition("/")[2]
    if not target.startswith("/"):
        raise RefusedError("malformed")
    path, _, query = target.partition("?")
    return path, query

"""Files over HTTP: ``POST /v1/files?name=plan.pdf`` with the bytes as body, ``GET /v1/files/ID``. [protocol §1]

Both need ``Authorization: Bearer`` with a session's token. An upload is streamed to disk; its type is found out from
its contents, and a type that is not allowed leaves nothing behind. A download answers 404 to whoever may not see
the file, as if there were none. Every answer ends its connection.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from urllib.parse import parse_qs, quote

import msgspec
import trio
from msgspec import Struct

from actors.effects import Shown, Uploaded, Wanted
from protocol.errors import RequestError, refused
from protocol.ids import Principal
from protocol.records import FileRecord
from router.files.contents import Contents, new_id
from router.files.kind import SIGNATURE_BYTES, is_allowed, kind_of
from router.head import Head
from router.incident import report
from router.pages import JSON, Page, send_page
from router.wire import part

PATH = "/v1/files"
METHODS = "GET, HEAD, POST, OPTIONS"
NAME_MAX = 200
AT_ONCE = 64  # uploads and downloads; more get 503
STALL_S = 30.0  # without a byte either way
CHUNK_BYTES = 65_536
_STATUS = {"unauthenticated": 401, "forbidden": 403, "not_found": 404, "too_large": 413, "rate_limited": 429}


class File(Struct, frozen=True):
    """An uploaded file, as its uploader hears of it."""

    id: str
    name: str
    type: str
    size: int


class _AnswerError(Exception):
    """The request ends with this page."""

    def __init__(self, page: Page) -> None:
        super().__init__(page.status)
        self.page = page


class Files:
    """Uploads and downloads of one workspace.

    Parameters: where contents are kept; how tokens are checked and the core is asked; how large a file may be, which
    types are allowed (patterns), which origins of pages are.
    """

    def __init__(
        self,
        contents: Contents,
        verify: Callable[[str], tuple[Principal, int | None]],
        ask: Callable[[Callable[[int], Uploaded | Wanted]], Awaitable[Shown]],
        now: Callable[[], int],
        *,
        bytes_max: int,
        types: Sequence[str],
        allows_origin: Callable[[str], bool],
    ) -> None:
        self._contents = contents
        self._verify = verify
        self._ask = ask
        self._now = now
        self._bytes_max = bytes_max
        self._types = tuple(types)
        self._allows_origin = allows_origin
        self._under_way = 0

    def serves(self, head: Head) -> bool:
        """Whether a request is about files."""
        return head.path == PATH or head.path.startswith(PATH + "/")

    def statistics(self) -> dict[str, int]:
        """How many uploads and downloads are under way, and may be."""
        return {"under_way": self._under_way, "under_way_max": AT_ONCE}

    async def answer(self, stream: trio.abc.HalfCloseableStream, head: Head) -> None:
        """Answer one request and end the connection. Never raises for what a peer or the disk does."""
        cors = self._cors(head)
        self._under_way += 1
        try:
            if self._under_way > AT_ONCE:
                raise _refusal(503, "rate_limited", "too many files are on their way: try again", ("Retry-After", "5"))
            page = await self._answer(stream, head, cors)
        except _AnswerError as answer:
            page = answer.page
        except RequestError as error:
            page = _error_page(error)
        except OSError as problem:
            incident = report("files.failed", problem)
            page = _refusal(507, "storage_unavailable", f"the file could not be kept or read ({incident})").page
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            page = None
        finally:
            self._under_way -= 1
        if page is not None:
            page = msgspec.structs.replace(page, headers=(*page.headers, *cors))
            await send_page(stream, page, with_body=head.method != "HEAD")

    async def _answer(
        self, stream: trio.abc.HalfCloseableStream, head: Head, cors: tuple[tuple[str, str], ...]
    ) -> Page | None:
        name = head.path.removeprefix(PATH).removeprefix("/")
        if head.method == "OPTIONS":
            asked = (("Access-Control-Allow-Methods", METHODS), ("Access-Control-Max-Age", "86400"))
            return Page(204, b"", headers=(*asked, ("Access-Control-Allow-Headers", "Authorization, Content-Type")))
        if head.method == "POST" and not name:
            principal = self._principal(head)
            file = await self._take_in(stream, head, principal)
            return Page(201, msgspec.json.encode(file), JSON, (("Location", f"{PATH}/{file.id}"),))
        if head.method in ("GET", "HEAD") and name:
            await self._give_out(stream, head, name, self._principal(head), cors)
            return None
        raise _refusal(405, "method", f"POST {PATH} uploads, GET {PATH}/ID downloads", ("Allow", METHODS))

    # ------------------------------------------------------------ in

    async def _take_in(self, stream: trio.abc.HalfCloseableStream, head: Head, principal: Principal) -> File:
        size = self._length(head)
        title = _title(head)
        if (head.one("expect") or "").lower() == "100-continue":
            await stream.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        ident = new_id()
        try:
            await self._contents.write(ident, _body(stream, head.rest, size))
            kind = kind_of(await self._contents.start(ident, SIGNATURE_BYTES), title)
            if not is_allowed(kind, self._types):
                raise _refusal(415, "type", f"files of the type {kind} are not taken here")
            record = FileRecord(
                id=ident, owner=principal.address, name=title, type=kind, size=size, created_at=self._now()
            )
            shown = await self._ask(lambda ticket: Uploaded(ticket, record))
            if shown.error is not None:
                raise shown.error
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._contents.delete(ident)
            raise
        return File(ident, title, kind, size)

    def _length(self, head: Head) -> int:
        if head.one("transfer-encoding") is not None:
            raise _refusal(411, "length", "send a Content-Length: the size must be known before")
        text = head.one("content-length")
        if text is None or not text.isdigit():
            raise _refusal(411, "length", "send a Content-Length: the size must be known before")
        size = int(text)
        if size > self._bytes_max:
            raise refused("too_large", f"a file has at most {self._bytes_max} bytes", limit=self._bytes_max)
        if size == 0:
            raise _refusal(400, "empty", "the file is empty")
        return size

    # ------------------------------------------------------------ out

    async def _give_out(
        self,
        stream: trio.abc.HalfCloseableStream,
        head: Head,
        name: str,
        principal: Principal,
        cors: tuple[tuple[str, str], ...],
    ) -> None:
        shown = await self._ask(lambda ticket: Wanted(ticket, name, principal))
        if shown.error is not None:
            raise shown.error
        if shown.file is None:
            raise refused("not_found", "there is no such file, or you may not see it")
        chunks = self._contents.read(name)
        try:
            first = await anext(chunks, b"") if head.method != "HEAD" else b""
        except FileNotFoundError:  # it is being thrown away just now
            raise refused("not_found", "there is no such file, or you may not see it") from None
        await _send(stream, _head_of(shown.file, cors))
        while first:
            await _send(stream, first)
            first = await anext(chunks, b"")
        await part(stream, STALL_S)

    # ------------------------------------------------------------ who

    def _principal(self, head: Head) -> Principal:
        kind, _, token = (head.one("authorization") or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise refused("unauthenticated", "no token: give it as Authorization: Bearer")
        return self._verify(token.strip())[0]

    def _cors(self, head: Head) -> tuple[tuple[str, str], ...]:
        """What lets a page of an allowed origin see the answer."""
        origin = head.one("origin")
        if origin is None or not self._allows_origin(origin):
            return ()
        return (("Access-Control-Allow-Origin", origin), ("Vary", "Origin"))


async def _body(stream: trio.abc.ReceiveStream, rest: bytes, size: int) -> AsyncIterator[bytes]:
    """So many bytes of the request's body, ``rest`` of which came with its head. Raises _AnswerError."""
    left = size - len(rest)
    if left < 0:
        raise _refusal(400, "length", "there is more than Content-Length says")
    if rest:
        yield rest
    while left > 0:
        chunk = None
        with trio.move_on_after(STALL_S):
            chunk = await stream.receive_some(min(left, CHUNK_BYTES))
        if chunk is None:
            raise _refusal(408, "slow", f"no byte came for {STALL_S:g} s")
        if not chunk:
            raise trio.BrokenResourceError("the peer left before its file was whole")
        left -= len(chunk)
        yield bytes(chunk)


async def _send(stream: trio.abc.SendStream, data: bytes) -> None:
    """Send, or give up on a peer that takes nothing."""
    with trio.move_on_after(STALL_S) as scope:
        await stream.send_all(data)
    if scope.cancelled_caught:
        raise trio.BrokenResourceError("the peer takes nothing")


def _head_of(file: FileRecord, cors: tuple[tuple[str, str], ...]) -> bytes:
    """The head of a download: browsers save it, and neither guess its type nor run it."""
    headers = (
        ("Content-Disposition", f"attachment; filename*=UTF-8''{quote(file.name, safe='')}"),
        ("Content-Security-Policy", "sandbox; default-src 'none'"),
        ("Access-Control-Expose-Headers", "Content-Disposition"),
        *cors,
    )
    page = Page(200, b"", file.type, headers).rendered(with_body=False)
    return page.replace(b"Content-Length: 0\r\n", b"Content-Length: %d\r\n" % file.size)


def _title(head: Head) -> str:
    """What the file is called: its last part, printable, at most so long; never a path."""
    given = parse_qs(head.query).get("name", ["file"])[0]
    last = given.replace("\\", "/").rpartition("/")[2]
    return "".join(character for character in last if character.isprintable())[:NAME_MAX].strip() or "file"


def _refusal(status: int, error: str, message: str, *headers: tuple[str, str]) -> _AnswerError:
    return _AnswerError(Page(status, msgspec.json.encode({"error": error, "message": message}), JSON, headers))


def _error_page(error: RequestError) -> Page:
    """A typed refusal as a page: its reason decides the status."""
    reason = str(error.data.get("reason", "internal"))
    status = _STATUS.get(reason, 503 if error.data.get("retry") else 500)
    body = {"error": reason, "message": error.message, **error.data}
    headers = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    if "retry_after_s" in error.data:
        headers = (*headers, ("Retry-After", str(int(error.data["retry_after_s"]) + 1)))
    return Page(status, msgspec.json.encode(body), JSON, headers)

"""What goes into the core and what comes out: plain data on both sides. [architecture, "The core"]

Nothing in an ``Output`` may leave the house before its ``batch`` is committed; then ``outgoing`` leaves in
its order. If the commit is refused, nothing of it leaves and the core takes the step back (``Core.undo``).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from protocol.codec import Call, RequestId
from protocol.errors import RequestError
from protocol.ids import Principal
from protocol.notices import NoticeParams
from protocol.records import Batch, FileRecord, MailKind, Missed, Timeline
from protocol.settings import WorkspaceSettings

# ---------------------------------------------------------------- in


class Opened(Struct, frozen=True):
    """A session was authenticated. ``session`` is the shell's number for it; ``since`` = resume from there."""

    session: int
    principal: Principal
    id: RequestId = None
    since: int | None = None


class Ended(Struct, frozen=True):
    """A session is gone, however it went."""

    session: int


class Asked(Struct, frozen=True):
    """A request of an open session; ``secret``: a fresh one nobody can guess, for methods that may need one."""

    session: int
    call: Call
    secret: str = ""


class Configured(Struct, frozen=True):
    """The workspace's file at start-up: its services and agents are put as they stand there."""

    settings: WorkspaceSettings


class Posted(Struct, frozen=True):
    """What became of a call to an operator's URL: taken (any 2xx answer), or not."""

    webhook: int
    taken: bool


class Mailed(Struct, frozen=True):
    """What became of a mail: the mail server has taken it, or not; ``permanent``: it never will."""

    mail: str
    taken: bool
    permanent: bool = False
    error: str | None = None  # why it was not taken, for the operator


class Uploaded(Struct, frozen=True):
    """A file has come in, and its contents are kept. ``ticket``: the shell's number for the answer."""

    ticket: int
    file: FileRecord


class Wanted(Struct, frozen=True):
    """Somebody asks for a file; the answer is a ``Shown``."""

    ticket: int
    file: str
    principal: Principal


class Discarded(Struct, frozen=True):
    """The contents of a file that the core wanted gone are gone."""

    file: str


Input = Opened | Ended | Asked | Configured | Posted | Mailed | Uploaded | Wanted | Discarded


# ---------------------------------------------------------------- out


class Reply(Struct, frozen=True):
    """The answer to one request: ``result`` or ``error``.

    With ``question`` the result lacks a page of the timeline, which the shell reads after the commit.
    """

    session: int
    id: RequestId
    method: str
    result: Any = None
    error: RequestError | None = None
    question: Timeline | None = None


class Welcome(Struct, frozen=True):
    """A session is open as of ``seq``; what it ``missed`` is read and sent before anything newer.

    With ``error`` it is not: nobody of that name exists here.
    """

    session: int
    id: RequestId
    seq: int
    missed: Missed | None = None
    resync: bool = False
    error: RequestError | None = None
    principal: Principal | None = None  # who the session is, if not the one it was opened for: contacts are merged


class Dismiss(Struct, frozen=True):
    """The sessions that hear this address are to end and come back: whoever it is has another name now."""

    address: str


class Tell(Struct, frozen=True):
    """A notice to every session of these addresses (``agent:ana``), or to one session (its number)."""

    to: tuple[str | int, ...]
    notice: NoticeParams


class Post(Struct, frozen=True):
    """Call an operator's URL with this body, signed; then hand in ``Posted``. It may be called again."""

    webhook: int
    url: str
    body: str


class Mail(Struct, frozen=True):
    """Make this mail and hand it to the mail server; then hand in ``Mailed``. It may be asked for again."""

    id: str
    kind: MailKind
    recipient: str
    conversation: str | None
    data: str  # JSON, by kind
    language: str
    created_at: int  # tick


class Shown(Struct, frozen=True):
    """The answer to an ``Uploaded`` or ``Wanted``: the file; None = there is none that its asker may see.

    With ``error`` it was not kept.
    """

    ticket: int
    file: FileRecord | None = None
    error: RequestError | None = None


class Discard(Struct, frozen=True):
    """Delete the contents of this file, then hand in ``Discarded``. It may be asked again."""

    file: str


Outgoing = Reply | Welcome | Dismiss | Tell | Post | Mail | Shown | Discard


class Output(Struct, frozen=True):
    """The effects of one step, in order. ``undo`` is the core's own: what was, before."""

    batch: Batch
    outgoing: tuple[Outgoing, ...]
    taken: int  # so many inputs were done; the rest waits until all due timers have fired
    undo: Any = None


__all__ = [
    "Asked",
    "Configured",
    "Discard",
    "Discarded",
    "Dismiss",
    "Ended",
    "Input",
    "Mail",
    "Mailed",
    "Opened",
    "Outgoing",
    "Output",
    "Post",
    "Posted",
    "Reply",
    "Shown",
    "Tell",
    "Uploaded",
    "Wanted",
    "Welcome",
]

"""One client's session, whatever carries it: a socket, a program that embeds the router, a simulation.

The carrier hands in frames and takes encoded objects; the desk takes what is to be done. Between them this
class keeps the session's rules (``protocol.session``), checks tokens, and keeps the order of what goes out:
while a page or the missed entries are being read from the store, whatever is newer waits behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec
from msgspec import UNSET

from actors.effects import Asked, Ended, Input, Opened, Reply, Welcome
from protocol import closing
from protocol.bucket import Bucket
from protocol.codec import Call, Codec, RequestId
from protocol.errors import INTERNAL, RequestError, refused
from protocol.ids import Principal
from protocol.notices import NAMES, ConversationEntry, SessionEnding
from protocol.objects import Entry, from_outside
from protocol.records import Question
from protocol.requests import SessionLimits, SessionOpen, SessionOpened, SessionRefresh, SessionRefreshed
from protocol.session import OF_SESSION, Limits, Session
from protocol.times import Moment, moment

#: what may need a secret: each makes one conversation at most, or one new link
NEED_SECRET = frozenset({"conversation.create", "conversation.start", "conversation.update"})
FAILED_TOKENS_MAX = 3  # of session.refresh, after which the session ends

#: reads an answer from the store and hands it to the second argument, now or later
Ask = Callable[[Question, Callable[[Any], None]], None]


class Carrier(Protocol):
    """The way out. Neither method may raise or wait."""

    def send(self, data: bytes) -> None:
        """Queue one encoded object. A carrier whose queue is full ends itself with 4008."""

    def send_series(self, series: Iterable[bytes]) -> None:
        """Queue many encoded objects as one item; they are made as they go out, however many they are."""

    def close(self, code: int, reason: str) -> None:
        """Send what is queued, then close."""


class Desk(Protocol):
    """What a connection needs of the house."""

    workspace: str
    limits: Limits
    heartbeat_s: int

    def now(self) -> int:
        """The present tick, ms since 1970."""

    def verify(self, token: str) -> tuple[Principal, int | None]:
        """Who the token is for and when it ends (tick). Raises RequestError (unauthenticated)."""

    def submit(self, item: Input) -> None:
        """Hand in something to be done, in order."""

    def secret(self) -> str:
        """A new one nobody can guess, fit for a link."""

    def revoke(self, connection: Connection, call: Call) -> None:
        """Do ``session.revoke``, and answer it."""

    def join(self, connection: Connection) -> int:
        """Give a new connection its number."""

    def admit(self, connection: Connection) -> None:
        """A session was authenticated. Raises RequestError (rate_limited: too many sessions; draining)."""

    def expires(self, connection: Connection, at: int | None) -> None:
        """Call ``connection.expire()`` at this tick."""

    def part(self, connection: Connection, *, admitted: bool) -> None:
        """Forget a connection; ``admitted``: it was let in before."""


class Connection:
    """A session from its first frame to its end."""

    __slots__ = ("_authorization", "_carrier", "_codec", "_desk", "_gaps", "_held_bytes", "_is", "_lost", "_opened",
                 "_says_goodbye", "failed_tokens", "number", "session", "token")  # fmt: skip

    def __init__(
        self,
        desk: Desk,
        carrier: Carrier,
        codec: Codec,
        authorization: str | None = None,
        shared: tuple[Bucket, ...] = (),
    ) -> None:
        """``authorization``: the upgrade's header; ``shared``: buckets of requests of its remote address."""
        self.session = Session(codec, desk.limits, desk.now(), shared)
        self.failed_tokens = 0
        self.token: str | None = None  # of the session, to be looked at again when keys change
        self._desk = desk
        self._carrier = carrier
        self._codec = codec
        self._authorization = authorization
        self._gaps: list[_Gap] = []  # answers being read, each with what waits behind it
        self._held_bytes = 0  # in gaps
        self._says_goodbye = True  # session.close is answered
        self._opened = False
        self._lost = False
        self._is: Principal | None = None  # by the name it goes by now
        self.number = desk.join(self)

    @property
    def principal(self) -> Principal | None:
        """Whose token opened the session, once it is open."""
        return self.session.principal

    def become(self, principal: Principal | None) -> str:
        """The house takes the session for this principal, None = the token's. Returns the address it hears."""
        self._is = principal or self.session.principal
        return self.hears

    @property
    def hears(self) -> str:
        """The address whose notices the session gets; "" = none yet."""
        return "" if self._is is None else self._is.address

    def now(self) -> int:
        """The present tick."""
        return self._desk.now()

    # ------------------------------------------------------------ in

    def receive(self, frame: bytes | str) -> int:
        """One whole frame from the peer; its requests are done in order. Returns how many were looked at."""
        count, session = 0, self.session
        for item in session.receive(frame, self._desk.now()):
            count += 1
            if session.state == "closed":
                break
            if isinstance(item, Call):
                self._take(item)
            else:
                self._refuse(item.id, item.error)
        if self.session.closing in (closing.FLOODING, closing.UNAUTHENTICATED):
            self._end(self.session.closing)
        return count

    def lost(self) -> None:
        """The peer is gone, however it went. Idempotent."""
        if self._lost:
            return
        self._lost = True
        self.session.close()
        self._desk.part(self, admitted=self._opened)
        if self._opened:
            self._desk.submit(Ended(self.number))

    def revoke(self) -> None:
        """The token is not accepted any more."""
        self._end(closing.UNAUTHENTICATED)

    def expire(self) -> None:
        """The token's time is over."""
        self._end(closing.TOKEN_EXPIRED)

    def ending(self, reason: str, retry_after_s: float) -> None:
        """Before a shutdown: say so, then close."""
        self.notice(self._codec.notification(NAMES[SessionEnding], SessionEnding(reason, retry_after_s)))
        self._end(closing.GOING_AWAY)

    def _take(self, call: Call) -> None:
        try:
            if call.method in OF_SESSION:
                self._take_own(call)
            else:
                secret = self._desk.secret() if call.method in NEED_SECRET else ""
                self._desk.submit(Asked(self.number, call, secret))
        except RequestError as error:
            self._refuse(call.id, error)

    def _take_own(self, call: Call) -> None:
        """What is about this session."""
        match call.method:
            case "session.open":
                self._open(call)
            case "session.refresh":
                self._refresh(call)
            case "session.close":
                self._close(call)
            case "session.revoke":
                self._desk.revoke(self, call)

    def _open(self, call: Call) -> None:
        params: SessionOpen = call.params
        try:
            token = params.token or self._bearer()
            principal, expires_at = self._desk.verify(token)
        except RequestError as error:
            self.failed_tokens += 1
            self._refuse(call.id, error)
            self._end(closing.UNAUTHENTICATED)
            return
        self.session.open(principal, batch=params.batch, expires_at=expires_at)
        self.token = token
        try:
            self._desk.admit(self)
        except RequestError as error:
            self._refuse(call.id, error)
            self._end(closing.TRY_LATER)
            return
        self._opened = True
        self._desk.expires(self, expires_at)
        ident = None if call.id is UNSET else call.id
        self._desk.submit(Opened(self.number, principal, ident, params.since))

    def _close(self, call: Call) -> None:
        """Hand it in like any other, so that all before it is answered; it wants an answer, if only to us."""
        self._says_goodbye = call.id is not UNSET
        if not self._says_goodbye:
            call = msgspec.structs.replace(call, id=None)
        self._desk.submit(Asked(self.number, call))
        self.session.close()

    def _bearer(self) -> str:
        kind, _, token = (self._authorization or "").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise refused("unauthenticated", "no token: give it in params.token or as Authorization: Bearer")
        return token.strip()

    def _refresh(self, call: Call) -> None:
        params: SessionRefresh = call.params
        try:
            principal, expires_at = self._desk.verify(params.token)
            self.session.refresh(principal, expires_at)
        except RequestError as error:
            self.failed_tokens += 1
            self._refuse(call.id, error)
            if self.failed_tokens >= FAILED_TOKENS_MAX:
                self._end(closing.UNAUTHENTICATED)
            return
        self.token = params.token
        self._desk.expires(self, expires_at)
        if call.id is not UNSET:
            self._send(self._codec.response(call.id, SessionRefreshed(moment(expires_at))))

    def _refuse(self, ident: RequestId | msgspec.UnsetType, error: RequestError) -> None:
        if ident is not UNSET:
            self._send(self._codec.failure(ident, error))

    # ------------------------------------------------------------ out

    def reply(self, reply: Reply, ask: Ask) -> None:
        """The answer to a request of this session, after its facts were committed."""
        if reply.question is not None:
            gap = self._hold()
            ask(reply.question, lambda answer: self._fill(gap, self._page(reply, answer)))
            return
        last = reply.method == "session.close"
        if reply.error is not None:
            self._send(self._codec.failure(reply.id, reply.error))
        elif not last or self._says_goodbye:
            self._send(self._codec.response(reply.id, reply.result))
        if last:
            self._end(closing.DONE)

    def welcome(self, welcome: Welcome, ask: Ask) -> None:
        """The session is open as of a seq; what it missed comes before anything newer."""
        if welcome.error is not None:
            self._refuse(welcome.id, welcome.error)
            failed = closing.INTERNAL if welcome.error.code == INTERNAL else closing.UNAUTHENTICATED
            self._end(closing.TRY_LATER if welcome.error.data["retry"] else failed)
            return
        head = self._codec.response(welcome.id, self._opened_result(welcome))
        if welcome.missed is None:
            self._send(head)
            return
        gap = self._hold()
        ask(welcome.missed, lambda answer: self._resume(gap, head, welcome.id, answer))

    def notice(self, data: bytes) -> None:
        """An encoded notice; the caller encodes once for all who see the same."""
        self._send(data)

    def _page(self, reply: Reply, answer: Any) -> list[bytes]:
        if isinstance(answer, RequestError):
            return [self._codec.failure(reply.id, answer)]
        entries, more = answer
        entries = self._shown(entries, read_only=reply.result.conversation.read_only)
        result = msgspec.structs.replace(reply.result, entries=entries, more=more)
        return [self._codec.response(reply.id, result)]

    def _resume(self, gap: _Gap, head: bytes, ident: RequestId, answer: Any) -> None:
        if isinstance(answer, RequestError):  # cannot replay: nothing of the session is shown, the client comes again
            gap.after, gap.code = [], closing.TRY_LATER
            self.session.close(closing.TRY_LATER)
            self._fill(gap, [self._codec.failure(ident, answer)])
        else:
            name = NAMES[ConversationEntry]
            series = (self._codec.notification(name, ConversationEntry(entry)) for entry in self._shown(answer))
            self._fill(gap, [head], series)

    def _shown(self, entries: Iterable[Entry], *, read_only: bool = False) -> tuple[Entry, ...]:
        """Entries from the store as this session may see them."""
        principal = self.session.principal
        if principal is None or principal.role != "contact":
            return tuple(entries)
        return tuple(from_outside(entry, read_only=read_only) for entry in entries)

    def _opened_result(self, welcome: Welcome) -> SessionOpened:
        principal = welcome.principal or self.session.principal
        assert principal is not None
        limits = self._desk.limits
        trusted = principal.role in ("connector", "backend")
        rate = limits.trusted_requests_per_s if trusted else limits.requests_per_s
        return SessionOpened(
            session=f"s{self.number}",
            workspace=self._desk.workspace,
            sub=principal.sub,
            role=principal.role,
            seq=welcome.seq,
            now=Moment(self._desk.now()),
            heartbeat_s=self._desk.heartbeat_s,
            limits=SessionLimits(limits.frame_bytes, limits.batch, rate),
            resync=welcome.resync,
        )

    def _hold(self) -> _Gap:
        """Open a gap: what comes from now on waits until it is filled."""
        self._gaps.append(_Gap())
        return self._gaps[-1]

    def _fill(self, gap: _Gap, first: list[bytes], series: Iterable[bytes] = ()) -> None:
        gap.first, gap.series = first, series
        while self._gaps and self._gaps[0].first is not None:
            self._let_out(self._gaps.pop(0))

    def _let_out(self, gap: _Gap) -> None:
        for data in gap.first or ():
            self._carrier.send(data)
        if gap.series:
            self._carrier.send_series(gap.series)
        for data in gap.after:
            self._held_bytes -= len(data)
            self._carrier.send(data)
        if gap.code is not None:
            self._carrier.close(gap.code, closing.MEANINGS[gap.code][0])

    def _send(self, data: bytes) -> None:
        if not self._gaps:
            self._carrier.send(data)
        elif self._gaps[-1].code is None:
            self._gaps[-1].after.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > self._desk.limits.outbox_bytes:  # the store does not answer, and we do not hoard
                self._end(closing.TRY_LATER)

    def _end(self, code: int) -> None:
        """Close with this code, behind what is still being read."""
        self.session.close(code)
        if self._gaps:
            self._gaps[-1].code = self._gaps[-1].code or code
        else:
            self._carrier.close(code, closing.MEANINGS[code][0])


class _Gap:
    """An answer that is still being read, what must go out after it, and the code if the session ends there."""

    __slots__ = ("after", "code", "first", "series")

    def __init__(self) -> None:
        self.first: list[bytes] | None = None
        self.series: Iterable[bytes] = ()
        self.after: list[bytes] = []
        self.code: int | None = None

"""Which session is where, and handing out what was committed.

A notice is encoded once for each wire format and shared by all who receive it. A session hears notices from
its ``Welcome`` on, which stands in the outgoing order just where the core opened it: nothing twice, no gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from actors.effects import Discard, Dismiss, Mail, Outgoing, Post, Reply, Shown, Tell, Welcome
from protocol.bucket import Bucket
from protocol.codec import Codec
from protocol.errors import refused
from protocol.notices import NAMES
from router.connection import Ask, Connection


class Hub:
    """All connections of a workspace."""

    def __init__(self) -> None:
        self.errand: Callable[[Post | Mail], None] = _nobody_goes  # who calls operators' URLs and sends mails
        self.shown: Callable[[Shown], None] = lambda item: None  # who waits for an answer about a file
        self.discard: Callable[[Discard], None] = lambda item: None  # who deletes contents: else they are asked again
        self._numbers = 0
        self._connections: dict[int, Connection] = {}
        self._admitted: dict[str, tuple[int, Bucket]] = {}  # address -> sessions authenticated, their requests
        self._hearing: dict[str, dict[int, Connection]] = {}  # address -> sessions that get notices

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._connections.values()))

    def join(self, connection: Connection) -> int:
        """A connection begins; its number, never used again in this process."""
        self._numbers += 1
        self._connections[self._numbers] = connection
        return self._numbers

    def admit(self, connection: Connection) -> None:
        """It was authenticated. Raises RequestError (rate_limited) beyond the sessions a principal may have."""
        principal = connection.principal
        assert principal is not None
        limits = connection.session.limits
        sessions, bucket = self._admitted.get(principal.address) or (
            0,
            Bucket(*limits.principal_rate(principal.role), connection.now()),
        )
        if sessions >= limits.principal_sessions:
            text = f"there are {sessions} sessions of yours already: end one first"
            raise refused("rate_limited", text, limit=limits.principal_sessions, retry_after_s=30)
        self._admitted[principal.address] = (sessions + 1, bucket)
        connection.session.share(bucket)

    def part(self, connection: Connection, *, admitted: bool) -> None:
        """It is gone."""
        self._connections.pop(connection.number, None)
        principal = connection.principal
        if principal is None or not admitted:
            return
        address = principal.address
        sessions, bucket = self._admitted[address]
        self._admitted[address] = (sessions - 1, bucket)
        if sessions == 1:
            del self._admitted[address]
        hearing = self._hearing.get(connection.hears, {})
        hearing.pop(connection.number, None)
        if not hearing:
            self._hearing.pop(connection.hears, None)

    def deliver(self, outgoing: Sequence[Outgoing], ask: Ask) -> None:
        """Hand out what was committed, in its order."""
        for item in outgoing:
            if type(item) is Tell:  # a ``case`` that does not match costs as much as the rest
                self._tell(item)
            elif type(item) is Reply:
                if item.session in self._connections:
                    self._connections[item.session].reply(item, ask)
            else:
                self._deliver_other(item, ask)

    def _deliver_other(self, item: Outgoing, ask: Ask) -> None:
        match item:
            case Post() | Mail():
                self.errand(item)
            case Shown():
                self.shown(item)
            case Discard():
                self.discard(item)
            case Welcome():
                if item.session in self._connections:
                    self._welcome(self._connections[item.session], item, ask)
            case Dismiss():
                for connection in self._receivers((item.address,)):
                    connection.ending("merged", 0)

    def _welcome(self, connection: Connection, item: Welcome, ask: Ask) -> None:
        if item.error is None:
            hears = connection.become(item.principal)
            self._hearing.setdefault(hears, {})[connection.number] = connection
        connection.welcome(item, ask)

    def _tell(self, item: Tell) -> None:
        encoded: dict[Codec, bytes] = {}
        for connection in self._receivers(item.to):
            codec = connection.session.codec
            if codec not in encoded:
                encoded[codec] = codec.notification(NAMES[type(item.notice)], item.notice)
            connection.notice(encoded[codec])

    def _receivers(self, to: Iterable[str | int]) -> list[Connection]:
        found: list[Connection] = []
        for address in to:
            if isinstance(address, int):
                if address in self._connections:
                    found.append(self._connections[address])
            elif address in self._hearing:
                found.extend(self._hearing[address].values())
        return found

    def statistics(self) -> dict[str, int]:
        """How many connections, and principals with an open session."""
        return {"connections": len(self._connections), "principals": len(self._hearing)}


def _nobody_goes(item: Post | Mail) -> None:
    """Nobody runs errands here: they stay pending and are asked for again."""

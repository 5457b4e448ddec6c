"""A desk and a carrier that only take notes, for the tests of a connection without a house."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from actors.effects import Reply, Welcome
from protocol.codec import JSON, Codec, encode_json
from protocol.errors import refused
from protocol.ids import Principal
from protocol.objects import Conversation, Entry
from protocol.params import Nothing
from protocol.records import Timeline
from protocol.requests import ConversationPage
from protocol.session import Limits
from protocol.times import Moment
from router.connection import Connection

NOW = 1_767_603_600_000


class Desk:
    """Notes what it is asked to do."""

    workspace = "main"
    heartbeat_s = 20

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.submitted: list[Any] = []
        self.parted: list[bool] = []
        self.expiry: list[int | None] = []
        self.full = False
        self.draining = False
        self.ends_at: int | None = None

    def now(self) -> int:
        return NOW

    def verify(self, token: str) -> tuple[Principal, int | None]:
        if token == "bad":
            raise refused("unauthenticated")
        role, _, sub = token.partition(":")
        return Principal(role, sub), self.ends_at

    def submit(self, item: Any) -> None:
        if self.draining:
            raise refused("draining")
        self.submitted.append(item)

    def secret(self) -> str:
        return "a secret"

    def revoke(self, connection: Connection, call: Any) -> None:
        self.submit(call)

    def join(self, connection: Connection) -> int:
        return 7

    def admit(self, connection: Connection) -> None:
        if self.full:
            raise refused("rate_limited", retry_after_s=30)

    def expires(self, connection: Connection, at: int | None) -> None:
        self.expiry.append(at)

    def part(self, connection: Connection, *, admitted: bool) -> None:
        self.parted.append(admitted)


class Peer:
    """A connection with its carrier; answers from the store come when the test gives them."""

    def __init__(self, limits: Limits | None = None, codec: Codec = JSON, authorization: str | None = None) -> None:
        self.desk = Desk(limits or Limits())
        self.sent: list[Any] = []
        self.closed: tuple[int, str] | None = None
        self.reading: list[Callable[[Any], None]] = []
        self.codec = codec
        self.connection = Connection(self.desk, self, codec, authorization)

    def send(self, data: bytes) -> None:
        if self.closed is None:
            self.sent.append(msgspec.json.decode(data) if self.codec is JSON else msgspec.msgpack.decode(data))

    def send_series(self, series: Iterable[bytes]) -> None:
        for data in series:
            self.send(data)

    def close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    def ask(self, question: Any, then: Callable[[Any], None]) -> None:
        self.reading.append(then)

    def say(self, *requests: dict[str, Any]) -> None:
        """One frame: an object, or an array of several."""
        whole = [{"jsonrpc": "2.0", **request} for request in requests]
        self.connection.receive(encode_json(whole if len(whole) > 1 else whole[0]))

    def open(self, token: str = "agent:ana", **params: Any) -> Peer:
        self.say(request(0, "session.open", token=token, **params))
        return self

    def welcomed(self) -> Peer:
        """An open session."""
        self.open().connection.welcome(Welcome(7, 0, 5), self.ask)
        self.sent.clear()
        self.desk.submitted.clear()
        return self

    def answer(self, ident: Any, method: str = "agent.list") -> None:
        self.connection.reply(Reply(7, ident, method, Nothing()), self.ask)

    def page(self, ident: int) -> None:
        """A reply that lacks its page, which is then being read."""
        result = ConversationPage(Conversation(id="c1", created_at=Moment(NOW)), (), False)
        self.connection.reply(Reply(7, ident, "conversation.get", result, question=Timeline("c1", 9, 5)), self.ask)

    def ids(self) -> list[Any]:
        return [message.get("id", message.get("method")) for message in self.sent]


def request(ident: Any, method: str, **params: Any) -> dict[str, Any]:
    return {"id": ident, "method": method, "params": params}


def entry(seq: int) -> Entry:
    return Entry(seq=seq, conversation="c1", at=Moment(NOW), type="message", text=f"text {seq}")


NOTE = b'{"jsonrpc":"2.0","method":"note","params":{}}'

"""A house without a shell: the real core over a real store, in virtual time, for tests.

Requests are structs, not bytes; answers are checked or handed back. The same world drives the rule tests
and the storms.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from actors.core import Core
from actors.effects import (
    Asked,
    Configured,
    Discard,
    Dismiss,
    Ended,
    Input,
    Mail,
    Opened,
    Output,
    Post,
    Reply,
    Shown,
    Tell,
    Welcome,
)
from actors.memory import CLOSED_IN_MEMORY
from protocol.codec import Call, convert, encode_json
from protocol.errors import RequestError
from protocol.ids import Principal
from protocol.notices import ConversationEntry
from protocol.objects import Agent, Conversation, Entry, from_outside
from protocol.records import Batch, ConversationRecord, DigestRecord, Snapshot
from protocol.requests import METHODS
from protocol.settings import WorkspaceSettings
from storage.store import Store
from storage.tables import TABLE_OF
from storage.urls import open_store

START = 1_767_603_600_000  # 2026-01-05T09:00:00Z


class World:
    """One workspace. ``say(who, method, …)`` makes a request; ``wait(ms)`` lets time pass."""

    closed_max = CLOSED_IN_MEMORY

    def __init__(self, config: dict[str, Any], *, store: Store | None = None, online: Sequence[str] = ()) -> None:
        self.settings: WorkspaceSettings = convert(config, WorkspaceSettings)
        self.store = store or open_store("sqlite:///:memory:")
        self.now = START
        self.log: list[bytes] = []  # everything that came out, for comparing runs
        self.outgoing: list[Any] = []
        self.last: Output | None = None
        self.tolerant = False  # True: a test makes handlers fail on purpose
        self._numbers = 0
        self._secrets = 0
        self.sessions: dict[str, int] = {}
        self.store.open()
        self._is_new = self.store.load() == Snapshot()
        self._written: dict[Any, Any] = {}
        self.boot()
        for name in online:
            self.online(name)

    def boot(self) -> None:
        """Start from the store, as after a crash."""
        self.core = Core(self.settings)
        self.core.memory._closed_max = self.closed_max
        self.sessions.clear()
        self.core.load(self.store.load(), self.now)
        self.give(Configured(self.settings))

    def online(self, name: str) -> None:
        """An agent connects and switches everything on."""
        self.open(name)
        self.say(name, "agent.set_availability", available=True)

    def open(self, name: str, since: int | None = None, *, email: str | None = None) -> Welcome:
        """Somebody connects: ``ana``, ``contact:nia``, perhaps with an e-mail in the token, ``connector:sms``."""
        self._numbers += 1
        self.sessions[name] = self._numbers
        who = structs.replace(principal(name), email=email)
        out = self.give(Opened(self._numbers, who, 0, since))
        return next(item for item in out.outgoing if isinstance(item, Welcome))

    def end(self, name: str) -> None:
        """Somebody's link is gone."""
        self.give(Ended(self.sessions.pop(name)))

    def say(self, who: str, method: str, /, **params: Any) -> Any:
        """A request that must succeed; its result. RequestError otherwise."""
        reply = self.ask(who, method, **params)
        if reply.error is not None:
            raise reply.error
        return reply.result

    def refused(self, who: str, method: str, /, **params: Any) -> dict[str, Any]:
        """A request that must be refused; the error's data and code."""
        error = self.ask(who, method, **params).error
        assert error is not None, f"{who} {method} {params} was not refused"
        return {**error.data, "code": error.code}

    def ask(self, who: str, method: str, /, **params: Any) -> Reply:
        """A request and its reply, whatever it is."""
        out = self.give(self.asked(who, method, **params))
        return next(item for item in out.outgoing if isinstance(item, Reply))

    def asked(self, who: str, method: str, /, **params: Any) -> Asked:
        """A request, not handed in yet."""
        if who not in self.sessions:
            self.open(who)
        call = Call(method, convert(params, METHODS[method].params), 1)
        self._secrets += 1
        return Asked(self.sessions[who], call, f"secret-{self._secrets}")

    def receive(self, address: str, text: str = "Hello", *, channel: str = "sms", **more: Any) -> Conversation:
        """A contact writes through a connector; the conversation."""
        self._numbers += 1
        result = self.say(f"connector:{channel}", "connector.receive", channel=channel, address=address,
                          external_id=f"m{self._numbers}", text=text, **more)  # fmt: skip
        found: Conversation = result.conversation
        return found

    def look(self, conversation: str) -> Conversation:
        """The summary as the backend sees it."""
        found: Conversation = self.say("backend", "conversation.get", conversation=conversation, limit=0).conversation
        return found

    def agent(self, name: str) -> Agent:
        """An agent as the backend sees it."""
        found: Agent = self.say("backend", "agent.get", agent=name)
        return found

    def start(self, contact: str, text: str | None = "Hello", **params: Any) -> Conversation:
        """A web contact starts a conversation; its summary as the backend sees it."""
        if "channel" not in params:
            params["channel"] = "web"
        result = self.say(f"contact:{contact}", "conversation.start", text=text, **params)
        return self.look(result.conversation.id)

    def timeline(self, conversation: str, who: str = "backend") -> list[Entry]:
        """A conversation's entries as somebody sees them, oldest first."""
        reply = self.ask(who, "conversation.get", conversation=conversation, limit=500)
        assert reply.error is None, reply.error
        assert reply.question is not None
        entries, _ = self.store.read([reply.question])[0]
        if who.startswith("contact:"):
            return [from_outside(entry, read_only=reply.result.conversation.read_only) for entry in entries]
        return list(entries)

    def heard(self, address: str | int, kind: str | None = None) -> list[Entry]:
        """The timeline entries an address has been told so far; of one type."""
        entries = [notice.entry for notice in self.told(address, ConversationEntry)]
        return [entry for entry in entries if kind in (None, entry.type)]

    def told(self, address: str | int, kind: type) -> list[Any]:
        """The notices of a kind that an address has been told so far."""
        tells = (item for item in self.outgoing if isinstance(item, Tell) and isinstance(item.notice, kind))
        return [item.notice for item in tells if address in item.to]

    def wait(self, ms: int) -> None:
        """Time passes; everything due happens at its own moment."""
        target = self.now + ms
        while True:
            due = self.core.next_deadline()
            if due is not None and due <= target:
                self.now = max(self.now, due)
                self.give()
            elif not self.core.behind:
                break
        self.now = target
        self.give()

    def give(self, *inputs: Input) -> Output:
        """One step, committed."""
        out = self.step(*inputs)
        if out.batch:
            self.store.commit(out.batch)
            self._compare(out.batch)
        self.core.committed(out)
        self.outgoing.extend(out.outgoing)
        if out.batch or out.outgoing:  # a wheel that was made anew may wake the house when nothing is due
            self.log.append(encode_json((out.batch, plain(out))))
        return out

    def _compare(self, batch: Batch) -> None:
        """What a batch says of its records before is what was written last."""
        for record, was in zip(batch.records, batch.before, strict=True):
            table = TABLE_OF[type(record)]
            name = (table.name, table.key_of(record))
            if (name in self._written or self._is_new) and was != DigestRecord(getattr(was, "id", "")):  # = none
                assert _plainly(was) == _plainly(self._written.get(name)), name
            self._written[name] = record

    def step(self, *inputs: Input) -> Output:
        """One step, not committed yet."""
        self.fetch(*inputs)
        out = self.core.step(self.now, inputs)
        if self.core.failures and not self.tolerant:
            raise AssertionError("\n".join(self.core.failures))
        self.last = out
        return out

    def fetch(self, *inputs: Input) -> None:
        """Read what these inputs need."""
        while questions := self.core.questions(inputs):
            self.core.absorb(questions, self.store.read(questions))


def _plainly(record: Any) -> Any:
    """Without what is worked out anew at every start."""
    return structs.replace(record, lateness=None) if isinstance(record, ConversationRecord) else record


def service(name: str, members: str = "", /, **settings: Any) -> dict[str, Any]:
    """A service: ``service("support", "ana bo mia/admin dee/manager")``."""
    return {"id": name, "members": [_member(text) for text in members.split()], **settings}


def _member(text: str) -> dict[str, Any]:
    agent, _, part = text.partition("/")
    match part:
        case "":
            return {"agent": agent}
        case "manager":
            return {"agent": agent, "manager": True}
        case "unrouted":
            return {"agent": agent, "routed": False}
        case _:
            return {"agent": agent, "role": part}


def small_world(*services: dict[str, Any], online: str = "", agents: Sequence[dict[str, Any]] = ()) -> World:
    """These services, with every agent they name; ``agents`` are those with more than a name."""
    named = dict.fromkeys(member["agent"] for service in services for member in service["members"])
    given = {agent["id"]: agent for agent in agents}
    every = [given.pop(name, {"id": name}) for name in named] + list(given.values())
    return World({"services": list(services), "agents": every}, online=online.split())


def slots(name: str, most: int, /, **more: Any) -> dict[str, Any]:
    """An agent with the same maximum in every class."""
    return {"id": name, "capacity": {"chat": most, "messaging": most, "email": most}, **more}


def plain(out: Output) -> list[Any]:
    """What leaves, as data that can be encoded."""
    return [_plain(item) for item in out.outgoing]


def _plain(item: Any) -> Any:
    if isinstance(item, Reply) and isinstance(item.error, RequestError):
        return ["refused", item.session, item.error.code, item.error.data]
    if isinstance(item, Reply):
        return ["reply", item.session, item.result, item.question]
    if isinstance(item, Welcome):
        return ["welcome", item.session, item.seq, item.missed, item.resync, item.principal]
    if isinstance(item, Dismiss):
        return ["dismiss", item.address]
    if isinstance(item, Post):
        return ["post", item.webhook, item.url, item.body]
    if isinstance(item, Mail):
        return ["mail", item]
    if isinstance(item, Shown | Discard):
        return [type(item).__name__, item.file]
    return [item.to, item.notice]


def principal(name: str) -> Principal:
    """Who a name stands for, as in scenarios."""
    kind, _, rest = name.partition(":")
    match kind:
        case "contact":
            return Principal("contact", rest)
        case "connector":
            return Principal("connector", rest, tuple(rest.split(",")))
        case "backend":
            return Principal("backend", "backend")
    return Principal("agent", name.partition("/")[0])

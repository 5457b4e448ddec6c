"""Who takes part in ``bench.clients``, what they do, and the tally that tells whether all of it arrived."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any

from bench.websocket import Session

SERVICES = 4


class Tally:
    """What was acknowledged, and what was delivered. Times are seconds; conversations and entries by their ids."""

    def __init__(self, conversations: int = 0, rate: float = 0.0) -> None:
        self.wanted = conversations
        self.rate = rate  # conversations begun a second; 0 = whoever is free begins at once
        self.begun = 0
        self._free: deque[Callable[[], None]] = deque()
        self.errors: Counter[str] = Counter()
        self.began: dict[str, float] = {}  # acknowledged conversations: when their start was sent
        self.acknowledged: dict[str, float] = {}  # when their start was acknowledged, where somebody notes that
        self.assigned: dict[str, float] = {}  # when the notice reached the agent
        self.twice: list[str] = []  # assigned to two agents
        self.answers: dict[int, tuple[str, float, float]] = {}  # acknowledged: conversation, sent, acknowledged
        self.delivered: dict[int, float] = {}  # entries that reached the contact, or its connector
        self.echoed: set[int] = set()  # entries that reached the agent who wrote them
        self.closed: set[str] = set()  # acknowledged
        self.contacts_closed: set[str] = set()  # heard on the contact's socket
        self.agents_closed: set[str] = set()  # heard on the agent's socket
        self.on_web: set[str] = set()
        self.acknowledged_out: set[int] = set()  # connector.delivered
        self.said: set[int] = set()  # acknowledged words of contacts, written when an agent had the conversation
        self.heard: set[int] = set()  # words of contacts that reached an agent

    def free(self, start: Callable[[], None]) -> None:
        """Somebody could start a conversation."""
        self._free.append(start)
        if not self.rate:
            self.start_one()

    def start_one(self) -> bool:
        """Start one more; False if nobody is free, or there are enough."""
        if not self._free or self.begun >= self.wanted:
            return False
        self.begun += 1
        self._free.popleft()()
        return True

    def missing(self, *, whole: bool = True) -> list[str]:
        """What was acknowledged and has not been delivered. ``whole``: each conversation was to run to its end."""
        out = {seq for seq, (conversation, _, _) in self.answers.items() if conversation not in self.on_web}
        parts: dict[str, set[Any]] = {
            "assigned to two agents": set(self.twice),
            "answered, not delivered to the contact": self.answers.keys() - self.delivered.keys(),
            "answered, not delivered to the agent's own socket": self.answers.keys() - self.echoed,
            "said by a contact, not delivered to the agent": self.said - self.heard,
            "closed, not told to the agent": self.closed - self.agents_closed,
            "closed, not told to the contact": (self.closed & self.on_web) - self.contacts_closed,
        }
        if whole:
            answered = {conversation for conversation, _, _ in self.answers.values()}
            parts |= {
                "started, not assigned": self.began.keys() - self.assigned.keys(),
                "assigned, not answered": self.assigned.keys() - answered,
                "delivered, not acknowledged by the connector": out - self.acknowledged_out,
                "started, not closed": self.began.keys() - self.closed,
            }
        return [f"{len(items)} {what}, such as {sorted(items)[0]}" for what, items in parts.items() if items]


class Client(Session):
    """A session that keeps the tally."""

    def __init__(self, host: str, port: int, token: str, tally: Tally) -> None:
        super().__init__(host, port, token, tally.errors)
        self.tally = tally


class Agent(Client):
    """Answers what it is assigned, then closes it."""

    def opened(self) -> None:
        self.call("agent.set_availability", available=True)

    def notice(self, method: str, params: dict[str, Any]) -> None:
        if method == "conversation.assigned":
            name = params["conversation"]["id"]
            if name in self.tally.assigned:
                self.tally.twice.append(name)
            sent = self.tally.assigned[name] = time.perf_counter()
            self.call(
                "message.send", lambda result: self._answered(name, sent, result), conversation=name, text="Hello!"
            )
        elif method == "conversation.entry":
            entry = params["entry"]
            if entry["type"] == "message":
                self.tally.echoed.add(entry["seq"])
            elif entry["type"] == "closed":
                self.tally.agents_closed.add(entry["conversation"])

    def _answered(self, name: str, sent: float, result: dict[str, Any]) -> None:
        self.tally.answers[result["entry"]["seq"]] = (name, sent, time.perf_counter())
        self.call("conversation.close", lambda result: self.tally.closed.add(name), conversation=name)


class Contact(Client):
    """Somebody on the web: starts, waits for the answer and the close, starts again."""

    service = ""

    def start(self) -> None:
        then = partial(self._began, time.perf_counter())
        self.call("conversation.start", then, service=self.service, text="Hi")

    def _began(self, sent: float, result: dict[str, Any]) -> None:
        name = result["conversation"]["id"]
        self.tally.began[name] = sent
        self.tally.on_web.add(name)

    def notice(self, method: str, params: dict[str, Any]) -> None:
        if method != "conversation.entry":
            return
        entry = params["entry"]
        if entry["type"] == "message" and entry["by"]["kind"] == "agent":
            self.tally.delivered[entry["seq"]] = time.perf_counter()
        elif entry["type"] == "closed":
            self.tally.contacts_closed.add(entry["conversation"])
            self.tally.free(self.start)


class Connector(Client):
    """Hands in the first words of people who never wrote before, and takes what goes out to them."""

    channel = ""

    def start(self) -> None:
        sent, number = time.perf_counter(), self.tally.begun
        what = {"channel": self.channel, "address": f"+{number}", "external_id": f"x{number}", "text": "Hi"}
        self.call("connector.receive", partial(self._began, sent), service=f"service{number % SERVICES}", **what)

    def _began(self, sent: float, result: dict[str, Any]) -> None:
        self.tally.began[result["conversation"]["id"]] = sent

    def notice(self, method: str, params: dict[str, Any]) -> None:
        if method == "connector.deliver":
            seq = params["entry"]["seq"]
            self.tally.delivered[seq] = time.perf_counter()
            self.call("connector.delivered", partial(self._taken, seq), entry=seq, status="delivered")

    def _taken(self, seq: int, result: dict[str, Any]) -> None:
        self.tally.acknowledged_out.add(seq)
        self.tally.free(self.start)

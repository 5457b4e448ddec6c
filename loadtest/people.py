"""Who comes in a day: agents, contacts on the web, connectors of other channels, supervisors. Locust users.

Everybody has a schedule of their own (``loadtest.pacing``), so latencies count from the scheduled moment. What was
acknowledged and what arrived goes into one tally (``bench.crowd.Tally``), which is looked at when the run is over.
"""

from __future__ import annotations

import os
import time
from collections import deque
from itertools import count
from random import Random
from typing import Any, ClassVar

import gevent
from locust import User, task

from bench.crowd import Tally
from loadtest.pacing import Pacer
from loadtest.peer import Note, Peer, RefusedError, now
from protocol.ids import Role
from router.auth import Gate

AGENTS = int(os.environ.get("LOADTEST_AGENTS", "200"))  # that the server knows
SERVICES = int(os.environ.get("LOADTEST_SERVICES", "4"))
HURRY = float(os.environ.get("LOADTEST_HURRY", "1"))  # so many times faster than people are
DAY_MS = 86_400_000
tally = Tally()
peers: list[Peer] = []
refusals: dict[str, int] = {}


class Person(User):  # type: ignore[misc]
    """Somebody with a session and a schedule."""

    abstract = True
    role: ClassVar[Role]
    gap_s: ClassVar[float]  # between two acts, on average
    _numbers: ClassVar[Any]

    def on_start(self) -> None:
        """Come in."""
        self.number = next(self._numbers)
        self.chance = Random(self.number)
        sub, channels = self.who()
        gate = Gate(secret=os.environ["LOADTEST_SECRET"].encode())
        token = gate.issue(self.role, sub, now_ms=int(time.time() * 1000), ttl_ms=DAY_MS, channels=channels)
        self.peer = Peer(self.host, token, self.hear)
        peers.append(self.peer)
        self.pacer = Pacer(self.gap_s / HURRY, self.chance, now())
        self.begin()

    def who(self) -> tuple[str, tuple[str, ...]]:
        """The name, and the channels of a connector."""
        return f"{self.role}{self.number}", ()

    def begin(self) -> None:
        """The first thing after coming in."""

    def hear(self, method: str, params: dict[str, Any]) -> None:
        """Something the server said."""

    def wait_time(self) -> float:
        """Locust asks this between two tasks."""
        return self.pacer.wait_s(now())

    def ask(
        self,
        method: str,
        note: Note | None = None,
        *,
        name: str = "",
        due: float | None = None,
        expected: tuple[str, ...] = (),
        **params: Any,
    ) -> dict[str, Any] | None:
        """A request that was ``due`` when the pacer says, or then; its result, None if it was refused or lost.

        ``expected``: refusals that are nobody's fault.
        """
        problem: BaseException | None = None
        found: dict[str, Any] | None = None
        try:
            found = self.peer.call(method, note, **params)
        except RefusedError as refusal:
            if str(refusal) not in expected:
                problem = refusal
                refusals[f"{method}: {refusal}"] = refusals.get(f"{method}: {refusal}", 0) + 1
        except (ConnectionError, gevent.Timeout) as lost:
            problem = lost if isinstance(lost, Exception) else TimeoutError(method)
        took_ms = 1000 * (self.pacer.late_s(now()) if due is None else now() - due)
        self.environment.events.request.fire(
            request_type=self.role, name=name or method, response_time=took_ms, response_length=0,
            exception=problem, context={},
        )  # fmt: skip
        return found


class AgentUser(Person):
    """Switches on, answers what it is assigned in turns, closes after some answers, comments now and then."""

    weight = 15
    role = "agent"
    gap_s = 4.0
    _numbers = count()

    def who(self) -> tuple[str, tuple[str, ...]]:
        return f"a{self.number % AGENTS}", ()

    def begin(self) -> None:
        self.desk: deque[str] = deque()
        self.answered: dict[str, int] = {}
        self.ask("agent.set_availability", available=True)

    def on_stop(self) -> None:
        """The shift is over: nothing new; what is there stays with the agent."""
        self.peer.tell("agent.set_availability", available=False)

    def hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "conversation.assigned":
            name = params["conversation"]["id"]
            if name in tally.assigned:
                tally.twice.append(name)
            tally.assigned[name] = now()
            self.desk.append(name)
        elif method == "conversation.entry":
            entry = params["entry"]
            if entry["type"] == "message":
                by_contact = entry["by"]["kind"] == "contact"
                (tally.heard if by_contact else tally.echoed).add(entry["seq"])
            elif entry["type"] == "closed":
                tally.agents_closed.add(entry["conversation"])

    @task(10)
    def answer(self) -> None:
        """Answer the one that has waited longest; after the third answer, close it."""
        if not self.desk:
            return
        name, sent = self.desk.popleft(), now()
        self.answered[name] = self.answered.get(name, 0) + 1

        def noted(result: dict[str, Any]) -> None:
            tally.answers[result["entry"]["seq"]] = (name, sent, now())

        self.ask("message.send", noted, conversation=name, text="I have looked into it: it is the second line.")
        if self.answered[name] >= 3:
            self.ask("conversation.close", lambda result: tally.closed.add(name), due=now(), conversation=name)
        else:
            self.desk.append(name)

    @task(1)
    def comment(self) -> None:
        """Something for the house only."""
        if self.desk:
            self.ask("message.comment", conversation=self.desk[0], text="Has written twice this week.")

    @task(1)
    def look(self) -> None:
        """Read the list of one's own."""
        self.ask("conversation.list", view="mine", limit=20)


class ContactUser(Person):
    """Starts a conversation, writes on while it lasts, and begins anew some time after it was closed."""

    weight = 75
    role = "contact"
    gap_s = 8.0
    _numbers = count()

    def begin(self) -> None:
        self.conversation: str | None = None

    def hear(self, method: str, params: dict[str, Any]) -> None:
        if method != "conversation.entry":
            return
        entry = params["entry"]
        if entry["type"] == "message" and entry["by"]["kind"] == "agent":
            tally.delivered[entry["seq"]] = now()
        elif entry["type"] == "closed":
            tally.contacts_closed.add(entry["conversation"])
            self.conversation = None

    @task
    def write(self) -> None:
        """The next thing to say."""
        if self.conversation is None:
            service = f"s{self.chance.randrange(SERVICES)}"
            self.ask("conversation.start", self._began, service=service, text="My invoice is wrong")
            return
        name, had = self.conversation, self.conversation in tally.assigned

        def noted(result: dict[str, Any]) -> None:
            if had:
                tally.said.add(result["entry"]["seq"])

        if self.chance.random() < 0.5:
            gone = ("wrong_state",)  # it was closed while this was on its way
            self.ask("message.send", noted, expected=gone, conversation=name, text="And there is something else.")

    def _began(self, result: dict[str, Any]) -> None:
        self.conversation = result["conversation"]["id"]
        tally.began[self.conversation] = now()
        tally.on_web.add(self.conversation)


class ConnectorUser(Person):
    """A bridge to another network: many people behind one socket."""

    weight = 8
    role = "connector"
    gap_s = 0.5
    _numbers = count()

    def who(self) -> tuple[str, tuple[str, ...]]:
        return f"bridge{self.number}", (f"bridge{self.number}",)

    def begin(self) -> None:
        self.messages = 0

    def hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "connector.deliver":
            seq = params["entry"]["seq"]
            tally.delivered[seq] = now()
            self.peer.tell("connector.delivered", lambda result: tally.acknowledged_out.add(seq),
                           entry=seq, status="delivered")  # fmt: skip

    @task
    def receive(self) -> None:
        """One of its people writes; one in three for the first time."""
        self.messages += 1
        number = self.messages if self.messages % 3 == 0 else self.chance.randrange(self.messages)
        self.ask("connector.receive", channel=f"bridge{self.number}", address=f"+{number}", text="Where is my parcel?",
                 external_id=f"x{self.messages}", service=f"s{number % SERVICES}")  # fmt: skip


class SupervisorUser(Person):
    """Leads a team: watches the lists, looks at what waits, asks why."""

    weight = 2
    role = "agent"
    gap_s = 3.0
    _numbers = count()

    def who(self) -> tuple[str, tuple[str, ...]]:
        return f"lead{self.number % SERVICES}", ()

    def begin(self) -> None:
        self.seen: list[str] = []
        self.ask("conversation.watch", status="pending")
        self.ask("agent.watch")

    def hear(self, method: str, params: dict[str, Any]) -> None:
        if method == "conversation.changed":
            self.seen = [*self.seen[-20:], params["conversation"]["id"]]

    @task(5)
    def look(self) -> None:
        """A page of what is open, with counts."""
        self.ask("conversation.list", name="conversation.list (team)", sort="waiting", limit=50)

    @task(2)
    def read(self) -> None:
        """One of those that have changed."""
        if self.seen:
            self.ask("conversation.get", conversation=self.chance.choice(self.seen), limit=50)

    @task(1)
    def why(self) -> None:
        """Why it went there."""
        if self.seen:
            self.ask("conversation.explain", conversation=self.chance.choice(self.seen))

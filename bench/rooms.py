"""The real core without a shell, for measuring: a house with agents and contacts, and requests made as structs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actors.core import Core
from actors.effects import Asked, Configured, Opened, Output, Reply
from protocol.codec import Call, convert
from protocol.ids import Principal
from protocol.records import Batch, ClosedIn, ClosedOf, Snapshot
from protocol.requests import METHODS
from protocol.settings import WorkspaceSettings

START = 1_767_603_600_000  # 2026-01-05T09:00:00Z
BACKEND, CONNECTOR, AGENTS = 1, 2, 10  # numbers of sessions; agents from the last one on
TEXT = "I have looked at the invoice again, and the second line is the one that is wrong."


class Room:
    """A house of ``agents`` in one service, all of them there, whose clock stands still unless it is told.

    ``contacts`` write once at the beginning; ``slots`` of each agent, None = any; ``start``: makes ids of messages
    differ between two rooms over one store; ``seq``: where that store is; ``keep``: who commits what is to be written;
    ``now``: the tick at which it stands still.
    """

    def __init__(
        self, *, agents: int = 20, contacts: int = 0, slots: int | None = None, start: str = "", seq: int = 0,
        keep: Callable[[Batch], None] | None = None, now: int = START, **service: Any,
    ) -> None:  # fmt: skip
        capacity = {} if slots is None else {"capacity": dict.fromkeys(("chat", "messaging", "email"), slots)}
        settings = {
            "services": [{"id": "s0", "members": [{"agent": f"a{n}"} for n in range(agents)], **service}],
            "agents": [{"id": f"a{n}", **capacity} for n in range(agents)],
        }
        self.now = now
        self.conversations: list[str] = []
        self._keep = keep
        self._start = start
        self._contacts = contacts
        self._numbers = 0
        self.core = Core(convert(settings, WorkspaceSettings))
        self.core.load(Snapshot(last_seq=seq), self.now)
        self.give(Configured(self.core.house.settings))
        self.give(Opened(BACKEND, Principal("backend", "crm"), 0), Opened(CONNECTOR, SMS, 0))
        self.give(*(Opened(AGENTS + n, Principal("agent", f"a{n}"), 0) for n in range(agents)))
        self.give(*(self.asked(AGENTS + n, "agent.set_availability", available=True) for n in range(agents)))
        for begin in range(0, contacts, 256):
            self.give(*(self.receive(f"+{n}", service="s0") for n in range(begin, min(contacts, begin + 256))))

    def give(self, *inputs: Any) -> Output:
        """One step, as good as committed. Raises RuntimeError if anything was refused."""
        while questions := self.core.questions(inputs):
            self.core.absorb(questions, [nothing(question) for question in questions])
        output = self.core.step(self.now, inputs)
        if self.core.failures:
            raise RuntimeError(self.core.failures[0])
        for item in output.outgoing:
            if isinstance(item, Reply) and item.error is not None:
                raise RuntimeError(f"{item.method}: {item.error}")
        if self._keep is not None and output.batch:
            self._keep(output.batch)
        self.core.committed(output)
        return output

    def asked(self, session: int, method: str, /, **params: Any) -> Asked:
        """A request, not handed in yet."""
        self._numbers += 1
        return Asked(session, Call(method, convert(params, METHODS[method].params), self._numbers), f"k{self._numbers}")

    def receive(self, address: str, **more: Any) -> Asked:
        """A contact writes through the connector."""
        ident = f"{self._start}x{self._numbers}"
        return self.asked(CONNECTOR, "connector.receive", channel="sms", address=address, external_id=ident,
                          text=TEXT, **more)  # fmt: skip

    def messages(self, count: int) -> Batch:
        """So many contacts who wrote before write again, in one step; what is to be written."""
        first = self._numbers
        inputs = [self.receive(f"+{(first + n) % self._contacts}") for n in range(count)]
        return self.give(*inputs).batch


SMS = Principal("connector", "sms", ("sms",))


def nothing(question: Any) -> Any:
    """A store that has seen nobody before."""
    match question:
        case ClosedIn():
            return ((), None)
        case ClosedOf():
            return ()
    return None


def results(output: Output) -> Sequence[Any]:
    """The results of a step's requests, in order."""
    return [item.result for item in output.outgoing if isinstance(item, Reply)]

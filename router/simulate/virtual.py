"""The server without sockets and without a clock: its own core, hub, codec and store in virtual time.

Clients speak through real ``Connection`` objects; what they hand in is collected (this object is their desk)
until ``settle`` does it in one turn: ask the store, step, commit, deliver. Time moves only by ``pass_time``,
from deadline to deadline, and by ``crash``, which forgets everything but the store. All synchronous.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actors.core import Core
from actors.effects import Configured, Input, Mail, Post
from protocol.codec import Call
from protocol.errors import refused
from protocol.ids import Principal
from protocol.records import Question
from protocol.session import Limits
from protocol.settings import WorkspaceSettings
from router.auth import Gate
from router.connection import Connection
from router.hub import Hub
from router.simulate.boxes import Boxes
from storage.store import Store

OpenStore = Callable[[], Store]
SECRET = b"no secret: a virtual server has no door"


class VirtualServer:
    """A server under a virtual clock, and the desk of its connections.

    Parameters: what the workspace's file says, how to open the store (again after each crash; it comes back
    open), and the tick at which it all starts. Raises what the store raises.
    """

    def __init__(self, settings: WorkspaceSettings, open_store: OpenStore, start: int) -> None:
        self.workspace = settings.id
        self.limits = Limits()
        self.heartbeat_s = 20
        self._settings = settings
        self._open_store = open_store
        self._now = start
        self._faults: list[str] = []
        self._inputs: list[Input] = []
        self._hung_up: list[Connection] = []
        self.boxes = Boxes(settings)
        self._secrets = 0  # given out: the same in each performance, and none twice
        self._gate = Gate(secret=SECRET, workspace=settings.id, require_expiry=False)
        self._boot()

    # ------------------------------------------------------------ running

    def settle(self) -> None:
        """Do what was handed in, in one turn, and then what follows from it; clients have their answers after it."""
        while self._inputs or self._hung_up or self._is_due():
            inputs, self._inputs = self._inputs, []
            self._turn(inputs)
            hung_up, self._hung_up = self._hung_up, []
            for connection in hung_up:
                connection.lost()

    def _is_due(self) -> bool:
        deadline = self._core.next_deadline()
        return deadline is not None and deadline <= self._now

    def pass_time(self, length_ms: int) -> None:
        """Everything that falls due within this time happens at its own moment."""
        end = self._now + length_ms
        while self._now < end:
            deadline = self._core.next_deadline()
            self._now = end if deadline is None else min(max(deadline, self._now + 1), end)
            self._turn([])
            self.settle()

    def crash(self, down_ms: int) -> None:
        """Die without a word, and start again on the same store after so long; no session is left."""
        self._store.close()
        self._now += down_ms
        self._boot()

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def faults(self) -> list[str]:
        """What went wrong inside the core since this was asked before, as its log would have it."""
        faults, self._faults = self._faults, []
        return faults

    def token(self, principal: Principal) -> str:
        """A token of this server for them. Raises RequestError if they cannot have one."""
        return self._gate.issue(
            principal.role, principal.sub, now_ms=self._now, ttl_ms=None, channels=principal.channels
        )

    def hang_up(self, connection: Connection) -> None:
        """The server has closed this connection: it is lost once the present turn is over."""
        self._hung_up.append(connection)

    def _boot(self) -> None:
        self._inputs, self._hung_up = [], []
        self._hub = Hub()
        self._hub.errand = self._errand
        self._core = Core(self._settings)
        self._store = self._open_store()
        try:
            self._core.load(self._store.load(), self._now)
            self._turn([Configured(self._settings)])
        except BaseException:
            self._store.close()
            raise

    def _turn(self, inputs: Sequence[Input]) -> None:
        """One turn; as many steps as it takes until nothing that is due is left."""
        while True:
            while questions := self._core.questions(inputs):
                self._core.absorb(questions, self._store.read(questions))
            taken = self._step(inputs)
            inputs = inputs[taken:]
            if not inputs and not self._core.behind:
                return
            assert taken or self._core.behind, "a step does something"

    def _step(self, inputs: Sequence[Input]) -> int:
        """One step; should the store refuse it, the performance is over and nobody undoes anything."""
        output = self._core.step(self._now, inputs)
        if output.batch:
            self._store.commit(output.batch)
        self._core.committed(output)
        self._hub.deliver(output.outgoing, self._ask)
        self._faults += self._core.failures
        self._core.failures.clear()
        return output.taken

    def _errand(self, item: Post | Mail) -> None:
        """Mails lie in their boxes at once; nobody calls URLs here."""
        if isinstance(item, Mail):
            self._inputs.append(self.boxes.take(item, self._store.read, self._agent_name))

    def _agent_name(self, agent: str) -> str:
        actor = self._core.house.agents.get(agent)
        return agent if actor is None else actor.record.settings.name or agent

    def _ask(self, question: Question, then: Callable[[Any], None]) -> None:
        then(self._store.read([question])[0])

    # ------------------------------------------------------------ the desk

    def now(self) -> int:
        """The virtual tick."""
        return self._now

    def revoke(self, connection: Connection, call: Call) -> None:
        """Not here: a simulation makes its tokens as it needs them."""
        raise refused("forbidden", "there is nothing to revoke in a simulation")

    def verify(self, token: str) -> tuple[Principal, int | None]:
        """See Gate; tokens of a scenario never expire."""
        return self._gate.verify(token, self._now)

    def submit(self, item: Input) -> None:
        """Kept until ``settle``."""
        self._inputs.append(item)

    def secret(self) -> str:
        """One that is not hard to guess: the next number."""
        self._secrets += 1
        return f"secret-{self._secrets}"

    def join(self, connection: Connection) -> int:
        """See Hub."""
        return self._hub.join(connection)

    def admit(self, connection: Connection) -> None:
        """See Hub."""
        self._hub.admit(connection)

    def expires(self, connection: Connection, at: int | None) -> None:
        """Never."""

    def part(self, connection: Connection, *, admitted: bool) -> None:
        """See Hub."""
        self._hub.part(connection, admitted=admitted)

"""The deterministic core: inputs in, effects out. [architecture, "The core"]

    questions -> absorb -> step -> (commit) -> committed | undo

``step`` first fires what is due, each deadline at its own moment, then does the inputs in order. Each is a
turn: the request, everything it sets off, and its result, which therefore shows the state after all of it.
Refusals and bugs end one turn and leave no trace of it. If the store refuses a batch, ``undo`` puts every
record back, and what is derived from records is derived anew.

Same inputs, same outputs, byte for byte: time is an argument and nothing here reads anything else.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable, Sequence
from typing import Any, cast

from msgspec import UNSET, Struct

from actors import files, identity, keys, mypyc_attr, reading, requests
from actors.agent import AgentActor
from actors.channel import ChannelActor
from actors.contact import ContactActor
from actors.conversation import ConversationActor
from actors.derive import derive
from actors.effects import (
    Asked,
    Configured,
    Discarded,
    Ended,
    Input,
    Mailed,
    Opened,
    Outgoing,
    Output,
    Posted,
    Reply,
    Shown,
    Uploaded,
    Wanted,
    Welcome,
)
from actors.errand import ErrandActor
from actors.files import FileActor
from actors.house import House
from actors.meeting import MeetingActor
from actors.memory import Memory
from actors.messages import Due, Introduced, Kept, SessionEnded, SessionStarted
from actors.presence import Gone, look_again
from actors.service import ServiceActor
from actors.system import Actor, Supervisor, Tick, Turn, copied
from actors.templates import TemplateActor
from actors.wheel import Timer
from protocol.codec import Call
from protocol.errors import RequestError, internal, refused
from protocol.ids import Principal
from protocol.records import (
    Batch,
    ContactRecord,
    ConversationRecord,
    DeliveryRecord,
    EntryRecord,
    KeyRecord,
    Missed,
    Question,
    Record,
    Snapshot,
)
from protocol.requests import METHODS
from protocol.settings import WorkspaceSettings

TIMERS_A_STEP = 1_000  # then others get their turn; the rest fires in the next step
RESUME_MAX = 10_000  # entries: further back, a client reads afresh


class Undo(Struct):
    """What a step changed, for taking it back."""

    step: int
    before: dict[Any, Struct | None]
    undo: list[Callable[[], object]]
    seq: int
    keys: tuple[KeyRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]
    now: int


@mypyc_attr(allow_interpreted_subclasses=True)  # a test judges each turn at its end
class Core:
    """One workspace. ``behind``: due timers are left, step again before anything else."""

    def __init__(self, settings: WorkspaceSettings) -> None:
        self.house = House(settings, ChannelActor)
        self.memory = Memory(self.house)
        self.supervisor = Supervisor()
        self.behind = False
        self.fired = 0  # deadlines, since the start
        self.failures: list[str] = []  # what went wrong in handlers, for the log; the shell empties it
        self._step = 0
        self._committed = 0
        self._before: dict[Actor, Struct | None] = {}  # of the step under way
        self._undo: list[Callable[[], object]] = []
        self._entries: list[EntryRecord] = []
        self._deliveries: dict[int, Kept] = {}
        self._keys: list[KeyRecord] = []
        self._outgoing: list[Outgoing] = []

    # ------------------------------------------------------------ starting

    def load(self, snapshot: Snapshot, now: int) -> None:
        """Take what the store remembers, once, before the first step at ``now`` (tick).

        Whoever was online is in grace from this moment on.
        """
        house = self.house
        house.seq = snapshot.last_seq
        house.services = {r.id: ServiceActor(house, r) for r in snapshot.services if not r.deleted}
        house.agents = {r.id: AgentActor(house, r) for r in snapshot.agents if not r.deleted}
        house.webhooks = {r.id: ErrandActor(house, r) for r in snapshot.webhooks}
        house.mails = {r.id: ErrandActor(house, r) for r in snapshot.mails}
        house.templates = {r.id: TemplateActor(r) for r in snapshot.templates if not r.deleted}
        house.digests.load(snapshot.digests)
        house.contacts = {record.id: ContactActor(house, record) for record in snapshot.contacts}
        for record in snapshot.conversations:
            house.conversations[record.id] = ConversationActor(house, record)
        house.views.closed.load(snapshot.closed, snapshot.conversations)
        for contact in house.contacts.values():
            house.contact_at.update(dict.fromkeys(contact.record.addresses, contact.record.id))
        house.files = {r.id: FileActor(house, r) for r in snapshot.files}
        for meeting in snapshot.meetings:
            house.meetings.add(MeetingActor(house, meeting))
        for delivery, entry in snapshot.deliveries:
            house.channel(delivery.channel).load(delivery, entry)
        self._lose_absent(now)
        self._derive(now)

    def _lose_absent(self, now: int) -> None:
        """Whoever was online before a restart is in grace: written down with the next step."""
        for agent in self.house.agents.values():
            if agent.record.live and not agent.sessions:
                self._before.setdefault(agent, copied(agent.record))
                agent.lose(now)

    def questions(self, inputs: Sequence[Input]) -> list[Question]:
        """What must be read from the store before these inputs; ask again after ``absorb`` until empty."""
        return self.memory.questions(inputs)

    def absorb(self, questions: Sequence[Question], answers: Sequence[Any]) -> None:
        """The answers, in the order of the questions."""
        self.memory.absorb(questions, answers)

    # ------------------------------------------------------------ stepping

    def step(self, now: int, inputs: Sequence[Input], *, fire: bool = True) -> Output:
        """Fire what is due up to ``now``, then do the inputs in order.

        Without ``fire`` deadlines wait: for inputs that only read, while the store takes no changes.
        """
        self._step += 1
        seq = self.house.seq
        tick: Tick = max(now, self.house.wheel.now)  # a clock that was set back does not take the house with it
        self.behind = fire and self._fire_due(tick)
        taken = 0 if self.behind else len(inputs)
        for item in inputs[:taken]:
            self._input(item, tick)
        output = self._output(seq, taken)
        self.memory.end_step(self._is_committed)
        self.house.digests.end_step(self._is_committed)
        return output

    def next_deadline(self) -> int | None:
        """When to step next if nothing else happens (tick, never too late), or None."""
        return self.house.wheel.next_deadline()

    def committed(self, output: Output) -> None:
        """The store has this output's batch. Outputs are committed in the order of their steps."""
        self._committed = output.undo.step
        self.memory.committed_at = output.undo.now
        self.memory.forget(output.undo.keys, output.undo.deliveries)

    def undo(self, outputs: Sequence[Output], now: int) -> None:
        """The store refused these, the latest steps, in their order: none of it has happened."""
        for output in reversed(outputs):
            undo: Undo = output.undo
            _restore(undo.before, undo.undo)
            self.house.seq = undo.seq
            self.memory.forget(undo.keys, undo.deliveries)
        self._lose_absent(now)
        self._derive(now)

    def statistics(self) -> dict[str, int]:
        """Sizes and counts of everything that grows."""
        machinery = {**self.memory.statistics(), **self.supervisor.statistics(), "deadlines_fired": self.fired}
        return {**self.house.statistics(), **machinery}

    def _is_committed(self, actor: Actor) -> bool:
        return actor.changed_step <= self._committed

    def _output(self, seq: int, taken: int) -> Output:
        """Gather what the step did."""
        records: list[Record] = []
        before: list[Record | None] = []
        for actor, old in self._before.items():
            if actor.record is not None and actor.record != old:
                records.append(copied(actor.record))
                before.append(cast("Record | None", old))
                actor.changed_step = self._step
        deliveries = tuple([kept.delivery for kept in self._deliveries.values()])
        records.extend(deliveries)
        before.extend([kept.was for kept in self._deliveries.values()])
        keys = tuple(self._keys)
        undo = Undo(self._step, self._before, self._undo, seq, keys, deliveries, self.house.wheel.now)
        batch = Batch(tuple(self._entries), tuple(records), keys, tuple(before))
        output = Output(batch, tuple(self._outgoing), taken, undo)
        self._before, self._undo, self._entries, self._deliveries = {}, [], [], {}
        self._keys, self._outgoing = [], []
        return output

    # ------------------------------------------------------------ deadlines

    def _fire_due(self, now: int) -> bool:
        """Fire due timers, one turn each. Returns whether some are left."""
        wheel = self.house.wheel
        for _ in range(TIMERS_A_STEP):
            timer = wheel.pop(now)
            if timer is not None:
                self._fire(timer, now)
                wheel = self.house.wheel  # a failure derives it anew
            elif not wheel.behind:
                return False
        return True

    def _fire(self, timer: Timer, now: int) -> None:
        actor: Actor = timer.owner
        self.fired += 1
        turn = Turn(self.house.wheel.now)  # when it was due; what was past when it was armed is due at that moment
        turn.send(actor, Due(timer.kind, now))
        self._run(turn, actor.address, now)

    # ------------------------------------------------------------ inputs

    def _input(self, item: Input, now: Tick) -> None:
        match item:
            case Asked():
                self._asked(item, now)
            case Opened():
                self._opened(item, now)
            case Ended():
                self._ended(item, now)
            case Configured():
                self._configured(item.settings, now)
            case Posted():
                self._heard(self.house.webhooks.get(item.webhook), item, now)
            case Mailed():
                self._heard(self.house.mails.get(item.mail), item, now)
            case Uploaded() | Wanted():
                self._filed(item, now)
            case Discarded():
                self._heard(self.house.files.get(item.file), item, now)

    def _filed(self, item: Uploaded | Wanted, now: int) -> None:
        """A file has come in, or somebody asks for one."""
        if isinstance(item, Wanted):
            principal, _ = identity.names(self.house, item.principal)
            self._outgoing.append(Shown(item.ticket, files.seen(self.house, item.file, principal)))
            return
        turn = Turn(now)
        files.keep(self.house, item.file, turn)
        failed = self._run(turn, f"file:{item.file.id}", now)
        self._outgoing.append(Shown(item.ticket, None if failed else item.file, failed))

    def _opened(self, item: Opened, now: int) -> None:
        house = self.house
        principal, before = identity.names(house, item.principal)
        if principal.role == "agent" and principal.sub not in house.agents:
            error = refused("not_found", f"there is no agent {principal.sub!r} in this workspace")
            self._outgoing.append(Welcome(item.session, item.id, house.seq, error=error))
            return
        if principal.address in self.supervisor.parked:
            error = internal(f"parked:{principal.address}")
            self._outgoing.append(Welcome(item.session, item.id, house.seq, error=error))
            return
        missed, resync = None, False
        if item.since is not None and item.since != house.seq:
            resync = not 0 < house.seq - item.since <= RESUME_MAX
            missed = None if resync else Missed(principal.address, item.since, house.seq, before)
        house.sessions[item.session] = principal
        turn = Turn(now)
        turn.undo.append(lambda: house.sessions.pop(item.session, None))
        now_is = principal if before else None
        turn.effects.append(Welcome(item.session, item.id, house.seq, missed, resync, principal=now_is))
        for actor in self._presences(principal, turn):
            turn.send(actor, SessionStarted(item.session))
        begin = None
        if principal.role == "contact":
            begin = functools.partial(identity.sign_in, self, principal, turn)
            turn.send(house.contacts[principal.sub], Introduced(principal.name, principal.email))
        self._run(turn, principal.address, now, begin)

    def _ended(self, item: Ended, now: int) -> None:
        house = self.house
        principal = house.sessions.pop(item.session, None)
        if principal is None:
            return
        turn = Turn(now)
        house.watches.end(item.session)
        house.agent_watches.end(item.session, turn)
        house.paces.pop(item.session, None)
        for presence in [found for found in house.presences.values() if found.holds(item.session)]:
            turn.send(presence, Gone(item.session))
        turn.undo.append(lambda: self.house.sessions.update({item.session: principal}))
        for actor in self._presences(principal, turn):
            turn.send(actor, SessionEnded(item.session))
        self._run(turn, principal.address, now)
        if principal.role == "contact":
            self.house.contacts[principal.sub].changed_step = self._step  # stays until this end is committed
            self.memory.idle(principal.sub)

    def _presences(self, principal: Principal, turn: Turn) -> list[Actor]:
        """Whose presence a session is."""
        house = self.house
        match principal.role:
            case "agent":
                return [house.agents[principal.sub]]
            case "contact":
                return [self.contact(principal.sub, turn)]
            case "connector":
                return [house.channel(name) for name in principal.channels]
        return []

    def contact(self, name: str, turn: Turn) -> ContactActor:
        """The contact of this id; one never heard of begins to exist in this turn."""
        house = self.house
        if name not in house.contacts:
            actor = house.contacts[name] = ContactActor(house, ContactRecord(id=name))
            turn.spawned(actor)
            turn.undo.append(lambda: house.contacts.pop(name, None))
        return house.contacts[name]

    def _configured(self, settings: WorkspaceSettings, now: int) -> None:
        turn = Turn(now)
        for agent in settings.agents:
            if agent.id not in self.house.agents or self.house.agents[agent.id].record.settings != agent:
                requests.put_agent(self.house, agent, turn)
        for service in settings.services:
            if service.id not in self.house.services or self.house.services[service.id].record.settings != service:
                requests.put_service(self.house, service, turn)
        failed = self._run(turn, "workspace", now)
        if failed is not None:
            raise failed

    def _heard(self, actor: ErrandActor | FileActor | None, item: Posted | Mailed | Discarded, now: int) -> None:
        """What became of an errand; None = it is not pending any more."""
        if actor is not None:
            turn = Turn(now)
            turn.send(actor, item)
            self._run(turn, actor.address, now)

    def _asked(self, item: Asked, now: Tick) -> None:
        principal = self.house.sessions.get(item.session)
        if principal is None:
            return
        call = item.call
        wants_answer = call.id is not UNSET
        turn = Turn(now)
        turn.session, turn.secret = item.session, item.secret
        reply = self._answer(call, principal, turn, now)
        if not wants_answer:
            return
        ident: Any = call.id
        if isinstance(reply, RequestError):
            self._outgoing.append(Reply(item.session, ident, call.method, error=reply))
        elif type(reply) is requests.Page:
            self._outgoing.append(Reply(item.session, ident, call.method, reply.result, question=reply.question))
        else:
            self._outgoing.append(Reply(item.session, ident, call.method, reply))

    def _answer(self, call: Call, principal: Principal, turn: Turn, now: int) -> Any:
        """Do a request: its result, or the error that refuses it."""
        address = requests.address(call, principal)
        try:
            if principal.role not in METHODS[call.method].roles:
                raise refused("forbidden")
            if address in self.supervisor.parked:
                raise internal(f"parked:{address}")
            requests.check_channel(call, principal)
            names = keys.names_of(call, principal)
            known = keys.recall(self.memory, names, now)
            if known is not None:
                return known
        except RequestError as error:
            return error
        failed = self._do(call, principal, turn, address, now)
        if failed is not None:
            return failed
        if names and not isinstance(turn.answer, requests.Page):
            for record in keys.records(names, turn.answer, now):
                self.memory.remember(record)
                self._keys.append(record)
        return turn.answer

    # ------------------------------------------------------------ a turn

    def _do(self, call: Call, principal: Principal, turn: Turn, address: str, now: int) -> RequestError | None:
        """A request's turn: its answer stands in the turn at the end. A request may be refused."""
        try:
            requests.begin(self, call, principal, turn)
            self._settle(turn)
            turn.answer = requests.result(self, call, principal, turn)
        except RequestError as refusal:
            self._roll_back(turn, now)
            return refusal
        except Exception as problem:
            return self._bug(address, problem, turn, now)
        self._keep(turn, address)
        return None

    def _run(self, turn: Turn, address: str, now: int, begin: Callable[[], None] | None = None) -> RequestError | None:
        """Any other turn: nobody refuses it, so whatever raises is a bug."""
        if address in self.supervisor.parked:
            return None
        try:
            if begin is not None:
                begin()
            self._settle(turn)
        except Exception as problem:
            return self._bug(address, problem, turn, now)
        self._keep(turn, address)
        return None

    def _settle(self, turn: Turn) -> None:
        """Handle messages until none are left, then bring in line what follows from the records."""
        turn.run()
        look_again(self.house, turn)
        reading.settle(self.house, turn)
        self.house.digests.settle(turn)
        for actor in tuple(turn.before):
            actor.settle(turn)

    def _bug(self, address: str, problem: Exception, turn: Turn, now: int) -> RequestError:
        """Leave no trace of the turn, and note what only our own fault can have caused, against ``address``."""
        self._roll_back(turn, now, thoroughly=True)
        self.supervisor.failed(address, f"{type(problem).__name__}: {problem}")
        incident = f"i{self._step}-{self.supervisor.failures}"
        self.failures.append(f"{incident} at {address}: {''.join(traceback.format_exception(problem))}")
        return internal(incident)

    def _keep(self, turn: Turn, address: str) -> None:
        """It went well: its effects are the step's."""
        self.supervisor.worked(address)
        for actor, old in turn.before.items():
            self._before.setdefault(actor, old)
        self._notice(turn)
        self._undo.extend(turn.undo)
        for effect in turn.effects:
            kind = type(effect)
            if kind is EntryRecord:
                self._entries.append(effect)
            elif kind is Kept:
                delivery: DeliveryRecord = effect.delivery
                first = self._deliveries.get(delivery.seq, effect)
                self._deliveries[delivery.seq] = Kept(delivery, first.was)
                self.memory.remember_delivery(delivery)
            else:
                self._outgoing.append(effect)

    def _derive(self, now: int) -> None:
        derive(self.house, now, self.supervisor.parked)
        self.memory.refresh(now)

    def _notice(self, turn: Turn) -> None:
        """Bring the lists in line with what the turn touched, and tell those who watch them."""
        house = self.house
        touched: dict[ConversationActor, Any] = {}
        for actor, old in turn.before.items():
            kind = type(actor)
            if isinstance(actor, ConversationActor):
                touched[actor] = old
                self.memory.touched(actor)
                if isinstance(old, ConversationRecord) and old.members is not actor.record.members:
                    for name in old.members:
                        self.memory.idle(name)
            elif kind is AgentActor or kind is ChannelActor:  # nothing of theirs is in a list
                continue
            elif isinstance(actor, ContactActor):
                for name in actor.conversations:
                    touched.setdefault(house.conversations[name], house.conversations[name].record)
            elif isinstance(actor, ServiceActor) and old != actor.record:
                house.watches.regroup()
            elif isinstance(actor, FileActor):
                self.memory.handled(actor)
        watched = len(house.watches) > 0
        for actor, old in touched.items():
            place, now_at = house.views.put(actor.record)
            if watched and (place != now_at or old != actor.record or old is actor.record):
                house.watches.noticed(place, old, actor.record, turn.now)

    def _roll_back(self, turn: Turn, now: int, *, thoroughly: bool = False) -> None:
        """Nothing of this turn has happened. ``thoroughly``: who knows what a bug has touched: derive all anew."""
        thoroughly = thoroughly or any(actor.DERIVES for actor in turn.changed())
        for effect in turn.effects:
            if isinstance(effect, EntryRecord):
                self.house.seq = min(self.house.seq, effect.entry.seq - 1)
        _restore(turn.before, turn.undo)
        if thoroughly:
            self._derive(now)


def _restore(before: dict[Any, Struct | None], undo: list[Callable[[], object]]) -> None:
    """Make every record what it was, and take back what no record shows. Derived things are not touched."""
    for actor, old in before.items():
        if old is not None:
            actor.record = old
    for take_back in reversed(undo):
        take_back()

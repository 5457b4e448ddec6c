"""Live lists: whoever watches hears what enters, changes in and leaves a list. [protocol §4, conversation.changed]

A change is noted at once and told at most ``COALESCE_MS`` later, with whatever else came meanwhile: the last state
always comes. Whether a conversation was in the list is worked out from where it stood before; only lists filtered
by tag or name remember their members, because those change outside the conversation.

A conversation's position changes with those before it in the queue. Only the first ``FOLLOWED`` of each class in a
service are followed: whoever stands further back is told when something else about it changes, or when it comes so far.
So one assignment from a queue of any length costs a watch O(FOLLOWED).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import reading
from actors.access import may_see
from actors.effects import Tell
from actors.messages import Due
from actors.places import EVERY, Place
from actors.summary import summary
from actors.system import Actor, Turn
from actors.views import passes, wanted_of
from actors.wheel import Timer
from protocol.ids import Principal
from protocol.notices import ConversationChanged
from protocol.objects import Conversation
from protocol.records import ConversationRecord
from protocol.requests import ConversationWatch
from protocol.times import Moment

if TYPE_CHECKING:
    from msgspec import Struct

    from actors.house import House

COALESCE_MS = 100
WATCHES_MAX = 20  # a session
FOLLOWED = (
    20  # positions of a class in a service: what one looks at; each may be a notice to each watch every COALESCE_MS
)


class WatchActor(Actor):
    """One watched list of one session. It is forgotten with the session."""

    __slots__ = (
        "_fronts",
        "_house",
        "_members",
        "_moved",
        "_pending",
        "number",
        "params",
        "principal",
        "record",
        "session",
        "timer",
    )

    def __init__(
        self, house: House, number: int, session: int, principal: Principal, params: ConversationWatch
    ) -> None:
        super().__init__()
        self.record = None
        self.number = number
        self.session = session
        self.principal = principal
        self.params = params
        self.timer = Timer(self, "watch")
        self._house = house
        self._pending: dict[str, bool] = {}  # conversation -> whether the client has it in the list
        self._moved: dict[str, None] = {}  # services whose queues have moved since
        self._fronts: dict[str, dict[str, int]] = {}  # service -> conversation -> the position told last
        remembers = params.tag is not None or params.search is not None
        self._members: set[str] | None = set() if remembers else None
        if remembers:
            self._remember_all()

    @property
    def name(self) -> str:
        """The watch's id."""
        return f"w{self.number}"

    @property
    def address(self) -> str:
        """What it is called in logs."""
        return f"watch:{self.name}"

    def receive(self, message: Struct, turn: Turn) -> None:
        """The time has come to tell."""
        assert isinstance(message, Due)
        pending, self._pending = self._pending, {}
        moved, self._moved = self._moved, {}
        fronts, self._fronts = self._fronts, dict(self._fronts)
        members = None if self._members is None else set(self._members)
        turn.undo.append(lambda: self._take_back(pending, moved, fronts, members))
        elsewhere = {name: True for service in moved for name in self._follow(service)}
        for conversation, was in {**elsewhere, **pending}.items():
            self._tell(conversation, was, turn)

    def noticed(self, old: Place | None, before: ConversationRecord | None, record: ConversationRecord) -> bool:
        """A conversation has changed. Returns whether there is something to tell, later."""
        if record.id in self._pending:
            return True
        if self._members is not None:
            was = record.id in self._members
        else:
            was = old is not None and before is not None and self._holds(old, before)
        if not was and not self._holds_now(record):
            return False
        self._pending[record.id] = was
        return True

    def expect(self, record: ConversationRecord) -> None:
        """Somebody is about to see this conversation, or to see it no longer."""
        was = self._holds_now(record) if self._members is None else record.id in self._members
        self._pending.setdefault(record.id, was)

    def _take_back(
        self,
        pending: dict[str, bool],
        moved: dict[str, None],
        fronts: dict[str, dict[str, int]],
        members: set[str] | None,
    ) -> None:
        """Nobody was told: it is still to be said."""
        self._pending, self._members = {**self._pending, **pending}, members
        self._moved, self._fronts = {**self._moved, **moved}, fronts

    def moved(self, service: str) -> None:
        """A queue has moved: positions in it may have changed."""
        self._moved[service] = None

    def follow(self, service: str) -> dict[str, int]:
        """The positions that are told from now on if they change; those that were told last."""
        house, old = self._house, self._fronts.get(service, {})
        self._fronts[service] = house.services[service].front(FOLLOWED) if service in house.services else {}
        return old

    def _follow(self, service: str) -> list[str]:
        """What is in the list and has changed its position among the first of this service."""
        house, old, new = self._house, self.follow(service), self._fronts[service]
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name) and name in house.conversations]
        return [name for name in changed if self._holds_now(house.conversations[name].record)]

    def rearm(self, now: int) -> None:
        """The wheel is a new one."""
        self.timer = Timer(self, "watch")
        if self._pending or self._moved:
            self._house.wheel.arm(self.timer, now + COALESCE_MS)

    def _tell(self, conversation: str, was: bool, turn: Turn) -> None:
        actor = self._house.conversations.get(conversation)
        if actor is None:
            return
        record = actor.record
        now_in = self._holds_now(record)
        if self._members is not None:
            (self._members.add if now_in else self._members.discard)(conversation)
        if was or now_in:
            item = self._item(record, turn.now)
            turn.effects.append(Tell((self.session,), ConversationChanged(self.name, item, not now_in)))

    def _item(self, record: ConversationRecord, now: int) -> Conversation:
        """The summary; of what may no longer be seen only that it was there."""
        if may_see(self._house, record, self.principal):
            return summary(self._house, record, now, reader=self.principal.address)
        return Conversation(id=record.id, created_at=Moment(record.created_at))

    def _holds_now(self, record: ConversationRecord) -> bool:
        place = self._house.views.places.get(record.id)
        return place is not None and self._holds(place, record)

    def _holds(self, place: Place, record: ConversationRecord) -> bool:
        wanted = wanted_of(self.params) or {EVERY}
        return bool(place.statuses & wanted) and passes(self._house, self.params, self.principal, record)

    def _remember_all(self) -> None:
        house = self._house
        assert self._members is not None
        for conversation in house.conversations.values():
            if self._holds_now(conversation.record):
                self._members.add(conversation.record.id)


class Watches:
    """All watches, found by what may concern them: a service, an agent's crew, or everything."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._numbers = 0
        self._all: dict[int, WatchActor] = {}
        self._of: dict[str, dict[int, WatchActor]] = {}  # "service:…", "agent:…", "*"
        self._by_session: dict[int, dict[int, WatchActor]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def add(self, session: int, principal: Principal, params: ConversationWatch) -> WatchActor:
        """Somebody watches a list."""
        self._numbers += 1
        watch = WatchActor(self._house, self._numbers, session, principal, params)
        self.keep(watch)
        for service in self._house.services:
            if self._follows(watch, service):
                watch.follow(service)
        return watch

    def keep(self, watch: WatchActor) -> None:
        """It is watched: from now on, or still, if the step that ended it is taken back."""
        self._all[watch.number] = watch
        self._by_session.setdefault(watch.session, {})[watch.number] = watch
        for topic in self._topics(watch):
            self._of.setdefault(topic, {})[watch.number] = watch

    def of(self, session: int) -> dict[str, WatchActor]:
        """A session's watches by id."""
        return {watch.name: watch for watch in self._by_session.get(session, {}).values()}

    def remove(self, watch: WatchActor) -> None:
        """It is watched no longer. Idempotent: a step that is taken back may have ended it already."""
        self._house.wheel.cancel(watch.timer)
        if self._all.pop(watch.number, None) is None:
            return
        self._by_session[watch.session].pop(watch.number)
        for members in self._of.values():
            members.pop(watch.number, None)

    def end(self, session: int) -> None:
        """A session is gone, and its watches with it."""
        for watch in self.of(session).values():
            self.remove(watch)
        self._by_session.pop(session, None)

    def changing(self, service: str, agents: set[str], now: int) -> None:
        """These agents are about to see more or less of a service: what they watch of it is looked at again."""
        for watch in self._all.values():
            if watch.principal.role == "agent" and watch.principal.sub in agents:
                for actor in self._house.conversations.values():
                    if actor.record.service == service:
                        watch.expect(actor.record)
                if not watch.timer.armed:
                    self._house.wheel.arm(watch.timer, now + COALESCE_MS)

    def regroup(self) -> None:
        """Services have other members: find out anew what concerns whom."""
        self._of.clear()
        for watch in self._all.values():
            for topic in self._topics(watch):
                self._of.setdefault(topic, {})[watch.number] = watch

    def rearm(self, now: int) -> None:
        """The wheel is a new one."""
        for watch in self._all.values():
            watch.rearm(now)

    def noticed(
        self, old: Place | None, before: ConversationRecord | None, record: ConversationRecord, now: int
    ) -> None:
        """A conversation has changed: whoever watches a list that it is or was in hears of it soon."""
        if not self._all:
            return
        services = {record.service, None if old is None else old.service}
        crew = {*record.crew, *(() if before is None else before.crew)}
        topics = ["*", *(f"service:{name}" for name in services), *(f"agent:{name}" for name in crew)]
        concerned = {number: watch for topic in topics for number, watch in self._of.get(topic, {}).items()}
        readers = reading.changed(before, record)
        for _, watch in sorted(concerned.items()):
            if readers is not None and watch.principal.address not in readers:
                continue
            if watch.noticed(old, before, record) and not watch.timer.armed:
                self._house.wheel.arm(watch.timer, now + COALESCE_MS)

    def moved(self, service: str, now: int) -> None:
        """The queue of a service has moved."""
        if not self._all:
            return
        for topic in ("*", f"service:{service}"):
            for watch in self._of.get(topic, {}).values():
                if watch.params.service in (None, service):
                    watch.moved(service)
                    if not watch.timer.armed:
                        self._house.wheel.arm(watch.timer, now + COALESCE_MS)

    def _follows(self, watch: WatchActor, service: str) -> bool:
        topics = {"*", f"service:{service}"}
        return watch.params.service in (None, service) and not topics.isdisjoint(self._topics(watch))

    def _topics(self, watch: WatchActor) -> list[str]:
        principal, params = watch.principal, watch.params
        if principal.role != "agent":
            return ["*"] if params.service is None else [f"service:{params.service}"]
        agent = self._house.agents.get(principal.sub)
        services = () if agent is None else agent.services
        return [f"agent:{principal.sub}", *(f"service:{name}" for name in services)]

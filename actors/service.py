"""A service: its queue and its members, and the search for the first available agent. [behaviour §3]

The queue (``waiting``) and the members who could take something (``candidates``) are indexes derived from
the records of conversations and agents; the record holds the settings and where round robin stands.

Two searches meet here and never overlap, because both are sent by ``Turn.later`` and so made one at a time:
a conversation that needs an agent looks through the candidates (``Dispatch``, by ``later``), an agent with a free
slot looks through the queues of its services (``Refill``, by ``last``: what has just lost its agent is first given to
whom the strategy says).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from actors.candidates import Candidates
from actors.deadlines import Rules
from actors.effects import Tell
from actors.explain import Excluded, excluded
from actors.house import House
from actors.messages import (
    Delete,
    Dequeue,
    Dispatch,
    Due,
    Enqueue,
    Listen,
    MemberChanged,
    MembershipChanged,
    NobodyFree,
    PutService,
    Reconfigured,
    Take,
)
from actors.position import Listeners
from actors.system import Actor, Tick, Turn
from actors.waiting import Order, Waiting
from actors.wheel import Timer
from protocol.errors import refused
from protocol.notices import OfferGone
from protocol.objects import Colour, Rule
from protocol.records import ConversationRecord, ServiceRecord
from protocol.settings import Member, ServiceSettings

if TYPE_CHECKING:
    from msgspec import Struct

OFFERS_MAX = 500  # heard at once by somebody who comes online or joins, or leaves


class ServiceActor(Actor):
    """One service."""

    __slots__ = (
        "_house",
        "_skills",
        "addresses",
        "candidates",
        "excluded",
        "listeners",
        "managers",
        "members",
        "offers",
        "places",
        "record",
        "rules",
        "timer",
        "waiting",
    )
    record: ServiceRecord
    members: dict[str, Member]
    places: dict[str, int]  # agent -> place in the list of members
    managers: tuple[str, ...]
    addresses: tuple[str, ...]  # where the members hear of offers
    rules: Rules

    def __init__(self, house: House, record: ServiceRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.timer = Timer(self, "position")
        self.listeners = Listeners(house, self)
        self.derive()

    def derive(self) -> None:
        """Make everything derived from the settings anew; the indexes come out empty."""
        settings = self.record.settings
        self.rules = Rules(settings)
        self.waiting = Waiting()  # for the house to give to an agent
        self.offers = Waiting()  # for somebody to take
        self.candidates = Candidates(settings.strategy)
        self.excluded: dict[str, dict[str, Excluded]] = {}  # class -> member -> why it is no candidate
        self.members = {member.agent: member for member in settings.members}
        self.places = {agent: place for place, agent in enumerate(self.members)}
        named = tuple(member.agent for member in settings.members if member.manager)
        self.managers = named or tuple(member.agent for member in settings.members if member.role == "admin")
        self.addresses = tuple(f"agent:{agent}" for agent in self.members)
        self._skills = frozenset(settings.skills)

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        match message:
            case MemberChanged():
                self.seat(message.agent, message.channel_class)
            case Dispatch():
                self._dispatch(message, turn)
            case Enqueue():
                self.admit(self._house.conversations[message.conversation].record)
                self.listeners.moved(turn)
                self._house.watches.moved(self.record.id, turn.now)
                turn.later(self, Dispatch(message.conversation, message.prefer, message.again))
            case Dequeue():
                self.waiting.remove(message.conversation)
                self.offers.remove(message.conversation)
                self.listeners.left(self._house.conversations[message.conversation].record, turn)
                self._house.watches.moved(self.record.id, turn.now)
            case Listen():
                self.listeners.listen(message.conversation, turn)
            case Due():
                self.listeners.tell(turn)
            case PutService():
                self._put(message.settings, turn)
            case Delete():
                self._delete(turn)
            case _:
                raise AssertionError(f"a service cannot take {message}")

    # ------------------------------------------------------------ what it publishes

    def colour(self, channel_class: str) -> Colour:
        """Green if somebody could take a conversation, orange if somebody is there, else red."""
        if self.candidates.any(channel_class):
            return "green"
        agents = (self._house.agents.get(agent) for agent in self.members)
        there = any(agent is not None and agent.is_there(channel_class) for agent in agents)
        return "orange" if there else "red"

    def check_available(self, channel_class: str, anyway: bool) -> None:
        """Raises RequestError (service_unavailable) unless somebody is green or it is to go through ``anyway``."""
        colour = self.colour(channel_class)
        if colour != "green" and not anyway:
            raise refused("service_unavailable", colour=colour)

    def check_queue(self, channel_class: str, skills: tuple[str, ...]) -> None:
        """Raises RequestError (queue_full) if one more would have to wait and may not. [behaviour §3]"""
        most = self.record.settings.max_waiting
        if most is None or len(self.waiting) + len(self.offers) < most:
            return
        if (
            self.record.settings.mode != "push"
            or self.candidates.pick(channel_class, self.required(skills), lambda agent: False) is None
        ):
            raise refused("queue_full", limit=most)

    def required(self, skills: tuple[str, ...]) -> frozenset[str]:
        """The skills an agent needs for a conversation that itself asks for these."""
        return self._skills.union(skills) if skills else self._skills

    # ------------------------------------------------------------ indexes

    def admit(self, record: ConversationRecord) -> None:
        """Put a conversation in its place: among those the house gives away, or those on offer."""
        required = self.required(record.skills)
        here, elsewhere = (self.waiting, self.offers) if record.routed else (self.offers, self.waiting)
        age: Tick = cast(Any, record).age_since  # the number itself, where the type would have it copied
        here.add(record.id, record.channel_class or "", required, record.priority, age)
        elsewhere.remove(record.id)

    def position(self, record: ConversationRecord) -> int | None:
        """Its place in the queue from 1, among all of its class that wait here; None if it does not."""
        if record.id not in self.waiting and record.id not in self.offers:
            return None
        order, channel_class = Order(-record.priority, record.age_since, record.id), record.channel_class or ""
        return 1 + self.waiting.ahead(channel_class, order) + self.offers.ahead(channel_class, order)

    def front(self, limit: int) -> dict[str, int]:
        """The positions of the first ``limit`` conversations of each class."""
        found: dict[str, int] = {}
        for channel_class in self._house.classes:
            here, there = (queue.front(channel_class, limit) for queue in (self.waiting, self.offers))
            found.update((order.conversation, place) for place, order in enumerate(sorted(here + there)[:limit], 1))
        return found

    def on_offer(self) -> list[str]:
        """What is on offer; after ``offer_within`` it stands while the house looks for an agent."""
        conversations = self._house.conversations
        late = (name for name in self.waiting.in_order(OFFERS_MAX) if conversations[name].record.offered_at is not None)
        return [*self.offers.in_order(OFFERS_MAX), *late]

    def seat(self, agent: str, channel_class: str) -> None:
        """Bring a member's seat in line with what the agent publishes."""
        actor, member = self._house.agents.get(agent), self.members.get(agent)
        seat = None
        if actor is not None and member is not None and member.is_routed:
            seat = actor.seat(self, channel_class)
        self.candidates.put(channel_class, agent, seat)
        out = self.excluded.setdefault(channel_class, {})
        out.pop(agent, None)
        if seat is None and actor is not None and member is not None:
            why = excluded(self, actor, channel_class)
            assert why is not None
            out[agent] = why

    # ------------------------------------------------------------ the search

    def _dispatch(self, message: Dispatch, turn: Turn) -> None:
        waits = message.conversation in self.waiting
        if not waits and message.conversation not in self.offers:
            return
        record = self._house.conversations[message.conversation].record
        agent = self._pick(record, message.prefer, only_preferred=not waits)
        if agent is None:
            if waits and not message.again:
                turn.send(self._house.conversations[record.id], NobodyFree())
            return
        rule: Rule = "sticky" if agent == message.prefer else "strategy"
        if self.candidates.strategy == "round_robin" and rule == "strategy":
            self.record.picked_last = agent
        take = Take(record.id, self.record.id, record.channel_class or "", record.need, rule=rule)
        turn.send(self._house.agents[agent], take)

    def _pick(self, record: ConversationRecord, prefer: str | None, *, only_preferred: bool) -> str | None:
        """The preferred agent if green, else (but not for what is on offer) the strategy's first available one."""
        paused = {agent for agent, _ in record.paused}
        channel_class, skills = record.channel_class or "", self.required(record.skills)
        if prefer is not None and prefer not in paused and self._is_green(prefer, channel_class, skills):
            return prefer
        if only_preferred:
            return None
        after = self.places.get(self.record.picked_last or "", -1)
        seat = self.candidates.pick(channel_class, skills, paused.__contains__, after)
        return None if seat is None else seat.agent

    def _is_green(self, name: str, channel_class: str, skills: frozenset[str]) -> bool:
        """Whether this very member could take it; an admin too, if asked for by name."""
        agent = self._house.agents.get(name) if name in self.members else None
        seat = None if agent is None else agent.seat(self, channel_class)
        return seat is not None and skills <= seat.skills

    # ------------------------------------------------------------ configuration

    def _delete(self, turn: Turn) -> None:
        """Be no more. Nobody is evicted: a service with live conversations stays."""
        house, name = self._house, self.record.id
        live = ("open", "snoozed")
        if any(c.record.service == name and c.record.state in live for c in house.conversations.values()):
            raise refused("conflict", "the service has live conversations: move or close them first")
        self.record.deleted = True
        services = dict(house.services)
        del house.services[name]
        turn.undo.append(lambda: house.services.update(services))
        for agent in self.members:
            if agent in house.agents:
                turn.send(house.agents[agent], MembershipChanged())

    def _put(self, settings: ServiceSettings, turn: Turn) -> None:
        """Take new settings; what they change happens in this turn. Nobody is evicted."""
        members = dict.fromkeys((*self.members, *(member.agent for member in settings.members)))
        self._tell_before(settings, turn)
        self.record.settings = settings
        self.derive()
        house = self._house
        for conversation in house.conversations.values():
            record = conversation.record
            if record.service == self.record.id and record.state in ("open", "snoozed"):
                turn.send(conversation, Reconfigured())
                if record.queued:
                    self.admit(record)
                if record.assignee is not None:
                    members[record.assignee] = None  # its grace is this service's, member or not
        for agent in members:
            if agent in house.agents:
                turn.send(house.agents[agent], MembershipChanged())

    def _tell_before(self, settings: ServiceSettings, turn: Turn) -> None:
        """While it can still be told who sees and has been offered what: whoever leaves loses the offers."""
        before, after = _sight(self.record.settings), _sight(settings)
        changing = {agent for agent in (*before, *after) if before.get(agent) != after.get(agent)}
        self._house.watches.changing(self.record.id, changing, turn.now)
        leaving = tuple(f"agent:{agent}" for agent in before if agent not in after)
        if leaving:
            turn.effects.extend(Tell(leaving, OfferGone(name, "moved")) for name in self.on_offer())


def _sight(settings: ServiceSettings) -> dict[str, tuple[str, bool]]:
    """What decides which conversations of a service its members see."""
    return {member.agent: (member.role, settings.mode == "grab") for member in settings.members}

"""An agent: switches, slots, colour, and the grace after the last session. [behaviour §2, §9]

A slot belongs to the agent: whether there is room and taking it are one step of this actor, so no race can
take an agent above the maximum. Slots in use are derived from the conversations' records; the record holds
the switches, the idle clocks and whether somebody is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.candidates import Seat
from actors.effects import Tell
from actors.house import House
from actors.messages import (
    AssigneeLost,
    Delete,
    Dispatch,
    Due,
    Free,
    MemberChanged,
    MembershipChanged,
    PutAgent,
    Refill,
    SessionEnded,
    SessionStarted,
    Switch,
    SwitchOff,
    Take,
    Taken,
)
from actors.system import Actor, Turn
from actors.waiting import Order
from actors.wheel import Timer
from protocol.errors import bad_params, refused
from protocol.notices import AgentChanged
from protocol.objects import Agent, Colour, Rule
from protocol.records import AgentRecord
from protocol.requests import SetAvailability
from protocol.settings import ServiceSettings

if TYPE_CHECKING:
    from msgspec import Struct

    from actors.service import ServiceActor

GRACE_MS = ServiceSettings(id="-").disconnect_grace  # of an agent without services


class AgentActor(Actor):
    """One agent."""

    __slots__ = ("_announced", "_held", "_held_in", "_house", "_skills", "record", "services", "sessions", "timer")
    record: AgentRecord

    def __init__(self, house: House, record: AgentRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.timer = Timer(self, "grace")
        self.sessions: dict[int, None] = {}
        self.services: dict[str, ServiceActor] = {}  # in configuration order
        self._announced: tuple[dict[str, Colour], dict[str, int]] | None = None
        self.derive()

    def derive(self) -> None:
        """Make what is derived anew, without any conversation: those are told by ``hold``."""
        self._held: dict[str, dict[str, str]] = {}  # class -> conversation -> service
        self._held_in: dict[tuple[str, str], int] = {}  # (service, class) -> slots used there
        self._skills = frozenset(self.record.settings.skills)
        self._find_services()

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        match message:
            case Take():
                self._take(message, turn)
            case Free():
                self._free(message, turn)
            case Refill():
                self._refill(message, turn)
            case SessionStarted():
                self._session_started(message.session, turn)
            case SessionEnded():
                self._session_ended(message.session, turn)
            case Switch():
                self._switch(message.params, turn)
            case SwitchOff():
                self._switch_off(message.channel_class, turn)
            case Due():
                self._grace_over(turn)
            case Delete():
                self._delete(turn)
            case PutAgent():
                self.record.settings = message.settings
                self._skills = frozenset(message.settings.skills)
                self._changed_throughout(turn)
            case MembershipChanged():
                self._join_and_leave(turn)
                self._changed_throughout(turn)
            case _:
                raise AssertionError(f"an agent cannot take {message}")

    def settle(self, turn: Turn) -> None:
        """Say once a turn what has changed, and arm the timer."""
        self.arm()
        now = (self.availability(), self.used())
        if now != self._announced:
            before, self._announced = self._announced, now
            turn.undo.append(lambda: setattr(self, "_announced", before))
            to: tuple[str | int, ...] = (f"agent:{self.record.id}", *self._house.agent_watches.of(self.record.id))
            turn.effects.append(Tell(to, AgentChanged(self.record.id, *now)))

    # ------------------------------------------------------------ what it publishes

    def view(self) -> Agent:
        """The agent as clients see it."""
        settings = self.record.settings
        given = {name: getattr(settings, name) for name in settings.__struct_fields__}
        return Agent(**given, availability=self.availability(), used=self.used())

    def used(self) -> dict[str, int]:
        """Used slots by class."""
        return {channel_class: self._used(channel_class) for channel_class in self._house.classes}

    def availability(self) -> dict[str, Colour]:
        """The colour of each class."""
        return {channel_class: self.colour(channel_class) for channel_class in self._house.classes}

    def colour(self, channel_class: str) -> Colour:
        """Derived, never stored: red, orange or green. [behaviour §2]"""
        if not self.is_there(channel_class):
            return "red"
        if self._is_full(channel_class):
            return "orange"
        for service in self.services.values():
            if self._below_limit(service, channel_class):
                return "green"
        return "orange"

    def is_there(self, channel_class: str) -> bool:
        """Switched on, and online or within the longest grace."""
        return channel_class in self.record.switched_on and (bool(self.sessions) or self._in_grace)

    def seat(self, service: ServiceActor, channel_class: str) -> Seat | None:
        """The agent as this service's routing sees it; None = no candidate now."""
        if not self._can_take(service, channel_class):
            return None
        own, limit = self._maximum(channel_class), service.record.settings.max_slots.get(channel_class)
        used, used_here = self._used(channel_class), self._held_in.get((service.record.id, channel_class), 0)
        ratio, spare = 0.0, None
        for taken, most in ((used, own), (used_here, limit)):
            if most:
                ratio = max(ratio, taken / most)
                spare = most - taken if spare is None else min(spare, most - taken)
        return Seat(
            agent=self.record.id,
            skills=self._skills,
            used=used,
            ratio=ratio,
            spare=spare,
            idle_since=self.record.assigned_last.get(channel_class, -1),
            place=service.places[self.record.id],
        )

    def full(self, channel_class: str) -> Rule:
        """What keeps an agent who is there from taking more: its own maximum or a service's."""
        return "at_maximum" if self._is_full(channel_class) else "service_limit"

    def holds(self) -> list[str]:
        """The conversations that take its slots."""
        return [conversation for held in self._held.values() for conversation in held]

    def hold(self, conversation: str, channel_class: str, service: str) -> None:
        """A slot is in use: by a conversation just taken (perhaps from itself, in another service), or loaded."""
        held = self._held.setdefault(channel_class, {})
        if conversation in held:
            self._held_in[held[conversation], channel_class] -= 1
        held[conversation] = service
        place = (service, channel_class)
        self._held_in[place] = self._held_in.get(place, 0) + 1

    def _delete(self, turn: Turn) -> None:
        """Be no more. Nobody is evicted: whoever has conversations or is online stays."""
        if self.sessions or self.holds():
            raise refused("conflict", "the agent is online or has conversations")
        name, agents = self.record.id, self._house.agents
        self.record.deleted = True
        for meeting in self._house.meetings.of(name):
            turn.send(meeting, Delete())
        del agents[name]
        turn.undo.append(lambda: agents.update({name: self}))
        for service in self.services.values():
            for channel_class in self._house.classes:
                turn.send(service, MemberChanged(name, channel_class))

    # ------------------------------------------------------------ slots

    def _used(self, channel_class: str) -> int:
        return len(self._held.get(channel_class, ()))

    def _maximum(self, channel_class: str) -> int | None:
        return self.record.settings.capacity.get(channel_class)

    def _room(self, service: ServiceActor, channel_class: str) -> bool:
        """Below its own maximum and below this service's."""
        return not self._is_full(channel_class) and self._below_limit(service, channel_class)

    def _is_full(self, channel_class: str) -> bool:
        own = self._maximum(channel_class)
        return own is not None and self._used(channel_class) >= own

    def _below_limit(self, service: ServiceActor, channel_class: str) -> bool:
        limit = service.record.settings.max_slots.get(channel_class)
        return limit is None or self._held_in.get((service.record.id, channel_class), 0) < limit

    def _can_take(self, service: ServiceActor, channel_class: str) -> bool:
        """A candidate: online (not merely in grace), switched on, with room."""
        online = bool(self.sessions) and channel_class in self.record.switched_on
        return online and self._room(service, channel_class)

    def _take(self, message: Take, turn: Turn) -> None:
        """Check and take in one step."""
        service = self._house.services[message.service]
        if message.handover is not None:
            self._check_green(message, service)
            self._book(message, turn)
            return
        first = self._first_waiting(message.channel_class)
        routed = service.members[self.record.id].is_routed
        waits = routed and message.conversation in service.waiting  # else this agent was asked for by name
        if waits and first is None:
            raise AssertionError(f"{self.record.id} was picked but cannot take {message}")
        if waits and first is not None and first[1].conversation != message.conversation:  # somebody has waited longer
            turn.send(self, Refill(message.channel_class))
            turn.later(service, Dispatch(message.conversation))
            return
        self._book(message, turn)

    def _check_green(self, message: Take, service: ServiceActor) -> None:
        if message.forced:
            return
        channel_class = message.channel_class
        if message.reason == "grabbed" and not self._can_take(service, channel_class):
            raise refused("no_free_slot", colour=self.colour(channel_class))
        if not self.is_there(channel_class):
            raise refused("agent_unavailable", colour="red")
        held = message.conversation in self._held.get(channel_class, ())  # it only changes its service
        if not (self._below_limit(service, channel_class) if held else self._room(service, channel_class)):
            raise refused("agent_unavailable", colour="orange")

    def _book(self, message: Take, turn: Turn) -> None:
        if message.conversation in self._held.get(message.channel_class, ()):  # its old service has room now
            turn.last(self, Refill(message.channel_class))
        self.hold(message.conversation, message.channel_class, message.service)
        self._restart_idle(message.channel_class, turn)
        taken = Taken(self.record.id, message.service, message.reason, message.handover, message.rule)
        turn.send(self._house.conversations[message.conversation], taken)
        self._changed(message.channel_class, turn)

    def _free(self, message: Free, turn: Turn) -> None:
        service = self._held.get(message.channel_class, {}).pop(message.conversation, None)
        if service is None:
            return
        self._held_in[service, message.channel_class] -= 1
        if message.restart_idle:
            self._restart_idle(message.channel_class, turn)
        self._changed(message.channel_class, turn)
        turn.last(self, Refill(message.channel_class))

    def _restart_idle(self, channel_class: str, turn: Turn) -> None:
        self.record.assigned_last = {**self.record.assigned_last, channel_class: turn.now}

    # ------------------------------------------------------------ refilling

    def _refill(self, message: Refill, turn: Turn) -> None:
        """Take the first waiting conversation of all one's queues; come back for the next."""
        classes = self._house.classes if message.channel_class is None else (message.channel_class,)
        for channel_class in classes:
            first = self._first_waiting(channel_class)
            if first is not None:
                service, order = first
                self._book(Take(order.conversation, service, channel_class, "freed"), turn)
                turn.last(self, Refill(channel_class))

    def _first_waiting(self, channel_class: str) -> tuple[str, Order] | None:
        """The service and place of the first one, over all queues, that this agent can take."""
        best: tuple[str, Order] | None = None
        for name, service in self.services.items():
            if not len(service.waiting) or not service.members[self.record.id].is_routed:
                continue
            if self._can_take(service, channel_class):
                head = service.waiting.first(channel_class, self._skills, self._is_barred)
                if head is not None and (best is None or head < best[1]):
                    best = (name, head)
        return best

    def _is_barred(self, conversation: str) -> bool:
        paused = self._house.conversations[conversation].record.paused
        return bool(paused) and any(agent == self.record.id for agent, _ in paused)

    # ------------------------------------------------------------ switches and presence

    def _switch(self, params: SetAvailability, turn: Turn) -> None:
        named = params.channel_class
        if named is not None and named not in self._house.classes:
            raise bad_params("class", "one of " + ", ".join(self._house.classes))
        classes = self._house.classes if named is None else (named,)
        on = [name for name in self.record.switched_on if name not in classes]
        self.record.switched_on = tuple(sorted((*on, *classes))) if params.available else tuple(on)
        self._changed_throughout(turn)

    def _switch_off(self, channel_class: str, turn: Turn) -> None:
        self.record.switched_on = tuple(name for name in self.record.switched_on if name != channel_class)
        self._changed(channel_class, turn)

    def _session_started(self, session: int, turn: Turn) -> None:
        self.sessions[session] = None
        turn.undo.append(lambda: self.sessions.pop(session, None))
        for service in self.services.values():
            self._hear_offers(service, session, turn)
        if len(self.sessions) > 1:
            return
        self.record.live, self.record.lost_at, self.record.grace_done = True, None, 0
        self._changed_throughout(turn)

    def _session_ended(self, session: int, turn: Turn) -> None:
        if session not in self.sessions:
            return
        del self.sessions[session]
        turn.undo.append(lambda: self.sessions.update({session: None}))
        if not self.sessions:
            self.lose(turn.now)
            self._changed_throughout(turn)

    def lose(self, now: int) -> None:
        """The last session is gone: the grace begins."""
        self.record.live, self.record.lost_at = False, now

    # ------------------------------------------------------------ the grace

    def arm(self) -> None:
        """Arm the timer for the next end of a grace."""
        self._house.wheel.keep(self.timer, self.earliest())

    def earliest(self) -> int | None:
        """When the timer must fire next, or None."""
        if self.record.lost_at is None:
            return None
        return min((end for end in self._grace_ends() if end > self.record.grace_done), default=None)

    @property
    def _in_grace(self) -> bool:
        """Within the longest grace: the colour stays."""
        return max(self._grace_ends(), default=0) > self.record.grace_done

    def _grace_ends(self) -> list[int]:
        """When the grace of each service is over; empty while somebody is there or nobody ever was."""
        lost_at = self.record.lost_at
        if lost_at is None or self.sessions or self.record.deleted:
            return []
        named = {*self.services, *(service for (service, _), held in self._held_in.items() if held)}
        services = self._house.services
        graces = {services[name].record.settings.disconnect_grace for name in named if name in services}
        return sorted(lost_at + grace for grace in graces) or [lost_at + GRACE_MS]

    def _grace_over(self, turn: Turn) -> None:
        """The grace of one or more services has ended: their conversations follow their policy."""
        lost_at = self.record.lost_at
        if lost_at is None:
            return
        before, self.record.grace_done = self.record.grace_done, turn.now
        house = self._house
        over = []
        for conversation in self.holds():
            record = house.conversations[conversation].record
            service = house.services.get(record.service or "")
            grace = GRACE_MS if service is None else service.record.settings.disconnect_grace
            if before < lost_at + grace <= turn.now:
                over.append((-record.priority, record.age_since, conversation))
        for _, _, conversation in sorted(over):
            turn.send(house.conversations[conversation], AssigneeLost(self.record.id))
        self._changed_throughout(turn)

    # ------------------------------------------------------------ telling the services

    def _find_services(self) -> None:
        services = self._house.services
        self.services = {name: services[name] for name in services if self.record.id in services[name].members}

    def _join_and_leave(self, turn: Turn) -> None:
        """A service has other members or another way of working: offers come with it."""
        before = self.services
        self._find_services()
        address = f"agent:{self.record.id}"
        for name, service in self.services.items():
            if name not in before:
                self._hear_offers(service, address, turn)

    def _hear_offers(self, service: ServiceActor, to: str | int, turn: Turn) -> None:
        """Whoever comes online hears what is on offer, the first in the queue's order."""
        if service.record.settings.mode != "push":
            offers = (self._house.conversations[name].offer() for name in service.on_offer())
            turn.effects.extend(Tell((to,), offer) for offer in offers)

    def _changed(self, channel_class: str, turn: Turn) -> None:
        """Slots of a class have changed: its services look again."""
        for service in self.services.values():
            turn.send(service, MemberChanged(self.record.id, channel_class))

    def _changed_throughout(self, turn: Turn) -> None:
        """Anything may have changed: its services look again, and it takes what it now can."""
        for channel_class in self._house.classes:
            self._changed(channel_class, turn)
        turn.last(self, Refill())

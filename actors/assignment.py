"""How a conversation gets an agent, and loses one: needs, offers, assignments, hand-overs, crew. [behaviour §3]

A conversation never chooses its agent: it tells its service that it needs one, and an agent who has given it
a slot tells it so.
"""

from __future__ import annotations

from typing import Any, Literal

from actors.deadlines import lateness
from actors.effects import Tell
from actors.messages import Dequeue, Enqueue, Free, HandledBy, Handover, Listen, Take, Taken
from actors.summary import summary
from actors.system import Turn
from actors.timeline import TimelineActor
from protocol.errors import refused
from protocol.ids import Principal
from protocol.notices import ConversationAssigned, OfferGone, OfferMade
from protocol.objects import SYSTEM, By

OfferEnd = Literal["taken", "closed", "moved", "pushed"]


class AssignedActor(TimelineActor):
    """The part of a conversation that deals with who handles it."""

    __slots__ = ()

    def _need(self, reason: str, turn: Turn, *, new_age: bool = False, prefer: str | None = None) -> None:
        """Ask the service for an agent. A new age starts a new place in the queue."""
        record = self.record
        record.queued, record.need = True, reason
        if new_age:
            record.age_since = turn.now
        record.routed = self._is_routed
        if not record.routed:
            self._offer(turn)
        self._ask_for_agent(turn, prefer)

    @property
    def _is_routed(self) -> bool:
        """Whether the house gives it to an agent. What wakes goes to the first available one in every mode."""
        return self.settings.mode == "push" or self.record.need in ("woke", "offer_timeout")

    def _ask_for_agent(self, turn: Turn, prefer: str | None = None, *, again: bool = False) -> None:
        if prefer is None and self.settings.sticky and self.record.routed and self.record.contact is not None:
            prefer = self._house.contacts[self.record.contact].record.last_agent
        turn.send(self._house.services[self.record.service or ""], Enqueue(self.record.id, prefer, again))

    def _enter(self, service: str, turn: Turn) -> None:
        """Be in this service from now on: it decides what is late."""
        if service != self.record.service:
            self.record.service = service
            self.record.lateness = lateness(self.record, self.rules, turn.now)

    def _stop_waiting(self, turn: Turn, reason: OfferEnd) -> None:
        """Leave the queue; offers are withdrawn for this reason."""
        self._withdraw(turn, reason)
        if self.record.queued:
            self.record.queued = False
            turn.send(self._house.services[self.record.service or ""], Dequeue(self.record.id))

    def _unassign(self, turn: Turn, *, restart_idle: bool = False) -> None:
        """End the assignment: the slot frees in this turn; who joined by hand stays in the crew."""
        record = self.record
        agent, record.assignee, record.reply_due = record.assignee, None, None
        if agent is None:
            return
        if agent not in record.joined:
            record.crew = tuple(other for other in record.crew if other != agent)
        turn.send(self._house.agents[agent], Free(record.id, record.channel_class or "", restart_idle))

    def _taken(self, message: Taken, turn: Turn) -> None:
        record = self.record
        if message.handover is None and not record.queued:  # it no longer needs anybody
            turn.send(self._house.agents[message.agent], Free(record.id, record.channel_class or ""))
            return
        if message.handover is None:
            service = self._house.services[message.service]
            self._house.decisions.keep(record, service, message.agent, message.rule, turn)
        else:
            self._house.decisions.drop(record.id, turn)
        if record.assignee != message.agent:
            self._unassign(turn)
        self._stop_waiting(turn, "pushed" if message.handover is None else "taken")
        self._enter(message.service, turn)
        record.assignee, record.assigned_at = message.agent, turn.now
        record.owner = message.agent
        record.crew = tuple(dict.fromkeys((*record.crew, message.agent)))
        self._watch_reply(message, turn)
        self._say_assigned(message, turn)
        if record.contact is not None:
            turn.send(self._house.contacts[record.contact], HandledBy(message.agent))

    def _watch_reply(self, message: Taken, turn: Turn) -> None:
        """Whoever was pushed an unanswered message must answer within ``reply_within``."""
        within = self.settings.reply_within
        if message.handover is None and within is not None and self.record.waiting_since is not None:
            self.record.reply_due = turn.now + within

    def _say_assigned(self, message: Taken, turn: Turn) -> None:
        record, handover = self.record, message.handover
        by, anyway = (SYSTEM, False) if handover is None else (handover.by, handover.anyway)
        origin = None if handover is None else handover.origin
        common: dict[str, Any] = {"agent": message.agent, "service": message.service, "origin": origin}
        if handover is not None and handover.method == "conversation.transfer":
            self._note(turn, "transferred", by, anyway=anyway, comment=handover.comment, **common)
            by, common["origin"] = SYSTEM, None
        if handover is not None and handover.method == "conversation.grab":
            self._note(turn, "grabbed", by, agent=message.agent, service=message.service)
            by, common["origin"] = SYSTEM, None
        self._note(turn, "assigned", by, anyway=anyway, reason=message.reason, **common)
        address = f"agent:{message.agent}"
        shown = summary(self._house, record, turn.now, reader=address)
        turn.effects.append(Tell((address,), ConversationAssigned(shown, message.reason)))

    # ------------------------------------------------------------ offers

    def _offer(self, turn: Turn) -> None:
        """Offer it to every member of the service. [S4]"""
        record = self.record
        record.offered_at, record.owner = turn.now, None
        self._note(turn, "offered", SYSTEM, service=record.service)
        service = self._house.services[record.service or ""]
        turn.effects.append(Tell(service.addresses, self.offer()))
        turn.last(service, Listen(record.id))  # when it has its place in the queue

    def offer(self) -> OfferMade:
        """What a member hears of it."""
        record = self.record
        return OfferMade(record.id, record.service or "", self.settings.mode, record.preview)

    def _withdraw(self, turn: Turn, reason: OfferEnd) -> None:
        """Whoever had the offer hears that it is gone."""
        record = self.record
        if record.offered_at is None:
            return
        record.offered_at = None
        if reason != "taken":
            self._note(turn, "offer_lost", SYSTEM, service=record.service, reason=reason)
        service = self._house.services[record.service or ""]
        turn.effects.append(Tell(service.addresses, OfferGone(record.id, reason)))

    def _grab(self, principal: Principal, by: By, turn: Turn) -> None:
        """The first one wins; nobody else learns anything. [S4]"""
        record, service = self.record, self._house.services[self.record.service or ""]
        if record.assignee == principal.sub:
            return
        if service.members[principal.sub].role == "admin":
            raise refused("forbidden", "an admin can never grab")
        if record.owner not in (None, principal.sub):
            raise refused("already_owned")
        if record.state != "open" or service.record.settings.mode != "grab":
            raise refused("wrong_state", "it is not offered to be grabbed", state=record.state)
        if not record.queued:
            raise refused("already_owned")
        handover = Handover(by, "conversation.grab")
        take = Take(record.id, service.record.id, record.channel_class or "", "grabbed", handover)
        turn.send(self._house.agents[principal.sub], take)

    def _offer_timeout(self, turn: Turn) -> None:
        """Nobody took it in time: it goes to the first available agent; the offers stand until one is green."""
        self.record.routed, self.record.need = True, "offer_timeout"
        self._ask_for_agent(turn)

    # ------------------------------------------------------------ crew

    def _join(self, principal: Principal, by: By, turn: Turn, *, reason: str = "agent") -> None:
        record = self.record
        if principal.role != "agent":
            raise refused("forbidden", "only an agent can join a crew")
        if principal.sub in record.joined:
            return
        record.joined = (*record.joined, principal.sub)
        record.crew = tuple(dict.fromkeys((*record.crew, principal.sub)))
        if self.settings.mode != "push":  # whoever joins has taken it
            self._stop_waiting(turn, "taken")
        if record.assignee is None:
            self._house.decisions.drop(record.id, turn)
        self._note(turn, "joined", by, reason=reason)

    def _leave(self, principal: Principal, by: By, turn: Turn) -> None:
        if principal.role != "agent" or principal.sub not in self.record.crew:
            raise refused("not_in_crew")
        self._part(principal.sub, by, turn, reason="agent")

    def _part(self, agent: str, by: By, turn: Turn, **fields: Any) -> None:
        """An agent of the crew is no longer in it; ``fields`` say why, and who if that is not who did it."""
        record = self.record
        was_assignee = record.assignee == agent
        record.joined = tuple(other for other in record.joined if other != agent)
        self._pause(agent, turn)
        self._note(turn, "left", by, **fields)
        if was_assignee:
            self._house.decisions.drop(record.id, turn)
            self._unassign(turn)
        else:
            record.crew = tuple(other for other in record.crew if other != agent)
        nobody = record.assignee is None and not record.joined  # managers only watch
        if nobody and record.state == "open" and not record.queued and self._has_service:
            self._need("left", turn)

    def _decline(self, principal: Principal, by: By, turn: Turn) -> None:
        if self.record.assignee != principal.sub:
            raise refused("not_in_crew", "only the agent it is assigned to can decline it")
        self._pause(principal.sub, turn)
        self._unassign(turn, restart_idle=True)
        self._note(turn, "declined", by, agent=principal.sub)
        self._need("declined", turn)

    def _pause(self, agent: str, turn: Turn) -> None:
        """Keep this agent from being a candidate for a while. [behaviour §3, decline]"""
        pause = self.settings.decline_pause if self._has_service else 0
        others = tuple(pair for pair in self.record.paused if pair[0] != agent)
        self.record.paused = (*others, (agent, turn.now + pause)) if pause else others

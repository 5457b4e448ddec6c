"""Handing a conversation over by hand: to an agent or a service, refused with the colour, or anyway. [S3, S1]"""

from __future__ import annotations

from typing import Any, cast

from actors.house import check_text
from actors.membership import SharedActor
from actors.messages import Handover, Take
from actors.system import Turn
from actors.timeline import by_whom
from protocol.errors import bad_params, refused
from protocol.ids import Principal, conversation_id
from protocol.objects import By, Origin
from protocol.records import ConversationRecord
from protocol.requests import ConversationAssign, ConversationMove, ConversationTransfer


class HandedActor(SharedActor):
    """The part of a conversation that is handed over: assign, transfer, move."""

    __slots__ = ()

    def _hand_over(
        self,
        params: ConversationAssign | ConversationTransfer,
        comment: str | None,
        method: str,
        principal: Principal,
        turn: Turn,
    ) -> None:
        """Assign or transfer by hand: to an agent, or to a service that then routes it. [behaviour §3]"""
        check_text(comment, "comment")
        agent, service = self._target(params, method, principal)
        record = self.record
        if service != record.service:
            self._refuse_second_live(service)
        origin = Origin(record.assignee, record.service)
        handover = Handover(by_whom(principal), method, comment, params.anyway, origin)
        if agent is not None:
            if agent == record.assignee and service == record.service:
                return
            take = Take(record.id, service, record.channel_class or "", _reason(method), handover, params.anyway)
            turn.send(self._house.agents[agent], take)
            return
        self._house.services[service].check_available(record.channel_class or "", params.anyway)
        self._to_service(service, handover, turn)

    def _to_service(self, service: str, handover: Handover, turn: Turn) -> None:
        """Let this service route it. An assignment says so by the reason of its entry."""
        reason = _reason(handover.method)
        self._unassign(turn)
        self._stop_waiting(turn, "moved")
        self._enter(service, turn)
        fields: dict[str, Any] = {"service": service, "origin": handover.origin}
        if reason != "transferred":
            fields["reason"] = reason
        self._note(turn, "transferred", handover.by, anyway=handover.anyway, comment=handover.comment, **fields)
        self._need(reason, turn)

    def _target(
        self, params: ConversationAssign | ConversationTransfer, method: str, principal: Principal
    ) -> tuple[str | None, str]:
        """To whom, and in which service it then is. Raises RequestError if that cannot be."""
        agent, service, house = params.agent, params.service, self._house
        if agent is None and service is None:
            if method == "conversation.transfer" or principal.role != "agent":
                raise bad_params("agent", "an agent or a service")
            agent = principal.sub
        if service is not None and service not in house.services:
            raise refused("not_found", "there is no such service")
        if service is not None and not house.services[service].record.settings.takes(self.record.channel or ""):
            raise bad_params("service", "a service that takes this channel")
        if agent is None:
            assert service is not None
            return None, service
        if agent not in house.agents:
            raise refused("not_found", "there is no such agent")
        return agent, self._shared_service(agent, service, principal)

    def _shared_service(self, agent: str, service: str | None, principal: Principal) -> str:
        """The service in which this agent can hold the conversation. Raises RequestError (not_in_service)."""
        theirs = self._house.agents[agent].services
        mine = theirs if principal.role == "backend" else self._house.agents[principal.sub].services
        if not any(name in mine for name in theirs):
            raise refused("not_in_service")
        if service is not None:
            if service not in theirs:
                raise refused("not_in_service", "that agent is not in that service")
            return service
        if self.record.service in theirs:
            return self.record.service or ""
        channel = self.record.channel or ""
        shared = (name for name, actor in theirs.items() if name in mine and actor.record.settings.takes(channel))
        found = next(shared, None)
        if found is None:
            raise refused("not_in_service")
        return found

    def _refuse_second_live(self, service: str | None) -> None:
        """Raises RequestError (conflict) if the contact has another live conversation there."""
        record = self.record
        contact = self._house.contacts.get(record.contact or "")
        if record.begun_agent is not None:  # of those there is one for each agent
            return
        if contact is not None and contact.live_in(record.channel or "", service, but=record.id):
            raise refused("conflict", "the contact already has a live conversation on that channel there")

    # ------------------------------------------------------------ moving to another inbox [S2]

    def _move(self, params: ConversationMove, by: By, turn: Turn) -> None:
        """To another service, which routes it; a read-only stub stays. Never refused for want of an agent."""
        check_text(params.comment, "comment")
        source, target = self.record.service, params.service
        if target not in self._house.services:
            raise refused("not_found", "there is no such service")
        if target == source:
            raise refused("conflict", "it is in that service already")
        if not self._house.services[target].record.settings.takes(self.record.channel or ""):
            raise bad_params("service", "a service that takes this channel")
        self._refuse_second_live(target)
        turn.about = self._leave_stub(target, by, turn)
        self._go_to(target, by, params.comment, turn)

    def _go_to(self, target: str, by: By, comment: str | None, turn: Turn) -> None:
        record = self.record
        origin = Origin(record.assignee, record.service)
        self._unassign(turn)
        self._stop_waiting(turn, "moved")
        self._enter(target, turn)
        record.owner = None
        self._note(turn, "moved", by, service=target, origin=origin, comment=comment)
        if record.state == "open":
            self._need("moved", turn)

    def _leave_stub(self, target: str, by: By, turn: Turn) -> str:
        """What stays in the source: read-only, with an id of its own, naming the target."""
        record, house = self.record, self._house
        stub = ConversationRecord(
            id=conversation_id(house.seq + 1),
            service=record.service,
            channel=record.channel,
            channel_class=record.channel_class,
            contact=record.contact,
            name=record.name,
            description=record.description,
            state="moved",
            queued=False,
            tags=record.tags,
            created_at=turn.now,
            stirred_at=turn.now,
            moved_to=target,
        )
        house.keep_conversation(cast(Any, type(self)(house, stub)), turn)
        house.note(turn, stub, "moved", by, service=target)
        return stub.id


def _reason(method: str) -> str:
    """Why whoever gets it got it."""
    return "transferred" if method == "conversation.transfer" else "assigned"

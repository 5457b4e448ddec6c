"""Who watches agents, and which. [protocol §4, agent.watch]"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.access import may_see_agent
from actors.system import Turn
from protocol.ids import Principal

if TYPE_CHECKING:
    from actors.house import House

Wanted = tuple[Principal, tuple[str, ...] | None]  # who asks, and for the agents of which services


class AgentWatches:
    """The sessions that hear of agents' changes. They are forgotten with the sessions."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._watching: dict[int, Wanted] = {}

    def add(self, turn: Turn, principal: Principal, services: tuple[str, ...] | None) -> None:
        """The turn's session hears of all agents it may see, or of those in these services."""
        self.end(turn.session, turn)
        self._watching[turn.session] = (principal, services)

    def end(self, session: int, turn: Turn) -> None:
        """No longer."""
        before = self._watching.pop(session, None)
        turn.undo.append(lambda: self._take_back(session, before))

    def _take_back(self, session: int, before: Wanted | None) -> None:
        self._watching.pop(session, None)
        if before is not None:
            self._watching[session] = before

    def of(self, agent: str) -> tuple[int, ...]:
        """Who hears of this agent, besides the agent."""
        if not self._watching:
            return ()
        pairs = self._watching.items()
        return tuple(s for s, (principal, services) in pairs if self._concerns(agent, principal, services))

    def _concerns(self, agent: str, principal: Principal, services: tuple[str, ...] | None) -> bool:
        if principal.role == "agent" and principal.sub == agent:
            return False  # hears of itself anyway
        return self.shows(agent, principal, services)

    def shows(self, agent: str, principal: Principal, services: tuple[str, ...] | None) -> bool:
        """Whether an agent is among those that somebody asks for and may see."""
        if not may_see_agent(self._house, agent, principal):
            return False
        if services is None:
            return True
        known = self._house.services
        return any(name in known and agent in known[name].members for name in services)

"""Requests that leave nothing behind: watches and presence."""

from __future__ import annotations

from actors import identity
from actors.house import House
from actors.presence import PresenceActor, Present
from actors.system import Turn
from actors.watch import WATCHES_MAX
from protocol.errors import refused
from protocol.ids import Principal
from protocol.params import Nothing
from protocol.requests import (
    Agents,
    AgentWatch,
    ConversationPresence,
    ConversationWatch,
    OneWatch,
    WatchName,
)


def begin(house: House, params: ConversationWatch | WatchName | AgentWatch, principal: Principal, turn: Turn) -> None:
    """Begin or end a watch. Raises RequestError (not_found, rate_limited)."""
    match params:
        case ConversationWatch():
            if len(house.watches.of(turn.session)) >= WATCHES_MAX:
                raise refused("rate_limited", f"a session may have {WATCHES_MAX} watches: end one", retry_after_s=0)
            watch = house.watches.add(turn.session, principal, identity.filters(house, params))
            turn.undo.append(lambda: house.watches.remove(watch))
            turn.answer = OneWatch(watch.name)
        case WatchName():
            known = house.watches.of(turn.session).get(params.watch)
            if known is None:
                raise refused("not_found", "this session has no such watch")
            house.watches.remove(known)
            turn.undo.append(lambda: house.watches.keep(known))
            turn.answer = Nothing()
        case AgentWatch():
            house.agent_watches.add(turn, principal, params.services)
            shown = (name for name in house.agents if house.agent_watches.shows(name, principal, params.services))
            turn.answer = Agents(tuple(house.agents[name].view() for name in shown))


def present(house: House, params: ConversationPresence, principal: Principal, turn: Turn) -> None:
    """Say what somebody is doing with a conversation that was found and may be seen."""
    presence = house.presences.get(params.conversation) or PresenceActor(house, params.conversation)
    turn.answer = Nothing()
    turn.send(presence, Present(turn.session, principal, params.state))

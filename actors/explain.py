"""Why a conversation went where it went, or why it still waits: "why not me?" [S1]

For one that waits the candidates are worked out as of now. For one that was routed they are those of that
decision: what was published of each member at that moment, kept for the latest ``DECISIONS_MAX`` decisions. One
that was handed over by hand, or taken by joining, had no candidates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.system import Turn
from protocol.frozen import Frozen
from protocol.objects import Candidate, Colour, DueAt, Explanation, Rule
from protocol.records import ConversationRecord
from protocol.times import Moment

if TYPE_CHECKING:
    from actors.agent import AgentActor
    from actors.candidates import Rank, Seat
    from actors.house import House
    from actors.service import ServiceActor

DECISIONS_MAX = 2_000
MEMBERS_MAX = 1_000  # of larger services only the agent who was taken is remembered

Excluded = tuple[Rule, Colour]


class Decision(Frozen, frozen=True):
    """What was known of a service's members when one was taken."""

    taken: str
    rule: Rule
    skills: frozenset[str]
    paused: frozenset[str]
    seats: dict[str, tuple[Rank, Seat]]
    excluded: dict[str, Excluded]


class Decisions:
    """The latest decisions, by conversation."""

    def __init__(self) -> None:
        self._kept: dict[str, Decision] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, record: ConversationRecord, service: ServiceActor, taken: str, rule: Rule, turn: Turn) -> None:
        """An agent was found: remember who else there was. O(members), at C speed."""
        self.drop(record.id, turn)
        channel_class = record.channel_class or ""
        small = len(service.members) <= MEMBERS_MAX
        self._kept[record.id] = Decision(
            taken,
            rule,
            service.required(record.skills),
            frozenset([agent for agent, _ in record.paused]),
            service.candidates.seats(channel_class) if small else {},
            dict(service.excluded.get(channel_class, {})) if small else {},
        )
        turn.undo.append(lambda: self._kept.pop(record.id, None))
        if len(self._kept) > DECISIONS_MAX:
            self.drop(next(iter(self._kept)), turn)

    def drop(self, conversation: str, turn: Turn) -> None:
        """It was handed over by hand, or is somebody's who joined it."""
        known = self._kept.pop(conversation, None)
        if known is not None:
            turn.undo.append(lambda: self._kept.update({conversation: known}))

    def of(self, conversation: str) -> Decision | None:
        """The last decision about a conversation, if it is remembered."""
        return self._kept.get(conversation)


def explain(house: House, record: ConversationRecord) -> Explanation:
    """The candidates, the queue position, every armed deadline."""
    actor = house.conversations[record.id]
    service = house.services.get(record.service or "")
    due = sorted((at, kind) for at, kind in actor.deadlines())
    position = None if service is None else service.position(record)
    return Explanation(
        candidates=_candidates(house, record, service),
        position=position,
        deadlines=tuple(DueAt(kind, Moment(at)) for at, kind in due),
    )


def _candidates(house: House, record: ConversationRecord, service: ServiceActor | None) -> tuple[Candidate, ...]:
    if service is None:
        return ()
    if record.queued:
        return tuple(_now(house, record, service, agent) for agent in service.members if agent in house.agents)
    decision = house.decisions.of(record.id)
    return () if decision is None else tuple(_then(decision))


def _now(house: House, record: ConversationRecord, service: ServiceActor, name: str) -> Candidate:
    """A member as of now. Nobody can be ``taken``: it waits."""
    agent, channel_class = house.agents[name], record.channel_class or ""
    colour = agent.colour(channel_class)
    found = excluded(service, agent, channel_class)
    rule: Rule = "strategy" if found is None else found[0]
    if found is None and not service.required(record.skills) <= frozenset(agent.record.settings.skills):
        rule = "skill"
    elif found is None and name in [paused for paused, _ in record.paused]:
        rule = "paused"
    return Candidate(name, colour, "passed_over" if rule == "strategy" else "excluded", rule)


def _then(decision: Decision) -> list[Candidate]:
    found = []
    for agent, (_, seat) in decision.seats.items():
        if agent == decision.taken:
            found.append(Candidate(agent, "green", "taken", decision.rule))
        elif not decision.skills <= seat.skills:
            found.append(Candidate(agent, "green", "excluded", "skill"))
        elif agent in decision.paused:
            found.append(Candidate(agent, "green", "excluded", "paused"))
        else:
            found.append(Candidate(agent, "green", "passed_over", decision.rule))
    if decision.taken not in decision.seats:
        found.append(Candidate(decision.taken, "green", "taken", decision.rule))
    for agent, (rule, colour) in decision.excluded.items():
        if agent not in decision.seats and agent != decision.taken:
            found.append(Candidate(agent, colour, "excluded", rule))
    return found


def excluded(service: ServiceActor, agent: AgentActor, channel_class: str) -> Excluded | None:
    """The rule that keeps a member from being a candidate for anything of this class now, or None."""
    colour = agent.colour(channel_class)
    if not service.members[agent.record.id].is_routed:
        return ("not_routed", colour)
    if channel_class not in agent.record.switched_on:
        return ("switched_off", colour)
    if not agent.sessions:
        return ("grace" if colour != "red" else "no_session", colour)
    if agent.seat(service, channel_class) is None:
        return (agent.full(channel_class), colour)
    return None

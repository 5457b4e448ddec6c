"""How many conversations are closed, in every list, whether they are in memory or not. [protocol §4, counts]

The store counts them once, at start-up. From then on there are two tallies: of those in memory, told by their records
as everything else that is derived, and of the others. A closed conversation that comes into memory or leaves it goes
from one to the other; whatever changes, changes in memory, committed or not, and a step that is taken back is one of
records in memory only. So the sum is always what the core knows, never what the store knew a moment ago.

Cost: a change O(1 + crew); counting O(services · channels) and, for what an agent sees as one of the crew only, as many
steps as there are services, channels and owners among them. Lists that are filtered by more than the
tallies know look through what the store has given (``views``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from protocol.ids import Principal
from protocol.records import ClosedCount, ConversationRecord
from protocol.requests import Filters

if TYPE_CHECKING:
    from actors.house import House

EVERYBODY = ""  # whose: of those that no ownership hides. No agent has this id


class Spot(NamedTuple):
    """What decides in whose lists a closed conversation is."""

    service: str | None
    channel: str | None
    owner: str | None


class Tally:
    """Numbers of closed conversations."""

    __slots__ = ("_crews", "_whose")

    def __init__(self) -> None:
        #: (service, whose) -> channel -> how many; every conversation is EVERYBODY's and its owner's
        self._whose: dict[tuple[str | None, str | None], dict[str | None, int]] = {}
        self._crews: dict[str, dict[Spot, int]] = {}

    def add(self, spot: Spot, number: int) -> None:
        """So many more, or fewer."""
        for whose in (EVERYBODY, spot.owner):
            channels = self._whose.setdefault((spot.service, whose), {})
            channels[spot.channel] = channels.get(spot.channel, 0) + number

    def add_crew(self, agent: str, spot: Spot, number: int) -> None:
        """So many more, or fewer, in whose crew an agent is."""
        spots = self._crews.setdefault(agent, {})
        spots[spot] = spots.get(spot, 0) + number
        if not spots[spot]:
            del spots[spot]

    def services(self) -> Collection[str | None]:
        """Where there are any."""
        return dict.fromkeys(service for service, _ in self._whose)

    def count(self, service: str | None, whose: str | None, channels: tuple[str, ...]) -> int:
        """How many there are of a service, of one owner, of some channels (none = all)."""
        found = self._whose.get((service, whose), {})
        return sum(number for channel, number in found.items() if not channels or channel in channels)

    def of_crew(self, agent: str) -> Iterable[tuple[Spot, int]]:
        """Those in whose crew an agent is."""
        return self._crews.get(agent, {}).items()


class Closed:
    """Both tallies."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._elsewhere = Tally()
        self.clear()

    def load(self, counts: Iterable[ClosedCount], loaded: Iterable[ConversationRecord]) -> None:
        """What the store has counted; ``loaded`` are the conversations that come into memory with it."""
        for found in counts:
            spot = Spot(found.service, found.channel, found.owner)
            if found.agent is None:
                self._elsewhere.add(spot, found.count)
            else:
                self._elsewhere.add_crew(found.agent, spot, found.count)
        for record in loaded:
            self.recalled(record)

    def clear(self) -> None:
        """Forget what is in memory; the records are told anew."""
        self._here = Tally()
        self._known: dict[str, tuple[Spot, tuple[str, ...]]] = {}

    # ------------------------------------------------------------ keeping

    def put(self, record: ConversationRecord) -> None:
        """Count a conversation in memory as its record says."""
        if record.state != "closed" and record.id not in self._known:
            return
        new = _counted(record)
        old = self._known.get(record.id)
        if old == new:
            return
        if old is not None:
            _add(self._here, *self._known.pop(record.id), -1)
        if new is not None:
            _add(self._here, *new, 1)
            self._known[record.id] = new

    def recalled(self, record: ConversationRecord) -> None:
        """A conversation comes into memory, as the store has it; ``put`` follows."""
        counted = _counted(record)
        if counted is not None:
            _add(self._elsewhere, *counted, -1)

    def forget(self, conversation: str) -> None:
        """A conversation leaves memory. What is in the store is what was here."""
        counted = self._known.pop(conversation, None)
        if counted is not None:
            _add(self._here, *counted, -1)
            _add(self._elsewhere, *counted, 1)

    # ------------------------------------------------------------ asking

    @property
    def in_memory(self) -> Collection[str]:
        """The closed conversations in memory."""
        return self._known.keys()

    def count(self, params: Filters, principal: Principal) -> int:
        """How many closed conversations a list would have, under filters by view, service and channels alone."""
        if params.view == "mine":
            return 0  # closing ends the assignment
        found = 0
        for tally in (self._here, self._elsewhere):
            if params.view == "all":
                for service, whose in self._seen(tally, params, principal):
                    found += tally.count(service, whose, params.channels)
            for spot, number in tally.of_crew(principal.sub):
                fits = params.service in (None, spot.service) and (
                    not params.channels or spot.channel in params.channels
                )
                if fits and (params.view == "joined" or self._is_outside(spot, principal)):
                    found += number
        return found

    def _seen(self, tally: Tally, params: Filters, principal: Principal) -> Iterator[tuple[str | None, str | None]]:
        """The services, and whose of each, that somebody sees without being in the crews."""
        mine = self._house.agents[principal.sub].services if principal.role == "agent" else tally.services()
        for service in mine if params.service is None else (params.service,) if params.service in mine else ():
            for whose in seen(self._house, service, principal):
                yield service, whose

    def _is_outside(self, spot: Spot, principal: Principal) -> bool:
        """Whether an agent sees these because it was in their crew, and for no other reason."""
        if principal.role != "agent":
            return False
        if spot.service not in self._house.agents[principal.sub].services:
            return True
        return not {EVERYBODY, spot.owner} & set(seen(self._house, spot.service, principal))


def seen(house: House, service: str | None, principal: Principal) -> tuple[str | None, ...]:
    """Whose conversations of a service that is its own somebody sees: in grab mode only one's own and nobody's. [S4]"""
    if principal.role != "agent" or service not in house.services:
        return (EVERYBODY,)
    actor = house.services[service]
    hides = actor.record.settings.mode == "grab" and actor.members[principal.sub].role == "representative"
    return (None, principal.sub) if hides else (EVERYBODY,)


def _counted(record: ConversationRecord) -> tuple[Spot, tuple[str, ...]] | None:
    if record.state != "closed":
        return None
    return Spot(record.service, record.channel, record.owner), tuple(dict.fromkeys(record.crew))


def _add(tally: Tally, spot: Spot, crew: tuple[str, ...], number: int) -> None:
    tally.add(spot, number)
    for agent in crew:
        tally.add_crew(agent, spot, number)

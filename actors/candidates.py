"""The members of one service who could take a conversation now, ranked by its strategy. [behaviour §3]

A pool holds the available members of one class of channel who have one set of skills, sorted by rank; it is
made the first time such skills are asked for. The first available agent is a pool's first, so picking is
O(log n) in members; a member's change costs O(log n) in each pool of the class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain

from sortedcontainers import SortedList

from protocol.frozen import Frozen
from protocol.settings import Strategy

Rank = tuple[float, int, str]
POOLS_MAX = 64  # kinds of skills remembered for a class; the least recently made goes first


class Seat(Frozen, frozen=True):
    """A member as routing sees it: of one class, in one service.

    ``ratio`` is how full it is, by its own maximum or by this service's limit, whichever is fuller (0 = unlimited);
    ``spare`` is the smaller room of the two (None = unlimited). ``idle_since`` is the tick of the last assignment
    (-1 = never); ``place`` is the position in the service's list of members.
    """

    agent: str
    skills: frozenset[str]
    used: int
    ratio: float
    spare: int | None
    idle_since: int
    place: int


def rank(strategy: Strategy, seat: Seat) -> Rank:
    """What sorts members: the least is picked. Ties go to the longest idle, then the agent's id."""
    match strategy:
        case "longest_idle":
            first = 0.0
        case "least_busy":
            first = float(seat.used)
        case "most_spare":
            first = float("-inf") if seat.spare is None else -float(seat.spare)
        case "lowest_ratio":
            first = seat.ratio
        case "round_robin":
            return (float(seat.place), 0, seat.agent)
    return (first, seat.idle_since, seat.agent)


class Candidates:
    """Who could take a conversation now."""

    __slots__ = ("_pools", "_seats", "strategy")

    def __init__(self, strategy: Strategy) -> None:
        self.strategy: Strategy = strategy
        self._seats: dict[str, dict[str, tuple[Rank, Seat]]] = {}  # class -> agent -> seat, the available ones
        self._pools: dict[str, dict[frozenset[str], SortedList[Rank]]] = {}  # class -> skills -> ranks

    def put(self, channel_class: str, agent: str, seat: Seat | None) -> None:
        """A member's seat has changed; None = not available for this class."""
        seats = self._seats.setdefault(channel_class, {})
        old = seats.pop(agent, None)
        new = None if seat is None else (rank(self.strategy, seat), seat)
        if new is not None:
            seats[agent] = new
        if old is not None and new is not None and old[0] == new[0] and old[1].skills == new[1].skills:
            return  # it stands where it stood
        for skills, pool in self._pools.get(channel_class, {}).items():
            if old is not None and skills <= old[1].skills:
                pool.remove(old[0])
            if new is not None and skills <= new[1].skills:
                pool.add(new[0])

    def pick(
        self, channel_class: str, skills: frozenset[str], barred: Callable[[str], bool], after: int = -1
    ) -> Seat | None:
        """The first available member with these skills who is not barred.

        ``after`` is for round robin: the place of the member picked last; the search goes round from there.
        """
        pool = self._pool(channel_class, skills)
        ranks: Iterable[Rank] = pool
        if self.strategy == "round_robin":
            turn = (float(after), 1, "")
            ranks = chain(pool.irange(minimum=turn), pool.irange(maximum=turn))
        agent = next((rank[2] for rank in ranks if not barred(rank[2])), None)
        return None if agent is None else self._seats[channel_class][agent][1]

    def holds(self, channel_class: str, agent: str, skills: frozenset[str]) -> bool:
        """Whether this very member could take it."""
        found = self._seats.get(channel_class, {}).get(agent)
        return found is not None and skills <= found[1].skills

    def seats(self, channel_class: str) -> dict[str, tuple[Rank, Seat]]:
        """A copy of all available seats of a class with their ranks, in no particular order."""
        return self._seats.get(channel_class, {}).copy()

    def any(self, channel_class: str) -> bool:
        """Whether anybody could take something of this class, whatever the skills."""
        return bool(self._seats.get(channel_class))

    def _pool(self, channel_class: str, skills: frozenset[str]) -> SortedList[Rank]:
        pools = self._pools.setdefault(channel_class, {})
        pool = pools.get(skills)
        if pool is None:
            if len(pools) >= POOLS_MAX:
                del pools[next(iter(pools))]
            seats = self._seats.get(channel_class, {}).values()
            pool = pools[skills] = SortedList(rank for rank, seat in seats if skills <= seat.skills)
        return pool

    def statistics(self) -> dict[str, int]:
        """How many seats are available, in how many pools."""
        return {
            "available": sum(map(len, self._seats.values())),
            "pools": sum(map(len, self._pools.values())),
        }

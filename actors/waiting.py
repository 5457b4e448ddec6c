"""The waiting conversations of one service, in the order they are served. [behaviour §3]

Order: higher priority, then older, then id. Conversations that ask the same of an agent (class of channel,
required skills) form a group, kept sorted; the first one an agent can take is the least of the heads of the
groups that fit, so one that nobody here can take never blocks those behind it.

Cost: add, remove and ahead O(log n); first O(groups · log n), and there are as many groups as kinds of
request, not as conversations.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import merge
from itertools import islice

from sortedcontainers import SortedList

#: (-priority, age_since, conversation): the least is served first
Order = tuple[int, int, str]
Group = tuple[str, frozenset[str]]


class Waiting:
    """A sorted index of waiting conversations."""

    __slots__ = ("_groups", "_places")

    def __init__(self) -> None:
        self._groups: dict[Group, SortedList[Order]] = {}
        self._places: dict[str, tuple[Group, Order]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._places

    def add(self, conversation: str, channel_class: str, skills: frozenset[str], priority: int, age: int) -> None:
        """Put a conversation in its place; one that is here already moves."""
        self.remove(conversation)
        group, order = (channel_class, skills), (-priority, age, conversation)
        if group not in self._groups:
            self._groups[group] = SortedList()
        self._groups[group].add(order)
        self._places[conversation] = (group, order)

    def remove(self, conversation: str) -> None:
        """Take it out, if it is here."""
        place = self._places.pop(conversation, None)
        if place is None:
            return
        group, order = place
        self._groups[group].remove(order)
        if not self._groups[group]:
            del self._groups[group]

    def first(self, channel_class: str, skills: frozenset[str], barred: Callable[[str], bool]) -> Order | None:
        """The first one of this class that an agent with these skills may take; ``barred``: not this one."""
        best: Order | None = None
        for (wanted_class, wanted_skills), members in self._groups.items():
            if wanted_class != channel_class or not wanted_skills <= skills:
                continue
            head = next((order for order in members if not barred(order[2])), None)
            if head is not None and (best is None or head < best):
                best = head
        return best

    def ahead(self, channel_class: str, order: Order) -> int:
        """How many of a class stand before this place."""
        members = (members for group, members in self._groups.items() if group[0] == channel_class)
        return int(sum(group.bisect_left(order) for group in members))

    def front(self, channel_class: str, limit: int) -> list[Order]:
        """The first ``limit`` places of a class."""
        heads = [islice(members, limit) for group, members in self._groups.items() if group[0] == channel_class]
        return list(islice(merge(*heads), limit))

    def in_order(self, limit: int) -> list[str]:
        """The first ``limit`` conversations, over all groups."""
        heads = [islice(members, limit) for members in self._groups.values()]
        return [order[2] for order in islice(merge(*heads), limit)]

    def statistics(self) -> dict[str, int]:
        """How many wait, in how many groups."""
        return {"waiting": len(self._places), "groups": len(self._groups)}

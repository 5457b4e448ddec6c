"""The waiting conversations of one service, in the order they are served. [behaviour §3]

Order: higher priority, then older, then id. Conversations that ask the same of an agent (class of channel,
required skills) form a group, kept sorted; the first one an agent can take is the least of the heads of the
groups that fit, so one that nobody here can take never blocks those behind it.

Cost: add, remove and ahead O(log n); first O(groups · log n), and there are as many groups as kinds of
request, not as conversations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import merge
from itertools import islice
from typing import Any

from sortedcontainers import SortedList

from actors.system import Tick
from protocol.frozen import Ordered

NOBODY = frozenset[str]()


class Kind(Ordered, frozen=True, order=True):
    """What a conversation asks of an agent."""

    channel_class: str
    skills: frozenset[str]


class Order(Ordered, frozen=True, order=True):
    """The place of a conversation: the least is served first. No two are equal before ``kind`` is compared."""

    before: int  # -priority
    age_since: Tick
    conversation: str
    kind: Kind = Kind("", NOBODY)


class Group:
    """Those that ask the same: their places, sorted."""

    __slots__ = ("kind", "places")

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.places: SortedList[Order] = SortedList()


class Waiting:
    """A sorted index of waiting conversations."""

    __slots__ = ("_groups", "_places")

    def __init__(self) -> None:
        self._groups: dict[Kind, Group] = {}
        self._places: dict[str, Order] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, conversation: str) -> bool:
        return conversation in self._places

    def add(self, conversation: str, channel_class: str, skills: frozenset[str], priority: int, age: Tick) -> None:
        """Put a conversation in its place; one that is here already moves."""
        self.remove(conversation)
        kind = Kind(channel_class, skills)
        group = self._groups.get(kind)
        if group is None:
            group = self._groups[kind] = Group(kind)
        order = self._places[conversation] = Order(-priority, age, conversation, group.kind)
        group.places.add(order)

    def remove(self, conversation: str) -> None:
        """Take it out, if it is here."""
        order = self._places.pop(conversation, None)
        if order is None:
            return
        group = self._groups[order.kind]
        group.places.remove(order)
        if not group.places:
            del self._groups[order.kind]

    def first(self, channel_class: str, skills: frozenset[str], barred: Callable[[str], bool]) -> Order | None:
        """The first one of this class that an agent with these skills may take; ``barred``: not this one."""
        best: Order | None = None
        for kind, group in self._groups.items():
            if kind.channel_class != channel_class or not kind.skills <= skills:
                continue
            head = next((order for order in group.places if not barred(order.conversation)), None)
            if head is not None and (best is None or head < best):
                best = head
        return best

    def ahead(self, channel_class: str, order: Order) -> int:
        """How many of a class stand before this place."""
        return int(sum(places.bisect_left(order) for places in self._of(channel_class)))

    def front(self, channel_class: str, limit: int) -> list[Order]:
        """The first ``limit`` places of a class."""
        return list(islice(merge(*(islice(places, limit) for places in self._of(channel_class))), limit))

    def in_order(self, limit: int) -> list[str]:
        """The first ``limit`` conversations, over all groups."""
        heads = [islice(group.places, limit) for group in self._groups.values()]
        return [order.conversation for order in islice(merge(*heads), limit)]

    def _of(self, channel_class: str) -> Iterator[SortedList[Any]]:
        return (group.places for kind, group in self._groups.items() if kind.channel_class == channel_class)

    def statistics(self) -> dict[str, int]:
        """How many wait, in how many groups."""
        return {"waiting": len(self._places), "groups": len(self._groups)}

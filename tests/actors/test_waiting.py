"""The queue of one service against a plain sorted list."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from actors.waiting import Order, Waiting

CLASSES = ("chat", "messaging")
SKILLS = st.frozensets(st.sampled_from(["en", "fr", "no"]), max_size=2)
NAMES = st.sampled_from([f"c{number}" for number in range(12)])


class Oracle(RuleBasedStateMachine):
    """Everything that waits, in a dict; every answer by looking at all of it."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = Waiting()
        self.there: dict[str, tuple[str, frozenset[str], tuple[int, int, str]]] = {}

    @rule(name=NAMES, where=st.sampled_from(CLASSES), skills=SKILLS, priority=st.integers(-2, 2), age=st.integers(0, 3))
    def add(self, name: str, where: str, skills: frozenset[str], priority: int, age: int) -> None:
        self.queue.add(name, where, skills, priority, age)
        self.there[name] = (where, skills, (-priority, age, name))

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        self.queue.remove(name)
        self.there.pop(name, None)

    @rule(where=st.sampled_from(CLASSES), limit=st.integers(0, 4))
    def front(self, where: str, limit: int) -> None:
        places = sorted(order for group, _, order in self.there.values() if group == where)
        assert [place_of(order) for order in self.queue.front(where, limit)] == places[:limit]

    @rule(where=st.sampled_from(CLASSES), skills=SKILLS, barred=st.frozensets(NAMES, max_size=6))
    def first(self, where: str, skills: frozenset[str], barred: frozenset[str]) -> None:
        fitting = (
            order
            for group, wanted, order in self.there.values()
            if group == where and wanted <= skills and order[2] not in barred
        )
        assert first(self.queue, where, skills, barred.__contains__) == min(fitting, default=None)

    @rule(limit=st.integers(0, 15))
    def in_order(self, limit: int) -> None:
        order = sorted(place for _, _, place in self.there.values())
        assert self.queue.in_order(limit) == [place[2] for place in order[:limit]]

    @rule(name=NAMES, priority=st.integers(-2, 2), age=st.integers(0, 3), where=st.sampled_from(CLASSES))
    def ahead(self, name: str, priority: int, age: int, where: str) -> None:
        place = (-priority, age, name)
        before = sum(group == where and order < place for group, _, order in self.there.values())
        assert self.queue.ahead(where, Order(*place)) == before

    @invariant()
    def holds_what_it_was_given(self) -> None:
        assert len(self.queue) == len(self.there)
        assert all(name in self.queue for name in self.there)
        groups = {(where, skills) for where, skills, _ in self.there.values()}
        assert self.queue.statistics() == {"waiting": len(self.there), "groups": len(groups)}


TestOracle = Oracle.TestCase


def first(
    queue: Waiting, where: str, skills: frozenset[str], barred: Callable[[str], bool]
) -> tuple[object, ...] | None:
    found = queue.first(where, skills, barred)
    return None if found is None else place_of(found)


def place_of(order: Order) -> tuple[int, int, str]:
    return order.before, order.age_since, order.conversation


def nobody(conversation: str) -> bool:
    return False


def queue_of(*places: tuple[str, int, int]) -> Waiting:
    queue = Waiting()
    for name, priority, age in places:
        queue.add(name, "chat", frozenset(), priority, age)
    return queue


def test_higher_priority_comes_first_then_the_older_then_the_lower_id() -> None:
    queue = queue_of(("c3", 0, 5), ("c2", 0, 5), ("c1", 0, 9), ("c9", 7, 100), ("c8", -7, 0))
    assert queue.in_order(9) == ["c9", "c2", "c3", "c1", "c8"]


def test_a_head_nobody_can_take_never_blocks_those_behind_it() -> None:
    queue = Waiting()
    queue.add("klingon", "chat", frozenset({"klingon"}), 100, 0)
    queue.add("plain", "chat", frozenset(), 0, 99)
    assert first(queue, "chat", frozenset({"en"}), nobody) == (0, 99, "plain")
    assert first(queue, "chat", frozenset({"en", "klingon"}), nobody) == (-100, 0, "klingon")


def test_a_barred_head_is_passed_over() -> None:
    queue = queue_of(("c1", 0, 1), ("c2", 0, 2), ("c3", 0, 3))
    assert first(queue, "chat", frozenset(), {"c1", "c2"}.__contains__) == (0, 3, "c3")
    assert first(queue, "chat", frozenset(), lambda conversation: True) is None


def test_one_that_is_here_already_moves() -> None:
    queue = queue_of(("c1", 0, 1), ("c2", 0, 2))
    queue.add("c2", "chat", frozenset(), 5, 2)
    assert queue.in_order(9) == ["c2", "c1"]
    assert len(queue) == 2


def test_its_position_counts_those_of_its_class_whatever_their_skills() -> None:
    queue = queue_of(("c1", 0, 1), ("c3", 0, 3))
    queue.add("other class", "email", frozenset(), 9, 0)
    queue.add("skilled", "chat", frozenset({"fr"}), 0, 2)
    assert queue.ahead("chat", Order(0, 3, "c3")) == 2


@given(st.permutations(range(8)))
def test_the_order_of_arrival_does_not_matter(numbers: list[int]) -> None:
    queue = queue_of(*((f"c{number}", number % 3, number // 3) for number in numbers))
    assert queue.in_order(8) == queue_of(*((f"c{n}", n % 3, n // 3) for n in range(8))).in_order(8)

"""Picking the first available member: all strategies against looking at everybody."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from actors.candidates import POOLS_MAX, Candidates, Seat, rank
from protocol.settings import Strategy

AGENTS = ("ana", "bo", "cy", "dee", "eve")
SKILLS = st.frozensets(st.sampled_from(["en", "fr", "no"]), max_size=3)


def seat(agent: str, *, skills: str = "", used: int = 0, maximum: int | None = None, idle: int = -1) -> Seat:
    spare = None if maximum is None else maximum - used
    place = AGENTS.index(agent)
    ratio = 0.0 if maximum is None else used / maximum
    return Seat(agent, frozenset(skills.split()), used, ratio, spare, idle, place)


def best(strategy: str, seats: list[Seat], after: int) -> str | None:
    """The one to pick, as behaviour §3 says it."""
    keys: dict[str, Any] = {
        "longest_idle": lambda one: (one.idle_since, one.agent),
        "least_busy": lambda one: (one.used, one.idle_since, one.agent),
        "most_spare": lambda one: (one.spare is not None, -(one.spare or 0), one.idle_since, one.agent),
        "lowest_ratio": lambda one: (one.ratio, one.idle_since, one.agent),
        "round_robin": lambda one: (one.place <= after, one.place),
    }
    return min(seats, key=keys[strategy]).agent if seats else None


seats = st.builds(
    lambda agent, skills, spare, used, idle: Seat(
        agent, skills, used, 0.0 if spare is None else used / (used + spare), spare, idle, AGENTS.index(agent)
    ),
    st.sampled_from(AGENTS),
    SKILLS,
    st.none() | st.integers(1, 3),
    st.integers(0, 3),
    st.integers(-1, 2),
)


class Oracle(RuleBasedStateMachine):
    """Members come, change and go; whoever is picked is the best of all that fit."""

    @initialize(strategy=st.sampled_from(get_args(Strategy)))
    def begin(self, strategy: Strategy) -> None:
        self.candidates = Candidates(strategy)
        self.there: dict[tuple[str, str], Seat] = {}

    @rule(where=st.sampled_from(["chat", "email"]), new=seats)
    def come(self, where: str, new: Seat) -> None:
        self.candidates.put(where, new.agent, new)
        self.there[where, new.agent] = new

    @rule(where=st.sampled_from(["chat", "email"]), agent=st.sampled_from(AGENTS))
    def go(self, where: str, agent: str) -> None:
        self.candidates.put(where, agent, None)
        self.there.pop((where, agent), None)

    @rule(
        where=st.sampled_from(["chat", "email"]),
        skills=SKILLS,
        barred=st.frozensets(st.sampled_from(AGENTS), max_size=3),
        after=st.integers(-1, 4),
    )
    def pick(self, where: str, skills: frozenset[str], barred: frozenset[str], after: int) -> None:
        here = [one for (group, _), one in self.there.items() if group == where]
        fitting = [one for one in here if skills <= one.skills and one.agent not in barred]
        picked = self.candidates.pick(where, skills, barred.__contains__, after)
        assert (picked and picked.agent) == best(self.candidates.strategy, fitting, after)
        assert picked is None or picked == self.there[where, picked.agent]
        assert self.candidates.any(where) == bool(here)
        for agent in AGENTS:
            found = self.there.get((where, agent))
            assert self.candidates.holds(where, agent, skills) == (found is not None and skills <= found.skills)


TestOracle = Oracle.TestCase


def nobody(agent: str) -> bool:
    return False


def picked(strategy: Strategy, *members: Seat, after: int = -1) -> str | None:
    candidates = Candidates(strategy)
    for member in members:
        candidates.put("chat", member.agent, member)
    found = candidates.pick("chat", frozenset(), nobody, after)
    return None if found is None else found.agent


def test_never_assigned_counts_as_idle_longest() -> None:
    assert picked("longest_idle", seat("ana", idle=0), seat("bo", idle=-1)) == "bo"


def test_ties_go_to_the_longest_idle_then_to_the_lower_id() -> None:
    assert picked("least_busy", seat("ana", used=1, idle=5), seat("bo", used=1, idle=4)) == "bo"
    assert picked("least_busy", seat("bo", used=1, idle=4), seat("ana", used=1, idle=4)) == "ana"


def test_unlimited_counts_as_most_spare() -> None:
    assert picked("most_spare", seat("ana", maximum=1_000_000), seat("bo", used=9)) == "bo"


def test_unlimited_counts_as_the_ratio_nought() -> None:
    assert picked("lowest_ratio", seat("ana", used=1, maximum=100), seat("bo", used=90)) == "bo"
    assert picked("lowest_ratio", seat("bo", used=90, idle=1), seat("ana", maximum=1, idle=2)) == "bo", "both are 0"


def test_equal_ratios_of_different_sizes_are_a_tie() -> None:
    assert picked("lowest_ratio", seat("ana", used=1, maximum=3, idle=9), seat("bo", used=2, maximum=6, idle=1)) == "bo"


def test_round_robin_goes_round() -> None:
    members = [seat("ana"), seat("cy"), seat("eve")]
    assert [picked("round_robin", *members, after=place) for place in range(-1, 5)] == [
        "ana", "cy", "cy", "eve", "eve", "ana",
    ]  # fmt: skip


def test_round_robin_with_one_member_comes_back_to_it() -> None:
    assert picked("round_robin", seat("bo"), after=1) == "bo"


@pytest.mark.parametrize("strategy", get_args(Strategy))
def test_nobody_there_means_nobody_picked(strategy: Strategy) -> None:
    assert picked(strategy) is None


def test_pools_of_skills_are_bounded_and_a_forgotten_one_is_made_anew() -> None:
    candidates = Candidates("longest_idle")
    candidates.put("chat", "ana", seat("ana", skills=" ".join(f"s{n}" for n in range(POOLS_MAX * 2))))
    for number in range(POOLS_MAX * 2):
        found = candidates.pick("chat", frozenset({f"s{number}"}), nobody)
        assert found is not None
    assert candidates.statistics() == {"available": 1, "pools": POOLS_MAX}
    candidates.put("chat", "ana", None)
    assert candidates.pick("chat", frozenset({"s0"}), nobody) is None
    assert candidates.pick("chat", frozenset({f"s{POOLS_MAX * 2 - 1}"}), nobody) is None


@given(st.lists(seats, max_size=8))
def test_no_rank_is_shared_by_two_agents(members: list[Seat]) -> None:
    by_agent = {member.agent: member for member in members}
    for strategy in get_args(Strategy):
        ranks = [rank(strategy, member) for member in by_agent.values()]
        assert len(set(ranks)) == len(ranks), "or the order of two would depend on chance"

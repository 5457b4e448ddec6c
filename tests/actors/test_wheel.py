"""The timer wheel against a sorted list, in worlds so small that every slot is cut and the overflow always in use."""

import sys
from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.wheel import Timer, TimerWheel


def tiny(now: int = 0, *, bits: int = 2, levels: int = 3, budget: int = 100) -> TimerWheel:
    return TimerWheel(now, bits=bits, levels=levels, cascade_budget=budget)


def armed(wheel: TimerWheel, *deadlines: int) -> list[Timer]:
    timers = [Timer(owner=number) for number in range(len(deadlines))]
    for timer, deadline in zip(timers, deadlines, strict=True):
        wheel.arm(timer, deadline)
    return timers


def fire(wheel: TimerWheel, now: int, handler: Callable[[Timer], None] = lambda timer: None) -> list[tuple[int, int]]:
    """Everything due, as (tick it came out at, owner)."""
    fired = []
    while (timer := wheel.pop(now)) is not None or wheel.behind:
        if timer is not None:
            fired.append((wheel.now, timer.owner))
            handler(timer)
    return fired


def pop_until_handed_out(wheel: TimerWheel, now: int) -> Timer | None:
    while (timer := wheel.pop(now)) is None and wheel.behind:
        pass
    return timer


# One timer


def test_a_timer_fires_at_its_tick_and_not_before() -> None:
    for deadline in range(1, 200):
        wheel = tiny()
        armed(wheel, deadline)
        assert fire(wheel, deadline - 1) == []
        assert fire(wheel, deadline) == [(deadline, 0)]


def test_a_timer_is_armed_from_arm_until_it_is_handed_out() -> None:
    wheel, timer = tiny(), Timer(0, "grace")
    assert not timer.armed
    wheel.arm(timer, 70)
    assert (timer.armed, timer.deadline, timer.kind, len(wheel)) == (True, 70, "grace", 1)
    assert wheel.pop(70) is timer
    assert (timer.armed, timer.deadline, len(wheel)) == (False, 70, 0)


def test_a_cancelled_timer_does_not_fire_and_cancel_may_be_repeated() -> None:
    wheel = tiny()
    first, second = armed(wheel, 9, 9)
    wheel.cancel(first)
    wheel.cancel(first)
    assert len(wheel) == 1
    assert fire(wheel, 100) == [(9, second.owner)]
    wheel.cancel(second)
    assert len(wheel) == 0


def test_a_timer_moved_earlier_fires_earlier_and_once() -> None:
    wheel = tiny()
    (timer,) = armed(wheel, 60)
    wheel.arm(timer, 3)
    assert fire(wheel, 100) == [(3, 0)]


def test_a_past_deadline_is_kept_as_given_and_fires_at_the_next_pop() -> None:
    wheel = tiny(now=50)
    (timer,) = armed(wheel, 7)
    assert wheel.next_deadline() == 50
    assert fire(wheel, 50) == [(50, 0)]
    assert timer.deadline == 7


def test_the_wheel_keeps_nothing_of_a_timer_that_is_no_longer_armed() -> None:
    wheel = tiny(budget=2)
    timers = armed(wheel, 3, 3, 20, 40)
    wheel.arm(timers[0], 5)
    wheel.cancel(timers[2])
    held = [sys.getrefcount(timer) for timer in timers]
    fire(wheel, 100)
    free = [sys.getrefcount(timer) for timer in timers]
    assert free == [held[0] - 1, held[1] - 1, held[2], held[3] - 1]


def test_time_does_not_go_back() -> None:
    wheel = tiny(now=10)
    with pytest.raises(AssertionError):
        wheel.pop(9)


# Lazy re-arm


def test_moving_a_deadline_later_touches_no_slot() -> None:
    wheel = tiny()
    (timer,) = armed(wheel, 3)
    before = wheel.statistics()
    wheel.arm(timer, 1000)
    after = wheel.statistics()
    assert (before["lazy"], after["lazy"], after["armings"]) == (0, 1, 2)
    assert before["level_0"] == after["level_0"] == 1
    assert fire(wheel, 999) == []
    assert fire(wheel, 1000) == [(1000, 0)]


def test_moving_earlier_within_the_slot_touches_no_slot_either() -> None:
    wheel = tiny()
    (timer,) = armed(wheel, 63)
    wheel.arm(timer, 49)
    assert wheel.statistics()["lazy"] == 1
    assert fire(wheel, 63) == [(49, 0)]


def test_a_timer_moved_and_moved_back_is_as_if_armed_last() -> None:
    wheel = tiny()
    first, _ = armed(wheel, 3, 3)
    wheel.arm(first, 9)
    wheel.arm(first, 3)
    assert fire(wheel, 9) == [(3, 1), (3, 0)]


# Order


def three_due_at_5(out_of_order: bool) -> tuple[TimerWheel, Timer, Timer, Timer]:
    """Three timers in the order they are due, filed in that order or in another."""
    wheel = tiny(budget=2)
    first, second, third = armed(wheel, 5, 5, 5)
    if not out_of_order:
        return wheel, first, second, third
    wheel.arm(first, 5)  # lazy: first in its slot, last in order
    return wheel, second, third, first


def test_ties_come_out_in_the_order_they_were_armed() -> None:
    for deadline in (0, 1, 5, 17, 64, 300):
        wheel = tiny(budget=2)
        armed(wheel, *[deadline] * 7)
        assert [owner for _, owner in fire(wheel, deadline)] == list(range(7))


def test_a_lazy_timer_filed_late_into_a_tick_still_takes_its_place_in_it() -> None:
    wheel = tiny(budget=2)
    lazy = Timer("lazy")
    wheel.arm(lazy, 2)
    armed(wheel, 3, 3)
    wheel.arm(lazy, 3)
    wheel.arm(Timer("last"), 3)
    assert [owner for _, owner in fire(wheel, 3)] == [0, 1, "lazy", "last"]


def test_a_tick_out_of_order_stays_so_when_more_is_filed_in_order() -> None:
    wheel = tiny(budget=2)
    first, _ = armed(wheel, 5, 6)
    wheel.arm(first, 6)
    assert fire(wheel, 4) == []
    wheel.arm(Timer("last"), 6)
    assert fire(wheel, 6) == [(6, 1), (6, 0), (6, "last")]


def test_a_tick_armed_in_two_levels_at_once_keeps_the_order_of_arming() -> None:
    wheel = tiny(budget=1)
    armed(wheel, 6, 6, 6)  # level 1; the pop is cut when one of them has come down to level 0
    assert wheel.pop(5) is None
    assert (wheel.behind, wheel.now) == (True, 4)
    wheel.arm(Timer("later"), 6)
    assert [owner for _, owner in fire(wheel, 6)] == [0, 1, 2, "later"]


def test_past_deadlines_come_out_in_order_if_the_wheel_starts_below_them() -> None:
    wheel = tiny(now=10)
    armed(wheel, 40, 12, 33, 12)
    assert fire(wheel, 500) == [(12, 1), (12, 3), (33, 2), (40, 0)]


def test_past_deadlines_come_out_in_the_order_of_arming_if_the_wheel_is_beyond_them() -> None:
    wheel = tiny(now=100)
    armed(wheel, 40, 12, 33)
    assert fire(wheel, 500) == [(100, 0), (100, 1), (100, 2)]


# Inside a handler: between two pops


def test_what_a_handler_arms_for_its_own_tick_fires_at_once_after_those_already_there() -> None:
    wheel = tiny()
    armed(wheel, 5, 5, 6)
    extra = [Timer("now"), Timer("past")]

    def handler(timer: Timer) -> None:
        if extra:
            wheel.arm(extra.pop(), timer.deadline - len(extra))

    assert fire(wheel, 50, handler) == [(5, 0), (5, 1), (5, "past"), (5, "now"), (6, 2)]


def test_what_a_handler_arms_counts_from_the_tick_of_its_timer() -> None:
    wheel = tiny()
    (timer,) = armed(wheel, 2)

    def handler(timer: Timer) -> None:
        if wheel.now < 40:
            wheel.arm(timer, wheel.now + 13)

    assert fire(wheel, 1000, handler) == [(2, 0), (15, 0), (28, 0), (41, 0)]
    assert wheel.now == 1000
    assert not timer.armed


@pytest.mark.parametrize("out_of_order", [False, True])
def test_a_handler_cancels_a_timer_of_the_same_tick(out_of_order: bool) -> None:
    wheel, first, second, third = three_due_at_5(out_of_order)
    assert pop_until_handed_out(wheel, 9) is first
    wheel.cancel(second)
    wheel.cancel(second)
    assert fire(wheel, 9) == [(5, third.owner)]
    assert len(wheel) == 0


@pytest.mark.parametrize("out_of_order", [False, True])
@pytest.mark.parametrize("deadline", [5, 3, 6, 900])
def test_a_handler_moves_a_timer_of_the_same_tick(out_of_order: bool, deadline: int) -> None:
    wheel, first, second, third = three_due_at_5(out_of_order)
    assert pop_until_handed_out(wheel, 900) is first
    wheel.arm(second, deadline)
    assert fire(wheel, 900) == [(5, third.owner), (max(deadline, 5), second.owner)]


def test_a_handler_cancels_a_timer_of_the_same_tick_and_arms_it_again() -> None:
    wheel = tiny()
    timers = armed(wheel, 5, 5, 5)
    assert wheel.pop(9) is timers[0]
    wheel.cancel(timers[1])
    wheel.arm(timers[1], 7)
    assert fire(wheel, 9) == [(5, 2), (7, 1)]


# Where to go next


def test_next_deadline_is_exact_for_timers_of_the_lowest_level() -> None:
    wheel = tiny(now=4)
    timers = armed(wheel, 7, 6)
    assert wheel.next_deadline() == 6
    wheel.cancel(timers[1])
    assert wheel.next_deadline() == 7
    wheel.cancel(timers[0])
    assert wheel.next_deadline() is None


def test_next_deadline_follows_cancels_in_a_slot_of_many_buckets() -> None:
    for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 0, 4, 1, 3]):
        wheel = tiny(budget=1)
        timers = armed(wheel, 3, 3, 3, 3, 3)
        for number in order:
            assert wheel.next_deadline() == 3
            wheel.cancel(timers[number])
        assert wheel.next_deadline() is None


def test_a_sleeper_wakes_at_most_once_a_level_for_one_timer() -> None:
    for deadline in range(1, 64):
        wheel, wakes = tiny(), 0
        armed(wheel, deadline)
        while (tick := wheel.next_deadline()) is not None:
            assert wheel.now < tick <= deadline
            fire(wheel, tick)
            wakes += 1
        assert wheel.now == deadline
        assert wakes <= 3


def test_a_slot_not_finished_is_due_now() -> None:
    wheel = tiny(budget=1)
    armed(wheel, 9, 10, 11)
    assert wheel.pop(20) is None
    assert wheel.next_deadline() == wheel.now == 8


# Arithmetic


@pytest.mark.parametrize(("bits", "levels"), list(product([1, 2, 3], [1, 2])))
def test_every_tick_is_filed_by_the_highest_digit_in_which_it_differs_from_now(bits: int, levels: int) -> None:
    wheel = tiny(bits=bits, levels=levels)
    slots = 2**bits
    reach = slots**levels
    for now in range(2 * reach):
        wheel.now = now
        for tick in range(now, 4 * reach):
            level = max(level for level in range(9) if level == 0 or tick // slots**level != now // slots**level)
            place = wheel._place(tick)
            if level < levels:
                assert divmod(place, slots) == (level, tick // slots**level % slots)
                assert wheel._start(place, tick) == tick - tick % slots**level
            else:
                assert place == levels * slots
                assert wheel._start(place, tick) == tick - tick % reach


def test_the_order_of_places_is_the_order_of_time() -> None:
    wheel = tiny()
    for now in range(130):
        wheel.now = now
        places = [wheel._place(tick) for tick in range(now, 300)]
        assert places == sorted(places)


def test_the_wheel_jumps_from_slot_to_slot() -> None:
    wheel = tiny()
    armed(wheel, 10**12, 10**15)
    assert fire(wheel, 10**15) == [(10**12, 0), (10**15, 1)]
    assert wheel.statistics()["steps"] <= 2 * 4  # three levels and the overflow


def test_the_overflow_waits_for_the_first_round_that_somebody_in_it_needs() -> None:
    wheel = tiny(budget=2)
    timers = armed(wheel, 64 * 9 + 1, 64 * 7 + 2, 64 * 8, 64 * 7 + 1)
    assert wheel.next_deadline() == 64 * 7
    assert wheel.statistics()["overflow"] == 4
    wheel.cancel(timers[3])
    assert fire(wheel, 64 * 10) == [(64 * 7 + 2, 1), (64 * 8, 2), (64 * 9 + 1, 0)]


# Bounded work


def test_a_cut_slot_is_finished_before_anything_below_it_fires() -> None:
    wheel = tiny(budget=2)
    armed(wheel, 7, 6, 5, 4)  # one slot of level 1, the most urgent last
    assert wheel.pop(7) is None
    assert (wheel.behind, wheel.now) == (True, 4)
    assert fire(wheel, 7) == [(4, 3), (5, 2), (6, 1), (7, 0)]


def test_behind_is_true_until_the_wheel_has_reached_now() -> None:
    wheel = tiny(budget=1)
    assert not wheel.behind
    armed(wheel, 18)
    seen = []
    while (timer := wheel.pop(30)) is not None or wheel.behind:
        seen.append((wheel.now, timer is not None))
    assert seen == [(16, False), (18, True)]
    assert (wheel.now, wheel.behind) == (30, False)


def test_the_budget_holds_across_slots() -> None:
    wheel = tiny(budget=3)
    timers = armed(wheel, 1, 2, 3, 4, 5, 6, 7)
    for timer in timers:
        wheel.arm(timer, 1000)
    assert wheel.pop(50) is None
    assert (wheel.behind, wheel.statistics()["steps"], wheel.now) == (True, 3, 3)


@pytest.mark.parametrize("out_of_order", [False, True])
def test_the_budget_holds_for_timers_that_the_first_of_their_tick_moves_later(out_of_order: bool) -> None:
    wheel = tiny(budget=3)
    timers = armed(wheel, *[5] * 10)
    if out_of_order:
        wheel.arm(timers[0], 5)
    first = pop_until_handed_out(wheel, 5)
    before = wheel.statistics()["steps"]
    for timer in timers:
        if timer is not first:
            wheel.arm(timer, 50)
    assert wheel.pop(5) is None
    assert (wheel.behind, wheel.statistics()["steps"] - before) == (True, 3)
    assert fire(wheel, 49) == []
    assert len(fire(wheel, 50)) == 9


@pytest.mark.parametrize("out_of_order", [False, True])
def test_no_pop_exceeds_its_budget_though_200_000_timers_are_due_in_one_tick(
    out_of_order: bool,
) -> None:
    wheel = TimerWheel(bits=3, levels=3)
    budget, deadline = 682, 300
    timers = armed(wheel, *[deadline] * 200_000)
    if out_of_order:
        for timer in reversed(timers):
            wheel.arm(timer, deadline)
    assert max(len(bucket.timers) for slot in wheel._slots for bucket in slot) == budget
    owners, steps = [], 0
    while (timer := wheel.pop(deadline)) is not None or wheel.behind:
        if timer is not None:
            owners.append(timer.owner)
        before, steps = steps, wheel.statistics()["steps"]
        assert steps - before <= budget
        assert timer is not None or steps - before == budget
    assert owners == sorted(owners, reverse=out_of_order)
    assert len(owners) == 200_000


@pytest.mark.parametrize("last_first", [False, True])
def test_a_slot_holds_room_for_those_armed_and_not_for_those_that_were(last_first: bool) -> None:
    wheel = tiny(budget=8)
    timers = armed(wheel, *[60] * 800)
    leave = [timer for timer in timers if timer.owner % 8]
    for timer in reversed(leave) if last_first else leave:
        wheel.cancel(timer)
    buckets = [bucket for slot in wheel._slots for bucket in slot]
    assert len(buckets) <= 1 + 4 * len(wheel) / 8
    assert fire(wheel, 60) == [(60, number) for number in range(0, 800, 8)]


def test_timers_filed_again_because_others_left_keep_their_tick() -> None:
    wheel = tiny(now=50, budget=4)
    timers = armed(wheel, *[7] * 8, *[51] * 8)
    for number in (0, 1, 2, 8, 9, 10):
        wheel.cancel(timers[number])
    assert fire(wheel, 90) == [(50, number) for number in range(3, 8)] + [(51, number) for number in range(11, 16)]


def test_the_last_bucket_of_a_slot_is_not_filed_again_each_time_it_shrinks() -> None:
    wheel = tiny(budget=8)
    timers = armed(wheel, *[3] * 3)
    (bucket,) = wheel._slots[3]
    wheel.cancel(timers[0])
    assert wheel._slots[3] == [bucket]


def test_statistics_tell_where_the_timers_are() -> None:
    wheel = tiny(budget=2)
    timers = armed(wheel, 1, 2, 5, 20, 21, 22, 70)
    wheel.arm(timers[0], 3)
    assert wheel.statistics() == {
        "armed": 7,
        "filed": 7,
        "at_hand": 0,
        "armings": 8,
        "lazy": 1,
        "steps": 0,
        "level_0": 2,
        "level_1": 1,
        "level_2": 3,
        "overflow": 1,
    }
    while not wheel.statistics()["at_hand"]:
        wheel.pop(16)
    assert wheel.statistics()["at_hand"] + wheel.statistics()["filed"] == len(wheel)


# The oracle


class Oracle:
    """A wheel beside a list of what it must do; every call is made on both and compared."""

    def __init__(self, bits: int, levels: int, budget: int, start: int) -> None:
        self.budget = budget
        self.wheel = tiny(start, bits=bits, levels=levels, budget=budget)
        self.timers = [Timer(number) for number in range(6)]
        self.expected: dict[Timer, tuple[int, int, int]] = {}  # (tick it is due, order of arming, deadline as given)
        self.armings = 0

    def arm(self, number: int, deadline: int) -> None:
        timer = self.timers[number]
        self.armings += 1
        self.expected[timer] = (max(deadline, self.wheel.now), self.armings, deadline)
        self.wheel.arm(timer, deadline)

    def cancel(self, number: int) -> None:
        self.expected.pop(self.timers[number], None)
        self.wheel.cancel(self.timers[number])

    def pop(self, now: int) -> bool:
        """One pop. True = there may be more."""
        before, steps = self.wheel.now, self.wheel.statistics()["steps"]
        timer = self.wheel.pop(now)
        steps = self.wheel.statistics()["steps"] - steps
        due = min(self.expected, key=self.expected.__getitem__, default=None)
        assert steps <= self.budget
        assert before <= self.wheel.now <= now
        if timer is not None:
            assert timer is due
            tick, _, deadline = self.expected.pop(timer)
            assert (self.wheel.now, timer.deadline, timer.armed) == (tick, deadline, False)
        elif self.wheel.behind:
            assert steps == self.budget
        else:
            assert due is None or self.expected[due][0] > now
            assert self.wheel.now == now
        return timer is not None or self.wheel.behind

    def check(self) -> None:
        assert len(self.wheel) == len(self.expected)
        assert [timer.armed for timer in self.timers] == [timer in self.expected for timer in self.timers]
        tick = self.wheel.next_deadline()
        if tick is None:
            assert not self.expected
        else:
            assert self.wheel.now <= tick <= min(self.expected.values())[0]

    def sleep_until_the_end(self) -> None:
        """As the wheel's owner does it. Each wake is later than the last, so it ends."""
        while self.pop(self.wheel.now):
            self.check()
        while (tick := self.wheel.next_deadline()) is not None:
            assert tick > self.wheel.now
            while self.pop(tick):
                self.check()
        assert not self.expected


near = st.integers(-3, 12)
far = st.one_of(st.integers(0, 80), st.integers(0, 2**14), st.sampled_from([2**k for k in range(15)]))
change = st.one_of(
    st.tuples(st.just("arm"), st.integers(0, 5), st.one_of(near, far)),
    st.tuples(st.just("move"), st.integers(0, 5), st.one_of(near, far)),  # from its present deadline: ties, lazy
    st.tuples(st.just("move"), st.integers(0, 5), st.integers(-3, 3)),
    st.tuples(st.just("cancel"), st.integers(0, 5), st.just(0)),
)
turn = st.tuples(st.lists(change, max_size=6), st.one_of(near.filter(lambda n: n >= 0), far), st.integers(0, 12))


def apply(oracle: Oracle, changes: list[tuple[str, int, int]]) -> None:
    for verb, number, ticks in changes:
        if verb == "cancel":
            oracle.cancel(number)
        elif verb == "move":
            oracle.arm(number, oracle.timers[number].deadline + ticks)
        else:
            oracle.arm(number, oracle.wheel.now + ticks)
        oracle.check()


@settings(max_examples=400, deadline=None)
@given(
    world=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(0, 200)),
    turns=st.lists(turn, max_size=12),
)
def test_the_wheel_does_what_a_sorted_list_does(
    world: tuple[int, int, int, int], turns: list[tuple[list[tuple[str, int, int]], int, int]]
) -> None:
    """A turn changes timers between two pops (so also inside a handler, also in a cut slot) and pops a few times."""
    oracle = Oracle(*world)
    for changes, jump, pops in turns:
        now = oracle.wheel.now + jump
        apply(oracle, changes)
        for _ in range(pops):
            if not oracle.pop(now):
                break
            oracle.check()
    oracle.sleep_until_the_end()


def test_a_timer_that_is_kept_where_it_is_keeps_its_turn() -> None:
    wheel = TimerWheel(0)
    first, second = Timer("first"), Timer("second")
    wheel.keep(first, 5)
    wheel.keep(second, 5)
    wheel.keep(first, 5)
    assert wheel.pop(5) is first
    wheel.keep(second, None)
    assert (second.armed, wheel.pop(9)) == (False, None)

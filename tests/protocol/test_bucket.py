"""Token buckets: what is taken never exceeds burst and rate, and a debt is paid by waiting."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.bucket import Bucket

NOW = 1_000_000


def test_a_bucket_is_full_at_first_and_refills_by_its_rate() -> None:
    bucket = Bucket(10, 3, NOW)
    assert [bucket.take(NOW) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(NOW + 99)
    assert bucket.take(NOW + 100)
    assert [bucket.take(NOW + 3_600_000) for _ in range(4)] == [True, True, True, False]


def test_what_cannot_be_taken_whole_is_not_taken_in_part() -> None:
    bucket = Bucket(1, 5, NOW)
    assert not bucket.take(NOW, 6)
    assert bucket.take(NOW, 5)


def test_it_says_how_long_to_wait() -> None:
    bucket = Bucket(10, 2, NOW)
    assert bucket.wait_s(NOW) == 0
    bucket.take(NOW, 2)
    assert bucket.wait_s(NOW) == 0.1
    assert bucket.wait_s(NOW, 2) == 0.2
    assert bucket.wait_s(NOW + 100) == 0


def test_a_debt_is_paid_by_waiting() -> None:
    bucket = Bucket(100, 50, NOW)
    assert bucket.spend(NOW, 50) == 0
    assert bucket.spend(NOW, 50) == 0.5
    assert bucket.spend(NOW + 500, 10) == 0.1
    assert not bucket.take(NOW + 600)


def test_a_clock_that_goes_back_gives_nothing_and_locks_nobody_out() -> None:
    bucket = Bucket(10, 1, NOW)
    bucket.take(NOW)
    assert not bucket.take(NOW - 5_000)
    assert bucket.take(NOW - 4_900)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 500), st.integers(1, 4)), max_size=60))
def test_no_stretch_of_time_gets_more_than_burst_and_rate(steps: list[tuple[int, int]]) -> None:
    bucket, now, taken = Bucket(10, 5, NOW), NOW, []
    for wait, count in steps:
        now += wait
        taken += [now] * sum(bucket.take(now) for _ in range(count))
    for start in range(len(taken)):
        for end in range(start, len(taken)):
            assert end - start + 1 <= 5 + (taken[end] - taken[start]) * 10 / 1000 + 1e-6

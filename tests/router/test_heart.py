"""Beats, in virtual time."""

import pytest
import trio

from router.heart import Heart


class Noted:
    def __init__(self) -> None:
        self.at: list[float] = []

    def beat(self) -> None:
        self.at.append(trio.current_time())


async def test_each_beats_at_its_own_time(autojump_clock, nursery):
    heart = Heart(20)
    nursery.start_soon(heart.run)
    first, second = Noted(), Noted()
    heart.start(first, 20)
    await trio.sleep(5)
    heart.start(second, 7.5)  # sooner than what is slept for
    await trio.sleep(60)
    assert first.at == [20, 40, 60]
    assert second.at == [12.5, 32.5, 52.5]
    assert heart.statistics() == {"beating": 2}


async def test_who_has_stopped_beats_no_more(autojump_clock, nursery):
    heart = Heart(20)
    nursery.start_soon(heart.run)
    one = Noted()
    timer = heart.start(one, 20)
    await trio.sleep(30)
    heart.stop(timer)
    await trio.sleep(60)
    assert one.at == [20]
    assert heart.statistics() == {"beating": 0}


async def test_a_process_that_stood_still_owes_no_beats(mock_clock, nursery):
    heart = Heart(20)
    nursery.start_soon(heart.run)
    one = Noted()
    heart.start(one, 20)
    await trio.testing.wait_all_tasks_blocked()
    for seconds, beats in ((65, 1), (19, 1), (1, 2)):
        mock_clock.jump(seconds)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert len(one.at) == beats


@pytest.mark.parametrize("beat_s", [0.007, 0.3, 1.1])
async def test_times_that_are_no_whole_number_in_binary_do_not_spin(autojump_clock, nursery, beat_s):
    heart = Heart(beat_s)
    nursery.start_soon(heart.run)
    one = Noted()
    heart.start(one, beat_s)
    await trio.sleep(beat_s * 10.5)
    assert one.at == pytest.approx([beat_s * n for n in range(1, 11)])

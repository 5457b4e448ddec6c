"""Re-arming all day is the same for every contestant, and as its text says."""

from __future__ import annotations

from bench import loop_timers, rearm, wheel


def test_each_conversation_has_one_reply_a_round_and_less_than_its_timeout_between_two() -> None:
    last: dict[int, int] = {}
    counted = 0
    for counts, now, batches in rearm.slices(talks := rearm.conversations(2_500)):
        for conversation in (one for batch in batches for one in batch):
            assert now - last.get(id(conversation), 0) < conversation.timeout
            last[id(conversation)] = now
            counted += counts
    assert len(last) == len(talks)
    assert counted == len(talks) * rearm.ROUNDS


def test_equal_timeouts_are_one_object() -> None:
    talks = rearm.conversations(10_000)
    assert len({id(talk.timeout) for talk in talks}) == len({talk.timeout for talk in talks}) <= len(rearm.TIMEOUTS)


def test_every_contestant_keeps_all_deadlines_where_the_last_reply_put_them() -> None:
    for make in wheel.CONTESTANTS.values():
        contestant, talks = make(0), rearm.conversations(50)
        contestant.begin(talks)
        for now in (600_000, 1_200_000):
            assert not sum(contestant.advance(now))
            contestant.rearm(talks, now)
        assert not sum(contestant.advance(1_200_000 + min(talk.timeout for talk in talks) - 1))
        handles = [talk.handle for talk in talks]
        if isinstance(contestant, wheel.Wheel):
            assert [handle.deadline for handle in handles] == [1_200_000 + talk.timeout for talk in talks]
        elif isinstance(contestant, wheel.Heap):
            assert [handle[0] for handle in handles] == [1_200_000 + talk.timeout for talk in talks]
        else:
            assert [handle.when() for handle in handles] == [1_200 + talk.timeout_s for talk in talks]


def test_the_dead_of_a_heap_are_swept_out_while_it_is_measured() -> None:
    heap = wheel.Heap(0)
    rearm.rearmed(heap, 1_500)
    assert len(heap.heap) <= 2 * 1_500
    assert sum(entry[2] is not None for entry in heap.heap) == 1_500


def test_the_wheel_files_again_what_it_comes_round_to_while_it_is_measured() -> None:
    made = wheel.Wheel(0)
    rearm.rearmed(made, 1_500)
    found = made.wheel.statistics()
    assert found["armed"] == 1_500
    assert found["armings"] == 1_500 * (1 + rearm.WARMING + rearm.ROUNDS)
    assert found["steps"] > 1_500


def test_uvloop_re_arms_without_firing() -> None:
    loop = loop_timers.Uvloop(0)
    each_ns, pause_ms = rearm.rearmed(loop, 1_500)
    loop.loop.close()
    assert each_ns > 0
    assert pause_ms > 0
    assert loop.left == 0


def test_a_slice_that_does_not_count_is_not_in_the_figures() -> None:
    watch = rearm.Stopwatch()
    watch.start()
    watch.step()
    assert watch.figures(1) == (0, 0)
    watch.stop()
    assert watch.figures(1)[1] > 0

import trio
from trio.testing import wait_all_tasks_blocked

from router.rounds import Rounds


class Written:
    def __init__(self, rounds: Rounds, again: int = 0) -> None:
        self.times = 0
        self._rounds, self._again = rounds, again

    def flush(self) -> None:
        self.times += 1
        if self.times <= self._again:
            self._rounds.enter(self)


async def test_who_has_entered_is_flushed_in_the_next_round(nursery):
    rounds = Rounds()
    nursery.start_soon(rounds.run)
    many = [Written(rounds) for _ in range(1_000)]
    for one in many:
        rounds.enter(one)
    assert not any(one.times for one in many)
    await wait_all_tasks_blocked()
    assert all(one.times == 1 for one in many)


async def test_who_enters_again_lets_others_go_first(nursery):
    rounds = Rounds()
    long, short = Written(rounds, again=10), Written(rounds)
    rounds.enter(long)
    nursery.start_soon(rounds.run)
    while not long.times:
        await trio.lowlevel.checkpoint()
    rounds.enter(short)
    while not short.times:
        await trio.lowlevel.checkpoint()
    assert long.times < 11
    await wait_all_tasks_blocked()
    assert long.times == 11

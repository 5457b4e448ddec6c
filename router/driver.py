"""The loop that turns requests into facts: take what is waiting, step, commit, deliver. [architecture, "The shell"]

    inbox -> questions -> step -> commit (storage thread) -> deliver
               ^ reader thread        while one batch commits, the next gathers: group commit

One batch is being committed; whatever arrives meanwhile makes the next one larger. It is stepped meanwhile too, as soon
as there is enough for a step that is worth its while, and what is left when the commit is through; all that goes into
one batch. Nothing is delivered before its batch is durable. If the store refuses a batch, the core takes back its steps
and those behind it, changes are refused with ``storage_unavailable`` (reads go on, deadlines wait), and a small write
is tried every ``PROBE_S`` until one succeeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Protocol, TypeVar

import structlog
import trio
from msgspec import UNSET, Struct

from actors.core import Core
from actors.effects import (
    Asked,
    Configured,
    Discarded,
    Ended,
    Input,
    Mailed,
    Opened,
    Outgoing,
    Output,
    Posted,
    Reply,
    Shown,
    Uploaded,
    Wanted,
    Welcome,
)
from actors.wheel import TimerWheel
from protocol.errors import RequestError, internal, refused
from protocol.records import Batch, KeyRecord, Question
from protocol.requests import METHODS
from protocol.session import Limits
from protocol.settings import WorkspaceSettings
from router.clock import Clock
from router.desk import INBOX_MAX, HouseDesk, Verifier
from router.errands import Errands
from router.prefetch import Prefetch
from router.revocation import Revocations
from storage.store import StorageUnavailable, StorageUnfit, Store
from storage.thread import StoreThread

log = structlog.get_logger("signalbox.driver")
T = TypeVar("T")
Step = tuple[Output, Sequence[Input]]  # what came of these inputs

STEP_MAX = 512  # inputs a step, and inputs a batch
AHEAD_MIN = 64  # inputs of a step that is made while a commit is under way
AHEAD_MAX = 8  # such steps
UNDER_WAY_MAX = 2 * AHEAD_MAX + 3  # steps: some are being committed, some wait for that, one is being made
PROBE_S = 1.0
WAIT_MAX_S = 5.0  # the wall clock may jump meanwhile (a machine that slept): look again


class Observer(Protocol):
    """Hears what was done; ``router.metrics.Metrics`` is one."""

    def committed(self, records: int) -> None:
        """A batch of so many records was committed."""

    def request(self, method: str, outcome: str) -> None:
        """A request was answered: ``ok``, or the reason of its refusal."""


class _Unobserved:
    def committed(self, records: int) -> None: ...

    def request(self, method: str, outcome: str) -> None: ...


def _is_read(item: Input) -> bool:
    """Whether an input changes nothing: such go on while the store takes no changes."""
    return isinstance(item, Wanted) or (isinstance(item, Asked) and not METHODS[item.call.method].changes)


def outcome(error: RequestError) -> str:
    """A refusal in one word, for counting: the reason, or the code."""
    return str(error.data.get("reason", error.code))


class Statistics(Struct):
    """What has been done so far."""

    steps: int = 0
    commits: int = 0
    entries: int = 0
    requests: int = 0
    storage_failures: int = 0


class Driver(HouseDesk):
    """The desk of one workspace, and the tasks behind it."""

    def __init__(self, settings: WorkspaceSettings, store: Store, gate: Verifier, limits: Limits, clock: Clock) -> None:
        super().__init__(settings.id, gate, limits, clock)
        self.core = Core(settings)
        self.statistics = Statistics()
        self.available = True  # the store takes changes
        self.abandoned = False  # nobody waits for the store any more
        self._doubted = False  # something could not be read: does it?
        self.errands = Errands(self.read, self._agent_name, self._heard, self.now)
        self.observer: Observer = _Unobserved()
        self._settings = settings
        self._store = store
        self._writer = StoreThread("signalbox-writer")
        self._reader = StoreThread("signalbox-reader")
        self._owed: list[Input] = []  # ends of sessions that the store has not taken yet
        self._stepped: list[Step] = []  # wait for the commit under way
        self._under_way = 0  # steps that are not delivered yet
        self._stepping = trio.Lock()
        self._shields: list[trio.CancelScope] = []  # of what is waited for whoever cancels it
        self._prefetch = Prefetch(self.core, self.read, self._refuse)
        self._revocations = Revocations(self.read, self._commit, lambda: self._gate.tokens_end)

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Open the store, load what is live, apply the configuration. Raises StorageUnfit, StorageUnavailable."""
        await self.errands.open()
        await self._in(self._writer, self._store.open)
        snapshot = await self._in(self._writer, self._store.load)
        await self._revocations.load(self.now())
        now = self.now()
        self._expiries = TimerWheel(now)
        self.core.load(snapshot, now)
        self._inbox.append(Configured(self._settings))

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Drive until cancelled. ``start`` came first."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._commit_loop)
            nursery.start_soon(self._step_loop)
            nursery.start_soon(self._probe_loop)
            self._spawn = nursery.start_soon
            self.hub.errand = self.errands.on(nursery.start_soon)
            task_status.started()

    def _heard(self, item: Posted | Mailed) -> None:
        """What became of an errand: taken in also while draining."""
        self._inbox.append(item)
        self._work.ring()

    def _agent_name(self, agent: str) -> str:
        actor = self.core.house.agents.get(agent)
        return agent if actor is None else actor.record.settings.name or agent

    async def settled(self) -> None:
        """Wait until everything handed in so far is durable and delivered."""
        await self._progress.until(lambda: not (self._inbox or self._under_way or self._reads or self.core.behind))

    async def drain(self, reason: str, retry_after_s: float, limit_s: float = math.inf) -> None:
        """Take nothing new, finish what was taken (in so many seconds), tell every session and close it."""
        self.draining = True
        with trio.move_on_after(limit_s):
            await self.settled()
            await self.errands.drain()
            await self.settled()
        for connection in self.hub:
            connection.ending(reason, retry_after_s)

    async def close(self) -> None:
        """Let go of the store; ``run`` has ended."""
        with self._shielded():
            await self.errands.close()
            await self._in(self._writer, self._store.close)
            for thread in (self._reader, self._writer):
                await trio.to_thread.run_sync(thread.close, abandon_on_cancel=True)

    def abandon(self) -> None:
        """Wait for the store no longer: ``run`` and ``close`` can be cancelled. The process is to end then.

        A commit that is under way may be made or not, as if the process were killed: nobody was told that it was.
        """
        self.abandoned = True
        for shield in self._shields:
            shield.shield = False

    @contextmanager
    def _shielded(self) -> Iterator[None]:
        """What was begun is finished, whoever cancels it, unless the store is abandoned."""
        with trio.CancelScope(shield=not self.abandoned) as shield:
            self._shields.append(shield)
            try:
                yield
            finally:
                self._shields.remove(shield)

    def queues(self) -> dict[str, int]:
        """What waits in the driver, each with the most that it may hold."""
        return {
            "inbox": len(self._inbox),
            "inbox_max": INBOX_MAX,
            "under_way": self._under_way,
            "under_way_max": UNDER_WAY_MAX,
            "reads": self._reads,
            "reads_max": INBOX_MAX,
            **self._writer.queue("writer"),
            **self._reader.queue("reader"),
            "sessions_expiring": len(self._expiries),
        }

    # ------------------------------------------------------------ stepping

    async def _step_loop(self) -> None:
        while True:
            await self._progress.until(self._has_place)
            await self._wait_for_work()
            await self._step_what_waits()
            self._progress.ring()

    async def _step_what_waits(self) -> None:
        async with self._stepping:
            inputs = [self._inbox.popleft() for _ in range(min(STEP_MAX - self._ahead(), len(self._inbox)))]
            self._under_way += 1
            if not await self._step(inputs):
                self._under_way -= 1

    def _ahead(self) -> int:
        """Inputs that are stepped and wait for the commit under way."""
        return sum(len(inputs) for _, inputs in self._stepped)

    def _has_place(self) -> bool:
        """For another step in the next batch: not behind one of nothing but deadlines, which is large."""
        if not self._stepped:
            return True
        return self._ahead() + AHEAD_MIN <= STEP_MAX and len(self._stepped) < AHEAD_MAX and not self.core.behind

    async def _wait_for_work(self) -> None:
        """Until there is a request or a deadline, or deadlines are no longer what they were."""
        with trio.move_on_at(self._wake_at()):
            await self._work.until(self._has_work)
        self._moved = False
        self._expire()

    def _has_work(self) -> bool:
        """While a commit is under way, only a step that is worth its while: it waits for that commit anyway."""
        if self._under_way and not self.core.behind:
            return len(self._inbox) >= AHEAD_MIN
        return bool(self._inbox) or self.core.behind or self._moved

    def _wake_at(self) -> float:
        deadline = self.core.next_deadline() if self.available else None
        due = [tick for tick in (deadline, self._expiries.next_deadline()) if tick is not None]
        latest = trio.current_time() + WAIT_MAX_S
        return min(latest, self._clock.when(min(due))) if due else latest

    async def _step(self, inputs: Sequence[Input]) -> bool:
        """Do these; whether there is something to commit or to deliver."""
        if self.available:
            inputs = await self._prefetch.fetch([*self._owed, *inputs])
            self._owed.clear()
        else:
            inputs = await self._only_reads(inputs)
        output = self.core.step(self.now(), inputs, fire=self.available)
        for failure in self.core.failures:
            log.error("handler failed", failure=failure)
        self.core.failures.clear()
        self._inbox.extendleft(reversed(inputs[output.taken :]))
        self.statistics.steps += 1
        self.statistics.requests += output.taken
        if not (output.batch or output.outgoing):
            return False
        self._stepped.append((output, inputs[: output.taken]))
        return True

    # ------------------------------------------------------------ committing

    async def _commit_loop(self) -> None:
        while True:
            await self._progress.until(lambda: bool(self._stepped))
            if self._inbox and self._has_place():
                await self._step_what_waits()
            steps, self._stepped = self._stepped, []
            self._progress.ring()
            try:
                await self._commit(_together([output.batch for output, _ in steps]))
            except StorageUnavailable as problem:
                await self._take_back(steps, problem)
            except StorageUnfit:
                raise
            except Exception as problem:
                await self._isolate(steps, problem)
            else:
                for output, _ in steps:
                    self.core.committed(output)
                    self._deliver(output)
            self._under_way -= len(steps)
            self._progress.ring()
            self._work.ring()

    async def _commit(self, batch: Batch) -> None:
        if batch:
            await self._in(self._writer, partial(self._store.commit, batch))
            self.statistics.commits += 1
            self.statistics.entries += len(batch.entries)
            self.observer.committed(len(batch.entries) + len(batch.records))

    def _deliver(self, output: Output) -> None:
        self.hub.deliver(output.outgoing, self._ask)
        for item in output.outgoing:
            if type(item) is Reply:
                self.observer.request(item.method, "ok" if item.error is None else outcome(item.error))

    def _ask(self, question: Question, then: Callable[[Any], None]) -> None:
        """Read one answer after the commit and hand it over when it is there."""
        token = trio.lowlevel.current_trio_token()

        def done(answer: list[Any] | None, problem: BaseException | None) -> None:
            if isinstance(problem, StorageUnavailable):
                token.run_sync_soon(self._doubt)
            elif problem is not None:
                log.error("reading failed", problem=repr(problem))
            token.run_sync_soon(answered, answer)

        def answered(answer: list[Any] | None) -> None:
            self._reads -= 1
            then(refused("storage_unavailable", retry_after_s=PROBE_S) if answer is None else answer[0])
            self._progress.ring()

        self._reads += 1
        try:
            self._reader.submit(lambda: self._store.read([question]), done)
        except StorageUnavailable:  # too many are being read
            answered(None)

    # ------------------------------------------------------------ when the store fails

    async def _take_back(self, steps: Sequence[Step], problem: Exception) -> None:
        """None of these steps, nor of those behind them, has happened."""
        self.statistics.storage_failures += 1
        log.error("the store refused a batch", problem=str(problem))
        async with self._stepping:
            undone = self._undo(steps)
            self.available = False
            reads = await self._only_reads(undone)
            again = self.core.step(self.now(), reads, fire=False)
            self._deliver(again)

    def _undo(self, steps: Sequence[Step]) -> list[Input]:
        """Take back steps and those behind them; returns their inputs."""
        behind, self._stepped = self._stepped, []
        self._under_way -= len(behind)
        self.core.undo([output for output, _ in (*steps, *behind)], self.now())
        return [item for _, inputs in (*steps, *behind) for item in inputs]

    async def _isolate(self, steps: Sequence[Step], problem: Exception) -> None:
        """Something in this batch is nothing the store can take: find it, and refuse only that.

        Should never be: what may come in is checked. Raises the problem if it is in no input.
        """
        log.error("the store cannot take something in a batch", problem=repr(problem))
        async with self._stepping:
            undone = self._undo(steps)
            if not undone:
                raise problem
            for index, item in enumerate(undone):
                if not await self._alone(item):
                    self._inbox.extendleft(reversed(undone[index:]))
                    self._work.ring()
                    return

    async def _alone(self, item: Input) -> bool:
        """Do one input in a batch of its own. False: the store has gone away, and it must wait."""
        output = self.core.step(self.now(), await self._prefetch.fetch([item]))
        try:
            await self._commit(output.batch)
        except StorageUnavailable:
            self.core.undo([output], self.now())
            self.available = False
            return False
        except StorageUnfit:
            raise
        except Exception as problem:
            self.core.undo([output], self.now())
            incident = f"store-{self.statistics.steps}"
            log.error("refused what the store cannot take", incident=incident, problem=repr(problem))
            self._refuse([item], internal(incident))
            return True
        self.core.committed(output)
        self._deliver(output)
        return await self._alone(item) if self.core.behind else True  # behind: deadlines came first, not the item

    async def _probe_loop(self) -> None:
        """While the store takes no changes, try a small one now and then; also at once when it cannot be read."""
        while True:
            await self._progress.until(lambda: not self.available or self._doubted)
            if not self.available:
                await trio.sleep(PROBE_S)
            self._doubted = False
            now = self.now()
            probe = KeyRecord(owner="house", key=f"probe-{now}", digest="", answer=b"null", expires_at=now)
            try:
                await self._commit(Batch(keys=(probe,)))
            except StorageUnavailable as problem:
                log.warning("the store takes no changes", problem=str(problem))
                self.available = False
            else:
                if not self.available:
                    log.warning("the store takes changes again")
                self.available = True
                self._look_again()

    async def _only_reads(self, inputs: Sequence[Input]) -> Sequence[Input]:
        """Refuse what changes anything; keep the ends of sessions for later."""
        reads = [item for item in inputs if _is_read(item)]
        self._owed.extend(item for item in inputs if isinstance(item, Ended | Configured | Posted | Mailed | Discarded))
        self._refuse([item for item in inputs if item not in reads])
        return await self._prefetch.fetch(reads)

    def _refuse(self, inputs: Sequence[Input], why: RequestError | None = None) -> None:
        """These cannot be done now: nothing of them has happened."""
        outgoing: list[Outgoing] = []
        for item in inputs:
            error = why or refused("storage_unavailable", retry_after_s=PROBE_S)
            match item:
                case Asked() if item.call.id is not UNSET:
                    outgoing.append(Reply(item.session, item.call.id, item.call.method, error=error))
                case Opened():
                    outgoing.append(Welcome(item.session, item.id, 0, error=error))
                case Uploaded() | Wanted():
                    outgoing.append(Shown(item.ticket, error=error))
        self.hub.deliver(outgoing, self._ask)

    # ------------------------------------------------------------ threads

    async def read(self, questions: Sequence[Question]) -> list[Any]:
        """What the store answers, as it is now. Raises StorageUnavailable."""
        try:
            return await self._in(self._reader, partial(self._store.read, questions))
        except StorageUnavailable:
            self._doubt()
            raise

    def _doubt(self) -> None:
        """What cannot be read may not take changes either: requests that need an answer first would never try."""
        self._doubted = True
        self._progress.ring()

    async def _in(self, thread: StoreThread, call: Callable[[], T]) -> T:
        """Run a blocking call in a storage thread. Not cancellable, unless it is abandoned."""
        token = trio.lowlevel.current_trio_token()
        finished = trio.Event()
        outcome: list[tuple[T | None, BaseException | None]] = []

        def done(value: T | None, problem: BaseException | None) -> None:
            outcome.append((value, problem))
            with suppress(trio.RunFinishedError):  # it was abandoned
                token.run_sync_soon(finished.set)

        thread.submit(call, done)
        with self._shielded():
            await finished.wait()
        value, problem = outcome[0]
        if problem is not None:
            raise problem
        return value  # type: ignore[return-value] # None only if T is


def _together(batches: Sequence[Batch]) -> Batch:
    """One batch of several: of two records with one key the store writes the later; the first tells what was before."""
    if len(batches) == 1:
        return batches[0]
    return Batch(
        tuple(record for batch in batches for record in batch.entries),
        tuple(record for batch in batches for record in batch.records),
        tuple(record for batch in batches for record in batch.keys),
        tuple(record for batch in batches for record in batch.before),
    )

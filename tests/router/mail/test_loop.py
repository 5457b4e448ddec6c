"""A thread with an asyncio loop: results and errors come back, what trio gives up is cancelled over there."""

from __future__ import annotations

import asyncio
import threading

import pytest
import trio
import uvloop

from router.mail.loop import LoopThread


async def test_a_coroutine_runs_on_uvloop_in_a_thread_of_that_name(loop: LoopThread) -> None:
    async def look() -> tuple[bool, str]:
        return isinstance(asyncio.get_running_loop(), uvloop.Loop), threading.current_thread().name

    assert await loop.run(look) == (True, "test-mail")


async def test_its_exception_comes_back(loop: LoopThread) -> None:
    async def fail() -> None:
        raise LookupError("over there")

    with pytest.raises(LookupError, match="over there"):
        await loop.run(fail)


async def test_what_is_given_up_here_is_cancelled_there(loop: LoopThread) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with trio.open_nursery() as nursery:
        nursery.start_soon(loop.run, wait)
        await trio.to_thread.run_sync(begun.wait)
        nursery.cancel_scope.cancel()
    assert await trio.to_thread.run_sync(cancelled.wait, 20)


async def test_closing_cancels_what_is_left_and_ends_the_thread() -> None:
    loop = LoopThread("test-closing")
    ended: list[bool] = []

    async def start() -> None:
        async def forever() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(True)

        loop.kept = asyncio.create_task(forever())  # type: ignore[attr-defined]
        await asyncio.sleep(0)

    await loop.run(start)
    await loop.close()
    await loop.close()
    assert ended == [True]
    assert all(thread.name != "test-closing" for thread in threading.enumerate())


async def test_closing_one_that_never_ran_does_nothing() -> None:
    await LoopThread("never").close()

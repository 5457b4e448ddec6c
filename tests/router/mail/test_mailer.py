"""The driver's way out for mails: read, written, handed over; one attempt of a mail at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from actors.effects import Mail, Mailed
from protocol.records import Question
from protocol.settings import MailSettings
from router.mail.mailer import AT_ONCE, Mailer
from router.mail.sink import Sink
from storage.store import StorageUnavailable
from tests.router.mail.writing import Shelf, mail, message


class Store(Shelf):
    """Reads for a mailer; ``away`` = it cannot, ``held`` = it takes its time."""

    def __init__(self, *entries: Any) -> None:
        super().__init__(*entries)
        self.away = False
        self.held: trio.Event | None = None
        self.reading = 0

    async def __call__(self, questions: Sequence[Question]) -> list[Any]:
        if self.away:
            raise StorageUnavailable("the disk is full")
        self.reading += 1
        if self.held is not None:
            await self.held.wait()
        self.reading -= 1
        return self.read(questions)


@asynccontextmanager
async def mailing(sink: Sink | None = None, **settings: Any) -> AsyncIterator[Mailer]:
    mailer = Mailer(MailSettings(**settings), "main", None, sink)
    await mailer.open()
    yield mailer
    await mailer.close()


async def test_a_mail_is_written_and_handed_over() -> None:
    sink = Sink()
    async with mailing(sink) as mailer:
        assert await mailer.send(mail(), Store(), str.title) == Mailed("fallback-7", taken=True)
    assert [found["To"] for found in sink.kept] == ["nia@example.org"]
    assert mailer.statistics() == {"sent": 1, "attempts_failed": 0, "under_way": 0}


async def test_two_attempts_are_the_same_mail() -> None:
    sink = Sink()
    async with mailing(sink) as mailer:
        for _ in range(2):
            await mailer.send(mail(), Store(), str.title)
    first, second = sink.kept
    assert first["Message-ID"] == second["Message-ID"]


async def test_a_mail_whose_message_is_gone_fails_for_good_and_says_why() -> None:
    async with mailing(Sink()) as mailer:
        found = await mailer.send(mail(), Store(message(6, "another")), str.title)
    assert found == Mailed("fallback-7", False, True, "there is no message 7 in conversation c1")


async def test_a_mail_whose_data_cannot_be_read_fails_for_good() -> None:
    async with mailing(Sink()) as mailer:
        found = await mailer.send(Mail("x", "forward", "a@b.c", "c1", "{}", "en", 0), Store(), str.title)
    assert found is not None
    assert (found.taken, found.permanent) == (False, True)
    assert "KeyError" in str(found.error)


async def test_while_the_store_cannot_be_read_mails_wait() -> None:
    store = Store()
    store.away = True
    async with mailing(Sink()) as mailer:
        found = await mailer.send(mail(), store, str.title)
        assert found == Mailed("fallback-7", False, False, "the disk is full")
        store.away = False
        assert await mailer.send(mail(), store, str.title) == Mailed("fallback-7", taken=True)


async def test_what_the_server_refuses_is_told_to_the_core() -> None:
    sink = Sink()
    async with mailing(sink) as mailer:
        sink.refuse = "451 try later"
        later = await mailer.send(mail(), Store(), str.title)
        sink.refuse = "554 never"
        never = await mailer.send(mail(), Store(), str.title)
    assert later == Mailed("fallback-7", False, False, "451 try later")
    assert never == Mailed("fallback-7", False, True, "554 never")


async def test_a_mail_under_way_is_not_sent_a_second_time_meanwhile() -> None:
    sink, store = Sink(), Store()
    store.held = trio.Event()
    async with mailing(sink) as mailer, trio.open_nursery() as nursery:
        nursery.start_soon(mailer.send, mail(), store, str.title)
        await trio.testing.wait_all_tasks_blocked()
        assert await mailer.send(mail(), store, str.title) is None
        assert mailer.statistics()["under_way"] == 1
        store.held.set()
    assert len(sink.kept) == 1


async def test_only_so_many_are_under_way_at_once() -> None:
    sink, store = Sink(), Store()
    store.held = trio.Event()
    mails = [Mail(f"m{n}", "fallback", "a@b.c", "c1", '{"entry":7}', "en", 0) for n in range(3 * AT_ONCE)]
    async with mailing(sink) as mailer, trio.open_nursery() as nursery:
        for item in mails:
            nursery.start_soon(mailer.send, item, store, str.title)
        await trio.testing.wait_all_tasks_blocked()
        assert store.reading == AT_ONCE
        store.held.set()
    assert len(sink.kept) == len(mails)

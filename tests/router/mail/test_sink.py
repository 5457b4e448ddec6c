"""The sink takes every mail, keeps the latest, and shows them in a few lines."""

from __future__ import annotations

import logging
from email.message import EmailMessage
from functools import partial

import pytest

from protocol.settings import MailSettings
from router.mail.loop import LoopThread
from router.mail.message import Writer
from router.mail.renderer import Renderer
from router.mail.sink import KEPT, LINES_SHOWN, Sink, shown
from router.mail.smtp import Answer, hand_over
from tests.router.mail.writing import MEETING, Shelf, mail, message

WRITER = Writer(MailSettings(), "main", Renderer())


async def put(loop: LoopThread, port: int, text: str) -> Answer:
    post = WRITER.post(Shelf(message(7, text)).draft(mail()))
    return await loop.run(partial(hand_over, post, MailSettings(port=port), None))


async def test_a_mail_is_told_and_kept_as_it_came(loop: LoopThread) -> None:
    told: list[EmailMessage] = []
    sink = Sink(told.append)
    port = await loop.run(sink.open)
    assert (await put(loop, port, "Hello")).taken
    assert told == list(sink.kept)
    assert told[0]["Subject"] == "New message from Ana"
    await loop.run(sink.close)
    assert not (await put(loop, port, "Hello")).taken


async def test_who_gets_mail_is_not_logged(loop: LoopThread, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sink = Sink()
    port = await loop.run(sink.open)
    assert (await put(loop, port, "Hello")).taken
    await loop.run(sink.close)
    assert "nia@example.org" not in caplog.text


async def test_it_can_be_told_to_refuse(loop: LoopThread) -> None:
    sink = Sink()
    port = await loop.run(sink.open)
    sink.refuse = "550 no"
    assert (await put(loop, port, "Hello")).permanent
    assert not sink.kept
    await loop.run(sink.close)


async def test_only_the_latest_are_kept(loop: LoopThread) -> None:
    sink = Sink()
    sink.kept.extend(EmailMessage() for _ in range(KEPT))
    port = await loop.run(sink.open)
    await put(loop, port, "The latest")
    assert len(sink.kept) == KEPT
    assert "The latest" in shown(sink.kept[-1])
    await loop.run(sink.close)


async def test_closing_one_that_is_not_open_does_nothing(loop: LoopThread) -> None:
    await loop.run(Sink().close)


def test_a_mail_is_shown_in_a_few_lines() -> None:
    lines = shown(read("\n".join(f"line {n}" for n in range(50)))).splitlines()
    assert lines[0] == "mail to nia@example.org: New message from Ana"
    assert len(lines) == LINES_SHOWN + 2
    assert lines[-1] == "    … 34 more lines"


def test_an_invitation_is_shown_by_its_name() -> None:
    post = WRITER.post(Shelf().draft(mail("invitation", **MEETING)))
    assert shown(parsed(post.content)).splitlines()[-1] == "    [invitation.ics]"


def read(text: str) -> EmailMessage:
    return parsed(WRITER.post(Shelf(message(7, text)).draft(mail())).content)


def parsed(content: bytes) -> EmailMessage:
    from email import message_from_bytes, policy

    return message_from_bytes(content, policy=policy.SMTP)

"""One attempt against a real mail server on loopback: what is taken, what comes later, what never will be."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

import pytest

from protocol.settings import MailSettings
from router.mail import smtp
from router.mail.loop import LoopThread
from router.mail.message import Post
from router.mail.smtp import REASON_MAX, Answer, hand_over, reason
from tests.router.mail.servers import PASSWORD, Answering, serving

POST = Post("house@example.org", "nia@example.org", "<1@example.org>", b"Subject: Hi\r\n\r\nHello\r\n", utf8=False)


async def attempt(loop: LoopThread, port: int, post: Post = POST, **settings: Any) -> Answer:
    password = settings.pop("password", None)
    return await loop.run(partial(hand_over, post, MailSettings(port=port, **settings), password))


async def test_what_the_server_takes_is_taken(loop: LoopThread) -> None:
    handler = Answering()
    async with serving(loop, handler) as (port, _):
        assert await attempt(loop, port) == Answer(taken=True)
    assert handler.came == [POST.content]


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "permanent"),
    [("550 no such user", True), ("552 too large", True), ("451 try later", False), ("421 bye", False),
     ("530 authentication required", False), ("535 wrong password", False)],
)  # fmt: skip
async def test_a_refusal_for_good_is_one_about_the_mail(
    loop: LoopThread, command: str, answer: str, permanent: bool
) -> None:
    handler = Answering(**{command: answer})
    async with serving(loop, handler) as (port, _):
        found = await attempt(loop, port)
    assert (found.taken, found.permanent) == (False, permanent)
    assert found.error is not None
    assert answer[:3] in found.error
    assert handler.came == []


async def test_a_server_that_is_not_there_is_tried_later(loop: LoopThread) -> None:
    with socket.socket() as held:  # bound, but nobody listens
        held.bind(("127.0.0.1", 0))
        found = await attempt(loop, held.getsockname()[1])
    assert (found.taken, found.permanent) == (False, False)
    assert found.error


async def test_a_server_that_says_nothing_is_given_up_and_tried_later(
    loop: LoopThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "ATTEMPT_S", 0.05)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        found = await attempt(loop, silent.getsockname()[1])
    assert (found.taken, found.permanent) == (False, False)


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_a_secured_server_is_believed_only_if_its_certificate_is_right(
    loop: LoopThread, security: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = Answering()
    async with serving(loop, handler, secure=security) as (port, authority):
        found = await attempt(loop, port, security=security)
        assert (found.taken, found.permanent) == (False, False)
        monkeypatch.setenv("SSL_CERT_FILE", authority)
        assert await attempt(loop, port, security=security) == Answer(taken=True)
    assert handler.secured == [True]


async def test_a_server_without_starttls_gets_nothing_in_the_clear(loop: LoopThread) -> None:
    handler = Answering()
    async with serving(loop, handler) as (port, _):
        found = await attempt(loop, port, security="starttls")
    assert (found.taken, found.permanent, handler.came) == (False, False, [])


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
@pytest.mark.parametrize(("password", "taken"), [(PASSWORD, True), ("wrong", False)])
async def test_the_password_opens_the_server_and_a_wrong_one_is_no_fault_of_the_mail(
    loop: LoopThread, password: str, taken: bool
) -> None:
    async with serving(loop, Answering(), login=True) as (port, _):
        found = await attempt(loop, port, username="house", password=password)
    assert (found.taken, found.permanent) == (taken, False)
    assert password not in (found.error or "")


async def test_an_address_that_needs_smtputf8_fails_for_good_where_there_is_none(loop: LoopThread) -> None:
    post = Post("house@example.org", "blåbær@example.no", "<1@example.org>", b"Subject: x\r\n\r\n", utf8=True)
    handler = Answering()
    async with serving(loop, handler, utf8=False) as (port, _):
        found = await attempt(loop, port, post)
    assert (found.taken, found.permanent) == (False, True)
    async with serving(loop, handler, utf8=True) as (port, _):
        assert await attempt(loop, port, post) == Answer(taken=True)


def test_a_reason_is_one_printable_line_of_limited_length() -> None:
    assert reason("550 no\r\n\x00such \x1b[31muser") == "550 no such [31muser"
    assert len(reason("x" * 9_999)) == REASON_MAX
    assert reason(TimeoutError()) == "TimeoutError"

"""Handing one mail to the mail server (RFC 5321), over aiosmtplib. Runs on an asyncio loop.

What the server says decides what happens next: 2xx = it has taken the mail; 5xx about this mail (its sender, recipient
or content) = it never will; anything else, and silence, = later. A 53x is about our password or the lack of TLS, not
about the mail, so it is "later" too: mails wait until the operator has put that right.
"""

from __future__ import annotations

import asyncio
import ssl

import aiosmtplib
from aiosmtplib import errors
from msgspec import Struct

from protocol.settings import MailSettings
from router.mail.message import Post

CONNECT_S = 20.0  # also for each answer
ATTEMPT_S = 60.0  # for the whole of it
REASON_MAX = 300
_ABOUT_US = range(530, 540)


class Answer(Struct, frozen=True):
    """What became of an attempt."""

    taken: bool
    permanent: bool = False
    error: str | None = None


async def hand_over(post: Post, settings: MailSettings, password: str | None) -> Answer:
    """Make one attempt. Never raises but when cancelled."""
    try:
        async with asyncio.timeout(ATTEMPT_S):
            return await _hand_over(post, settings, password)
    except errors.SMTPRecipientsRefused as problem:
        refusals = list(problem.recipients)
        return _refusal(refusals[0].code, refusals[0].message)
    except (errors.SMTPSenderRefused, errors.SMTPRecipientRefused, errors.SMTPDataError) as problem:
        return _refusal(problem.code, problem.message)
    except (errors.SMTPException, OSError, ssl.SSLError, TimeoutError, ValueError) as problem:
        return Answer(taken=False, error=reason(problem))


async def _hand_over(post: Post, settings: MailSettings, password: str | None) -> Answer:
    client = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        username=settings.username,
        password=password if settings.username is not None else None,
        timeout=CONNECT_S,
        use_tls=settings.security == "tls",
        start_tls=settings.security == "starttls",
    )
    async with client:
        options: list[str] = []
        if post.utf8:
            await client.ehlo()
            if not client.supports_extension("smtputf8"):
                error = "the mail server does not take such an address (SMTPUTF8)"
                return Answer(taken=False, permanent=True, error=error)
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        await client.sendmail(post.sender, [post.recipient], post.content, mail_options=options)
        return Answer(taken=True)


def _refusal(code: int, text: str) -> Answer:
    return Answer(taken=False, permanent=500 <= code < 600 and code not in _ABOUT_US, error=reason(f"{code} {text}"))


def reason(problem: object) -> str:
    """Why it went wrong, in one printable line."""
    text = str(problem) or type(problem).__name__
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line[:REASON_MAX]

"""A mail as mail servers know it: RFC 5322 headers, plain text and HTML side by side, an invitation if there is one.

Nothing from outside can add a header: subjects are one line, addresses are taken apart and put together again. The
Message-ID is made of the record's id, so it is the same at every attempt, whatever process makes it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from actors.effects import Mail
from protocol.settings import MailSettings
from router.mail import invitation
from router.mail.draft import Draft, Unwritable
from router.mail.renderer import Renderer, Words

HEADER_MAX = 900  # characters; a line has at most 998 (RFC 5322, 2.1.1)
_ADDRESS = re.compile(r"[^\s@<>\",;:\x00-\x1f\x7f]+@[^\s@<>\",;:\x00-\x1f\x7f]+")


class Letter(Struct, frozen=True):
    """What a reader sees, before it is packed: for boxes and previews."""

    to: str
    subject: str
    text: str
    html: str
    invitation: str | None


class Post(Struct, frozen=True):
    """What goes to the mail server."""

    sender: str
    recipient: str
    message_id: str
    content: bytes
    utf8: bool  # an address needs the extension SMTPUTF8


class Writer:
    """Writes the mails of one workspace. Raises ValueError if the sender is no address."""

    def __init__(self, settings: MailSettings, workspace: str, renderer: Renderer) -> None:
        self._settings = settings
        self._workspace = workspace
        self._renderer = renderer
        name, address = parseaddr(settings.sender)
        self._sender, _ = addressed(address, name)

    def letter(self, draft: Draft) -> Letter:
        """What its reader sees. Raises Unwritable."""
        words, calendar = self._words(draft)
        return Letter(draft.mail.recipient, words.subject, words.text, words.html, calendar)

    def post(self, draft: Draft) -> Post:
        """The mail, packed. Raises Unwritable."""
        mail = draft.mail
        words, calendar = self._words(draft)
        try:
            recipient, utf8 = addressed(mail.recipient)
        except ValueError as problem:
            raise Unwritable(str(problem)) from None
        message = EmailMessage(policy=_POLICY.clone(utf8=utf8))
        ident = self._message_id(f"{mail.id}.{mail.created_at:x}")
        message["Message-ID"] = ident
        message["Date"] = format_datetime(datetime.fromtimestamp(mail.created_at // 1000, UTC))
        message["From"] = self._sender
        message["To"] = recipient
        message["Subject"] = words.subject
        message["Auto-Submitted"] = "auto-generated"
        if mail.kind == "fallback" and mail.conversation is not None:  # so that programs show them as one thread
            message["References"] = self._message_id(mail.conversation)
        if mail.kind == "digest":
            self._add_unsubscribe(message, mail)
        message.set_content(words.text)
        message.add_alternative(words.html, subtype="html")
        if calendar is not None:
            _add_calendar(message, calendar, str(draft.data["method"]))
        message["Content-Language"] = words.language  # last: the library drops such headers with each new content
        return Post(self._sender.addr_spec, recipient.addr_spec, ident, message.as_bytes(), utf8)

    def _words(self, draft: Draft) -> tuple[Words, str | None]:
        mail = draft.mail
        words = self._renderer.render(mail.kind, mail.language, draft.told())
        if draft.data.get("method") is None:
            return words, None
        return words, invitation.calendar(draft.data, self._sender.addr_spec)

    def _message_id(self, local: str) -> str:
        return f"<{quote(local, safe='')}.{quote(self._workspace, safe='')}@{self._sender.domain}>"

    def _add_unsubscribe(self, message: EmailMessage, mail: Mail) -> None:
        """RFC 2369 and, for a link, one click (RFC 8058)."""
        link = self._settings.unsubscribe
        if link is None:
            return
        link = link.replace("{recipient}", quote(mail.recipient, safe=""))
        if len(link) <= HEADER_MAX:
            message["List-Unsubscribe"] = f"<{link}>"
            if link.startswith("https:"):
                message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"


def addressed(address: str, name: str = "") -> tuple[Address, bool]:
    """An address for a header, and whether it needs SMTPUTF8. Raises ValueError if it is none.

    Only the part before the @ may need it: a domain is written in ASCII, as RFC 5891 says.
    """
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no e-mail address")
    local, _, domain = address.rpartition("@")
    try:
        plain = domain if domain.isascii() else domain.encode("idna").decode()
        return Address(_printable(name), local, plain), not local.isascii()
    except (UnicodeError, ValueError) as problem:
        raise ValueError(f"{address!r} is no e-mail address: {problem}") from None


def _printable(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _add_calendar(message: EmailMessage, calendar: str, method: str) -> None:
    """Beside the text, where calendars look for it (RFC 6047), and as a file for those that do not."""
    message.add_alternative(calendar, subtype="calendar")
    part = list(message.iter_parts())[-1]
    part.set_param("method", method)
    message.make_mixed()
    message.add_attachment(calendar.encode(), maintype="application", subtype="ics", filename="invitation.ics")


class _Policy(EmailPolicy):
    """Links stay whole: the library would fold a long one as an encoded word, which no program follows."""

    def fold(self, name: str, value: Any) -> str:
        return _whole(name, value) or super().fold(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        whole = _whole(name, value)
        return whole.encode() if whole is not None else super().fold_binary(name, value)


def _whole(name: str, value: Any) -> str | None:
    return f"{name}: {value}\r\n" if name in ("List-Unsubscribe", "Message-ID", "References") else None


_POLICY = _Policy(linesep="\r\n", cte_type="7bit")

"""E-mail: an SMTP server that takes mails in, and a mail server that takes answers.

    export SIGNALBOX_URL=… SIGNALBOX_TOKEN=…      # a connector's, with the channel email
    export EMAIL_ADDRESS=support@example.com SMTP_HOST=mail.example.com SMTP_USER=… SMTP_PASSWORD=…
    python -m examples.connectors.email_smtp --port 8025       # where the mail server forwards that address to

Whoever writes has one conversation, found by the address. Answers go into the thread of the last mail (In-Reply-To,
References); their Message-ID is made from the entry, so an answer that leaves twice is one mail to its reader, and a
bounce that quotes it makes that message failed. A mail is acknowledged to its sender when the server has it, so it is
in one place or the other at any moment. Mails written by machines are refused or left alone: two of them would never
stop.
"""

from __future__ import annotations

import argparse
import asyncio
import email.policy
import email.utils
import hashlib
import hmac
import json
import logging
import re
from email.message import EmailMessage, MIMEPart
from email.parser import BytesParser
from html.parser import HTMLParser
from typing import Any

import aiosmtplib
from aiosmtpd.smtp import SMTP, Envelope, Session

from examples.client import Client, StoppedError
from examples.connectors.bridge import Bridge, Journal, RejectedError, UnavailableError, run, setting

log = logging.getLogger("email")

MAIL_BYTES_MAX = 10 * 1024 * 1024
REFERENCES_MAX = 20
ATTRIBUTION = re.compile(r"^(On|Am|Le|El|Den)\b.{0,200}(wrote|schrieb|a écrit|escribió|skrev).{0,100}:\s*$")
ORIGINAL = re.compile(r"^-{3,}\s*(Original Message|Ursprüngliche Nachricht|Message d'origine)\s*-{3,}\s*$", re.I)
ADDRESS = re.compile(r"[^\s@<>\",;:\x00-\x1f\x7f]+@[^\s@<>\",;:\x00-\x1f\x7f]+")
MESSAGE_ID = re.compile(r"<[^<>\s]+>")


class Mailbox:
    """The two directions. Also aiosmtpd's handler: its methods answer SMTP commands."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.address = setting("EMAIL_ADDRESS").lower()
        self.name = setting("EMAIL_NAME", "")
        self.domain = self.address.rpartition("@")[2]
        self._key = bridge.journal.secret().encode()
        self._server: dict[str, Any] = {
            "hostname": setting("SMTP_HOST"),
            "port": int(setting("SMTP_PORT", "587")),
            "username": setting("SMTP_USER", "") or None,
            "password": setting("SMTP_PASSWORD", "") or None,
        }

    # ------------------------------------------------------------ in

    async def handle_RCPT(  # noqa: N802  # aiosmtpd names it so
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """For one address only: this is no relay."""
        if address.lower() != self.address:
            return "550 5.1.1 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """A mail; what it becomes is known before its sender may forget it."""
        raw = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        mail = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(raw)
        try:
            if mail.get_content_type() == "multipart/report":
                await self._bounced(mail)
            elif is_by_a_machine(mail, envelope.mail_from):
                log.info("left alone: a machine wrote from %s", envelope.mail_from)
            else:
                return await self._written(mail, raw)
        except (UnavailableError, StoppedError) as why:
            log.warning("put off: %s", why)
            return "451 4.3.0 try again later"
        except Exception:  # the wildest mails parse, and then raise when they are read
            log.exception("a mail that cannot be read")
            return "554 5.6.0 this mail cannot be read"
        return "250 2.0.0 OK"

    async def _written(self, mail: EmailMessage, raw: bytes) -> str:
        name, sender = email.utils.parseaddr(str(mail.get("From", "")))
        if not ADDRESS.fullmatch(sender):
            return "554 5.6.0 there is no sender to answer"
        ident = message_id(mail) or f"<{hashlib.sha256(raw).hexdigest()}@{self.domain}>"
        subject, text = str(mail.get("Subject", "")).strip(), readable(mail)
        if subject and "In-Reply-To" not in mail:
            text = f"{subject}\n\n{text}"
        external_id = ident if len(ident) <= 200 else hashlib.sha256(ident.encode()).hexdigest()
        received = await self.bridge.receive(sender.lower(), external_id, text or "(empty)", email=sender, name=name)
        references = [*MESSAGE_ID.findall(str(mail.get("References", ""))), ident]
        thread = {
            "subject": subject,
            "reply_to": ident,
            "references": list(dict.fromkeys(references))[-REFERENCES_MAX:],
        }
        self.bridge.journal.note(received["conversation"]["id"], json.dumps(thread))
        return "250 2.0.0 OK"

    async def _bounced(self, mail: EmailMessage) -> None:
        """A report about one of our own, as far as it says that it is lost."""
        parts = {part.get_content_type(): part for part in mail.walk()}
        status, original = parts.get("message/delivery-status"), parts.get("message/rfc822")
        headers = parts.get("text/rfc822-headers")
        if status is None:
            return
        said = "\n".join(str(block) for block in status.get_payload())
        quoted = "" if headers is None else str(headers.get_payload())
        quoted = quoted if original is None else str(original.get_payload(0))
        found = re.search(r"^Message-ID:\s*(<[^<>\s]+>)", quoted, re.I | re.M)
        seq = None if found is None else self.seq_of(found[1])
        if seq is None or not re.search(r"^Action:\s*failed", said, re.I | re.M):
            return
        why = re.search(r"^Diagnostic-Code:\s*(.+)$", said, re.I | re.M)
        await self.bridge.report(seq, "failed", why[1].strip() if why else "it came back")

    # ------------------------------------------------------------ out

    async def send(self, delivery: dict[str, Any]) -> str:
        """One answer to the mail server; its Message-ID."""
        entry = delivery["entry"]
        text = entry.get("text") or entry.get("url")
        if not text:
            raise RejectedError("this connector sends texts only")
        thread = json.loads(self.bridge.journal.noted(entry["conversation"]) or "{}")
        subject = thread.get("subject") or "Your message"
        mail = EmailMessage()
        mail["From"] = email.utils.formataddr((self.name, self.address))
        mail["To"] = delivery["address"]
        mail["Subject"] = subject if subject.lower().startswith("re:") else f"Re: {subject}"
        mail["Date"] = email.utils.localtime()
        mail["Message-ID"] = self.id_of(entry["seq"])
        if thread:
            mail["In-Reply-To"], mail["References"] = thread["reply_to"], " ".join(thread["references"])
        mail.set_content(text)
        try:
            await aiosmtplib.send(
                mail, sender=self.address, recipients=[delivery["address"]], timeout=30, **self._server
            )
        except (aiosmtplib.SMTPAuthenticationError, aiosmtplib.SMTPNotSupported) as problem:
            raise UnavailableError(str(problem)) from None  # ours to mend, and no message's fault
        except aiosmtplib.SMTPRecipientsRefused as problem:
            raise _for_good(problem.recipients[0]) from None
        except aiosmtplib.SMTPResponseException as problem:
            raise _for_good(problem) from None
        except (aiosmtplib.SMTPException, OSError) as problem:
            raise UnavailableError(str(problem)) from None
        return str(mail["Message-ID"])

    def id_of(self, seq: int) -> str:
        """The Message-ID of an entry, always the same, and nobody else could make it."""
        proof = hmac.new(self._key, str(seq).encode(), hashlib.sha256).hexdigest()[:24]
        return f"<e{seq}.{proof}@{self.domain}>"

    def seq_of(self, ident: str) -> int | None:
        """The entry behind one of our own Message-IDs."""
        found = re.match(r"<e(\d{1,16})\.", ident)
        return int(found[1]) if found and hmac.compare_digest(self.id_of(int(found[1])), ident) else None


def _for_good(problem: aiosmtplib.SMTPResponseException) -> Exception:
    """5xx is for ever, but for 53x, which is about us."""
    why = f"{problem.code} {problem.message}"
    return RejectedError(why) if problem.code >= 500 and not 530 <= problem.code < 540 else UnavailableError(why)


def is_by_a_machine(mail: EmailMessage, envelope_sender: str | None) -> bool:
    """Automatic answers, lists and bounces without a report. [RFC 3834]"""
    return (
        envelope_sender in (None, "", "<>")
        or str(mail.get("Auto-Submitted", "no")).lower() != "no"
        or str(mail.get("Precedence", "")).lower() in ("bulk", "list", "junk")
        or "List-Id" in mail
    )


def message_id(mail: EmailMessage) -> str | None:
    """A mail's id without what stands around it."""
    found = MESSAGE_ID.search(str(mail.get("Message-ID", "")))
    return None if found is None else found[0]


def readable(mail: EmailMessage) -> str:
    """The text of a mail, without what it quotes at its end, and the names of its attachments."""
    body = mail.get_body(("plain", "html"))
    text = "" if body is None else words_of(body)
    if body is not None and body.get_content_type() == "text/html":
        text = text_of_html(text)
    names = [part.get_filename() or part.get_content_type() for part in mail.iter_attachments()]
    return "\n".join([without_quotes(text), *(f"[attachment: {name}]" for name in names)]).strip()


def words_of(part: MIMEPart) -> str:
    """The text of a part, whatever its charset says."""
    try:
        return str(part.get_content())
    except LookupError:  # a charset that nobody knows
        payload = part.get_payload(decode=True)
        return payload.decode(errors="replace") if isinstance(payload, bytes) else str(payload)


def without_quotes(text: str) -> str:
    """Modestly: what stands below "On … wrote:", and quoted lines at the end. All of it, if nothing would be left."""
    lines = text.replace("\0", "").splitlines()
    for place, line in enumerate(lines):
        quoted = next((after for after in lines[place + 1 :] if after.strip()), "").startswith(">")
        if ORIGINAL.match(line) or (ATTRIBUTION.match(line) and (quoted or place == len(lines) - 1)):
            lines = lines[:place]
            break
    while lines and (not lines[-1].strip() or lines[-1].startswith(">")):
        lines.pop()
    return "\n".join(lines).strip() or text.strip()


def text_of_html(html: str) -> str:
    """The words of a page, a line a block; quotations are left out."""
    page = _Words()
    page.feed(html)
    page.close()
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in "".join(page.words).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Words(HTMLParser):
    BLOCKS = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "table", "ul", "ol"})
    SILENT = frozenset({"script", "style", "head", "title", "blockquote"})

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._silent += tag in self.SILENT
        if tag in self.BLOCKS:
            self.words.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._silent = max(0, self._silent - (tag in self.SILENT))
        if tag in self.BLOCKS:
            self.words.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(re.sub(r"\s+", " ", data))


async def main(client: Client, arguments: argparse.Namespace) -> None:
    """Take mails and send answers, until the session is over."""
    bridge = Bridge(client, "email", Journal(arguments.journal))
    mailbox = Mailbox(bridge)

    def connected() -> SMTP:
        return SMTP(mailbox, data_size_limit=MAIL_BYTES_MAX, hostname=mailbox.domain, ident="signalbox connector")

    server = await asyncio.get_running_loop().create_server(connected, arguments.host, arguments.port)
    host, port = server.sockets[0].getsockname()[:2]
    logging.info("email listens on smtp://%s:%s", host, port)
    async with server:
        await bridge.run(mailbox.send)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A connector for e-mail.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8025)
    parser.add_argument("--journal", default="email.db", help="the file that remembers threads and what was sent")
    given = parser.parse_args()
    run(lambda client: main(client, given))

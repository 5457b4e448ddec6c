"""The e-mail connector between a real server, whoever writes, and a mail server that is played, over real SMTP."""

from __future__ import annotations

import email.policy
import smtplib
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from desks import Desk, desk, room_for_all
from programs import PATIENCE_S, House, Program, running

from examples.connectors.email_smtp import text_of_html, without_quotes

US = "support@example.com"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("house")) as house:
        room_for_all(house)
        yield house


@pytest.fixture
def dag(house: House) -> Iterator[Desk]:
    with desk(house, "agent dag") as found:
        yield found


class Postman:
    """A mail server: keeps what it takes; ``script`` are its first answers."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.script: deque[str] = deque()
        self.refused: list[str] = []
        self._news = threading.Condition()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        with self._news:
            self._news.notify_all()
            if self.script:
                self.refused.append(self.script.popleft())
                return self.refused[-1]
            self.mails.append(BytesParser(EmailMessage, policy=email.policy.default).parsebytes(envelope.content))
        return "250 OK"

    def until(self, count: int) -> list[EmailMessage]:
        with self._news:
            self._news.wait_for(lambda: len(self.mails) >= count, PATIENCE_S)
            assert len(self.mails) >= count
            return list(self.mails)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def postman() -> Iterator[Postman]:
    found = Postman()
    controller = Controller(found, hostname="127.0.0.1", port=free_port())
    controller.start()
    found.port = controller.port  # type: ignore[attr-defined]
    yield found
    controller.stop()


class Connector:
    """The connector's process, and its SMTP server as others see it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.port = int(program.until(r"listens on smtp://127.0.0.1:(\d+)")[1])
        program.until("connected to the server")

    def takes(self, mail: EmailMessage | bytes, sender: str = "kari@home.example", to: str = US) -> int:
        """Hand over a mail; the code of the answer."""
        raw = mail if isinstance(mail, bytes) else mail.as_bytes()
        with smtplib.SMTP("127.0.0.1", self.port, timeout=PATIENCE_S) as client:
            try:
                client.sendmail(sender, [to], raw)
            except smtplib.SMTPRecipientsRefused as problem:
                return problem.recipients[to][0]
            except smtplib.SMTPResponseException as problem:
                return int(problem.smtp_code)
        return 250


@contextmanager
def connector(house: House, postman: Postman, folder: Path) -> Iterator[Connector]:
    arguments = [sys.executable, "-m", "examples.connectors.email_smtp", "--port", "0"]
    environment = {
        "SIGNALBOX_URL": house.url, "SIGNALBOX_TOKEN": house.connector("email"), "EMAIL_ADDRESS": US,
        "EMAIL_NAME": "Support", "SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(postman.port),  # type: ignore[attr-defined]
    }  # fmt: skip
    with Program([*arguments, "--journal", str(folder / "email.db")], **environment) as program:
        yield Connector(program)


@pytest.fixture
def mailbox(house: House, postman: Postman, tmp_path: Path) -> Iterator[Connector]:
    with connector(house, postman, tmp_path) as found:
        yield found


def mail(sender: str, ident: str, text: str, *, subject: str = "My order", **headers: str) -> EmailMessage:
    found = EmailMessage()
    found["From"], found["To"], found["Subject"] = sender, US, subject
    found["Message-ID"] = f"<{ident}@home.example>"
    for name, value in headers.items():
        found[name.replace("_", "-")] = value
    found.set_content(text)
    return found


def test_a_mail_is_routed_and_the_answer_goes_into_its_thread(mailbox: Connector, postman: Postman, dag: Desk) -> None:
    first = mail("Kari Nes <Kari@home.example>", "one", "Where is it?\n", References="<before@home.example>")
    for _ in range(2):  # a mail server that got no answer hands over again
        assert mailbox.takes(first) == 250
    given = dag.is_given("Kari Nes")
    assert [entry["text"] for entry in dag.timeline(given["id"], "message")] == ["My order\n\nWhere is it?"]
    seq = dag.answers(given["id"], "On its way.\n\nDag")
    (answer,) = postman.until(1)
    assert (answer["From"], answer["To"], answer["Subject"]) == (f"Support <{US}>", "kari@home.example", "Re: My order")
    assert answer["In-Reply-To"] == "<one@home.example>"
    assert answer["References"].split() == ["<before@home.example>", "<one@home.example>"]
    assert answer["Message-ID"].startswith(f"<e{seq}.")
    assert answer.get_content().splitlines() == ["On its way.", "", "Dag"]
    dag.learns(seq, "sent")

    quoting = "Thanks!\n\nOn Mon, 5 Jan 2026 at 10:00, Support <support@example.com> wrote:\n> On its way.\n>\n> Dag\n"
    thread = {"In_Reply_To": answer["Message-ID"], "References": f"{answer['References']} {answer['Message-ID']}"}
    reply = mail("Kari Nes <kari@home.example>", "two", quoting, subject="Re: My order", **thread)
    assert mailbox.takes(reply) == 250
    assert dag.reads("Thanks!") == given["id"]
    dag.answers(given["id"], "You are welcome")
    last = postman.until(2)[1]
    assert last["Subject"] == "Re: My order"
    assert last["In-Reply-To"] == "<two@home.example>"
    chain = ["<before@home.example>", "<one@home.example>", answer["Message-ID"], "<two@home.example>"]
    assert last["References"].split() == chain


def test_it_is_no_relay_and_does_not_talk_with_machines(mailbox: Connector, dag: Desk) -> None:
    ordinary = mail("oli@home.example", "relay", "Pass this on")
    assert mailbox.takes(ordinary, to="somebody@else.example") == 550
    assert mailbox.takes(mail("bot@home.example", "auto", "I am away", Auto_Submitted="auto-replied")) == 250
    assert mailbox.takes(mail("list@home.example", "list", "News", Precedence="bulk")) == 250
    assert mailbox.takes(mail("daemon@home.example", "null", "Undeliverable"), sender="<>") == 250
    assert mailbox.takes(b"Subject: who am I\r\n\r\nno sender") == 554
    assert mailbox.takes(mail("Last <last@home.example>", "last", "A person")) == 250
    assert dag.is_given()["contact"]["name"] == "Last"


def bounce(original: EmailMessage, action: str) -> bytes:
    """What a mail server reports about a mail of ours."""
    return (
        "From: MAILER-DAEMON@home.example\r\nTo: support@example.com\r\nSubject: Undelivered\r\n"
        "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; home.example\r\n\r\n"
        f"Final-Recipient: rfc822; per@home.example\r\nAction: {action}\r\nStatus: 5.1.1\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {original['Message-ID']}\r\n"
        "Subject: Re: My order\r\n\r\n--b--\r\n"
    ).encode()


def test_what_comes_back_has_failed(mailbox: Connector, postman: Postman, dag: Desk) -> None:
    assert mailbox.takes(mail("Per Ås <per@home.example>", "per", "Hello")) == 250
    conversation = dag.is_given("Per Ås")["id"]
    seq = dag.answers(conversation, "Hello Per")
    (sent,) = postman.until(1)
    dag.learns(seq, "sent")
    forged = EmailMessage()
    forged["Message-ID"] = f"<e{seq}.000000000000000000000000@example.com>"
    for report in (bounce(forged, "failed"), bounce(sent, "delayed"), bounce(sent, "failed")):
        assert mailbox.takes(report, sender="<>") == 250
    assert dag.learns(seq, "failed")["error"] == "smtp; 550 5.1.1 no such user"
    assert [entry["status"] for entry in dag.timeline(conversation, "delivery")] == ["sent", "failed"]


def test_a_recipient_that_is_refused_for_good_has_failed_and_others_are_tried_again(
    mailbox: Connector, postman: Postman, dag: Desk
) -> None:
    assert mailbox.takes(mail("Una <una@home.example>", "una", "Hello")) == 250
    conversation = dag.is_given("Una")["id"]
    postman.script.extend(["554 5.7.1 spam", "451 4.2.0 busy"])
    first, second = dag.answers(conversation, "one"), dag.answers(conversation, "two")
    assert dag.learns(first, "failed")["error"] == "554 5.7.1 spam"
    dag.learns(second, "sent")
    assert [found.get_content().strip() for found in postman.mails] == ["two"]
    assert postman.refused == ["554 5.7.1 spam", "451 4.2.0 busy"]


def test_killed_and_started_again_it_goes_on_in_the_same_thread(
    house: House, postman: Postman, dag: Desk, tmp_path: Path
) -> None:
    with connector(house, postman, tmp_path) as first:
        first.takes(mail("Vera <vera@home.example>", "vera", "Hello"))
        conversation = dag.is_given("Vera")["id"]
        dag.learns(dag.answers(conversation, "one"), "sent")
        first.program.process.kill()
        first.program.code()
    last = dag.answers(conversation, "two")
    with connector(house, postman, tmp_path) as second:
        dag.learns(last, "sent")
        assert second.takes(mail("Vera <vera@home.example>", "vera", "Hello")) == 250
    assert [found.get_content().strip() for found in postman.mails] == ["one", "two"]
    assert {found["In-Reply-To"] for found in postman.mails} == {"<vera@home.example>"}
    assert len([e for e in dag.timeline(conversation, "message") if e["by"]["kind"] == "contact"]) == 1


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Hi\n\nOn Monday Ana wrote:\n> Hello\n", "Hi"),
        ("Hi\n> quoted\n\n> again\n", "Hi"),
        ("> quoted\nYes\n> more\nNo", "> quoted\nYes\n> more\nNo"),
        ("Hi\n-----Original Message-----\nFrom: x\n", "Hi"),
        ("Am Montag schrieb Ana:\n> nur Zitat", "Am Montag schrieb Ana:\n> nur Zitat"),
        ("On Monday I wrote:\nthis, which is no quote", "On Monday I wrote:\nthis, which is no quote"),
    ],
)
def test_quotes_at_the_end_are_cut_and_nothing_else(text: str, left: str) -> None:
    assert without_quotes(text) == left


def test_a_page_becomes_its_words() -> None:
    html = "<html><head><title>x</title></head><body><p>Dear  all,</p><p>see<br>below &amp; above</p><style>p{}</style>"
    assert text_of_html(html + "<blockquote>old</blockquote></body></html>") == "Dear all,\n\nsee\nbelow & above"


WILD: list[Callable[[], bytes]] = [
    lambda: b"From: a@b.example\r\nContent-Type: text/plain; charset=klingon\r\n\r\nqapla'",
    lambda: b"From: c@d.example\r\nContent-Type: multipart/mixed\r\n\r\nno boundary",
    lambda: b"From: e@f.example\r\nSubject: =?utf-8?q?=ff?=\r\n\r\n" + bytes(range(1, 256)),
    lambda: b"From: g@h.example\r\n\r\n",
]


@pytest.mark.parametrize("number", range(len(WILD)))
def test_wild_mails_are_taken_or_refused_and_end_nothing(mailbox: Connector, dag: Desk, number: int) -> None:
    assert mailbox.takes(WILD[number]()) in (250, 554)
    assert mailbox.takes(mail(f"Tame{number} <tame{number}@home.example>", f"tame{number}", "Still there?")) == 250
    assert dag.is_given(f"Tame{number}")["channel"] == "email"

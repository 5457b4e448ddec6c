"""The boxes of a simulation: mails as their readers see them, taken at once."""

from __future__ import annotations

from protocol.settings import MailSettings, WorkspaceSettings
from router.simulate.boxes import Boxes
from tests.router.mail.writing import MEETING, Shelf, mail, message


def test_a_mail_lies_in_its_readers_box_as_it_would_be_read() -> None:
    boxes = Boxes(WorkspaceSettings(mail=MailSettings()))
    heard = boxes.take(mail(), Shelf().read, str.title)
    assert (heard.mail, heard.taken) == ("fallback-7", True)
    (letter,) = boxes.of("nia@example.org")
    assert (letter.to, letter.subject, letter.invitation) == ("nia@example.org", "New message from Ana", None)
    assert "Hello <you>" in letter.text
    assert boxes.of("oli@example.org") == []


def test_an_invitation_lies_beside_it() -> None:
    boxes = Boxes(WorkspaceSettings())
    boxes.take(mail("invitation", **MEETING), Shelf().read, str.title)
    (letter,) = boxes.of("nia@example.org")
    assert (letter.invitation or "").startswith("BEGIN:VCALENDAR")


def test_one_that_comes_twice_lies_there_twice() -> None:
    boxes = Boxes(WorkspaceSettings())
    for _ in range(2):
        boxes.take(mail(), Shelf().read, str.title)
    assert len(boxes.of("nia@example.org")) == 2


def test_one_that_cannot_be_written_lies_nowhere_and_says_why() -> None:
    boxes = Boxes(WorkspaceSettings())
    heard = boxes.take(mail(), Shelf(message(6, "another")).read, str.title)
    assert (heard.taken, heard.permanent) == (False, True)
    assert "no message 7" in (heard.error or "")
    heard = boxes.take(mail(to="nobody"), Shelf().read, str.title)
    assert heard.permanent
    assert boxes.of("nia@example.org") == boxes.of("nobody") == []

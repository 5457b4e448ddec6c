"""A mail as mail servers know it: headers that nothing from outside can add to, bodies that can be read back."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest

from actors.effects import Mail
from protocol.settings import MailSettings
from router.mail.draft import Unwritable
from router.mail.message import Post, Writer, addressed
from router.mail.renderer import Renderer
from tests.router.mail.writing import MEETING, Shelf, digest, mail, message

DIGEST = digest(("c1", 1, 9))


def post(item: Mail, shelf: Shelf | None = None, **settings: Any) -> Post:
    settings.setdefault("sender", "Support <support@example.org>")
    return Writer(MailSettings(**settings), "main", Renderer()).post((shelf or Shelf()).draft(item))


def read(item: Post) -> EmailMessage:
    return message_from_bytes(item.content, policy=policy.SMTP)


def test_the_headers_say_who_wrote_what_to_whom_when_and_by_what() -> None:
    found = post(mail())
    headers = dict(read(found).items())
    del headers["Content-Type"], headers["MIME-Version"]
    assert headers == {
        "Message-ID": "<fallback-7.19b8d627a80.main@example.org>",
        "Date": "Mon, 05 Jan 2026 09:00:00 +0000",
        "From": "Support <support@example.org>",
        "To": "nia@example.org",
        "Subject": "New message from Ana",
        "Auto-Submitted": "auto-generated",
        "References": "<c1.main@example.org>",
        "Content-Language": "en",
    }
    assert (found.sender, found.recipient) == ("support@example.org", "nia@example.org")
    assert found.message_id == headers["Message-ID"]


def test_the_text_and_the_html_say_the_same_side_by_side() -> None:
    found = read(post(mail(), Shelf(message(7, "Blåbær 🫐\n" + "x" * 2_000))))
    assert found.get_content_type() == "multipart/alternative"
    parts = list(found.iter_parts())
    assert [part.get_content_type() for part in parts] == ["text/plain", "text/html"]
    for part in parts:
        assert "Blåbær 🫐" in part.get_content()
        assert "x" * 2_000 in part.get_content()


def test_no_line_is_longer_than_mail_servers_take_and_all_is_ascii() -> None:
    content = post(mail(), Shelf(message(7, "ø" * 5_000))).content
    assert max(map(len, content.split(b"\r\n"))) <= 998
    assert content.isascii()
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_the_message_id_is_the_same_at_every_attempt_and_another_for_every_mail() -> None:
    assert post(mail()).message_id == post(mail()).message_id
    others = [mail("digest", **DIGEST), Mail("fallback-7", "fallback", "a@b.c", "c1", '{"entry":7}', "en", 5)]
    assert len({post(item).message_id for item in (mail(), *others)}) == 3


def test_an_id_with_strange_letters_makes_a_message_id_that_is_one() -> None:
    odd = Mail("dcontact:<nia> @x\r\n", "fallback", "a@b.c", "c1", '{"entry":7}', "en", 5)
    assert re.fullmatch(r"<[A-Za-z0-9.%_~-]+@example\.org>", post(odd).message_id)


@pytest.mark.parametrize("name", ["Ana\r\nBcc: all@example.org", "Ana\nX: y", "Ana\x00", "=?utf-8?q?x?="])
def test_no_name_adds_a_header(name: str) -> None:
    found = read(post(mail("reminder", **{**MEETING, "organizer": name, "subject": name})))
    assert set(found.keys()) <= {
        "Message-ID", "Date", "From", "To", "Subject", "Auto-Submitted", "Content-Language", "Content-Type",
        "MIME-Version",
    }  # fmt: skip


@pytest.mark.parametrize("address", ["a@b.c\r\nBcc: x@y.z", "a@b.c\n", "a", "a@b@c", "<a@b.c>", "a@b.c, d@e.f", "@b.c"])
def test_what_is_no_address_gets_no_mail(address: str) -> None:
    with pytest.raises(Unwritable, match="is no e-mail address"):
        post(mail(to=address))


def test_a_sender_that_is_no_address_is_found_at_the_start() -> None:
    with pytest.raises(ValueError, match="is no e-mail address"):
        Writer(MailSettings(sender="nobody"), "main", Renderer())


def test_an_address_of_other_letters_is_written_as_the_net_knows_it() -> None:
    address, utf8 = addressed("nia@blåbær.no")
    assert (address.addr_spec, utf8) == ("nia@xn--blbr-roah.no", False)
    address, utf8 = addressed("blåbær@example.no")
    assert (address.addr_spec, utf8) == ("blåbær@example.no", True)
    found = post(mail(to="blåbær@example.no"))
    assert found.utf8
    assert "To: blåbær@example.no" in found.content.decode()


# ---------------------------------------------------------------- unsubscribing


def test_digests_can_be_unsubscribed_from_with_one_click() -> None:
    link = "https://example.org/mail/unsubscribe/with/a/rather/long/path/of/its/own?address={recipient}&list=unread"
    found = post(mail("digest", to="nia+x@example.org", **DIGEST), unsubscribe=link)
    whole = b"<" + link.replace("{recipient}", "nia%2Bx%40example.org").encode() + b">"
    assert b"\r\nList-Unsubscribe: " + whole + b"\r\n" in found.content  # not folded, not encoded
    assert read(found)["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_unsubscribing_by_mail_is_not_one_click() -> None:
    found = read(post(mail("digest", **DIGEST), unsubscribe="mailto:stop@example.org?subject={recipient}"))
    assert found["List-Unsubscribe"] == "<mailto:stop@example.org?subject=nia%40example.org>"
    assert found["List-Unsubscribe-Post"] is None


def test_only_digests_can_be_unsubscribed_from_and_only_if_the_operator_says_how() -> None:
    assert read(post(mail(), unsubscribe="https://example.org/"))["List-Unsubscribe"] is None
    assert read(post(mail("digest", **DIGEST)))["List-Unsubscribe"] is None


# ---------------------------------------------------------------- invitations


@pytest.mark.parametrize(("kind", "method"), [("invitation", "REQUEST"), ("cancellation", "CANCEL")])
def test_an_invitation_stands_where_calendars_look_for_it_and_as_a_file(kind: Any, method: str) -> None:
    found = read(post(mail(kind, **{**MEETING, "method": method})))
    assert found.get_content_type() == "multipart/mixed"
    bodies, file = found.iter_parts()
    calendar = list(bodies.iter_parts())[-1]
    assert (calendar.get_content_type(), calendar.get_param("method")) == ("text/calendar", method)
    assert (file.get_filename(), file.get_content_type()) == ("invitation.ics", "application/ics")
    text = file.get_content().decode()
    assert calendar.get_content().splitlines() == text.splitlines()
    assert f"METHOD:{method}" in text


def test_a_reminder_has_no_invitation() -> None:
    item = mail("reminder", **{**MEETING, "method": None})
    assert read(post(item)).get_content_type() == "multipart/alternative"
    letter = Writer(MailSettings(), "main", Renderer()).letter(Shelf().draft(item))
    assert (letter.to, letter.invitation) == ("nia@example.org", None)

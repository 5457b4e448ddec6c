"""Words from templates: every kind, every part; languages fall back file by file; HTML is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from protocol.records import MailKind
from router.mail.draft import Unwritable
from router.mail.renderer import FOLDER, KINDS, PARTS, SUBJECT_MAX, Renderer, local
from tests.router.mail.writing import ANA, MEETING, Shelf, digest, mail, message

DATA: dict[str, dict[str, Any]] = {
    "fallback": {"entry": 7},
    "digest": digest(("c1", 3, 9), ("c2", 1, 9)),
    "forward": {"messages": [7], "by": ANA},
    **dict.fromkeys(("invitation", "update", "cancellation", "reminder"), MEETING),
}


def told(kind: str, text: str = "Hello <you>") -> dict[str, Any]:
    return Shelf(message(7, text, attachments=("f1",))).draft(mail(cast(MailKind, kind), **DATA[kind])).told()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_mail_has_a_subject_a_text_and_html_in_english(kind: str) -> None:
    assert all((FOLDER / "en" / f"{kind}.{part}").is_file() for part in PARTS)
    words = Renderer().render(kind, "en", told(kind))
    assert words.subject
    assert "\n" not in words.subject
    assert words.text.strip()
    assert words.html.startswith("<!DOCTYPE html>")
    assert words.language == "en"


@pytest.mark.parametrize("kind", ["fallback", "digest", "forward"])
def test_what_people_wrote_is_escaped_in_html_and_plain_in_the_text(kind: str) -> None:
    words = Renderer().render(kind, "en", told(kind))
    assert "Hello <you>" in words.text
    assert "Hello &lt;you&gt;" in words.html
    assert "Hello <you>" not in words.html
    assert "plan.pdf" in words.text
    assert "plan.pdf" in words.html


def test_a_forward_is_marked_as_forwarded() -> None:
    words = Renderer().render("forward", "en", told("forward"))
    assert words.subject.startswith("Fwd: ")
    assert "Ana forwarded this message to you." in words.text
    assert "Forwarded" in words.html


def test_a_meeting_is_told_in_the_agents_time() -> None:
    words = Renderer().render("invitation", "en", told("invitation"))
    assert words.subject == "Invitation: Plan, 2026-01-05 13:00 Europe/Oslo"
    assert "13:00 Europe/Oslo, 30 minutes" in words.text


def test_times_are_in_the_workspaces_zone_if_the_mail_names_none() -> None:
    assert "18:00 Asia/Tokyo" in Renderer(time_zone="Asia/Tokyo").render("fallback", "en", told("fallback")).text


@pytest.mark.parametrize(("tick", "shown"), [(1_767_603_600_000, "09:00"), ("2026-07-01T09:00:00.000Z", "10:00")])
def test_a_moment_is_shown_on_the_wall_of_its_zone(tick: int | str, shown: str) -> None:
    assert local(tick, "Europe/London").endswith(f" {shown} Europe/London")


# ---------------------------------------------------------------- languages


def put(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return str(folder)


def test_a_language_is_added_by_its_files_and_what_it_lacks_is_english(tmp_path: Path) -> None:
    folder = put(tmp_path, "nb/fallback.subject", "Melding fra {{ message.author }}")
    put(tmp_path, "nb/fallback.txt", "{{ message.text }}")
    words = Renderer(folder).render("fallback", "nb-NO", told("fallback"))
    assert (words.subject, words.language) == ("Melding fra Ana", "nb")
    assert words.html == Renderer().render("fallback", "en", told("fallback")).html


def test_the_workspaces_language_comes_before_english(tmp_path: Path) -> None:
    renderer = Renderer(put(tmp_path, "nb/digest.subject", "Ulest: {{ unread }}"), language="nb")
    assert renderer.render("digest", "de", told("digest")).subject == "Ulest: 4"


def test_one_of_our_files_can_be_replaced(tmp_path: Path) -> None:
    renderer = Renderer(put(tmp_path, "base.html", "<b>ACME</b>{% block body %}{% endblock %}"))
    assert renderer.render("reminder", "en", told("reminder")).html.startswith("<b>ACME</b>")


@pytest.mark.parametrize("language", ["../..", "nb/../en", "", "en\n", "x" * 99])
def test_what_is_no_language_is_english(language: str) -> None:
    assert Renderer().render("fallback", language, told("fallback")).language == "en"


def test_a_template_that_is_none_is_found_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nb/digest\.txt: .*"):
        Renderer(put(tmp_path, "nb/digest.txt", "{% if %}"))
    with pytest.raises(OSError, match="nowhere"):
        Renderer(str(tmp_path / "nowhere"))


def test_a_template_that_names_what_it_is_not_told_fails(tmp_path: Path) -> None:
    renderer = Renderer(put(tmp_path, "en/fallback.txt", "{{ ticket }}"))
    with pytest.raises(Unwritable, match="the template of fallback in en: 'ticket' is undefined"):
        renderer.render("fallback", "en", told("fallback"))


# ---------------------------------------------------------------- subjects


@pytest.mark.parametrize("name", ["Ana\r\nBcc: all@example.org", "Ana\u2028Bcc: x", "A\x00na", "\x1b[31mAna"])
def test_a_subject_is_one_line_of_what_can_be_printed(name: str, tmp_path: Path) -> None:
    renderer = Renderer(put(tmp_path, "en/reminder.subject", "About {{ organizer }}"))
    subject = renderer.render("reminder", "en", {**MEETING, "organizer": name}).subject
    assert subject.isprintable()
    assert subject.startswith("About ")


def test_a_very_long_subject_is_cut(tmp_path: Path) -> None:
    renderer = Renderer(put(tmp_path, "en/reminder.subject", "{{ organizer * 900 }}"))
    assert len(renderer.render("reminder", "en", told("reminder")).subject) == SUBJECT_MAX

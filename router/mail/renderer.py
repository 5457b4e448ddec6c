"""Words: a mail's subject, text and HTML from templates, in the recipient's language.

A language is a folder (``templates/en``); in it each kind of mail has ``KIND.subject``, ``KIND.txt`` and ``KIND.html``.
An operator's folder of the same shape goes before ours, so one file can be replaced, or a language added, without a
line of code. What a language lacks is taken from the next: ``nb-NO``, ``nb``, the workspace's, English.

In HTML everything is escaped. A template that names what it is not told fails, rather than leave a gap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, Template, TemplateError
from msgspec import Struct

from protocol.records import MailKind
from router.mail.draft import Unwritable

FOLDER = Path(__file__).with_name("templates")
KINDS: tuple[str, ...] = get_args(MailKind)
PARTS = ("subject", "txt", "html")
ENGLISH = "en"
SUBJECT_MAX = 200
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")


class Words(Struct, frozen=True):
    """What a mail says, and in which language."""

    subject: str
    text: str
    html: str
    language: str


class Renderer:
    """Makes words. Parameters: the operator's folder of templates, and the workspace's language and time zone.

    Raises OSError or ValueError if the folder cannot be read or a template in it is none.
    """

    def __init__(self, folder: str | None = None, language: str = ENGLISH, time_zone: str = "UTC") -> None:
        folders = [*([Path(folder)] if folder is not None else []), FOLDER]
        self._environment = Environment(
            loader=ChoiceLoader([FileSystemLoader(place) for place in folders]),
            autoescape=_is_html,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._language = language
        self._time_zone = time_zone
        if folder is not None:
            self._check(Path(folder))

    def render(self, kind: str, language: str, told: dict[str, Any]) -> Words:
        """The words of a mail. Raises Unwritable if a template does not fit what it is told."""
        languages = list(self._languages(language))
        context = {**told, "local": partial(local, zone=str(told.get("time_zone") or self._time_zone))}
        try:
            subject, text, html = (self._part(f"{kind}.{part}", languages, context) for part in PARTS)
        except TemplateError as problem:
            raise Unwritable(f"the template of {kind} in {language}: {problem}") from None
        return Words(_one_line(subject[1]), text[1].strip() + "\n", html[1], text[0])

    def _part(self, name: str, languages: list[str], context: dict[str, Any]) -> tuple[str, str]:
        """The language a part was found in, and what it says."""
        found: Template = self._environment.select_template([f"{language}/{name}" for language in languages])
        assert found.name is not None
        language = found.name.partition("/")[0]
        return language, found.render({**context, "language": language})

    def _languages(self, wanted: str) -> Iterator[str]:
        for language in (wanted, self._language):
            if _LANGUAGE.fullmatch(language):
                yield language
                yield language.partition("-")[0]
        yield ENGLISH

    def _check(self, folder: Path) -> None:
        """Find out at the start what would fail at night."""
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                for part in sorted(path.iterdir()):
                    self._check_one(f"{path.name}/{part.name}")

    def _check_one(self, name: str) -> None:
        try:
            self._environment.get_template(name)
        except (TemplateError, UnicodeDecodeError) as problem:
            raise ValueError(f"{name}: {problem}") from None


def local(tick: int | str, zone: str) -> str:
    """A moment on the recipient's wall: ``2026-01-05 09:00 UTC``. Takes a tick, or a moment as JSON has it."""
    moment = datetime.fromisoformat(tick) if isinstance(tick, str) else datetime.fromtimestamp(tick // 1000, UTC)
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"


def _one_line(text: str) -> str:
    """A subject: one line of printable characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= SUBJECT_MAX else line[: SUBJECT_MAX - 1] + "…"


def _is_html(name: str | None) -> bool:
    return name is not None and name.endswith(".html")

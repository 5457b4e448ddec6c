"""Templates: named texts with ``{{variables}}``. [S4]"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from actors.system import Actor, Turn
from protocol.errors import bad_params, refused
from protocol.records import ConversationRecord, TemplateRecord
from protocol.requests import MessageSend, TemplateUse
from protocol.settings import Template
from protocol.times import MILLISECONDS

if TYPE_CHECKING:
    from msgspec import Struct

    from actors.house import House

WINDOW_MS = 24 * MILLISECONDS["h"]  # exactly so long after the contact's last message is still inside
_VARIABLE = re.compile(r"\{\{\s*([\w.-]+)\s*\}\}")


class TemplateActor(Actor):
    """One template. It is only replaced, never told anything."""

    __slots__ = ("record",)
    record: TemplateRecord
    DERIVES = False

    def __init__(self, record: TemplateRecord) -> None:
        super().__init__()
        self.record = record

    def receive(self, message: Struct, turn: Turn) -> None:
        """Nothing is sent to a template."""
        raise AssertionError(f"a template cannot take {message}")


def text_of(house: House, record: ConversationRecord, params: MessageSend) -> str | None:
    """The text to send: the one given, or the template's with its variables filled in.

    Raises RequestError: not_found for an unknown template; -32602 for a missing variable, for a template of
    other channels, for a text as well as a template.
    """
    if params.template is None:
        return params.text
    if params.text is not None:
        raise bad_params("text", "either a text or a template")
    actor = house.templates.get(params.template.name)
    if actor is None or actor.record.deleted:
        raise refused("not_found", "there is no such template")
    settings = actor.record.settings
    if settings.channels and record.channel not in settings.channels:
        raise bad_params("template.name", "a template for this channel")
    return _filled(settings, params.template)


def values_of(house: House, use: TemplateUse | None) -> dict[str, str] | None:
    """What this template's variables stand for, in the order of the text; None if it has none."""
    if use is None:
        return None
    text = house.templates[use.name].record.settings.text
    return {name: use.vars[name] for name in _VARIABLE.findall(text)} or None


def _filled(settings: Template, use: TemplateUse) -> str:
    for name in _VARIABLE.findall(settings.text):
        if name not in use.vars:
            raise bad_params(f"template.vars.{name}", "a value for this variable of the template")
    return _VARIABLE.sub(lambda found: use.vars[found[1]], settings.text)

"""Values and hints in a few words, as failure lines and complaints about files print them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from enum import Enum
from typing import Any

import msgspec

SHOWN_MAX = 160  # characters of a value in a failure line
NOTHING = "nothing"


class Absence(Enum):
    """What stands where nothing came: told from null only when shown."""

    ABSENT = NOTHING


ABSENT = Absence.ABSENT


_PLAIN = re.compile(r"[A-Za-z_$][\w $.:/@+-]*\w|[A-Za-z_]|(\d+(d|h|m|s|ms))+")  # a duration is no number
_WORDS = {"true", "false", "null", NOTHING}


def show(value: Any, limit: int = SHOWN_MAX) -> str:
    """A value in one short line, near to how YAML would write it; more than ``limit`` characters are cut."""
    text = _flow(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if value is ABSENT:
        return NOTHING
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value not in _WORDS and ": " not in value:
        return value
    return msgspec.json.encode(value).decode()


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word, ready to append; empty if nothing is near."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {close[0]}?)" if close else ""

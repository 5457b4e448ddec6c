"""What a file is, by its contents and not by what it is called. [protocol §7]

The first bytes are compared with a table of signatures (puremagic). Text has none: what is UTF-8 without control
characters and does not look like markup is ``text/plain``. Everything else is ``application/octet-stream``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase

import puremagic

SIGNATURE_BYTES = 8_192
TEXT = "text/plain"
UNKNOWN = "application/octet-stream"

_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|!--|\?xml|/?[a-z]+[\s/>])", re.IGNORECASE)


def kind_of(start: bytes, name: str) -> str:
    """The media type of a file that starts so. The ``name`` decides only between types that begin alike (ZIP)."""
    if _MARKUP.match(start):
        return "text/html"
    try:
        found = [match for match in puremagic.magic_string(start, name) if match.byte_match]
    except (puremagic.PureError, ValueError):
        found = []
    if found and found[0].mime_type:
        return str(found[0].mime_type)
    return TEXT if _is_text(start) else UNKNOWN


def is_allowed(kind: str, patterns: Sequence[str]) -> bool:
    """Whether files of this type may be uploaded: one of the patterns (``image/*``) fits."""
    return any(fnmatchcase(kind, pattern) for pattern in patterns)


def _is_text(start: bytes) -> bool:
    if _CONTROL.search(start):
        return False
    try:
        start.decode()
    except UnicodeDecodeError as problem:  # a character may be cut in two at the end
        return len(start) == SIGNATURE_BYTES and problem.start >= len(start) - 3
    return True

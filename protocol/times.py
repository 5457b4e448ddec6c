"""Moments and durations: integers inside, text on the wire.

Inside the house time is an int of milliseconds (a *tick*); on the wire a moment is RFC 3339 in UTC with
milliseconds (``2026-01-05T09:00:00.000Z``) and a duration is text such as ``250ms``, ``45s``, ``1h30m``.
Both classes are ints, so that arithmetic needs no unwrapping; the codec's hooks give them their text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MOMENT_S_MAX = 253_402_300_799  # the last second of the year 9999, the last that has four digits
DURATION_MS_MAX = 400 * MILLISECONDS["d"]
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class Duration(int):
    """A length of time in milliseconds; ``"1h30m"`` on the wire."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read ``"250ms"``, ``"45s"``, ``"3m"``, ``"1h30m"``, ``"1d"``; units fall, each at most once.

        Raises ValueError with a sentence that says what a duration looks like.
        """
        found = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
        if found is None:
            raise ValueError('Expected a duration such as "250ms", "45s", "3m", "1h30m" or "1d"')
        parts = zip(found.groups(), ("d", "h", "m", "s", "ms"), strict=True)
        length = sum(int(digits) * MILLISECONDS[unit] for digits, unit in parts if digits and len(digits) < 16)
        if length > DURATION_MS_MAX or any(len(digits or "") >= 16 for digits in found.groups()):
            raise ValueError("Expected a duration of at most 400 days")
        return cls(length)

    def text(self) -> str:
        """Write it in the largest units that lose nothing."""
        rest, parts = int(self), []
        for unit in ("d", "h", "m", "s", "ms"):
            count, rest = divmod(rest, MILLISECONDS[unit])
            if count:
                parts.append(f"{count}{unit}")
        return "".join(parts) or "0s"


class Moment(int):
    """A point in time in milliseconds since 1970-01-01T00:00:00Z; RFC 3339 text on the wire."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: object) -> Moment:
        """Read RFC 3339 with an offset. Raises ValueError with a sentence that says what is expected."""
        expected = 'Expected a time in RFC 3339 such as "2026-01-05T09:00:00.000Z"'
        if isinstance(text, datetime) and text.tzinfo is not None:  # TOML and MessagePack have times of their own
            text = text.isoformat()
        if not isinstance(text, str) or _MOMENT.fullmatch(text) is None:
            raise ValueError(expected)
        try:
            parsed = datetime.fromisoformat(text.upper())
            whole = int(parsed.replace(microsecond=0).timestamp())
        except (ValueError, OverflowError):
            raise ValueError(expected) from None
        if not 0 <= whole <= MOMENT_S_MAX:  # an offset can lead out of the years that can be written
            raise ValueError(expected)
        return cls(whole * 1000 + parsed.microsecond // 1000)

    def text(self) -> str:
        """Write it as RFC 3339 in UTC with milliseconds."""
        return _moment_text(self)


@lru_cache(maxsize=8192)
def _moment_text(ticks: int) -> str:
    """One turn writes one moment many times: into the answer, its key's record, and what each session hears."""
    seconds, milliseconds = divmod(int(ticks), 1000)
    return f"{_second(seconds)}.{milliseconds:03d}Z"


@lru_cache(maxsize=8192)
def _second(seconds: int) -> str:
    """Most times written in one second share their first nineteen characters."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def moment(ticks: int | None) -> Moment | None:
    """A tick as a moment for the wire; None stays None."""
    return None if ticks is None else Moment(ticks)

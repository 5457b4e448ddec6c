"""Who and what is meant: principals, their addresses, and ids made from sequence numbers.

Ids are opaque strings. Those the house makes are counters in fixed-width hexadecimal, so that their
text order is their order of birth and the same inputs give the same ids.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Role = Literal["agent", "contact", "connector", "backend"]
ROLES: tuple[Role, ...] = ("agent", "contact", "connector", "backend")

Id = Annotated[str, Meta(min_length=1, max_length=200, description="an opaque id")]
Name = Annotated[str, Meta(max_length=200)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seq = Annotated[int, Meta(ge=0, le=2**53, description="a sequence number of the workspace's timeline")]


class Principal(Struct, frozen=True):
    """Somebody whose token was checked. ``channels`` is for connectors, ``name``, ``email`` and ``token`` for contacts.

    ``token`` is the name in the token, if the contact goes by another one now: it was merged.
    """

    role: Role
    sub: str
    channels: tuple[str, ...] = ()
    name: str | None = None
    email: str | None = None
    token: str | None = None

    @property
    def owner(self) -> str:
        """Whose idempotency keys are whose: a client that repeats a request has its token and knows of no merging."""
        return f"{self.role}:{self.token or self.sub}"

    @property
    def address(self) -> str:
        """Where notices for all sessions of this principal go: ``agent:ana``."""
        return f"{self.role}:{self.sub}"


def conversation_id(seq: int) -> str:
    """The id of the conversation whose first entry has this seq; text order is order of birth."""
    return f"c{seq:012x}"


def contact_id(seq: int) -> str:
    """The id of a contact first heard of through a connector, by the seq of the entry it led to."""
    return f"p{seq:012x}"


def meeting_id(seq: int, now: int) -> str:
    """The id of a meeting, by the seq of the first entry it led to and the tick of its booking.

    Calendars keep it: another house that mails from the same domain must not use it for another meeting.
    """
    return f"m{seq:012x}{now:012x}"


def is_printable(text: str) -> bool:
    """True if the text has no control characters: what ids, channels and addresses must be."""
    return text.isprintable() or not any(character < " " or character == "\x7f" for character in text)

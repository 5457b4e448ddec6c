"""Mails: what is written down of one. When it leaves, and leaves again, is ``actors.errand``.

A record says why there is a mail and for whom (``kind``, ``data``); its words are made by the shell at each attempt,
from a template and from the entries that the data names. Its id says what caused it and becomes its Message-ID, so
a mail that a crash made leave twice can be recognised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from actors import errand
from actors.system import Turn
from protocol.codec import encode_json
from protocol.records import MailKind, MailRecord

if TYPE_CHECKING:
    from actors.house import House


def write(
    house: House,
    turn: Turn,
    ident: str,
    kind: MailKind,
    recipient: str,
    data: dict[str, Any],
    *,
    conversation: str | None = None,
    language: str | None = None,
) -> None:
    """A mail leaves when this turn is committed; none does from a workspace that has no ``[mail]``.

    ``ident`` is unique for ever and the same whenever the same cause is handled again; ``language`` None = the
    workspace's; ``data`` is what the template of this ``kind`` needs (``router.mail.letters``).
    """
    settings = house.settings.mail
    if settings is None:
        return
    record = MailRecord(
        id=ident,
        kind=kind,
        recipient=recipient,
        conversation=conversation,
        data=encode_json(data).decode(),
        language=language or settings.language,
        created_at=turn.now,
        next_at=turn.now,
    )
    errand.start(house, record, turn)

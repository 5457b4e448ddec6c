"""Calls to operators' URLs: what they say. When they are made, and made again, is ``actors.errand``. [P]"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import errand
from actors.summary import summary
from actors.system import Turn
from protocol.codec import encode_json
from protocol.records import ConversationRecord, WebhookRecord

if TYPE_CHECKING:
    from actors.house import House


def call(house: House, record: ConversationRecord, url: str, step: int, turn: Turn) -> None:
    """Tell an operator's URL that a conversation climbed a rung; ``record.last_seq`` is the entry that says so."""
    body = {
        "id": f"w{record.last_seq}",
        "event": "escalated",
        "step": step,
        "conversation": summary(house, record, turn.now),
    }
    text = encode_json(body).decode()
    errand.start(
        house,
        WebhookRecord(id=record.last_seq, conversation=record.id, url=url, body=text, next_at=turn.now),
        turn,
    )

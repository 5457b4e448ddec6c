"""Requests about what leaves the house by other ways than a session. [behaviour §6, forward]"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from protocol.ids import Id, Seq
from protocol.params import Email, Limit, Params
from protocol.times import Moment

OutboxKind = Literal["message", "mail", "webhook"]
LetterId = Annotated[str, Meta(min_length=1, max_length=500, description="an opaque id")]


class MessageForward(Params, frozen=True):
    """Chosen messages of a conversation (their seqs), and to whom."""

    conversation: Id
    messages: Annotated[tuple[Seq, ...], Meta(min_length=1, max_length=100)]
    to: Annotated[tuple[Email, ...], Meta(min_length=1, max_length=20)]


class OutboxList(Params, frozen=True):
    """Messages to connectors, mails and calls of URLs that have failed, or still wait; the newest first."""

    kind: OutboxKind = "message"
    status: Literal["failed", "pending"] = "failed"
    cursor: LetterId | None = None
    limit: Limit = 50


class OutboxItem(Struct, frozen=True):
    """One of them; ``id`` is what ``outbox.retry`` takes."""

    kind: OutboxKind
    id: str
    conversation: str | None
    to: str  # of a message ``channel:address``, of a mail the recipient, of a webhook the URL
    status: Literal["failed", "pending"]
    attempts: int | None  # null for a message: what its connector tries is the connector's business
    error: str | None
    at: Moment | None  # of its last attempt or, of one never tried, of its making; of a message, when its status came


class OutboxItems(Struct, frozen=True):
    """A page; ``cursor`` for the next."""

    items: tuple[OutboxItem, ...]
    cursor: str | None


class OutboxRetry(Params, frozen=True):
    """Which failed one to send again."""

    kind: OutboxKind
    id: LetterId

"""What leaves the house by other ways than a session: what became of it, and the dead letters. [protocol §4]

Messages to connectors, mails and calls of URLs end as failed when they cannot be delivered. The backend lists those and
sends them again: ``outbox.retry`` makes one pending again, once: while it is under way it is refused (``wrong_state``).
What is pending is in memory, so a list of it is what is; a list of what has failed is a page of the store, without
what was sent again meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import nlargest
from typing import TYPE_CHECKING, Literal

from msgspec import structs

from actors import errand
from actors.messages import Delivered, Resend, Seen, SentAgain
from actors.system import Turn
from actors.timeline import by_whom
from protocol.errors import bad_params, refused
from protocol.ids import Principal
from protocol.objects import By
from protocol.outbox import OutboxItem, OutboxItems, OutboxKind, OutboxList, OutboxRetry
from protocol.records import (
    DeliveryRecord,
    FailedOnes,
    MailById,
    MailRecord,
    MessagesUpTo,
    Question,
    Timeline,
    WebhookById,
    WebhookRecord,
)
from protocol.requests import ConnectorDelivered
from protocol.times import Moment

if TYPE_CHECKING:
    from actors.core import Core
    from actors.house import House

Letter = DeliveryRecord | MailRecord | WebhookRecord
Place = tuple[int, str]  # where one stands among its kind, the older the smaller; the second part tells mails apart
FIRST: Place = (2**62, "")


def questions(params: OutboxList | OutboxRetry) -> Iterator[Question]:
    """What must be read before these can be done, but for what there is to know of a message out."""
    match params:
        case OutboxList(status="failed"):
            before = _before(params)
            if before is not None:
                yield _page_of(params, before)
        case OutboxRetry(kind="mail"):
            yield MailById(params.id)
        case OutboxRetry(kind="webhook"):
            yield WebhookById(number(params.id))


# ---------------------------------------------------------------- what became of a message


def delivered(core: Core, params: ConnectorDelivered, principal: Principal, turn: Turn) -> None:
    """A connector says what became of a message out. Raises RequestError (not_found) if it went out elsewhere."""
    known = pending_delivery(core.house, params.entry)
    if known is not None:
        told = Delivered(params)
    else:
        known = core.memory.delivery(params.entry)
        told = Delivered(params, known)
    if known is None or known.channel not in principal.channels:
        raise refused("not_found", "no message with that entry went out through your channels")
    turn.send(core.house.channel(known.channel), told)
    actor = core.house.conversations[known.conversation]
    if params.status == "read" and actor.record.contact is not None:
        counted = core.memory.answer(MessagesUpTo(known.conversation, params.entry))
        turn.send(actor, Seen(f"contact:{actor.record.contact}", params.entry, counted))


def pending_delivery(house: House, seq: int) -> DeliveryRecord | None:
    """This message out, if no connector has acknowledged it yet."""
    held = (channel.pending.get(seq) for channel in house.channels.values())
    return next((found[0] for found in held if found is not None), None)


# ---------------------------------------------------------------- once more


def retry(core: Core, params: OutboxRetry, principal: Principal, turn: Turn) -> None:
    """Send a failed one again. Raises RequestError: not_found; wrong_state with the state it is in."""
    house = core.house
    match params.kind:
        case "message":
            _retry_message(core, number(params.id), by_whom(principal), turn)
        case "mail":
            _retry_errand(house, params.kind, core.memory.answer(MailById(params.id)), params.id in house.mails, turn)
        case "webhook":
            seq = number(params.id)
            _retry_errand(house, params.kind, core.memory.answer(WebhookById(seq)), seq in house.webhooks, turn)


def _retry_message(core: Core, seq: int, by: By, turn: Turn) -> None:
    known = pending_delivery(core.house, seq) or core.memory.delivery(seq)
    _check("message", None if known is None else known.status)
    assert known is not None
    entries, _ = core.memory.answer(entry_of(known))
    turn.send(core.house.channel(known.channel), Resend(known, entries[-1]))
    turn.send(core.house.conversations[known.conversation], SentAgain(known, entries[-1], by))


def _retry_errand(
    house: House, kind: OutboxKind, known: MailRecord | WebhookRecord | None, is_pending: bool, turn: Turn
) -> None:
    _check(kind, "pending" if is_pending else None if known is None else known.status)
    assert known is not None
    errand.start(house, structs.replace(known, status="pending", attempts=0, next_at=turn.now), turn, known)


def _check(kind: OutboxKind, status: str | None) -> None:
    if status is None:
        raise refused("not_found", f"there is no {kind} with that id")
    if status != "failed":
        raise refused("wrong_state", "only what has failed can be sent again", state=status)


# ---------------------------------------------------------------- lists


def items(core: Core, params: OutboxList) -> OutboxItems:
    """A page of what has failed or still waits, the newest first. Raises RequestError (−32602)."""
    house, before = core.house, _before(params)
    if before is None:
        raise bad_params("cursor", "a cursor that this method gave")
    if params.status == "failed":
        found: list[Letter] = list(core.memory.answer(_page_of(params, before)) or ())
    else:
        older = (letter for letter in _pending(house, params.kind) if _place(letter) < before)
        found = nlargest(params.limit + 1, older, key=_place)
    cursor = _cursor(found[params.limit - 1]) if len(found) > params.limit else None
    shown = [letter for letter in found[: params.limit] if _is_still(core, letter, params.status)]
    return OutboxItems(tuple(map(_item, shown)), cursor)


def _pending(house: House, kind: OutboxKind) -> Iterator[Letter]:
    match kind:
        case "message":
            for channel in house.channels.values():
                yield from (delivery for delivery, _ in channel.pending.values())
        case "mail":
            yield from (actor.record for actor in house.mails.values())
        case "webhook":
            yield from (actor.record for actor in house.webhooks.values())


def _is_still(core: Core, letter: Letter, status: str) -> bool:
    """Whether it is not being sent again since the store was read."""
    if status == "pending":
        return True
    match letter:
        case DeliveryRecord():
            known = pending_delivery(core.house, letter.seq) or core.memory.delivery(letter.seq)
            return known is None or known.status == "failed"
        case MailRecord():
            return letter.id not in core.house.mails
    return letter.id not in core.house.webhooks


def _item(letter: Letter) -> OutboxItem:
    status: Literal["failed", "pending"] = "failed" if letter.status == "failed" else "pending"
    if isinstance(letter, DeliveryRecord):
        return OutboxItem(
            kind="message",
            id=str(letter.seq),
            conversation=letter.conversation,
            to=f"{letter.channel}:{letter.address}",
            status=status,
            attempts=None,
            error=letter.error,
            at=Moment(letter.changed_at) if letter.changed_at else None,
        )
    is_mail = isinstance(letter, MailRecord)
    return OutboxItem(
        kind="mail" if is_mail else "webhook",
        id=str(letter.id),
        conversation=letter.conversation,
        to=letter.recipient if isinstance(letter, MailRecord) else letter.url,
        status=status,
        attempts=letter.attempts,
        error=letter.error if isinstance(letter, MailRecord) else None,
        at=Moment(errand.tried_at(letter)),
    )


# ---------------------------------------------------------------- names and places


def _page_of(params: OutboxList, before: Place) -> FailedOnes:
    return FailedOnes(params.kind, *before, params.limit + 1)


def entry_of(delivery: DeliveryRecord) -> Timeline:
    """The question whose answer is the message itself."""
    return Timeline(delivery.conversation, up_to=delivery.seq, limit=1)


def number(text: str) -> int:
    """The seq in an id; if it is none, one that nothing has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 17 else -1


def _before(params: OutboxList) -> Place | None:
    """Where the page before ended; None if the cursor is none."""
    if params.cursor is None:
        return FIRST
    at, _, name = params.cursor.partition(" ")
    return None if number(at) < 0 else (number(at), name)


def _cursor(letter: Letter) -> str:
    at, name = _place(letter)
    return f"{at} {name}" if name else str(at)


def _place(letter: Letter) -> Place:
    match letter:
        case DeliveryRecord():
            return letter.seq, ""
        case MailRecord():
            return letter.created_at, letter.id
    return letter.id, ""

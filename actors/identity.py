"""Who a contact is: one person with several addresses and, once merged, several names. [behaviour §1]

An e-mail address is claimed by whoever signs in with it, if nobody has it. If a contact has it that never signed in (it
wrote by e-mail, or was invited by its address), it is the same person, and merged into the one who signs in. A
contact that has signed in itself keeps its address: only people may say that the two are one (``contact.merge``).

A merged contact stays as a name: whoever uses it, in a request or a token, means the one it was merged into.
What it had is moved: conversations with their timelines, memberships, addresses, meetings, live sessions.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

from msgspec import structs

from actors.access import may_see
from actors.agenda import CHANNEL
from actors.effects import Dismiss
from actors.messages import Absorb, Absorbed, Claim, Merged
from actors.system import Turn
from protocol.errors import refused
from protocol.ids import Principal, contact_id, is_printable
from protocol.members import ContactMerge
from protocol.objects import LIVE, SYSTEM, By
from protocol.params import EMAIL
from protocol.records import (
    ClosedAmong,
    ClosedOf,
    ContactAddress,
    ContactByAddress,
    ContactById,
    ConversationRecord,
    Question,
)
from protocol.requests import Filters

if TYPE_CHECKING:
    from actors.contact import ContactActor
    from actors.core import Core
    from actors.house import House

MERGED_MAX = 1_000  # closed conversations of one contact that are moved at once
EMAIL_MAX = 320
ADDRESSES_MAX = 50  # of one contact, claimed by signing in
_EMAIL = re.compile(EMAIL)

Named = TypeVar("Named", bound=Filters)


def place_of(channel: str, address: str) -> ContactAddress:
    """Where a contact is found by its address. E-mail addresses are told apart without regard to case."""
    return ContactAddress(channel, address.lower() if channel == "email" else address)


def present(house: House, contact: str) -> str:
    """The name that a contact goes by now."""
    while (actor := house.contacts.get(contact)) is not None and actor.record.merged_into is not None:
        contact = actor.record.merged_into
    return contact


def names(house: House, principal: Principal) -> tuple[Principal, tuple[str, ...]]:
    """Who a session is now, and the addresses it went by before."""
    if principal.role != "contact":
        return principal, ()
    before, contact = [], principal.sub
    while (actor := house.contacts.get(contact)) is not None and actor.record.merged_into is not None:
        before.append(f"contact:{contact}")
        contact = actor.record.merged_into
    return (_renamed(principal, contact) if before else principal), tuple(before)


def _renamed(principal: Principal, contact: str) -> Principal:
    return structs.replace(principal, sub=contact, token=principal.token or principal.sub)


def filters(house: House, params: Named) -> Named:
    """A list's filters, with the contact by the name it goes by now."""
    return params if params.contact is None else structs.replace(params, contact=present(house, params.contact))


def new_contact(house: House) -> str:
    """An id for a contact first heard of in this turn, which must write an entry; several in one turn are numbered."""
    first = contact_id(house.seq + 1)
    if first not in house.contacts:
        return first
    number = 2
    while f"{first}-{number}" in house.contacts:
        number += 1
    return f"{first}-{number}"


# ---------------------------------------------------------------- what must be known before


def questions(house: House, contact: str) -> tuple[Question, ...]:
    """What must be read before a contact can be named: itself, and whom it was merged into."""
    name = present(house, contact)
    return () if name in house.contacts else (ContactById(name),)


def address_questions(house: House, place: ContactAddress) -> Iterator[Question]:
    """What must be read before somebody can be found by an address."""
    if place not in house.contact_at:
        yield ContactByAddress(place.channel, place.address)


def sign_in_questions(house: House, principal: Principal) -> Iterator[Question]:
    """What must be read before a contact can open a session."""
    yield from questions(house, principal.sub)
    place = _claimed(principal)
    if place is not None:
        yield from address_questions(house, place)
        holder = house.contact_at.get(place)
        if holder is not None and not house.contacts[holder].record.signed_in:
            yield from merge_questions(house, holder, principal.sub)


def merge_questions(house: House, contact: str, into: str) -> Iterator[Question]:
    """What must be read before two contacts can be merged."""
    for name in (contact, into):
        yield from questions(house, name)
    contact, into = present(house, contact), present(house, into)
    if contact != into:
        yield from _closed_of(contact)
        yield ClosedOf(into, None, 1)


def _closed_of(contact: str) -> tuple[Question, Question]:
    return ClosedOf(contact, None, MERGED_MAX + 1), ClosedAmong(contact, MERGED_MAX + 1)


def _claimed(principal: Principal) -> ContactAddress | None:
    """The address that a token claims for its contact."""
    email = principal.email or ""
    if len(email) > EMAIL_MAX or not is_printable(email) or _EMAIL.fullmatch(email) is None:
        return None
    return place_of("email", email)


# ---------------------------------------------------------------- signing in


def sign_in(core: Core, principal: Principal, turn: Turn) -> None:
    """A contact opens a session: it claims the e-mail address in its token, from nobody or from its other self."""
    house, place = core.house, _claimed(principal)
    if place is None:
        return
    holder, actor = house.contact_at.get(place), house.contacts[principal.sub]
    if holder is None:
        if len(actor.record.addresses) < ADDRESSES_MAX:
            turn.send(actor, Claim(place))
        return
    other_self = holder != principal.sub and not house.contacts[holder].record.signed_in
    if other_self and _contradiction(core, holder, principal.sub) is None:
        _merge(core, holder, principal.sub, SYSTEM, "sign_in", turn)


# ---------------------------------------------------------------- contact.merge


def begin(core: Core, params: ContactMerge, principal: Principal, turn: Turn) -> None:
    """Merge two contacts by hand. Raises RequestError (not_found, not_in_crew, conflict, too_large)."""
    house = core.house
    contact, into = seen(house, params.contact, principal), seen(house, params.into, principal)
    check_crew(house, contact, principal)
    turn.about = into.record.id
    if contact is into:
        return
    problem = _contradiction(core, contact.record.id, into.record.id)
    if problem == "too_large":
        raise refused("too_large", f"it has more than {MERGED_MAX} closed conversations", limit=MERGED_MAX)
    if problem is not None:
        raise refused("conflict", "both have a live conversation on the same channel there: close one first")
    assert principal.role in ("agent", "backend")
    _merge(core, contact.record.id, into.record.id, By(principal.role, principal.sub), principal.role, turn)


def seen(house: House, contact: str, principal: Principal) -> ContactActor:
    """A contact may be seen by itself, and with any of its conversations. [S4] Raises RequestError (not_found)."""
    actor = house.contacts.get(present(house, contact))
    if actor is not None:
        own = principal.role == "contact" and principal.sub == actor.record.id
        if own or principal.role == "backend":
            return actor
        if principal.role == "agent" and any(may_see(house, record, principal) for record in _records(house, actor)):
            return actor
    raise refused("not_found")


def check_crew(house: House, actor: ContactActor, principal: Principal) -> None:
    """Raises RequestError (not_in_crew) if an agent is in the crew of none of a contact's conversations."""
    if principal.role == "agent" and not any(principal.sub in record.crew for record in _records(house, actor)):
        raise refused("not_in_crew")


def _records(house: House, actor: ContactActor) -> Iterator[ConversationRecord]:
    """Every conversation in memory that a contact is in."""
    return (house.conversations[name].record for name in (*actor.conversations, *actor.memberships))


# ---------------------------------------------------------------- merging


def _contradiction(core: Core, contact: str, into: str) -> str | None:
    """Why two contacts cannot be one: too much would move at once, or one would have two live conversations."""
    if any(len(core.memory.answer(question) or ()) > MERGED_MAX for question in _closed_of(contact)):
        return "too_large"
    house = core.house
    theirs = [_rival(record) for record in _records(house, house.contacts[into]) if record.contact == into]
    mine = [_rival(record) for record in _records(house, house.contacts[contact]) if record.contact == contact]
    return "conflict" if any(rival is not None and rival in theirs for rival in mine) else None


def _rival(record: ConversationRecord) -> tuple[str | None, str | None, str | None] | None:
    """What a contact has one live conversation for: channel and service, or channel and agent. [behaviour §4]

    Each meeting has a conversation of its own.
    """
    if record.state not in LIVE or (record.channel == CHANNEL and record.begun_agent is not None):
        return None
    if record.begun_agent is not None:
        return record.channel, None, record.begun_agent
    return record.channel, record.service, None


def _merge(core: Core, contact: str, into: str, by: By, reason: str, turn: Turn) -> None:
    """Everything of one contact is another's from now on; it is said in each timeline that moves."""
    house = core.house
    for question in (*_closed_of(contact), ClosedOf(into, None, 1)):
        for record in core.memory.answer(question) or ():
            core.memory.keep(record)
    gone, stays = house.contacts[contact], house.contacts[into]
    said = {record.id for record in _records(house, gone) if record.state != "moved"}
    own = [record for record in _records(house, stays) if record.contact == into and record.state != "moved"]
    latest = max(own, key=lambda record: record.last_seq, default=None)
    for name in sorted(said if latest is None else {*said, latest.id}):
        turn.send(house.conversations[name], Merged(contact, into, by, reason))
    turn.send(stays, Absorb(copy.copy(gone.record)))
    turn.send(gone, Absorbed(into))
    for meeting in house.meetings:
        if meeting.record.contact == contact:
            turn.change(meeting).contact = into
    _move_sessions(house, gone, stays, turn)
    core.memory.idle(contact)


def _move_sessions(house: House, gone: ContactActor, stays: ContactActor, turn: Turn) -> None:
    """Live sessions are the other one's now; they hear the old address, so they are to come back."""
    sessions = gone.sessions
    if not sessions:
        return
    before = {session: house.sessions[session] for session in sessions}
    house.sessions.update({session: _renamed(who, stays.record.id) for session, who in before.items()})
    gone.went(sessions)
    stays.came(sessions)
    turn.undo.append(lambda: _move_back(house, gone, stays, before))
    turn.effects.append(Dismiss(f"contact:{gone.record.id}"))


def _move_back(house: House, gone: ContactActor, stays: ContactActor, before: dict[int, Principal]) -> None:
    house.sessions.update(before)
    stays.went(before)
    gone.came(before)

"""Requests about members: created conversations, who is invited and removed, coming in by a link. [behaviour §7]

Members are named as agents, as contacts by id, or by e-mail: an address that nobody has becomes a contact, who is
recognised when somebody signs in with it (``actors.identity``). What members do to a conversation is its own business
(``actors.membership``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from actors import identity
from actors.conversation import ConversationActor
from actors.membership import check_room
from actors.messages import Admit, Begin, Invite, Remove
from actors.states import found
from actors.system import Turn
from actors.timeline import by_whom
from protocol.codec import Call
from protocol.errors import bad_params, refused
from protocol.ids import Principal, conversation_id, is_printable
from protocol.members import (
    ConversationCreate,
    ConversationInvite,
    ConversationRemove,
    JoinLink,
    MemberName,
    MemberView,
)
from protocol.objects import By
from protocol.records import ConversationByLink, ConversationRecord, Question

if TYPE_CHECKING:
    from actors.core import Core
    from actors.house import House

Params = ConversationCreate | ConversationInvite | ConversationRemove | JoinLink


def begin(core: Core, call: Call, principal: Principal, turn: Turn) -> None:
    """Check a request and hand it to its conversation. Raises RequestError to refuse it."""
    house = core.house
    match call.params:
        case ConversationCreate() as params:
            _create(core, params, principal, turn)
        case ConversationInvite() as params:
            actor = found(house, params.conversation, call.method, principal)
            turn.about = actor.record.id
            turn.send(actor, Invite(named(core, params.members, turn), by_whom(principal)))
        case ConversationRemove() as params:
            actor = found(house, params.conversation, call.method, principal)
            turn.about = actor.record.id
            turn.send(actor, Remove(tuple(_known(house, params.members)), by_whom(principal)))
        case JoinLink() as params:
            turn.about = house.links.get(params.link)
            if turn.about is None:
                raise refused("not_found", "there is no such link, or it has been revoked")
            turn.send(house.conversations[turn.about], Admit(principal))


def _create(core: Core, params: ConversationCreate, principal: Principal, turn: Turn) -> None:
    """The creator is a member, unless it is the backend, which is nobody."""
    house = core.house
    who = list(dict.fromkeys(named(core, params.members, turn)))
    agents = [principal.sub] if principal.role == "agent" else []
    crew = tuple(dict.fromkeys((*agents, *(by.id for by in who if by.kind == "agent" and by.id is not None))))
    members = tuple(by.id for by in who if by.kind == "contact" and by.id is not None)
    check_room(len(crew) + len(members))
    record = ConversationRecord(
        id=conversation_id(house.seq + 1),
        created_by=principal.address,
        created_at=turn.now,
        name=params.name,
        description=params.description,
        crew=crew,
        joined=crew,
        members=members,
        read_only=params.read_only,
        link=turn.secret if params.by_link else None,
    )
    actor = ConversationActor(house, record)
    house.keep_conversation(actor, turn)
    turn.about = record.id
    turn.send(actor, Begin(by_whom(principal), None))


# ---------------------------------------------------------------- who is meant


def named(core: Core, members: Sequence[MemberName], turn: Turn) -> tuple[By, ...]:
    """Who is to be let in; contacts never heard of begin to exist in this turn, which must write an entry.

    Raises RequestError: member_without_email, not_found for an agent, −32602; before anything has changed.
    """
    for place, member in enumerate(members):
        _check(core.house, f"members.{place}", member)
    return tuple(_let_exist(core, member, turn) for member in members)


def _check(house: House, field: str, member: MemberName) -> None:
    given = [one for one in (member.agent, member.contact, member.email) if one is not None]
    if not given:
        raise refused("member_without_email", field=field)
    if len(given) > 1:
        raise bad_params(field, "one of agent, contact and email")
    if not all(is_printable(text) for text in (given[0], member.name or "")):
        raise bad_params(field, "text without control characters")
    if member.agent is not None and member.agent not in house.agents:
        raise refused("not_found", "there is no such agent", field=field)


def _let_exist(core: Core, member: MemberName, turn: Turn) -> By:
    house = core.house
    if member.agent is not None:
        return By("agent", member.agent)
    if member.contact is not None:
        return By("contact", core.contact(identity.present(house, member.contact), turn).record.id)
    return By("contact", contact_of_email(core, member.email or "", turn, name=member.name))


def contact_of_email(core: Core, email: str, turn: Turn, *, name: str | None = None) -> str:
    """The contact with this e-mail address; a new one, with this name, if there is none."""
    house, place = core.house, identity.place_of("email", email)
    known = house.contact_at.get(place)
    if known is not None:
        return known
    actor = core.contact(identity.new_contact(house), turn)
    turn.change(actor)
    actor.record.name, actor.record.email = name, email
    actor.claim(place, turn)
    return actor.record.id


def _known(house: House, members: Sequence[MemberName]) -> Iterator[By]:
    """Who is to go out; whoever does not exist is in nothing. Raises RequestError (member_without_email)."""
    for place, member in enumerate(members):
        contact = member.contact
        if member.agent is not None:
            yield By("agent", member.agent)
            continue
        if member.email is not None:
            contact = house.contact_at.get(identity.place_of("email", member.email))
        elif contact is None:
            raise refused("member_without_email", field=f"members.{place}")
        if contact is not None:
            yield By("contact", identity.present(house, contact))


# ---------------------------------------------------------------- what must be known before


def questions(house: House, members: Sequence[MemberName]) -> Iterator[Question]:
    """What must be read before these can be let in or out."""
    for member in members:
        if member.contact is not None:
            yield from identity.questions(house, member.contact)
        elif member.email is not None:
            yield from identity.address_questions(house, identity.place_of("email", member.email))


def link_questions(house: House, link: str) -> Iterator[Question]:
    """What must be read before a link can be presented."""
    if link not in house.links:
        yield ConversationByLink(link)


# ---------------------------------------------------------------- who is shown


def listed(house: House, record: ConversationRecord, *, outside: bool) -> tuple[MemberView, ...] | None:
    """The members; None where there are none beside the contact and who works on it, or where they are not listed.

    Who works on a service's conversation is the house's own business.
    """
    is_created = record.service is None
    if (not is_created and not record.members) or (outside and record.read_only):
        return None
    agents = () if outside and not is_created else record.crew
    return (
        *(MemberView("agent", name, _agent_name(house, name)) for name in agents),
        *(MemberView("contact", name, _contact_name(house, name)) for name in record.outside),
    )


def _agent_name(house: House, name: str) -> str | None:
    return (house.agents[name].record.settings.name or None) if name in house.agents else None


def _contact_name(house: House, name: str) -> str | None:
    return house.contacts[name].record.name if name in house.contacts else None

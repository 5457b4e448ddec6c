"""A conversation as its reader may see it. [protocol §3; behaviour §7, last line]

Roles outside the house never see assignment, priority, tags or lateness: they get a summary in which those
are as if there were none. A snoozed conversation is simply open for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from actors.identity import present
from actors.reading import unread
from protocol.objects import ContactBrief, Conversation
from protocol.records import ConversationRecord
from protocol.times import Moment, moment

if TYPE_CHECKING:
    from actors.house import House


def summary(
    house: House, record: ConversationRecord, now: int, *, outside: bool = False, reader: str | None = None
) -> Conversation:
    """The summary at ``now`` (tick), for the house or for somebody ``outside``; ``reader``: the address it is for."""
    return _outside(house, record, now, reader) if outside else _inside(house, record, now, reader)


def needs(record: ConversationRecord) -> Literal["rep", "reply"] | None:
    """Whether an unanswered message needs a representative or a reply. [behaviour §5]"""
    if record.waiting_since is None:
        return None
    return "reply" if record.crew else "rep"


def _inside(house: House, record: ConversationRecord, now: int, reader: str | None) -> Conversation:
    contact = _contact(house, record)
    service = house.services.get(record.service or "")
    tags = list(record.tags)
    if service is not None:
        tags.append(service.record.settings.name or service.record.id)
    if contact is not None and contact.company:
        tags.append(contact.company)
    return Conversation(
        id=record.id,
        service=record.service,
        channel=record.channel,
        channel_class=record.channel_class,
        contact=contact,
        name=record.name,
        description=record.description,
        picture=record.picture,
        state=record.state,
        needs=needs(record),
        lateness=record.lateness,
        waiting_since=moment(record.waiting_since),
        queued=record.queued,
        queued_since=Moment(record.age_since) if record.queued else None,
        position=service.position(record) if record.queued and service is not None else None,
        assignee=record.assignee,
        crew=record.crew,
        managers_added=record.managers_added,
        moved_to=record.moved_to,
        link=record.link,
        skills=record.skills,
        snoozed_until=moment(record.snoozed_until),
        snoozed_by=record.snoozed_by,
        priority=record.priority,
        tags=tuple(dict.fromkeys(tags)),
        read_only=record.read_only,
        by_link=record.by_link,
        created_at=Moment(record.created_at),
        last_contact_message_at=moment(record.last_contact_message_at),
        last_agent_message_at=moment(record.last_agent_message_at),
        duration_s=_duration_s(record, now),
        unread=unread(record, reader),
        last_seq=record.last_seq,
    )


def _outside(house: House, record: ConversationRecord, now: int, reader: str | None) -> Conversation:
    service = house.services.get(record.service or "")
    return Conversation(
        id=record.id,
        service=record.service,
        channel=record.channel,
        channel_class=record.channel_class,
        contact=_contact_outside(house, record, reader),
        name=record.name,
        description=record.description,
        picture=record.picture,
        link=record.link if reader is not None and reader == record.created_by else None,
        read_only=record.read_only,
        by_link=record.by_link,
        state="open" if record.state == "snoozed" else record.state,
        queued=record.queued,
        queued_since=Moment(record.age_since) if record.queued else None,
        position=service.position(record) if record.queued and service is not None else None,
        created_at=Moment(record.created_at),
        last_contact_message_at=moment(record.last_contact_message_at),
        last_agent_message_at=moment(record.last_agent_message_at),
        duration_s=_duration_s(record, now),
        unread=unread(record, reader),
        last_seq=record.last_seq,
    )


def _contact_outside(house: House, record: ConversationRecord, reader: str | None) -> ContactBrief | None:
    """The contact as the reader may see it: others only by name, and not at all where members are not listed."""
    brief = _contact(house, record)
    if brief is None or reader == f"contact:{brief.id}":
        return brief
    return None if record.read_only else ContactBrief(brief.id, brief.name)


def _contact(house: House, record: ConversationRecord) -> ContactBrief | None:
    actor = house.contacts.get(present(house, record.contact or ""))
    if actor is None:
        return None
    about = actor.record
    online = record.channel_class == "chat" and bool(actor.sessions)
    last_active = moment(about.last_active)
    return ContactBrief(about.id, about.name, about.company, online, last_active, about.location)


def _duration_s(record: ConversationRecord, now: int) -> int:
    """From its beginning to its end, or to now, in whole seconds."""
    end = now if record.closed_at is None else record.closed_at
    return max(0, end - record.created_at) // 1000

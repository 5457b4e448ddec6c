"""Who may do what with which conversation: one table, read by the core, the tests and the docs. [behaviour §10]

Which roles may ever call a method stands in ``protocol.requests.METHODS``; anybody else is ``forbidden``.
What somebody may not see does not exist for them (``not_found``). ``NEEDS`` says what else an agent needs
of a conversation. Backends may do everything; a contact may do what its role may, with its own conversations.
``table`` says it once more for every method and everybody there is: tests try each row, a page of the docs shows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from protocol.errors import refused
from protocol.frozen import Frozen
from protocol.ids import Principal, Role
from protocol.records import ConversationRecord
from protocol.requests import METHODS

if TYPE_CHECKING:
    from actors.house import House

Relation = Literal["see", "crew", "crew_or_admin", "member"]

#: method -> what an agent must be to the conversation, beyond the role
NEEDS: dict[str, Relation] = {
    "conversation.get": "see",
    "conversation.join": "see",
    "conversation.leave": "crew",
    "conversation.decline": "crew",
    "conversation.close": "crew_or_admin",
    "conversation.reopen": "see",
    "conversation.wake": "see",
    "conversation.assign": "see",
    "conversation.transfer": "crew_or_admin",
    "conversation.snooze": "crew_or_admin",
    "conversation.update": "crew_or_admin",
    "conversation.move": "crew_or_admin",
    "conversation.grab": "member",
    "conversation.explain": "see",
    "conversation.presence": "see",
    "conversation.read": "crew",
    "conversation.invite": "crew",
    "conversation.remove": "crew",
    "conference.start": "crew",
    "meeting.schedule": "crew",
    "message.send": "crew",
    "message.comment": "see",
    "message.react": "see",
    "message.forward": "crew",
}

#: what people outside may not do in a read-only conversation: messages, and what comes to the same [behaviour §7]
WRITING = frozenset({"message.send", "meeting.schedule"})


def may_see(house: House, record: ConversationRecord, principal: Principal) -> bool:
    """Whether a conversation exists for somebody."""
    match principal.role:
        case "backend":
            return True
        case "contact":
            return record.state != "moved" and principal.sub in record.outside
        case "agent":
            return principal.sub in record.crew or _sees_as_member(house, record, principal.sub)
    return False


def _sees_as_member(house: House, record: ConversationRecord, agent: str) -> bool:
    """Members see what is in their service; in grab mode only admins see what another one has taken. [S4]"""
    role = _member(house, record, agent)
    if role != "representative":
        return role == "admin"
    mode = house.services[record.service or ""].record.settings.mode
    return mode != "grab" or record.owner in (None, agent)


def check_sight(house: House, method: str, record: ConversationRecord, principal: Principal) -> None:
    """Raises RequestError (not_found) if it may not be seen. Whoever was offered it may always ask to grab it."""
    offered = NEEDS[method] == "member" and principal.role == "agent"
    if not (offered and _member(house, record, principal.sub) is not None) and not may_see(house, record, principal):
        raise refused("not_found")


def check_relation(house: House, method: str, record: ConversationRecord, principal: Principal) -> None:
    """Raises RequestError (not_in_crew, not_in_service, read_only) if somebody who sees it may not do that."""
    need = NEEDS[method]
    if principal.role == "contact" and record.read_only and method in WRITING:
        raise refused("read_only")
    if principal.role != "agent":
        return
    if need == "member":
        if _member(house, record, principal.sub) is None:
            raise refused("not_in_service", "only a member of the service can do that")
        return
    if need == "see" or principal.sub in record.crew:
        return
    if need == "crew_or_admin" and _member(house, record, principal.sub) == "admin":
        return
    raise refused("not_in_crew")


def may_see_agent(house: House, agent: str, principal: Principal) -> bool:
    """Backends see all agents; an agent sees itself and those it shares a service with."""
    if principal.role == "backend":
        return True
    mine = house.agents[principal.sub].services
    return agent == principal.sub or any(agent in service.members for service in mine.values())


def administers(house: House, agent: str, principal: Principal) -> bool:
    """Whether somebody may switch this agent: the backend, oneself, an admin of a shared service."""
    if principal.role == "backend" or agent == principal.sub:
        return True
    services = house.agents[principal.sub].services.values()
    return any(agent in service.members and service.members[principal.sub].role == "admin" for service in services)


def _member(house: House, record: ConversationRecord, agent: str) -> str | None:
    """The agent's role in the conversation's service."""
    service = house.services.get(record.service or "")
    member = None if service is None else service.members.get(agent)
    return None if member is None else member.role


# ---------------------------------------------------------------- the table

Need = Relation | Literal["service", "administer", "meeting", "channel", "delivery"]
Outcome = Literal["allowed", "forbidden", "not_found", "not_in_crew", "not_in_service", "already_owned"]

#: who can stand how to a conversation: role and sentence. "Its service" is the conversation's.
STANDINGS: dict[str, tuple[Role, str]] = {
    "backend": ("backend", "the product that embeds the server"),
    "assignee": ("agent", "a representative of its service, to whom it is assigned"),
    "crew": ("agent", "a representative of its service who has joined it"),
    "guest": ("agent", "an agent who has joined it, but is no member of its service"),
    "member": ("agent", "a representative of its service who has not joined it"),
    "shut out": ("agent", "the same, in grab mode, when another one has grabbed it"),
    "admin": ("agent", "an admin of its service who has not joined it"),
    "stranger": ("agent", "a member of other services only"),
    "contact": ("contact", "the contact it is with"),
    "outside member": ("contact", "a contact who was let into it"),
    "other contact": ("contact", "any other contact"),
    "connector": ("connector", "a connector of its channel"),
    "other connector": ("connector", "a connector of other channels"),
}

#: what the methods need that name its contact, its service, another member, a channel or a message out
NEEDS_ELSEWHERE: dict[str, Need] = {
    "contact.get": "see",
    "contact.update": "crew",
    "contact.merge": "crew",
    "conversation.start": "service",
    "service.get": "service",
    "agent.get": "service",
    "agent.set_availability": "administer",
    "meeting.slots": "service",
    "meeting.confirm": "meeting",
    "meeting.reschedule": "meeting",
    "meeting.cancel": "meeting",
    "connector.receive": "channel",
    "connector.delivered": "delivery",
}

_UNSEEN: dict[str, Outcome] = {"shut out": "not_found", "stranger": "not_found", "other contact": "not_found"}
_OUTSIDE: dict[str, Outcome] = {"stranger": "not_found", "guest": "not_found"}

#: need -> who lacks it, and what they are told
LACKING: dict[Need, dict[str, Outcome]] = {
    "see": _UNSEEN,
    "crew": {**_UNSEEN, "member": "not_in_crew", "admin": "not_in_crew"},
    "crew_or_admin": {**_UNSEEN, "member": "not_in_crew"},
    "member": {
        "stranger": "not_found", "guest": "not_in_service", "shut out": "already_owned", "admin": "forbidden",
    },
    "service": _OUTSIDE,
    "administer": {**_OUTSIDE, **dict.fromkeys(("assignee", "crew", "member", "shut out"), "forbidden")},
    "meeting": {**_UNSEEN, **dict.fromkeys(("crew", "guest", "member"), "forbidden")},
    "channel": {"other connector": "forbidden"},
    "delivery": {"other connector": "not_found"},
}  # fmt: skip

#: what the actors themselves refuse: only an agent can be in a crew, only the assignee can give it back; details and
#: meetings of a contact are its own
EXCEPTIONS: dict[tuple[str, str], Outcome] = {
    ("conversation.join", "backend"): "forbidden",
    ("conversation.leave", "backend"): "not_in_crew",
    ("conversation.read", "backend"): "not_in_crew",
    ("conversation.decline", "crew"): "not_in_crew",
    ("conversation.decline", "guest"): "not_in_crew",
    ("contact.get", "outside member"): "not_found",
    ("meeting.reschedule", "outside member"): "not_found",
    ("meeting.cancel", "outside member"): "not_found",
}


class Row(Frozen, frozen=True):
    """What a method says to somebody, in a state in which it can be done."""

    method: str
    standing: str
    outcome: Outcome


def table() -> list[Row]:
    """Every method for everybody, in the order of ``METHODS`` and ``STANDINGS``."""
    return [Row(method, standing, outcome(method, standing)) for method in METHODS for standing in STANDINGS]


def outcome(method: str, standing: str) -> Outcome:
    """Whether somebody may call a method, or why not."""
    if STANDINGS[standing][0] not in METHODS[method].roles:
        return "forbidden"
    if (method, standing) in EXCEPTIONS:
        return EXCEPTIONS[method, standing]
    need = NEEDS.get(method) or NEEDS_ELSEWHERE.get(method)
    return "allowed" if need is None else LACKING[need].get(standing, "allowed")

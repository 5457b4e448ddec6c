"""From a request to the actor that answers it, and from the settled house to its result.

``begin`` checks who asks and hands the request to its actor; when the turn is quiet ``result`` makes the
answer. A request about one conversation needs nothing here but its line in ``actors.access.NEEDS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from actors import booking, files, forward, identity, members, outbox, watching
from actors.access import NEEDS, administers, may_see_agent
from actors.agent import AgentActor
from actors.deadlines import Rules
from actors.explain import explain
from actors.house import House
from actors.memory import closed_questions, entry_question
from actors.messages import Delete, Do, PutAgent, PutService, Receive, Seen, Start, Switch, Update
from actors.reading import unread
from actors.service import ServiceActor
from actors.slots import check_hours
from actors.states import found
from actors.summary import summary
from actors.system import Turn
from actors.templates import TemplateActor
from protocol.codec import Call
from protocol.errors import bad_params, refused
from protocol.frozen import Frozen
from protocol.ids import Principal, is_printable
from protocol.meetings import MeetingName, MeetingReschedule, MeetingSchedule, MeetingSlots
from protocol.members import (
    ContactMerge,
    ConversationCreate,
    ConversationInvite,
    ConversationRead,
    ConversationRemove,
    JoinLink,
    Unread,
)
from protocol.objects import COMINGS_AND_GOINGS, OUTSIDE_TYPES, from_outside
from protocol.outbox import MessageForward, OutboxList, OutboxRetry
from protocol.params import Nothing
from protocol.records import (
    AgentRecord,
    ConversationRecord,
    MessagesUpTo,
    ServiceRecord,
    TemplateRecord,
    Timeline,
)
from protocol.requests import (
    AgentName,
    AgentPut,
    Agents,
    AgentWatch,
    Availability,
    ConferenceStarted,
    ConnectorDelivered,
    ConnectorReceive,
    ContactName,
    ContactUpdate,
    ConversationGet,
    ConversationItems,
    ConversationList,
    ConversationMove,
    ConversationMoved,
    ConversationName,
    ConversationPage,
    ConversationPresence,
    ConversationStart,
    ConversationStarted,
    ConversationUpdate,
    ConversationWatch,
    MessageComment,
    MessageReact,
    MessageSend,
    OneConversation,
    OneEntry,
    Received,
    ServiceName,
    ServicePut,
    Services,
    SetAvailability,
    TemplateName,
    TemplatePut,
    Templates,
    WatchName,
)
from protocol.settings import AgentSettings, ServiceSettings, Template, given

if TYPE_CHECKING:
    from actors.core import Core


class Page(Frozen, frozen=True):
    """A result that lacks a page of the timeline."""

    result: ConversationPage
    question: Timeline


def address(call: Call, principal: Principal) -> str:
    """Whose fault it is if this request's handler fails: the conversation's, if it names one."""
    named = getattr(call.params, "conversation", None)
    return f"conversation:{named}" if isinstance(named, str) else principal.address


# ---------------------------------------------------------------- begin


def begin(core: Core, call: Call, principal: Principal, turn: Turn) -> None:
    """Check the request and hand it to its actor. Raises RequestError to refuse it."""
    house, params = core.house, call.params
    match params:  # a miss costs as much as a small rule: what is asked for most comes first
        case MessageSend():
            _about_conversation(house, call, principal, turn)  # first: whether it may be seen at all
            if params.reply_to is not None:
                _check_entry(core, params.conversation, "reply_to", params.reply_to, principal)
            files.check(house, params.attachments, principal)
        case ConnectorReceive():
            _receive(core, params, principal, turn)
        case ConversationName():
            _about_conversation(house, call, principal, turn)
        case MessageReact():
            _about_conversation(house, call, principal, turn)
            _check_entry(core, params.conversation, "to", params.to, principal)
        case ConnectorDelivered():
            outbox.delivered(core, params, principal, turn)
        case OutboxRetry():
            outbox.retry(core, params, principal, turn)
        case ConversationStart():
            _start(core, params, principal, turn)
        case SetAvailability():
            name = params.agent or (principal.sub if principal.role == "agent" else None)
            if name is None:
                raise bad_params("agent", "the agent to switch")
            turn.send(_agent(house, name, principal, must_administer=True), Switch(params))
        case AgentPut():
            put_agent(house, _patched_agent(house, params.agent), turn)
        case ServicePut():
            put_service(house, _patched_service(house, params.service), turn)
        case AgentName():
            actor = _agent(house, params.agent, principal)
            if call.method == "agent.delete":
                turn.send(actor, Delete())
        case ServiceName():
            if params.service not in _services(house, principal):
                raise refused("not_found")
            if call.method == "service.delete":
                turn.send(house.services[params.service], Delete())
        case ContactName() | ContactUpdate():
            _about_contact(house, params, principal, turn)
        case TemplatePut() | TemplateName():
            put_template(house, params, turn)
        case ConversationPresence():
            _about_conversation(house, call, principal, turn)
        case ConversationWatch() | WatchName() | AgentWatch():
            watching.begin(house, params, principal, turn)
        case MeetingSlots() | MeetingSchedule() | MeetingName() | MeetingReschedule():
            booking.begin(core, call, principal, turn)
        case ConversationCreate() | ConversationInvite() | ConversationRemove() | JoinLink():
            members.begin(core, call, principal, turn)
        case ContactMerge():
            identity.begin(core, params, principal, turn)
        case ConversationRead():
            counted = core.memory.answer(MessagesUpTo(params.conversation, params.seq))
            _about_conversation(house, call, principal, turn, Seen(principal.address, params.seq, counted))
            if principal.role == "backend":
                raise refused("not_in_crew", "only who is in a conversation reads it")
        case ConversationUpdate() if isinstance(params.picture, str):
            _about_conversation(house, call, principal, turn)
            files.check_picture(house, params.picture, principal)
        case MessageForward():
            _about_conversation(house, call, principal, turn)
            forward.check(core, params)
        case _ if call.method in NEEDS:
            _about_conversation(house, call, principal, turn)


def _about_conversation(
    house: House, call: Call, principal: Principal, turn: Turn, message: Struct | None = None
) -> None:
    """Hand the request to its conversation, as it is or as this message."""
    actor = found(house, call.params.conversation, call.method, principal)
    if type(call.params) is ConversationPresence:
        watching.present(house, call.params, principal, turn)
    elif call.method not in ("conversation.get", "conversation.explain"):
        turn.send(actor, message or Do(call.params, principal, call.method))


def _check_entry(core: Core, conversation: str, field: str, seq: int, principal: Principal) -> None:
    """What is reacted or replied to must be there to be seen. Raises −32602."""
    entries, _ = core.memory.answer(entry_question(conversation, seq)) or ((), False)
    types = _types(core.house.conversations[conversation].record, principal)
    if not entries or entries[-1].seq != seq or (types is not None and entries[-1].type not in types):
        raise bad_params(field, "the seq of an entry of this conversation")


def _about_contact(house: House, params: ContactName | ContactUpdate, principal: Principal, turn: Turn) -> None:
    """A contact may be seen by itself and with any of its conversations, and changed by their crews. [S4]"""
    actor = identity.seen(house, params.contact, principal)
    turn.about = actor.record.id
    if isinstance(params, ContactUpdate):
        identity.check_crew(house, actor, principal)
        turn.send(actor, Update(params))


def check_channel(call: Call, principal: Principal) -> None:
    """Before anything is looked up: a connector speaks for its channels only. Raises RequestError (forbidden)."""
    if type(call.params) is ConnectorReceive and call.params.channel not in principal.channels:
        raise refused("forbidden", "that channel is not in your token")


def _receive(core: Core, params: ConnectorReceive, principal: Principal, turn: Turn) -> None:
    house = core.house
    for field, text in (("address", params.address), ("external_id", params.external_id)):
        if not is_printable(text):
            raise bad_params(field, "text without control characters")
    files.check(house, params.attachments, principal)
    place = identity.place_of(params.channel, params.address)
    contact = house.contact_at.get(place)
    if contact is None:
        contact = identity.new_contact(house)
        core.contact(contact, turn).claim(place, turn)
    turn.send(house.contacts[contact], Receive(params))


def _start(core: Core, params: ConversationStart, principal: Principal, turn: Turn) -> None:
    name = principal.sub if principal.role == "contact" else params.contact
    if name is None:
        raise bad_params("contact", "whom the conversation is with")
    if not is_printable(name) or not is_printable(params.channel):
        raise bad_params("channel", "text without control characters")
    if params.members and principal.role == "contact":
        raise refused("forbidden", "only the house names members")
    who = members.named(core, params.members, turn)
    turn.send(core.contact(identity.present(core.house, name), turn), Start(params, principal, who))


def _agent(house: House, name: str, principal: Principal, *, must_administer: bool = False) -> AgentActor:
    """An agent one may see. Raises RequestError (not_found, forbidden)."""
    if name not in house.agents or not may_see_agent(house, name, principal):
        raise refused("not_found", "there is no such agent, or you may not see it")
    if must_administer and not administers(house, name, principal):
        raise refused("forbidden", "only an admin of a service of that agent may switch it")
    return house.agents[name]


def _services(house: House, principal: Principal) -> dict[str, ServiceActor]:
    return house.services if principal.role == "backend" else house.agents[principal.sub].services


# ---------------------------------------------------------------- configuration


def _patched_agent(house: House, patch: Any) -> AgentSettings:
    """The agent as the patch makes it. Raises RequestError (−32602)."""
    known = house.agents.get(patch.id)
    settings = AgentSettings(id=patch.id) if known is None else known.record.settings
    settings = msgspec.structs.replace(settings, **given(patch))
    _check_id("agent.id", settings.id)
    _check_classes(house, "agent.capacity", settings.capacity)
    check_hours(settings)
    return settings


def _patched_service(house: House, patch: Any) -> ServiceSettings:
    """The service as the patch makes it. Raises RequestError (−32602)."""
    known = house.services.get(patch.id)
    settings = ServiceSettings(id=patch.id) if known is None else known.record.settings
    settings = msgspec.structs.replace(settings, **given(patch))
    _check_id("service.id", settings.id)
    _check_classes(house, "service.max_slots", settings.max_slots)
    try:
        Rules(settings)
    except ValueError as problem:
        raise bad_params("service.business_hours", str(problem)) from None
    names = [member.agent for member in settings.members]
    if len(set(names)) != len(names):
        raise bad_params("service.members", "each agent once")
    return settings


def _check_id(field: str, name: str) -> None:
    if not is_printable(name):
        raise bad_params(field, "text without control characters")


def _check_classes(house: House, field: str, by_class: dict[str, int | None]) -> None:
    for name in by_class:
        if name not in house.classes:
            raise bad_params(f"{field}.{name}", "one of " + ", ".join(house.classes))


def put_agent(house: House, settings: AgentSettings, turn: Turn) -> None:
    """Create or change an agent."""
    if settings.id not in house.agents:
        position = 1 + max((actor.record.position for actor in house.agents.values()), default=-1)
        record = AgentRecord(id=settings.id, position=position, settings=settings)
        actor = house.agents[settings.id] = AgentActor(house, record)
        turn.spawned(actor)
        turn.undo.append(lambda: house.agents.pop(settings.id))
    turn.send(house.agents[settings.id], PutAgent(settings))


def put_service(house: House, settings: ServiceSettings, turn: Turn) -> None:
    """Create or change a service."""
    if settings.id not in house.services:
        position = 1 + max((actor.record.position for actor in house.services.values()), default=-1)
        record = ServiceRecord(id=settings.id, position=position, settings=settings)
        actor = house.services[settings.id] = ServiceActor(house, record)
        turn.spawned(actor)
        turn.undo.append(lambda: house.services.pop(settings.id))
    turn.send(house.services[settings.id], PutService(settings))


def put_template(house: House, params: TemplatePut | TemplateName, turn: Turn) -> None:
    """Create, change or delete a template. Raises RequestError."""
    if isinstance(params, TemplateName):
        if params.template not in house.templates:
            raise refused("not_found", "there is no such template")
        actor = house.templates.pop(params.template)
        turn.undo.append(lambda: house.templates.update({params.template: actor}))
        turn.change(actor).deleted = True
        return
    name, changes = params.template.name, given(params.template)
    known = house.templates.get(name)
    if known is None and "text" not in changes:
        raise bad_params("template.text", "it to be given")
    if known is None:
        _check_id("template.name", name)
        actor = house.templates[name] = TemplateActor(TemplateRecord(id=name, settings=Template(**changes)))
        turn.spawned(actor)
        turn.undo.append(lambda: house.templates.pop(name))
    else:
        record = turn.change(known)
        record.settings = msgspec.structs.replace(record.settings, **changes)


# ---------------------------------------------------------------- result


def result(core: Core, call: Call, principal: Principal, turn: Turn) -> Any:
    """The answer, from the house as it is when the turn is quiet."""
    house, params = core.house, call.params
    match params:  # as in ``begin``
        case MessageSend():
            return _entry(principal, turn)
        case ConnectorReceive():
            record = house.conversations[turn.about].record
            return Received(summary(house, record, turn.now), turn.answer)
        case ConversationName():
            return _after(house, call, principal, turn)
        case ConversationStart():
            name, continued = turn.about
            outside = principal.role == "contact"
            record = house.conversations[name].record
            shown = summary(house, record, turn.now, outside=outside, reader=principal.address)
            return ConversationStarted(shown, continued)
        case MessageComment() | MessageReact() | MessageForward():
            return _entry(principal, turn)
        case ConversationGet():
            return _page(house, params, principal, turn.now)
        case ConversationList():
            return _items(core, params, principal, turn.now)
        case ConversationCreate() | ConversationInvite() | ConversationRemove() | JoinLink():
            record = house.conversations[turn.about].record
            outside = principal.role == "contact"
            return OneConversation(summary(house, record, turn.now, outside=outside, reader=principal.address))
        case ConversationMove():
            moved, stub = (house.conversations[name].record for name in (params.conversation, turn.about))
            reader = principal.address
            return ConversationMoved(summary(house, moved, turn.now, reader=reader), summary(house, stub, turn.now))
        case OutboxList():
            return outbox.items(core, params)
        case ConversationRead():
            return Unread(unread(house.conversations[params.conversation].record, principal.address) or 0)
        case ConversationPresence() | ConversationWatch() | WatchName() | AgentWatch():
            return turn.answer
        case MeetingSlots() | MeetingSchedule() | MeetingName() | MeetingReschedule():
            return booking.result(core, call, turn)
        case _ if call.method in NEEDS:
            return _after(house, call, principal, turn)
    return _settings(house, call, principal, turn)


def _entry(principal: Principal, turn: Turn) -> OneEntry:
    """What a request has put down."""
    return OneEntry(from_outside(turn.answer) if principal.role == "contact" else turn.answer)


def _after(house: House, call: Call, principal: Principal, turn: Turn) -> Any:
    """What has become of the conversation that a request named."""
    record = house.conversations[call.params.conversation].record
    if call.method == "conversation.explain":
        return explain(house, record)
    if call.method == "conference.start":
        return ConferenceStarted(turn.answer, turn.answer.url)
    outside = principal.role == "contact"
    return OneConversation(summary(house, record, turn.now, outside=outside, reader=principal.address))


def _settings(house: House, call: Call, principal: Principal, turn: Turn) -> Any:
    """The answers about services and agents."""
    params = call.params
    match params:
        case ServicePut():
            return house.services[params.service.id].record.settings
        case ServiceName() if call.method == "service.get":
            return house.services[params.service].record.settings
        case ContactName() | ContactUpdate() | ContactMerge():
            return house.contacts[turn.about].view()
        case TemplatePut():
            return house.templates[params.template.name].record.settings
        case AgentPut():
            return house.agents[params.agent.id].view()
        case AgentName() if call.method == "agent.get":
            return house.agents[params.agent].view()
        case SetAvailability():
            return Availability(house.agents[params.agent or principal.sub].availability())
    match call.method:
        case "service.list":
            return Services(tuple(actor.record.settings for actor in _services(house, principal).values()))
        case "agent.list":
            seen = (actor for name, actor in house.agents.items() if may_see_agent(house, name, principal))
            return Agents(tuple(actor.view() for actor in seen))
        case "template.list":
            return Templates(tuple(house.templates[name].record.settings for name in sorted(house.templates)))
        case "agent.unwatch":
            house.agent_watches.end(turn.session, turn)
    return Nothing()


def _page(house: House, params: ConversationGet, principal: Principal, now: int) -> Page | ConversationPage:
    outside = principal.role == "contact"
    record = house.conversations[params.conversation].record
    shown = summary(house, record, now, outside=outside, reader=principal.address)
    page = ConversationPage(shown, (), False, members.listed(house, record, outside=outside))
    if params.limit == 0:
        return page
    types = _types(record, principal)
    question = Timeline(record.id, up_to=house.seq, limit=params.limit, before=params.before, types=types)
    return Page(page, question)


def _types(record: ConversationRecord, principal: Principal) -> frozenset[str] | None:
    """The types of entries that somebody sees of a conversation; None = all."""
    if principal.role != "contact":
        return None
    return OUTSIDE_TYPES - COMINGS_AND_GOINGS if record.read_only else OUTSIDE_TYPES


def _items(core: Core, params: ConversationList, principal: Principal, now: int) -> ConversationItems:
    params = identity.filters(core.house, params)
    closed: list[ConversationRecord] = []
    for question in closed_questions(core.house, params, principal):
        closed.extend(core.memory.answer(question) or ())
    return core.house.views.page(params, principal, now, closed)

"""What must hold after every turn, worked out from the records alone. [behaviour §3, "Rule of the house"]

Nothing here asks the indexes that are under test: every check is a plain search over all actors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from actors.core import Core
from actors.views import passes
from protocol.ids import Principal
from protocol.records import AgentRecord, ConversationRecord, ServiceRecord
from protocol.requests import ConversationList
from tests.storm_meetings import clashes
from tests.storm_reading import broken_reading

LIVE = ("open", "snoozed")
BY_HAND = ("transferred", "assigned", "reopened")


def broken(core: Core) -> list[str]:
    """Every rule that does not hold, as a sentence; empty = all is well."""
    return [
        *_states(core),
        *_slots(core),
        *_waits_in_vain(core),
        *_queues(core),
        *_deadlines(core),
        *_one_live(core),
        *_lists(core),
        *broken_reading(core),
        *clashes(core),
    ]


def _live(core: Core) -> list[ConversationRecord]:
    return [actor.record for actor in core.house.conversations.values() if actor.record.state in LIVE]


def _states(core: Core) -> Iterator[str]:
    for record in _live(core):
        if record.assignee is not None and record.queued:
            yield f"{record.id} is assigned and waits"
        if record.assignee is not None and record.assignee not in record.crew:
            yield f"{record.id}: its assignee is not in its crew"
        if record.offered_at is not None and not record.queued:
            yield f"{record.id} is on offer though it does not wait"
        if record.queued and not record.routed and record.offered_at is None:
            yield f"{record.id} waits for somebody to take it, but is offered to nobody"
        if record.state == "snoozed" and (record.assignee is not None or record.queued):
            yield f"{record.id} is snoozed and yet assigned or queued"
        nobody = record.assignee is None and not record.queued and not record.joined
        if record.state == "open" and nobody and record.service is not None:  # a created one is its members'
            yield f"{record.id} is open and nobody's"
        if not set(record.joined) <= set(record.crew):
            yield f"{record.id}: joined but not in the crew"
    for actor in core.house.conversations.values():
        record = actor.record
        if record.state == "closed" and (record.assignee or record.queued or record.waiting_since is not None):
            yield f"{record.id} is closed and yet assigned, queued or waiting"


def _slots(core: Core) -> Iterator[str]:
    """Used slots are exactly the agent's open assigned conversations."""
    for name, agent in core.house.agents.items():
        for channel_class, used in agent.used().items():
            held = [r.id for r in _live(core) if r.assignee == name and r.channel_class == channel_class]
            if used != len(held):
                yield f"{name} uses {used} {channel_class} slots, but is assigned {held}"


def _waits_in_vain(core: Core) -> Iterator[str]:
    """No conversation waits while a member could take it."""
    for record in _live(core):
        if record.queued and record.routed:
            service = core.house.services[record.service or ""].record
            for member in service.settings.members:
                agent = core.house.agents.get(member.agent)
                if agent is not None and member.is_routed and could_take(core, agent.record, service, record):
                    yield f"{record.id} waits in {service.id} while {member.agent} could take it"


def could_take(core: Core, agent: AgentRecord, service: ServiceRecord, record: ConversationRecord) -> bool:
    """Whether an agent could take a conversation now, from records alone."""
    channel_class = record.channel_class or ""
    mine = [r for r in _live(core) if r.assignee == agent.id and r.channel_class == channel_class]
    own = agent.settings.capacity.get(channel_class)
    limit = service.settings.max_slots.get(channel_class)
    return (
        agent.live
        and channel_class in agent.switched_on
        and (own is None or len(mine) < own)
        and (limit is None or sum(r.service == service.id for r in mine) < limit)
        and {*service.settings.skills, *record.skills} <= set(agent.settings.skills)
        and agent.id not in [name for name, _ in record.paused]
    )


def _queues(core: Core) -> Iterator[str]:
    """Each queue holds exactly the conversations whose records say so, in order."""
    for name, service in core.house.services.items():
        waiting = [r for r in _live(core) if r.queued and r.service == name]
        for channel_class in core.house.classes:
            order = sorted((-r.priority, r.age_since, r.id) for r in waiting if r.channel_class == channel_class)
            records = [core.house.conversations[conversation].record for _, _, conversation in order]
            places = [service.position(record) for record in records]
            if places != list(range(1, len(order) + 1)):
                yield f"{name}: {channel_class} queue is {places} for {order}"
        routed = sum(record.routed for record in waiting)
        if (len(service.waiting), len(service.offers)) != (routed, len(waiting) - routed):
            yield f"{name}: the queue and the offers do not hold what the records say"


def _lists(core: Core) -> Iterator[str]:
    """Each conversation stands in the lists exactly where its record says."""
    views = core.house.views
    for name, actor in core.house.conversations.items():
        statuses = frozenset(views.where.statuses(actor.record))
        place = views.places[name]
        if (place.service, place.channel, place.statuses) != (actor.record.service, actor.record.channel, statuses):
            yield f"{name} is listed at {place}, but has {sorted(statuses)}"
    stands: Counter[tuple[str, str | None]] = Counter()
    for record in _live(core):
        service = core.house.services.get(record.service or "")
        stands[record.id, ""] += 1
        if service is not None and service.record.settings.mode == "grab":
            stands[record.id, record.owner] += 1
    listed = Counter(
        (name, whose)
        for service in views._cells.values()
        for whose, cells in service.items()
        for cell in cells.values()
        for name in cell.ids("every")
    )
    if listed != stands:
        yield "the lists do not hold exactly the live conversations, each as everybody's and as its owner's"


def miscounted(core: Core, stored: Iterable[ConversationRecord]) -> Iterator[str]:
    """Lists count the closed conversations that a search through the store and the memory finds."""
    house = core.house
    known = {record.id: record for record in stored}
    known.update((name, actor.record) for name, actor in house.conversations.items())
    closed = [record for record in known.values() if record.state == "closed"]
    filters: list[dict[str, Any]] = [{}, {"view": "joined"}, {"view": "mine"}, {"channels": ("sms", "web")}]
    filters += [{"service": name} for name in house.services]
    for who in (Principal("backend", "backend"), *(Principal("agent", name) for name in house.agents)):
        for some in filters:
            params = ConversationList(**some)
            found = sum(passes(house, params, who, record) for record in closed)
            counted = house.views.closed.count(params, who)
            if counted != found:
                yield f"{who.sub} counts {counted} closed conversations under {some}, but there are {found}"


def _deadlines(core: Core) -> Iterator[str]:
    """Every actor's timer is armed for its earliest deadline, and none is overdue."""
    actors = [*core.house.conversations.values(), *core.house.agents.values(), *core.house.meetings]
    actors += core.house.digests.actors.values()
    for actor in actors:
        earliest = actor.earliest()
        armed = actor.timer.deadline if actor.timer.armed else None
        if earliest != armed:
            yield f"{actor.record.id}: timer at {armed}, earliest deadline at {earliest}"


def _one_live(core: Core) -> Iterator[str]:
    """One live conversation per contact, channel and service."""
    seen: dict[tuple[object, ...], str] = {}
    for record in _live(core):
        if record.begun_agent is not None or record.service is None:  # one per contact, channel and agent; created
            continue
        place = (record.contact, record.channel, record.service)
        if place in seen:
            yield f"{record.id} and {seen[place]} are both live for {place}"
        seen[place] = record.id


def overfull(core: Core, agent: str, channel_class: str) -> bool:
    """Whether an agent is above the maximum in a class."""
    actor = core.house.agents[agent]
    own = actor.record.settings.capacity.get(channel_class)
    return own is not None and actor.used()[channel_class] > own


def check_equal(left: Any, right: Any, left_name: str, right_name: str, path: str = "") -> None:
    """Raises AssertionError that says where two plain values differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted({*left, *right}, key=str):
            check_equal(left.get(key), right.get(key), left_name, right_name, f"{path}.{key}")
    else:
        assert left == right, f"{path}: {left_name} {left!r}, {right_name} {right!r}"


def forget_what_left(before: dict[str, Any], after: dict[str, Any]) -> None:
    """What had ended may leave memory in any step; contacts who have nothing left here, too."""
    for name, record in list(before["conversations"].items()):
        if record["state"] not in LIVE and name not in after["conversations"]:
            del before["conversations"][name]
    live = {record["contact"] for record in before["conversations"].values()}
    for name in before["contacts"].keys() - after["contacts"].keys() - live:
        del before["contacts"][name]
    for name in before["meetings"].keys() - after["meetings"].keys():
        if before["meetings"][name]["status"] == "cancelled":
            del before["meetings"][name]

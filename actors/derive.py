"""Making everything that is derived from records anew: slots, queues, candidates, lists, timers.

The one way to get it: at start-up, after a bug in a handler, after a refused commit. So what a restart would find
and what is in memory cannot drift apart. O(everything).
"""

from __future__ import annotations

from collections.abc import Container
from operator import itemgetter

from actors.agent import AgentActor
from actors.conversation import ConversationActor
from actors.digest import DigestActor
from actors.errand import ErrandActor
from actors.files import FileActor
from actors.house import House
from actors.meeting import MeetingActor
from actors.wheel import Timer, TimerWheel
from protocol.objects import LIVE

_ORDER = itemgetter(0, 1)
Armed = ConversationActor | AgentActor | ErrandActor | FileActor | MeetingActor | DigestActor


def derive(house: House, now: int, parked: Container[str]) -> None:
    """Derive it all. ``parked`` are the addresses of actors that get no more messages, and so no timers."""
    for service in house.services.values():
        service.derive()
    for agent in house.agents.values():
        agent.derive()
    house.links.clear()
    for contact in house.contacts.values():
        contact.conversations = contact.memberships = ()
    house.views.clear()
    for conversation in house.conversations.values():
        _place(house, conversation)
    house.views.fill(conversation.record for conversation in house.conversations.values())
    for name, agent in house.agents.items():
        for service in agent.services.values():
            for channel_class in house.classes:
                service.seat(name, channel_class)
    house.meetings.derive()
    house.digests.derive()
    _arm_all(house, now, parked)


def _place(house: House, conversation: ConversationActor) -> None:
    """Put one conversation where its record says it is."""
    record = conversation.record
    house.relate(None, record)
    if record.state not in LIVE:
        return
    if record.assignee is not None:
        house.agents[record.assignee].hold(record.id, record.channel_class or "", record.service or "")
    if record.queued and record.service in house.services:
        house.services[record.service].admit(record)


def _arm_all(house: House, now: int, parked: Container[str]) -> None:
    """A new wheel that starts before the earliest deadline, so that what is overdue fires in its order."""
    due: list[tuple[int, str, Armed]] = []  # of one moment in the order of addresses
    errands = (*house.webhooks.values(), *house.mails.values())
    actors: list[Armed] = [*house.conversations.values(), *house.agents.values(), *house.files.values()]
    actors += [*errands, *house.meetings, *house.digests.actors.values()]
    for actor in actors:
        if actor.timer.armed:  # on the wheel that was
            actor.timer = Timer(actor, actor.timer.kind)
        deadline = actor.earliest()
        if deadline is not None:
            address = actor.address
            if address not in parked:
                due.append((deadline, address, actor))
    due.sort(key=_ORDER)
    house.wheel = TimerWheel(min(now, due[0][0] - 1) if due else now)
    for deadline, _, actor in due:
        house.wheel.arm(actor.timer, deadline)
    _arm_volatile(house, now)


def _arm_volatile(house: House, now: int) -> None:
    """The timers of what is never stored."""
    house.watches.rearm(now)
    for presence in house.presences.values():
        presence.rearm()
    for service in house.services.values():
        service.timer = Timer(service, "position")
        service.listeners.rearm(now)

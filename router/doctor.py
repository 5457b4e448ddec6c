"""``signalbox doctor``: whether a store is whole, and a server that starts from it would miss nothing.

Two looks. First the tables: rows that nobody understands, conversations of services and agents that do not exist,
entries that are missing (``storage.integrity``). Then what a server would make of them: everything live is loaded
into a core as at a start, and its records are held against the rules of routing: nothing is nobody's, whatever sleeps
will wake, slots are what is assigned, each deadline has its timer.

Nothing here changes a store, and a server may run meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from actors.core import Core
from protocol.objects import LIVE
from protocol.records import ConversationRecord, Snapshot
from protocol.settings import CHANNEL_CLASSES, WorkspaceSettings
from storage import integrity
from storage.integrity import Fault
from storage.raw import Step, reading
from storage.urls import store_of


def examine(url: str, now_ms: int, step: Step) -> list[Fault]:
    """Everything that is wrong with a store, at a moment (tick). Raises StorageUnfit, StorageUnavailable."""
    with reading(url) as raw:
        found = list(integrity.faults(raw, step))
    if found:  # nothing can be loaded, or what is loaded is wrong for a reason that was named
        return found
    store = store_of(url)
    try:
        store.open()
        return list(routing(store.load(), now_ms))
    finally:
        store.close()


def routing(snapshot: Snapshot, now_ms: int) -> Iterator[Fault]:
    """What is wrong with what is live. Parameters: what a start would load; the moment (tick)."""
    for record in snapshot.conversations:
        if record.state in LIVE:
            yield from map(Fault, _state(record))
    core = Core(WorkspaceSettings(channel_classes=_classes(snapshot)))
    try:
        core.load(snapshot, now_ms)
    except Exception as problem:
        yield Fault(f"a server could not start from this: {type(problem).__name__}: {problem}")
        return
    yield from map(Fault, [*_slots(core), *_timers(core)])


def _state(record: ConversationRecord) -> Iterator[str]:
    name = record.id
    if record.assignee is not None and record.queued:
        yield f"conversation {name} is assigned, and yet waits in the queue"
    if record.state == "snoozed" and (record.assignee is not None or record.queued):
        yield f"conversation {name} is snoozed, and yet assigned or in the queue"
    if record.state == "snoozed" and record.snoozed_until is None:
        yield f"conversation {name} is snoozed until never"
    if record.queued and not record.routed and record.offered_at is None:
        yield f"conversation {name} waits for somebody to take it, and is offered to nobody"
    is_somebodys = record.assignee is not None or record.queued or record.joined
    if record.state == "open" and record.service is not None and not is_somebodys:
        yield f"conversation {name} is open, and nobody's: neither assigned nor in the queue"
    if not set(record.joined) <= set(record.crew):
        yield f"conversation {name}: somebody has joined it who is not in its crew"


def _slots(core: Core) -> Iterator[str]:
    """Used slots are what is open and assigned."""
    live = [actor.record for actor in core.house.conversations.values() if actor.record.state in LIVE]
    held = Counter((record.assignee, record.channel_class) for record in live if record.assignee is not None)
    for name, agent in core.house.agents.items():
        for channel_class, used in agent.used().items():
            if used != held[name, channel_class]:
                number = held[name, channel_class]
                yield f"agent {name} uses {used} {channel_class} slots, and has {number} conversations"


def _timers(core: Core) -> Iterator[str]:
    """What is due some day has a timer for its earliest deadline."""
    house = core.house
    for kind, actors in (("conversation", house.conversations), ("agent", house.agents)):
        for name, actor in actors.items():
            earliest = actor.earliest()
            armed = actor.timer.deadline if actor.timer.armed else None
            if earliest != armed:
                yield f"{kind} {name}: its next deadline is at {earliest}, and its timer at {armed} (ms since 1970)"


def _classes(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    """The classes of channels that are in use, whatever the configuration calls them."""
    used = [record.channel_class for record in snapshot.conversations if record.channel_class is not None]
    used += [name for agent in snapshot.agents for name in (*agent.settings.capacity, *agent.switched_on)]
    return {**CHANNEL_CLASSES, **{name: () for name in used if name not in CHANNEL_CLASSES}}

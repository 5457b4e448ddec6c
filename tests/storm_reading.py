"""The part of a storm that reads, or does not: what is left to read is counted anew from the store after each step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict

from actors.core import Core
from actors.digest import waiting
from actors.effects import Opened
from protocol.ids import Principal
from protocol.objects import Entry
from protocol.records import ConversationRecord, ReadMark, Timeline

if TYPE_CHECKING:
    from tests.storm import Storm

EVERYTHING = 10**9


def addressed(name: str, rng: Any) -> dict[str, Any]:
    """Settings of an agent who may get digests."""
    return {"email": f"{name}@example.org"} if rng.random() < 0.7 else {}


class Reading:
    """What one storm reads."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm

    def act(self, agents: tuple[str, ...]) -> None:
        """Somebody reads, a contact comes with an address, or a connector says what was read."""
        rng, storm = self._storm.rng, self._storm
        conversation = storm._conversation()
        match rng.randint(0, 4):
            case 0 | 1:
                self._read(rng.choice((*agents, "contact:nia", "contact:oli")), conversation)
            case 2:
                crew = storm.world.core.house.conversations.get(conversation)
                if crew is not None and crew.record.crew:
                    self._read(rng.choice(crew.record.crew), conversation)
            case 3:
                self._sign_in(rng.choice(["nia", "oli"]))
            case 4:
                self._read_outside()

    def _read(self, who: str, conversation: str) -> None:
        rng, storm = self._storm.rng, self._storm
        up_to = rng.choice([EVERYTHING, rng.randint(0, storm.world.core.house.seq + 1)])
        storm._say(who, "conversation.read", conversation=conversation, seq=up_to)

    def _sign_in(self, name: str) -> None:
        """A contact comes with a token that names an e-mail."""
        world = self._storm.world
        if f"contact:{name}" not in world.sessions:
            world._numbers += 1
            world.sessions[f"contact:{name}"] = world._numbers
            who = Principal("contact", name, email=f"{name}@example.org")
            world.give(Opened(world._numbers, who, 0))

    def _read_outside(self) -> None:
        """A connector says that something was read, which may have gone out long ago."""
        rng, storm = self._storm.rng, self._storm
        seq = rng.randint(0, storm.world.core.house.seq)
        storm._say(f"connector:{rng.choice(['sms', 'whatsapp'])}", "connector.delivered", entry=seq, status="read")

    # ------------------------------------------------------------ what must hold

    def check(self) -> None:
        """Marks say what the store says."""
        last = self._storm.world.last
        assert last is not None
        for record in last.batch.records:
            if isinstance(record, ConversationRecord):
                self._check_marks(record)

    def _check_marks(self, record: ConversationRecord) -> None:
        question = Timeline(record.id, EVERYTHING, EVERYTHING, types=frozenset({"message", "closed"}))
        entries, _ = self._storm.world.store.read([question])[0]
        messages = [entry for entry in entries if entry.type == "message"]
        ends = [entry.seq for entry in entries if entry.type == "closed"]
        assert record.messages == len(messages), f"{record.id} counts {record.messages} messages of {len(messages)}"
        for mark in record.read:
            problem = wrong(mark, messages, ends)
            assert problem is None, f"{record.id}: {mark}: {problem}"


def wrong(mark: ReadMark, messages: list[Entry], ends: list[int]) -> str | None:
    """What a mark says that the timeline does not; None = nothing."""
    before, after = messages[: mark.count], messages[mark.count :]
    if mark.seq and [entry for entry in before if entry.seq > mark.seq] + [e for e in after if e.seq <= mark.seq]:
        return "the messages up to its seq are not as many as it counts"
    took_over = not before or (before[-1].by is not None and before[-1].by.kind == "agent")
    ended = any(not after or end < after[0].seq for end in ends if not before or end > before[-1].seq)
    if not mark.seq and not took_over and not ended:
        return "it begins neither at the beginning nor at an answer nor at an end"
    own = any(entry.by is not None and f"{entry.by.kind}:{entry.by.id}" == mark.who for entry in after)
    if own and mark.seq:  # a member who comes again has all of it before it
        return "its own message is unread"
    if (mark.since is None) != (not after):
        return "since when does not agree with how many"
    if mark.seq and after and mark.since != after[0].at:
        return f"the oldest unread one came at {after[0].at}"
    if mark.unmailed is not None and (mark.since is None or mark.unmailed < mark.since):
        return "something read waits for a digest"
    return None


def broken_reading(core: Core) -> Iterator[str]:
    """Each reader has one mark; whoever has something to read has it in the index of digests, and nobody else."""
    expected: dict[str, dict[str, int | None]] = {}
    for name, actor in core.house.conversations.items():
        record = actor.record
        outside = [*record.members, *([] if record.contact is None else [record.contact])]
        readers = sorted({*(f"agent:{agent}" for agent in record.crew), *(f"contact:{name}" for name in outside)})
        marked = [mark.who for mark in record.read]
        if f"contact:{record.contact}" not in marked and record.contact is not None:
            readers.remove(f"contact:{record.contact}")  # it has read everything
        if record.state != "moved" and marked != readers:
            yield f"{name} is read by {readers}, but has the marks {record.read}"
        for who, tick in waiting(record).items():
            expected.setdefault(who, {})[name] = tick
    found = {who: digests.unread for who, digests in core.house.digests.actors.items() if digests.unread}
    if core.house.settings.mail is not None and found != expected:
        yield f"there is {expected} to read, but the digests know {found}"
    for who, digests in core.house.digests.actors.items():
        ticks = [tick for tick in digests.unread.values() if tick is not None]
        if digests._oldest() != min(ticks, default=None):
            yield f"{who}: the oldest of {ticks} is not {digests._oldest()}"
        if digests.record.sent and not digests.unread and digests.record.last_at is None:
            yield f"{who} has a count without a time"


def counts(core: Core) -> dict[str, dict[str, Any]]:
    """The counts of digests. A restart forgets those that are two days old; they make no difference any more."""
    records = (actor.record for _, actor in sorted(core.house.digests.actors.items()))
    return {record.id: asdict(record) for record in records if record.sent}


def next_digests(core: Core) -> dict[str, int | None]:
    """When the next digests leave, which the counts decide too."""
    due = {name: actor.earliest() for name, actor in sorted(core.house.digests.actors.items())}
    return {name: tick for name, tick in due.items() if tick is not None}

"""Digests: mails about what somebody has not read. [behaviour §8]

The first leaves ``FIRST_MS`` after the oldest unread message; the next ones when that long has passed since the oldest
that is in none yet, and ``NEXT_MS`` since the one before; at most ``A_DAY`` on a day of the recipient's, whose midnight
begins a new count. Reading everything begins anew. ``due`` is that rule, a pure function.

Each reader who has something to read has a ``DigestActor``. Whose those are and what they have to read is derived from
the marks in the conversations' records (``actors.reading``); only how many digests have left is a record of its own.
Agents get digests of what is in their crews, people outside of the conversations that no connector carries to them.

Cost: a changed mark O(log of the reader's unread conversations), a few µs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from actors import mail, mypyc_attr
from actors.hours import zone
from actors.messages import Digested, Due
from actors.reading import is_agent, mark_of
from actors.system import Actor, Turn
from actors.wheel import Timer
from protocol.frozen import Frozen
from protocol.records import AgentRecord, ContactRecord, ConversationRecord, DigestRecord, ReadMark

if TYPE_CHECKING:
    from actors.house import House

FIRST_MS = 5 * 60_000
NEXT_MS = 4 * 3_600_000
A_DAY = 3
LISTED_MAX = 100  # conversations in one mail; of the others it says how many they are

HEAP_SPARE = 64  # entries that hold no more, before they are cleared out
READ = -1  # instead of a tick: nothing is left to read


# ---------------------------------------------------------------- when


def due(sent: int, last_at: int | None, oldest: int, where: tzinfo) -> int:
    """When the next digest leaves (tick).

    Parameters: how many have left in this count, the tick of the last, the tick of the oldest unread message that
    was in none, the recipient's time zone.
    """
    first = oldest + FIRST_MS
    if not sent or last_at is None:
        return first
    on_the_next_day = max(first, midnight_after(last_at, where))
    return on_the_next_day if sent >= A_DAY else min(max(first, last_at + NEXT_MS), on_the_next_day)


def counted(sent: int, last_at: int | None, now: int, where: tzinfo) -> int:
    """How many have left in this count when one leaves ``now``: a new day begins a new one."""
    if last_at is None or local_day(now, where) > local_day(last_at, where):
        return 1
    return sent + 1


def midnight_after(tick: int, where: tzinfo) -> int:
    """The tick at which the next local day begins: where a clock change skips midnight, when the clock changes."""
    midnight = datetime.combine(local_day(tick, where) + timedelta(days=1), time(), where)
    return int(midnight.timestamp()) * 1000


def local_day(tick: int, where: tzinfo) -> date:
    """The local date at this tick."""
    return datetime.fromtimestamp(tick // 1000, where).date()


@lru_cache(maxsize=1024)
def _zone(name: str) -> tzinfo:
    try:
        return zone(name)
    except ValueError:  # an agent's zone that was never checked
        return UTC


# ---------------------------------------------------------------- whose


class Recipient(Frozen, frozen=True):
    """Where a reader's digests go. ``language`` None = the workspace's."""

    email: str
    language: str | None
    zone: tzinfo


def recipient(house: House, address: str) -> Recipient | None:
    """Where this reader's digests go; None = there is no e-mail of it, or no mail at all."""
    settings = house.settings.mail
    kind, _, name = address.partition(":")
    if settings is None:
        return None
    if kind == "agent":
        agent = house.agents.get(name)
        about = None if agent is None else agent.record.settings
        if about is None or about.email is None:
            return None
        return Recipient(about.email, about.language, _zone(about.time_zone))
    contact = house.contacts.get(name)
    if contact is None or contact.record.email is None:
        return None
    return Recipient(contact.record.email, contact.record.language, _zone(settings.time_zone))


def waiting(record: ConversationRecord) -> dict[str, int | None]:
    """Who may get digests of a conversation and has something to read there, and since when it is in none (tick).

    What nobody could be mailed when it was closed is unread for ever, and in no digest.
    """
    over = record.state == "closed" and record.unmailed_since is None
    return {mark.who: None if over else mark.unmailed for mark in _unread(record)}


def _unread(record: ConversationRecord) -> Iterator[ReadMark]:
    """The marks of those who may get digests of it and have something to read."""
    everybody = record.address is None
    return (mark for mark in record.read if mark.since is not None and (everybody or is_agent(mark.who)))


class DigestActor(Actor):
    """The digests of one reader. It exists while there is something to read or a count to remember."""

    __slots__ = ("_heap", "_house", "record", "timer", "unread")
    record: DigestRecord

    def __init__(self, house: House, record: DigestRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.timer = Timer(self, "digest")
        self.clear()

    def clear(self) -> None:
        """Forget what there is to read; the conversations are told anew."""
        self.unread: dict[str, int | None] = {}  # conversation -> since when something in it is in no digest
        self._heap: list[tuple[int, str]] = []  # those ticks, and some that hold no more

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        if not isinstance(message, Due):
            raise AssertionError(f"digests cannot take {message}")
        self._leave(turn, max(turn.now, message.clock))

    def settle(self, turn: Turn) -> None:
        """Arm the timer for the next digest."""
        self.arm()

    def arm(self) -> None:
        """Bring the timer in line with what there is to read."""
        self._house.wheel.keep(self.timer, self.earliest())

    def earliest(self) -> int | None:
        """When the next digest is due, or None."""
        oldest = self._oldest()
        to = None if oldest is None else recipient(self._house, self.record.id)
        if oldest is None or to is None:
            return None
        return due(self.record.sent, self.record.last_at, oldest, to.zone)

    def expect(self, conversation: str, unmailed: int | None) -> None:
        """There is something to read in a conversation: ``READ`` = no more; None = it was in a digest."""
        if unmailed == READ:
            self.unread.pop(conversation, None)
            return
        self.unread[conversation] = unmailed
        if unmailed is not None:
            heappush(self._heap, (unmailed, conversation))

    def _oldest(self) -> int | None:
        """The tick of the oldest message that is in no digest. O(log n) amortised: each tick is dropped once."""
        heap, unread = self._heap, self.unread
        if len(heap) > 2 * len(unread) + HEAP_SPARE:
            heap[:] = sorted((tick, name) for name, tick in unread.items() if tick is not None)
        while heap and unread.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def _leave(self, turn: Turn, now: int) -> None:
        """Everything unread goes into one mail, also what was in an earlier one. ``now`` may be later than the turn."""
        record, house = self.record, self._house
        to = recipient(house, record.id)
        assert to is not None
        ident = f"d{house.seq}-{record.id}"  # what is in no digest came with an entry that is in none
        record.sent, record.last_at = counted(record.sent, record.last_at, now, to.zone), now
        mail.write(house, turn, ident, "digest", to.email, self._contents(to), language=to.language)
        for conversation in sorted(name for name, tick in self.unread.items() if tick is not None):
            turn.send(house.conversations[conversation], Digested(record.id))

    def _contents(self, to: Recipient) -> dict[str, Any]:
        """What the mail is made of: the latest ``unread`` messages up to ``up_to`` of each conversation, and of all.

        The conversation in which the oldest unread message came stands first; ``more``: so many are left out.
        """
        records = (self._house.conversations[name].record for name in self.unread)
        found = sorted((mark.since or 0, record.id, record, mark) for record, mark in self._marks(records))
        items = [
            {"id": ident, "unread": record.messages - mark.count, "up_to": record.last_seq}
            for _, ident, record, mark in found[:LISTED_MAX]
        ]
        total = sum(record.messages - mark.count for _, _, record, mark in found)
        more = len(found) - len(items)
        return {"conversations": items, "unread": total, "more": more, "time_zone": str(to.zone)}

    def _marks(self, records: Iterable[ConversationRecord]) -> Iterator[tuple[ConversationRecord, ReadMark]]:
        for record in records:
            mark = mark_of(record, self.record.id)
            assert mark is not None
            yield record, mark


@mypyc_attr(allow_interpreted_subclasses=True)  # tests put bugs here: every turn comes by, when it is quiet
class Digests:
    """Every reader who has something to read that no connector brings, by address."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.actors: dict[str, DigestActor] = {}
        self._idle: dict[str, None] = {}  # who may have nothing left to do here

    def __len__(self) -> int:
        return len(self.actors)

    def load(self, records: Iterable[DigestRecord]) -> None:
        """What is remembered of them; what there is to read is derived."""
        self.actors = {record.id: DigestActor(self._house, record) for record in records}

    def derive(self) -> None:
        """Find out anew what there is to read."""
        for actor in self.actors.values():
            actor.clear()
        for conversation in self._house.conversations.values():
            self.keep(conversation.record)
        self._idle = dict.fromkeys(name for name, actor in self.actors.items() if not actor.unread)

    def keep(self, record: ConversationRecord) -> None:
        """A conversation is in memory."""
        if self._house.settings.mail is not None:
            for who, unmailed in waiting(record).items():
                self._of(who).expect(record.id, unmailed)

    def forget(self, record: ConversationRecord) -> None:
        """A closed conversation leaves memory: there is nothing in it that was in no digest."""
        for who in waiting(record):
            if who in self.actors:
                self.actors[who].expect(record.id, READ)
                self._idle[who] = None

    def settle(self, turn: Turn) -> None:
        """The turn is quiet: what there is to read has changed where marks have, and where to where e-mails have."""
        if self._house.settings.mail is None:
            return
        for actor, old in tuple(turn.before.items()):
            record = actor.record
            if type(record) is ConversationRecord:
                self._marks_changed(record, old if type(old) is ConversationRecord else None, turn)
            elif type(record) is AgentRecord:
                if type(old) is AgentRecord and old.settings is not record.settings:
                    self._rearm(f"agent:{record.id}")
            elif type(record) is ContactRecord and type(old) is ContactRecord and old.email != record.email:
                self._rearm(f"contact:{record.id}")

    def end_step(self, is_committed: Callable[[Actor], bool]) -> None:
        """Let go of those who have nothing to read and whose count has begun anew."""
        for name in tuple(self._idle):
            actor = self.actors[name]
            if actor.unread or actor.record.sent:
                del self._idle[name]
            elif is_committed(actor):
                del self._idle[name], self.actors[name]

    def _of(self, address: str) -> DigestActor:
        if address not in self.actors:
            self.actors[address] = DigestActor(self._house, DigestRecord(id=address))
        return self.actors[address]

    def _rearm(self, address: str) -> None:
        if address in self.actors:
            self.actors[address].arm()

    def _marks_changed(self, record: ConversationRecord, old: ConversationRecord | None, turn: Turn) -> None:
        if old is not None and record.read is old.read and (record.address, record.state) == (old.address, old.state):
            return
        _stay(self._house, record, old)
        was, now = {} if old is None else waiting(old), waiting(record)
        for who in was | now if was != now else ():
            unmailed = now.get(who, READ)
            if was.get(who, READ) != unmailed:
                actor = self._of(who)
                actor.expect(record.id, unmailed)
                if not actor.unread:
                    self._all_read(actor, turn)
                actor.arm()

    def _all_read(self, actor: DigestActor, turn: Turn) -> None:
        """Nothing is left to read: the count begins anew."""
        if actor.record.sent:
            record = turn.change(actor)
            record.sent, record.last_at = 0, None
        self._idle[actor.record.id] = None


def _stay(house: House, record: ConversationRecord, old: ConversationRecord | None) -> None:
    """A closed conversation stays in memory while somebody is still to be mailed what is in it."""
    ends = old is None or old.state != "closed"
    if record.state != "closed":
        record.unmailed_since = None
    elif ends or record.unmailed_since is not None:
        ticks = (mark.unmailed for mark in _unread(record) if recipient(house, mark.who) is not None)
        record.unmailed_since = min((tick for tick in ticks if tick is not None), default=None)

"""What each reader has read of a conversation, and what is left: functions over a record and its marks. [behaviour §8]

Readers are the agents of the crew, the contact, and the members outside. Each has one ``ReadMark`` in the record, in
the order of their addresses; only the contact may have none: it has read everything. So a conversation in which nobody
but the contact has written, with no crew, holds no mark, which would be 220 bytes. Only messages by others count:
sending one reads everything up to it. Who comes into the crew of a service's conversation takes over where the last
agent's answer stands; a new member has it all before them.

Cost: a message or a read O(readers), ``unread`` O(log readers).
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING

from msgspec import structs

from actors.system import Tick, Turn
from protocol.objects import Entry
from protocol.records import ConversationRecord, MessagesCounted, ReadMark

if TYPE_CHECKING:
    from actors.house import House

FEW = 8  # so many marks are looked through faster than searched
_WHO = attrgetter("who")


def unread(record: ConversationRecord, reader: str | None) -> int | None:
    """How many messages by others this address has not read; None for who is no reader."""
    if reader is None:
        return None
    mark = mark_of(record, reader)
    if mark is not None:
        return record.messages - mark.count
    if not _is_reader(record, reader):
        return None
    if _is_contact(record, reader):
        return 0
    return record.messages - _newcomer(record, reader, 0, mail=False).count  # came in this very turn


def mark_of(record: ConversationRecord, reader: str) -> ReadMark | None:
    """Where this address stands, or None: no reader, or the contact, who has read everything. O(log readers)."""
    marks = record.read
    if len(marks) > FEW:
        place = bisect_left(marks, reader, key=_WHO)
        marks = marks[place : place + 1]
    for mark in marks:
        if mark.who == reader:
            return mark
    return None


# ---------------------------------------------------------------- what changes the marks


def begin(record: ConversationRecord) -> None:
    """A new conversation: whoever is in it has it all before them, and has read everything until something comes."""
    record.read = tuple([ReadMark(who, 0, 0) for who in _readers(record) if not _is_contact(record, who)])


def wrote(record: ConversationRecord, entry: Entry, now: Tick, *, mail: bool) -> None:
    """A message was put down as ``entry``: its author has read up to it, the others have not.

    With ``mail`` the others wait for a digest of it; not so the contact if it was mailed already, as fallback.
    """
    author = "" if entry.by is None else f"{entry.by.kind}:{entry.by.id}"
    contact = None if record.contact is None else f"contact:{record.contact}"
    mailed = None if entry.fallback is None else contact
    by_contact = author == contact
    if not by_contact:
        _mark_contact(record, contact, entry.seq - 1)
    record.messages += 1
    if is_agent(author):
        record.answered = record.messages
    has_mark, marks = by_contact, []
    for mark in record.read:
        if mark.who == author:
            if not by_contact:
                marks.append(ReadMark(mark.who, record.messages, entry.seq))
            has_mark = True
        elif mark.since is None or (mail and mark.unmailed is None):
            marks.append(_left_unread(mark, now, due=mail and mark.who != mailed))
        else:
            marks.append(mark)
    record.read = tuple(marks)
    if not has_mark and _is_reader(record, author):  # came in this very turn
        _put(record, ReadMark(author, record.messages, entry.seq))


def follow(record: ConversationRecord, old: ConversationRecord | None, now: Tick, *, mail: bool) -> None:
    """Crew, contact or members may have changed since ``old``: marks come and go with them. O(1) if they have not."""
    same = old is not None and record.crew is old.crew and record.members is old.members
    if same and len(record.read) >= _count(record):
        return
    marks = {mark.who: mark for mark in record.read}
    named = [who for who in _readers(record) if who in marks or not _is_contact(record, who)]
    if list(marks) == named:
        return
    if old is not None and not old.read and _count(old) and record.contact is not None:  # from before there were marks
        start = {who: ReadMark(who, old.messages, old.last_seq) for who in named}
        if record.messages > old.messages:
            start = {who: _left_unread(mark, now, due=mail) for who, mark in start.items()}
        marks = start | marks
    record.read = tuple(marks.get(who) or _newcomer(record, who, now, mail=mail) for who in named)


def renamed(record: ConversationRecord, old: str, new: str) -> None:
    """Two readers are the same person from now on: what either has read, both have."""
    mark, other = mark_of(record, old), mark_of(record, new)
    if mark is not None:
        record.read = tuple(found for found in record.read if found is not mark)
        if other is None or other.count < mark.count:
            _put(record, ReadMark(new, mark.count, mark.seq, mark.since, mark.unmailed))


def seen(record: ConversationRecord, reader: str, seq: int, counted: MessagesCounted | None, now: int) -> None:
    """A reader has read up to ``seq``, never backwards. ``counted``: the messages up to there, if not up to the end."""
    mark = mark_of(record, reader)
    if mark is None:
        return
    if seq >= record.last_seq or (counted is not None and counted.messages >= record.messages):
        if _is_contact(record, reader):
            record.read = tuple([other for other in record.read if other is not mark])
        elif mark.count < record.messages or mark.since is not None:
            _put(record, ReadMark(reader, record.messages, record.last_seq))
    elif counted is not None and counted.messages > mark.count:
        since = now if counted.next_at is None else counted.next_at
        unmailed = None if mark.unmailed is None else max(mark.unmailed, since)
        _put(record, ReadMark(reader, counted.messages, seq, since, unmailed))


def close(record: ConversationRecord) -> None:
    """It is closed: for the house the work is done, and so is the reading. Others may still have something to read."""
    record.answered = record.messages
    record.read = tuple(
        ReadMark(mark.who, record.messages, record.last_seq) if is_agent(mark.who) else mark for mark in record.read
    )


def mailed(record: ConversationRecord, reader: str) -> None:
    """Everything this reader has not read is in a mail now."""
    mark = mark_of(record, reader)
    if mark is not None and mark.unmailed is not None:
        _put(record, ReadMark(reader, mark.count, mark.seq, mark.since))


def settle(house: House, turn: Turn) -> None:
    """The turn is quiet: in each conversation that it touched the marks follow the readers."""
    mail = house.settings.mail is not None
    for actor, old in turn.before.items():
        record = actor.record
        if type(record) is ConversationRecord:
            before = old if type(old) is ConversationRecord else None
            if before is not None and _has_other_outsiders(before, record):
                _merge(house, before, record)
            follow(record, before, turn.now, mail=mail)


def _has_other_outsiders(old: ConversationRecord, record: ConversationRecord) -> bool:
    return old.contact != record.contact or old.members != record.members


def _merge(house: House, old: ConversationRecord, record: ConversationRecord) -> None:
    """Whoever is no member any more under one name may be one under another."""
    if old.contact is not None:
        _mark_contact(record, f"contact:{old.contact}", record.last_seq)
    for gone in (old.contact, *old.members):
        contact = house.contacts.get(gone or "")
        into = None if contact is None else contact.record.merged_into
        if into is not None and not _is_reader(record, f"contact:{gone}"):
            renamed(record, f"contact:{gone}", f"contact:{into}")


def changed(before: ConversationRecord | None, record: ConversationRecord) -> set[str] | None:
    """Who has another count of unread messages, if that is all that has changed; else None."""
    if before is None or before.read is record.read:
        return None
    same = structs.replace(before, read=record.read, unmailed_since=record.unmailed_since)
    if same != record:
        return None
    old, new = ({mark.who: mark.count for mark in marks} for marks in (before.read, record.read))
    return {who for who, _ in old.items() ^ new.items()}


# ---------------------------------------------------------------- who reads


def _readers(record: ConversationRecord) -> list[str]:
    """The addresses of all readers, sorted. Nobody reads a stub."""
    if record.state == "moved":
        return []
    who = [_address(agent) for agent in record.crew]
    who.extend([f"contact:{name}" for name in record.outside])
    return who if len(who) < 2 else sorted(set(who))


@lru_cache(maxsize=4_096)
def _address(agent: str) -> str:
    """One text in all of an agent's marks: 64 bytes less each."""
    return f"agent:{agent}"


def _count(record: ConversationRecord) -> int:
    """How many readers there are who have marks at any time: all but the contact."""
    return 0 if record.state == "moved" else len(record.crew) + len(record.members)


def _is_reader(record: ConversationRecord, who: str) -> bool:
    if record.state == "moved":
        return False
    if is_agent(who):
        return who.removeprefix("agent:") in record.crew
    name = who.removeprefix("contact:")
    return name != who and (name == record.contact or name in record.members)


def _is_contact(record: ConversationRecord, who: str) -> bool:
    return record.contact is not None and who == f"contact:{record.contact}"


def is_agent(who: str) -> bool:
    """Whether an address is an agent's."""
    return who.startswith("agent:")


def _newcomer(record: ConversationRecord, who: str, now: Tick, *, mail: bool) -> ReadMark:
    """Where somebody starts who is a reader from now on."""
    count, since = 0, now
    if is_agent(who) and record.service is not None:
        count, since = record.answered, record.waiting_since or now
    if count == record.messages:
        return ReadMark(who, count, record.last_seq)
    return ReadMark(who, count, 0, since, since if mail else None)


def _left_unread(mark: ReadMark, now: Tick, *, due: bool) -> ReadMark:
    """One more message by somebody else; ``due``: it is to be mailed."""
    unmailed = now if due and mark.unmailed is None else mark.unmailed
    return ReadMark(mark.who, mark.count, mark.seq, now if mark.since is None else mark.since, unmailed)


def _mark_contact(record: ConversationRecord, contact: str | None, seq: int) -> None:
    """Before something changes for the contact (its address): if it has no mark, one that says it has read all."""
    if contact is not None and mark_of(record, contact) is None:
        _put(record, ReadMark(contact, record.messages, seq))


def _put(record: ConversationRecord, mark: ReadMark) -> None:
    """Put a mark into its place, or into that of the same reader's."""
    marks = record.read
    place = bisect_left(marks, mark.who, key=_WHO)
    rest = place + 1 if marks[place : place + 1] and marks[place].who == mark.who else place
    record.read = (*marks[:place], mark, *marks[rest:])

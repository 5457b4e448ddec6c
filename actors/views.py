"""Lists of conversations from indexes: views, filters, counts, pages. [behaviour §6]

Live conversations stand in *cells*, one for each service and channel and, where grabbed ones are hidden, another one
for each owner; a cell keeps the ids of each status sorted. An agent's list is the sum of a few cells: counts are
lengths, a page is a merge of their ends, so neither looks at more conversations than it shows. Ids sort by birth.

Cost: a page O(cells · log n + limit), counts O(cells · statuses); a change O(log n). Filters by tag, by the contact's
name and the order by wait look at every conversation of the cells: O(n). Closed ones come from the store, and are
counted beside (``closed``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING

from msgspec import structs
from sortedcontainers import SortedList

from actors.access import may_see
from actors.closed import Closed, seen
from actors.places import EVERY, Place, Places
from actors.summary import summary
from protocol.ids import Principal
from protocol.objects import LIVE, Conversation
from protocol.records import ConversationRecord
from protocol.requests import STATUSES, ConversationItems, ConversationList, Filters

if TYPE_CHECKING:
    from actors.house import House

OUTSIDE = frozenset({EVERY, "online"})  # of the statuses; the others are the house's own business
Kept = Callable[[ConversationRecord], bool]


class Cell:
    """The live conversations of one service and channel, of all or of one owner, by status."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: dict[str, SortedList[str]] = {}

    def ids(self, status: str) -> SortedList[str]:
        """Those in a status, sorted."""
        if status not in self._ids:
            self._ids[status] = SortedList()
        return self._ids[status]

    def count(self, status: str) -> int:
        """How many are in a status."""
        found = self._ids.get(status)
        return 0 if found is None else len(found)


class Views:
    """The indexes of all lists."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.where = Places(house)
        self.closed = Closed(house)
        self.clear()

    def clear(self) -> None:
        """Forget everything; the records are told anew."""
        #: service -> whose -> channel -> its cell
        self._cells: dict[str | None, dict[str | None, dict[str | None, Cell]]] = {}
        self._crews: dict[str, dict[str, None]] = {}
        self.places: dict[str, Place] = {}
        self._in_crews: dict[str, tuple[str, ...]] = {}
        self.closed.clear()

    # ------------------------------------------------------------ keeping

    def put(self, record: ConversationRecord) -> tuple[Place | None, Place]:
        """Bring the indexes in line with a record. Returns where it stood and where it stands."""
        old, new = self.places.get(record.id), self.where.of(record)
        if old is not new and old != new:
            self._move(record.id, old, new)
            self.places[record.id] = new
        self._put_crew(record)
        self.closed.put(record)
        return old, new

    def fill(self, records: Iterable[ConversationRecord]) -> None:
        """Put them all, after ``clear``: each list is sorted once."""
        standing: dict[Place, list[str]] = {}
        for record in records:
            place = self.places[record.id] = self.where.of(record)
            standing.setdefault(place, []).append(record.id)
            self._put_crew(record)
            self.closed.put(record)
        for place, names in standing.items():
            for ids in self._lists(place):
                ids.update(names)

    def forget(self, conversation: str) -> None:
        """A closed conversation leaves memory."""
        self._take_out(conversation, self.places.pop(conversation, None))
        self.closed.forget(conversation)

    def _move(self, conversation: str, old: Place | None, new: Place) -> None:
        """From where it stood to where it stands now: mostly that is the same cell, and some of the lists are too."""
        if old is not None and _is_one_cell(old, new):
            cells = self._cells[new.service]
            for whose in new.whose:
                cell = cells[whose][new.channel]
                for status in old.statuses - new.statuses:
                    cell.ids(status).remove(conversation)
                for status in new.statuses - old.statuses:
                    cell.ids(status).add(conversation)
            return
        self._take_out(conversation, old)
        for ids in self._lists(new):
            ids.add(conversation)

    def _lists(self, place: Place) -> Iterator[SortedList[str]]:
        """Every list that a conversation which stands there is in."""
        if EVERY in place.statuses:
            for whose in place.whose:
                cells = self._cells.setdefault(place.service, {}).setdefault(whose, {})
                cell = cells.get(place.channel)
                if cell is None:
                    cell = cells[place.channel] = Cell()
                for status in place.statuses:
                    yield cell.ids(status)

    def _take_out(self, conversation: str, place: Place | None) -> None:
        if place is not None and EVERY in place.statuses:
            for whose in place.whose:
                cells = self._cells[place.service][whose]
                cell = cells[place.channel]
                for status in place.statuses:
                    cell.ids(status).remove(conversation)
                if not cell.count(EVERY):
                    del cells[place.channel]

    def _put_crew(self, record: ConversationRecord) -> None:
        new = record.crew if record.state in LIVE else ()
        old = self._in_crews.get(record.id, ())
        if new == old:
            return
        for agent in old:
            self._crews[agent].pop(record.id, None)
        for agent in new:
            self._crews.setdefault(agent, {})[record.id] = None
        self._in_crews[record.id] = new
        if not new:
            del self._in_crews[record.id]

    # ------------------------------------------------------------ asking

    def page(
        self, params: ConversationList, principal: Principal, now: int, closed: Iterable[ConversationRecord]
    ) -> ConversationItems:
        """One page and the counts under the other filters. ``closed``: what the store has of them, if it was asked."""
        if principal.role == "contact" and params.sort == "waiting":
            params = structs.replace(params, sort="oldest")  # how long it has waited is not for contacts
        wanted = wanted_of(params)
        kept = self._kept(params, principal)
        done = self._closed(params, principal, closed) if looks_at_closed(params, principal) else []
        if self._is_plain(params, principal):
            counts, ids = self._plain(params, principal, wanted)
        else:
            counts, ids = self._scanned(params, principal, wanted, kept)
        counts["closed"] = len(done) if is_narrow(params, principal) else self.closed.count(params, principal)
        shown = self._ordered(params, principal, ids, done if "closed" in wanted else [])
        found = list(islice(self._from_cursor(params, shown), params.limit + 1))
        items = tuple(self._item(record, principal, now) for record in found[: params.limit])
        cursor = _key(params, found[params.limit - 1]) if len(found) > params.limit else None
        return ConversationItems(items, counts, cursor)

    def _is_plain(self, params: ConversationList, principal: Principal) -> bool:
        """Whether cells alone answer it."""
        return params.view == "all" and params.sort != "waiting" and not is_narrow(params, principal)

    def _plain(
        self, params: ConversationList, principal: Principal, wanted: set[str]
    ) -> tuple[dict[str, int], Iterator[str]]:
        cells = list(self._cells_for(params, principal))
        outside = list(self._outside(params, principal))
        counts: dict[str, int] = {status: sum(cell.count(status) for cell in cells) for status in STATUSES}
        for name in outside:
            for status in self.places[name].statuses.intersection(counts):
                counts[status] += 1
        statuses = wanted - {"closed"} if wanted else {EVERY}
        shown = [name for name in outside if self.places[name].statuses & statuses]
        backwards = params.sort == "newest"
        lists = [self._end(cell.ids(status), params) for cell in cells for status in sorted(statuses)]
        lists.append(iter(sorted(shown, reverse=backwards)))
        return counts, _without_repeats(merge(*lists, reverse=backwards))

    def _end(self, ids: SortedList[str], params: ConversationList) -> Iterator[str]:
        """A sorted list from the cursor on, in the wanted direction."""
        if params.sort == "newest":
            found: Iterator[str] = ids.irange(maximum=params.cursor, inclusive=(True, False), reverse=True)
        else:
            found = ids.irange(minimum=params.cursor, inclusive=(False, True))
        return found

    def _scanned(
        self, params: ConversationList, principal: Principal, wanted: set[str], kept: Kept
    ) -> tuple[dict[str, int], Iterator[str]]:
        counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
        statuses = wanted - {"closed"} if wanted else {EVERY}
        shown = []
        for name in dict.fromkeys(self._candidates(params, principal)):
            holds = self.places[name].statuses
            if EVERY in holds and kept(self._record(name)):
                holds = holds & OUTSIDE if principal.role == "contact" else holds
                for status in holds.intersection(counts):
                    counts[status] += 1
                if holds & statuses:
                    shown.append(name)
        return counts, iter(shown)

    def _candidates(self, params: ConversationList, principal: Principal) -> Iterable[str]:
        """Whatever may be in a list that cells alone do not answer."""
        if params.view != "all":
            return tuple(self._crews.get(principal.sub, ()))
        contact = principal.sub if principal.role == "contact" else params.contact
        if contact is not None:
            actor = self._house.contacts.get(contact)
            return () if actor is None else (*actor.conversations, *actor.memberships)
        inside = (name for cell in self._cells_for(params, principal) for name in cell.ids(EVERY))
        return (*inside, *self._outside(params, principal))

    def _cells_for(self, params: Filters, principal: Principal) -> Iterator[Cell]:
        """The cells that somebody of the house may see under the filters."""
        house = self._house
        mine = house.agents[principal.sub].services if principal.role == "agent" else self._cells
        for service in mine if params.service is None else (params.service,) if params.service in mine else ():
            cells = self._cells.get(service, {})
            for whose in seen(house, service, principal):
                for channel, cell in cells.get(whose, {}).items():
                    if not params.channels or channel in params.channels:
                        yield cell

    def _outside(self, params: ConversationList, principal: Principal) -> Iterator[str]:
        """An agent's conversations that stand in no cell it sees: of other services, or joined though grabbed."""
        if principal.role != "agent":
            return
        services = self._house.agents[principal.sub].services
        for name in self._crews.get(principal.sub, ()):
            place = self.places[name]
            inside = place.service in services and set(place.whose) & set(seen(self._house, place.service, principal))
            if not inside and passes_place(params, place):
                yield name

    def needed_contacts(
        self, params: ConversationList, principal: Principal, closed: Iterable[ConversationRecord]
    ) -> Iterator[str]:
        """Whose names and companies a list shows or asks for beside the store's closed conversations."""
        if params.tag is None and params.search is None:
            done = self._ordered(params, principal, iter(()), self._closed(params, principal, closed))
            closed = islice(self._from_cursor(params, done), params.limit) if "closed" in wanted_of(params) else ()
        return (record.contact for record in closed if record.contact is not None)

    def _closed(
        self, params: ConversationList, principal: Principal, closed: Iterable[ConversationRecord]
    ) -> list[ConversationRecord]:
        """Closed ones from the store, and those in memory that may be newer than it."""
        house, kept = self._house, self._kept(params, principal)
        records = {record.id: record for record in closed}
        for name in (*records, *self.closed.in_memory):
            if name in house.conversations:
                records[name] = self._record(name)
        return [record for record in records.values() if record.state == "closed" and kept(record)]

    def _kept(self, params: Filters, principal: Principal) -> Kept:
        """Whether a conversation is in a list, its status aside."""
        return lambda record: passes(self._house, params, principal, record)

    # ------------------------------------------------------------ order

    def _record(self, name: str) -> ConversationRecord:
        return self._house.conversations[name].record

    def _ordered(
        self, params: ConversationList, principal: Principal, ids: Iterator[str], done: list[ConversationRecord]
    ) -> Iterator[ConversationRecord]:
        backwards = params.sort == "newest"
        live = (self._record(name) for name in ids)
        if self._is_plain(params, principal):  # sorted already
            late = sorted(done, key=lambda record: record.id, reverse=backwards)
            return merge(live, late, key=lambda record: record.id, reverse=backwards)
        return iter(sorted((*live, *done), key=lambda record: _key(params, record), reverse=backwards))

    def _from_cursor(
        self, params: ConversationList, records: Iterator[ConversationRecord]
    ) -> Iterator[ConversationRecord]:
        cursor = params.cursor
        if cursor is None:
            return records
        if params.sort == "newest":
            return (record for record in records if _key(params, record) < cursor)
        return (record for record in records if _key(params, record) > cursor)

    def _item(self, record: ConversationRecord, principal: Principal, now: int) -> Conversation:
        outside = principal.role == "contact"
        return summary(self._house, record, now, outside=outside, reader=principal.address)


def _is_one_cell(old: Place, new: Place) -> bool:
    """Whether somebody who stands in both places is in the same cells."""
    if EVERY not in old.statuses or EVERY not in new.statuses:
        return False
    return old.service == new.service and old.channel == new.channel and old.whose == new.whose


def wanted_of(params: Filters) -> set[str]:
    """The statuses that a filter asks for; empty = all but closed ones."""
    return {params.status} if isinstance(params.status, str) else set(params.status)


def is_narrow(params: Filters, principal: Principal) -> bool:
    """Whether only a look at each conversation tells if it is in a list, whatever indexes there are."""
    filtered = params.tag is not None or params.search is not None or params.contact is not None
    return filtered or principal.role == "contact"


def looks_at_closed(params: Filters, principal: Principal) -> bool:
    """Whether the store's closed conversations are needed for a list: to show them, or to count them one by one."""
    return "closed" in wanted_of(params) or is_narrow(params, principal)


def passes_place(params: Filters, place: Place) -> bool:
    """The filters that the place alone decides."""
    if params.service is not None and place.service != params.service:
        return False
    return not params.channels or place.channel in params.channels


def passes(house: House, params: Filters, principal: Principal, record: ConversationRecord) -> bool:
    """Whether somebody may see a conversation and it is in the list, its status aside."""
    if not may_see(house, record, principal) or record.state == "moved":
        return False
    if principal.role == "contact" and (params.view != "all" or params.tag is not None):
        return False  # crews and tags are the house's own business
    if params.view == "mine" and record.assignee != principal.sub:
        return False
    if params.view == "joined" and principal.sub not in record.crew:
        return False
    if params.service is not None and record.service != params.service:
        return False
    if params.channels and record.channel not in params.channels:
        return False
    if params.contact is not None and params.contact not in record.outside:
        return False
    return _passes_text(house, params, record)


def _passes_text(house: House, params: Filters, record: ConversationRecord) -> bool:
    contact = house.contacts.get(record.contact or "")
    about = None if contact is None else contact.record
    if params.tag is not None:
        service = house.services.get(record.service or "")
        tags = {*record.tags, "" if about is None else about.company}
        if service is not None:
            tags.add(service.record.settings.name or service.record.id)
        if params.tag not in tags:
            return False
    if params.search is None:
        return True
    name = (record.name if record.service is None else None if about is None else about.name) or ""
    return params.search.casefold() in name.casefold()


def _key(params: ConversationList, record: ConversationRecord) -> str:
    """What a list is sorted by, as text: also its cursor."""
    if params.sort != "waiting":
        return record.id
    since = "-" * 16 if record.waiting_since is None else f"{record.waiting_since:016d}"
    return f"{'1' if record.waiting_since is None else '0'}{since}{record.id}"


def _without_repeats(ids: Iterator[str]) -> Iterator[str]:
    """A conversation in two wanted statuses comes twice in a row: once is enough."""
    last = None
    for name in ids:
        if name != last:
            yield name
        last = name

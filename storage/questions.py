"""What is asked of a store, as SQL: the snapshot of start-up, and each kind of question.

One text serves both stores. It is written for PostgreSQL with numbered parameters, and ``for_sqlite`` changes
the few words that differ. A kind of question is a line in a table: its SQL, its parameters, and how
rows become its answer. Each finds its rows by an index that was made for it
(in ``migrations``); only ``Missed`` scans the range that was missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any

from protocol.codec import encode_json
from protocol.objects import Entry
from protocol.records import (
    ClosedAmong,
    ClosedCount,
    ClosedIn,
    ClosedOf,
    ClosedWith,
    ContactByAddress,
    ContactById,
    ConversationById,
    ConversationByLink,
    ConversationRecord,
    DeliveryOf,
    FailedOnes,
    FileById,
    KeyOf,
    MailById,
    MeetingById,
    MessagesCounted,
    MessagesUpTo,
    Missed,
    Question,
    RevokedAt,
    Snapshot,
    Timeline,
    WebhookById,
)
from storage.tables import (
    AGENTS,
    CONTACTS,
    CONVERSATIONS,
    DELIVERIES,
    DIGESTS,
    ENTRIES,
    FILES,
    KEYS,
    MAILS,
    MEETINGS,
    REVOCATIONS,
    SERVICES,
    TEMPLATES,
    WEBHOOKS,
    Row,
    Table,
    audience_mark,
    entry_of,
)

Parameters = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Kind:
    """How one kind of question is answered.

    ``select`` has parameters $1… of the PostgreSQL ``types`` and gives rows in ``order`` ("" = it does not matter), at
    most as many as the last parameter says if ``limited``. ``parts`` are the parameters of each run of it: one run
    for most questions. ``answer`` gets the rows of all parts, in their order.
    """

    select: str
    types: tuple[str, ...]
    parts: Callable[[Any], list[Parameters]]
    answer: Callable[[Any, list[Row]], Any]
    order: str = ""
    limited: bool = False

    @cached_property
    def sql(self) -> str:
        """The whole statement."""
        order = f" ORDER BY {self.order}" if self.order else ""
        return self.select + order + (f" LIMIT ${len(self.types)}" if self.limited else "")


def for_sqlite(sql: str) -> str:
    """The same statement in SQLite's words."""
    return (
        sql.replace("$", "?")
        .replace("strpos(", "instr(")
        .replace("json_array_elements_text(", "json_each(")
        .replace("::text", "")
    )


def kind_of(question: Question) -> Kind:
    """How this question is answered."""
    if isinstance(question, ClosedIn) and question.services is None:
        return _CLOSED_ANYWHERE
    if isinstance(question, ClosedOf) and question.channel is None:
        return _CLOSED_OF_ALL
    if isinstance(question, FailedOnes):
        return _FAILED[question.kind]
    return KINDS[type(question)]


def _one(table: Table) -> Callable[[Any, list[Row]], Any]:
    return lambda question, rows: table.record(rows[0]) if rows else None


def _closed(
    question: ClosedOf | ClosedIn | ClosedWith | ClosedAmong, rows: list[Row]
) -> tuple[ConversationRecord, ...]:
    """Each part came in order and cut to the limit; the parts (services) are merged here, before rows are decoded."""
    return tuple(map(CONVERSATIONS.record, sorted(rows, key=_AGE, reverse=True)[: question.limit]))


def _timeline(question: Timeline, rows: list[Row]) -> tuple[tuple[Entry, ...], bool]:
    """The rows come newest first, one more than wanted if there are older ones."""
    newest = [entry_of(row) for row in rows[: question.limit]]
    return tuple(reversed(newest)), len(rows) > question.limit


def _missed(question: Missed, rows: list[Row]) -> tuple[Entry, ...]:
    """Of several addresses, what was told to more than one of them once."""
    if not question.before:
        return tuple(entry_of(row) for row in rows)
    found = {row[0]: row for row in rows}  # by seq
    return tuple(entry_of(found[seq]) for seq in sorted(found))


def _timeline_parameters(question: Timeline) -> Parameters:
    last = question.up_to if question.before is None else min(question.up_to, question.before - 1)
    types = None if question.types is None else encode_json(sorted(question.types)).decode()
    return question.conversation, last, types, question.limit + 1


_CONVERSATION = f"SELECT {CONVERSATIONS.select_list('c')} FROM conversations AS c"
_CONTACT = f"SELECT {CONTACTS.select_list('c')} FROM contacts AS c"
_ENTRY = f"SELECT {ENTRIES.select_list('e')} FROM entries AS e"
_KEY = f"SELECT {KEYS.select_list('k')} FROM request_keys AS k"
_DELIVERY = f"SELECT {DELIVERIES.select_list('d')} FROM deliveries AS d"
_FILE = f"SELECT {FILES.select_list('f')} FROM files AS f"
_MEETING = f"SELECT {MEETINGS.select_list('m')} FROM meetings AS m"
_MAIL = f"SELECT {MAILS.select_list('m')} FROM mails AS m"
_WEBHOOK = f"SELECT {WEBHOOKS.select_list('w')} FROM webhooks AS w"
_LATEST = "closed_seq DESC, id DESC"  # of closed ones
_AGE = itemgetter(*map(CONVERSATIONS.names.index, ("last_seq", "id")))  # of a conversation's row


def _failed(select: str, table: Table, key: str) -> Kind:
    """Those that have failed, by a key that grows as they come."""
    return Kind(
        f"{select} WHERE status = 'failed' AND {key} < $1",
        ("bigint", "bigint"),
        lambda q: [(q.before, q.limit)],
        lambda q, rows: tuple(map(table.record, rows)),
        f"{key} DESC",
        limited=True,
    )


_FAILED = {
    "message": _failed(_DELIVERY, DELIVERIES, "seq"),
    "webhook": _failed(_WEBHOOK, WEBHOOKS, "id"),
    "mail": Kind(
        f"{_MAIL} WHERE status = 'failed' AND (created_at, id) < ($1, $2)",
        ("bigint", "text", "bigint"),
        lambda q: [(q.before, q.before_id, q.limit)],
        lambda q, rows: tuple(map(MAILS.record, rows)),
        "created_at DESC, id DESC",
        limited=True,
    ),
}

KINDS: dict[type[Question], Kind] = {
    ConversationById: Kind(f"{_CONVERSATION} WHERE c.id = $1", ("text",), lambda q: [(q.id,)], _one(CONVERSATIONS)),
    ContactById: Kind(f"{_CONTACT} WHERE c.id = $1", ("text",), lambda q: [(q.id,)], _one(CONTACTS)),
    ContactByAddress: Kind(
        f"{_CONTACT} WHERE c.id = (SELECT contact FROM contact_addresses WHERE channel = $1 AND address = $2)",
        ("text", "text"),
        lambda q: [(q.channel, q.address)],
        _one(CONTACTS),
    ),
    ClosedOf: Kind(
        f"{_CONVERSATION} WHERE c.contact = $1 AND c.channel = $2 AND c.state = 'closed'",
        ("text", "text", "bigint"),
        lambda q: [(q.contact, q.channel, q.limit)],
        _closed,
        _LATEST,
        limited=True,
    ),
    KeyOf: Kind(
        f"{_KEY} WHERE k.owner = $1 AND k.key = $2", ("text", "text"), lambda q: [(q.owner, q.key)], _one(KEYS)
    ),
    DeliveryOf: Kind(f"{_DELIVERY} WHERE d.seq = $1", ("bigint",), lambda q: [(q.seq,)], _one(DELIVERIES)),
    Timeline: Kind(
        f"{_ENTRY} WHERE e.conversation = $1 AND e.seq <= $2"
        " AND ($3 IS NULL OR e.type IN (SELECT value FROM json_array_elements_text($3)))",
        ("text", "bigint", "json", "bigint"),
        lambda q: [_timeline_parameters(q)],
        _timeline,
        "seq DESC",
        limited=True,
    ),
    Missed: Kind(
        f"{_ENTRY} WHERE e.seq > $2 AND e.seq <= $3 AND strpos(e.audience, $1) > 0",
        ("text", "bigint", "bigint"),
        lambda q: [(audience_mark(address), q.since, q.up_to) for address in (q.address, *q.before)],
        _missed,
        "seq",
    ),
    ClosedIn: Kind(
        f"{_CONVERSATION} WHERE c.service = $1 AND c.state = 'closed'",
        ("text", "bigint"),
        lambda q: [(service, q.limit) for service in dict.fromkeys(q.services)],
        _closed,
        _LATEST,
        limited=True,
    ),
    ConversationByLink: Kind(
        f"{_CONVERSATION} WHERE c.link = $1", ("text",), lambda q: [(q.link,)], _one(CONVERSATIONS)
    ),
    MessagesUpTo: Kind(
        "SELECT count(*), (SELECT at_ms FROM entries WHERE conversation = $1 AND seq > $2 AND type = 'message'"
        " ORDER BY seq LIMIT 1) AS next_at FROM entries WHERE conversation = $1 AND seq <= $2 AND type = 'message'",
        ("text", "bigint"),
        lambda q: [(q.conversation, q.seq)],
        lambda q, rows: MessagesCounted(*rows[0]),
    ),
    RevokedAt: Kind(
        f"SELECT {REVOCATIONS.select_list('r')} FROM revocations AS r WHERE r.expires_at IS NULL OR r.expires_at > $1",
        ("bigint",),
        lambda q: [(q.now,)],
        lambda q, rows: tuple(map(REVOCATIONS.record, rows)),
        "address",
    ),
    FileById: Kind(f"{_FILE} WHERE f.id = $1", ("text",), lambda q: [(q.id,)], _one(FILES)),
    MeetingById: Kind(f"{_MEETING} WHERE m.id = $1", ("text",), lambda q: [(q.id,)], _one(MEETINGS)),
    ClosedWith: Kind(
        f"{_CONVERSATION} WHERE c.id IN (SELECT conversation FROM closed_crews AS k WHERE k.agent = $1"
        " ORDER BY k.last_seq DESC, k.conversation DESC LIMIT $2)",
        ("text", "bigint"),
        lambda q: [(q.agent, q.limit)],
        _closed,
    ),
    ClosedAmong: Kind(
        f"{_CONVERSATION} WHERE c.id IN (SELECT conversation FROM closed_members AS k WHERE k.contact = $1"
        " ORDER BY k.last_seq DESC, k.conversation DESC LIMIT $2)",
        ("text", "bigint"),
        lambda q: [(q.contact, q.limit)],
        _closed,
    ),
    MailById: Kind(f"{_MAIL} WHERE m.id = $1", ("text",), lambda q: [(q.id,)], _one(MAILS)),
    WebhookById: Kind(f"{_WEBHOOK} WHERE w.id = $1", ("bigint",), lambda q: [(q.id,)], _one(WEBHOOKS)),
    FailedOnes: _FAILED["message"],
}
_CLOSED_ANYWHERE = Kind(
    f"{_CONVERSATION} WHERE c.state = 'closed'", ("bigint",), lambda q: [(q.limit,)], _closed, _LATEST, limited=True
)
_CLOSED_OF_ALL = Kind(
    f"{_CONVERSATION} WHERE c.contact = $1 AND c.state = 'closed'",
    ("text", "bigint"),
    lambda q: [(q.contact, q.limit)],
    _closed,
    _LATEST,
    limited=True,
)
ALL_KINDS = (*KINDS.values(), _CLOSED_ANYWHERE, _CLOSED_OF_ALL, _FAILED["mail"], _FAILED["webhook"])


# ---------------------------------------------------------------- start-up

_LIVE = "state IN ('open', 'snoozed')"
_TWO_DAYS_MS = 2 * 86_400_000  # then a count of digests a day says nothing any more, wherever the recipient is
_LAST_AT = "(SELECT coalesce(max(at_ms), 0) FROM entries WHERE seq = (SELECT max(seq) FROM entries))"
_AHEAD = f"status != 'cancelled' AND ends > {_LAST_AT}"  # meetings
_UNSENT = "conversations::text = '[]'"  # files
_LOADED = (  # each part by an index of its own
    f"id IN (SELECT id FROM conversations WHERE {_LIVE}"
    " UNION SELECT id FROM conversations WHERE state = 'closed' AND unmailed_since IS NOT NULL"
    f" UNION SELECT conversation FROM meetings WHERE {_AHEAD})"
)

#: what is read at start-up, in one transaction; ``snapshot_of`` takes the rows of each, the last is the commits' number
LOAD = (
    f"SELECT {SERVICES.select_list('s')} FROM services AS s ORDER BY position, id",
    f"SELECT {AGENTS.select_list('a')} FROM agents AS a ORDER BY position, id",
    f"{_CONVERSATION} WHERE {_LOADED} ORDER BY id",
    f"{_CONTACT} WHERE c.id IN (SELECT contact FROM conversations WHERE {_LOADED}"
    f" UNION SELECT m.value FROM (SELECT members FROM conversations WHERE {_LOADED}) AS l,"
    " json_array_elements_text(l.members) AS m) ORDER BY id",
    f"SELECT {DELIVERIES.select_list('d')}, {ENTRIES.select_list('e')} FROM deliveries AS d"
    " JOIN entries AS e ON e.seq = d.seq WHERE d.status = 'pending' ORDER BY d.seq",
    f"SELECT {TEMPLATES.select_list('t')} FROM templates AS t ORDER BY id",
    f"SELECT {WEBHOOKS.select_list('w')} FROM webhooks AS w WHERE status = 'pending' ORDER BY id",
    f"SELECT {MAILS.select_list('m')} FROM mails AS m WHERE status = 'pending' ORDER BY id",
    f"SELECT {DIGESTS.select_list('d')} FROM digests AS d WHERE sent > 0 AND last_at > {_LAST_AT} - {_TWO_DAYS_MS}"
    " ORDER BY id",
    f"{_MEETING} WHERE {_AHEAD} ORDER BY id",
    f"{_FILE} WHERE {_UNSENT} AND NOT deleted ORDER BY id",
    "SELECT NULL, service, channel, owner, count(*) FROM conversations WHERE state = 'closed'"
    " GROUP BY service, channel, owner",
    "SELECT agent, service, channel, owner, count(*) FROM closed_crews GROUP BY agent, service, channel, owner",
    "SELECT coalesce(max(seq), 0) FROM entries",
    "SELECT number FROM commits",
)


def snapshot_of(found: Sequence[Iterable[Row]]) -> tuple[Snapshot, int]:
    """The snapshot and the number of the last commit, from the rows of each statement of ``LOAD``."""
    services, agents, conversations, contacts, deliveries, templates, webhooks, *others, last_seq, number = found
    mails, digests, meetings, files, closed, crews = others
    width = len(DELIVERIES.names)
    snapshot = Snapshot(
        services=tuple(map(SERVICES.record, services)),
        agents=tuple(map(AGENTS.record, agents)),
        conversations=tuple(map(CONVERSATIONS.record, conversations)),
        contacts=tuple(map(CONTACTS.record, contacts)),
        deliveries=tuple((DELIVERIES.record(row[:width]), entry_of(row[width:])) for row in deliveries),
        templates=tuple(map(TEMPLATES.record, templates)),
        webhooks=tuple(map(WEBHOOKS.record, webhooks)),
        mails=tuple(map(MAILS.record, mails)),
        digests=tuple(map(DIGESTS.record, digests)),
        meetings=tuple(map(MEETINGS.record, meetings)),
        files=tuple(map(FILES.record, files)),
        closed=tuple(ClosedCount(*row) for row in (*closed, *crews)),
        last_seq=_only(last_seq),
    )
    return snapshot, _only(number)


def _only(rows: Iterable[Row]) -> int:
    [(value,)] = rows
    return int(value)

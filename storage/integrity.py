"""What a store must be to be whole, as queries that find where it is not.

Most checks are one SELECT whose rows are the faults, said in a sentence; some have an UPDATE that mends them without
guessing. The rest is done row by row: every row must be one the server understands, and every address must lead to
the contact that names it. Nothing here knows the rules of routing; see ``router.doctor`` for those.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, get_args

import msgspec

from protocol.objects import State
from storage.raw import Raw, Step, count
from storage.tables import ADDRESSES, CONTACTS, ENTRIES, TABLES, Row, Table, entry_of

FAULTS_SHOWN = 20  # of one check; the rest is counted
_LIVE = "c.state IN ('open', 'snoozed')"
_NO_ENTRY = "NOT EXISTS (SELECT 1 FROM entries AS e WHERE e.seq = {table}.{column})"
_NO_AGENT = "NOT EXISTS (SELECT 1 FROM agents AS a WHERE a.id = {column} AND NOT a.deleted)"
_NO_CONVERSATION = "NOT EXISTS (SELECT 1 FROM conversations AS c WHERE c.id = {column})"
_STATES = ", ".join(f"'{state}'" for state in get_args(State))
_GONE = "'its entry is missing'"


class Check(NamedTuple):
    """``says`` is filled with a row of ``faults``; ``mend`` puts it right, as ``mending`` says."""

    says: str
    faults: str
    mending: str = ""
    mend: str = ""


class Fault(NamedTuple):
    """What is wrong, and what ``--mend`` would do about it ("" = nothing: somebody must decide)."""

    text: str
    mending: str = ""


def _kept(table: str, who: str, field: str, more: tuple[str, ...], role: str) -> tuple[Check, Check]:
    """A table that triggers keep of closed conversations, one row for each of a field's: too much in it, too little."""
    same = f"c.id = k.conversation AND c.state = 'closed' AND m.value = k.{who} AND c.last_seq = k.last_seq"
    same += "".join(f" AND k.{column} IS NOT DISTINCT FROM c.{column}" for column in more)
    members = f"conversations AS c, json_array_elements_text(c.{field}) AS m"
    astray = f"NOT EXISTS (SELECT 1 FROM {members} WHERE {same})"
    lacking = f"c.state = 'closed' AND NOT EXISTS (SELECT 1 FROM {table} AS k WHERE {same})"
    columns = ", ".join((who, "last_seq", "conversation", *more))
    values = ", ".join(("m.value", "c.last_seq", "c.id", *(f"c.{column}" for column in more)))
    return (
        Check(
            f"{table} has conversation {{0}} for {{1}} as it is not, or not any more",
            f"SELECT k.conversation, k.{who} FROM {table} AS k WHERE {astray} ORDER BY 1, 2",
            "take it out",
            f"DELETE FROM {table} AS k WHERE {astray}",
        ),
        Check(
            f"{table} lacks the closed conversation {{0}} of {{1}}, who was {role}",
            f"SELECT c.id, m.value FROM {members} WHERE {lacking} ORDER BY 1, 2",
            "put it in",
            f"INSERT INTO {table} ({columns}) SELECT DISTINCT {values} FROM {members} WHERE {lacking}",
        ),
    )


#: these come first: to mend a conversation sets off the triggers, which expect the two tables to be right
CHECKS = (
    *_kept("closed_crews", "agent", "crew", ("service", "channel", "owner"), "in its crew"),
    *_kept("closed_members", "contact", "members", (), "let into it"),
    Check(
        "conversation {0} is in the state {1}, which does not exist",
        f"SELECT c.id, c.state FROM conversations AS c WHERE c.state NOT IN ({_STATES}) ORDER BY c.id",
    ),
    Check(
        "conversation {0} is live in the service {1}, which does not exist",
        f"SELECT c.id, c.service FROM conversations AS c WHERE {_LIVE} AND c.service IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM services AS s WHERE s.id = c.service AND NOT s.deleted) ORDER BY c.id",
    ),
    Check(
        "conversation {0} is assigned to the agent {1}, who does not exist",
        f"SELECT c.id, c.assignee FROM conversations AS c WHERE {_LIVE} AND c.assignee IS NOT NULL"
        f" AND {_NO_AGENT.format(column='c.assignee')} ORDER BY c.id",
    ),
    Check(
        "conversation {0} is assigned to the agent {1}, who is not in its crew",
        f"SELECT c.id, c.assignee FROM conversations AS c WHERE {_LIVE} AND c.assignee IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM json_array_elements_text(c.crew) AS m WHERE m.value = c.assignee)"
        " ORDER BY c.id",
    ),
    Check(
        "conversation {0} has the agent {1} in its crew, who does not exist",
        "SELECT c.id, m.value FROM conversations AS c, json_array_elements_text(c.crew) AS m"
        f" WHERE {_LIVE} AND {_NO_AGENT.format(column='m.value')} ORDER BY c.id, m.value",
    ),
    Check(
        "conversation {0} is of the contact {1}, who does not exist",
        "SELECT c.id, c.contact FROM conversations AS c WHERE c.contact IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM contacts AS p WHERE p.id = c.contact) ORDER BY c.id",
    ),
    Check(
        "contact {0} has {3} live conversations on {1} in {2}, where one is allowed",
        f"SELECT c.contact, c.channel, c.service, count(*) FROM conversations AS c WHERE {_LIVE}"
        " AND c.contact IS NOT NULL AND c.channel IS NOT NULL AND c.begun_agent IS NULL"
        " GROUP BY c.contact, c.channel, c.service HAVING count(*) > 1 ORDER BY 1, 2, 3",
    ),
    Check(
        "conversation {0} says that its last entry is {1}, and it is {2}",
        "SELECT f.id, f.last_seq, f.newest FROM (SELECT c.id, c.last_seq, coalesce((SELECT max(e.seq) FROM entries AS e"
        " WHERE e.conversation = c.id), 0) AS newest FROM conversations AS c) AS f WHERE f.last_seq <> f.newest"
        " ORDER BY f.id",
        "have it say which entry is its last",
        "UPDATE conversations SET last_seq = coalesce((SELECT max(e.seq) FROM entries AS e"
        " WHERE e.conversation = conversations.id), 0) WHERE last_seq <> coalesce((SELECT max(e.seq) FROM entries AS e"
        " WHERE e.conversation = conversations.id), 0)",
    ),
    Check(
        "{1} entries, the first of them {2}, are of the conversation {0}, which does not exist",
        "SELECT e.conversation, count(*), min(e.seq) FROM entries AS e"
        f" WHERE {_NO_CONVERSATION.format(column='e.conversation')} GROUP BY e.conversation ORDER BY e.conversation",
    ),
    Check(
        "the entries {0} to {1} are missing",
        "SELECT e.seq + 1, (SELECT min(n.seq) - 1 FROM entries AS n WHERE n.seq > e.seq) FROM entries AS e"
        " WHERE NOT EXISTS (SELECT 1 FROM entries AS n WHERE n.seq = e.seq + 1)"
        " AND e.seq < (SELECT max(n.seq) FROM entries AS n) ORDER BY 1",
    ),
    Check(
        "message {0} waits to be delivered on {1}, and its entry is missing",
        "SELECT d.seq, d.channel FROM deliveries AS d WHERE d.status = 'pending'"
        f" AND {_NO_ENTRY.format(table='d', column='seq')} ORDER BY d.seq",
        "call it failed",
        f"UPDATE deliveries SET status = 'failed', error = {_GONE} WHERE status = 'pending'"
        f" AND {_NO_ENTRY.format(table='deliveries', column='seq')}",
    ),
    Check(
        "webhook {0} waits to be called for the conversation {1}, and its entry is missing",
        "SELECT w.id, w.conversation FROM webhooks AS w WHERE w.status = 'pending'"
        f" AND {_NO_ENTRY.format(table='w', column='id')} ORDER BY w.id",
        "call it failed",
        f"UPDATE webhooks SET status = 'failed' WHERE status = 'pending'"
        f" AND {_NO_ENTRY.format(table='webhooks', column='id')}",
    ),
    Check(
        "mail {0} waits to be sent about the conversation {1}, which does not exist",
        "SELECT m.id, m.conversation FROM mails AS m WHERE m.status = 'pending' AND m.conversation IS NOT NULL"
        f" AND {_NO_CONVERSATION.format(column='m.conversation')} ORDER BY m.id",
        "call it failed",
        "UPDATE mails SET status = 'failed', error = 'its conversation is missing' WHERE status = 'pending'"
        f" AND conversation IS NOT NULL AND {_NO_CONVERSATION.format(column='mails.conversation')}",
    ),
    Check(
        "meeting {0} is with the agent {1}, who does not exist",
        "SELECT m.id, m.agent FROM meetings AS m WHERE m.status <> 'cancelled'"
        " AND NOT EXISTS (SELECT 1 FROM agents AS a WHERE a.id = m.agent) ORDER BY m.id",
    ),
    Check(
        "the table commits has {0} rows, where one is expected: no server can write",
        "SELECT count(*) FROM commits HAVING count(*) <> 1",
    ),
)


def faults(raw: Raw, step: Step) -> Iterator[Fault]:
    """Everything that is wrong with the rows of a store."""
    if damaged := raw.damage():
        yield from (Fault(f"the file is damaged: {text}") for text in damaged[:FAULTS_SHOWN])
        return
    unreadable = [fault for table in TABLES for fault in _unreadable(raw, table, step)]
    yield from unreadable
    if unreadable:
        yield Fault("the rest cannot be checked before these rows are right")
        return
    for check in CHECKS:
        found = raw.rows(check.faults)
        yield from (Fault(check.says.format(*row), check.mending) for row in found[:FAULTS_SHOWN])
        yield from _rest(len(found), check.says, check.mending)
    yield from _addresses(raw)


def mend(raw: Raw) -> int:
    """Put right what can be without guessing; how many rows were changed."""
    changed = sum(raw.execute(check.mend) for check in CHECKS if check.mend)
    for sql in _address_mends(raw):
        changed += raw.execute(sql)
    return changed


def _rest(number: int, says: str, mending: str) -> Iterator[Fault]:
    if number > FAULTS_SHOWN:
        yield Fault(f"and {number - FAULTS_SHOWN} more like this: {says.format(*'…' * 9)}", mending)


def _unreadable(raw: Raw, table: Table, step: Step) -> Iterator[Fault]:
    """Rows that would stop a server, or refuse whoever asks for them."""
    total, done, bad = count(raw, table), 0, 0
    for page in raw.pages(table):
        for row in page:
            try:
                entry_of(row) if table is ENTRIES else table.record(row)
            except (msgspec.DecodeError, TypeError, ValueError) as problem:
                bad += 1
                if bad <= FAULTS_SHOWN:
                    yield Fault(f"{table.name}: the row of {_key(table, row)} cannot be understood: {problem}")
        done += len(page)
        step(table.name, done, total)
    yield from _rest(bad, f"{table.name}: a row cannot be understood", "")


def _key(table: Table, row: Row) -> str:
    return ", ".join(str(row[table.names.index(name)]) for name in table.key)


# ---------------------------------------------------------------- addresses


class _Addresses(NamedTuple):
    """(channel, address) -> who names it, and to whom it leads."""

    named: dict[tuple[str, str], set[str]]
    leading: dict[tuple[str, str], str]

    def lost(self) -> list[Row]:
        """Those that lead to nobody, with one who names them."""
        return [(*pair, min(contacts)) for pair, contacts in self.named.items() if pair not in self.leading]

    def astray(self) -> list[Row]:
        """Those that lead to somebody who does not name them."""
        return [(*pair, who) for pair, who in self.leading.items() if who not in self.named.get(pair, ())]


def _addresses_of(raw: Raw) -> _Addresses:
    found = _Addresses({}, {})
    addresses, ident = CONTACTS.names.index("addresses"), CONTACTS.names.index("id")
    for page in raw.pages(CONTACTS):
        for row in page:
            for pair in msgspec.json.decode(row[addresses], type=list[tuple[str, str]]):
                found.named.setdefault(pair, set()).add(row[ident])
    found.leading.update({(row[0], row[1]): row[2] for page in raw.pages(ADDRESSES) for row in page})
    return found


def _addresses(raw: Raw) -> Iterator[Fault]:
    found = _addresses_of(raw)
    for rows, says, mending in (
        (found.lost(), "contact {2} has the address {1} on {0}, which leads to nobody", "have it lead there"),
        (found.astray(), "the address {1} on {0} leads to the contact {2}, who does not have it", "put that right"),
    ):
        yield from (Fault(says.format(*row), mending) for row in rows[:FAULTS_SHOWN])
        yield from _rest(len(rows), says, mending)


def _address_mends(raw: Raw) -> Iterator[str]:
    found = _addresses_of(raw)
    for channel, address, _ in found.astray():
        yield f"DELETE FROM contact_addresses WHERE channel = {_quoted(channel)} AND address = {_quoted(address)}"
        found.leading.pop((channel, address))
    for row in found.lost():
        yield f"INSERT INTO contact_addresses (channel, address, contact) VALUES ({', '.join(map(_quoted, row))})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

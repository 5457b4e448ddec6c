"""Records and rows: the mapping follows the annotations, and the schema follows the mapping."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from storage_samples import message, records_of

from protocol.objects import Entry
from protocol.records import ConversationRecord, EndedWait, EntryRecord, Record
from protocol.times import Moment
from storage.tables import (
    AGENTS,
    CONVERSATIONS,
    KNOWN_MAX,
    TABLE_OF,
    TABLES,
    Detail,
    EntryColumns,
    audience_mark,
    audience_text,
    entry_of,
    entry_row,
)

KINDS = {
    "sqlite": {"TEXT": {"text", "json"}, "INTEGER": {"integer", "boolean"}, "BLOB": {"bytes"}},
    "postgres": {
        "text": {"text"},
        "json": {"json"},
        "bigint": {"integer"},
        "boolean": {"boolean"},
        "bytea": {"bytes"},
    },
}


@pytest.fixture
def columns_of(lasting_url: str, opened: Any, request: pytest.FixtureRequest) -> Any:
    """The columns of a table as the database knows them: name to type."""
    store = opened(lasting_url)
    if lasting_url.startswith("sqlite"):
        sql = "SELECT name, type FROM pragma_table_info(?)"
        return lambda table: (KINDS["sqlite"], dict(store._writing().execute(sql, (table.name,))))
    ask = request.getfixturevalue("postgres_server").ask
    sql = "SELECT column_name, data_type FROM information_schema.columns"
    sql += " WHERE table_schema = current_schema() AND table_name = $1 AND is_generated = 'NEVER'"
    sql += " ORDER BY ordinal_position"
    return lambda table: (KINDS["postgres"], dict(ask(lasting_url, sql, table.name)))


def test_each_field_of_a_record_has_its_column_and_no_column_is_without_a_field(
    columns_of: Any, lasting_url: str
) -> None:
    for table in TABLES:
        kinds, found = columns_of(table)
        assert set(found) == set(table.names), table.name
        if not lasting_url.startswith("sqlite"):
            assert tuple(found) == table.names, table.name  # rows are sent as values of the table's type
        for column in table.columns:
            assert column.kind in kinds[found[column.name]], (table.name, column.name)


def test_the_fields_of_an_entry_are_in_columns_or_in_the_detail() -> None:
    columns = {field.name for field in msgspec.structs.fields(EntryColumns)} - {"audience", "detail"}
    renamed = {"at_ms": "at", "by_kind": "by", "by_id": "by"}
    detail = {field.name for field in msgspec.structs.fields(Detail)}
    assert {renamed.get(name, name) for name in columns} | detail == set(Entry.__struct_fields__)
    assert not columns & detail


@pytest.mark.parametrize("struct", Record.__args__)
def test_every_kind_of_record_has_a_table(struct: Any) -> None:
    assert TABLE_OF[struct].struct is struct


@given(st.one_of(*map(records_of, TABLE_OF)))
def test_a_row_gives_its_record_back(record: Any) -> None:
    table = TABLE_OF[type(record)]
    assert table.record(table.row(record)) == record


def test_a_moment_that_stands_for_a_tick_is_a_tick_in_its_row() -> None:
    """Requests have moments, records have ticks, and a moment is an integer too."""
    record = ConversationRecord(
        "c1", snoozed_until=Moment(5), paused=(("ana", Moment(6)),), ended_wait=EndedWait(Moment(7))
    )
    read = CONVERSATIONS.record(CONVERSATIONS.row(record))
    assert read == record
    assert type(read.snoozed_until) is int


@given(records_of(Entry))
def test_a_row_gives_its_entry_back(entry: Entry) -> None:
    read = entry_of(entry_row(EntryRecord(entry=entry, audience=())))
    assert read == entry
    assert (type(read.at), type(read.until)) == (type(entry.at), type(entry.until))


def test_records_share_what_comes_again_and_again() -> None:
    records = [ConversationRecord(name, service="s0", need="reply", tags=("vip", "new")) for name in ("c1", "c2")]
    rows = [CONVERSATIONS.row(record) for record in records]
    one, other = (CONVERSATIONS.record(["".join(v) if isinstance(v, str) else v for v in row]) for row in rows)
    assert one.service is other.service
    assert one.need is other.need
    assert one.tags is other.tags


def test_what_is_different_in_each_record_is_not_kept() -> None:
    for number in range(KNOWN_MAX + 10):
        CONVERSATIONS.record(CONVERSATIONS.row(ConversationRecord("c1", tags=(f"t{number}",))))
    assert max(len(known) for _, known in CONVERSATIONS._known) <= KNOWN_MAX


def test_an_ordinary_message_has_no_detail() -> None:
    assert entry_row(message(1))[-1] is None
    assert entry_row(message(1, origin={"agent": "ana"}))[-1] == '{"from":{"agent":"ana"}}'


def test_the_columns_are_of_the_kinds_that_operators_expect() -> None:
    kinds = {column.name: column.kind for column in CONVERSATIONS.columns}
    some = {name: kinds[name] for name in ("id", "state", "crew", "last_seq", "detail")}
    assert list(some.values()) == ["text", "text", "json", "integer", "json"]
    kinds = {column.name: column.kind for column in AGENTS.columns}
    assert [kinds[name] for name in ("live", "lost_at", "settings")] == ["boolean", "integer", "json"]


def test_what_a_conversation_has_besides_its_columns_is_written_without_defaults() -> None:
    assert CONVERSATIONS.row(ConversationRecord("c1", service="s0"))[-1] == "{}"
    row = CONVERSATIONS.row(ConversationRecord("c1", queued=True, paused=(("ana", 5),), name="Ørsted"))
    assert row[-1] == '{"name":"Ørsted","queued":true,"paused":[["ana",5]]}'


def test_an_audience_has_its_members_and_nobody_whose_name_begins_alike() -> None:
    text = audience_text(("agent:ana", "contact:7"))
    assert audience_mark("agent:ana") in text
    assert audience_mark("contact:7") in text
    assert audience_mark("agent:an") not in text
    assert audience_mark("nt:7") not in text
    assert audience_mark("agent:ana") not in audience_text(())

"""Records as rows: one table for each kind of record, mostly with one column for each field.

Both stores use the same tables; only the type of a column has another name in each dialect. What a
column holds follows from the field's annotation: text, integers and booleans as they are, bytes as bytes,
everything else (tuples, dicts, settings) as JSON text that an operator can query. A field that is added to a
record needs a migration and nothing here, in ``detail`` not even that; ``tests/storage/test_tables.py`` compares fields
and columns.

Two have what queries ask for in columns, and the rest, as JSON, in the column ``detail``, without what has its default:
a conversation, which is written at every message (a row of 51 columns cost a tenth to a sixth more), and an
``Entry``, because a timeline is the one table that grows without end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo

from protocol.codec import encode_json, encode_record, json_decoder
from protocol.objects import By, Entry
from protocol.records import (
    AgentRecord,
    ContactRecord,
    ConversationRecord,
    DeliveryRecord,
    DigestRecord,
    EntryRecord,
    FileRecord,
    KeyRecord,
    MailRecord,
    MeetingRecord,
    Record,
    RevocationRecord,
    ServiceRecord,
    TemplateRecord,
    WebhookRecord,
)
from protocol.times import Moment

Row = Sequence[Any]
Kind = Literal["text", "integer", "boolean", "bytes", "json"]
_SCALARS: tuple[tuple[type, Kind], ...] = ((str, "text"), (bool, "boolean"), (int, "integer"), (bytes, "bytes"))

#: fields where a few values come again and again
_OF_A_FEW = frozenset(
    {"agent", "assignee", "begun_service", "channel", "channel_class", "kind", "language", "lateness", "need",
     "service", "skills", "state", "status", "steps_fired", "tags"}
)  # fmt: skip
KNOWN_MAX = 1_024  # of one column: then it begins anew


class Column(NamedTuple):
    """A column: its name, what it holds, and the annotation of its field."""

    name: str
    kind: Kind
    annotation: Any


class Table:
    """Where the records of one struct are kept, and both ways between record and row.

    Parameters: the table's name, the struct, the columns of the primary key, and the last field with a column of its
    own: those after it, all with defaults, stand in the column ``detail``; None = each has one.
    """

    __slots__ = ("_detail", "_json", "_known", "_values", "columns", "key", "key_of", "name", "names", "struct")

    def __init__(self, name: str, struct: type[Struct], key: tuple[str, ...], last: str | None = None) -> None:
        self.name, self.struct, self.key = name, struct, key
        fields = [_column(field.name, field.type) for field in msgspec.structs.fields(struct)]
        width = len(fields) if last is None else 1 + struct.__struct_fields__.index(last)
        self._detail = None if last is None else _Detail(name, msgspec.structs.fields(struct)[width:])
        self._json = tuple(index for index, column in enumerate(fields[:width]) if column.kind == "json")
        self._values = attrgetter(*struct.__struct_fields__[:width])
        self._known = tuple(_all_known(fields, width))
        self.columns = tuple(fields) if last is None else (*fields[:width], Column("detail", "json", str))
        self.names = tuple(column.name for column in self.columns)
        self.key_of = attrgetter(*key)  # of a record

    def row(self, record: Any) -> Row:
        """The record's values in the order of the columns, as a tuple."""
        values: Row = self._values(record)
        if not self._json:
            return values
        row = list(values)
        for index in self._json:
            row[index] = _json_text(row[index])
        if self._detail is not None:
            row.append(self._detail.text(record))
        return tuple(row)

    def record(self, row: Row) -> Any:
        """The record of a row that was selected with ``select_list``. Raises msgspec.DecodeError."""
        values = list(row)
        if self._detail is not None:
            values += self._detail.values(values.pop())
        for index, known in self._known:
            values[index] = known[values[index]]
        return self.struct(*values)

    def select_list(self, alias: str) -> str:
        """The columns for a SELECT: ``c.id, c.service, …``."""
        return ", ".join(f"{alias}.{name}" for name in self.names)


class _Detail:
    """Fields as one JSON text, without those that have their defaults."""

    __slots__ = ("_decode", "_of", "_struct")

    def __init__(self, name: str, fields: Sequence[FieldInfo]) -> None:
        self._of = attrgetter(*(field.name for field in fields))
        self._struct = _struct_of(f"{name}_detail", fields)
        self._decode = json_decoder(self._struct)

    def text(self, record: Any) -> str:
        """What the record has in them."""
        return encode_record(self._struct(*self._of(record)))

    def values(self, text: str) -> tuple[Any, ...]:
        """The fields' values. Raises msgspec.DecodeError."""
        return msgspec.structs.astuple(self._decode(text))


def _struct_of(name: str, fields: Sequence[FieldInfo]) -> type[Struct]:
    """A struct of these fields, under the names that clients know."""
    wanted = [
        (field.name, field.type, msgspec.field(default=field.default, name=field.encode_name)) for field in fields
    ]
    return msgspec.defstruct(name, wanted, omit_defaults=True, module=__name__)


def _column(name: str, annotation: Any) -> Column:
    options = [option for option in _options(annotation) if option is not type(None)]
    only = str if get_origin(options[0]) is Literal else options[0]
    kind: Kind = "json"
    if len(options) == 1 and isinstance(only, type):
        kind = next((kind for scalar, kind in _SCALARS if issubclass(only, scalar)), "json")
    return Column(name, kind, annotation)


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


class _Known(dict[Any, Any]):
    """What values that were read are in a record, decoded when they are first met.

    Most are one of a few (no tags, these skills, this service): so they are decoded once, and the records of a
    snapshot share them. Those that are different each time do not stay long.
    """

    def __init__(self, decode: Callable[[Any], Any]) -> None:
        super().__init__()
        self._decode = decode

    def __missing__(self, value: Any) -> Any:
        decoded = self._decode(value)
        if len(self) >= KNOWN_MAX:
            self.clear()
        self[value] = decoded
        return decoded


def _all_known(fields: Sequence[Column], width: int) -> Iterable[tuple[int, _Known]]:
    """By the field's place; what follows the columns has been decoded as a whole and is only shared."""
    for index, column in enumerate(fields):
        if index < width and (known := _known(column)) is not None:
            yield index, known
        elif index >= width and column.name in _OF_A_FEW:
            yield index, _Known(_same)


def _known(column: Column) -> _Known | None:
    """What is known of a column's values; None = they stand in a record as they are read."""
    if column.kind == "boolean":
        return _Known(bool)  # SQLite has no booleans
    if column.kind == "json":
        return _Known(partial(_from_json, json_decoder(column.annotation)))
    return _Known(_same) if column.name in _OF_A_FEW else None


def _same(value: Any) -> Any:
    return value


def _from_json(decode: Callable[[str], Any], text: str | None) -> Any:
    return None if text is None else decode(text)


def _json_text(value: Any) -> str | None:
    if value is None:
        return None
    if type(value) is tuple and not value:  # as most are
        return "[]"
    return encode_record(value)


# ---------------------------------------------------------------- entries

#: the fields of an Entry with a column of their own; ``at`` and ``by`` stand in at_ms, by_kind and by_id
_PLAIN = ("seq", "conversation", "at", "type", "by", "text", "reason", "agent", "service")
_REST = tuple(field for field in msgspec.structs.fields(Entry) if field.name not in _PLAIN)
_rest = attrgetter(*(field.name for field in _REST))
_NOTHING = (None,) * len(_REST)

#: what an Entry has besides the columns, as JSON under the names that clients know
Detail = _struct_of("Detail", _REST)
_detail_of = json_decoder(Detail)


_NO_FILES: tuple[Any, ...] = _rest(Entry(seq=0, conversation="", at=Moment(0), type="message", attachments=()))
_NO_FILES_TEXT = encode_json(Detail(*_NO_FILES)).decode()


class EntryColumns(Struct):
    """The columns of an entry; ``audience`` stands before the texts, so that a scan need not read them."""

    seq: int
    conversation: str
    at_ms: int
    type: str
    by_kind: str | None
    by_id: str | None
    audience: str
    agent: str | None
    service: str | None
    reason: str | None
    text: str | None
    detail: Detail | None  # type: ignore[valid-type]  # a struct made above from Entry's fields


class AddressColumns(Struct):
    """Whose address it is: kept from ``ContactRecord.addresses``, so that it can be looked up."""

    channel: str
    address: str
    contact: str


_MARK = "\x1f"  # addresses are printable, so none contains it


def audience_text(audience: Sequence[str]) -> str:
    """An audience as text in which ``audience_mark`` of each member is found, and of nobody else."""
    return f"{_MARK}{_MARK.join(audience)}{_MARK}" if audience else _MARK


def audience_mark(address: str) -> str:
    """What to look for in an audience's text: marked on both sides, so ``agent:an`` is not in ``agent:ana``."""
    return _MARK + address + _MARK


def entry_row(record: EntryRecord) -> Row:
    """The values of EntryColumns."""
    entry, by, rest = record.entry, record.entry.by, _rest(record.entry)
    return (
        entry.seq,
        entry.conversation,
        entry.at,
        entry.type,
        by and by.kind,
        by and by.id,
        audience_text(record.audience),
        entry.agent,
        entry.service,
        entry.reason,
        entry.text,
        _detail(rest),
    )


def _detail(rest: tuple[Any, ...]) -> str | None:
    if rest == _NO_FILES:  # as most messages have
        return _NO_FILES_TEXT
    return None if rest == _NOTHING else encode_json(Detail(*rest)).decode()


def entry_of(row: Row) -> Entry:
    """The entry of a row that was selected with all of EntryColumns. Raises msgspec.DecodeError."""
    seq, conversation, at_ms, kind, by_kind, by_id, _, agent, service, reason, text, detail = row
    return Entry(
        seq=seq,
        conversation=conversation,
        at=Moment(at_ms),
        type=kind,
        by=None if by_kind is None else By(by_kind, by_id),
        text=text,
        reason=reason,
        agent=agent,
        service=service,
        **({} if detail is None else msgspec.structs.asdict(_detail_of(detail))),
    )


# ---------------------------------------------------------------- all tables

CONVERSATIONS = Table("conversations", ConversationRecord, ("id",), last="last_seq")
AGENTS = Table("agents", AgentRecord, ("id",))
SERVICES = Table("services", ServiceRecord, ("id",))
CONTACTS = Table("contacts", ContactRecord, ("id",))
ADDRESSES = Table("contact_addresses", AddressColumns, ("channel", "address"))
ENTRIES = Table("entries", EntryColumns, ("seq",))
KEYS = Table("request_keys", KeyRecord, ("owner", "key"))
DELIVERIES = Table("deliveries", DeliveryRecord, ("seq",))
TEMPLATES = Table("templates", TemplateRecord, ("id",))
WEBHOOKS = Table("webhooks", WebhookRecord, ("id",))
MAILS = Table("mails", MailRecord, ("id",))
DIGESTS = Table("digests", DigestRecord, ("id",))
MEETINGS = Table("meetings", MeetingRecord, ("id",))
FILES = Table("files", FileRecord, ("id",))
REVOCATIONS = Table("revocations", RevocationRecord, ("address",))
TABLES = (
    CONVERSATIONS, AGENTS, SERVICES, CONTACTS, ADDRESSES, ENTRIES, KEYS, DELIVERIES, TEMPLATES, WEBHOOKS, MAILS,
    DIGESTS, MEETINGS, FILES, REVOCATIONS,
)  # fmt: skip

TABLE_OF: dict[type[Record], Table] = {
    ConversationRecord: CONVERSATIONS,
    AgentRecord: AGENTS,
    ServiceRecord: SERVICES,
    ContactRecord: CONTACTS,
    DeliveryRecord: DELIVERIES,
    TemplateRecord: TEMPLATES,
    WebhookRecord: WEBHOOKS,
    MailRecord: MAILS,
    DigestRecord: DIGESTS,
    MeetingRecord: MEETINGS,
    FileRecord: FILES,
    RevocationRecord: REVOCATIONS,
}

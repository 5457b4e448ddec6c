"""Values for the stores' tests: any record the annotations allow (Hypothesis), and small ones by hand."""

from __future__ import annotations

from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from protocol.objects import By, Entry
from protocol.records import ContactAddress, ContactRecord, ConversationRecord, DeliveryRecord, EntryRecord, KeyRecord
from protocol.times import DURATION_MS_MAX, Duration, Moment

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS, max_size=20)
INTEGERS = st.integers(-(2**53), 2**53)
NUMBERS = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: INTEGERS,
    bool: st.booleans(),
    bytes: st.binary(max_size=40),
    NoneType: st.none(),
    Any: JSON,
    Moment: st.integers(0, 250_000_000_000_000).map(Moment),  # to the year 9892
    Duration: st.integers(0, DURATION_MS_MAX).map(Duration),
}


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Any value of this type."""
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    origin, options = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _within(options[0], options[1])
    if origin is Literal:
        return st.sampled_from(options)
    if origin in (Union, UnionType):
        return st.one_of(*map(values_of, options))
    if origin is tuple:
        return _tuples(options)
    if origin is dict:
        return st.dictionaries(values_of(options[0]), values_of(options[1]), max_size=3)
    assert isinstance(annotation, type)
    assert issubclass(annotation, msgspec.Struct)
    return records_of(annotation)


def records_of(struct: type[msgspec.Struct], **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any instance of a struct, with these fields as given."""
    fields = {field.name: values_of(field.type) for field in msgspec.structs.fields(struct)}
    return st.builds(struct, **{**fields, **fixed})


def _tuples(options: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    if options[-1] is Ellipsis:
        return st.lists(values_of(options[0]), max_size=3).map(tuple)
    return st.tuples(*map(values_of, options))


def _within(annotation: Any, meta: msgspec.Meta) -> st.SearchStrategy[Any]:
    if annotation is int:
        return st.integers(meta.ge, meta.le)
    low, high = meta.min_length or 0, meta.max_length
    values = st.from_regex(meta.pattern, alphabet=CHARACTERS) if meta.pattern else values_of(annotation)
    return values.filter(lambda value: low <= len(value) and (high is None or len(value) <= high))


# ---------------------------------------------------------------- by hand


def message(seq: int, conversation: str = "c1", *, to: tuple[str, ...] = ("agent:ana",), **fields: Any) -> EntryRecord:
    """A message in a conversation."""
    known: dict[str, Any] = {
        "at": Moment(1_000 + seq),
        "type": "message",
        "by": By("contact", "p1"),
        "text": f"no {seq}",
    }
    return EntryRecord(entry=Entry(seq=seq, conversation=conversation, **(known | fields)), audience=to)


def conversation(ident: str = "c1", **fields: Any) -> ConversationRecord:
    """A conversation."""
    return ConversationRecord(id=ident, **fields)


def closed(ident: str, last_seq: int, **fields: Any) -> ConversationRecord:
    """A closed conversation, of contact p1 on the web if not told otherwise."""
    known = {"contact": "p1", "channel": "web", "service": "sales"}
    return ConversationRecord(id=ident, state="closed", last_seq=last_seq, **(known | fields))


def contact(ident: str = "p1", *addresses: str, **fields: Any) -> ContactRecord:
    """A contact with these SMS addresses."""
    return ContactRecord(id=ident, addresses=tuple(ContactAddress("sms", address) for address in addresses), **fields)


def key(name: str = "k1", **fields: Any) -> KeyRecord:
    """A request key of agent ana."""
    known: dict[str, Any] = {"owner": "agent:ana", "digest": "d", "answer": b"{}", "expires_at": None}
    return KeyRecord(key=name, **(known | fields))


def delivery(seq: int, **fields: Any) -> DeliveryRecord:
    """A message on its way out."""
    return DeliveryRecord(seq=seq, conversation="c1", channel="sms", address="+49", **fields)

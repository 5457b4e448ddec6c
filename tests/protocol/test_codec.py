"""Frames to calls and refusals, in both formats: each kind of error, whose answer it is, and that nothing raises."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from protocol.codec import CODECS, JSON, MSGPACK, Call, Codec, Refusal
from protocol.errors import REASONS, bad_params, internal, refused
from protocol.requests import METHODS, MessageSend, SessionOpen
from protocol.times import Duration

SEND = {"conversation": "c1", "text": "Hello"}
DEEP = 100_000
both = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())


def request(method: str = "message.send", params: Any = SEND, **rest: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": params} | rest


def encoded(codec: Codec, plain: Any) -> bytes:
    return msgspec.json.encode(plain) if codec is JSON else msgspec.msgpack.encode(plain)


def plain(codec: Codec, frame: bytes) -> Any:
    return msgspec.json.decode(frame) if codec is JSON else msgspec.msgpack.decode(frame)


def only(codec: Codec, frame: Any) -> Call | Refusal:
    [item] = codec.decode(frame)
    return item


def refusal(codec: Codec, frame: Any) -> Refusal:
    item = only(codec, frame)
    assert isinstance(item, Refusal)
    return item


def code(item: Call | Refusal) -> int | None:
    return item.error.code if isinstance(item, Refusal) else None


def look(items: list[Call | Refusal]) -> list[Any]:
    """Comparable: errors are exceptions, which are equal only to themselves."""
    return [(i.id, i.error.code, i.error.data) if isinstance(i, Refusal) else i for i in items]


# ---------------------------------------------------------------- requests that are understood


@both
def test_a_request_becomes_a_call_with_typed_params(codec: Codec) -> None:
    expected = Call("message.send", MessageSend(conversation="c1", text="Hello"), 7)
    assert only(codec, encoded(codec, request())) == expected


@both
@pytest.mark.parametrize("ident", ["a", "", 0, -1, 2**53, 1.5, None])
def test_an_id_of_any_kind_comes_back(codec: Codec, ident: Any) -> None:
    item = only(codec, encoded(codec, request(id=ident)))
    assert item.id == ident
    assert plain(codec, codec.response(item.id, {}))["id"] == ident  # type: ignore[arg-type]


@both
def test_a_request_without_id_wants_no_response(codec: Codec) -> None:
    frame = request()
    del frame["id"]
    assert only(codec, encoded(codec, frame)).id is UNSET


@both
def test_params_may_be_absent_where_none_is_required(codec: Codec) -> None:
    frame = {"jsonrpc": "2.0", "id": 1, "method": "session.open"}
    assert only(codec, encoded(codec, frame)) == Call("session.open", SessionOpen(), 1)


@both
def test_a_duration_is_read_inside_params(codec: Codec) -> None:
    item = only(codec, encoded(codec, request("conversation.snooze", {"conversation": "c", "for": "3m"})))
    assert isinstance(item, Call)
    assert item.params.length == Duration(180_000)


def test_text_and_bytes_frames_of_json_mean_the_same() -> None:
    frame = encoded(JSON, request())
    assert JSON.decode(frame) == JSON.decode(frame.decode()) == JSON.decode(b" \r\n\t" + frame + b" ")


# ---------------------------------------------------------------- frames and requests that are not


@both
@pytest.mark.parametrize("frame", [b"", b"\xff\xff", b"\xc1", b"{", b'{"a":1}}', b"\x81\xa1", b"\xdd\xff\xff\xff\xff"])
def test_what_is_not_the_format_is_one_refusal_without_id(codec: Codec, frame: bytes) -> None:
    item = refusal(codec, frame)
    assert item.id is None
    assert item.error.code in (-32700, -32600)  # {"a":1}} is a number followed by rubbish to MessagePack
    assert item.error.data["retry"] is False


@pytest.mark.parametrize("bad", ["\ud800", '{"jsonrpc":"\ud800"}', "[\ud800]"])
def test_text_that_has_no_utf_8_is_not_json(bad: str) -> None:
    assert code(only(JSON, bad)) == -32700


@pytest.mark.parametrize("token", [b'"\xff"', b'"\xed\xa0\x80"', b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\ud800"'])
def test_bad_utf_8_and_lone_surrogates_inside_a_text_are_not_json(token: bytes) -> None:
    frame = b'{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"token":' + token + b"}}"
    assert code(only(JSON, frame)) == -32700


def test_bad_utf_8_inside_a_text_is_not_msgpack() -> None:
    frame = encoded(MSGPACK, request()).replace(b"Hello", b"Hel\xff\xfe")
    assert code(only(MSGPACK, frame)) == -32700


def test_a_text_frame_is_not_msgpack() -> None:
    item = refusal(MSGPACK, "[]")
    assert (item.error.code, item.id) == (-32700, None)
    assert "binary" in item.error.message


@pytest.mark.parametrize(
    ("codec", "frame"),
    [
        (JSON, b"[" * DEEP),
        (JSON, b'{"a":' * DEEP),
        (JSON, b"[" * DEEP + b"]" * DEEP),
        (JSON, b'{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"x":' + b"[" * DEEP + b"]" * DEEP + b"}}"),
        (MSGPACK, b"\x91" * DEEP + b"\x90"),
        (MSGPACK, b"\x81\xa1a" * DEEP + b"\x90"),
    ],
    ids=["open arrays", "open objects", "arrays", "inside params", "msgpack arrays", "msgpack maps"],
)
def test_nesting_without_end_is_refused(codec: Codec, frame: bytes) -> None:
    assert code(only(codec, frame)) == -32700


@both
@pytest.mark.parametrize("frame", [None, True, 5, "text", [[]]])
def test_a_request_that_is_no_object_is_not_a_request(codec: Codec, frame: Any) -> None:
    item = refusal(codec, encoded(codec, frame))
    assert (item.error.code, item.id) == (-32600, None)


@both
@pytest.mark.parametrize("changed", [{"jsonrpc": "1.0"}, {"jsonrpc": None}, {"method": 5}, {"method": None}])
def test_a_bad_envelope_is_refused_under_its_id(codec: Codec, changed: dict[str, Any]) -> None:
    item = refusal(codec, encoded(codec, request(**changed)))
    assert (item.error.code, item.id) == (-32600, 7)


@both
@pytest.mark.parametrize("ident", [True, [], {}])
def test_an_id_of_no_kind_is_refused_without_id(codec: Codec, ident: Any) -> None:
    item = refusal(codec, encoded(codec, request(id=ident)))
    assert (item.error.code, item.id) == (-32600, None)


@both
def test_an_unknown_method_is_named_but_not_at_any_length(codec: Codec) -> None:
    item = refusal(codec, encoded(codec, request("x" * 5000)))
    assert (item.error.code, item.id) == (-32601, 7)
    assert item.error.data == {"method": "x" * 100, "retry": False}


@both
def test_a_bad_request_without_id_is_refused_without_response(codec: Codec) -> None:
    for frame in (request(params={}), request("no.such")):
        del frame["id"]
        assert refusal(codec, encoded(codec, frame)).id is UNSET


# ---------------------------------------------------------------- params: the path and what must be there


@both
@pytest.mark.parametrize(
    ("method", "params", "field", "expected"),
    [
        ("message.comment", {"conversation": "c"}, "text", "it to be given"),
        ("message.comment", {"conversation": 5, "text": "a"}, "conversation", "str"),
        ("message.comment", {**SEND, "bogus": 1}, "bogus", "no such field"),
        ("message.send", [], "params", "object"),
        ("message.send", None, "params", "object"),
        ("session.open", {"since": -1}, "since", "int >= 0"),
        ("session.open", {"key": ""}, "key", "str of length >= 1"),
        ("session.open", {"key": "k" * 65}, "key", "str of length <= 64"),
        ("service.put", {"service": {"id": "s", "skills": ["a", 5]}}, "service.skills[1]", "str"),
        ("service.put", {"service": {"id": "s", "members": [{"agent": "a"}, {}]}}, "service.members[1].agent", "it to be given"),  # noqa: E501 - one case a line
        ("service.put", {"service": {"id": "s", "members": [{"agent": "a", "x": 1}]}}, "service.members[0].x", "no such field"),  # noqa: E501
        ("service.put", {"service": {"id": "s", "max_slots": {"chat": "x"}}}, "service.max_slots[]", "int | null"),
        ("service.put", {"service": {"id": "s", "strategy": "x"}}, "service.strategy", "one of least_busy, longest_idle, lowest_ratio, most_spare, round_robin"),  # noqa: E501
        ("service.put", {"service": {"id": "s", "members": [{"agent": "a"}, {"agent": "b", "role": "x"}]}}, "service.members[1].role", "one of admin, representative"),  # noqa: E501
        ("conversation.list", {"view": "x"}, "view", "one of all, joined, mine"),
        ("conversation.list", {"status": ["online", "x"]}, "status[1]", "one of closed, online, overdue, pending, rep_needed, snoozed, soon"),  # noqa: E501
        ("conversation.list", {"status": "x"}, "status", "one of closed, online, overdue, pending, rep_needed, snoozed, soon"),  # noqa: E501
        ("conversation.list", {"status": 5}, "status", "str | array"),
        ("conversation.snooze", {"conversation": "c", "for": 5}, "for", 'a duration such as "250ms", "45s", "3m", "1h30m" or "1d"'),  # noqa: E501
        ("conversation.snooze", {"conversation": "c", "until": "soon"}, "until", 'a time in RFC 3339 such as "2026-01-05T09:00:00.000Z"'),  # noqa: E501
        ("message.send", {**SEND, "text": "a\0b"}, "text", "text without NUL characters"),
        ("service.put", {"service": {"id": "s", "skills": ["a", "\0"]}}, "service.skills[1]", "text without NUL characters"),  # noqa: E501
        ("service.put", {"service": {"id": "s", "max_slots": {"\0": 1}}}, "service.max_slots", "text without NUL characters"),  # noqa: E501
    ],
)  # fmt: skip
def test_bad_params_name_the_field_and_what_it_must_be(
    codec: Codec, method: str, params: Any, field: str, expected: str
) -> None:
    item = refusal(codec, encoded(codec, request(method, params)))
    assert (item.error.code, item.id) == (-32602, 7)
    assert item.error.data == {"field": field, "expected": expected, "retry": False}


@both
def test_params_that_are_required_cannot_be_left_out(codec: Codec) -> None:
    item = refusal(codec, encoded(codec, {"jsonrpc": "2.0", "id": 7, "method": "message.send"}))
    assert item.error.data["field"] == "params"


@both
@pytest.mark.parametrize("count", [1, 20, 200])
def test_a_nul_in_one_request_of_an_array_harms_no_other(codec: Codec, count: int) -> None:
    said = [request(params={**SEND, "text": f"{n}"}) for n in range(count)]
    said[-1]["params"] = {**SEND, "text": "a\0b"}
    *fine, wrong = codec.decode(encoded(codec, said))
    assert fine == [Call("message.send", MessageSend(conversation="c1", text=f"{n}"), 7) for n in range(count - 1)]
    assert isinstance(wrong, Refusal)
    assert wrong.error.data["field"] == "text"


def test_a_backslash_before_u0000_is_text_and_no_nul() -> None:
    frame = rb'{"jsonrpc":"2.0","id":7,"method":"message.send","params":{"conversation":"c1","text":"\\u0000"}}'
    assert only(JSON, frame) == Call("message.send", MessageSend(conversation="c1", text="\\u0000"), 7)


def test_zero_bytes_of_msgpack_that_are_no_text_are_fine() -> None:
    frame = encoded(MSGPACK, request("session.open", {"since": 256}))
    assert b"\0" in frame
    assert only(MSGPACK, frame) == Call("session.open", SessionOpen(since=256), 7)


# ---------------------------------------------------------------- batches


@both
def test_a_batch_keeps_its_order(codec: Codec) -> None:
    items = codec.decode(encoded(codec, [request(id=number) for number in range(20)]))
    assert [item.id for item in items] == list(range(20))
    assert all(isinstance(item, Call) for item in items)


@both
@pytest.mark.parametrize(
    ("bad", "answer"),
    [
        (request(params={}), -32602),
        (request("no.such"), -32601),
        (5, -32600),
        ([], -32600),
        (request(params={**SEND, "text": "\0"}), -32602),
    ],
)
def test_a_bad_item_does_not_touch_its_neighbours(codec: Codec, bad: Any, answer: int) -> None:
    items = codec.decode(encoded(codec, [request(id=1), bad, request(id=3)]))
    assert [code(item) for item in items] == [None, answer, None]
    assert [items[0].id, items[2].id] == [1, 3]


@pytest.mark.parametrize(
    ("codec", "good", "bad"),
    [
        (JSON, b'"id":2', b'"id":1e400'),
        (JSON, b'"Hello"', b'"Hel\xff"'),
        (MSGPACK, b"\xa2id\x02", b"\xa2id\xd7\xff" + b"\xff" * 8),
    ],
    ids=["number out of range", "bad utf-8", "timestamp out of range"],
)
def test_an_item_that_cannot_even_be_read_does_not_touch_its_neighbours(codec: Codec, good: bytes, bad: bytes) -> None:
    three = [encoded(codec, request(id=number)) for number in (1, 2, 3)]
    assert good in three[1]
    items = codec.decode(codec.joined([three[0], three[1].replace(good, bad), three[2]]))
    assert [code(item) for item in items] == [None, -32700, None]


@both
@pytest.mark.parametrize("length", [0, 257])
def test_an_empty_and_an_over_long_batch_are_refused_whole(codec: Codec, length: int) -> None:
    item = refusal(codec, encoded(codec, [request()] * length))
    assert (item.error.code, item.id) == (-32600, None)
    assert item.error.data["limit"] == 256


@both
def test_the_longest_batch_is_taken(codec: Codec) -> None:
    assert len(codec.decode(encoded(codec, [request()] * 256))) == 256
    assert len(codec.decode(encoded(codec, [request()] * 3), 3)) == 3
    assert code(codec.decode(encoded(codec, [request()] * 4), 3)[0]) == -32600


# ---------------------------------------------------------------- what goes out


@both
@pytest.mark.parametrize("count", [1, 2, 15, 16, 300, 70_000])
def test_joined_objects_are_one_array(codec: Codec, count: int) -> None:
    objects = [codec.response(number, None) for number in range(count)]
    assert [item["id"] for item in plain(codec, codec.joined(objects))] == list(range(count))


@both
def test_a_failure_carries_code_message_and_data(codec: Codec) -> None:
    answer = plain(codec, codec.failure(3, refused("wrong_state", state="closed")))
    data = {"reason": "wrong_state", "retry": False, "state": "closed"}
    error = {"code": -32000, "message": REASONS["wrong_state"][0], "data": data}
    assert answer == {"jsonrpc": "2.0", "id": 3, "error": error}


def test_every_reason_says_whether_to_repeat() -> None:
    assert {refused(reason).data["retry"] for reason in REASONS} == {True, False}
    assert internal("i1").data == {"incident": "i1", "retry": False}
    assert bad_params("", "less").message == "expected less"


@both
def test_a_notification_has_no_id(codec: Codec) -> None:
    answer = plain(codec, codec.notification("agent.changed", {"agent": "ana"}))
    assert answer == {"jsonrpc": "2.0", "method": "agent.changed", "params": {"agent": "ana"}}


@both
def test_a_remembered_answer_goes_out_in_the_format_of_the_session(codec: Codec) -> None:
    answer = plain(codec, codec.response(1, msgspec.Raw(b'{"for":"3m"}')))
    assert answer == {"jsonrpc": "2.0", "id": 1, "result": {"for": "3m"}}


# ---------------------------------------------------------------- whatever comes

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
things = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)
methods = st.sampled_from([*METHODS, "no.such"])
names = st.sampled_from(["conversation", "text", "key", "service", "id", "for", "until", "status", "x"])
requests = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": methods, "params": st.dictionaries(names, things, max_size=4)},
    optional={"id": scalars},
)
frames = requests | st.lists(requests, max_size=4) | things


@settings(max_examples=300, deadline=None)
@given(frames)
def test_msgpack_says_the_same_as_json(frame: Any) -> None:
    assert look(JSON.decode(encoded(JSON, frame))) == look(MSGPACK.decode(encoded(MSGPACK, frame)))


@settings(max_examples=300, deadline=None)
@given(st.text(), st.text(min_size=1, max_size=200), scalars.filter(lambda value: not isinstance(value, bool)))
def test_a_message_survives_both_formats(text: str, conversation: str, ident: Any) -> None:
    frame = request(params={"conversation": conversation, "text": text}, id=ident)
    for codec in CODECS.values():
        item = only(codec, encoded(codec, frame))
        if "\0" in text + conversation:
            assert code(item) == -32602
        else:
            assert item == Call("message.send", MessageSend(conversation=conversation, text=text), ident)


def answered(codec: Codec, frame: bytes | str) -> None:
    """Decode it and write the answer to every item, as a connection would."""
    items = codec.decode(frame)
    assert items
    for item in items:
        ident = None if item.id is UNSET else item.id
        answer = codec.failure(ident, item.error) if isinstance(item, Refusal) else codec.response(ident, None)
        assert plain(codec, answer)["jsonrpc"] == "2.0"


@settings(max_examples=500, deadline=None)
@given(st.binary() | st.text(st.characters()))
def test_arbitrary_frames_never_raise(frame: bytes | str) -> None:
    for codec in CODECS.values():
        answered(codec, frame)


@settings(max_examples=500, deadline=None)
@given(frames, st.integers(0, 10_000), st.binary(max_size=6))
def test_damaged_frames_never_raise(frame: Any, place: int, damage: bytes) -> None:
    for codec in CODECS.values():
        whole = encoded(codec, frame)
        at = place % (len(whole) + 1)
        answered(codec, whole[:at] + damage + whole[at + len(damage) :])
        answered(codec, whole[:at])


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
def test_an_array_of_very_many_is_refused_without_looking_at_all_of_them(codec: Codec) -> None:
    whole = codec.encode([1] * 100_000)
    with_garbage_behind = whole[:-1] + b"\xc1"  # nothing in either format: whoever reads so far complains
    for frame in (whole, with_garbage_behind):
        [refusal] = codec.decode(frame, 256)
        assert isinstance(refusal, Refusal)
        assert (refusal.error.code, refusal.error.data["limit"]) == (-32600, 256)

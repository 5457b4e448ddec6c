"""The document describes what the codec does: its schemas take what the codec takes, and refuse what it refuses."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import closing
from protocol.codec import JSON, Call, encode_json
from protocol.errors import REASONS
from protocol.notices import NOTICES
from protocol.objects import Conversation, Entry
from protocol.openrpc import document, schema_hook
from protocol.requests import METHODS, SessionLimits, SessionOpened
from protocol.times import Duration, Moment

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
BY_NAME = {method["name"]: method for method in DOCUMENT["methods"]}

#: params that a server takes
GOOD: list[tuple[str, dict[str, Any]]] = [
    ("session.open", {}),
    ("session.open", {"token": "t", "since": 5, "batch": True, "key": "k"}),
    ("service.put", {"service": {"id": "s"}}),
    ("service.put", {"service": {"id": "s", "soon_after": "3m", "auto_close_after": None, "max_slots": {"chat": 2}}}),
    ("service.put", {"service": {"id": "s", "members": [{"agent": "a", "role": "admin", "routed": None}]}}),
    ("service.put", {"service": {"id": "s", "escalation": [{"after": "1h30m", "do": "notify", "agents": ["a"]}]}}),
    ("agent.set_availability", {"available": True, "class": "chat"}),
    ("conversation.list", {"status": "online"}),
    ("conversation.list", {"status": ["online", "closed"], "view": "mine", "limit": 500}),
    ("conversation.snooze", {"conversation": "c", "for": "1d"}),
    ("conversation.snooze", {"conversation": "c", "until": "2026-01-05T09:00:00.000Z"}),
    ("message.send", {"conversation": "c", "text": "Hello", "reply_to": 3}),
    ("connector.delivered", {"entry": 1, "status": "read", "error": None}),
]
#: params that it refuses
BAD: list[tuple[str, dict[str, Any]]] = [
    ("session.open", {"since": -1}),
    ("session.open", {"key": ""}),
    ("session.open", {"bogus": 1}),
    ("service.put", {}),
    ("service.put", {"service": {}}),
    ("service.put", {"service": {"id": "s", "soon_after": "3 minutes"}}),
    ("service.put", {"service": {"id": "s", "soon_after": 180}}),
    ("service.put", {"service": {"id": "s", "members": [{"agent": "a", "role": "boss"}]}}),
    ("agent.set_availability", {"class": "chat"}),
    ("conversation.list", {"status": "lost"}),
    ("conversation.list", {"limit": 0}),
    ("message.comment", {"conversation": "c"}),
    ("message.comment", {"conversation": "c", "text": 5}),
]


def accepted(schema: Any, value: Any) -> bool:
    whole = {**schema, "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(whole).is_valid(value)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name == "$ref" and isinstance(value, str))
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from references(inner)


def at(reference: str) -> Any:
    assert reference.startswith("#/")
    node: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        node = node[step]
    return node


def test_every_method_is_described_in_full() -> None:
    assert list(BY_NAME) == list(METHODS)
    for name, method in BY_NAME.items():
        assert method["summary"] == METHODS[name].summary
        assert len(method["description"]) > 3
        assert method["x-roles"] == list(METHODS[name].roles)
        assert at(method["result"]["schema"]["$ref"])["type"] == "object"
        fields = {field.encode_name for field in msgspec.structs.fields(METHODS[name].params)}
        assert {param["name"] for param in method["params"]} == fields
        assert all("schema" in param for param in method["params"])


def test_required_params_are_marked_and_stand_first() -> None:
    params = BY_NAME["message.comment"]["params"]
    assert [(param["name"], param["required"]) for param in params[:2]] == [("conversation", True), ("text", True)]
    assert not any(param["required"] for param in params[2:])


def test_every_notice_is_described() -> None:
    assert [notice["name"] for notice in DOCUMENT["x-notifications"]] == list(NOTICES)
    assert all(notice["description"] and notice["params"] for notice in DOCUMENT["x-notifications"])


def test_every_reference_resolves() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 50
    assert all(at(reference) for reference in found)


def test_every_schema_is_a_schema_and_has_a_description() -> None:
    for name, schema in SCHEMAS.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema.get("description"), name


def test_errors_have_one_code_each_and_every_reason_its_sentence() -> None:
    codes = [error["code"] for error in DOCUMENT["components"]["errors"].values()]
    assert sorted(codes) == sorted(set(codes))
    assert DOCUMENT["x-reasons"].keys() == REASONS.keys()
    assert SCHEMAS["RefusedData"]["properties"]["reason"]["enum"] == sorted(REASONS)
    assert DOCUMENT["x-close-codes"].keys() == {str(code) for code in closing.MEANINGS}


@pytest.mark.parametrize(("method", "params"), GOOD)
def test_what_the_codec_takes_fits_the_schema(method: str, params: dict[str, Any]) -> None:
    assert taken(method, params)
    assert accepted(BY_NAME[method]["x-params"], params)
    schemas = {param["name"]: param["schema"] for param in BY_NAME[method]["params"]}
    assert all(accepted(schemas[name], value) for name, value in params.items())


@pytest.mark.parametrize(("method", "params"), BAD)
def test_what_the_codec_refuses_does_not_fit_the_schema(method: str, params: dict[str, Any]) -> None:
    assert not taken(method, params)
    assert not accepted(BY_NAME[method]["x-params"], params)


def taken(method: str, params: dict[str, Any]) -> bool:
    frame = msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return isinstance(JSON.decode(frame)[0], Call)


def test_what_the_server_writes_fits_the_schema() -> None:
    conversation = Conversation(id="c1", created_at=Moment(0), crew=("ana",), waiting_since=Moment(5))
    opened = SessionOpened(
        session="s1",
        workspace="main",
        sub="ana",
        role="agent",
        seq=1,
        now=Moment(0),
        heartbeat_s=20,
        limits=SessionLimits(1, 1, 1),
    )
    entry = Entry(seq=1, conversation="c1", at=Moment(0), type="message", text="Hello")
    for written in (conversation, opened, entry):
        schema = {"$ref": f"#/components/schemas/{type(written).__name__}"}
        assert accepted(schema, json.loads(encode_json(written)))
        assert not accepted(schema, {})


def test_defaults_stand_in_their_wire_form() -> None:
    properties = SCHEMAS["ServiceSettings"]["properties"]
    assert properties["soon_after"]["default"] == "3m"
    assert properties["escalation"]["default"][0]["after"] == "1h"
    assert "default" not in SCHEMAS["ServicePatch"]["properties"]["soon_after"]
    assert all(
        accepted(inner, inner["default"])
        for schema in SCHEMAS.values()
        for inner in schema["properties"].values()
        if "default" in inner
    )


def test_the_document_is_plain_json_and_always_the_same() -> None:
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT
    assert document() == DOCUMENT


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789dhms", max_size=9) | st.from_regex(schema_hook(Duration)["pattern"], fullmatch=True))
def test_the_duration_pattern_and_the_parser_agree(text: str) -> None:
    try:
        Duration.parse(text)
        fits = True
    except ValueError as problem:
        fits = "at most" in str(problem)  # a pattern cannot count
    assert accepted(schema_hook(Duration), text) == fits


def test_a_type_without_a_schema_is_an_error() -> None:
    with pytest.raises(NotImplementedError):
        schema_hook(complex)

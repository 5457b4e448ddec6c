"""Writes ``methods.md`` from the OpenRPC document: ``python -m docs.reference``, or ``--check`` to only compare.

Names, types, bounds, roles and sentences come from ``protocol.openrpc.document()``, which comes from the structs that
decode the wire. Only the example requests stand here; a test sends each of them through the codec, so that
none can be wrong in form, and a method without one is an error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from protocol.openrpc import document

PAGE = Path(__file__).with_name("methods.md")
CONVERSATION = "c00000000002a"
MEETING = "m00000000002a019b8d8d2a80"
Schema = dict[str, Any]

#: method -> the params of its example request
EXAMPLES: dict[str, dict[str, Any]] = {
    "session.open": {"token": "eyJhbGciOiJIUzI1NiJ9.…", "since": 8120, "batch": True},
    "session.refresh": {"token": "eyJhbGciOiJIUzI1NiJ9.…"},
    "session.close": {},
    "session.revoke": {"role": "agent", "sub": "ana"},
    "service.put": {"service": {"id": "support", "members": [{"agent": "ana"}], "soon_after": "2m"}},
    "service.get": {"service": "support"},
    "service.list": {},
    "service.delete": {"service": "support"},
    "agent.put": {"agent": {"id": "ana", "capacity": {"chat": 3, "messaging": 6}, "skills": ["billing"]}},
    "agent.get": {"agent": "ana"},
    "agent.list": {},
    "agent.delete": {"agent": "ana"},
    "agent.set_availability": {"available": True, "class": "chat"},
    "agent.watch": {"services": ["support"]},
    "agent.unwatch": {},
    "contact.get": {"contact": "kari"},
    "contact.update": {"contact": "kari", "company": "Fjord AS", "custom": {"plan": "gold"}},
    "conversation.start": {"service": "support", "channel": "web", "text": "My invoice is wrong"},
    "conversation.get": {"conversation": CONVERSATION, "limit": 20},
    "conversation.list": {"service": "support", "status": ["rep_needed", "overdue"], "limit": 20},
    "conversation.watch": {"service": "support", "status": "rep_needed"},
    "conversation.unwatch": {"watch": "w1"},
    "conversation.assign": {"conversation": CONVERSATION, "agent": "bo"},
    "conversation.transfer": {"conversation": CONVERSATION, "service": "sales", "comment": "Wants to buy more"},
    "conversation.snooze": {"conversation": CONVERSATION, "for": "3h"},
    "conversation.move": {"conversation": CONVERSATION, "service": "sales", "comment": "It is about an offer"},
    "conversation.update": {"conversation": CONVERSATION, "priority": 10, "add_tags": ["refund"]},
    "conversation.presence": {"conversation": CONVERSATION, "state": "typing"},
    "conversation.create": {"name": "Launch", "members": [{"agent": "bo"}, {"email": "guest@example.org"}]},
    "conversation.invite": {"conversation": CONVERSATION, "members": [{"email": "guest@example.org", "name": "Nia"}]},
    "conversation.remove": {"conversation": CONVERSATION, "members": [{"agent": "bo"}]},
    "conversation.join_link": {"link": "Zk3pW1m8v0QhUu2xY7tRbA5c"},
    "contact.merge": {"contact": "p000000001f2a", "into": "kari"},
    "conversation.read": {"conversation": CONVERSATION, "seq": 8120},
    "message.send": {"conversation": CONVERSATION, "text": "I am looking into it", "key": "answer-8133"},
    "message.comment": {"conversation": CONVERSATION, "text": "She called yesterday too"},
    "message.react": {"conversation": CONVERSATION, "to": 8133, "emoji": "👍"},
    "message.forward": {"conversation": CONVERSATION, "messages": [8131, 8133], "to": ["workshop@example.org"]},
    "meeting.slots": {"agent": "ana", "from": "2026-01-05T00:00:00.000Z", "to": "2026-01-10T00:00:00.000Z"},
    "meeting.schedule": {"agent": "ana", "start": "2026-01-05T12:00:00.000Z", "subject": "Your invoice"},
    "meeting.confirm": {"meeting": MEETING},
    "meeting.reschedule": {"meeting": MEETING, "start": "2026-01-05T13:00:00.000Z", "minutes": 45},
    "meeting.cancel": {"meeting": MEETING},
    "template.put": {"template": {"name": "hello", "text": "Hello {{name}}!", "channels": ["whatsapp"]}},
    "template.list": {},
    "template.delete": {"template": "hello"},
    "connector.receive": {
        "channel": "whatsapp",
        "address": "+15550100",
        "external_id": "wamid.1",
        "text": "Hello",
        "contact": {"name": "Kari"},
    },
    "connector.delivered": {"entry": 8134, "status": "delivered"},
    "outbox.list": {"kind": "mail", "status": "failed"},
    "outbox.retry": {"kind": "message", "id": "8134"},
}
#: methods that name nothing but a conversation share this one
ONLY_A_CONVERSATION = {"conversation": CONVERSATION}

INTRODUCTION = """\
# Methods, notices and objects

<!-- Made by `python -m docs.reference` from the code: do not edit. -->

Every method, notice and object of the protocol, as this version knows them. How they are carried, what a session is
and what errors mean is told in [protocol.md](protocol.md). The running server gives the same as an OpenRPC document
at `/openrpc.json`, with JSON Schemas; so does `signalbox openrpc`.

A param in **bold** must be given. Every method also takes `key`, a text of 1 to 64 characters that makes repeating the
request harmless ([keys](protocol.md#keys)); it is left out of the tables. Types are in words: an *id* is a text of 1 to
200 characters, a *time* is RFC 3339 such as `2026-01-05T09:00:00.000Z`, a *duration* is a text such as `"45s"` or
`"1h30m"`.
"""


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is out of date. Returns the exit code."""
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in arguments:
        print("docs/methods.md is out of date: run python -m docs.reference", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """The whole page. Raises LookupError if a method has no example."""
    spec = document()
    schemas: dict[str, Schema] = spec["components"]["schemas"]
    parts = [INTRODUCTION, _contents(spec["methods"]), "## Methods\n"]
    parts += [_method(method, schemas) for method in spec["methods"]]
    parts += ["## Notices\n", "What the server says unasked.\n"]
    parts += [_notice(notice) for notice in spec["x-notifications"]]
    parts += ["## Objects\n", "What the params and results above are made of.\n"]
    parts += [_object(name, schemas[name]) for name in _objects(spec)]
    return "\n".join(parts).rstrip("\n") + "\n"


def example(method: str, params: list[Schema]) -> dict[str, Any]:
    """The example request of a method. Raises LookupError if there is none."""
    given = EXAMPLES.get(method)
    if given is None and [param["name"] for param in params if param["name"] != "key"] == ["conversation"]:
        given = ONLY_A_CONVERSATION
    if given is None:
        raise LookupError(f"docs/reference.py has no example of {method}")
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}


# ---------------------------------------------------------------- parts


def _contents(methods: list[Schema]) -> str:
    """The methods by their first word, a line each."""
    kinds = dict.fromkeys(method["name"].partition(".")[0] for method in methods)
    lines = []
    for kind in kinds:
        names = [method["name"] for method in methods if method["name"].startswith(f"{kind}.")]
        lines.append("- " + " · ".join(f"[`{name}`](#{_anchor(name)})" for name in names))
    return "\n".join([*lines, ""])


def _method(method: Schema, schemas: dict[str, Schema]) -> str:
    lines = [f"### {method['name']}", "", f"{method['summary']} For: {', '.join(method['x-roles'])}.", ""]
    params = [param for param in method["params"] if param["name"] != "key"]
    if params and _says_more(text := sentence(method["description"])):
        lines += [text, ""]
    lines += _params(params)
    request = json.dumps(example(method["name"], method["params"]), ensure_ascii=False)
    return "\n".join([*lines, _result(method["result"], schemas), "", "```json", request, "```", ""])


def _says_more(text: str) -> bool:
    """Whether the sentence of a params struct adds anything to the method's own."""
    return bool(text) and not text.startswith(("Which ", "No params", "Create or change ", "A new token "))


def _result(result: Schema, schemas: dict[str, Schema]) -> str:
    """One line for the result: the object it is, or its few fields."""
    schema = schemas[result["name"]]
    if not schema["properties"]:
        return "Result: `{}`."
    if result["name"] in _WHOLE:
        return f"Result: {kind(result['schema'])}."
    fields = [f"`{name}` ({kind(inner)})" for name, inner in schema["properties"].items()]
    return f"Result: {', '.join(fields)}."


#: results that are objects with a section of their own
_WHOLE = ("Agent", "ServiceSettings", "Contact", "Template")


def _notice(notice: Schema) -> str:
    lines = [f"### {notice['name']}", "", sentence(notice["description"]), ""]
    return "\n".join([*lines, *_params(notice["params"], all_given=True)])


def _object(name: str, schema: Schema) -> str:
    lines = [f"### {name}", "", sentence(schema.get("description", "")), "", "| field | type |", "|---|---|"]
    lines += [f"| `{field}` | {kind(inner)}{_default(inner)} |" for field, inner in schema["properties"].items()]
    return "\n".join([*lines, ""])


def _params(params: list[Schema], *, all_given: bool = False) -> list[str]:
    if not params:
        return []
    rows = [
        f"| {'**' if item['required'] and not all_given else ''}`{item['name']}`"
        f"{'**' if item['required'] and not all_given else ''} | {kind(item['schema'])}{_default(item['schema'])} |"
        for item in params
    ]
    return ["| param | type |", "|---|---|", *rows, ""]


def _default(schema: Schema) -> str:
    """``, default `50```; nothing where the default says no more than that it may be left out."""
    default = schema.get("default")
    return "" if default in (None, [], {}, "") else f", default `{json.dumps(default)}`"


# ---------------------------------------------------------------- which objects


def _objects(spec: Schema) -> list[str]:
    """What is referred to by params, results, notices, and by these objects again, in order of name."""
    schemas: dict[str, Schema] = spec["components"]["schemas"]
    found: dict[str, None] = {}
    whole = (method["result"]["name"] for method in spec["methods"])
    for name in (*(name for name in whole if name in _WHOLE), *_named_in(spec, schemas)):
        _collect(name, schemas, found)
    return sorted(found)


def _named_in(spec: Schema, schemas: dict[str, Schema]) -> Iterator[str]:
    for item in (*spec["methods"], *spec["x-notifications"]):
        for param in item["params"]:
            yield from _references(param["schema"])
    for method in spec["methods"]:
        if method["result"]["name"] not in _WHOLE:
            for inner in schemas[method["result"]["name"]]["properties"].values():
                yield from _references(inner)


def _collect(name: str, schemas: dict[str, Schema], found: dict[str, None]) -> None:
    if name in found:
        return
    found[name] = None
    for inner in schemas[name]["properties"].values():
        for below in _references(inner):
            _collect(below, schemas, found)


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].rpartition("/")[2]
        for inner in schema.values():
            yield from _references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _references(inner)


# ---------------------------------------------------------------- words

_SOURCE = re.compile(r"\s*\[(?:[a-z]+ §[^\]]*|S\d|P|protocol[^\]]*|behaviour[^\]]*)\](?:\[\w+\])*")


def sentence(text: str) -> str:
    """A docstring for a page: code marks as Markdown has them, without the sources that maintainers note in it."""
    return _SOURCE.sub("", " ".join(text.split())).replace("``", "`").replace("|", "\\|")


def kind(schema: Schema) -> str:
    """A JSON schema in a reader's words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{_anchor(name)})"
    if "anyOf" in schema:
        return " or ".join(kind(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    match schema.get("type"):
        case "array":
            return _list(schema)
        case "object":
            inner = schema.get("additionalProperties")
            return f"table: text → {kind(inner)}" if isinstance(inner, dict) and inner else "table"
        case "string":
            return _text(schema)
        case "integer" | "number":
            return ("whole number" if schema["type"] == "integer" else "number") + _bounds(schema)
        case "boolean":
            return "true or false"
        case "null":
            return "null"
    return "anything"


def _list(schema: Schema) -> str:
    if "prefixItems" in schema:
        return f"[{', '.join(kind(item) for item in schema['prefixItems'])}]"
    return f"list of {kind(schema['items'])}"


def _text(schema: Schema) -> str:
    if schema.get("format") == "date-time":
        return "time"
    if "pattern" in schema:
        return "duration"
    if schema.get("description") == "an opaque id":
        return "id"
    longest = schema.get("maxLength")
    return "text" if longest is None else f"text of at most {longest} characters"


def _bounds(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if most in (None, 2**53):
        return "" if not least else f" from {least}"
    return f" {least} to {most}"


def _anchor(heading: str) -> str:
    """As GitHub makes it: dots go, letters are small."""
    return heading.lower().replace(".", "")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

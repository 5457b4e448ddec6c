"""The server's description of itself: an OpenRPC document, generated from the structs that decode the wire.

Nothing here is written by hand but the sentences around it: methods come from ``METHODS``, notices from
``NOTICES``, refusals from ``REASONS``, schemas from the types. OpenRPC wants one error a code, and all our
refusals share −32000: the reasons stand in ``x-reasons`` and in the schema ``RefusedData``.
"""

from __future__ import annotations

import re
import types
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Struct

from protocol import closing, errors
from protocol.codec import encode_json
from protocol.notices import NOTICES
from protocol.requests import METHODS, Method
from protocol.times import Duration, Moment

OPENRPC = "1.3.2"
VERSION = "1.0.0"
REF = "#/components/schemas/{name}"

_DURATION = {
    "type": "string",
    "pattern": r"^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
    "description": "a length of time, at most 400 days; units fall, each at most once",
    "examples": ["250ms", "45s", "3m", "1h30m", "1d"],
}
_MOMENT = {
    "type": "string",
    "format": "date-time",
    "description": "a time in RFC 3339; the server writes UTC with milliseconds",
    "examples": ["2026-01-05T09:00:00.000Z"],
}
#: name -> (code, sentence); one a code, as OpenRPC wants it
_ERRORS = {
    "NotJson": (errors.NOT_JSON, "The frame is not in the session's format."),
    "NotARequest": (errors.NOT_A_REQUEST, "That is not a JSON-RPC 2.0 request."),
    "NoSuchMethod": (errors.NO_SUCH_METHOD, "There is no such method."),
    "BadParams": (errors.BAD_PARAMS, "data.field is the path to what is wrong, data.expected says what it must be."),
    "Internal": (errors.INTERNAL, "Our own fault; the server's log has the details under data.incident."),
    "Refused": (errors.REFUSED, "A refusal that changed nothing: data is a RefusedData, its reason one of x-reasons."),
}
#: what any method may answer; the others are for frames that are no request to a method
_OF_METHODS = ("BadParams", "Internal", "Refused")


def document() -> dict[str, Any]:
    """The OpenRPC document as plain data. The same for everybody; built anew at each call, about 10 ms."""
    schemas = _schemas()
    return {
        "openrpc": OPENRPC,
        "info": {
            "title": "signalbox",
            "version": VERSION,
            "description": "JSON-RPC 2.0 over WebSocket; the first request is session.open. Batches are arrays.",
            "license": {"name": "Apache-2.0"},
        },
        "servers": [{"name": "default", "url": "ws://127.0.0.1:8400/v1"}],
        "methods": [_method(method, schemas) for method in METHODS.values()],
        "components": {"schemas": schemas | {"RefusedData": _refused_data()}, "errors": _errors()},
        "x-notifications": [_notice(name, params, schemas) for name, params in NOTICES.items()],
        "x-reasons": {reason: {"description": text, "retry": again} for reason, (text, again) in _reasons()},
        "x-close-codes": {
            str(code): {"description": why, "do": then} for code, (why, then) in closing.MEANINGS.items()
        },
    }


def schema_hook(kind: type) -> dict[str, Any]:
    """The schema of the two types that msgspec does not know. Raises NotImplementedError for any other."""
    if kind is Duration:
        return dict(_DURATION)
    if kind is Moment:
        return dict(_MOMENT)
    raise NotImplementedError(kind)


def _schemas() -> dict[str, Any]:
    """Every struct of the wire by name, as JSON has it (msgspec leaves tuples in)."""
    structs = [method.params for method in METHODS.values()] + [method.result for method in METHODS.values()]
    wanted = [_plain(struct) for struct in [*structs, *NOTICES.values()]]
    _, schemas = msgspec.json.schema_components(wanted, schema_hook=schema_hook, ref_template=REF)
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(schemas))
    return plain


def _method(method: Method, schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": method.name,
        "summary": method.summary,
        "description": _sentence(method.params),
        "paramStructure": "by-name",
        "params": _params(method.params, schemas),
        "result": {"name": method.result.__name__, "schema": _reference(method.result)},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in _OF_METHODS],
        "x-roles": list(method.roles),
        "x-params": _reference(method.params),
    }


def _notice(name: str, params: type[Struct], schemas: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "description": _sentence(params),
        "paramStructure": "by-name",
        "params": _params(params, schemas),
        "x-params": _reference(params),
    }


def _params(struct: type[Struct], schemas: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields of a struct as OpenRPC's content descriptors; those that must be given stand first."""
    schema = schemas[struct.__name__]
    found = [
        {"name": name, "required": name in schema["required"], "schema": inner}
        for name, inner in schema["properties"].items()
    ]
    return sorted(found, key=lambda item: not item["required"])


def _errors() -> dict[str, Any]:
    return {name: {"code": code, "message": text} for name, (code, text) in _ERRORS.items()}


def _refused_data() -> dict[str, Any]:
    return {
        "title": "RefusedData",
        "type": "object",
        "description": "What a refusal is about; some reasons add data of their own (colour, state, url).",
        "properties": {
            "reason": {"enum": sorted(errors.REASONS)},
            "retry": {"type": "boolean", "description": "whether the same request may be sent again"},
            "retry_after_s": {"type": "number"},
        },
        "required": ["reason", "retry"],
    }


def _reasons() -> list[tuple[str, tuple[str, bool]]]:
    return sorted(errors.REASONS.items())


def _reference(struct: type[Struct]) -> dict[str, str]:
    return {"$ref": REF.format(name=struct.__name__)}


#: where a rule comes from, as docstrings note it for maintainers
_SOURCES = re.compile(r"\s*\[(?:S\d|P|protocol [^\]]*|behaviour [^\]]*)\]")


def _sentence(struct: type[Struct]) -> str:
    return _SOURCES.sub("", " ".join((struct.__doc__ or "").split()))


@cache
def _plain(kind: Any) -> Any:
    """The type with every struct's defaults in their wire form: msgspec cannot write a Duration into a schema."""
    origin = get_origin(kind)
    if origin is Annotated:
        return Annotated[(_plain(get_args(kind)[0]), *kind.__metadata__)]
    if origin in (Union, types.UnionType):
        return Union[tuple(_plain(part) for part in get_args(kind))]  # noqa: UP007 - made of a tuple
    if origin in (tuple, list, dict):
        return origin[tuple(part if part is Ellipsis else _plain(part) for part in get_args(kind))]
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _plain_struct(kind)
    return kind


def _plain_struct(struct: type[Struct]) -> type[Struct]:
    config = struct.__struct_config__
    fields = [(item.name, _plain(item.type), _plain_field(item)) for item in msgspec.structs.fields(struct)]
    made = msgspec.defstruct(
        struct.__name__,
        fields,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=config.forbid_unknown_fields,
        module=struct.__module__,
    )
    made.__doc__ = _sentence(struct)
    return made


def _plain_field(item: msgspec.structs.FieldInfo) -> Any:
    if item.required:
        return msgspec.field(name=item.encode_name)
    if item.default is UNSET or item.default is msgspec.NODEFAULT:
        return msgspec.field(default=UNSET, name=item.encode_name)
    default = msgspec.json.decode(encode_json(item.default))
    if isinstance(default, list | dict):  # msgspec takes no mutable default; the schema writes a tuple as a list
        default = tuple(default) if isinstance(default, list) else msgspec.UNSET
    return msgspec.field(default=default, name=item.encode_name)

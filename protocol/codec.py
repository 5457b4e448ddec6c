"""Bytes to requests and results to bytes: JSON, or MessagePack with the same objects.

One frame is one object or an array of them. The fast path decodes straight into the struct of the method
(a tagged union over all methods); only if that fails is the frame taken apart to say which item is wrong
where, so a bad item costs its own sender a slower look and harms no other item.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from protocol.complaints import explain as explain
from protocol.complaints import nul_path
from protocol.errors import NO_SUCH_METHOD, NOT_A_REQUEST, NOT_JSON, RequestError, bad_params
from protocol.requests import METHODS, Method
from protocol.times import Duration, Moment

#: what a decoder raises at bytes or text that are not its format at all, or nest too deep
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)

RequestId = int | str | float | None
Format = Literal["json", "msgpack"]


class Call(Struct, frozen=True):
    """A request that was understood. ``id`` is UNSET if the sender wants no response."""

    method: str
    params: Any
    id: RequestId | UnsetType = UNSET


class Refusal(Struct, frozen=True):
    """A request that was not: the error goes back under ``id`` (null where it could not be read)."""

    error: RequestError
    id: RequestId | UnsetType = None


class _Response(Struct, frozen=True, tag_field="jsonrpc", tag="2.0"):
    id: RequestId
    result: Any


class _ErrorObject(Struct, frozen=True):
    code: int
    message: str
    data: dict[str, Any]


class _Failure(Struct, frozen=True, tag_field="jsonrpc", tag="2.0"):
    id: RequestId
    error: _ErrorObject


class _Notification(Struct, frozen=True, tag_field="jsonrpc", tag="2.0"):
    method: str
    params: Any


def _to_wire(value: Any) -> Any:
    if isinstance(value, Moment):
        return value.text()
    if isinstance(value, Duration):
        return value.text()
    if isinstance(value, frozenset):
        return sorted(value)
    raise NotImplementedError(f"no wire form for {type(value)}")


def _to_store(value: Any) -> Any:
    return int(value) if isinstance(value, Moment) else _to_wire(value)


def _from_wire(wanted: type, value: Any) -> Any:
    if wanted is Duration:
        return Duration.parse(value)
    if wanted is Moment:
        return Moment.parse(value)
    raise NotImplementedError(f"no wire form for {wanted}")


def _envelope(method: Method) -> type[Struct]:
    """The struct of one whole request, told from the others by ``method``."""
    optional = all(not field.required for field in msgspec.structs.fields(method.params))
    params: Any = (
        ("params", method.params, msgspec.field(default_factory=method.params))
        if optional
        else (
            "params",
            method.params,
        )
    )
    fields: list[Any] = [("jsonrpc", Literal["2.0"]), ("id", RequestId | UnsetType, UNSET), params]
    name = "Request_" + method.name.replace(".", "_")
    return msgspec.defstruct(name, fields, tag_field="method", tag=method.name, frozen=True, kw_only=True)


_ENVELOPES = {method.name: _envelope(method) for method in METHODS.values()}
_ANY_REQUEST: Any = None
for _struct in _ENVELOPES.values():
    _ANY_REQUEST = _struct if _ANY_REQUEST is None else _ANY_REQUEST | _struct
_NAME_OF = {struct: name for name, struct in _ENVELOPES.items()}
_JSON = msgspec.json.Encoder(enc_hook=_to_wire)
_MSGPACK = msgspec.msgpack.Encoder(enc_hook=_to_wire)
_RECORD = msgspec.json.Encoder(enc_hook=_to_store)


def encode_json(value: Any) -> bytes:
    """Any object of the protocol as JSON."""
    return _JSON.encode(value)


def encode_record(value: Any) -> str:
    """What a record holds, as JSON text for the store: like ``encode_json``, but moments as ticks.

    A moment that came over the wire may stand where a tick is wanted: it is an integer too.
    """
    return _RECORD.encode(value).decode()


def decode_json(data: bytes | str, wanted: Any) -> Any:
    """JSON as ``wanted``. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return msgspec.json.decode(data, type=wanted, dec_hook=_from_wire)


def json_decoder(wanted: Any) -> Callable[[bytes | str], Any]:
    """``decode_json`` for one type, ten times faster: for what is decoded often."""
    decode: Callable[[bytes | str], Any] = msgspec.json.Decoder(wanted, dec_hook=_from_wire).decode
    return decode


def convert(value: Any, wanted: Any, *, strict: bool = True) -> Any:
    """Plain values (from TOML, YAML) as ``wanted``; not ``strict``: texts as numbers and bools too.

    Raises msgspec.ValidationError with the path in it.
    """
    return msgspec.convert(value, wanted, dec_hook=_from_wire, strict=strict)


class Codec:
    """One wire format. Stateless; one instance of each serves all connections."""

    def __init__(self, form: Format) -> None:
        self.format = form
        module: Any = msgspec.json if form == "json" else msgspec.msgpack
        encoder = _JSON if form == "json" else _MSGPACK
        self.encode = encoder.encode
        self._decoder = module.Decoder
        self._one = module.Decoder(_ANY_REQUEST, dec_hook=_from_wire).decode
        self._many = module.Decoder(list[_ANY_REQUEST], dec_hook=_from_wire).decode
        self._items = module.Decoder(list[Raw]).decode
        self._plain = module.Decoder().decode
        self._of = {name: module.Decoder(struct, dec_hook=_from_wire).decode for name, struct in _ENVELOPES.items()}

    def decode(self, frame: bytes | str, batch_max: int = 256) -> list[Call | Refusal]:
        """A frame's requests in order; what is wrong comes as a Refusal in its place. Never raises."""
        if isinstance(frame, str) and self.format == "msgpack":
            return [_not_readable("MessagePack comes in binary frames")]
        if not self._is_array(frame):
            return [self._request(frame)]
        try:
            return self._batch(frame, batch_max)
        except _UNREADABLE as problem:
            return [_not_readable(f"not {self.format}: {problem}")]

    def response(self, ident: RequestId, result: Any) -> bytes:
        """A result under its request's id. A ``Raw`` result is JSON, as a key's first answer was stored."""
        if self.format == "msgpack" and isinstance(result, Raw):
            result = msgspec.json.decode(result)
        return self.encode(_Response(ident, result))

    def failure(self, ident: RequestId, error: RequestError) -> bytes:
        """A refusal under its request's id."""
        return self.encode(_Failure(ident, _ErrorObject(error.code, error.message, error.data)))

    def notification(self, method: str, params: Any) -> bytes:
        """A notice. One encoding serves every session that reads this format and sees the same."""
        return self.encode(_Notification(method, params))

    def joined(self, objects: list[bytes]) -> bytes:
        """Several encoded objects as one array frame."""
        if self.format == "json":
            return b"[" + b",".join(objects) + b"]"
        return b"\xdd" + len(objects).to_bytes(4, "big") + b"".join(objects)

    def _is_array(self, frame: bytes | str) -> bool:
        if isinstance(frame, str):
            return frame.lstrip(" \t\r\n").startswith("[")
        if self.format == "json":
            return frame.lstrip(b" \t\r\n").startswith(b"[")
        return frame[:1] in (b"\xdc", b"\xdd") or 0x90 <= (frame[0] if frame else 0) <= 0x9F

    def _head_of(self, frame: bytes | str) -> int:
        """How long the head of an array is: in MessagePack there are NULs in it that belong to no text."""
        if self.format == "json":
            return 0
        first = frame[:1]
        return 3 if first == b"\xdc" else 5 if first == b"\xdd" else 1

    def _batch(self, frame: bytes | str, batch_max: int) -> list[Call | Refusal]:
        try:
            items = self._many(frame)
            if 1 <= len(items) <= batch_max:
                _check_nul(frame, self._head_of(frame))
                return [Call(_NAME_OF[type(item)], item.params, item.id) for item in items]
        except (*_UNREADABLE, _NulError):
            if not self._has_more(frame, batch_max) and (raw := self._items(frame)):
                return [self._request(bytes(item)) for item in raw]
        text = f"a batch has 1 to {batch_max} requests"
        return [Refusal(RequestError(NOT_A_REQUEST, text, {"retry": False, "limit": batch_max}))]

    def _has_more(self, frame: bytes | str, most: int) -> bool:
        """Whether an array has more items, looking at no further one: a frame of ones has a hundred thousand."""
        left = most

        def count(kind: type, value: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise _FullError
            return kind()

        try:
            self._decoder(list[_Item], dec_hook=count).decode(frame)
        except _FullError:
            return True
        except _UNREADABLE:  # an item that cannot be read: so far there were not too many
            pass
        return False

    def _request(self, frame: bytes | str) -> Call | Refusal:
        try:
            return self._understood(frame)
        except _UNREADABLE as problem:
            return _not_readable(f"not {self.format}: {problem}")

    def _understood(self, frame: bytes | str) -> Call | Refusal:
        try:
            item = self._one(frame)
            _check_nul(frame)
            return Call(_NAME_OF[type(item)], item.params, item.id)
        except (msgspec.ValidationError, _NulError):
            return self._explain(frame)

    def _explain(self, frame: bytes | str) -> Call | Refusal:
        """Say what is wrong with one request, and whose answer it is."""
        plain = self._plain(frame)
        if not isinstance(plain, dict):
            return _not_a_request("a request is an object")
        ident = plain.get("id", UNSET)
        if isinstance(ident, bool) or not isinstance(ident, int | str | float | None | UnsetType):
            return _not_a_request("id must be a string, a number or null")
        if plain.get("jsonrpc") != "2.0":
            return _not_a_request('jsonrpc must be "2.0"', ident)
        method = plain.get("method")
        if not isinstance(method, str):
            return _not_a_request("method must be a string", ident)
        if method not in METHODS:
            data = {"method": method[:100], "retry": False}
            return Refusal(RequestError(NO_SUCH_METHOD, f"there is no method {method[:100]!r}", data), ident)
        try:
            item = self._of[method](frame)
        except msgspec.ValidationError as problem:
            return Refusal(explain(str(problem), wanted=METHODS[method].params), ident)
        if (path := nul_path(plain.get("params"))) is not None:
            return Refusal(bad_params(path, "text without NUL characters"), ident)
        return Call(method, item.params, item.id)


class _Item:
    """Anything in an array, counted as it is met."""


class _FullError(Exception):
    """There are more items than there may be."""


class _NulError(Exception):
    """A NUL character stands somewhere in the frame: PostgreSQL's text cannot hold it."""


def _check_nul(frame: bytes | str, start: int = 0) -> None:
    """Raises _NulError. Once a frame, since it looks at all of it from ``start`` on."""
    found = "\\u0000" in frame if isinstance(frame, str) else b"\\u0000" in frame or frame.find(b"\0", start) >= 0
    if found:
        raise _NulError


def _not_readable(text: str) -> Refusal:
    return Refusal(RequestError(NOT_JSON, text, {"retry": False}))


def _not_a_request(text: str, ident: RequestId | UnsetType = None) -> Refusal:
    return Refusal(RequestError(NOT_A_REQUEST, text, {"retry": False}), None if ident is UNSET else ident)


JSON = Codec("json")
MSGPACK = Codec("msgpack")
CODECS: dict[Format, Codec] = {"json": JSON, "msgpack": MSGPACK}

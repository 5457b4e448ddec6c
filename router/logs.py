"""What the server writes to standard error: one line an event, and never a secret.

structlog and the standard library's logging go the same way: level filter, time in UTC, then ``remove_secrets``
as the last processor before the renderer, so that nothing added on the way (a formatted traceback, a bound
value, another library's message) escapes it. What people write to each other is nobody's to read in a log,
so ``text``, ``comment`` and whole ``params`` go as well.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, TextIO

import msgspec
import orjson
import structlog

from router.config import LogSettings

REMOVED = "[removed]"
#: keys whose values are never written, at any depth
SECRET_KEYS = frozenset({"token", "authorization", "secret", "password", "text", "comment", "params", "link"})
DEPTH_MAX = 6
_JWT = re.compile(r"eyJ[\w-]{4,}\.[\w-]+\.[\w-]*")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[^\s\"']+")
_PASSWORD = re.compile(r"(\w://[^\s/:@]*:)[^\s/]+@")
#: what moves a terminal's cursor, or ends a line for some readers and not for others
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_INTEGER_MAX = 2**63

Event = MutableMapping[str, Any]


def configure(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Log by these settings to ``stream`` (standard error), from here and from every library. Call it once."""
    out = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_common(), remove_secrets, _renderer(settings, out)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=out),
        cache_logger_on_first_use=False,
    )
    _configure_standard(settings, out, level)


def remove_secrets(_logger: Any, _method: str, event: Event) -> Event:
    """structlog's processor: everything that could be a secret or private is replaced by ``[removed]``."""
    return {str(key): REMOVED if _is_secret(key) else harmless(value) for key, value in event.items()}


def harmless(value: Any, depth: int = 0) -> Any:
    """The value as plain data that can be rendered, without secrets.

    Structs become their fields, so that a logged request shows its method but not its params; what is no
    plain data becomes its ``repr`` now, because the renderer would do it after the secrets were looked for.
    """
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -_INTEGER_MAX <= value < _INTEGER_MAX:
        return int(value)
    if isinstance(value, str):
        return scrubbed(value)
    if depth >= DEPTH_MAX:
        return "[...]"
    if isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    if isinstance(value, Mapping):
        return {
            scrubbed(str(key)): REMOVED if _is_secret(key) else harmless(inner, depth + 1)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [harmless(inner, depth + 1) for inner in value]
    return scrubbed(value.decode(errors="replace") if isinstance(value, bytes) else repr(value))


def scrubbed(text: str) -> str:
    """The text without tokens, bearer values and passwords in URLs; also without what could harm a terminal."""
    text = _JWT.sub(REMOVED, text)
    text = _BEARER.sub(rf"\g<1>{REMOVED}", text)
    text = _PASSWORD.sub(rf"\g<1>{REMOVED}@", text)
    return _CONTROL.sub("?", text).encode(errors="replace").decode()


def _is_secret(key: Any) -> bool:
    return str(key).lower() in SECRET_KEYS


def _common() -> list[Any]:
    return [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]


def _renderer(settings: LogSettings, out: TextIO) -> Any:
    if settings.format == "console":
        return structlog.dev.ConsoleRenderer(colors=out.isatty())
    return structlog.processors.JSONRenderer(serializer=_json)


def _json(event: Event, **_: Any) -> str:
    return orjson.dumps(event, option=orjson.OPT_NON_STR_KEYS).decode()


def _configure_standard(settings: LogSettings, out: TextIO, level: int) -> None:
    """Let the standard library's loggers, and Python's warnings, end in the same renderer."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *_common()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                remove_secrets,
                _renderer(settings, out),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("httpx", "httpcore"):  # they log whole URLs, which may hold an operator's secret
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(True)

"""One line an event, the same way for everybody's events, and never a secret."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol.codec import Call
from protocol.requests import MessageSend
from router.config import LogSettings
from router.logs import REMOVED, SECRET_KEYS, configure, harmless, remove_secrets, scrubbed

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl-_"
log = structlog.get_logger("router.test")


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """What is logged; afterwards the process logs as before."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_in_utc(out: io.StringIO) -> None:
    configure(LogSettings(), out)
    log.info("ready", port=8400, lines="a\nb")
    [line] = lines(out)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    assert line == {"event": "ready", "level": "info", "port": 8400, "lines": "a\nb"}


def test_the_level_filters_both_kinds_of_loggers(out: io.StringIO) -> None:
    configure(LogSettings(level="warning"), out)
    for logger in (log, logging.getLogger("library")):
        logger.info("no")
        logger.warning("yes")
    assert [line["event"] for line in lines(out)] == ["yes", "yes"]


def test_debug_is_written_if_asked_for(out: io.StringIO) -> None:
    configure(LogSettings(level="debug"), out)
    log.debug("detail")
    assert [line["level"] for line in lines(out)] == ["debug"]


def test_the_standard_library_logs_the_same_way(out: io.StringIO) -> None:
    configure(LogSettings(), out)
    logging.getLogger("some.library").warning("got %s", JWT)
    [line] = lines(out)
    assert (line["event"], line["logger"], line["level"]) == (f"got {REMOVED}", "some.library", "warning")
    assert line["timestamp"].endswith("Z")


def test_warnings_of_python_are_events_too(out: io.StringIO) -> None:
    configure(LogSettings(), out)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", stacklevel=1)
    assert lines(out)[0]["logger"] == "py.warnings"


@pytest.mark.parametrize("logger", [log, logging.getLogger("library")], ids=["structlog", "logging"])
def test_an_exception_comes_with_its_traceback_but_without_secrets(out: io.StringIO, logger: Any) -> None:
    configure(LogSettings(), out)
    try:
        raise ValueError(f"bad token {JWT}")
    except ValueError:
        logger.exception("failed")
    [line] = lines(out)
    assert "Traceback" in line["exception"]
    assert f"ValueError: bad token {REMOVED}" in line["exception"]
    assert "eyJ" not in out.getvalue()


def test_the_console_shows_the_same_without_secrets_or_colours_in_a_pipe(out: io.StringIO) -> None:
    configure(LogSettings(format="console"), out)
    log.warning("careful", token="hush", agent="ana", url=f"/v1?{JWT}")
    logging.getLogger("library").error("Authorization: Bearer hush")
    text = out.getvalue()
    assert "careful" in text
    assert "agent=ana" in text
    assert "library" in text
    assert text.count(REMOVED) == 3
    assert "hush" not in text
    assert "\x1b" not in text


def test_bound_and_context_values_are_looked_at_too(out: io.StringIO) -> None:
    configure(LogSettings(), out)
    with structlog.contextvars.bound_contextvars(secret="hush", session=1):
        log.bind(comment="hush").info("x")
    [line] = lines(out)
    assert (line["secret"], line["comment"], line["session"]) == (REMOVED, REMOVED, 1)


# ---------------------------------------------------------------- what is removed


@pytest.mark.parametrize("key", [*sorted(SECRET_KEYS), "Authorization", "TOKEN"])
def test_a_secret_key_is_never_written(key: str) -> None:
    assert remove_secrets(None, "info", {key: "hush", "kept": 1}) == {key: REMOVED, "kept": 1}
    assert harmless([{"inner": ({key: "hush"},)}]) == [{"inner": [{key: REMOVED}]}]


def test_a_request_is_written_without_its_params() -> None:
    call = Call("message.send", MessageSend(conversation="c1", text="hush"), 7)
    assert harmless(call) == {"method": "message.send", "params": REMOVED, "id": 7}
    assert harmless(call.params)["text"] == REMOVED


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (JWT, REMOVED),
        (f"token={JWT}&x=1", f"token={REMOVED}&x=1"),
        (f"'{JWT}' and '{JWT}'", f"'{REMOVED}' and '{REMOVED}'"),
        (JWT.rsplit(".", 1)[0] + ".", REMOVED),
        ("Authorization: Bearer abc.def", f"Authorization: Bearer {REMOVED}"),
        ("bearer abc", f"bearer {REMOVED}"),
        ("postgresql://me:hush@db:5432/x?y", f"postgresql://me:{REMOVED}@db:5432/x?y"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
        ("https://example.com:8400/a@b", "https://example.com:8400/a@b"),
        ("eyJ is how one begins", "eyJ is how one begins"),
        ("plain", "plain"),
        ("\x1b[31mred\x07", "?[31mred?"),
        ("\x9b31m \x85 \u2028", "?31m ? ?"),
        ("a\tb\nc", "a\tb\nc"),
        ("\ud800", "?"),
    ],
)
def test_what_looks_like_a_secret_is_removed_from_texts(text: str, kept: str) -> None:
    assert scrubbed(text) == kept
    assert remove_secrets(None, "info", {"event": text}) == {"event": kept}
    assert harmless({text: 1}) == {kept: 1}


def test_what_is_no_plain_data_is_looked_at_before_it_is_rendered() -> None:
    class Request:
        def __repr__(self) -> str:
            return f"<Request {JWT}>"

    assert harmless(Request()) == f"<Request {REMOVED}>"
    assert harmless(JWT.encode() + b"\xff") == f"{REMOVED}\ufffd"
    assert harmless({1: {JWT}}) == {"1": [REMOVED]}
    assert harmless(ValueError(JWT)) == f"ValueError('{REMOVED}')"


def test_what_contains_itself_ends() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert "[...]" in json.dumps(harmless(endless))


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
values = st.recursive(
    plain | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=5), inner, max_size=3),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), values))
def test_anything_can_be_logged(out: io.StringIO, fields: dict[str, Any]) -> None:
    out.seek(0)
    out.truncate()
    configure(LogSettings(), out)
    log.info("x", **fields)
    [line] = lines(out)
    assert line.keys() >= {"event", *fields}

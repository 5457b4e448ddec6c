"""What a scenario asks for that this version of the server does not have.

A scenario may be newer than the server: a setting, a value of one, a method, a parameter or a notice that is
not known here makes it fail with a line that names exactly that, rather than with a riddle.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from protocol.codec import convert
from protocol.errors import BAD_PARAMS, NO_SUCH_METHOD
from protocol.notices import NOTICES
from protocol.requests import METHODS
from protocol.settings import WorkspaceSettings
from router.config import ConfigError, read_workspace
from router.simulate.wording import nearest


class Lacking(Exception):  # noqa: N818 - what this version is
    """Something is needed that this version does not have; the text names it."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(f"needs {what}, which this version does not have{hint}")


def settings_of(config: dict[str, Any]) -> WorkspaceSettings:
    """A scenario's ``config``. Raises Lacking (newer than this version) or ConfigError (wrong)."""
    try:
        return read_workspace(config)
    except ConfigError:
        if what := _unknown_part(config, WorkspaceSettings):
            raise Lacking(_setting(what)) from None
        raise


def check_notice(name: str) -> None:
    """Raises Lacking if no such notice is ever sent."""
    if name not in NOTICES:
        raise Lacking(f"the notice {name}", nearest(name, NOTICES))


def check_answer(method: str, params: dict[str, Any], error: dict[str, Any]) -> None:
    """Raises Lacking if the error came because the method, a parameter or its value is not known."""
    if error["code"] == NO_SUCH_METHOD:
        raise Lacking(f"the method {method}", _slip(method))
    if error["code"] == BAD_PARAMS and (what := _unknown_part(params, METHODS[method].params)):
        raise Lacking(f"{method} with {what}")


def _slip(method: str) -> str:
    """A hint if it is near to a method of the same kind; ``conversation.`` alone makes no two of them near."""
    kind, _, act = method.rpartition(".")
    acts = [name.removeprefix(f"{kind}.") for name in METHODS if name.startswith(f"{kind}.")]
    return nearest(act, acts)


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*?)`(?: - at `\$(?P<path>.*)`)?")
_VALUE = re.compile(r"Invalid enum value '?(?P<value>.*?)'?(?: - at `\$(?P<path>.*)`)?")


def _unknown_part(plain: Any, wanted: Any) -> str | None:
    """``services.mode=grab``: the first field or choice of plain data that its type does not have."""
    try:
        convert(plain, wanted)
    except msgspec.ValidationError as problem:
        if found := _UNKNOWN.fullmatch(str(problem)):
            return _dotted(found["path"], found["name"])
        if found := _VALUE.fullmatch(str(problem)):
            return f"{_dotted(found['path'])}={found['value']}"
    return None


def _dotted(path: str | None, name: str = "") -> str:
    """``.services[0].members[1]`` and ``role`` as ``services.members.role``."""
    plain = re.sub(r"\[[^\]]*\]", "", path or "").strip(".")
    return ".".join(part for part in (plain, name) if part)


def _setting(what: str) -> str:
    """One service, one agent: ``service.mode=grab``."""
    return re.sub(r"^(service|agent)s\b", r"\1", what)

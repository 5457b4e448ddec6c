"""The steps of a scenario, as words. [spec, "Scenarios"]

``STEPS`` is the one table: the key that makes a step what it is, and the step's struct. A struct's fields are
the step's keys; each struct checks itself, so that a step that was built can be played (``router.simulate.play``).
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field

from protocol.ids import Principal
from protocol.times import Duration
from router.simulate.matching import problem
from router.simulate.names import IDENTIFIER

BACKEND = "backend"

Text = Annotated[str, Meta(min_length=1)]
Number = Annotated[int, Meta(ge=0)]
Pattern = dict[str, Any]
Patterns = tuple[Any, ...]
Save = dict[str, str]


def principal(who: str) -> Principal:
    """Whose token somebody who speaks in a step has. Raises ValueError with the forms there are."""
    kind, colon, rest = who.partition(":")
    if who == BACKEND:
        return Principal("backend", BACKEND)
    if who and not colon:
        return Principal("agent", who)
    if kind == "contact" and rest:
        return Principal("contact", rest)
    if kind == "connector" and rest and all(rest.split(",")):
        return Principal("connector", rest, channels=tuple(rest.split(",")))
    agent, slash, device = rest.partition("/")
    if kind == "agent-device" and agent and slash and device:
        return Principal("agent", agent)
    known = "an agent's id, agent-device:AGENT/N, contact:NAME, connector:CHANNEL[,CHANNEL] or backend"
    raise ValueError(f"{who!r} is nobody: it is {known}")


class Step(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all steps have in common: they check their own words."""

    def __post_init__(self) -> None:
        for name in ("who", "online", "offline", "drop", "resume"):
            if isinstance(who := getattr(self, name, UNSET), str):
                principal(who)
        for name in getattr(self, "save", {}):
            if not IDENTIFIER.fullmatch(name):
                raise ValueError(f"save: {name!r} is not a name: letters, digits and _, not a digit first")
        for item, key in zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True):
            if key in PATTERN_KEYS and (found := problem(_plain(getattr(self, item)), key)):
                raise ValueError(": ".join(found))


#: keys under which a value is compared, so that matchers may stand there
PATTERN_KEYS = ("result", "error", "where", "is", "has", "lacks", "of", "rest")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class Request(Step, frozen=True):
    """One request. Without ``error`` it must succeed."""

    who: Text = field(name="as")
    call: Text
    params: dict[str, Any] = field(default={}, name="with")
    result: Any = UNSET
    error: Pattern | UnsetType = UNSET
    save: Save = {}

    def __post_init__(self) -> None:
        if self.error is not UNSET and (self.result is not UNSET or self.save):
            raise ValueError("a request has either an error, or a result and save")
        super().__post_init__()


class Notice(Step, frozen=True):
    """Such a notice has arrived since this client's mark, which moves just behind it."""

    who: Text = field(name="as")
    notice: Text
    where: Pattern = {}
    save: Save = {}


class NoNotice(Step, frozen=True):
    """None has arrived since this client's mark, which moves to now."""

    who: Text = field(name="as")
    no_notice: Text
    where: Pattern = {}


class Wait(Step, frozen=True):
    """Virtual time passes."""

    wait: Duration


class Look(Step, frozen=True):
    """The bare summary of a conversation."""

    look: Text
    who: Text = field(default=BACKEND, name="as")
    exactly: Any = field(default=UNSET, name="is")
    save: Save = {}


class Count(Step, frozen=True):
    """Exactly ``n`` of the entries are such."""

    of: Any
    n: Number = field(name="is")


class Timeline(Step, frozen=True):
    """A conversation's entries: these in this order, none such, exactly these, so many such."""

    timeline: Text
    who: Text = field(default=BACKEND, name="as")
    has: Patterns | UnsetType = UNSET
    lacks: Patterns | UnsetType = UNSET
    exactly: Patterns | UnsetType = field(default=UNSET, name="is")
    count: Count | UnsetType = UNSET

    def __post_init__(self) -> None:
        if all(part is UNSET for part in (self.has, self.lacks, self.exactly, self.count)):
            raise ValueError("a timeline says has, lacks, is or count")
        super().__post_init__()


Requests = Annotated[tuple[Request, ...], Meta(min_length=1)]


class Together(Step, frozen=True):
    """Handed over in one turn, in this order, before anything is answered."""

    together: Requests


class Batch(Step, frozen=True):
    """One frame with an array; the reader has given each item the step's ``as``."""

    who: Text = field(name="as")
    batch: Requests


class OneOf(Step, frozen=True):
    """Handed over in one turn; exactly one succeeds, the others get the error ``rest``."""

    one_of: Requests
    rest: Pattern

    def __post_init__(self) -> None:
        if any(item.error is not UNSET for item in self.one_of):
            raise ValueError("an item of one_of has no error of its own: that is rest")
        super().__post_init__()


class Online(Step, frozen=True):
    """Open a session, and switch every class on (agents)."""

    online: Text


class Offline(Step, frozen=True):
    """End all sessions of somebody, politely."""

    offline: Text


class Drop(Step, frozen=True):
    """Cut a connection without a close."""

    drop: Text


class Resume(Step, frozen=True):
    """Reconnect with the last seq that was got."""

    resume: Text


class Crash(Step, frozen=True):
    """The process dies and starts again on the same store, at once (true) or after a while."""

    crash: Any
    back: bool = field(default=True, name="return")

    def __post_init__(self) -> None:
        self.down_ms()

    def down_ms(self) -> int:
        """How long it stays down. Raises ValueError if that cannot be told."""
        return 0 if self.crash is True else Duration.parse(self.crash)


class Mail(Step, frozen=True):
    """What lies in the box of an address since the previous such step for it."""

    mail: Text
    count: Number | UnsetType = UNSET
    has: Patterns | UnsetType = UNSET


class Repeat(Step, frozen=True):
    """The steps once for each number, with ``{n}`` replaced; the reader unrolls it."""

    repeat: Annotated[int, Meta(ge=1, le=100_000)]
    steps: Annotated[list[Any], Meta(min_length=1)]


STEPS: dict[str, type[Step]] = {
    "call": Request,
    "notice": Notice,
    "no_notice": NoNotice,
    "wait": Wait,
    "look": Look,
    "timeline": Timeline,
    "together": Together,
    "batch": Batch,
    "one_of": OneOf,
    "online": Online,
    "offline": Offline,
    "drop": Drop,
    "resume": Resume,
    "crash": Crash,
    "mail": Mail,
    "repeat": Repeat,
}

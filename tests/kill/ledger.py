"""What the clients wrote down, and what was found in the end: plain data, all that the checker looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Entry = dict[str, Any]


@dataclass
class Request:
    """One request, however often it was sent. ``answers`` are whole responses, in the order they came."""

    number: int
    method: str
    params: dict[str, Any]
    attempts: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)

    @property
    def result(self) -> Any:
        """What it was acknowledged with, or None: refused, or never answered."""
        return self.answers[0].get("result") if self.answers else None

    @property
    def key(self) -> str:
        """By what the server knows it again."""
        found: str = self.params.get("external_id") or self.params["key"]
        return found


@dataclass
class Session:
    """One session: ``since`` as asked, ``seq`` and ``now`` as told, and the entries it got, in order."""

    since: int | None
    seq: int
    now: int
    entries: list[Entry] = field(default_factory=list)


@dataclass
class Ledger:
    """What one client knows."""

    role: str
    sub: str
    requests: list[Request] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    deliveries: list[Entry] = field(default_factory=list)  # messages that a connector was handed
    problems: list[str] = field(default_factory=list)  # what was wrong at once

    @property
    def address(self) -> str:
        return f"{self.role}:{self.sub}"

    @property
    def last_seq(self) -> int | None:
        """After what it resumes: the last entry, or else where the first session began."""
        for session in reversed(self.sessions):
            if session.entries:
                last: int = session.entries[-1]["seq"]
                return last
        return self.sessions[0].seq if self.sessions else None


@dataclass
class Row:
    """An entry as it stands in the store."""

    seq: int
    conversation: str
    at: int
    type: str
    audience: tuple[str, ...]
    text: str | None


@dataclass
class Rows:
    """The store's rows. ``keys``: (owner, key) -> the first answer; ``deliveries``: seq -> status."""

    entries: list[Row] = field(default_factory=list)
    keys: dict[tuple[str, str], Any] = field(default_factory=dict)
    deliveries: dict[int, str] = field(default_factory=dict)
    conversations: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Final:
    """The state in the end: timelines and summaries as the house sees them, timelines as each contact does."""

    now: int
    timelines: dict[str, list[Entry]]
    summaries: dict[str, dict[str, Any]]
    seen: dict[str, dict[str, list[Entry]]] = field(default_factory=dict)  # by contact's address and conversation
    rows: Rows = field(default_factory=Rows)


def milliseconds(moment: str) -> int:
    """A moment of the protocol in ms since 1970."""
    return round(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)

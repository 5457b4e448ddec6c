"""One conversation's timeline, read by the rules of the product: who hears what, and which deadline fires when.

Written from the rules, not from the server's code, so that the two can contradict each other. A deadline that has come
by the time of an entry must have left its own entry before it, with its own moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.kill.ledger import Entry, milliseconds

OUTSIDE = frozenset({"created", "joined", "left", "message", "closed", "reopened"})


@dataclass(frozen=True)
class Rules:
    """What the service is configured to do. ``ladder``: (after ms, what is done); ``told``: by ``notify``."""

    ladder: tuple[tuple[int, str], ...]
    auto_close_ms: int
    managers: tuple[str, ...]
    told: tuple[str, ...]


class Life:
    """The state of a conversation as its timeline tells it. ``problems`` says what cannot be."""

    def __init__(self, name: str, rules: Rules) -> None:
        self.problems: list[str] = []
        self._name = name
        self._rules = rules
        self._state = "new"
        self._crew: dict[str, None] = {}
        self._joined: set[str] = set()
        self._assignee: str | None = None
        self._waiting_since: int | None = None
        self._service: str | None = None
        self._arrived = 0  # when it came to that service
        self._fired: dict[str | None, int] = {}  # steps of each service's ladder, in this wait
        self._until: int | None = None
        self._quiet_since = 0

    def read(self, entry: Entry) -> list[str]:
        """Take in the next entry; the addresses that hear of it."""
        at = milliseconds(entry["at"])
        kind = deadline_of(entry)
        by_system = (entry.get("by") or {}).get("kind") == "system"
        self._check_deadlines(at, kind, entry["seq"], tied=by_system)
        self._take_in(entry, at)
        return self._hearers(entry)

    def end(self, now: int) -> None:
        """The timeline ends, and it is ``now``: whatever has come must have fired."""
        self._check_deadlines(now, None, None)

    # ------------------------------------------------------------ deadlines

    def _deadlines(self) -> Iterator[tuple[int, str]]:
        if self._state not in ("open", "snoozed"):
            return
        fired = self._fired.get(self._service, 0)
        if self._waiting_since is not None and fired < len(self._rules.ladder):
            yield max(self._waiting_since + self._rules.ladder[fired][0], self._arrived), "escalated"
        if self._until is not None:
            yield self._until, "woke"
        else:
            yield self._quiet_since + self._rules.auto_close_ms + 1, "closed"

    def _check_deadlines(self, at: int, firing: str | None, seq: int | None, *, tied: bool = False) -> None:
        """``tied``: another actor's deadline of the same millisecond (a grace) may have made this entry first.

        What is past in the ladder of another service fires on arrival there, behind what came in the same instant.
        """
        due = {kind: moment for moment, kind in self._deadlines()}
        moment = due.pop(firing, None) if firing is not None else None
        if firing is not None and moment is None:
            self._problem(f"{firing} at seq {seq}, though no such deadline was armed")
        elif firing is not None and moment != at:
            early = "early" if at < (moment or 0) else "with the wrong moment"
            self._problem(f"{firing} at seq {seq} came {early}: {at}, due {moment}")
        for kind, moment in due.items():
            if moment < at or (moment == at and firing is None and not tied and moment != self._arrived):
                self._problem(f"{kind} was due at {moment} and had not come by {at} (seq {seq})")

    # ------------------------------------------------------------ what an entry changes

    def _take_in(self, entry: Entry, at: int) -> None:
        if entry["type"] in ("assigned", "queued", "transferred"):
            self._arrive(entry.get("service"), at)
        match entry["type"]:
            case "created":
                self._expect("new")
                self._state, self._quiet_since = "open", at
            case "message":
                self._message(entry, at)
            case "snoozed":
                self._expect("open")
                self._unassign()
                self._state, self._until = "snoozed", milliseconds(entry["until"])
                if self._until <= at:
                    self._problem(f"snoozed at seq {entry['seq']} until a moment that had passed")
            case "woke":
                self._expect("snoozed")
                self._state, self._until, self._quiet_since = "open", None, at
            case "closed":
                self._expect("open", "snoozed")
                self._state, self._until, self._assignee = "closed", None, None
                self._stop_clock()
            case "reopened":
                self._expect("closed")
                self._state, self._quiet_since = "open", at
                self._crew, self._joined = {}, set()
            case "escalated":
                self._escalated(entry)
            case _:
                self._staff(entry)

    def _arrive(self, service: str | None, at: int) -> None:
        if service is not None and service != self._service:
            self._service, self._arrived = service, at

    def _message(self, entry: Entry, at: int) -> None:
        if entry["by"]["kind"] == "contact":
            self._quiet_since = at
            self._waiting_since = at if self._waiting_since is None else self._waiting_since
        elif entry["by"]["kind"] == "agent":
            self._stop_clock()

    def _escalated(self, entry: Entry) -> None:
        step = entry["step"]
        if step != (expected := self._fired.get(self._service, 0)):
            self._problem(f"step {step} of the ladder fired at seq {entry['seq']}, expected {expected}")
        self._fired[self._service] = step + 1
        if entry["reason"] == "add_managers":
            self._crew.update(dict.fromkeys(self._rules.managers))

    def _staff(self, entry: Entry) -> None:
        match entry["type"]:
            case "assigned" | "transferred" if entry.get("agent") is not None:
                if self._assignee != entry["agent"]:
                    self._unassign()
                self._assignee = entry["agent"]
                self._crew[entry["agent"]] = None
            case "transferred" | "declined" | "unassigned":
                self._unassign()
            case "left":
                who = entry["by"]["id"]
                self._assignee = None if self._assignee == who else self._assignee
                self._joined.discard(who)
                self._crew.pop(who, None)
            case "joined":
                self._joined.add(entry["by"]["id"])
                self._crew[entry["by"]["id"]] = None

    def _unassign(self) -> None:
        if self._assignee is not None and self._assignee not in self._joined:
            self._crew.pop(self._assignee, None)
        self._assignee = None

    def _stop_clock(self) -> None:
        self._waiting_since, self._fired = None, {}

    def _expect(self, *states: str) -> None:
        if self._state not in states:
            self._problem(f"it was {self._state} where it must be {' or '.join(states)}")

    def _problem(self, text: str) -> None:
        self.problems.append(f"{self._name}: {text}")

    # ------------------------------------------------------------ who hears of it

    def _hearers(self, entry: Entry) -> list[str]:
        """Agents: the crew, whoever did it, whom it is about, whom the ladder tells."""
        agents = dict.fromkeys(self._crew)
        by, origin = entry.get("by") or {}, entry.get("from") or {}
        about = [by.get("id") if by.get("kind") == "agent" else None, entry.get("agent"), origin.get("agent")]
        agents.update(dict.fromkeys(name for name in about if name is not None))
        if entry["type"] == "escalated" and entry["reason"] == "notify":
            agents.update(dict.fromkeys(self._rules.told))
        return [f"agent:{name}" for name in agents]


def deadline_of(entry: Entry) -> str | None:
    """Which deadline made this entry, if one did."""
    kind: str = entry["type"]
    by_time = kind == "escalated" or (kind, entry.get("reason")) in (("woke", "timer"), ("closed", "auto"))
    return kind if by_time else None

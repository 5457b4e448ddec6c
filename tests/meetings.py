"""A small house that meets people, for the tests of meetings: ana works Mondays and Tuesdays, nine to five, in UTC."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.effects import Mail, Mailed
from protocol.objects import Entry, Meeting
from storage.store import Store
from tests.world import START, World, service

MINUTE, DAY = 60_000, 86_400_000
HOUR = 60 * MINUTE
NOON = "2026-01-05T12:00:00.000Z"  # the world starts at nine
ONE = "2026-01-05T13:00:00.000Z"
WEEKLY = {"mon": [["09:00", "17:00"]], "tue": [["09:00", "17:00"]]}


class MeetingWorld(World):
    """A world with a letterbox."""

    def __init__(self, *, store: Store | None = None, mail: bool = True, **ana: Any) -> None:
        agents: list[dict[str, Any]] = [
            {"id": "ana", "name": "Ana", "email": "ana@example.org", "working_hours": {"weekly": WEEKLY}, **ana},
            {"id": "mia", "email": "mia@example.org"},
            {"id": "bo"},
            {"id": "sam", "email": "sam@example.org", "working_hours": {"weekly": WEEKLY}},  # in no service
        ]
        services = [service("texts", "bo", channels=["sms"]), service("front", "ana mia/admin"), service("sales", "bo")]
        config: dict[str, Any] = {"services": services, "agents": agents}
        if mail:
            config["mail"] = {"sender": "house@signalbox.test"}
        self._read: set[str] = set()
        super().__init__(config, store=store, online=["ana", "mia", "bo", "sam"])

    def book(self, who: str = "ana", *, start: str = NOON, **params: Any) -> Meeting:
        """A meeting with ana; the house books it for a guest outside, and a contact for itself."""
        if not who.startswith("contact:"):
            params = {"email": "guest@example.org", **params}
        found: Meeting = self.say(who, "meeting.schedule", **{"agent": "ana", "start": start, **params}).meeting
        return found

    def mails(self) -> list[Mail]:
        """What has been mailed since the last look, each once; the mail server has taken it."""
        self.wait(0)
        found = {item.id: item for item in self.outgoing if isinstance(item, Mail)}
        fresh = [mail for name, mail in found.items() if name not in self._read]
        self._read |= found.keys()
        for mail in fresh:
            self.give(Mailed(mail.id, taken=True))
        return fresh

    def letters(self) -> list[tuple[str, str]]:
        """The same as (kind, recipient)."""
        return [(mail.kind, mail.recipient) for mail in self.mails()]

    def entries(self, conversation: str, who: str = "backend") -> list[Entry]:
        """The entries about meetings."""
        return [entry for entry in self.timeline(conversation, who) if entry.type == "meeting"]

    def reasons(self, conversation: str) -> list[str | None]:
        """What happened to the meetings of a conversation."""
        return [entry.reason for entry in self.entries(conversation)]


def data(mail: Mail) -> dict[str, Any]:
    """What a mail is made of."""
    found: dict[str, Any] = msgspec.json.decode(mail.data)
    return found


def clock(hour: int, minute: int = 0) -> int:
    """A time of the first day as a tick."""
    return START + (hour - 9) * HOUR + minute * MINUTE


def text(hour: int, minute: int = 0) -> str:
    """A time of the first day as it is written."""
    return f"2026-01-05T{hour:02}:{minute:02}:00.000Z"

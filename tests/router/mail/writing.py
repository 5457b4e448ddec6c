"""What the tests of mail share: a mail as the core asks for it, and answers of a small store."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.effects import Mail
from protocol.objects import By, Entry
from protocol.records import (
    ContactById,
    ContactRecord,
    ConversationById,
    ConversationRecord,
    FileById,
    FileRecord,
    MailKind,
    Question,
    Timeline,
)
from protocol.times import Moment
from router.mail.draft import Draft
from tests.world import START

ANA, NIA = By("agent", "ana"), By("contact", "nia")
MEETING = {
    "meeting": {
        "id": "m00000000000a",
        "agent": "ana",
        "start": "2026-01-05T12:00:00.000Z",
        "minutes": 30,
        "subject": "Plan",
        "email": "guest@example.org",
        "status": "confirmed",
        "conversation": "c1",
    },
    "reason": "scheduled",
    "method": "REQUEST",
    "sequence": 0,
    "changed_at": "2026-01-05T09:00:00.000Z",
    "time_zone": "Europe/Oslo",
    "organizer": "Ana",
    "attendees": [{"email": "guest@example.org", "name": None, "status": "NEEDS-ACTION", "role": "REQ-PARTICIPANT"}],
}


def digest(*parts: tuple[str, int, int], more: int = 0) -> dict[str, Any]:
    """The data of a digest: (conversation, unread, up_to) of each, and how many conversations it does not name."""
    named = [{"id": name, "unread": unread, "up_to": up_to} for name, unread, up_to in parts]
    total = sum(unread for _, unread, _ in parts)
    return {"conversations": named, "unread": total + more, "more": more, "time_zone": "UTC"}


def message(seq: int, text: str, by: By = ANA, **more: Any) -> Entry:
    return Entry(seq=seq, conversation="c1", at=Moment(START), type="message", by=by, text=text, **more)


def mail(kind: MailKind = "fallback", *, to: str = "nia@example.org", language: str = "en", **data: Any) -> Mail:
    text = msgspec.json.encode(data or {"entry": 7}).decode()
    return Mail(f"{kind}-7", kind, to, "c1", text, language, START)


class Shelf:
    """A store with one conversation."""

    def __init__(self, *entries: Entry) -> None:
        self.entries = entries or (message(7, "Hello <you>"),)
        self.asked: list[Question] = []

    def read(self, questions: Any) -> list[Any]:
        self.asked += questions
        return [self._answer(question) for question in questions]

    def _answer(self, question: Question) -> Any:
        match question:
            case Timeline():
                fitting = [entry for entry in self.entries if entry.seq <= question.up_to]
                return tuple(fitting[-question.limit :]), len(fitting) > question.limit
            case ContactById(id="nia"):
                return ContactRecord(id="nia", name="Nia")
            case ConversationById():
                return ConversationRecord(id=question.id, contact="nia")
            case FileById(id="f1"):
                return FileRecord(id="f1", owner="agent:ana", name="plan.pdf", type="x/y", size=1, created_at=0)
        return None

    def draft(self, item: Mail) -> Draft:
        draft = Draft(item, str.title)
        while questions := draft.questions():
            draft.absorb(questions, self.read(questions))
        return draft

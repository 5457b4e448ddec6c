"""What a mail is about: what has to be read for it, and what its template is told.

A record of a mail names entries, and never holds their texts. So a draft is asked for its ``questions`` until it has
none, like the core, and is then ``told``. It does no I/O itself; the driver and a simulation read for it.

    kind                     data                                                       read
    fallback                 entry                                                      the message
    digest                   conversations: [{id, unread, up_to}], unread, more,        the newest unread ones of each
                             time_zone
    forward                  messages, by                                               the messages
    invitation … reminder    meeting, organizer, attendees, time_zone, reason, …        nothing

Comments are never read: every question asks for messages only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from actors.effects import Mail
from protocol.objects import By, Entry
from protocol.records import ContactById, ConversationById, ConversationRecord, FileById, Question, Timeline

MESSAGES = frozenset({"message"})
CONVERSATIONS_SHOWN = 20  # of a digest
MESSAGES_SHOWN = 10  # of each
TEXT_SHOWN = 2_000  # characters of each

AgentName = Callable[[str], str]
Read = Callable[[Sequence[Question]], Awaitable[list[Any]]]  # raises StorageUnavailable


class Unwritable(Exception):  # noqa: N818 - what the mail is
    """This mail can never be written: what it is about is gone, or its template does not fit."""


class Said(Struct, frozen=True):
    """A message as a template sees it."""

    author: str | None  # None: somebody who has no name
    kind: str  # agent, contact, backend
    at: int  # tick
    text: str
    files: tuple[str, ...]  # names of the attached ones


class Thread(Struct, frozen=True):
    """A conversation of a digest, with the newest of what is unread."""

    title: str
    unread: int
    earlier: int  # unread ones that are not shown
    messages: tuple[Said, ...]


class Draft:
    """One mail in the making. Parameters: what the core asked for, and how agents are called."""

    def __init__(self, mail: Mail, agent_name: AgentName) -> None:
        self.mail = mail
        self.data: dict[str, Any] = msgspec.json.decode(mail.data)
        self._agent_name = agent_name
        self._answers: dict[Question, Any] = {}

    # ------------------------------------------------------------ reading

    def questions(self) -> list[Question]:
        """What must be read before it can be told; empty = nothing."""
        return list(dict.fromkeys(question for question in self._wanted() if question not in self._answers))

    def absorb(self, questions: Sequence[Question], answers: Sequence[Any]) -> None:
        """The answers, in the order of the questions."""
        self._answers.update(zip(questions, answers, strict=True))

    def _wanted(self) -> Iterator[Question]:
        for question in self._pages():
            yield question
            entries, _ = self._answers.get(question, ((), False))
            for entry in entries:
                yield from self._about(entry)
        for part in self._threads():
            yield ConversationById(part["id"])
            record = self._answers.get(ConversationById(part["id"]))
            if record is not None and record.contact is not None:
                yield ContactById(record.contact)

    def _about(self, entry: Entry) -> Iterator[Question]:
        if entry.by is not None and entry.by.kind == "contact" and entry.by.id is not None:
            yield ContactById(entry.by.id)
        for file in entry.attachments or ():
            yield FileById(file)

    def _pages(self) -> Iterator[Timeline]:
        """The parts of timelines it shows."""
        match self.mail.kind:
            case "fallback":
                yield self._entry(self.data["entry"])
            case "forward":
                yield from map(self._entry, self.data["messages"])
            case "digest":
                yield from map(_newest, self._threads())

    def _threads(self) -> list[dict[str, Any]]:
        return self.data["conversations"][:CONVERSATIONS_SHOWN] if self.mail.kind == "digest" else []

    def _entry(self, seq: int) -> Timeline:
        assert self.mail.conversation is not None
        return Timeline(self.mail.conversation, up_to=seq, limit=1, types=MESSAGES)

    # ------------------------------------------------------------ telling

    def told(self) -> dict[str, Any]:
        """What the template is told, by name. Raises Unwritable."""
        match self.mail.kind:
            case "fallback":
                return {"message": self._one(self.data["entry"])}
            case "forward":
                messages = [self._one(seq) for seq in self.data["messages"]]
                return {"by": self._name(msgspec.convert(self.data["by"], By)), "messages": messages}
            case "digest":
                parts = self.data["conversations"]
                threads = [self._thread(part) for part in self._threads()]
                others = len(parts) - len(threads) + self.data["more"]
                named = {name: self.data[name] for name in ("unread", "time_zone")}
                return {"threads": threads, "others": others, **named}
            case _:
                return self.data

    def _one(self, seq: int) -> Said:
        entries, _ = self._answers[self._entry(seq)]
        if not entries or entries[-1].seq != seq:
            raise Unwritable(f"there is no message {seq} in conversation {self.mail.conversation}")
        return self._said(entries[-1])

    def _thread(self, part: dict[str, Any]) -> Thread:
        entries, _ = self._answers[_newest(part)]
        messages = tuple(self._said(entry, TEXT_SHOWN) for entry in entries)
        record = self._answers.get(ConversationById(part["id"]))
        return Thread(self._title(record, part["id"]), part["unread"], part["unread"] - len(messages), messages)

    def _title(self, record: ConversationRecord | None, ident: str) -> str:
        if record is None:
            return ident
        contact = self._answers.get(ContactById(record.contact or ""))
        known = None if contact is None else contact.name
        return record.name or known or ident

    def _said(self, entry: Entry, most: int | None = None) -> Said:
        by, text = entry.by or By("system"), entry.text or ""
        shown = text if most is None or len(text) <= most else text[: most - 1] + "…"
        files = tuple(self._file(file) for file in entry.attachments or ())
        return Said(self._name(by), by.kind, int(entry.at), shown, files)

    def _name(self, by: By) -> str | None:
        if by.kind == "agent":
            return self._agent_name(by.id or "")
        record = self._answers.get(ContactById(by.id or ""))
        return None if by.kind != "contact" or record is None else record.name

    def _file(self, file: str) -> str:
        record = self._answers.get(FileById(file))
        return file if record is None else str(record.name)


def _newest(part: dict[str, Any]) -> Timeline:
    shown = min(part["unread"], MESSAGES_SHOWN)
    return Timeline(part["id"], up_to=part["up_to"], limit=max(1, shown), types=MESSAGES)

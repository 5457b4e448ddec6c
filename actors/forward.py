"""Forwarding: chosen messages of a conversation go by mail to addresses outside. [behaviour §6]

The timeline shows to the house what was forwarded and to whom; the contact learns nothing of it. Only messages can be
forwarded: what is a comment, or in another conversation, is refused before anything is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import mail
from actors.system import Turn
from protocol.errors import bad_params, refused
from protocol.objects import By, Entry
from protocol.outbox import MessageForward
from protocol.records import ConversationRecord, Timeline

if TYPE_CHECKING:
    from actors.core import Core
    from actors.house import House

MESSAGES = frozenset({"message"})


def questions(params: MessageForward) -> list[Timeline]:
    """What shows whether these are messages of the conversation, one for each."""
    return [Timeline(params.conversation, up_to=seq, limit=1, types=MESSAGES) for seq in sorted(set(params.messages))]


def check(core: Core, params: MessageForward) -> None:
    """Raises RequestError: not_found in a workspace without mail, −32602 for what is no message here."""
    if core.house.settings.mail is None:
        raise refused("not_found", "this workspace has no mail")
    for question in questions(params):
        entries, _ = core.memory.answer(question) or ((), False)
        if not entries or entries[-1].seq != question.up_to:
            raise bad_params("messages", "the seqs of messages of this conversation")


def forward(house: House, record: ConversationRecord, params: MessageForward, by: By, turn: Turn) -> Entry:
    """Write it down, and a mail to each address."""
    messages, to = tuple(sorted(set(params.messages))), tuple(dict.fromkeys(params.to))
    entry = house.note(turn, record, "forwarded", by, messages=messages, to=to)
    data = {"messages": messages, "by": by}
    for number, address in enumerate(to):
        mail.write(house, turn, f"e{entry.seq}-{number}", "forward", address, data, conversation=record.id)
    return entry

"""E-mail fallback: what the house writes to a web contact who is not there goes by mail, too. [S4; behaviour §6]

It is decided at the moment of the message, and stands in its entry, so the sender knows; a contact who comes online a
second later gets the mail all the same. Only messages of agents and of the backend are mailed, never comments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors import mail
from actors.system import Turn
from protocol.objects import Entry
from protocol.records import ContactRecord, ConversationRecord

if TYPE_CHECKING:
    from actors.house import House

CLASS = "chat"  # who writes by other classes of channels is reached there


def reader(house: House, record: ConversationRecord) -> ContactRecord | None:
    """The contact who would get a message by mail, if there is one now."""
    if house.settings.mail is None or record.channel_class != CLASS or record.address is not None:
        return None
    contact = house.contacts.get(record.contact or "")
    if contact is None or contact.sessions or contact.record.email is None:
        return None
    return contact.record


def write(house: House, entry: Entry, to: ContactRecord, turn: Turn) -> None:
    """Mail this message to them."""
    assert to.email is not None
    data = {"entry": entry.seq}
    ident = f"e{entry.seq}"
    mail.write(house, turn, ident, "fallback", to.email, data, conversation=entry.conversation, language=to.language)

"""Which request a conversation takes in which state: one table; everything else is refused. [behaviour §4, §7]

``found`` is how a request comes to its conversation, which must exist for whoever asks and take it now, from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.access import check_relation, check_sight
from protocol.errors import refused
from protocol.ids import Principal
from protocol.records import ConversationRecord

if TYPE_CHECKING:
    from actors.conversation import ConversationActor
    from actors.house import House

EVERY_STATE = frozenset({"open", "snoozed", "closed", "moved"})
#: method -> the states in which it is allowed; everything else is ``wrong_state`` with the state's name
ALLOWED: dict[str, frozenset[str]] = {
    "conversation.join": frozenset({"open", "snoozed"}),
    "conversation.leave": frozenset({"open", "snoozed", "closed"}),
    "conversation.decline": frozenset({"open"}),
    "conversation.grab": frozenset({"open", "snoozed", "closed", "moved"}),  # losers learn nothing of the state
    "conversation.move": frozenset({"open", "snoozed"}),
    "conversation.close": frozenset({"open", "snoozed"}),
    "conversation.reopen": frozenset({"closed"}),
    "conversation.wake": frozenset({"snoozed"}),
    "conversation.assign": frozenset({"open"}),
    "conversation.transfer": frozenset({"open"}),
    "conversation.snooze": frozenset({"open"}),
    "conversation.update": frozenset({"open", "snoozed", "closed"}),
    "message.send": frozenset({"open", "snoozed"}),
    "message.comment": frozenset({"open", "snoozed", "closed"}),
    "message.react": frozenset({"open", "snoozed", "closed"}),
    "message.forward": frozenset({"open", "snoozed", "closed"}),
    "conference.start": frozenset({"open", "snoozed"}),
    "meeting.schedule": frozenset({"open", "snoozed"}),
    "conversation.read": frozenset({"open", "snoozed", "closed"}),
    "conversation.invite": frozenset({"open", "snoozed", "closed"}),
    "conversation.remove": frozenset({"open", "snoozed", "closed"}),
}
#: what only a service can do with a conversation; a created one is in none [behaviour §7]
NEED_SERVICE = frozenset(
    f"conversation.{name}" for name in ("assign", "transfer", "move", "snooze", "wake", "grab", "decline")
)


def found(house: House, conversation: str, method: str, principal: Principal) -> ConversationActor:
    """The conversation that a request is about. Raises RequestError if somebody may not do that with it now."""
    actor = house.conversations.get(conversation)
    if actor is None:
        raise refused("not_found")
    check_sight(house, method, actor.record, principal)
    check_state(method, actor.record, principal)
    check_relation(house, method, actor.record, principal)
    return actor


def check_state(method: str, record: ConversationRecord, principal: Principal) -> None:
    """Raises RequestError (wrong_state, not_in_service) if the conversation's state does not allow it.

    A contact's message reopens.
    """
    if record.service is None and method in NEED_SERVICE:
        raise refused("not_in_service", "a created conversation is in no service")
    reopens = method == "message.send" and principal.role == "contact" and record.state == "closed"
    if not reopens and record.state not in ALLOWED.get(method, EVERY_STATE):
        raise refused("wrong_state", f"not while the conversation is {record.state}", state=record.state)

"""Uploaded files: who may see them, and when one that nobody sent is thrown away. [behaviour §6, attachments]

The contents lie with the shell; here is what is known of them. A file is seen by whoever uploaded it and, once it
was sent, by whoever sees a conversation it was sent in. One that was not sent within ``KEPT_MS`` is discarded:
the shell deletes its contents first and then says so, and until it has it is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from actors.access import may_see
from actors.effects import Discard, Discarded
from actors.messages import Due
from actors.system import Actor, Turn
from actors.wheel import Timer
from protocol.errors import bad_params, refused
from protocol.ids import Principal
from protocol.records import FileRecord
from protocol.times import MILLISECONDS

if TYPE_CHECKING:
    from msgspec import Struct

    from actors.house import House

KEPT_MS = 24 * MILLISECONDS["h"]
AGAIN_MS = MILLISECONDS["h"]


class FileActor(Actor):
    """One uploaded file. Those that were sent are in memory only while they are needed."""

    __slots__ = ("_asked_at", "_house", "record", "timer")
    record: FileRecord
    DERIVES = False

    def __init__(self, house: House, record: FileRecord) -> None:
        super().__init__()
        self._house = house
        self.record = record
        self.timer = Timer(self, "discard")
        self._asked_at = 0  # when the shell was last asked to delete it

    def receive(self, message: Struct, turn: Turn) -> None:
        """Its time is over, or its contents are gone."""
        match message:
            case Due():
                self._asked_at = max(turn.now, message.clock)
                turn.effects.append(Discard(self.record.id))
            case Discarded():
                self.record.deleted = not self.record.conversations
            case _:
                raise AssertionError(f"a file cannot take {message}")

    def settle(self, turn: Turn) -> None:
        """Arm the timer for the end of its time."""
        self.arm()

    def arm(self) -> None:
        """Bring the timer in line with the record."""
        self._house.wheel.keep(self.timer, self.earliest())

    def earliest(self) -> int | None:
        """When it is to be discarded, or None."""
        record = self.record
        if record.conversations or record.deleted:
            return None
        return max(record.created_at + KEPT_MS, self._asked_at + AGAIN_MS if self._asked_at else 0)


def keep(house: House, record: FileRecord, turn: Turn) -> None:
    """A file was uploaded."""
    actor = house.files[record.id] = FileActor(house, record)
    turn.spawned(actor)
    turn.undo.append(lambda: house.files.pop(record.id, None))


def seen(house: House, name: str, principal: Principal) -> FileRecord | None:
    """The file of this id, if there is one and this principal may see it."""
    actor = house.files.get(name)
    if actor is None or actor.record.deleted:
        return None
    record = actor.record
    own = record.owner in (principal.address, principal.owner)
    return record if own or _is_sent_to(house, record, principal) else None


def _is_sent_to(house: House, file: FileRecord, principal: Principal) -> bool:
    """Whether somebody sees a conversation it was sent in; a connector those of its channels."""
    for name in file.conversations:
        actor = house.conversations.get(name)
        if actor is None:
            continue
        if principal.role == "connector" and actor.record.channel in principal.channels:
            return True
        if may_see(house, actor.record, principal):
            return True
    return False


def check(house: House, names: Sequence[str], principal: Principal, field: str = "attachments") -> None:
    """Whether somebody may send these files. Raises RequestError (−32602, not_found)."""
    if not names:
        return
    if len(set(names)) != len(names):
        raise bad_params(field, "each file once")
    for name in names:
        if seen(house, name, principal) is None:
            raise refused("not_found", f"there is no file {name!r}, or you may not see it", field=field)


def check_picture(house: House, name: str, principal: Principal) -> None:
    """Whether somebody may make this file a conversation's picture. Raises RequestError (−32602, not_found)."""
    check(house, (name,), principal, "picture")
    if not house.files[name].record.type.startswith("image/"):
        raise bad_params("picture", "the id of an uploaded picture")


def attach(house: House, names: Sequence[str], conversation: str, turn: Turn) -> None:
    """These files are sent in a conversation: whoever sees it may fetch them from now on."""
    for name in names:
        actor = house.files[name]
        if conversation not in actor.record.conversations:
            record = turn.change(actor)
            record.conversations = (*record.conversations, conversation)

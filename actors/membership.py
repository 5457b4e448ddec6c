"""Who is in a conversation beside its contact and its assignee: invited, let in by the link, removed. [behaviour §7]

Agents who are in it are its crew and have joined it by hand; people outside are its ``members``, by the ids of their
contacts. Both together are at most ``MEMBERS_MAX``. Whoever is in it already stays in it, and nothing is said.
"""

from __future__ import annotations

from msgspec import UNSET

from actors import files
from actors.assignment import AssignedActor
from actors.messages import Admit, Invite, Merged, Remove
from actors.system import Turn
from actors.timeline import by_whom
from protocol.errors import refused
from protocol.members import MEMBERS_MAX
from protocol.objects import By
from protocol.records import ConversationRecord
from protocol.requests import ConversationUpdate


class SharedActor(AssignedActor):
    """The part of a conversation that lets people in and out."""

    __slots__ = ()

    def _invite(self, message: Invite, turn: Turn) -> None:
        record = self.record
        new = [who for who in dict.fromkeys(message.who) if not is_in(record, who)]
        check_room(len(record.crew) + len(record.members) + len(new))
        self._let_in(new)
        for who in new:
            self._note(turn, "invited", message.by, who=who, reason=message.by.kind)

    def _admit(self, message: Admit, turn: Turn) -> None:
        """By the link. The backend sees everything anyway, and is nobody's member."""
        record, by = self.record, by_whom(message.principal)
        if by.kind == "backend" or is_in(record, by):
            return
        check_room(len(record.crew) + len(record.members) + 1)
        if by.kind == "agent":
            self._join(message.principal, by, turn, reason="link")
        else:
            self._let_in([by])
            self._note(turn, "joined", by, reason="link")

    def _remove(self, message: Remove, turn: Turn) -> None:
        record = self.record
        gone = [who for who in dict.fromkeys(message.who) if is_in(record, who)]
        if By("contact", record.contact) in gone:
            raise refused("conflict", "the conversation is with this contact: close it instead")
        for who in gone:
            if who.kind == "agent":
                self._part(who.id or "", message.by, turn, who=who, reason="removed")
            else:
                record.members = tuple(member for member in record.members if member != who.id)
                self._note(turn, "left", message.by, who=who, reason="removed")

    def _share(self, params: ConversationUpdate, turn: Turn) -> None:
        """What an update says of the picture, of what people outside may do, and of the link: a new one each time."""
        record = self.record
        if params.picture is not UNSET:
            record.picture = params.picture
            files.attach(self._house, () if params.picture is None else (params.picture,), record.id, turn)
        if params.read_only is not None:
            record.read_only = params.read_only
        if params.by_link is not None and params.by_link != record.by_link:
            record.link = turn.secret if params.by_link else None

    def _let_in(self, new: list[By]) -> None:
        record = self.record
        agents = tuple(who.id for who in new if who.kind == "agent" and who.id is not None)
        record.crew, record.joined = (*record.crew, *agents), (*record.joined, *agents)
        contacts = [who.id for who in new if who.kind == "contact" and who.id is not None]
        if contacts:
            record.members = (*record.members, *contacts)

    def _merged(self, message: Merged, turn: Turn) -> None:
        """Its contact or a member has another name from now on. Said in the latest one of who stays, too."""
        record, old, new = self.record, message.contact, message.into
        record.contact = new if record.contact == old else record.contact
        if old in record.members or record.contact in record.members:
            names = dict.fromkeys(new if name == old else name for name in record.members)
            record.members = tuple(name for name in names if name != record.contact)
        if record.created_by == f"contact:{old}":
            record.created_by = f"contact:{new}"
        self._note(turn, "merged", message.by, who=By("contact", old), reason=message.reason)


def is_in(record: ConversationRecord, who: By) -> bool:
    """Whether somebody is in a conversation: as its contact, in its crew, as a member."""
    if who.kind == "agent":
        return who.id in record.crew
    return who.kind == "contact" and who.id in record.outside


def check_room(members: int) -> None:
    """Raises RequestError (too_many_members)."""
    if members > MEMBERS_MAX:
        raise refused("too_many_members", limit=MEMBERS_MAX)

"""Who is viewing a conversation and who is typing: told live, never stored. [S2]

The crew and whoever has it open hear of it; a contact learns only that somebody of the house types, or no longer.
Typing ends by itself after ``TYPING_MS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from actors.access import may_see
from actors.effects import Tell
from actors.messages import Due
from actors.system import Actor, Turn
from actors.wheel import Timer
from protocol.errors import refused
from protocol.ids import Principal
from protocol.notices import PresenceChanged
from protocol.objects import By
from protocol.records import ConversationRecord

if TYPE_CHECKING:
    from actors.house import House

TYPING_MS = 10_000
CHANGES_MAX = 50  # of one session in ``WINDOW_MS``
WINDOW_MS = 10_000
Doing = Literal["viewing", "typing", "idle"]


class Present(Struct, frozen=True):
    """A session said this."""

    session: int
    principal: Principal
    state: Doing


class Gone(Struct, frozen=True):
    """A session is gone."""

    session: int


class _Here:
    """What one session is doing."""

    __slots__ = ("changes", "principal", "since", "state", "typing_until")

    def __init__(self, principal: Principal, now: int) -> None:
        self.principal = principal
        self.state: Doing = "idle"
        self.typing_until: int | None = None
        self.changes = 0
        self.since = now


class PresenceActor(Actor):
    """Who is at one conversation. It exists while somebody is."""

    __slots__ = ("_here", "_house", "conversation", "record", "timer")

    def __init__(self, house: House, conversation: str) -> None:
        super().__init__()
        self.record = None
        self.conversation = conversation
        self.timer = Timer(self, "typing")
        self._house = house
        self._here: dict[int, _Here] = {}

    @property
    def address(self) -> str:
        """What it is called in logs."""
        return f"presence:{self.conversation}"

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        match message:
            case Present():
                self._present(message, turn)
            case Gone():
                self._set(message.session, "idle", turn)
                self._here.pop(message.session, None)
            case Due():
                for session, here in tuple(self._here.items()):
                    if here.typing_until is not None and here.typing_until <= turn.now:
                        self._set(session, "viewing" if here.principal.role == "agent" else "idle", turn)
            case _:
                raise AssertionError(f"presence cannot take {message}")

    def settle(self, turn: Turn) -> None:
        """Arm the timer for the first end of typing; be gone if nobody is here."""
        self.arm()
        if not self._here:
            self._house.presences.pop(self.conversation, None)

    def arm(self) -> None:
        """Bring the timer in line."""
        ends = [here.typing_until for here in self._here.values() if here.typing_until is not None]
        if not ends:
            self._house.wheel.cancel(self.timer)
        elif not self.timer.armed or self.timer.deadline != min(ends):
            self._house.wheel.arm(self.timer, min(ends))

    def rearm(self) -> None:
        """The wheel is a new one."""
        self.timer = Timer(self, "typing")
        self.arm()

    def openers(self) -> list[Principal]:
        """Who has it open: whose last word was viewing or typing."""
        return [here.principal for here in self._here.values() if here.state != "idle"]

    def holds(self, session: int) -> bool:
        """Whether this session has said anything here."""
        return session in self._here

    def _present(self, message: Present, turn: Turn) -> None:
        here = self._here.get(message.session)
        if here is None:
            here = self._here[message.session] = _Here(message.principal, turn.now)
        if turn.now - here.since >= WINDOW_MS:
            here.since, here.changes = turn.now, 0
        if here.state != message.state:
            here.changes += 1
            if here.changes > CHANGES_MAX:
                retry_after_s = (here.since + WINDOW_MS - turn.now) / 1000
                raise refused("rate_limited", "presence changes too often", retry_after_s=retry_after_s)
        state = message.state
        if message.principal.role == "contact" and state == "viewing":
            state = "idle"  # the house sees a contact's presence by its session
        here.typing_until = turn.now + TYPING_MS if state == "typing" else None
        self._set(message.session, state, turn)
        if state == "idle" and here.changes == 0:
            del self._here[message.session]

    def _set(self, session: int, state: Doing, turn: Turn) -> None:
        here = self._here.get(session)
        if here is None or here.state == state:
            return
        before, here.state = here.state, state
        if state != "typing":
            here.typing_until = None
        self._tell(here.principal, before, state, turn)

    def _tell(self, who: Principal, before: Doing, state: Doing, turn: Turn) -> None:
        """The house hears who it is; a contact only of typing, and not by whom."""
        actor = self._house.conversations.get(self.conversation)
        if actor is None:  # closed long ago, and no longer in memory
            return
        record = actor.record
        kind: Literal["agent", "contact", "backend"] = "agent" if who.role == "agent" else "backend"
        by = By("contact" if who.role == "contact" else kind, who.sub)
        inside = dict.fromkeys(f"agent:{agent}" for agent in record.crew)
        inside.update(dict.fromkeys(openers(self._house, self.conversation)))
        inside.pop(who.address, None)
        if inside:
            turn.effects.append(Tell(tuple(inside), PresenceChanged(self.conversation, by, state)))
        if who.role != "contact" and _has_contact(record) and "typing" in (before, state):
            seen: Doing = "typing" if state == "typing" else "idle"
            notice = PresenceChanged(self.conversation, By("agent"), seen)
            turn.effects.append(Tell((f"contact:{record.contact}",), notice))


def _has_contact(record: ConversationRecord) -> bool:
    """Whether there is a contact for whom it exists: not for a stub."""
    return record.contact is not None and record.state != "moved"


def openers(house: House, conversation: str) -> list[str]:
    """The addresses of those of the house who have a conversation open and may still see it."""
    presence = house.presences.get(conversation)
    if presence is None:
        return []
    record = house.conversations[conversation].record
    return [
        opener.address for opener in presence.openers() if opener.role != "contact" and may_see(house, record, opener)
    ]

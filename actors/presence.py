"""Who is viewing a conversation and who is typing: told live, never stored. [S2]

People are told, not sessions: a person does the strongest of what its sessions do, typing before viewing. The crew and
whoever has the conversation open hear when that changes. A contact learns only that somebody of the house types, and
when nobody does any more. Typing ends by itself after ``TYPING_MS``; whoever may see the conversation no longer, is no
longer at it.

Changes are counted by session in ``House.paces``, because what is here is forgotten once everybody is idle.
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
from protocol.frozen import Frozen
from protocol.ids import Principal
from protocol.notices import PresenceChanged
from protocol.objects import By
from protocol.records import ConversationRecord, ServiceRecord

if TYPE_CHECKING:
    from actors.house import House

TYPING_MS = 10_000
CHANGES_MAX = 100  # of one session in ``WINDOW_MS``
WINDOW_MS = 10_000
Doing = Literal["viewing", "typing", "idle"]


class Present(Frozen, frozen=True):
    """A session said this."""

    session: int
    principal: Principal
    state: Doing


class Gone(Frozen, frozen=True):
    """A session is gone."""

    session: int


class Here(Frozen, frozen=True):
    """What one session is doing that is not idle."""

    principal: Principal
    state: Doing
    typing_until: int | None = None


class PresenceActor(Actor):
    """Who is at one conversation. It exists while somebody is."""

    __slots__ = ("_here", "_house", "conversation", "record", "timer")

    def __init__(self, house: House, conversation: str) -> None:
        super().__init__()
        self.record = None
        self.conversation = conversation
        self.timer = Timer(self, "typing")
        self._house = house
        self._here: dict[int, Here] = {}  # by session; replaced, never changed

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
                self._become({name: here for name, here in self._here.items() if name != message.session}, turn)
            case Due():
                self._become(dict(self._after(turn.now)), turn)
            case _:
                raise AssertionError(f"presence cannot take {message}")

    def settle(self, turn: Turn) -> None:
        """Arm the timer for the first end of typing; be gone if nobody is here."""
        self._register()

    def rearm(self) -> None:
        """The wheel is a new one."""
        self.timer = Timer(self, "typing")
        self._register()

    def openers(self) -> list[Principal]:
        """Who has it open: whose last word was viewing or typing. One line a session."""
        return [here.principal for here in self._here.values()]

    def holds(self, session: int) -> bool:
        """Whether this session is viewing or typing."""
        return session in self._here

    def look_again(self, record: ConversationRecord, turn: Turn) -> None:
        """Sight of the conversation may have changed: whoever may not see it is not here."""
        seeing = {name: here for name, here in self._here.items() if may_see(self._house, record, here.principal)}
        if len(seeing) < len(self._here):
            turn.change(self)
            self._become(seeing, turn)

    def _present(self, message: Present, turn: Turn) -> None:
        session, state = message.session, message.state
        if message.principal.role == "contact" and state == "viewing":
            state = "idle"  # the house sees a contact's presence by its session
        old = self._here.get(session)
        if state != ("idle" if old is None else old.state):
            self._count(session, turn.now)
        here = {name: other for name, other in self._here.items() if name != session}
        if state != "idle":
            here[session] = Here(message.principal, state, turn.now + TYPING_MS if state == "typing" else None)
        self._become(here, turn)

    def _count(self, session: int, now: int) -> None:
        """Raises RequestError (rate_limited)."""
        paces = self._house.paces
        since, changes = paces.get(session, (now, 0))
        if now - since >= WINDOW_MS:
            since, changes = now, 0
        if changes >= CHANGES_MAX:
            retry_after_s = (since + WINDOW_MS - now) / 1000
            raise refused("rate_limited", "presence changes too often", retry_after_s=retry_after_s)
        paces[session] = (since, changes + 1)

    def _after(self, now: int) -> list[tuple[int, Here]]:
        """Who is here when what typing is over is over: agents go on viewing."""
        found = []
        for session, here in self._here.items():
            if here.typing_until is None or here.typing_until > now:
                found.append((session, here))
            elif here.principal.role == "agent":
                found.append((session, Here(here.principal, "viewing")))
        return found

    def _become(self, here: dict[int, Here], turn: Turn) -> None:
        """These are here from now on; tell what has changed."""
        before, self._here = self._here, here
        turn.undo.append(lambda: self._take_back(before))
        was, now = _people(before), _people(here)
        for who in {**was, **now}:
            if was.get(who, "idle") != now.get(who, "idle"):
                self._tell_house(who, now.get(who, "idle"), turn)
        types = _house_types(now)
        if types != _house_types(was):
            self._tell_contact("typing" if types else "idle", turn)

    def _take_back(self, before: dict[int, Here]) -> None:
        self._here = before
        self._register()

    def _register(self) -> None:
        """Be known while somebody is here, with the timer armed for the first end of typing."""
        presences, ends = self._house.presences, [here.typing_until for here in self._here.values()]
        if self._here:
            presences[self.conversation] = self
        elif presences.get(self.conversation) is self:
            del presences[self.conversation]
        due = min((end for end in ends if end is not None), default=None)
        if due is None:
            self._house.wheel.cancel(self.timer)
        elif not self.timer.armed or self.timer.deadline != due:
            self._house.wheel.arm(self.timer, due)

    def _tell_house(self, who: By, state: Doing, turn: Turn) -> None:
        """Everybody of the house who is at it, but not the person itself, hears who it is."""
        actor = self._house.conversations.get(self.conversation)
        if actor is None:  # closed long ago, and no longer in memory
            return
        inside = dict.fromkeys(
            (*(f"agent:{agent}" for agent in actor.record.crew), *openers(self._house, actor.record))
        )
        inside.pop(f"{who.kind}:{who.id}", None)
        if inside:
            turn.effects.append(Tell(tuple(inside), PresenceChanged(self.conversation, who, state)))

    def _tell_contact(self, state: Doing, turn: Turn) -> None:
        """People outside hear that somebody types, and not who. There is nobody to hear it of a stub."""
        actor = self._house.conversations.get(self.conversation)
        if actor is not None and actor.record.outside and actor.record.state != "moved":
            to = tuple(f"contact:{contact}" for contact in actor.record.outside)
            turn.effects.append(Tell(to, PresenceChanged(self.conversation, By("agent"), state)))


def openers(house: House, record: ConversationRecord) -> list[str]:
    """The addresses of those of the house who have a conversation open and may still see it."""
    presence = house.presences.get(record.id)
    if presence is None:
        return []
    return [who.address for who in presence.openers() if who.role != "contact" and may_see(house, record, who)]


def look_again(house: House, turn: Turn) -> None:
    """The turn is quiet: wherever sight may have changed, whoever has lost it is no longer there."""
    if not house.presences:
        return
    records, services = [], set()
    for actor, old in turn.before.items():
        if isinstance(actor.record, ConversationRecord) and actor.record.id in house.presences:
            records.append(actor.record)
        elif isinstance(old, ServiceRecord) and (old.settings, old.deleted) != (
            actor.record.settings,
            actor.record.deleted,
        ):
            services.add(old.id)
    if services:
        known = (house.conversations[name].record for name in house.presences if name in house.conversations)
        records.extend(record for record in known if record.service in services)
    for record in records:
        if record.id in house.presences:
            house.presences[record.id].look_again(record, turn)


def _people(sessions: dict[int, Here]) -> dict[By, Doing]:
    """What each person does: the strongest of what its sessions do."""
    found: dict[By, Doing] = {}
    for here in sessions.values():
        role = here.principal.role
        assert role != "connector"
        who = By(role, here.principal.sub)
        if found.get(who) != "typing":
            found[who] = here.state
    return found


def _house_types(people: dict[By, Doing]) -> bool:
    return any(state == "typing" and who.kind != "contact" for who, state in people.items())

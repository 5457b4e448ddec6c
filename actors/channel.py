"""A channel's way out: messages wait here until a connector has acknowledged them. [protocol §4]

One session of the channel's connectors is served at a time, in the order of the entries; when it ends, everything not
acknowledged goes to the next, in that order again. So a connector that takes what it hears in turn keeps the order of
each address. At most ``WINDOW`` messages are on their way at once, so that a long outage does not drown the connector
that comes back.

What became of a message is told to its conversation as it rises (``RISES``); what is repeated or comes too late
changes nothing. A message costs O(log of those that wait).
"""

from __future__ import annotations

from functools import partial
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

from msgspec import structs

from actors.effects import Tell
from actors.messages import Deliver, Delivered, Fate, Kept, Resend, SessionEnded, SessionStarted
from actors.system import Actor, Turn
from protocol.notices import ConnectorDeliver
from protocol.objects import Entry
from protocol.records import DeliveryRecord

if TYPE_CHECKING:
    from msgspec import Struct

    from actors.house import House

WINDOW = 256
#: what may follow what; everything else is old news. What has arrived has not failed.
RISES = {
    "pending": frozenset({"sent", "delivered", "read", "failed"}),
    "sent": frozenset({"delivered", "read", "failed"}),
    "delivered": frozenset({"read"}),
    "read": frozenset(),
    "failed": frozenset(),
}


class ChannelActor(Actor):
    """One channel. ``pending`` holds what no connector has acknowledged, by seq."""

    __slots__ = ("_house", "_on_the_way", "_unsent", "name", "pending", "record", "sessions")

    def __init__(self, house: House, name: str) -> None:
        super().__init__()
        self._house = house
        self.name = name
        self.record = None  # its state is its deliveries, which are records of their own
        self.pending: dict[int, tuple[DeliveryRecord, Entry]] = {}
        self.sessions: dict[int, None] = {}  # the first is served
        self._on_the_way: set[int] = set()  # which of these the served session has
        self._unsent: list[int] = []  # a heap of the others, and of some that wait no longer

    @property
    def address(self) -> str:
        """What it is called in logs."""
        return f"channel:{self.name}"

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        match message:
            case Deliver():
                self._deliver(message, turn)
            case Delivered():
                self._delivered(message, turn)
            case Resend():
                self._resend(message, turn)
            case SessionStarted():
                self.sessions[message.session] = None
                turn.undo.append(lambda: self.sessions.pop(message.session, None))
                if len(self.sessions) == 1:
                    self._send_again(turn)
            case SessionEnded():
                served = next(iter(self.sessions), None)
                self.sessions.pop(message.session, None)
                turn.undo.append(lambda: self.sessions.update({message.session: None}))
                if served == message.session:
                    self._send_again(turn)
            case _:
                raise AssertionError(f"a channel cannot take {message}")

    def load(self, delivery: DeliveryRecord, entry: Entry) -> None:
        """A message that was on its way out when the process ended."""
        self._put(delivery, entry)

    # ------------------------------------------------------------ what goes out

    def _deliver(self, message: Deliver, turn: Turn) -> None:
        entry = message.entry
        delivery = DeliveryRecord(
            seq=entry.seq,
            conversation=entry.conversation,
            channel=self.name,
            address=message.address,
            waited_since=message.waited_since,
            changed_at=turn.now,
        )
        self._send(delivery, None, entry, turn)

    def _resend(self, message: Resend, turn: Turn) -> None:
        """One that had failed starts over, before whatever waits for its address."""
        delivery = structs.replace(message.delivery, status="pending", error=None, changed_at=turn.now)
        self._send(delivery, message.delivery, message.entry, turn)

    def _send(self, delivery: DeliveryRecord, was: DeliveryRecord | None, entry: Entry, turn: Turn) -> None:
        self._put(delivery, entry)
        turn.undo.append(partial(self._take, delivery.seq))
        turn.effects.append(Kept(delivery, was))
        self._fill(turn)

    def _fill(self, turn: Turn) -> None:
        """Send what fits into the window to the served session."""
        served = next(iter(self.sessions), None)
        while served is not None and self._unsent and len(self._on_the_way) < WINDOW:
            seq = heappop(self._unsent)
            if seq not in self.pending or seq in self._on_the_way:
                continue
            delivery, entry = self.pending[seq]
            self._on_the_way.add(seq)
            turn.undo.append(partial(self._call_back, seq))
            turn.effects.append(Tell((served,), ConnectorDeliver(entry, delivery.channel, delivery.address)))

    def _send_again(self, turn: Turn) -> None:
        """Another session is served now: whatever nobody acknowledged starts over, the oldest first."""
        self._on_the_way.clear()
        self._unsent = list(self.pending)
        heapify(self._unsent)
        self._fill(turn)

    # ------------------------------------------------------------ what became of it

    def _delivered(self, message: Delivered, turn: Turn) -> None:
        params = message.params
        pending = self.pending.get(params.entry)
        known = message.known if pending is None else pending[0]
        assert known is not None
        if params.status in RISES[known.status]:
            error = params.error if params.status == "failed" else None
            delivery = structs.replace(known, status=params.status, error=error, changed_at=turn.now)
            turn.effects.append(Kept(delivery, known))
            turn.send(self._house.conversations[known.conversation], Fate(delivery))
        if pending is not None:
            on_its_way = known.seq in self._on_the_way
            self._take(known.seq)
            turn.undo.append(partial(self._put_back, *pending, on_its_way))
            self._fill(turn)

    # ------------------------------------------------------------ what is pending

    def _put(self, delivery: DeliveryRecord, entry: Entry) -> None:
        self.pending[delivery.seq] = (delivery, entry)
        heappush(self._unsent, delivery.seq)

    def _take(self, seq: int) -> None:
        del self.pending[seq]
        self._on_the_way.discard(seq)

    def _put_back(self, delivery: DeliveryRecord, entry: Entry, on_its_way: bool) -> None:
        self._put(delivery, entry)
        if on_its_way:
            self._on_the_way.add(delivery.seq)

    def _call_back(self, seq: int) -> None:
        """It was never sent after all."""
        if seq in self._on_the_way:
            self._on_the_way.discard(seq)
            heappush(self._unsent, seq)

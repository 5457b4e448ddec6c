"""A channel's way out: messages wait here until a connector has acknowledged them. [protocol §4]

One session of the channel's connectors is served at a time; when it ends, everything not acknowledged goes
to the next, in order. At most ``WINDOW`` messages are on their way at once, so that a long outage does not
drown the connector that comes back.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from actors.effects import Tell
from actors.messages import Deliver, Delivered, SessionEnded, SessionStarted
from actors.system import Actor, Turn
from protocol.notices import ConnectorDeliver
from protocol.objects import Entry
from protocol.records import DeliveryRecord

if TYPE_CHECKING:
    from msgspec import Struct

WINDOW = 256
RANKS = {"pending": 0, "sent": 1, "delivered": 2, "read": 3, "failed": 4}


class ChannelActor(Actor):
    """One channel. ``pending`` holds what no connector has acknowledged, by seq."""

    __slots__ = ("_on_the_way", "_unsent", "name", "pending", "record", "sessions")

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.record = None  # its state is its deliveries, which are records of their own
        self.pending: dict[int, tuple[DeliveryRecord, Entry]] = {}
        self.sessions: dict[int, None] = {}  # the first is served
        self._unsent: deque[int] = deque()
        self._on_the_way: set[int] = set()

    def receive(self, message: Struct, turn: Turn) -> None:
        """Handle one message."""
        match message:
            case Deliver():
                self._deliver(message, turn)
            case Delivered():
                self._delivered(message, turn)
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
        self.pending[delivery.seq] = (delivery, entry)
        self._unsent.append(delivery.seq)

    def _deliver(self, message: Deliver, turn: Turn) -> None:
        entry = message.entry
        delivery = DeliveryRecord(
            seq=entry.seq, conversation=entry.conversation, channel=self.name, address=message.address
        )
        self.pending[entry.seq] = (delivery, entry)
        turn.undo.append(lambda: self._forget(entry.seq))
        turn.effects.append(delivery)
        self._unsent.append(entry.seq)
        self._fill(turn)

    def _delivered(self, message: Delivered, turn: Turn) -> None:
        params = message.params
        pending = self.pending.get(params.entry)
        known = message.known if pending is None else pending[0]
        assert known is not None
        if RANKS[params.status] > RANKS[known.status]:
            turn.effects.append(msgspec.structs.replace(known, status=params.status, error=params.error))
        if pending is not None:
            del self.pending[params.entry]
            turn.undo.append(lambda: self._put_back(*pending))
            self._on_the_way.discard(params.entry)
            self._fill(turn)

    def _fill(self, turn: Turn) -> None:
        """Send what fits into the window to the served session."""
        served = next(iter(self.sessions), None)
        while served is not None and self._unsent and len(self._on_the_way) < WINDOW:
            seq = self._unsent.popleft()
            if seq in self.pending:
                delivery, entry = self.pending[seq]
                self._on_the_way.add(seq)
                turn.effects.append(Tell((served,), ConnectorDeliver(entry, delivery.channel, delivery.address)))

    def _send_again(self, turn: Turn) -> None:
        """Another session is served now: whatever nobody acknowledged starts over, in order."""
        self._start_over()
        self._fill(turn)

    def _start_over(self) -> None:
        self._on_the_way.clear()
        self._unsent = deque(sorted(self.pending))

    def _forget(self, seq: int) -> None:
        self.pending.pop(seq, None)
        self._start_over()

    def _put_back(self, delivery: DeliveryRecord, entry: Entry) -> None:
        self.pending[delivery.seq] = (delivery, entry)
        self._start_over()

"""Sessions that send requests by number, and the ledger of what became of each. asyncio, one thread, callbacks only.

Every request has a number, which goes with it in its id and its text (or the name of its contact), so an
acknowledgement and a delivery are both found again without a look at the server's ids. ``kinds`` are in
``loadtest.traffic``; the pace is kept by ``loadtest.openloop``.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from hdrh.histogram import HdrHistogram
from msgspec import Struct

from bench.house import House
from bench.websocket import CLOSE, PING, PONG, TEXT, Session, frame
from protocol.ids import Role

FIRST = 1_000_000  # ids of requests by number begin here; those below are the session's own
HIGHEST_US, DIGITS = 120_000_000, 3
AT_ONCE = 64  # connections
clock = time.perf_counter


class Ledger:
    """By the number of each request: when it was due, when it was acknowledged, when it was delivered (seconds)."""

    def __init__(self) -> None:
        self.due = array("d")
        self.acknowledged = array("d")  # 0 = not
        self.delivered = array("d")
        self.counts = [0, 0]  # acknowledged, delivered
        self.errors: Counter[str] = Counter()
        self.twice = 0  # delivered again

    def __len__(self) -> int:
        return len(self.due)

    def ask(self, due: float) -> int:
        """One more; its number."""
        self.due.append(due)
        self.acknowledged.append(0.0)
        self.delivered.append(0.0)
        return len(self.due) - 1

    def acknowledge(self, number: int, now: float) -> None:
        """It was answered."""
        self.acknowledged[number] = now
        self.counts[0] += 1

    def deliver(self, number: int, now: float) -> None:
        """It was heard by whom it was for."""
        if self.delivered[number]:
            self.twice += 1
        else:
            self.delivered[number] = now
            self.counts[1] += 1

    @property
    def is_done(self) -> bool:
        """All that was asked was acknowledged (or refused), and delivered."""
        refused = sum(self.errors.values())
        return min(self.counts) + refused >= len(self.due)

    def missing(self, begin: int = 0) -> dict[str, int]:
        """What did not come, of the requests from this number on."""
        numbers = range(begin, len(self.due))
        lost = {
            "not acknowledged": sum(not self.acknowledged[n] for n in numbers),
            "acknowledged, not delivered": sum(bool(self.acknowledged[n]) and not self.delivered[n] for n in numbers),
            "delivered twice": self.twice,
        }
        return {what: number for what, number in lost.items() if number}

    def histogram(self, begin: int = 0, *, delivered: bool = False) -> HdrHistogram:
        """Microseconds from the scheduled moment to the acknowledgement, or to the delivery."""
        when = self.delivered if delivered else self.acknowledged
        made = HdrHistogram(1, HIGHEST_US, DIGITS)
        times = Counter(int(1e6 * (when[n] - self.due[n])) for n in range(begin, len(self.due)) if when[n])
        for value, count in times.items():
            made.record_value(min(max(1, value), HIGHEST_US), count)
        return made


class _Contact(Struct):
    name: str | None = None


class _Conversation(Struct):
    id: str
    contact: _Contact | None = None


class _Entry(Struct):
    type: str
    text: str | None = None


class _Params(Struct):
    entry: _Entry | None = None
    conversation: _Conversation | str | None = None


class _Error(Struct):
    code: int
    data: dict[str, Any] | None = None


class Heard(Struct):
    """As much of a message as is looked at; msgspec skips the rest."""

    id: int | None = None
    method: str | None = None
    params: _Params | None = None
    error: _Error | None = None


_decode = msgspec.json.Decoder(Heard | list[Heard]).decode


class Sender(Session):
    """A session that asks by number and hears by number."""

    def __init__(self, host: str, port: int, token: str, ledger: Ledger, batch: bool) -> None:
        super().__init__(host, port, token, ledger.errors)
        self.batch = batch
        self.ledger = ledger
        self.told: Callable[[Sender, int], None] | None = None  # after a frame: so many more were acknowledged
        self.counting = False  # from now on everything is by number
        self.hears = False  # what it hears counts as delivered
        self.deaf = False  # bytes are counted and thrown away
        self.bytes_heard = 0

    def write(self, payload: bytes) -> None:
        """Send one frame."""
        self._transport.write(frame(TEXT, payload))

    def data_received(self, data: bytes) -> None:
        self.bytes_heard += len(data)
        if not self.deaf:
            super().data_received(data)

    def _take(self, first: int, payload: bytes) -> None:
        if not self.counting:
            super()._take(first, payload)
        elif first == TEXT:
            self._count(payload)
        elif first == PING:
            self._transport.write(frame(PONG, payload))
        elif first == CLOSE:
            self.ending = f"closed: {int.from_bytes(payload[:2], 'big')}"

    def _count(self, payload: bytes) -> None:
        found, now, ledger, before = _decode(payload), clock(), self.ledger, self.ledger.counts[0]
        for item in found if isinstance(found, list) else (found,):
            if item.method is not None:
                if self.hears and (number := number_of(item)) is not None:
                    ledger.deliver(number, now)
            elif item.error is not None:
                data = item.error.data or {}
                ledger.errors[str(data.get("reason", item.error.code))] += 1
            elif item.id is not None and item.id >= FIRST:
                ledger.acknowledge(item.id - FIRST, now)
        if self.told is not None and ledger.counts[0] > before:
            self.told(self, ledger.counts[0] - before)


def number_of(notice: Heard) -> int | None:
    """Which request this notice delivers: a message's, by its text, or a new conversation's, by its contact's name."""
    params = notice.params
    if params is None:
        return None
    if notice.method == "conversation.entry" and params.entry is not None and params.entry.type == "message":
        text = (params.entry.text or "").partition(" ")[0]
        return int(text) if text.isdecimal() else None
    if notice.method == "conversation.assigned" and isinstance(params.conversation, _Conversation):
        contact = params.conversation.contact
        name = (contact.name or "") if contact is not None else ""
        return int(name) if name.isdecimal() else None
    return None


class Crowd:
    """All sessions of a measurement: ``agents``, who hear, and ``senders``, who ask."""

    def __init__(self, house: House, *, batch: bool = True) -> None:
        self.house = house
        self.ledger = Ledger()
        self.agents: list[Sender] = []
        self.senders: list[Sender] = []
        self._batch = batch

    async def come(self, agents: int, senders: int, role: Role, *, sessions: int = 1) -> None:
        """``sessions`` of each agent, the first of which is heard for the ledger, and so many senders of this role."""
        channels = ("sms",) if role == "connector" else ()
        tokens = [self.house.token(role, f"{role}{number}", *channels) for number in range(senders)]
        self.senders = await self._open(tokens)
        names = [f"a{number}" for number in range(agents) for _ in range(sessions)]
        self.agents = await self._open([self.house.token("agent", name) for name in names])
        first = self.agents[::sessions]
        for agent in first:
            agent.hears = True
        await asyncio.gather(*(asked_of(agent, "agent.set_availability", available=True) for agent in first))

    async def _open(self, tokens: list[str]) -> list[Sender]:
        loop, made = asyncio.get_running_loop(), []
        host, port = self.house.address
        for begin in range(0, len(tokens), AT_ONCE):
            jobs = [
                loop.create_connection(partial(Sender, host, port, token, self.ledger, self._batch), host, port)
                for token in tokens[begin : begin + AT_ONCE]
            ]
            came = [client for _, client in await asyncio.gather(*jobs)]
            await asyncio.gather(*(client.ready for client in came))
            made += came
        return made

    def count(self) -> None:
        """From now on what is heard goes into the ledger only."""
        for client in (*self.agents, *self.senders):
            client.counting = True

    @property
    def is_broken(self) -> bool:
        """Whether a session has ended: then nothing more will be complete."""
        return any(client.ending for client in (*self.agents, *self.senders))

    def leave(self) -> None:
        """Everybody goes."""
        for client in (*self.agents, *self.senders):
            client.close()


async def asked_of(client: Session, method: str, **params: Any) -> dict[str, Any]:
    """One request, waited for."""
    answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    client.call(method, lambda result: answer.done() or answer.set_result(result), **params)
    async with asyncio.timeout(60):
        return await answer

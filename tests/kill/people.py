"""Who keeps the server busy: agents, contacts on the web, and connectors with contacts behind them."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from tests.kill.client import Client, Place
from tests.kill.ledger import Entry

AGENTS = ("ana", "bo", "cy", "dee")
MANAGER = "mia"
SERVICES = ("support", "sales")
CHANNELS = ("sms", "whatsapp")
CONTACTS = 10
AWAY_S = (0.02, 0.02, 1.4)  # after a cut; the longest outlasts the grace
ADDRESSES = 12  # behind each connector
#: what an agent does, and how often
DOINGS = {"send": 45, "note": 8, "snooze": 16, "wake": 3, "close": 9, "decline": 4, "transfer": 8}

_SERVICE = """
[[services]]
id = "{name}"
strategy = "{strategy}"
members = [{members}, {{agent = "mia", role = "admin"}}]
disconnect_grace = "900ms"
decline_pause = "200ms"
auto_close_after = "3s"
escalation = [{{after = "500ms", do = "notify", agents = ["dee"]}}, {{after = "1100ms", do = "add_managers"}}]
"""


def _service(name: str, strategy: str, *members: str) -> str:
    listed = ", ".join(f'{{agent = "{member}"}}' for member in members)
    return _SERVICE.format(name=name, strategy=strategy, members=listed)


CONFIG = (
    _service("support", "longest_idle", "ana", "bo", "cy")
    + _service("sales", "least_busy", "cy", "dee")
    + "".join(f'[[agents]]\nid = "{name}"\ncapacity = {{messaging = 6, chat = 4}}\n' for name in AGENTS)
    + f'[[agents]]\nid = "{MANAGER}"\n'
)


class Person(Client):
    """Does something, waits a little, and does the next thing; sometimes without waiting for the answer."""

    pause_s = (0.002, 0.02)

    async def behave(self) -> None:
        """Until everybody rests."""
        async with asyncio.TaskGroup() as doing:
            await self.begin()
            while not self.place.resting:
                task = doing.create_task(self.act())
                if self.rng.random() < 0.7:
                    await task
                await self.mishap(doing)
                await asyncio.sleep(self.rng.uniform(*self.pause_s))

    async def mishap(self, doing: asyncio.TaskGroup) -> None:
        """A link that is cut; a request that is sent once more though it was answered."""
        chance = self.rng.random()
        if chance < 0.01:
            self.cut(self.rng.choice(AWAY_S))
        elif chance < 0.05:
            doing.create_task(self.repeat())

    async def begin(self) -> None:
        """The first thing it does."""

    async def act(self) -> None:
        """The next thing it does."""


class Agent(Person):
    """Answers, notes, snoozes, closes, hands over."""

    def __init__(self, place: Place, sub: str, rng: random.Random) -> None:
        super().__init__(place, "agent", sub, rng)
        self.known: dict[str, None] = {}

    def on_entry(self, entry: Entry) -> None:
        if entry["type"] == "assigned" and entry["agent"] == self.ledger.sub:
            self.known[entry["conversation"]] = None
        elif (
            entry["type"] in ("assigned", "closed", "unassigned") and self.rng.random() < 0.9
        ):  # else it is in for a refusal
            self.known.pop(entry["conversation"], None)

    async def begin(self) -> None:
        await self.change("agent.set_availability", available=True)

    async def act(self) -> None:
        if not self.known:
            return
        rng, conversation = self.rng, self.rng.choice(list(self.known))
        match rng.choices(list(DOINGS), list(DOINGS.values()))[0]:
            case "send":
                await self.change("message.send", conversation=conversation, text=self.word())
            case "note":
                await self.change("message.comment", conversation=conversation, text=self.word())
            case "snooze":
                length = f"{rng.randint(20, 1500)}ms"
                await self.change("conversation.snooze", **{"conversation": conversation, "for": length})
            case "wake":
                await self.change("conversation.wake", conversation=conversation)
            case "close":
                await self.change("conversation.close", conversation=conversation)
            case "decline":
                await self.change("conversation.decline", conversation=conversation)
            case "transfer":
                to = rng.choice([name for name in AGENTS if name != self.ledger.sub])
                words = {"comment": self.word(), "anyway": rng.random() < 0.5}
                await self.change("conversation.transfer", conversation=conversation, agent=to, **words)

    def word(self) -> str:
        """A text that is said once in the world."""
        return f"{self.ledger.sub} says {self._number + 1}"


class Manager(Agent):
    """Joins and leaves what the ladder brought, and what it sees."""

    pause_s = (0.05, 0.2)

    async def act(self) -> None:
        entries = [entry for session in self.ledger.sessions[-2:] for entry in session.entries[-20:]]
        if entries:
            conversation = self.rng.choice(entries)["conversation"]
            method = self.rng.choice(("conversation.join", "conversation.leave", "conversation.leave"))
            await self.change(method, conversation=conversation)


class Contact(Person):
    """Starts on the web, writes, and starts again."""

    pause_s = (0.01, 0.06)

    def __init__(self, place: Place, sub: str, rng: random.Random) -> None:
        super().__init__(place, "contact", sub, rng)
        self.conversations: dict[str, None] = {}

    async def act(self) -> None:
        if not self.conversations or self.rng.random() < 0.1:
            service = self.rng.choice(SERVICES)
            result = await self.change("conversation.start", service=service, text=self.word())
            if result is not None:
                self.conversations[result["conversation"]["id"]] = None
        else:
            conversation = self.rng.choice(list(self.conversations))
            await self.change("message.send", conversation=conversation, text=self.word())

    def word(self) -> str:
        return f"{self.ledger.sub} writes {self._number + 1}"


class Connector(Person):
    """Hands in what its contacts write, and acknowledges what goes out to them."""

    pause_s = (0.003, 0.02)

    def __init__(self, place: Place, channel: str, rng: random.Random) -> None:
        super().__init__(place, "connector", channel, rng, channels=(channel,))
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def on_notice(self, method: str, params: dict[str, Any]) -> None:
        if method == "connector.deliver":
            self.ledger.deliveries.append(params["entry"])
            self._out.put_nowait(params["entry"])

    async def deliver(self) -> None:
        """Acknowledge each message out, once for each time it was handed over."""
        while True:
            entry = await self._out.get()
            await self.change("connector.delivered", entry=entry["seq"], status="delivered")

    @property
    def unanswered(self) -> int:
        return super().unanswered + self._out.qsize()

    async def act(self) -> None:
        ident = f"{self.ledger.sub}-x{self._number + 1}"
        who = {"address": f"+{self.rng.randint(1, ADDRESSES)}", "service": self.rng.choice(SERVICES)}
        await self.change("connector.receive", channel=self.ledger.sub, external_id=ident, text=ident, **who)


def everybody(place: Place, rng: random.Random) -> list[Person]:
    """The whole crowd, each with a die of its own."""

    def die() -> random.Random:
        return random.Random(rng.random())

    agents: list[Person] = [Agent(place, name, die()) for name in AGENTS]
    contacts = [Contact(place, f"web{number}", die()) for number in range(CONTACTS)]
    connectors = [Connector(place, name, die()) for name in CHANNELS]
    return [*agents, Manager(place, MANAGER, die()), *contacts, *connectors]

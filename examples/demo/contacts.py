"""Those who write to the house: visitors of a web page, each with a session, and telephones behind one connector."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

from examples.client import Client
from examples.demo import people
from examples.demo.pace import Pace
from examples.demo.server import Server

VISITORS = ("Kari", "Nils", "Ingrid", "Emil", "Sofie", "Jonas", "Maja", "Lukas", "Freja", "Oskar", "Elin", "Anton")
OWNERS = ("Astrid", "Mikkel", "Signe", "Ravn", "Tuva", "Odd")
TELEPHONES = {f"+1555010{place}": owner for place, owner in enumerate(OWNERS)}
OPENINGS = (
    "Where is my parcel?",
    "My invoice is wrong.",
    "Can I change my order?",
    "It does not start any more.",
    "Do you have this in blue?",
)
MORE = ("It was ordered last week.", "Yes, exactly.", "The number is 4711.", "I have tried that already.")
THANKS = "Thank you, that helps!"
IMPATIENT = "Is there any news?"
LIVE_MAX = 15  # talks at one time
CALM_S, RUSH_S, WAVE_S = 3.2, 0.7, 36  # between arrivals when calm, in a rush, and from one rush to the next


class Talk:
    """What one contact will say: a question, a little more, and thanks."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._left = pace.chance.randint(0, 2)
        self.opening = pace.chance.choice(OPENINGS)
        self.over = False

    def answer_to(self, heard: str) -> str | None:
        """The next words, or None = wait."""
        if heard == people.LATER:
            return IMPATIENT if self._pace.chance.random() < 0.3 else None
        if self._left and heard != people.PROMISED:
            self._left -= 1
            return self._pace.chance.choice(MORE)
        self.over = True
        return THANKS


class Town:
    """Everybody outside. Arrivals come in waves."""

    def __init__(self, server: Server, pace: Pace) -> None:
        self._server = server
        self._pace = pace
        self._talking: dict[str, Talk] = {}
        self._connector = Client(server.url, server.token("connector", "whatsapp", channels=["whatsapp"]))
        self._messages = itertools.count(1)

    async def run(self) -> None:
        """Let people come until it is enough."""
        async with self._connector, asyncio.TaskGroup() as group:
            group.create_task(self._deliver(group.create_task))
            while True:
                if len(self._talking) < LIVE_MAX:
                    group.create_task(self._somebody())
                await self._pace.about(self._between())

    def _between(self) -> float:
        """Seconds to the next arrival: a wave between calm and rush."""
        rush = (1 + math.sin(time.monotonic() * self._pace.speed * math.tau / WAVE_S)) / 2
        return CALM_S + rush * (RUSH_S - CALM_S)

    async def _somebody(self) -> None:
        free = [name for name in (*VISITORS, *TELEPHONES) if name not in self._talking]
        name = self._pace.chance.choice(free)
        talk = self._talking[name] = Talk(self._pace)
        service = self._pace.chance.choice(("support", "support", "sales"))
        if name in TELEPHONES:
            await self._write(name, talk.opening, service)
            return
        try:
            await self._visit(name, talk, service)
        finally:
            del self._talking[name]

    # ------------------------------------------------------------ from the web

    async def _visit(self, name: str, talk: Talk, service: str) -> None:
        """One visitor, from the first message to the end of the conversation."""
        async with Client(self._server.url, self._server.token("contact", name.lower(), name=name)) as client:
            place = {"service": service, "channel": "web"}
            await client.do("conversation.start", text=talk.opening, **place)
            async for notice in client:
                if notice.method != "conversation.entry":
                    continue
                entry = notice.params["entry"]
                if entry["type"] == "closed":
                    return
                if entry["type"] == "message" and entry["by"]["kind"] == "agent" and not talk.over:
                    await self._pace.about(2)
                    if text := talk.answer_to(entry["text"]):
                        await client.do("conversation.start", text=text, **place)

    # ------------------------------------------------------------ by WhatsApp

    async def _deliver(self, spawn: Callable[[Coroutine[Any, Any, None]], Any]) -> None:
        """What a connector does: acknowledge each message out; the telephones then answer in their own time."""
        async for notice in self._connector:
            if notice.method == "connector.deliver":
                entry, number = notice.params["entry"], notice.params["address"]
                await self._connector.do("connector.delivered", entry=entry["seq"], status="delivered")
                spawn(self._hear(number, entry["text"]))

    async def _hear(self, number: str, heard: str) -> None:
        talk = self._talking.get(number)
        await self._pace.about(2)
        if talk is None or talk.over:  # two answers may have come at one time
            return
        if text := talk.answer_to(heard):
            await self._write(number, text)
        if talk.over:
            await self._pace.about(10)
            del self._talking[number]

    async def _write(self, number: str, text: str, service: str | None = None) -> None:
        """What a provider's webhook would bring. Without a service it goes on where it is."""
        external_id = f"wa-{next(self._messages)}"
        message = {"channel": "whatsapp", "address": number, "external_id": external_id, "text": text}
        contact = {"name": TELEPHONES[number], "phone": number}
        await self._connector.ask("connector.receive", contact=contact, service=service, **message)

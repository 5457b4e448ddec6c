"""The agents. Each works like a person: one thing at a time, now and then by a way that is not the straight one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from examples.client import Client, Notice, RefusedError
from examples.demo.pace import Pace
from examples.demo.server import Server

ANSWERS = (
    "Let me have a look.",
    "I can see your order here.",
    "That should not happen, I am sorry.",
    "Could you tell me a little more?",
)
LATER = "I have to ask a colleague; give me a moment."
PROMISED = "As promised, here is the answer."
SNOOZE_S, AWAY_S, INSIST_S = 7, 8, 2


@dataclass(frozen=True)
class Character:
    """What makes an agent this one: how long an answer takes, and how often the connection breaks (None = never)."""

    agent: str
    answer_s: float
    breaks_s: float | None = None


CHARACTERS = (
    Character("ana", 1.6),
    Character("bo", 3.2),
    Character("cleo", 2.4),
    Character("dag", 2.0, breaks_s=18),
)


class Person:
    """One agent at work. ``tell`` takes what no timeline shows: refusals, and a lost connection."""

    def __init__(self, server: Server, pace: Pace, character: Character, tell: Callable[[str, str], None]) -> None:
        self._server = server
        self._pace = pace
        self._character = character
        self._tell = tell
        self._todo: dict[str, None] = {}  # conversations to look at, in order
        self._something = asyncio.Event()
        self._since: int | None = None
        self.me = character.agent

    async def run(self) -> None:
        """Work; if the line is a bad one, lose it now and then, and come back."""
        breaks_s = self._character.breaks_s
        while True:
            limit = None if breaks_s is None else breaks_s / self._pace.speed
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._session()
            self._tell(self.me, "loses the connection")
            await self._pace.about(AWAY_S)
            self._tell(self.me, "is back")

    async def _session(self) -> None:
        client = Client(self._server.url, self._server.token("agent", self.me))
        client.since = self._since  # what happened meanwhile comes first
        try:
            async with client, asyncio.TaskGroup() as group:
                group.create_task(self._listen(client))
                group.create_task(self._work(client))
        finally:
            self._since = client.since

    async def _listen(self, client: Client) -> None:
        async for notice in client:
            if notice.method == "session.opened":
                await self._begin(client)
            elif notice.method == "conversation.entry":
                self._read(notice)

    async def _begin(self, client: Client) -> None:
        await client.do("agent.set_availability", available=True)
        mine = await client.ask("conversation.list", view="mine", limit=500)
        for conversation in mine["items"]:
            self._see(conversation["id"])

    def _read(self, notice: Notice) -> None:
        entry = notice.params["entry"]
        assigned = entry["type"] == "assigned" and entry["agent"] == self.me
        if assigned or (entry["type"] == "message" and entry["by"]["kind"] == "contact"):
            self._see(entry["conversation"])

    def _see(self, conversation: str) -> None:
        self._todo[conversation] = None
        self._something.set()

    # ------------------------------------------------------------ one thing at a time

    async def _work(self, client: Client) -> None:
        while True:
            await self._something.wait()
            conversation = next(iter(self._todo))
            await self._pace.about(self._character.answer_s)
            self._todo.pop(conversation)
            if not self._todo:
                self._something.clear()
            with suppress(RefusedError):  # meanwhile it was closed, or somebody else has it
                await self._see_to(client, conversation)

    async def _see_to(self, client: Client, name: str) -> None:
        page = await client.ask("conversation.get", conversation=name, limit=20)
        conversation = page["conversation"]
        if conversation["assignee"] != self.me or conversation["state"] != "open":
            return
        if conversation["needs"] is None:  # it woke by itself
            await client.do("message.send", conversation=name, text=PROMISED)
        elif "Thank you" in _last_words(page["entries"]):
            await client.do("conversation.close", conversation=name)
        else:
            await self._answer(client, name, conversation["contact"]["name"])

    async def _answer(self, client: Client, name: str, contact: str) -> None:
        """Mostly an answer; sometimes later, by somebody else, or not at all."""
        dice = self._pace.chance.random()
        if dice < 0.10 and await self._transfer(client, name, contact):
            return
        if 0.10 <= dice < 0.13:
            await client.do("conversation.decline", conversation=name)
            return
        snoozes = 0.13 <= dice < 0.28
        text = LATER if snoozes else self._pace.chance.choice(ANSWERS)
        await client.do("message.send", conversation=name, text=text)
        if snoozes:
            await client.do("conversation.snooze", conversation=name, **{"for": self._pace.text(SNOOZE_S)})

    async def _transfer(self, client: Client, name: str, contact: str) -> bool:
        """Hand it to a colleague, green or not. A refusal names the colour; then think again, and perhaps insist."""
        agents = (await client.ask("agent.list"))["agents"]
        colleague = self._pace.chance.choice([agent["id"] for agent in agents if agent["id"] != self.me])
        handed: dict[str, Any] = {"conversation": name, "agent": colleague, "comment": "You know more about this."}
        try:
            await client.do("conversation.transfer", **handed)
            return True
        except RefusedError as refused:
            colour = refused.data.get("colour", refused.reason)
            self._tell(self.me, f"cannot hand {contact} to {colleague.title()}, who is {colour}")
        await self._pace.about(INSIST_S)
        insists = self._pace.chance.random() < 0.6
        if insists:
            await client.do("conversation.transfer", anyway=True, **handed)
        return insists


def _last_words(entries: list[dict[str, Any]]) -> str:
    """What the contact said last."""
    said = [entry["text"] for entry in entries if entry["type"] == "message" and entry["by"]["kind"] == "contact"]
    return said[-1] if said else ""

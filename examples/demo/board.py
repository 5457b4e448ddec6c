"""Everything there is to show, as an operator's backend would know it: by watching. No inside knowledge.

The server says what changes in agents and conversations. It says so in states, not in sentences; so where a
conversation's ``last_seq`` has moved the board reads the new entries, and tells them in the order of the workspace.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rich.text import Text

from examples.client import Client
from examples.demo.server import Server
from examples.demo.words import Words

Record = dict[str, Any]
READ_S = 0.25
LOG_MAX = 200
PAGE = 100  # entries read at once; of more between two readings the oldest would be left out


class Board:
    """The house as last heard of. ``heard`` gets each line of the log when it is new."""

    def __init__(self, server: Server, heard: Callable[[Text], None]) -> None:
        self._client = Client(server.url, server.token("backend", "demo"))
        self._heard = heard
        self._moved: set[str] = set()  # conversations with entries to read
        self._seen: dict[str, int] = {}  # conversation -> the last seq told; closed ones may come back
        self._words = Words({}, {})
        self._said: list[tuple[datetime, Text]] = []  # lines not yet in the log
        self.started = time.monotonic()
        self.services: dict[str, Record] = {}
        self.agents: dict[str, Record] = {}
        self.conversations: dict[str, Record] = {}  # open and snoozed
        self.log: deque[Text] = deque(maxlen=LOG_MAX)
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with self._client as client, asyncio.TaskGroup() as group:
            group.create_task(self._read_on(client))
            async for notice in client:
                match notice.method:
                    case "session.opened":
                        await self._begin(client)
                    case "agent.changed":
                        self.agents[notice.params.pop("agent")].update(notice.params)
                    case "conversation.changed":
                        self._changed(notice.params["conversation"], gone=notice.params["gone"])

    async def _begin(self, client: Client) -> None:
        """Watch, then look: whatever changes in between is heard afterwards. A watch ends with its connection."""
        await client.ask("conversation.watch")
        self.services = {service["id"]: service for service in (await client.ask("service.list"))["services"]}
        self.agents = {agent["id"]: agent for agent in (await client.ask("agent.watch"))["agents"]}
        self._words = Words(self.services, self.agents)
        for conversation in (await client.ask("conversation.list", limit=500))["items"]:
            self._changed(conversation)

    def _changed(self, conversation: Record, *, gone: bool = False) -> None:
        name = conversation["id"]
        self._moved.add(name)
        if gone:
            self.conversations.pop(name, None)
        else:
            self.conversations[name] = conversation

    # ------------------------------------------------------------ the log

    async def _read_on(self, client: Client) -> None:
        """Read what has moved. A moment's pause between readings lets everything be told in its order."""
        while True:
            moved, self._moved = sorted(self._moved), set()
            pages = [await client.ask("conversation.get", conversation=name, limit=PAGE) for name in moved]
            for entry, conversation in sorted(self._fresh(pages), key=lambda pair: int(pair[0]["seq"])):
                self._tell(entry, conversation)
            said, self._said = sorted(self._said, key=lambda line: line[0]), []
            for at, sentence in said:
                line = Text.assemble((f"{at.astimezone():%H:%M:%S}  ", "dim"), sentence)
                self.log.append(line)
                self._heard(line)
            await asyncio.sleep(READ_S)

    def _fresh(self, pages: list[Record]) -> list[tuple[Record, Record]]:
        """The entries that were not told yet, each with its conversation."""
        fresh = []
        for page in pages:
            conversation = page["conversation"]
            seen = self._seen.get(conversation["id"], 0)
            fresh += [(entry, conversation) for entry in page["entries"] if entry["seq"] > seen]
            self._seen[conversation["id"]] = conversation["last_seq"]
        return fresh

    def _tell(self, entry: Record, conversation: Record) -> None:
        self.counts[entry["type"]] += 1
        self.counts["anyway"] += entry["type"] == "transferred" and bool(entry.get("anyway"))
        self.counts["freed"] += entry["type"] == "assigned" and entry["reason"] == "freed"
        sentence = self._words.sentence(entry, conversation)
        if sentence is not None:
            self.say(sentence, datetime.fromisoformat(entry["at"]))

    def say(self, sentence: Text, at: datetime | None = None) -> None:
        """Put a line into the log soon, at its moment or now."""
        self._said.append((at or datetime.now(UTC), sentence))

    def summary(self) -> str:
        """What has happened, in one sentence."""
        count = self.counts
        return (
            f"In {time.monotonic() - self.started:.0f} s: {count['created']} conversations, {count['assigned']} "
            f"assignments ({count['freed']} from the queue), {count['snoozed']} snoozed, {count['transferred']} "
            f"transferred ({count['anyway']} anyway), {count['escalated']} escalated, {count['closed']} closed."
        )

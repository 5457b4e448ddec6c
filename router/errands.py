"""Runs the errands that the core asks for: calls to operators' URLs, and mails.

When, and how often, is the core's affair (``actors.errand``), which hears what became of each. If the store is away it
cannot write that down, and asks again: what was taken is remembered here, so that it is not done twice. At a shutdown
none is begun any more, and those under way have a moment to end, so that what was taken is written down as taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import trio

from actors.effects import Mail, Mailed, Post, Posted
from router.bell import Bell
from router.mail.draft import AgentName, Read

DRAIN_S = 5.0
TAKEN_KEPT = 10_000  # the latest


class Caller(Protocol):
    """Makes calls to operators' URLs; ``router.webhooks.Webhooks`` is one."""

    async def call(self, item: Post, now_ms: int) -> bool:
        """Make one attempt; whether it was taken. Never raises."""

    async def close(self) -> None:
        """Let go of what is open."""


class Postman(Protocol):
    """Sends mails; ``router.mail.mailer.Mailer`` is one."""

    async def open(self) -> None:
        """Make ready. Raises OSError."""

    async def send(self, mail: Mail, read: Read, agent_name: AgentName) -> Mailed | None:
        """Make one attempt; what became of it, None = it is under way already. Never raises."""

    async def close(self) -> None:
        """Let go of what is open."""


class Errands:
    """Those of one workspace. Without a caller or a postman theirs stay pending and are asked for again.

    Parameters: how the store is read, how agents are called, whom to tell what became of an errand, the present tick.
    """

    def __init__(
        self, read: Read, agent_name: AgentName, tell: Callable[[Posted | Mailed], None], now: Callable[[], int]
    ) -> None:
        self.webhooks: Caller | None = None
        self.mailer: Postman | None = None
        self._read = read
        self._agent_name = agent_name
        self._tell = tell
        self._now = now
        self._under_way = 0
        self._draining = False
        self._taken: dict[str, Posted | Mailed] = {}
        self._ended = Bell()

    def on(self, spawn: Callable[..., Any]) -> Callable[[Post | Mail], None]:
        """What takes errands from now on; each runs in a task of its own."""
        return lambda item: spawn(self._run, item)

    async def open(self) -> None:
        """Make ready. Raises OSError."""
        if self.mailer is not None:
            await self.mailer.open()

    async def drain(self) -> None:
        """Begin none any more, and wait a moment for those under way."""
        self._draining = True
        with trio.move_on_after(DRAIN_S):
            await self._ended.until(lambda: self._under_way == 0)

    async def close(self) -> None:
        """Let go of what is open."""
        for way_out in (self.webhooks, self.mailer):
            if way_out is not None:
                await way_out.close()

    def statistics(self) -> dict[str, int]:
        """How many are under way."""
        return {"under_way": self._under_way, "taken_kept": len(self._taken)}

    async def _run(self, item: Post | Mail) -> None:
        if self._draining:
            return
        self._under_way += 1
        try:
            heard = self._taken.get(_name(item)) or await self._attempt(item)
            if heard is not None:
                self._remember(_name(item), heard)
                self._tell(heard)
        finally:
            self._under_way -= 1
            self._ended.ring()

    def _remember(self, name: str, heard: Posted | Mailed) -> None:
        if heard.taken:
            self._taken[name] = heard
            if len(self._taken) > TAKEN_KEPT:
                del self._taken[next(iter(self._taken))]

    async def _attempt(self, item: Post | Mail) -> Posted | Mailed | None:
        if isinstance(item, Mail):
            return None if self.mailer is None else await self.mailer.send(item, self._read, self._agent_name)
        if self.webhooks is None:
            return None
        return Posted(item.webhook, await self.webhooks.call(item, self._now()))


def _name(item: Post | Mail) -> str:
    return f"mail:{item.id}" if isinstance(item, Mail) else f"webhook:{item.webhook}"

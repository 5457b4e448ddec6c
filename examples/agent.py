"""An agent that answers every contact, politely, and tells what happens.

    export SIGNALBOX_URL=ws://127.0.0.1:8400/v1
    export SIGNALBOX_TOKEN=…              # `make run` prints one for each agent
    python -m examples.agent              # or with --url and --token; Ctrl-C ends it

Which messages still want an answer is the server's knowledge, not this program's: a conversation assigned to me that
``needs`` a ``reply``. So it may be killed at any point and started again. The key of an answer is made from the
message it answers: whatever is repeated, and whoever repeats it, the contact gets one answer.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from typing import Any

from examples.client import Client, Notice, RefusedError, StoppedError

GREETING = "Hello{name}, thank you for writing. I am looking into “{text}” right now."


class Agent:
    """What one agent does with what it hears. ``think_s``: how long it takes over an answer."""

    def __init__(self, client: Client, think_s: float) -> None:
        self.client = client
        self.think_s = think_s
        self.name = ""

    async def run(self) -> None:
        """Work until the session is over."""
        async for notice in self.client:
            await self.hear(notice)

    async def hear(self, notice: Notice) -> None:
        """One notice; unknown ones are left alone, so that a newer server does no harm."""
        params = notice.params
        match notice.method:
            case "session.opened":
                await self.begin(params)
            case "agent.changed":
                colours = params["availability"].items()
                say("-- " + ", ".join(f"{name} {colour} ({params['used'][name]} open)" for name, colour in colours))
            case "conversation.assigned":
                contact = params["conversation"]["contact"]
                say(f">> {contact['name'] or contact['id']} is mine: {params['reason']}")
            case "conversation.entry":
                await self.read(params["entry"])

    async def begin(self, opened: dict[str, Any]) -> None:
        """Online, for the first time or again: switch on and see to whoever waits."""
        self.name = opened["sub"]
        say(f"-- {self.name} is online")
        await self.client.do("agent.set_availability", available=True)
        mine = await self.client.ask("conversation.list", view="mine", status="pending", limit=500)
        for conversation in mine["items"]:
            await self.answer(conversation["id"])

    async def read(self, entry: dict[str, Any]) -> None:
        """One line of a timeline. An assignment may bring a message that was written before it."""
        by = entry["by"]
        if entry["type"] == "message":
            say(f"   {by['kind']} {by.get('id', '')}: {entry['text']}")
        to_me = entry["type"] == "assigned" and entry["agent"] == self.name
        if to_me or (entry["type"] == "message" and by["kind"] == "contact"):
            await self.answer(entry["conversation"])

    async def answer(self, conversation: str) -> None:
        """Answer the latest message, if it is for me to answer."""
        page = await self.client.ask("conversation.get", conversation=conversation, limit=20)
        about = page["conversation"]
        asked = [entry for entry in page["entries"] if entry["type"] == "message" and entry["by"]["kind"] == "contact"]
        if about["assignee"] != self.name or about["needs"] != "reply" or not asked:
            return
        name = about["contact"]["name"]
        text = GREETING.format(name=f" {name}" if name else "", text=asked[-1]["text"])
        await asyncio.sleep(self.think_s)
        try:
            key = f"answer-{asked[-1]['seq']}"
            await self.client.do("message.send", conversation=conversation, text=text, key=key)
        except RefusedError as refused:  # meanwhile it was closed, or taken by somebody else
            say(f"-- not sent: {refused}")


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    print(line, flush=True)


async def main(url: str, token: str, think_s: float) -> None:
    """Connect and work."""
    async with Client(url, token) as client:
        await Agent(client, think_s).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An agent that answers every contact.")
    parser.add_argument("--url", default=os.environ.get("SIGNALBOX_URL", "ws://127.0.0.1:8400/v1"))
    parser.add_argument("--token", default=os.environ.get("SIGNALBOX_TOKEN"))
    parser.add_argument("--think", type=float, default=1.0, metavar="SECONDS", help="before each answer (default: 1)")
    arguments = parser.parse_args()
    if not arguments.token:
        parser.error("no token: give --token or set SIGNALBOX_TOKEN")
    logging.basicConfig(level=logging.INFO, format="-- %(message)s", stream=sys.stdout)
    try:
        asyncio.run(main(arguments.url, arguments.token, arguments.think))
    except StoppedError as stopped:
        sys.exit(f"stopped: {stopped}")
    except KeyboardInterrupt:
        pass

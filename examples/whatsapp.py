"""A connector that plays WhatsApp: each line you type is a message from a telephone; answers come back to it.

    export SIGNALBOX_URL=ws://127.0.0.1:8400/v1
    export SIGNALBOX_TOKEN=…              # the connector's, as `make run` prints it
    python -m examples.whatsapp --from +15550100 --name Kari      # Ctrl-D ends it

A real connector does just this with a provider's webhook in place of the keyboard. Twice it has to say "once":
in, the provider's message id goes along as ``external_id``, so handing in again is harmless; out, a message comes
until it is acknowledged with ``connector.delivered``, so a repeated one is acknowledged again but not shown again.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
import uuid
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

from examples.client import Client, RefusedError, StoppedError

REMEMBERED = 10_000  # messages shown; the server repeats at most what it has not seen acknowledged


class Telephone:
    """One telephone and the connector in front of it."""

    def __init__(self, client: Client, number: str, name: str | None) -> None:
        self.client = client
        self.number = number
        self.name = name
        self._shown: deque[int] = deque(maxlen=REMEMBERED)

    async def write(self, text: str) -> None:
        """The owner sends a message."""
        message = {"external_id": f"wa-{uuid.uuid4().hex}", "address": self.number, "text": text}
        try:
            received = await self.client.ask(
                "connector.receive", channel="whatsapp", contact={"name": self.name, "phone": self.number}, **message
            )
        except RefusedError as refused:
            say(f"-- not taken: {refused}")
            return
        conversation = received["conversation"]
        where = conversation["assignee"] or f"waiting, no. {conversation['position']}"
        say(f"-- taken in {conversation['id']} ({conversation['service']}: {where})")

    async def listen(self) -> None:
        """Show what the house answers, until the session is over."""
        async for notice in self.client:
            match notice.method:
                case "session.opened":
                    say(f"-- connected; {self.number} writes:")
                case "connector.deliver":
                    await self._deliver(notice.params)

    async def _deliver(self, delivery: dict[str, Any]) -> None:
        entry = delivery["entry"]
        if entry["seq"] not in self._shown:
            self._shown.append(entry["seq"])
            say(f"<< to {delivery['address']}: {entry['text']}")
        await self.client.do("connector.delivered", entry=entry["seq"], status="delivered")


async def typed() -> AsyncIterator[str]:
    """The lines that come in on a terminal or a pipe, without a thread."""
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    try:
        loop.add_reader(0, lambda: chunks.put_nowait(os.read(0, 65_536)))
    except PermissionError:  # a file, which can always be read
        chunks.put_nowait(os.read(0, 65_536))
        chunks.put_nowait(b"")
    try:
        rest = b""
        while chunk := await chunks.get():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace").strip()
        yield rest.decode(errors="replace").strip()
    finally:
        loop.remove_reader(0)


def say(line: str) -> None:
    """Print at once, also into a pipe."""
    print(line, flush=True)


async def main(url: str, token: str, number: str, name: str | None) -> None:
    """Connect, listen, and hand in every line."""
    async with Client(url, token) as client, asyncio.TaskGroup() as tasks:
        telephone = Telephone(client, number, name)
        listening = tasks.create_task(telephone.listen())
        async for line in typed():
            if line:
                await telephone.write(line)
        listening.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A connector that plays WhatsApp.")
    parser.add_argument("--url", default=os.environ.get("SIGNALBOX_URL", "ws://127.0.0.1:8400/v1"))
    parser.add_argument("--token", default=os.environ.get("SIGNALBOX_TOKEN"))
    parser.add_argument("--from", dest="number", default="+15550100", help="the telephone (default: +15550100)")
    parser.add_argument("--name", help="its owner")
    arguments = parser.parse_args()
    if not arguments.token:
        parser.error("no token: give --token or set SIGNALBOX_TOKEN")
    logging.basicConfig(level=logging.INFO, format="-- %(message)s", stream=sys.stdout)
    try:
        asyncio.run(main(arguments.url, arguments.token, arguments.number, arguments.name))
    except* StoppedError as stopped:
        sys.exit(f"stopped: {stopped.exceptions[0]}")
    except* KeyboardInterrupt:
        pass

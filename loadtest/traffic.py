"""What is asked: the bytes of each request, made in a microsecond, since whoever makes a load must cost less than it.

====================  =============================================================================================
``message``           a backend writes into one of many conversations, each assigned; heard by its agent
``receive``           a connector hands in what a contact wrote, with its external id; heard by the agent
``start``             a connector hands in the first words of somebody new: a conversation begins, is assigned, and
                      its agent hears ``conversation.assigned``
====================  =============================================================================================
"""

from __future__ import annotations

import asyncio
from typing import Literal, Protocol

from loadtest.crowd import FIRST, Crowd, asked_of
from protocol.ids import Role

Name = Literal["message", "receive", "start"]
SETUP_AT_ONCE = 64
TEXT = "I have looked at the invoice again, and the second line is the one that is wrong."


class Traffic(Protocol):
    """One kind of request."""

    role: Role

    async def prepare(self, crowd: Crowd) -> None:
        """What must be there before; the crowd has come and does not count yet."""

    def request(self, number: int) -> bytes:
        """The request of this number."""


class Message:
    """``message.send`` into ``conversations`` conversations, in turns."""

    role: Role = "backend"

    def __init__(self, conversations: int = 200) -> None:
        self._conversations = conversations
        self._heads: list[bytes] = []

    async def prepare(self, crowd: Crowd) -> None:
        """Begin the conversations."""
        client = crowd.senders[0]
        names = [f"k{number}" for number in range(self._conversations)]
        for begin in range(0, len(names), SETUP_AT_ONCE):
            asked = [
                asked_of(client, "conversation.start", contact=name, service="s0", channel="web")
                for name in names[begin : begin + SETUP_AT_ONCE]
            ]
            answers = await asyncio.gather(*asked)
            self._heads += [_head(a.get("conversation", {}).get("id", f"c{begin + n}")) for n, a in enumerate(answers)]

    def request(self, number: int) -> bytes:
        """A message that begins with its number."""
        return b'%s%d %s"}}' % (self._heads[number % len(self._heads)] % (number + FIRST), number, TEXT.encode())


def _head(conversation: str) -> bytes:
    return (
        b'{"jsonrpc":"2.0","id":%d,"method":"message.send","params":{"conversation":"'
        + conversation.encode()
        + b'","text":"'
    )


class Receive:
    """``connector.receive`` from ``contacts`` people, in turns; who wrote before has a conversation."""

    role: Role = "connector"

    def __init__(self, contacts: int = 200) -> None:
        self._contacts = contacts
        self._run = 0

    async def prepare(self, crowd: Crowd) -> None:
        """Let everybody write once."""
        for begin in range(0, self._contacts, SETUP_AT_ONCE):
            numbers = range(begin, min(self._contacts, begin + SETUP_AT_ONCE))
            asked = [
                asked_of(crowd.senders[0], "connector.receive", channel="sms", address=f"+{number}",
                         external_id=f"first-{number}", text="Hello", service="s0")
                for number in numbers
            ]  # fmt: skip
            await asyncio.gather(*asked)

    def request(self, number: int) -> bytes:
        """A message of a contact who is known."""
        return _RECEIVE % (number + FIRST, number % self._contacts, number, b"", number, TEXT.encode())


class Start:
    """``connector.receive`` from somebody new every time, in ``services`` services."""

    role: Role = "connector"

    def __init__(self, services: int = 1, first: int = 0) -> None:
        self._services = services
        self._first = first

    async def prepare(self, crowd: Crowd) -> None:
        """Nothing has to be there."""

    def request(self, number: int) -> bytes:
        """The first words of somebody whose name is the number."""
        who = b'"contact":{"name":"%d"},"service":"s%d",' % (number, number % self._services)
        return _RECEIVE % (number + FIRST, 1_000_000 + self._first + number, number, who, number, TEXT.encode())


_RECEIVE = (
    b'{"jsonrpc":"2.0","id":%d,"method":"connector.receive","params":'
    b'{"channel":"sms","address":"+%d","external_id":"x%d",%s"text":"%d %s"}}'
)
KINDS: dict[Name, type[Message] | type[Receive] | type[Start]] = {
    "message": Message, "receive": Receive, "start": Start
}  # fmt: skip

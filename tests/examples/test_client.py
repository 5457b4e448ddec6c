"""The client of the examples against a server that does as the test says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from examples import client as examples
from examples.client import Client, RefusedError, StoppedError
from protocol import closing

FOLDER = Path(examples.__file__).parent
Story = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one connection."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket

    async def heard(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.recv())
        return message

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps({"jsonrpc": "2.0", **message}))

    async def open(self, seq: int = 7, *, resync: bool = False) -> dict[str, Any]:
        """Let the client in; the params it came with."""
        request = await self.heard()
        assert request["method"] == "session.open"
        await self.say(id=request["id"], result={"seq": seq, "resync": resync, "sub": "ana"})
        params: dict[str, Any] = request["params"]
        return params

    async def tell(self, seq: int) -> None:
        await self.say(method="conversation.entry", params={"entry": {"seq": seq}})


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "SHORTEST_S", 0.001)
    monkeypatch.setattr(examples, "LATER_S", 0.001)


def play(*stories: Story, program: Callable[[Client], Awaitable[Any]]) -> Any:
    """Run a program on a client whose first connection meets the first story, and so on; what the program returns."""

    async def run() -> Any:
        waiting = iter(stories)

        async def meet(socket: ServerConnection) -> None:
            await next(waiting)(Peer(socket))

        async with asyncio.timeout(20), serve(meet, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with Client(f"ws://127.0.0.1:{port}", "token") as client:
                return await program(client)

    return asyncio.run(run())


async def ask(client: Client) -> Any:
    return await client.do("message.send", text="Hi")


def test_it_obeys_every_close_code_of_the_protocol() -> None:
    stops = {code for code, (_, advice) in closing.MEANINGS.items() if "reconnect" not in advice}
    assert set(examples.STOP) == stops
    assert set(examples.LATER) == {code for code, (_, advice) in closing.MEANINGS.items() if "after a while" in advice}


@pytest.mark.parametrize("code", sorted(examples.STOP))
def test_it_stops_where_coming_back_would_not_help(code: int) -> None:
    async def end(peer: Peer) -> None:
        await peer.open()
        await peer.socket.close(code, "because")

    with pytest.raises(StoppedError, match="because"):
        play(end, program=ask)


@pytest.mark.parametrize("code", [*sorted(closing.MEANINGS.keys() - examples.STOP.keys()), 4099])
def test_it_comes_back_and_names_the_last_seq_it_heard(code: int) -> None:
    came_with = []

    async def cut(peer: Peer) -> None:
        came_with.append((await peer.open(seq=7))["since"])
        await peer.tell(8)
        await peer.socket.close(code)

    async def serve_well(peer: Peer) -> None:
        came_with.append((await peer.open(seq=12))["since"])
        await peer.tell(9)
        request = await peer.heard()
        await peer.say(id=request["id"], result="done")

    async def program(client: Client) -> Any:
        async for notice in client:
            if notice.method == "conversation.entry" and notice.params["entry"]["seq"] == 9:
                return await ask(client), client.since
        return None

    assert play(cut, serve_well, program=program) == ("done", 9)
    assert came_with == [None, 8]


def test_a_request_without_an_answer_is_repeated_with_its_key() -> None:
    requests = []

    async def cut(peer: Peer) -> None:
        await peer.open()
        requests.append(await peer.heard())
        peer.socket.transport.abort()

    async def answer(peer: Peer) -> None:
        await peer.open()
        requests.append(await peer.heard())
        await peer.say(id=requests[-1]["id"], result="done")

    assert play(cut, answer, program=ask) == "done"
    assert requests[0] == requests[1]
    assert requests[0]["params"]["key"]


def test_two_requests_have_two_keys() -> None:
    keys = []

    async def answer(peer: Peer) -> None:
        await peer.open()
        for _ in range(2):
            request = await peer.heard()
            keys.append(request["params"]["key"])
            await peer.say(id=request["id"], result="done")

    async def twice(client: Client) -> None:
        await ask(client)
        await ask(client)

    play(answer, program=twice)
    assert keys[0] != keys[1]


def test_not_now_is_asked_again_with_the_same_key() -> None:
    keys = []

    async def busy(peer: Peer) -> None:
        await peer.open()
        request = await peer.heard()
        keys.append(request["params"]["key"])
        data = {"reason": "rate_limited", "retry": True, "retry_after_s": 0.001}
        await peer.say(id=request["id"], error={"code": -32000, "message": "wait", "data": data})
        request = await peer.heard()
        keys.append(request["params"]["key"])
        await peer.say(id=request["id"], result="done")

    assert play(busy, program=ask) == "done"
    assert keys[0] == keys[1]


def test_a_refusal_says_why() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.open()
        request = await peer.heard()
        data = {"reason": "agent_unavailable", "colour": "orange", "retry": True}
        await peer.say(id=request["id"], error={"code": -32000, "message": "The agent is not green.", "data": data})
        await peer.heard()

    async def program(client: Client) -> tuple[str, str]:
        with pytest.raises(RefusedError, match="not green") as refused:
            await ask(client)
        return refused.value.reason, refused.value.data["colour"]

    assert play(refuse, program=program) == ("agent_unavailable", "orange")


def test_after_a_resync_it_goes_on_from_the_present() -> None:
    async def cut(peer: Peer) -> None:
        await peer.open(seq=7)
        await peer.socket.close(4008)

    async def far_ahead(peer: Peer) -> None:
        await peer.open(seq=90_000, resync=True)
        await peer.say(id=(await peer.heard())["id"], result=None)

    async def program(client: Client) -> int | None:
        await ask(client)
        return client.since

    assert play(cut, far_ahead, program=program) == 90_000


def test_it_waits_as_long_as_the_server_asks_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "examples.client")

    async def farewell(peer: Peer) -> None:
        await peer.open()
        await peer.say(method="session.ending", params={"reason": "shutdown", "retry_after_s": 0.02})
        await peer.socket.close(1001)

    async def serve_well(peer: Peer) -> None:
        await peer.open()
        await peer.say(id=(await peer.heard())["id"], result="done")

    assert play(farewell, serve_well, program=ask) == "done"
    assert caplog.messages == ["connection lost (the line broke); again in 0.02 s"]


def test_waits_grow_to_a_bound_and_are_not_the_same_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "SHORTEST_S", 0.25)
    for failures in (1, 3, 20):
        longest = min(examples.LONGEST_S, 0.25 * 2**failures)
        pauses = {examples._pause_s(failures, 1001) for _ in range(50)}
        assert len(pauses) > 1
        assert longest / 2 <= min(pauses) <= max(pauses) <= longest


def test_what_time_does_not_heal_ends_it() -> None:
    async def run() -> None:
        async with asyncio.timeout(20), Client("http://127.0.0.1", "token") as client:
            await ask(client)

    with pytest.raises(StoppedError, match="scheme"):
        asyncio.run(run())


# ---------------------------------------------------------------- the same in JavaScript


def session_in(name: str) -> str:
    text = (FOLDER / name).read_text()
    return text[text.index("// ---- session:") : text.index("// ---- end of session")]


def test_page_and_contact_have_the_same_session() -> None:
    assert session_in("page.html") == session_in("contact.mjs")


def test_the_session_in_javascript_has_the_same_tables() -> None:
    text = session_in("contact.mjs")
    stop = text[text.index("const STOP") : text.index("};")]
    assert {int(code): words for code, words in re.findall(r'(\d{4}): "(.*)"', stop)} == examples.STOP
    assert json.loads(text.split("const LATER = ")[1].split(";")[0]) == list(examples.LATER)
    assert json.loads(text.split("const NOT_NOW = ")[1].split(";")[0]) == list(examples.NOT_NOW)


def test_the_page_needs_nothing_from_elsewhere() -> None:
    text = (FOLDER / "page.html").read_text()
    assert not re.search(r"https?://|\bsrc=|<link|@import|\bimport\b|\bfetch\(|innerHTML", text)

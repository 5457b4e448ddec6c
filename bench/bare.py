"""A bare trio-websocket server that decodes, commits and answers: the least that durable traffic costs with it.

It has no rules, actors or timers. A request is decoded (msgspec, the protocol's own structs), its entry is committed
with whatever gathered meanwhile (the server's own store, in its own thread), then answered, and told to the sessions
of one agent, each by a ``send_message``, one after the other. Started by ``bench.house`` as ``python -m bench.bare``.

``message.send`` and ``connector.receive`` are told to agent ``a<n>``, where n is the number at the end of the
conversation's id or the address, modulo ``agents`` of the configuration. Everything else is answered ``{}``.
"""

from __future__ import annotations

import re
from collections import deque
from functools import partial
from typing import Any

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket

from bench.house import SECRET
from bench.stock import arguments
from protocol.codec import JSON, Call, Refusal
from protocol.ids import Principal
from protocol.notices import ConversationEntry
from protocol.objects import By, Entry
from protocol.records import Batch, EntryRecord
from protocol.requests import OneEntry
from protocol.times import Moment
from router import config as configuration
from router.auth import Gate
from router.clock import Clock
from storage.store import Store
from storage.thread import StoreThread
from storage.urls import open_store

Asked = tuple[WebSocketConnection, Any, EntryRecord, str]


class Bare:
    """The server. Parameters: its store and how many agents there are."""

    def __init__(self, store: Store, agents: int) -> None:
        self._agents = agents
        self._clock = Clock()
        self._gate = Gate(secret=SECRET.encode())
        self._hearing: dict[str, list[WebSocketConnection]] = {}
        self._seq = store.load().last_seq
        self._store = store
        self._waiting: deque[Asked] = deque()
        self._work = trio.Event()
        self._writer = StoreThread("bare-writer")

    async def converse(self, request: WebSocketRequest) -> None:
        """One connection."""
        socket = await request.accept()
        address = ""
        try:
            while True:
                for item in JSON.decode(await socket.get_message(), 256):
                    if isinstance(item, Refusal):
                        raise SystemExit(f"a client that measures sends nothing wrong: {item.error}")
                    if item.method == "session.open":
                        principal, _ = self._gate.verify(item.params.token, self._clock.now())
                        address = principal.address
                        self._hearing.setdefault(address, []).append(socket)
                        await self._answer(socket, item.id, {})
                    elif item.method in ("message.send", "connector.receive"):
                        self._ask(socket, item, principal)
                    else:
                        await self._answer(socket, item.id, {})
        except ConnectionClosed:
            pass
        finally:
            if address:
                self._hearing[address].remove(socket)

    def _ask(self, socket: WebSocketConnection, call: Call, principal: Principal) -> None:
        self._seq += 1
        params = call.params
        name = params.conversation if call.method == "message.send" else params.address
        number = re.search(r"[0-9]+$", name)
        agent = f"agent:a{int(number[0]) % self._agents if number else 0}"
        by = By("backend" if principal.role == "backend" else "contact", principal.sub)
        entry = Entry(seq=self._seq, conversation=name, at=Moment(self._clock.now()), type="message", by=by,
                      text=params.text, attachments=())  # fmt: skip
        self._waiting.append((socket, call.id, EntryRecord(entry=entry, audience=(agent,)), agent))
        self._work.set()

    async def work(self) -> None:
        """Commit what has gathered, then answer and tell; for ever."""
        while True:
            await self._work.wait()
            self._work = trio.Event()
            taken = [self._waiting.popleft() for _ in range(min(512, len(self._waiting)))]
            if self._waiting:
                self._work.set()
            if taken:
                await self._commit(Batch(entries=tuple(record for _, _, record, _ in taken)))
            for socket, ident, record, agent in taken:
                await self._answer(socket, ident, OneEntry(record.entry))
                notice = JSON.notification("conversation.entry", ConversationEntry(record.entry)).decode()
                for hearer in tuple(self._hearing.get(agent, ())):
                    try:
                        await hearer.send_message(notice)
                    except ConnectionClosed:
                        pass

    async def _answer(self, socket: WebSocketConnection, ident: Any, result: Any) -> None:
        try:
            await socket.send_message(JSON.response(ident, result).decode())
        except ConnectionClosed:
            pass

    async def _commit(self, batch: Batch) -> None:
        done, token = trio.Event(), trio.lowlevel.current_trio_token()
        problems: list[BaseException] = []

        def over(result: None, problem: BaseException | None) -> None:
            problems.extend([problem] if problem else [])
            token.run_sync_soon(done.set)

        self._writer.submit(partial(self._store.commit, batch), over)
        await done.wait()
        if problems:
            raise problems[0]


async def serve(config: configuration.Config) -> None:
    """Serve until the process is ended."""
    bare = Bare(open_store(config.store.url), len(config.workspace.agents))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bare.work)
        start = partial(serve_websocket, bare.converse, config.server.host, config.server.port, None)
        server = await nursery.start(start)
        print(f"bare ready on ws://{config.server.host}:{server.port}/v1", flush=True)


def main() -> None:
    """Serve, until it is ended."""
    given = arguments().parse_args()
    trio.run(serve, configuration.load(given.config, {}, {"port": given.port, "store": given.store}))


if __name__ == "__main__":
    main()

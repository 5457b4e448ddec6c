"""Who takes part in a scenario: its clients, and how their sessions begin and end.

A client is made when it is first named and lasts to the end, whatever becomes of its sessions.
"""

from __future__ import annotations

from typing import Any

from router.simulate.judge import Answer, Failure, judge
from router.simulate.steps import Request, principal
from router.simulate.virtual import VirtualServer
from router.simulate.virtual_client import Client, SessionRefused
from router.simulate.wording import show

DEVICE = "agent-device:"


class Cast:
    """The clients of one performance, by the name the scenario gives them."""

    def __init__(self, server: VirtualServer, start: int) -> None:
        self._server = server
        self._start = start
        self._clients: dict[str, Client] = {}

    def speaker(self, who: str) -> Client:
        """Somebody with a session, opened now if there is none. Raises Failure if it is refused."""
        client = self._named(who)
        if not client.connected:
            _open(client, who)
        return client

    def listener(self, who: str) -> Client:
        """Somebody whose notices are looked at: who was cut or sent away stays so, anybody else has a session."""
        client = self._named(who)
        return client if client.stays_away else self.speaker(who)

    def ask(self, who: str, call: str, params: dict[str, Any]) -> dict[str, Any]:
        """The result of a request that has to succeed. Raises Failure or Lacking."""
        client = self.speaker(who)
        [ident] = client.send([(call, params)])
        self._server.settle()
        answer: Answer = client.take(ident)
        judge(Request(who=who, call=call, params=params), answer, self._start)
        assert answer is not None
        result: dict[str, Any] = answer["result"]
        return result

    def online(self, who: str) -> None:
        """Open a session, and for an agent switch every class on."""
        if self.speaker(who).principal.role == "agent":
            self.ask(who, "agent.set_availability", {"available": True})

    def offline(self, who: str) -> None:
        """End every session of this principal; a device is one session."""
        wanted = principal(who)
        for name, client in list(self._clients.items()):
            if name == who or (client.principal == wanted and not who.startswith(DEVICE)):
                client.end()
        self._named(who).stays_away = True

    def drop(self, who: str) -> None:
        """Cut the connection. Raises Failure if there is none."""
        client = self._named(who)
        if not client.connected:
            raise Failure("expected a connection to cut, got none")
        client.cut()

    def resume(self, who: str) -> None:
        """Reconnect, going on after the last seq. Raises Failure if there never was a session."""
        client = self._named(who)
        if client.last_seq is None:
            raise Failure("expected an earlier session to resume, got none")
        _open(client, who, resume=True)

    def crash(self, down_ms: int, *, back: bool) -> None:
        """The server dies and starts again; the agents who were there come back if ``back``."""
        were_there = [(who, client) for who, client in self._clients.items() if client.connected]
        for _, client in were_there:
            client.forget()
        self._server.crash(down_ms)
        for who, client in were_there:
            if back and client.principal.role == "agent":
                _open(client, who, resume=True)

    def _named(self, who: str) -> Client:
        if who not in self._clients:
            self._clients[who] = Client(principal(who), self._server)
        return self._clients[who]


def _open(client: Client, who: str, *, resume: bool = False) -> None:
    try:
        client.open(resume=resume)
    except SessionRefused as refusal:
        came = "no answer" if refusal.error is None else f"error {show(refusal.error['data'])}"
        raise Failure(f"expected a session of {who}, got {came}") from None

"""Who hears what: sessions by number and by address, each from its welcome on."""

from __future__ import annotations

from typing import Any

import pytest
from peers import Desk, Peer

from actors.effects import Dismiss, Outgoing, Reply, Tell, Welcome
from protocol.codec import JSON, MSGPACK, Codec
from protocol.errors import RequestError, refused
from protocol.ids import Principal
from protocol.notices import SessionEnding
from protocol.params import Nothing
from protocol.session import Limits
from router.connection import Connection
from router.hub import Hub


class HubDesk(Desk):
    """A desk whose connections are in a hub."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(Limits())
        self.hub = hub

    def join(self, connection: Connection) -> int:
        return self.hub.join(connection)

    def admit(self, connection: Connection) -> None:
        self.hub.admit(connection)

    def part(self, connection: Connection, *, admitted: bool) -> None:
        self.hub.part(connection, admitted=admitted)


class Member(Peer):
    """Somebody in a hub; ``raw`` are the very objects that were sent."""

    def __init__(self, hub: Hub, token: str = "agent:ana", codec: Codec = JSON) -> None:
        self.raw: list[bytes] = []
        self.codec = codec
        self.sent: list[Any] = []
        self.closed = None
        self.reading = []
        self.hub = hub
        self.desk = HubDesk(hub)
        self.connection = Connection(self.desk, self, codec)
        request = {"jsonrpc": "2.0", "id": 0, "method": "session.open", "params": {"token": token}}
        self.connection.receive(codec.encode(request))

    @property
    def number(self) -> int:
        return self.connection.number

    def send(self, data: bytes) -> None:
        super().send(data)
        self.raw.append(data)

    def welcome(self) -> Member:
        self.hub.deliver([Welcome(self.number, 0, 1)], self.ask)
        self.sent.clear()
        self.raw.clear()
        return self

    def heard(self) -> list[str]:
        return [message["params"]["reason"] for message in self.sent if "params" in message]


def tell(text: str, *to: str | int) -> Tell:
    return Tell(to, SessionEnding(text, 1.0))


def deliver(hub: Hub, *items: Outgoing) -> None:
    hub.deliver(items, lambda question, then: None)


def test_a_notice_goes_to_every_session_of_an_address_and_to_nobody_else() -> None:
    hub = Hub()
    ana, ana_too, bo = Member(hub).welcome(), Member(hub).welcome(), Member(hub, "agent:bo").welcome()
    namesake = Member(hub, "contact:ana").welcome()
    deliver(hub, tell("one", "agent:ana"), tell("two", "agent:bo", "agent:ana"), tell("three", "agent:nobody"))
    assert (ana.heard(), ana_too.heard(), bo.heard()) == (["one", "two"], ["one", "two"], ["two"])
    assert namesake.heard() == []


def test_a_notice_may_go_to_one_session() -> None:
    hub = Hub()
    ana, ana_too = Member(hub).welcome(), Member(hub).welcome()
    deliver(hub, tell("one", ana.number), tell("none", 99))
    assert (ana.heard(), ana_too.heard()) == (["one"], [])


def test_a_notice_is_encoded_once_for_each_format() -> None:
    hub = Hub()
    members = [Member(hub, codec=codec).welcome() for codec in (JSON, MSGPACK, JSON, MSGPACK)]
    deliver(hub, tell("one", "agent:ana"))
    first, second, third, fourth = (member.raw[0] for member in members)
    assert first is third
    assert second is fourth
    assert first != second
    assert {tuple(member.heard()) for member in members} == {("one",)}


def test_a_session_hears_from_its_welcome_on() -> None:
    hub = Hub()
    ana = Member(hub)
    deliver(hub, tell("before", "agent:ana"), Welcome(ana.number, 0, 1), tell("after", "agent:ana"))
    assert [message.get("id", message.get("method")) for message in ana.sent] == [0, "session.ending"]
    assert ana.heard() == ["after"]


def test_a_session_that_was_not_welcome_hears_nothing() -> None:
    hub = Hub()
    ana = Member(hub)
    deliver(hub, Welcome(ana.number, 0, 1, error=refused("not_found")), tell("one", "agent:ana"))
    assert (ana.heard(), hub.statistics()["principals"]) == ([], 0)


def test_answers_go_to_the_session_that_asked() -> None:
    hub = Hub()
    ana, ana_too = Member(hub).welcome(), Member(hub).welcome()
    deliver(hub, Reply(ana_too.number, 5, "agent.list", Nothing()))
    assert (ana.sent, [message["id"] for message in ana_too.sent]) == ([], [5])


def test_what_comes_for_a_session_that_is_gone_is_dropped() -> None:
    hub = Hub()
    ana, bo = Member(hub).welcome(), Member(hub, "agent:bo")
    for member in (ana, bo):
        member.connection.lost()
    items = [Reply(ana.number, 5, "agent.list", Nothing()), Welcome(bo.number, 0, 1), tell("one", "agent:ana", 1)]
    deliver(hub, *items)
    assert (ana.sent, bo.sent) == ([], [])
    assert (len(hub), hub.statistics()) == (0, {"connections": 0, "principals": 0})


def test_the_other_sessions_of_an_address_stay_when_one_goes() -> None:
    hub = Hub()
    ana, ana_too = Member(hub).welcome(), Member(hub).welcome()
    ana.connection.lost()
    deliver(hub, tell("one", "agent:ana"))
    assert (ana.heard(), ana_too.heard()) == ([], ["one"])


def test_a_session_that_ends_while_it_is_told_harms_no_other() -> None:
    hub = Hub()
    members = [Member(hub).welcome() for _ in range(3)]
    members[0].send = lambda data: members[1].connection.lost()  # type: ignore[method-assign]
    deliver(hub, tell("one", "agent:ana"), tell("two", "agent:ana"))
    assert members[2].heard() == ["one", "two"]


def test_numbers_are_never_used_again() -> None:
    hub = Hub()
    first = Member(hub)
    first.connection.lost()
    assert Member(hub).number > first.number


def test_everybody_can_be_told_of_the_end_while_they_go() -> None:
    hub = Hub()
    members = [Member(hub, f"agent:a{number}").welcome() for number in range(3)]
    for connection in hub:
        connection.lost()
    assert (len(hub), [member.desk.submitted[-1].session for member in members]) == (0, [1, 2, 3])


# ---------------------------------------------------------------- how many


def test_a_principal_may_have_so_many_sessions_and_one_that_goes_makes_room() -> None:
    hub = Hub()
    members = [Member(hub) for _ in range(Limits().principal_sessions)]
    one_more = Member(hub)
    [refusal] = one_more.sent
    assert refusal["error"]["data"]["reason"] == "rate_limited"
    assert refusal["error"]["data"]["limit"] == Limits().principal_sessions
    assert Member(hub, "agent:bo").sent == []
    one_more.connection.lost()  # it had no place, so it gives none back
    assert Member(hub).closed is not None
    members[0].connection.lost()
    assert Member(hub).closed is None
    assert Member(hub).closed is not None


def test_a_connection_without_a_principal_takes_no_place() -> None:
    hub = Hub()
    peer = Member(hub, "bad")
    peer.connection.lost()
    with pytest.raises(AssertionError):
        hub.admit(peer.connection)
    assert len(hub) == 0


def test_an_error_reaches_who_asked() -> None:
    hub = Hub()
    ana = Member(hub).welcome()
    deliver(hub, Reply(ana.number, 5, "agent.list", error=RequestError(-32603, "ours", {"retry": False})))
    assert ana.sent[0]["error"]["code"] == -32603


def test_who_has_another_name_now_hears_what_is_said_to_that_and_leaves_nothing_behind() -> None:
    hub = Hub()
    old = Member(hub, "contact:old")
    hub.deliver([Welcome(old.number, 0, 1, principal=Principal("contact", "new"))], old.ask)
    deliver(hub, tell("for the new", "contact:new"), tell("for the old", "contact:old"))
    assert old.heard() == ["for the new"]
    old.connection.lost()
    assert hub.statistics() == {"connections": 0, "principals": 0}
    assert not hub._admitted


def test_who_is_dismissed_is_told_to_come_back_and_nobody_else_is() -> None:
    hub = Hub()
    gone, too, stays = Member(hub, "contact:old"), Member(hub, "contact:old"), Member(hub, "contact:new")
    for member in (gone, too, stays):
        member.welcome()
    deliver(hub, Dismiss("contact:old"), tell("goes on", "contact:new"))
    assert [member.closed and member.closed[0] for member in (gone, too, stays)] == [1001, 1001, None]
    assert (gone.heard(), stays.heard()) == (["merged"], ["goes on"])

"""A session's rules without a house: how it opens, what is handed in, and what is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from peers import NOTE, NOW, Peer, request

from actors.effects import Asked, Opened, Reply, Welcome
from protocol.codec import MSGPACK
from protocol.errors import refused
from protocol.ids import Principal
from protocol.objects import By, Conversation, Entry
from protocol.records import Missed, Timeline
from protocol.requests import ConversationPage
from protocol.session import Limits
from protocol.times import Moment

# ---------------------------------------------------------------- opening


def test_a_good_token_opens_the_session_and_is_handed_in_once() -> None:
    peer = Peer().open(since=3)
    assert peer.desk.submitted == [Opened(7, Principal("agent", "ana"), 0, 3)]
    assert (peer.sent, peer.closed, peer.desk.expiry) == ([], None, [None])


def test_the_answer_to_open_says_what_the_session_is() -> None:
    peer = Peer(Limits(requests_per_s=11, trusted_requests_per_s=22, batch=3, frame_bytes=99)).open()
    peer.connection.welcome(Welcome(7, 0, 41), peer.ask)
    [answer] = peer.sent
    assert answer["result"] == {
        "session": "s7", "workspace": "main", "sub": "ana", "role": "agent", "seq": 41,
        "now": "2026-01-05T09:00:00.000Z", "heartbeat_s": 20, "resync": False,
        "limits": {"frame_bytes": 99, "batch": 3, "requests_per_s": 11},
    }  # fmt: skip


@pytest.mark.parametrize(("role", "rate"), [("agent", 11), ("contact", 11), ("connector", 22), ("backend", 22)])
def test_the_rate_that_is_told_is_the_roles(role: str, rate: int) -> None:
    peer = Peer(Limits(requests_per_s=11, trusted_requests_per_s=22)).open(f"{role}:x")
    peer.connection.welcome(Welcome(7, 0, 0), peer.ask)
    assert peer.sent[0]["result"]["limits"]["requests_per_s"] == rate


def test_a_bad_token_is_refused_and_ends_the_connection() -> None:
    peer = Peer().open("bad")
    assert peer.sent[0]["error"]["data"]["reason"] == "unauthenticated"
    assert (peer.closed[0], peer.desk.submitted) == (4001, [])


def test_no_token_at_all_is_refused() -> None:
    peer = Peer()
    peer.say(request(0, "session.open"))
    assert (peer.sent[0]["error"]["data"]["reason"], peer.closed[0]) == ("unauthenticated", 4001)


@pytest.mark.parametrize("header", ["Bearer agent:bo", "bearer  agent:bo "])
def test_the_token_may_come_with_the_upgrade(header: str) -> None:
    peer = Peer(authorization=header)
    peer.say(request(0, "session.open"))
    assert peer.desk.submitted[0].principal.sub == "bo"


@pytest.mark.parametrize("header", ["Basic agent:bo", "Bearer", "Bearer ", ""])
def test_another_kind_of_authorization_is_no_token(header: str) -> None:
    peer = Peer(authorization=header)
    peer.say(request(0, "session.open"))
    assert peer.closed[0] == 4001


def test_anything_before_open_is_unauthenticated_and_not_handed_in() -> None:
    peer = Peer()
    peer.say(request(1, "agent.list"))
    assert peer.sent[0]["error"]["data"]["reason"] == "unauthenticated"
    assert (peer.closed, peer.desk.submitted) == (None, [])


def test_opening_twice_is_a_conflict_and_harms_nothing() -> None:
    peer = Peer().welcomed()
    peer.say(request(1, "session.open", token="agent:bo"))
    assert peer.sent[0]["error"]["data"]["reason"] == "conflict"
    assert (peer.connection.principal.sub, peer.closed, peer.desk.submitted) == ("ana", None, [])


def test_opening_twice_in_one_array_is_a_conflict() -> None:
    peer = Peer()
    peer.say(request(0, "session.open", token="agent:ana"), request(1, "session.open", token="agent:bo"))
    assert [item.principal.sub for item in peer.desk.submitted] == ["ana"]
    assert (peer.sent[0]["id"], peer.sent[0]["error"]["data"]["reason"]) == (1, "conflict")


def test_requests_may_follow_open_in_the_same_array() -> None:
    peer = Peer()
    peer.say(request(0, "session.open", token="agent:ana"), request(1, "agent.list"), request(2, "service.list"))
    assert [type(item) for item in peer.desk.submitted] == [Opened, Asked, Asked]
    assert peer.sent == []


def test_one_session_too_many_is_told_to_come_later() -> None:
    peer = Peer()
    peer.desk.full = True
    peer.open()
    assert (peer.sent[0]["error"]["data"]["reason"], peer.closed[0], peer.desk.submitted) == ("rate_limited", 1013, [])
    peer.connection.lost()
    assert (peer.desk.parted, peer.desk.submitted) == ([False], [])


@pytest.mark.parametrize(("reason", "code"), [("not_found", 4001), ("storage_unavailable", 1013)])
def test_an_opening_that_the_house_refuses_ends_the_connection(reason: str, code: int) -> None:
    peer = Peer().open()
    peer.connection.welcome(Welcome(7, 0, 0, error=refused(reason)), peer.ask)
    assert (peer.sent[0]["error"]["data"]["reason"], peer.closed[0]) == (reason, code)


def test_an_opening_without_an_id_is_answered_under_null() -> None:
    peer = Peer()
    peer.connection.receive(b'{"jsonrpc":"2.0","method":"session.open","params":{"token":"agent:ana"}}')
    assert peer.desk.submitted[0].id is None


# ---------------------------------------------------------------- requests


def test_requests_are_handed_in_in_their_order_with_bad_ones_refused_between() -> None:
    peer = Peer().welcomed()
    peer.say(request(1, "agent.list"), request(2, "no.such"), request(3, "agent.get"), request(4, "service.list"))
    assert [item.call.id for item in peer.desk.submitted] == [1, 4]
    assert [(answer["id"], answer["error"]["code"]) for answer in peer.sent] == [(2, -32601), (3, -32602)]


def test_a_refusal_of_the_house_goes_to_the_one_who_asked() -> None:
    peer = Peer().welcomed()
    peer.desk.draining = True
    peer.say(request(1, "agent.list"))
    assert (peer.sent[0]["id"], peer.sent[0]["error"]["data"]["reason"]) == (1, "draining")


def test_a_request_without_an_id_is_never_answered() -> None:
    peer = Peer().welcomed()
    peer.desk.draining = True
    peer.connection.receive(b'{"jsonrpc":"2.0","method":"agent.list"}')
    assert peer.sent == []


def test_too_many_requests_are_refused_and_far_too_many_end_the_session() -> None:
    peer = Peer(Limits(requests_burst=3, requests_per_s=1, refusals_max=2)).welcomed()
    for ident in range(1, 6):
        peer.say(request(ident, "agent.list"))
    assert [item.call.id for item in peer.desk.submitted] == [1, 2, 3]
    assert [answer["error"]["data"]["reason"] for answer in peer.sent] == ["rate_limited"] * 2
    assert peer.closed is None
    peer.say(request(6, "agent.list"))
    assert peer.closed[0] == 4029


def test_nothing_is_taken_from_a_session_that_is_over() -> None:
    peer = Peer().welcomed()
    peer.connection.expire()
    peer.say(request(1, "agent.list"))
    assert (peer.sent, peer.desk.submitted, peer.closed[0]) == ([], [], 4002)


def test_messagepack_is_answered_in_messagepack() -> None:
    peer = Peer(codec=MSGPACK)
    message = {"jsonrpc": "2.0", "id": 0, "method": "session.open", "params": {"token": "agent:ana"}}
    peer.connection.receive(msgspec.msgpack.encode(message))
    peer.connection.welcome(Welcome(7, 0, 5), peer.ask)
    assert peer.sent[0]["result"]["seq"] == 5


# ---------------------------------------------------------------- tokens


def test_the_third_bad_token_of_a_session_ends_it() -> None:
    peer = Peer().welcomed()
    for ident in range(1, 3):
        peer.say(request(ident, "session.refresh", token="bad"))
        assert peer.closed is None
    peer.say(request(3, "session.refresh", token="bad"))
    assert (peer.closed[0], peer.connection.failed_tokens) == (4001, 3)


def test_what_waits_behind_a_page_that_never_comes_is_bounded() -> None:
    peer = Peer(Limits(outbox_bytes=10 * len(NOTE))).welcomed()
    peer.page(1)
    for _ in range(10):
        peer.connection.notice(NOTE)
    assert peer.connection.session.closing is None
    peer.connection.notice(NOTE)
    assert (peer.connection.session.closing, peer.closed) == (1013, None)
    peer.reading[0](([], False))
    assert (peer.ids()[0], peer.closed[0]) == (1, 1013)


def test_what_waited_behind_a_page_that_came_counts_no_more() -> None:
    peer = Peer(Limits(outbox_bytes=10 * len(NOTE))).welcomed()
    for ident in range(5):
        peer.page(ident)
        for _ in range(9):
            peer.connection.notice(NOTE)
        peer.reading[ident](([], False))
    assert (peer.closed, len(peer.sent)) == (None, 50)


def test_a_new_token_moves_the_end_of_the_session() -> None:
    peer = Peer().welcomed()
    peer.desk.ends_at = NOW + 1000
    peer.say(request(1, "session.refresh", token="agent:ana"))
    assert peer.desk.expiry == [None, NOW + 1000]
    assert peer.sent[0]["result"] == {"expires": "2026-01-05T09:00:01.000Z"}


@pytest.mark.parametrize(("token", "reason"), [("agent:bo", "conflict"), ("bad", "unauthenticated")])
def test_a_wrong_new_token_changes_nothing(token: str, reason: str) -> None:
    peer = Peer().welcomed()
    peer.desk.ends_at = NOW + 1000
    peer.say(request(1, "session.refresh", token=token))
    assert peer.sent[0]["error"]["data"]["reason"] == reason
    assert (peer.desk.expiry, peer.closed, peer.connection.principal.sub) == ([None], None, "ana")


# ---------------------------------------------------------------- what people outside are shown


def reaction(seq: int, *, anonymous: bool | None = None) -> Entry:
    by = By("contact", "nia")
    return Entry(
        seq=seq, conversation="c1", at=Moment(NOW), type="reaction", by=by, to=1, emoji="x", anonymous=anonymous
    )


def names(messages: list[Any]) -> list[Any]:
    """Who reacted, as the entries of a page or the notices of a replay say it."""
    entries = [message["params"]["entry"] for message in messages if "params" in message]
    for message in messages:
        entries += message.get("result", {}).get("entries", [])
    return [found.get("by", {}).get("id") for found in entries]


@pytest.mark.parametrize(
    ("token", "read_only", "shown"),
    [
        ("contact:oli", True, [None, None]),
        ("contact:oli", False, ["nia", None]),
        ("agent:ana", True, ["nia", "nia"]),
        ("backend:b", False, ["nia", "nia"]),
    ],
)
def test_a_page_shows_people_outside_no_names_of_reactions_in_a_read_only_conversation(
    token: str, read_only: bool, shown: list[str | None]
) -> None:
    peer = Peer().open(token)
    peer.connection.welcome(Welcome(7, 0, 5), peer.ask)
    peer.sent.clear()
    result = ConversationPage(Conversation(id="c1", created_at=Moment(NOW), read_only=read_only), (), False)
    peer.connection.reply(Reply(7, 1, "conversation.get", result, question=Timeline("c1", 9, 5)), peer.ask)
    peer.reading.pop()(((reaction(2), reaction(3, anonymous=True)), False))
    assert names(peer.sent) == shown


@pytest.mark.parametrize(("token", "shown"), [("contact:oli", ["nia", None]), ("agent:ana", ["nia", "nia"])])
def test_a_replay_shows_what_was_told_live(token: str, shown: list[str | None]) -> None:
    peer = Peer().open(token, since=1)
    peer.connection.welcome(Welcome(7, 0, 5, Missed(token, 1, 5)), peer.ask)
    peer.reading.pop()((reaction(2), reaction(3, anonymous=True)))
    assert names(peer.sent) == shown


def test_a_session_of_somebody_who_has_another_name_now_is_told_so() -> None:
    peer = Peer().open("contact:old")
    assert peer.connection.become(Principal("contact", "new")) == "contact:new"
    peer.connection.welcome(Welcome(7, 0, 5, principal=Principal("contact", "new")), peer.ask)
    assert peer.sent[0]["result"]["sub"] == "new"
    assert (peer.connection.hears, peer.connection.principal.sub) == ("contact:new", "old")
    peer.say(request(1, "session.refresh", token="contact:old"))
    assert "result" in peer.sent[-1], "its token is still its token"


def test_only_requests_that_may_make_a_link_carry_a_secret() -> None:
    peer = Peer().welcomed()
    peer.say(request(1, "agent.list"), request(2, "conversation.create", name="Launch"))
    assert [item.secret for item in peer.desk.submitted] == ["", "a secret"]

"""What goes out of a connection in which order, while answers are being read, and how it ends."""

from __future__ import annotations

import pytest
from peers import NOTE, Peer, entry, request

from actors.effects import Ended, Reply, Welcome
from protocol.errors import RequestError, refused
from protocol.records import Missed

# ---------------------------------------------------------------- the order of what goes out


def test_what_is_newer_waits_behind_a_page_that_is_being_read() -> None:
    peer = Peer().welcomed()
    peer.answer(1)
    peer.page(2)
    peer.answer(3)
    peer.connection.notice(NOTE)
    assert peer.ids() == [1]
    peer.reading[0](((entry(8), entry(9)), True))
    assert peer.ids() == [1, 2, 3, "note"]
    assert [item["seq"] for item in peer.sent[1]["result"]["entries"]] == [8, 9]
    assert peer.sent[1]["result"]["more"] is True


def test_pages_that_are_read_out_of_order_go_out_in_order() -> None:
    peer = Peer().welcomed()
    for ident in (1, 2, 3):
        peer.page(ident)
        peer.answer(10 + ident)
    peer.reading[2](((), False))
    peer.reading[1](((), False))
    assert peer.ids() == []
    peer.reading[0](((), False))
    assert peer.ids() == [1, 11, 2, 12, 3, 13]


def test_the_middle_page_frees_only_what_is_before_the_next() -> None:
    peer = Peer().welcomed()
    for ident in (1, 2, 3):
        peer.page(ident)
    peer.reading[0](((), False))
    peer.reading[2](((), False))
    assert peer.ids() == [1]
    peer.answer(4)
    assert peer.ids() == [1]
    peer.reading[1](((), False))
    assert peer.ids() == [1, 2, 3, 4]


def test_a_page_that_is_there_at_once_opens_no_gap() -> None:
    peer = Peer().welcomed()
    peer.ask = lambda question, then: then(((), False))
    peer.page(1)
    peer.answer(2)
    assert peer.ids() == [1, 2]


def test_a_page_that_cannot_be_read_is_refused_in_its_place() -> None:
    peer = Peer().welcomed()
    peer.page(1)
    peer.answer(2)
    peer.reading[0](refused("storage_unavailable"))
    assert peer.ids() == [1, 2]
    assert peer.sent[0]["error"]["data"]["reason"] == "storage_unavailable"


def test_what_was_missed_comes_between_the_answer_to_open_and_anything_newer() -> None:
    peer = Peer().open(since=1)
    peer.connection.welcome(Welcome(7, 0, 9, Missed("agent:ana", 1, 9)), peer.ask)
    peer.connection.notice(NOTE)
    assert peer.sent == []
    peer.reading[0]((entry(4), entry(9)))
    assert peer.ids() == [0, "conversation.entry", "conversation.entry", "note"]
    assert [message["params"]["entry"]["seq"] for message in peer.sent[1:3]] == [4, 9]


def test_what_was_missed_and_cannot_be_read_leaves_nothing_that_looks_like_a_session() -> None:
    peer = Peer().open(since=1)
    peer.connection.welcome(Welcome(7, 0, 9, Missed("agent:ana", 1, 9)), peer.ask)
    peer.connection.notice(NOTE)
    peer.page(1)
    peer.reading[0](refused("storage_unavailable"))
    assert [(message["id"], message["error"]["data"]["reason"]) for message in peer.sent] == [
        (0, "storage_unavailable")
    ]
    assert peer.closed[0] == 1013
    peer.reading[1](((), False))
    assert len(peer.sent) == 1


# ---------------------------------------------------------------- ends


def test_session_close_is_answered_and_then_ends_with_1000() -> None:
    peer = Peer().welcomed()
    peer.say(request(1, "session.close"))
    assert peer.closed is None
    peer.answer(1, "session.close")
    assert (peer.ids(), peer.closed[0]) == ([1], 1000)


def test_what_was_asked_before_the_close_is_answered_before_it() -> None:
    peer = Peer().welcomed()
    peer.say(request(1, "conversation.get", conversation="c1"), request(2, "agent.list"), request(3, "session.close"))
    peer.page(1)
    peer.answer(2)
    peer.answer(3, "session.close")
    assert (peer.ids(), peer.closed) == ([], None)
    peer.reading[0](((), False))
    assert (peer.ids(), peer.closed[0]) == ([1, 2, 3], 1000)


def test_an_answer_with_the_id_of_the_close_does_not_end_the_session() -> None:
    peer = Peer().welcomed()
    peer.say(request(1, "agent.list"), request(1, "session.close"))
    peer.answer(1)
    assert peer.closed is None
    peer.answer(1, "session.close")
    assert (peer.ids(), peer.closed[0]) == ([1, 1], 1000)


def test_a_close_without_an_id_ends_the_session_without_an_answer() -> None:
    peer = Peer().welcomed()
    peer.connection.receive(b'{"jsonrpc":"2.0","method":"session.close"}')
    [asked] = peer.desk.submitted
    peer.answer(asked.call.id, "session.close")
    assert (peer.sent, peer.closed[0]) == ([], 1000)


def test_nothing_behind_a_close_is_taken() -> None:
    peer = Peer().welcomed()
    peer.say(request(1, "session.close"), request(2, "agent.list"))
    assert [item.call.id for item in peer.desk.submitted] == [1]


def test_an_expiry_waits_behind_a_page_that_is_being_read() -> None:
    peer = Peer().welcomed()
    peer.page(1)
    peer.connection.expire()
    peer.connection.notice(NOTE)
    assert peer.closed is None
    peer.reading[0](((), False))
    assert (peer.ids(), peer.closed[0]) == ([1], 4002)


def test_an_end_of_the_server_is_told_before_it_comes_also_behind_a_page() -> None:
    peer = Peer().welcomed()
    peer.page(1)
    peer.connection.ending("shutdown", 2.0)
    peer.reading[0](((), False))
    assert peer.ids() == [1, "session.ending"]
    assert peer.sent[1]["params"] == {"reason": "shutdown", "retry_after_s": 2.0}
    assert peer.closed[0] == 1001


@pytest.mark.parametrize("pages", [0, 1])
def test_the_first_reason_to_end_stays(pages: int) -> None:
    peer = Peer().welcomed()
    for ident in range(pages):
        peer.page(ident)
    peer.connection.expire()
    peer.connection.ending("shutdown", 2.0)
    for then in peer.reading:
        then(((), False))
    assert (peer.closed[0], peer.connection.session.closing) == (4002, 4002)


def test_a_lost_connection_is_handed_in_once() -> None:
    peer = Peer().welcomed()
    peer.connection.lost()
    peer.connection.lost()
    assert (peer.desk.submitted, peer.desk.parted) == ([Ended(7)], [True])


def test_a_connection_lost_before_it_was_open_concerns_nobody() -> None:
    peer = Peer()
    peer.connection.lost()
    assert (peer.desk.submitted, peer.desk.parted) == ([], [False])


def test_an_answer_that_comes_after_the_loss_harms_nobody() -> None:
    peer = Peer().welcomed()
    peer.page(1)
    peer.connection.lost()
    peer.reading[0](((), False))
    peer.connection.notice(NOTE)


def test_a_failure_of_ours_is_told_with_its_incident() -> None:
    peer = Peer().welcomed()
    peer.connection.reply(Reply(7, 1, "agent.list", error=RequestError(-32603, "ours", {"incident": "i1"})), peer.ask)
    assert (peer.sent[0]["id"], peer.sent[0]["error"]["data"]) == (1, {"incident": "i1"})

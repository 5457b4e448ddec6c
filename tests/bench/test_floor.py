"""The floor of a fan-out is told to everybody, and nothing of a request is lost between two reads."""

from __future__ import annotations

import json
from itertools import pairwise

from bench import fanout
from bench.floor import joined, payloads_of
from bench.load import Bout, Contestant, with_houses
from bench.websocket import TEXT, frame
from loadtest.traffic import Message


def test_frames_are_taken_apart_wherever_a_read_ends() -> None:
    sent = [b'{"id":1}', b"x" * 126, b"y" * 70_000, b""]
    stream = b"".join(frame(TEXT, payload) for payload in sent)
    for cuts in ((0, len(stream)), (0, 1, 5, 200, len(stream)), (0, 140, 141, 145, len(stream))):
        found, rest = [], b""
        for begin, end in pairwise(cuts):
            *payloads, rest = payloads_of(rest + stream[begin:end])
            found += payloads
        assert (found, rest) == (sent, b"")


def test_several_objects_are_one_frame_and_one_is_no_array() -> None:
    assert joined([b'{"a":1}'])[2:] == b'{"a":1}'
    assert json.loads(joined([b'{"a":1}', b'{"b":2}'])[2:]) == [{"a": 1}, {"b": 2}]


def test_every_session_hears_what_the_floor_writes_as_often_as_it_was_asked() -> None:
    its = Contestant("floor", lambda: Message(1), "bench.floor", senders=1, agents=1, sessions=3, warm_up=1)

    async def work(bouts: dict[str, Bout]) -> tuple[fanout.Cost, list[int], int]:
        bout = bouts["floor"]
        before = [agent.bytes_heard for agent in bout.crowd.agents]
        cost = await fanout.fan_out(bout, 2, 4)
        heard = [agent.bytes_heard - n for agent, n in zip(bout.crowd.agents, before, strict=True)]
        return cost, heard, bout.crowd.ledger.counts[1]

    cost, heard, delivered = with_houses([its], work)
    assert len(set(heard)) == 1  # the same frames to each
    assert delivered == 1 + 2 * 4  # the warm-up too
    assert cost.whole >= 0

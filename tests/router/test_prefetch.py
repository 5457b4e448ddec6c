"""Reading before a step: what cannot be read refuses whoever needs it, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from actors.core import Core
from actors.effects import Asked, Configured, Ended, Input, Opened
from protocol.codec import Call, convert
from protocol.errors import INTERNAL, RequestError
from protocol.ids import Principal
from protocol.records import ClosedIn, ContactById, ConversationById, Question, Snapshot
from protocol.requests import METHODS
from protocol.settings import WorkspaceSettings
from router.prefetch import Prefetch
from storage.store import StorageUnavailable, StorageUnfit
from tests.world import START, service

BACKEND, ANA, NIA = Principal("backend", "crm"), Principal("agent", "ana"), Principal("contact", "nia")
CONFIG = {"services": [service("support", "ana")], "agents": [{"id": "ana"}]}


class Reading:
    """A core, a store that is always empty, and what was refused. ``away``: nothing of this kind can be read."""

    def __init__(self) -> None:
        self.away: tuple[type, ...] = ()
        self.damaged: list[Question] = []
        self.asked: list[Sequence[Question]] = []
        self.refused: list[tuple[Input, RequestError | None]] = []
        settings = convert(CONFIG, WorkspaceSettings)
        self.core = Core(settings)
        self.core.load(Snapshot(), START)
        self.core.step(START, [Configured(settings), Opened(1, BACKEND)])
        self.prefetch = Prefetch(self.core, self.read, self.refuse)

    async def read(self, questions: Sequence[Question]) -> list[Any]:
        self.asked.append(questions)
        assert len(self.asked) < 100, "it asks for ever"
        if any(isinstance(question, self.away) for question in questions):
            raise StorageUnavailable("away")
        if any(question in self.damaged for question in questions):
            raise StorageUnfit("damaged")
        return [() if isinstance(question, ClosedIn) else None for question in questions]

    def refuse(self, inputs: Sequence[Input], why: RequestError | None = None) -> None:
        self.refused += [(item, why) for item in inputs]


def ask(method: str, session: int = 1, /, **params: Any) -> Asked:
    return Asked(session, Call(method, convert(params, METHODS[method].params), 1))


@pytest.fixture
def reading() -> Reading:
    return Reading()


async def test_answers_are_read_until_there_is_no_question_left(reading: Reading) -> None:
    inputs = [Opened(2, NIA), ask("conversation.start", 2, channel="web"), ask("conversation.get", conversation="c1")]
    assert await reading.prefetch.fetch(inputs) == inputs
    assert not reading.core.questions(inputs)
    assert len(reading.asked) == 1  # a contact whom nobody knows has no history
    assert reading.refused == []


async def test_while_the_store_is_away_what_needs_it_is_refused(reading: Reading) -> None:
    reading.away = (ClosedIn, ConversationById)
    fine, lost = ask("agent.list"), ask("conversation.list", status="closed")
    gone = ask("conversation.get", conversation="c1")
    assert await reading.prefetch.fetch([fine, lost, Ended(7), gone]) == [fine, Ended(7)]
    assert reading.refused == [(lost, None), (gone, None)]


async def test_what_came_together_with_the_opening_of_its_session_is_refused_too(reading: Reading) -> None:
    """Seen alone it raises no question, since nobody knows yet whose it is: it was asked for again and again."""
    reading.away = (ClosedIn,)
    opening, lost, fine = Opened(2, ANA), ask("conversation.list", 2, status="closed"), ask("agent.list", 2)
    assert await reading.prefetch.fetch([opening, lost, fine]) == [opening, fine]
    assert reading.refused == [(lost, None)]


async def test_with_an_opening_that_is_refused_go_all_requests_of_its_session(reading: Reading) -> None:
    reading.away = (ContactById,)
    mine, other = [Opened(2, NIA), ask("conversation.list", 2)], ask("agent.list")
    assert await reading.prefetch.fetch([*mine, other]) == [other]
    assert [item for item, _ in reading.refused] == mine


async def test_a_damaged_row_refuses_only_who_asks_for_it(reading: Reading) -> None:
    reading.damaged = [ConversationById("c2")]
    inputs = [ask("conversation.get", conversation=name) for name in ("c1", "c2", "c3")]
    assert await reading.prefetch.fetch(inputs) == [inputs[0], inputs[2]]
    [(item, why)] = reading.refused
    assert (item, why and why.code) == (inputs[1], INTERNAL)


async def test_a_bug_met_while_preparing_refuses_the_request_that_met_it(reading: Reading, monkeypatch: Any) -> None:
    """An agent whom nobody configured asked for closed conversations along with its opening: the server ended."""
    questions = Core.questions

    def fail_for_lists(core: Core, inputs: Sequence[Input]) -> list[Question]:
        if any(isinstance(item, Asked) and item.call.method == "conversation.list" for item in inputs):
            raise KeyError("ghost")
        return questions(core, inputs)

    monkeypatch.setattr(Core, "questions", fail_for_lists)
    opening, bad, fine = Opened(2, ANA), ask("conversation.list", 2), ask("conversation.get", conversation="c1")
    assert await reading.prefetch.fetch([opening, bad, fine]) == [opening, fine]
    [(item, why)] = reading.refused
    assert (item, why and why.code) == (bad, INTERNAL)
    assert reading.asked == [[ConversationById("c1")]]

"""Questions to PostgreSQL: few round trips, one state, and an index for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from storage_samples import conversation, key, message

from protocol.records import Batch, ConversationById, KeyOf, Missed, Timeline
from storage.postgres import PostgresStore
from storage.postgres_reading import _TOGETHER
from storage.questions import ALL_KINDS


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url)
    store.open()
    yield store
    store.close()


@pytest.fixture
def queries_of(store: PostgresStore) -> Callable[[Callable[[], Any]], list[str]]:
    """The statements that a call sends over the reading connection."""

    def queries_of(call: Callable[[], Any]) -> list[str]:
        call()  # connect, and learn of PostgreSQL's types
        found: list[str] = []

        def log(record: Any) -> None:
            found.append(record.query)

        store._reader._connection.add_query_logger(log)
        call()
        store._reader._connection.remove_query_logger(log)
        return found

    return queries_of


def test_many_questions_of_one_kind_are_one_round_trip(store: PostgresStore, queries_of: Any) -> None:
    keys = [key(f"k{number}") for number in range(256)]
    store.commit(Batch(keys=tuple(keys)))
    questions = [KeyOf("agent:ana", each.key) for each in keys]
    answers: list[Any] = []
    assert len(queries_of(lambda: answers.append(store.read(questions)))) == 1
    assert answers == [keys, keys]


def test_questions_of_several_kinds_are_answered_in_one_transaction(store: PostgresStore, queries_of: Any) -> None:
    store.commit(Batch(entries=(message(1),), records=(conversation(),)))
    questions = [ConversationById("c1"), Timeline("c1", 9, 9), ConversationById("c2"), Missed("agent:ana", 0, 9)]
    found = queries_of(lambda: store.read(questions))
    assert len(found) == 5
    assert "REPEATABLE READ" in found[0]
    assert found[-1] == "COMMIT"


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.select[-60:])
def test_each_kind_has_an_index(store: PostgresStore, kind: Any) -> None:
    """Also while the table is small: the plan stays when it no longer is."""

    async def plan(connection: Any) -> str:
        rows = await connection.fetch("EXPLAIN " + _TOGETHER[kind], *([] for _ in kind.types))
        return "\n".join(row[0] for row in rows)

    assert "Seq Scan" not in store._reader.run(plan)

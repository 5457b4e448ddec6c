"""The ways to commit that are measured write what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import commit
from bench.journal import journal_of
from bench.rooms import Room
from storage.urls import store_of


@pytest.mark.parametrize(
    ("way", "entries", "conversations"),
    [(commit.WHOLE, True, 10), (commit.ENTRIES, True, 0), (commit.JOURNAL, False, 0), (commit.LATER, True, 10)],
)
def test_each_way_leaves_in_the_tables_what_it_is_named_for(
    tmp_path: Path, way: str, entries: bool, conversations: int
) -> None:
    url = f"sqlite:///{tmp_path}/signalbox.db"
    store = store_of(url)
    store.open()
    journal = journal_of(url)
    batches = list(commit.batches(Room(contacts=10), 16, 40))
    assert [len(batch.entries) for batch in batches] == [16, 16, 8]
    commit.ways(store, journal)[way](batches)
    found = store.load()
    assert found.last_seq == (batches[-1].entries[-1].entry.seq if entries else 0)
    assert len(found.conversations) == conversations
    journal.close()
    store.close()


def test_what_a_group_is_worth_is_the_ratio_of_turns_that_were_measured_together() -> None:
    found = commit.Found()
    found.rates[1] = [100.0, 400.0, 200.0]
    found.rates[commit.JUDGED] = [3_000.0, 4_000.0, 5_000.0]
    assert found.gain == 25.0

"""A batch as rows, and the sweep of expired keys."""

from __future__ import annotations

from typing import Any

from storage_samples import contact, conversation, delivery, key, message

from protocol.records import Batch, KeyOf, RevocationRecord, RevokedAt
from storage.batches import SWEEP_AFTER_KEYS, Sweep, rows_of
from storage.tables import ADDRESSES, CONVERSATIONS, KEYS


def test_rows_are_grouped_by_table_and_empty_tables_left_out() -> None:
    batch = Batch(
        entries=(message(1), message(2)),
        records=(conversation("c1"), delivery(2), conversation("c2"), contact("p1", "1"), contact("p2")),
        keys=(key(),),
    )
    sizes = {table.name: len(rows) for table, rows in rows_of(batch)}
    assert sizes == {
        "entries": 2,
        "conversations": 2,
        "deliveries": 1,
        "contacts": 2,
        "contact_addresses": 1,
        "request_keys": 1,
    }
    assert rows_of(Batch()) == []


def test_of_two_records_with_one_key_the_later_is_written() -> None:
    batch = Batch(
        entries=(message(2), message(1)),
        records=(contact("p1", "1", "2"), conversation("c1"), contact("p1", "2", "3"), conversation("c1", name="n")),
        keys=(key(answer=b"1"), key(answer=b"2")),
    )
    rows = dict(rows_of(batch))
    assert [(table.name, len(rows)) for table, rows in rows.items()] == [
        ("entries", 2), ("contacts", 1), ("conversations", 1), ("request_keys", 1), ("contact_addresses", 2),
    ]  # fmt: skip
    assert CONVERSATIONS.record(rows[CONVERSATIONS][0]).name == "n"
    assert rows[ADDRESSES] == [("sms", "2", "p1"), ("sms", "3", "p1")]
    assert KEYS.record(rows[KEYS][0]).answer == b"2"


def test_of_two_contacts_of_a_batch_with_one_address_the_later_has_it() -> None:
    found = {table.name: rows for table, rows in rows_of(Batch(records=(contact("p1", "1", "2"), contact("p2", "1"))))}
    assert found["contact_addresses"] == [("sms", "1", "p2"), ("sms", "2", "p1")]


def test_a_sweep_comes_after_so_many_keys_and_takes_twice_as_many() -> None:
    sweep = Sweep()
    keys = tuple(key(str(number)) for number in range(SWEEP_AFTER_KEYS // 2))
    due = [sweep.due(Batch(entries=(message(seq), message(seq - 1)), keys=keys)) for seq in (2, 4, 6, 8)]
    assert due == [None, (1_004, 2 * SWEEP_AFTER_KEYS), None, (1_008, 2 * SWEEP_AFTER_KEYS)]


def test_a_sweep_waits_for_a_batch_that_tells_the_time() -> None:
    sweep = Sweep()
    keys = tuple(key(str(number)) for number in range(SWEEP_AFTER_KEYS))
    assert sweep.due(Batch(keys=keys)) is None
    assert sweep.due(Batch(entries=(message(1),))) == (1_001, 2 * SWEEP_AFTER_KEYS)


def test_expired_keys_are_swept_out_and_no_others(store: Any) -> None:
    """Entry ``seq`` is of the time 1000 + seq; the sweep comes with the last batch."""
    old = [key("past", expires_at=1_001), key("now", expires_at=1_002), key("later", expires_at=1_003), key("ever")]
    store.commit(Batch(entries=(message(1),), keys=tuple(old)))
    fresh = tuple(key(f"k{number}", expires_at=9_999) for number in range(SWEEP_AFTER_KEYS))
    store.commit(Batch(entries=(message(2),), keys=fresh))
    questions = [KeyOf("agent:ana", name) for name in ("past", "now", "later", "ever", "k0", "k255")]
    left = [answer and answer.key for answer in store.read(questions)]
    assert left == [None, "now", "later", "ever", "k0", "k255"]


def test_expired_revocations_are_swept_out_with_them(store: Any) -> None:
    revoked = [RevocationRecord(f"agent:{ends}", 1, ends) for ends in (1_001, 1_002, 1_003, None)]
    store.commit(Batch(records=tuple(revoked)))
    fresh = tuple(key(f"k{number}", expires_at=9_999) for number in range(SWEEP_AFTER_KEYS))
    store.commit(Batch(entries=(message(2),), keys=fresh))
    assert store.read([RevokedAt(0)]) == [tuple(revoked[1:])]


def test_a_sweep_takes_the_oldest_first_and_not_too_many(store: Any) -> None:
    many = 3 * SWEEP_AFTER_KEYS
    old = tuple(key(f"k{number}", expires_at=number) for number in range(many))
    store.commit(Batch(keys=old[:-1]))
    store.commit(Batch(entries=(message(1),), keys=(key("last", expires_at=many),)))
    left = [answer is not None for answer in store.read([KeyOf("agent:ana", each.key) for each in old])]
    assert sum(left) == 0  # one sweep of twice as many as came since: all of these, for they came at once

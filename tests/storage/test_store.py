"""The port, the same for every store: what was committed is there, whole, and what was not is not there at all."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from storage_samples import closed, contact, conversation, delivery, key, message, records_of

from protocol.objects import Entry
from protocol.records import (
    AgentRecord,
    Batch,
    ContactByAddress,
    ContactById,
    ContactRecord,
    ConversationById,
    ConversationRecord,
    DeliveryOf,
    DeliveryRecord,
    EntryRecord,
    KeyOf,
    KeyRecord,
    Missed,
    ServiceRecord,
    Snapshot,
    TemplateRecord,
    Timeline,
    WebhookRecord,
)
from protocol.settings import AgentSettings
from storage.store import StorageUnavailable, StorageUnfit

ANY_STORE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
WHOLE = {"up_to": 10**6, "limit": 10**6}


def everything(store: Any) -> Any:
    """All that tests below write: the snapshot, the timeline of c1 and what only questions give."""
    names = ["k1", "k2"]
    questions = [Timeline("c1", **WHOLE), DeliveryOf(1), DeliveryOf(2), *(KeyOf("agent:ana", name) for name in names)]
    return store.load(), store.read(questions)


def key_of(record: Any) -> Any:
    """The primary key of a record."""
    return record.seq if isinstance(record, DeliveryRecord) else record.id


def unique(records: list[Any]) -> list[Any]:
    """Each record once."""
    return list({(type(record), key_of(record)): record for record in records}.values())


# ---------------------------------------------------------------- round trips


@ANY_STORE
@given(records=st.lists(st.one_of(map(records_of, [ConversationRecord, ContactRecord, DeliveryRecord])), max_size=8))
def test_records_come_back_as_they_were_committed(store: Any, records: list[Any]) -> None:
    records = unique(records)
    store.commit(Batch(records=tuple(records)))
    ask = {ConversationRecord: ConversationById, ContactRecord: ContactById, DeliveryRecord: DeliveryOf}
    questions = [ask[type(record)](key_of(record)) for record in records]
    assert store.read(questions) == records


@ANY_STORE
@given(records=st.lists(st.one_of(map(records_of, [AgentRecord, ServiceRecord, TemplateRecord])), max_size=5))
def test_agents_services_and_templates_come_back_at_start_up(store: Any, records: list[Any]) -> None:
    records = unique(records)
    store.commit(Batch(records=tuple(records)))
    snapshot = store.load()
    loaded = (*snapshot.agents, *snapshot.services, *snapshot.templates)
    found = {(type(record), record.id): record for record in loaded}
    assert [found[type(record), record.id] for record in records] == records


@ANY_STORE
@given(records=st.lists(records_of(KeyRecord), max_size=8))
def test_keys_come_back_as_they_were_committed(store: Any, records: list[KeyRecord]) -> None:
    records = list({(record.owner, record.key): record for record in records}.values())
    store.commit(Batch(keys=tuple(records)))
    assert store.read([KeyOf(record.owner, record.key) for record in records]) == records


@ANY_STORE
@given(entries=st.lists(records_of(Entry, conversation=st.sampled_from("ab")), max_size=8))
def test_entries_come_back_as_they_were_committed(store: Any, entries: list[Entry]) -> None:
    first = store.load().last_seq + 1
    numbered = [
        Entry(**{**{name: getattr(entry, name) for name in Entry.__struct_fields__}, "seq": first + index})
        for index, entry in enumerate(entries)
    ]
    store.commit(Batch(entries=tuple(EntryRecord(entry=entry, audience=("agent:ana",)) for entry in numbered)))
    assert store.read([Missed("agent:ana", first - 1, first + 100)]) == [tuple(numbered)]
    assert store.load().last_seq == first - 1 + len(entries)


def test_a_record_that_is_written_again_replaces_the_old_one(store: Any) -> None:
    store.commit(
        Batch(entries=(message(1),), records=(conversation(tags=("a",)), contact("p1", "1", name="Al"), delivery(1)))
    )
    again = (conversation(name="n"), contact("p1", "2"), delivery(1, status="failed", error="e"))
    store.commit(Batch(records=again, keys=(key(answer=b"1"),)))
    store.commit(Batch(keys=(key(answer=b"2", digest="other"),)))
    questions = [ConversationById("c1"), ContactById("p1"), DeliveryOf(1), KeyOf("agent:ana", "k1")]
    assert store.read(questions) == [*again, key(answer=b"2", digest="other")]


def test_of_a_record_that_comes_twice_in_a_batch_the_later_is_written(store: Any) -> None:
    """An agent that is deleted and put again within one step is two actors with one id."""
    ana = AgentRecord(id="ana", position=0, settings=AgentSettings(id="ana"))
    gone, again = msgspec.structs.replace(ana, deleted=True), msgspec.structs.replace(ana, position=3)
    store.commit(Batch(records=(ana, contact("p1", "1"))))
    store.commit(Batch(records=(gone, contact("p1", "1", "2"), again, contact("p1", "2"))))
    assert store.load().agents == (again,)
    assert store.read([ContactByAddress("sms", number) for number in "12"]) == [None, contact("p1", "2")]


def test_a_row_that_somebody_damaged_is_named(lasting_url: str, opened: Any, damage: Any) -> None:
    store = opened(lasting_url)
    store.commit(Batch(entries=(message(1),), records=(conversation(), conversation("c2"))))
    damage("UPDATE conversations SET state = 'lost' WHERE id = 'c1'")
    damage("UPDATE conversations SET detail = '{\"paused\":[\"x\"]}' WHERE id = 'c2'")
    with pytest.raises(StorageUnfit, match="does not understand"):
        store.read([ConversationById("c2")])
    with pytest.raises(StorageUnfit, match="does not understand"):
        store.load()
    assert store.read([Timeline("c1", **WHOLE)]) == [((message(1).entry,), False)]


def test_an_empty_store_has_an_empty_snapshot(store: Any) -> None:
    assert store.load() == Snapshot()


def test_an_empty_batch_is_no_trouble(store: Any) -> None:
    store.commit(Batch())
    assert store.load() == Snapshot()
    assert store.read([]) == []


# ---------------------------------------------------------------- atomicity


def test_of_a_batch_with_a_bad_row_nothing_is_written(store: Any) -> None:
    store.commit(Batch(entries=(message(1),), records=(conversation(),), keys=(key(),)))
    before = everything(store)
    bad = Batch(
        entries=(message(2), message(1)),  # 1 is taken
        records=(conversation(name="changed"), conversation("c2"), contact("p1", "1"), delivery(2)),
        keys=(key(answer=b"changed"), key("k2")),
    )
    with pytest.raises(StorageUnfit):
        store.commit(bad)
    assert everything(store) == before
    store.commit(Batch(entries=(message(2),), records=(delivery(2),)))
    assert [entry.seq for entry in store.read([Timeline("c1", **WHOLE)])[0][0]] == [1, 2]


def test_a_row_that_fails_last_takes_the_rows_before_it_along(store: Any) -> None:
    nameless: Any = None
    with pytest.raises(StorageUnfit):
        store.commit(Batch(entries=(message(1),), records=(conversation(),), keys=(key(), key("k2", digest=nameless))))
    snapshot, answers = everything(store)
    assert snapshot == Snapshot()
    assert answers == [((), False), None, None, None, None]


def test_what_cannot_be_encoded_is_the_batchs_fault_and_leaves_nothing(store: Any) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        store.commit(Batch(entries=(message(1),), records=(conversation(name="\ud800"),)))
    store.commit(Batch(entries=(message(1, text="now"),)))
    assert store.load().last_seq == 1


# ---------------------------------------------------------------- reload and second open


def test_a_store_that_is_opened_again_has_all_that_was_committed(lasting_url: str, opened: Callable[..., Any]) -> None:
    store = opened(lasting_url)
    store.commit(
        Batch(entries=(message(1), message(2)), records=(conversation(), contact(), delivery(2)), keys=(key(),))
    )
    before = everything(store)
    store.close()
    assert everything(opened(lasting_url)) == before


def test_a_store_may_be_opened_again_after_close_and_close_is_idempotent(lasting_url: str, opened: Any) -> None:
    store = opened(lasting_url)
    store.commit(Batch(entries=(message(1),)))
    store.close()
    store.close()
    with pytest.raises(StorageUnavailable):
        store.read([Timeline("c1", **WHOLE)])
    store.open()
    store.open()
    assert store.load().last_seq == 1


def test_two_open_stores_see_what_is_committed_by_either(lasting_url: str, opened: Any) -> None:
    one, other = opened(lasting_url), opened(lasting_url)
    one.commit(Batch(entries=(message(1),)))
    assert other.load().last_seq == 1
    other.commit(Batch(entries=(message(2),)))
    assert one.load().last_seq == 2


def test_who_has_not_seen_anothers_commit_may_not_write(lasting_url: str, opened: Any) -> None:
    one, other = opened(lasting_url), opened(lasting_url)
    one.commit(Batch(entries=(message(1),)))
    with pytest.raises(StorageUnfit, match="another server"):
        other.commit(Batch(entries=(message(2),)))
    assert one.load().last_seq == 1


# ---------------------------------------------------------------- start-up


def test_start_up_loads_what_is_live_in_order(store: Any) -> None:
    names = ["b", "a", "é", "B", "_", "c00a"]  # by code point, whatever the database's collation
    live = [conversation(name, contact=f"p{name}") for name in names]
    live[0].state = "snoozed"
    gone = [closed("z", 5, contact="pz"), conversation("y", state="moved", contact="py")]
    contacts = [contact(f"p{name}") for name in [*names, "z", "y", "unheard"]]
    store.commit(Batch(records=(*live, *gone, *contacts)))
    snapshot = store.load()
    assert [record.id for record in snapshot.conversations] == sorted(names)
    assert [record.id for record in snapshot.contacts] == sorted(f"p{name}" for name in names)


def test_agents_and_services_are_loaded_by_position(store: Any) -> None:
    agents = [AgentRecord(id=name, position=at, settings={"id": name}) for name, at in (("x", 2), ("y", 0), ("z", 1))]
    services = [ServiceRecord(id=name, position=at, settings={"id": name}) for name, at in (("a", 9), ("b", 3))]
    store.commit(Batch(records=(*agents, *services)))
    snapshot = store.load()
    assert [record.id for record in snapshot.agents] == ["y", "z", "x"]
    assert [record.id for record in snapshot.services] == ["b", "a"]


def test_templates_are_loaded_by_name(store: Any) -> None:
    names = ["b", "a", "é", "B", "_"]
    store.commit(Batch(records=tuple(TemplateRecord(id=name, settings={"name": name, "text": "t"}) for name in names)))
    assert [record.id for record in store.load().templates] == sorted(names)


def test_webhooks_are_loaded_until_they_are_done(store: Any) -> None:
    hooks = [WebhookRecord(id=seq, conversation="c1", url="u", body="{}", attempts=1, next_at=seq) for seq in (5, 3)]
    store.commit(Batch(records=tuple(hooks)))
    assert store.load().webhooks == tuple(reversed(hooks))
    hooks[1].status = "failed"
    store.commit(Batch(records=(hooks[1],)))
    assert store.load().webhooks == (hooks[0],)


def test_a_delivery_is_loaded_with_its_entry_until_it_is_acknowledged(store: Any) -> None:
    store.commit(Batch(entries=(message(1), message(2), message(3)), records=(delivery(3), delivery(1))))
    assert [(d.seq, e.text) for d, e in store.load().deliveries] == [(1, "no 1"), (3, "no 3")]
    store.commit(Batch(records=(delivery(1, status="sent"),)))
    assert store.load().deliveries == ((delivery(3), message(3).entry),)
    assert store.read([DeliveryOf(1)]) == [delivery(1, status="sent")]


def test_an_address_belongs_to_the_contact_that_names_it_last(store: Any) -> None:
    store.commit(Batch(records=(contact("p1", "1", "2"), contact("p2", "3"))))
    store.commit(Batch(records=(contact("p1", "2"), contact("p2", "1", "3"))))
    store.commit(Batch(records=(contact("p3", "3", "4"),)))
    owners = store.read([ContactByAddress("sms", number) for number in "1234"])
    assert [owner and owner.id for owner in owners] == ["p2", "p1", "p3", "p3"]
    store.commit(Batch(records=(contact("p3"),)))
    assert store.read([ContactByAddress("sms", "4"), ContactByAddress("web", "1")]) == [None, None]


# ---------------------------------------------------------------- threads


def test_reads_during_commits_see_whole_batches_only(store: Any) -> None:
    """Each batch adds one entry and says so in the conversation; one read must never see one without the other."""
    seen: list[tuple[int, int]] = []
    ended = threading.Event()

    def read() -> None:
        while not ended.is_set() or not seen:
            record, (entries, _) = store.read([ConversationById("c1"), Timeline("c1", **WHOLE)])
            seen.append((record.last_seq if record else 0, len(entries)))

    reader = threading.Thread(target=read)
    reader.start()
    for seq in range(1, 60):
        store.commit(Batch(entries=(message(seq),), records=(conversation(last_seq=seq),)))
    ended.set()
    reader.join()
    assert all(last_seq == count for last_seq, count in seen)
    assert seen == sorted(seen)


def test_a_store_is_used_from_one_thread_after_another(store: Any) -> None:
    for seq in range(1, 5):
        worker = threading.Thread(target=store.commit, args=(Batch(entries=(message(seq),)),))
        worker.start()
        worker.join()
    assert store.load().last_seq == 4


# ---------------------------------------------------------------- out of file descriptors

NO_FILES = """
import os, sys
from storage.store import StorageUnavailable
from storage.urls import store_of
from protocol.records import ContactById

def refused(call):
    try:
        call()
    except StorageUnavailable:
        return True
    return False

held = []
def take_all():
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        pass

def give_back():
    while held:
        os.close(held.pop())

store = store_of(sys.argv[1])
take_all()
assert refused(store.open), "it was opened without a file descriptor"
give_back()
store.open()
take_all()
assert refused(lambda: store.read([ContactById("p1")])), "it was read without a file descriptor"
give_back()
assert store.read([ContactById("p1")]) == [None]
assert store.load().last_seq == 0
"""


def test_without_file_descriptors_a_store_is_unavailable_and_recovers(lasting_url: str, opened: Any) -> None:
    opened(lasting_url).close()  # its schema is there
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))\n{NO_FILES}"
    done = subprocess.run([sys.executable, "-c", limited, lasting_url], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Each question and its answer, the same from every store."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from storage_samples import closed, contact, conversation, key, message

from protocol.records import (
    Batch,
    ClosedAmong,
    ClosedCount,
    ClosedIn,
    ClosedOf,
    ClosedWith,
    ContactByAddress,
    ContactById,
    ConversationById,
    DeliveryOf,
    DeliveryRecord,
    FailedOnes,
    KeyOf,
    MailById,
    MailRecord,
    MessagesCounted,
    MessagesUpTo,
    Missed,
    Question,
    RevocationRecord,
    RevokedAt,
    Timeline,
    WebhookById,
    WebhookRecord,
)
from storage.questions import ALL_KINDS, KINDS, for_sqlite


def ids(records: Any) -> list[str]:
    return [record.id for record in records]


def numbers(entries: Any) -> list[int]:
    return [entry.seq for entry in entries]


def test_every_question_has_its_kind() -> None:
    assert set(KINDS) == set(Question.__args__)  # type: ignore[attr-defined]  # a union of structs


def test_what_is_not_there_is_none_or_empty(store: Any) -> None:
    questions: list[Question] = [
        ConversationById("c1"),
        ContactById("p1"),
        ContactByAddress("sms", "1"),
        KeyOf("agent:ana", "k1"),
        DeliveryOf(1),
        ClosedOf("p1", "web"),
        ClosedIn(None, 10),
        ClosedWith("ana", 10),
        ClosedAmong("nia", 10),
        Missed("agent:ana", 0, 10),
        Timeline("c1", up_to=10, limit=10),
        MailById("e1"),
        WebhookById(1),
        FailedOnes("message", 10, "", 10),
        FailedOnes("mail", 10, "", 10),
        FailedOnes("webhook", 10, "", 10),
        RevokedAt(0),
    ]
    nothing = [None, None, None, None, None, (), (), (), (), (), ((), False), None, None, (), (), (), ()]
    assert store.read(questions) == nothing


def test_answers_come_in_the_order_of_the_questions(store: Any) -> None:
    store.commit(Batch(records=(conversation("c1"), conversation("c2"), contact("p1")), keys=(key(), key("k2"))))
    questions = [KeyOf("agent:ana", "k2"), ConversationById("c2"), KeyOf("agent:ana", "no"), ContactById("p1")]
    questions += [ConversationById("c1"), KeyOf("agent:ana", "k1"), ConversationById("c2"), KeyOf("agent:an", "k1")]
    found = [getattr(answer, "key", None) or getattr(answer, "id", None) for answer in store.read(questions)]
    assert found == ["k2", "c2", None, "p1", "c1", "k1", "c2", None]


def test_an_expired_key_may_still_be_given(store: Any) -> None:
    store.commit(Batch(entries=(message(1),), keys=(key(expires_at=5),)))
    assert store.read([KeyOf("agent:ana", "k1")]) == [key(expires_at=5)]


def test_revocations_are_given_until_they_expire_by_address_and_a_later_one_replaces(store: Any) -> None:
    ends, stays = RevocationRecord("agent:bo", 5, 100), RevocationRecord("agent:ana", 6, None)
    store.commit(Batch(records=(ends, stays, RevocationRecord("contact:bo", 1, 99))))
    store.commit(Batch(records=(later := RevocationRecord("contact:bo", 7, 101),)))
    found = store.read([RevokedAt(99), RevokedAt(100), RevokedAt(101)])
    assert found == [(stays, ends, later), (stays, later), (stays,)]


# ---------------------------------------------------------------- what could not be delivered


def mail(ident: str, created_at: int, status: str = "failed") -> MailRecord:
    fields: dict[str, Any] = {"kind": "forward", "recipient": "a@b.example", "data": "{}", "status": status}
    return MailRecord(id=ident, created_at=created_at, **fields)


def delivery(seq: int, status: str = "failed") -> DeliveryRecord:
    return DeliveryRecord(seq=seq, conversation="c1", channel="sms", address="+1", status=status)  # type: ignore[arg-type]


def webhook(seq: int, status: str = "failed") -> WebhookRecord:
    return WebhookRecord(id=seq, conversation="c1", url="https://x.example", body="", status=status)  # type: ignore[arg-type]


def test_what_has_failed_comes_newest_first_in_pages(store: Any) -> None:
    deliveries = [delivery(seq) for seq in (1, 2, 3)]
    webhooks = [webhook(seq) for seq in (4, 5, 6)]
    mails = [mail("a", 1), mail("c", 2), mail("b", 2), mail("d", 3)]
    others = [delivery(7, "pending"), delivery(8, "read"), webhook(9, "done"), mail("e", 4, "pending")]
    store.commit(Batch(entries=(message(1),), records=(*deliveries, *webhooks, *mails, *others)))
    assert store.read([FailedOnes("message", 10, "", 2), FailedOnes("message", 2, "", 2)]) == [
        (deliveries[2], deliveries[1]),
        (deliveries[0],),
    ]
    assert store.read([FailedOnes("webhook", 6, "", 5)]) == [(webhooks[1], webhooks[0])]
    found = store.read([FailedOnes("mail", 10, "", 2), FailedOnes("mail", 2, "c", 9)])
    assert [ids(records) for records in found] == [["d", "c"], ["b", "a"]]
    assert store.read([MailById("c"), WebhookById(9)]) == [mails[1], webhook(9, "done")]


# ---------------------------------------------------------------- closed conversations


@pytest.fixture
def history(store: Any) -> Any:
    """Closed conversations, of one contact on two channels and of others, in two services and in none."""
    records = [
        closed("a", 30),
        closed("b", 10),
        closed("c", 20, service="help"),
        closed("d", 40, channel="sms", service=None),
        closed("e", 50, contact="p2", service=None),
        conversation("live", contact="p1", channel="web", service="sales", last_seq=60),
        conversation("moved", contact="p1", channel="web", service="sales", last_seq=70, state="moved"),
        conversation("snoozed", contact="p1", channel="web", service="sales", last_seq=80, state="snoozed"),
    ]
    store.commit(Batch(records=tuple(records)))
    return store


def test_a_contacts_closed_conversations_come_latest_first(history: Any) -> None:
    questions = [ClosedOf("p1", "web"), ClosedOf("p1", "sms"), ClosedOf("p2", "sms"), ClosedOf("p", "web")]
    assert list(map(ids, history.read(questions))) == [["a", "c", "b"], ["d"], [], []]


def test_a_contacts_closed_conversations_on_all_channels_come_latest_first(history: Any) -> None:
    assert list(map(ids, history.read([ClosedOf("p1", None), ClosedOf("p1", None, 2)]))) == [list("dacb"), list("da")]


def test_a_contacts_closed_conversations_are_the_latest_so_many(history: Any) -> None:
    questions = [ClosedOf("p1", "web", limit) for limit in (0, 1, 2, 3, 4)]
    assert list(map(ids, history.read(questions))) == [[], ["a"], ["a", "c"], ["a", "c", "b"], ["a", "c", "b"]]


def test_closed_conversations_of_all_services_and_of_none(history: Any) -> None:
    assert list(map(ids, history.read([ClosedIn(None, 10), ClosedIn(None, 3)]))) == [list("edacb"), list("eda")]


def test_closed_conversations_of_some_services_are_merged(history: Any) -> None:
    questions = [
        ClosedIn(("sales",), 10),
        ClosedIn(("sales", "help"), 10),
        ClosedIn(("help", "sales", "help"), 2),
        ClosedIn((), 10),
        ClosedIn(("sal", "none"), 10),
        ClosedIn(("sales",), 0),
    ]
    assert list(map(ids, history.read(questions))) == [["a", "b"], ["a", "c", "b"], ["a", "c"], [], [], []]


def test_of_equal_age_the_later_id_comes_first(store: Any) -> None:
    store.commit(Batch(records=tuple(closed(name, 7, service=name) for name in "bca")))
    questions = [ClosedOf("p1", "web"), ClosedIn(None, 2), ClosedIn(("a", "b", "c"), 2)]
    assert list(map(ids, store.read(questions))) == [["c", "b", "a"], ["c", "b"], ["c", "b"]]


def test_a_reopened_conversation_is_no_longer_closed(history: Any) -> None:
    history.commit(Batch(records=(conversation("a", contact="p1", channel="web", service="sales"),)))
    assert list(map(ids, history.read([ClosedOf("p1", "web"), ClosedIn(("sales",), 9)]))) == [["c", "b"], ["b"]]


def with_crews(store: Any) -> None:
    """Closed conversations of three agents, and one that is live."""
    records = [
        closed("a", 30, crew=("ana",), owner="ana"),
        closed("b", 10, crew=("bo", "ana")),
        closed("c", 20, crew=("an", 'b"o')),
        closed("d", 40, crew=("ana",), channel=None, service=None),
        conversation("live", crew=("ana",), service="sales", channel="web", last_seq=60),
    ]
    store.commit(Batch(records=tuple(records)))


def test_an_agents_closed_conversations_are_those_in_whose_crew_it_is_latest_first(store: Any) -> None:
    with_crews(store)
    questions = [*(ClosedWith(agent, 10) for agent in ("ana", "bo", "an", 'b"o', "o")), ClosedWith("ana", 2)]
    assert list(map(ids, store.read(questions))) == [list("dab"), ["b"], ["c"], ["c"], [], list("da")]


def test_a_crew_is_that_of_the_conversation_as_it_is_now(store: Any) -> None:
    with_crews(store)
    store.commit(Batch(records=(conversation("a", crew=("ana",)), closed("b", 50, crew=("bo",)))))
    store.commit(Batch(records=(closed("live", 60, crew=("ana", "bo")),)))
    assert list(map(ids, store.read([ClosedWith("ana", 9), ClosedWith("bo", 9)]))) == [["live", "d"], ["live", "b"]]


def counted(store: Any) -> set[ClosedCount]:
    found = store.load().closed
    assert len(set(found)) == len(found)
    return set(found)


def test_start_up_counts_closed_conversations_by_service_channel_and_owner_in_all_and_by_crew(store: Any) -> None:
    with_crews(store)
    mine = {ClosedCount("ana", "sales", "web", owner, 1) for owner in ("ana", None)} | {
        ClosedCount("ana", None, None, None, 1)
    }
    assert counted(store) == mine | {
        ClosedCount(None, "sales", "web", "ana", 1),
        ClosedCount(None, "sales", "web", None, 2),
        ClosedCount(None, None, None, None, 1),
        ClosedCount("bo", "sales", "web", None, 1),
        ClosedCount("an", "sales", "web", None, 1),
        ClosedCount('b"o', "sales", "web", None, 1),
    }
    store.commit(Batch(records=(conversation("a"), conversation("c"), conversation("d"), closed("b", 9, owner="x"))))
    assert counted(store) == {ClosedCount(None, "sales", "web", "x", 1)}


# ---------------------------------------------------------------- timelines


@pytest.fixture
def timeline(store: Any) -> Any:
    """Seq 1 to 9: odd ones in c1, even ones in c2; 5 is a note, 7 an assignment."""
    kinds = {5: "note", 7: "assigned"}
    entries = [message(seq, "c1" if seq % 2 else "c2", type=kinds.get(seq, "message")) for seq in (2, 1, 3, 4, 5, 6, 7)]
    store.commit(Batch(entries=(*entries, message(9), message(8, "c2"))))
    return store


@pytest.mark.parametrize(
    ("bounds", "found", "more"),
    [
        ({"up_to": 100, "limit": 100}, [1, 3, 5, 7, 9], False),
        ({"up_to": 100, "limit": 5}, [1, 3, 5, 7, 9], False),
        ({"up_to": 100, "limit": 4}, [3, 5, 7, 9], True),
        ({"up_to": 7, "limit": 2}, [5, 7], True),
        ({"up_to": 0, "limit": 2}, [], False),
        ({"up_to": 100, "limit": 2, "before": 7}, [3, 5], True),
        ({"up_to": 100, "limit": 2, "before": 5}, [1, 3], False),
        ({"up_to": 100, "limit": 2, "before": 1}, [], False),
        ({"up_to": 5, "limit": 9, "before": 9}, [1, 3, 5], False),
        ({"up_to": 5, "limit": 9, "before": 5}, [1, 3], False),
        ({"up_to": 100, "limit": 0}, [], True),
        ({"up_to": 0, "limit": 0}, [], False),
        ({"up_to": 100, "limit": 2, "types": frozenset({"message"})}, [3, 9], True),
        ({"up_to": 100, "limit": 3, "types": frozenset({"message"})}, [1, 3, 9], False),
        ({"up_to": 100, "limit": 9, "types": frozenset({"note", "assigned"})}, [5, 7], False),
        ({"up_to": 100, "limit": 9, "types": frozenset({"not"})}, [], False),
        ({"up_to": 100, "limit": 9, "types": frozenset()}, [], False),
    ],
)
def test_a_timeline_is_the_newest_before_a_bound_oldest_first(
    timeline: Any, bounds: Any, found: Any, more: bool
) -> None:
    [(entries, older)] = timeline.read([Timeline("c1", **bounds)])
    assert (numbers(entries), older) == (found, more)


def test_timelines_asked_together_are_not_mixed(timeline: Any) -> None:
    answers = timeline.read(
        [Timeline(name, up_to=100, limit=limit) for name, limit in (("c2", 3), ("c1", 2), ("c2", 9))]
    )
    assert [numbers(entries) for entries, _ in answers] == [[4, 6, 8], [7, 9], [2, 4, 6, 8]]


# ---------------------------------------------------------------- missed


def test_missed_is_what_the_address_was_told_and_nobody_else_was(store: Any) -> None:
    audiences = [
        ("agent:ana",),
        ("agent:an", "agent:ben"),
        (),
        ("agent:ben", "agent:ana"),
        ("contact:ana",),
        ("agent:anab",),
    ]
    store.commit(Batch(entries=tuple(message(seq, to=to) for seq, to in enumerate(audiences, 1))))
    addresses = ["agent:ana", "agent:an", "agent:a", "agent:ben", "contact:ana", "ana", "agent:anab", ""]
    answers = store.read([Missed(address, 0, 100) for address in addresses])
    assert list(map(numbers, answers)) == [[1, 4], [2], [], [2, 4], [5], [], [6], []]


def test_missed_begins_after_since_and_ends_with_up_to(store: Any) -> None:
    store.commit(Batch(entries=tuple(message(seq, f"c{seq % 2}") for seq in (3, 1, 5, 2, 4))))
    answers = store.read(
        [Missed("agent:ana", since, up_to) for since, up_to in ((0, 5), (1, 4), (2, 2), (4, 9), (9, 9))]
    )
    assert list(map(numbers, answers)) == [[1, 2, 3, 4, 5], [2, 3, 4], [], [5], []]


def test_closed_ones_that_a_contact_was_let_into_are_those_of_which_it_is_a_member_now(store: Any) -> None:
    nobody: dict[str, Any] = {"contact": None, "channel": None, "service": None}
    created = closed("b", 4, **nobody, members=("nia", "oli"))
    records = [
        closed("a", 1, contact="nia"),
        created,
        closed("c", 3, **nobody, members=("ni",)),
        closed("d", 2, contact="oli", members=("nia",)),
        conversation("e", members=("nia",), last_seq=5),
    ]
    store.commit(Batch(records=tuple(records)))

    def of(contact: str, limit: int = 9) -> list[str]:
        return [found.id for found in store.read([ClosedAmong(contact, limit)])[0]]

    assert (of("nia"), of("nia", 1), of("oli"), of("ni")) == (["b", "d"], ["b"], ["b"], ["c"])
    store.commit(Batch(records=(replace(created, members=("oli",), last_seq=6),)))
    assert (of("nia"), of("oli")) == (["d"], ["b"])
    store.commit(Batch(records=(replace(created, state="open", last_seq=7),)))
    assert (of("nia"), of("oli")) == (["d"], [])


def test_what_was_told_to_an_address_somebody_had_before_counts_too_and_once(store: Any) -> None:
    told = [(1, ("contact:old",)), (2, ("contact:new",)), (3, ("contact:old", "contact:new")), (4, ("contact:oli",))]
    store.commit(Batch(entries=tuple(message(seq, to=to) for seq, to in told)))
    answers = store.read([Missed("contact:new", 0, 9, ("contact:old",)), Missed("contact:new", 0, 9)])
    assert list(map(numbers, answers)) == [[1, 2, 3], [2, 3]]


# ---------------------------------------------------------------- plans


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.select[-60:])
def test_sqlite_finds_every_answer_by_an_index_without_sorting(opened: Any, kind: Any) -> None:
    connection = opened("sqlite:///:memory:")._writing()
    plan = [
        line for *_, line in connection.execute("EXPLAIN QUERY PLAN " + for_sqlite(kind.sql), (None,) * len(kind.types))
    ]
    tables = [line for line in plan if "json_each" not in line and ("SCAN" in line or "TEMP B-TREE" in line)]
    assert all("USING" in line and "INDEX" in line for line in tables), plan


# ---------------------------------------------------------------- counting messages


def test_messages_are_counted_up_to_a_seq_and_the_next_one_says_when_it_came(store: Any) -> None:
    entries = [message(seq) for seq in (1, 4, 7)]
    others = [message(2, type="comment"), message(5, "c2"), message(6, type="closed")]
    store.commit(Batch(entries=(*entries, *others)))
    asked = [MessagesUpTo("c1", seq) for seq in (0, 1, 3, 4, 7, 99)] + [MessagesUpTo("c3", 9)]
    assert store.read(asked) == [
        MessagesCounted(0, 1_001), MessagesCounted(1, 1_004), MessagesCounted(1, 1_004), MessagesCounted(2, 1_007),
        MessagesCounted(3), MessagesCounted(3), MessagesCounted(0),
    ]  # fmt: skip

"""What has been read and what is left. [behaviour §8; protocol §3 ``unread``, §4 ``conversation.read``]"""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors import reading
from actors.contact import ContactActor
from actors.effects import Opened
from protocol.ids import Principal
from protocol.notices import ConversationAssigned, ConversationChanged
from protocol.objects import By, Entry
from protocol.records import ContactRecord, ConversationRecord, MessagesCounted, MessagesUpTo, ReadMark
from protocol.times import Moment
from tests.world import START, World, service, small_world


@pytest.fixture
def world() -> World:
    return small_world(service("support", "ana bo mia/admin"), service("sales", "cy"), online="ana")


def unread(world: World, who: str, conversation: str) -> int | None:
    found: int | None = world.say(who, "conversation.get", conversation=conversation, limit=0).conversation.unread
    return found


def read(world: World, who: str, conversation: str, seq: int) -> int:
    found: int = world.say(who, "conversation.read", conversation=conversation, seq=seq).unread
    return found


def seqs(world: World, conversation: str) -> list[int]:
    return [entry.seq for entry in world.timeline(conversation) if entry.type == "message"]


def marks(world: World, conversation: str) -> dict[str, ReadMark]:
    return {mark.who: mark for mark in world.core.house.conversations[conversation].record.read}


# ---------------------------------------------------------------- what counts


def test_messages_by_others_are_unread_until_one_writes_oneself(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    assert (unread(world, "ana", found), unread(world, "contact:nia", found)) == (1, 0)
    world.say("contact:nia", "message.send", conversation=found, text="Two")
    assert unread(world, "ana", found) == 2
    world.say("ana", "message.send", conversation=found, text="Hi")
    assert (unread(world, "ana", found), unread(world, "contact:nia", found)) == (0, 1)
    world.say("backend", "message.send", conversation=found, text="By the way")
    assert (unread(world, "ana", found), unread(world, "contact:nia", found)) == (1, 2)


def test_nothing_but_messages_counts(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    read(world, "ana", found, 10**6)
    world.say("mia", "message.comment", conversation=found, text="Hm")
    world.say("contact:nia", "message.react", conversation=found, to=seqs(world, found)[0], emoji="👍")
    world.say("mia", "conversation.join", conversation=found)
    assert unread(world, "ana", found) == 0


def test_it_is_null_for_whoever_is_no_reader(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    assert [unread(world, who, found) for who in ("backend", "mia", "bo")] == [None, None, None]


@pytest.mark.parametrize("kind", ["list", "assigned", "close"])
def test_every_summary_says_it_to_its_reader(world: World, kind: str) -> None:
    found = world.receive("+1", service="support").id
    if kind == "list":
        assert [item.unread for item in world.say("ana", "conversation.list").items] == [1]
        assert [item.unread for item in world.say("mia", "conversation.list").items] == [None]
    elif kind == "assigned":
        (notice,) = world.told("agent:ana", ConversationAssigned)
        assert notice.conversation.unread == 1
    else:
        assert world.say("ana", "conversation.close", conversation=found).conversation.unread == 0


# ---------------------------------------------------------------- conversation.read


def test_what_is_read_up_to_a_seq_leaves_what_came_later(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    for text in ("Two", "Three"):
        world.wait(1_000)
        world.say("contact:nia", "message.send", conversation=found, text=text)
    first, second, third = seqs(world, found)
    assert read(world, "ana", found, first) == 2
    assert marks(world, found)["agent:ana"].since == START + 1_000, "the second is the oldest unread now"
    assert read(world, "ana", found, second) == 1
    assert read(world, "ana", found, third) == 0
    assert marks(world, found)["agent:ana"] == ReadMark("agent:ana", 3, world.look(found).last_seq)


def test_reading_never_goes_backwards(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    world.say("contact:nia", "message.send", conversation=found, text="Two")
    first, second = seqs(world, found)
    assert read(world, "ana", found, second) == 0
    assert read(world, "ana", found, first) == 0
    assert read(world, "ana", found, 0) == 0


def test_the_end_needs_no_question_to_the_store_and_the_middle_one(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    world.say("contact:nia", "message.send", conversation=found, text="Two")
    middle, end = seqs(world, found)[0], world.look(found).last_seq
    asks = {seq: world.core.questions([world.asked("ana", "conversation.read", conversation=found, seq=seq)])
            for seq in (middle, end, end + 9)}  # fmt: skip
    assert asks == {middle: [MessagesUpTo(found, middle)], end: [], end + 9: []}


def test_a_message_in_the_same_batch_does_not_make_the_end_unknown(world: World) -> None:
    """The read names what was the end when it was asked; one message has come since."""
    found = world.start("nia", text="One", service="support").id
    end = world.look(found).last_seq
    world.give(
        world.asked("contact:nia", "message.send", conversation=found, text="Two"),
        world.asked("ana", "conversation.read", conversation=found, seq=end),
    )
    assert unread(world, "ana", found) == 1


def test_reading_writes_no_entry_and_survives_a_restart(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    before = world.core.house.seq
    read(world, "ana", found, before)
    assert world.core.house.seq == before
    world.boot()
    assert unread(world, "ana", found) == 0


def test_only_who_is_in_a_conversation_reads_it(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    ask = {"conversation": found, "seq": 1}
    assert [world.refused(who, "conversation.read", **ask)["reason"] for who in ("mia", "backend", "cy")] == [
        "not_in_crew", "not_in_crew", "not_found",
    ]  # fmt: skip


def test_a_contact_reads_a_closed_conversation_that_is_not_in_memory(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    for text in ("Two", "Three"):
        world.say("ana", "message.send", conversation=found, text=text)
    world.say("ana", "conversation.close", conversation=found)
    world.boot()
    assert found not in world.core.house.conversations
    assert read(world, "contact:nia", found, seqs(world, found)[1]) == 1
    world.boot()
    assert read(world, "contact:nia", found, seqs(world, found)[2]) == 0


def test_what_one_has_read_is_told_to_ones_own_watch_and_to_nobody_elses(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    for who in ("ana", "mia"):
        world.say(who, "conversation.watch")
    world.wait(1_000)
    world.outgoing.clear()
    read(world, "ana", found, 10**6)
    world.wait(1_000)
    (notice,) = world.told(world.sessions["ana"], ConversationChanged)
    assert notice.conversation.unread == 0
    assert world.told(world.sessions["mia"], ConversationChanged) == []


def test_a_watch_shows_each_reader_its_own_count(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    for who in ("ana", "mia"):
        world.say(who, "conversation.watch")
    world.say("contact:nia", "message.send", conversation=found, text="Two")
    world.wait(1_000)
    counts = [world.told(world.sessions[who], ConversationChanged)[-1].conversation.unread for who in ("ana", "mia")]
    assert counts == [2, None]


# ---------------------------------------------------------------- what a connector says was read


@pytest.mark.parametrize("status", ["delivered", "read"])
@pytest.mark.parametrize("before", [True, False], ids=["acknowledged before", "at once"])
def test_a_connector_says_up_to_where_the_contact_has_read(world: World, status: str, before: bool) -> None:
    found = world.receive("+1", service="support").id
    sent = [world.say("ana", "message.send", conversation=found, text=text).entry.seq for text in ("A", "B", "C")]
    if before:
        for seq in sent:
            world.say("connector:sms", "connector.delivered", entry=seq, status="sent")
    world.say("connector:sms", "connector.delivered", entry=sent[1], status=status)
    mark = marks(world, found)[f"contact:{world.core.house.conversations[found].record.contact}"]
    assert mark.count == (3 if status == "read" else 1)


def test_a_connector_may_say_it_of_a_conversation_that_is_closed_and_not_in_memory(world: World) -> None:
    found = world.receive("+1", service="support").id
    sent = world.say("ana", "message.send", conversation=found, text="A").entry.seq
    world.say("connector:sms", "connector.delivered", entry=sent, status="sent")
    world.say("ana", "conversation.close", conversation=found)
    world.boot()
    world.say("connector:sms", "connector.delivered", entry=sent, status="read")
    assert all(mark.since is None for mark in marks(world, found).values())


# ---------------------------------------------------------------- who comes and goes


def test_who_comes_into_a_crew_takes_over_where_the_last_answer_stands(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.wait(5_000)
    for text in ("Two", "Three"):
        world.say("contact:nia", "message.send", conversation=found, text=text)
    world.wait(5_000)
    world.say("mia", "conversation.join", conversation=found)
    assert unread(world, "mia", found) == 2
    assert marks(world, found)["agent:mia"].since == START + 5_000, "when the oldest unanswered one came"
    world.say("ana", "message.send", conversation=found, text="Hi again")
    world.say("bo", "conversation.join", conversation=found)
    assert unread(world, "bo", found) == 0
    assert unread(world, "mia", found) == 3


def test_who_leaves_is_no_reader_any_more_and_starts_anew(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    world.say("mia", "conversation.join", conversation=found)
    world.say("mia", "conversation.leave", conversation=found)
    assert list(marks(world, found)) == ["agent:ana"]
    world.say("ana", "message.send", conversation=found, text="Hi")
    assert world.say("mia", "conversation.join", conversation=found).conversation.unread == 0


def test_a_conversation_given_back_and_taken_again_in_one_turn_is_as_unread_as_before(world: World) -> None:
    world.say("backend", "service.put", service={"id": "support", "decline_pause": "0s"})
    found = world.start("nia", text="One", service="support").id
    world.say("contact:nia", "message.send", conversation=found, text="Two")
    read(world, "ana", found, seqs(world, found)[0])
    world.say("ana", "conversation.decline", conversation=found)
    assert world.look(found).assignee == "ana"
    assert unread(world, "ana", found) == 1


def test_closing_is_reading_for_the_house_and_not_for_the_contact(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    world.say("mia", "conversation.join", conversation=found)
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.say("contact:nia", "message.send", conversation=found, text="Two")
    world.say("ana", "message.send", conversation=found, text="Bye")
    world.say("mia", "conversation.close", conversation=found)
    assert [unread(world, who, found) for who in ("ana", "mia", "contact:nia")] == [0, 0, 1]
    world.say("contact:nia", "message.send", conversation=found, text="Three")
    assert unread(world, "ana", found) == 1, "what was before the end is done"


def test_an_agent_who_writes_first_leaves_the_contact_something_to_read(world: World) -> None:
    found = world.say("ana", "conversation.start", contact="nia", service="support", text="Hello").conversation
    assert found.unread == 0
    assert unread(world, "contact:nia", found.id) == 1


def test_nobody_reads_a_stub(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    stub = world.say("ana", "conversation.move", conversation=found, service="sales").stub.id
    assert marks(world, stub) == {}
    assert world.refused("ana", "conversation.read", conversation=stub, seq=1)["state"] == "moved"


# ---------------------------------------------------------------- the functions


def record(*crew: str, **fields: Any) -> ConversationRecord:
    found = ConversationRecord(id="c1", service="support", contact="nia", crew=crew, **fields)
    reading.begin(found)
    return found


def write(found: ConversationRecord, by: By, now: int, *, mail: bool = True, **fields: Any) -> None:
    found.last_seq += 1
    entry = Entry(seq=found.last_seq, conversation="c1", at=Moment(now), type="message", by=by, **fields)
    reading.wrote(found, entry, now, mail=mail)


ANA, NIA = By("agent", "ana"), By("contact", "nia")


def test_what_was_mailed_as_fallback_is_unread_but_waits_for_no_digest() -> None:
    found = record("ana", "bo")
    write(found, ANA, 10, fallback="email")
    contact, bo = reading.mark_of(found, "contact:nia"), reading.mark_of(found, "agent:bo")
    assert contact == ReadMark("contact:nia", 0, 0, 10, None)
    assert bo == ReadMark("agent:bo", 0, 0, 10, 10), "it went to the contact only"
    write(found, ANA, 20)
    assert reading.mark_of(found, "contact:nia") == ReadMark("contact:nia", 0, 0, 10, 20)


def test_without_mail_nothing_waits_for_a_digest() -> None:
    found = record("ana")
    write(found, NIA, 10, mail=False)
    assert reading.mark_of(found, "agent:ana") == ReadMark("agent:ana", 0, 0, 10, None)


def test_what_is_mailed_stays_unread_and_the_next_message_waits_again() -> None:
    found = record("ana")
    write(found, NIA, 10)
    reading.mailed(found, "agent:ana")
    assert reading.mark_of(found, "agent:ana") == ReadMark("agent:ana", 0, 0, 10, None)
    write(found, NIA, 20)
    write(found, NIA, 30)
    assert reading.mark_of(found, "agent:ana") == ReadMark("agent:ana", 0, 0, 10, 20)


def test_what_is_read_of_it_need_not_be_mailed() -> None:
    found = record("ana")
    for now in (10, 20, 30):
        write(found, NIA, now)
    reading.seen(found, "agent:ana", 1, MessagesCounted(1, 20), 40)
    assert reading.mark_of(found, "agent:ana") == ReadMark("agent:ana", 1, 1, 20, 20)
    reading.mailed(found, "agent:ana")
    reading.seen(found, "agent:ana", 2, MessagesCounted(2, 30), 40)
    assert reading.mark_of(found, "agent:ana") == ReadMark("agent:ana", 2, 2, 30, None)


def test_two_names_of_one_person_have_read_what_either_has() -> None:
    found = record("ana", members=("oli", "pat"))
    write(found, ANA, 10)
    write(found, By("contact", "pat"), 20)
    old, found.members = record(), ("oli",)
    reading.renamed(found, "contact:pat", "contact:oli")
    reading.follow(found, old, 30, mail=True)
    assert [mark.who for mark in found.read] == ["agent:ana", "contact:nia", "contact:oli"]
    assert reading.unread(found, "contact:oli") == 0
    reading.renamed(found, "contact:nia", "contact:oli")
    assert reading.unread(found, "contact:oli") == 0


def test_a_new_member_of_a_created_conversation_has_all_of_it_before_them() -> None:
    found = ConversationRecord(id="c1", crew=("ana",), created_by="agent:ana")
    reading.begin(found)
    write(found, ANA, 10)
    old = ConversationRecord(id="c1", crew=("ana",), messages=1, read=found.read)
    found.crew, found.members = ("ana", "bo"), ("pat",)
    reading.follow(found, old, 50, mail=True)
    assert [reading.unread(found, who) for who in ("agent:ana", "agent:bo", "contact:pat")] == [0, 1, 1]
    assert reading.mark_of(found, "contact:pat") == ReadMark("contact:pat", 0, 0, 50, 50)


def test_what_was_there_before_marks_were_kept_counts_as_read() -> None:
    found = ConversationRecord(id="c1", service="support", contact="nia", crew=("ana",), messages=7, last_seq=9)
    old = ConversationRecord(id="c1", service="support", contact="nia", crew=found.crew, messages=7, last_seq=9)
    write(found, ANA, 10)
    reading.follow(found, old, 10, mail=True)
    assert (reading.unread(found, "agent:ana"), reading.unread(found, "contact:nia")) == (0, 1)


#: what happens: a message by somebody, somebody comes or goes, somebody reads up to the n-th message
HAPPENINGS = st.lists(
    st.tuples(st.sampled_from(["write", "come", "go", "read"]), st.sampled_from(["nia", "a", "b"]), st.integers(0, 9)),
    max_size=40,
)


@given(HAPPENINGS)
def test_the_counts_are_those_of_a_plain_list(happenings: list[tuple[str, str, int]]) -> None:
    """The marks against lists of the messages that each reader still has before it."""
    found = ConversationRecord(id="c1", contact="nia", crew=("a",))
    reading.begin(found)
    authors: list[str] = []
    left: dict[str, list[int]] = {"nia": [], "a": []}
    for now, (kind, who, number) in enumerate(happenings, 1):
        old = ConversationRecord(id="c1", contact="nia", crew=found.crew, messages=found.messages, read=found.read)
        if kind == "write" and who in left:
            write(found, NIA if who == "nia" else By("agent", who), now)
            authors.append(who)
            for reader in left:
                left[reader] = [] if reader == who else [*left[reader], len(authors)]
        elif kind == "come" and who not in left:
            found.crew = (*found.crew, who)
            left[who] = list(range(1, len(authors) + 1))
        elif kind == "go" and who in left and who != "nia":
            found.crew = tuple(agent for agent in found.crew if agent != who)
            del left[who]
        elif kind == "read" and who in left:  # a message's number is its seq here
            address = f"contact:{who}" if who == "nia" else f"agent:{who}"
            counted = MessagesCounted(min(number, len(authors)), number + 1 if number < len(authors) else None)
            reading.seen(found, address, number, counted, now)
            left[who] = [seq for seq in left[who] if seq > number]
        reading.follow(found, old, now, mail=True)
        readers = {reader: "contact:nia" if reader == "nia" else f"agent:{reader}" for reader in left}
        counts = {reader: reading.unread(found, address) for reader, address in readers.items()}
        assert counts == {reader: len(messages) for reader, messages in left.items()}
        assert {mark.who for mark in found.read} == {readers[who] for who in left if who != "nia" or left["nia"]}
        assert [mark.who for mark in found.read] == sorted(mark.who for mark in found.read)
        assert all((mark.since is None) == (mark.count == found.messages) for mark in found.read)


def test_a_contact_who_has_read_everything_needs_no_mark(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    assert list(marks(world, found)) == ["agent:ana"]
    world.say("ana", "message.send", conversation=found, text="Hi")
    assert list(marks(world, found)) == ["agent:ana", "contact:nia"]
    read(world, "contact:nia", found, 10**6)
    assert (list(marks(world, found)), unread(world, "contact:nia", found)) == (["agent:ana"], 0)
    world.say("ana", "message.send", conversation=found, text="Still there?")
    world.say("contact:nia", "message.send", conversation=found, text="Yes")
    assert (list(marks(world, found)), unread(world, "contact:nia", found)) == (["agent:ana"], 0)


@pytest.mark.parametrize("who", ["nia", "pat"], ids=["the contact", "a member"])
def test_a_contact_who_has_read_everything_has_so_under_another_name(who: str) -> None:
    """Both ways round: the name that goes may be the contact's or a member's; what either has read, both have."""
    house = small_world(service("support", "ana")).core.house
    house.contacts[who] = ContactActor(house, ContactRecord(id=who, merged_into="nia" if who == "pat" else "pat"))
    found = record("ana", members=("pat",))
    write(found, ANA, 10)
    reading.seen(found, "contact:nia", 1, None, 20)
    old = copy.copy(found)
    found.contact, found.members = "pat" if who == "nia" else "nia", ()
    reading._merge(house, old, found)
    reading.follow(found, old, 30, mail=True)
    assert reading.unread(found, f"contact:{found.contact}") == 0


# ---------------------------------------------------------------- the same person under two names


def test_who_is_merged_has_read_what_the_other_had_read(world: World) -> None:
    found = world.start("nia", text="One", service="support").id
    other = world.start("oli", text="Hello", service="support").id
    for conversation in (found, other):
        world.say("ana", "message.send", conversation=conversation, text="Hi")
    read(world, "contact:nia", found, 10**6)
    world.say("ana", "conversation.close", conversation=other)
    world.say("ana", "message.send", conversation=found, text="Still there?")
    world.say("backend", "contact.merge", contact="nia", into="oli")
    assert [mark for mark in marks(world, found) if mark.startswith("contact")] == ["contact:oli"]
    assert unread(world, "contact:oli", found) == 1
    assert unread(world, "contact:oli", other) == 1
    world.boot()
    assert unread(world, "contact:oli", found) == 1


def test_a_member_who_signs_in_is_the_reader_that_the_address_was(world: World) -> None:
    members = [{"email": "nia@example.org"}]
    found = world.say("ana", "conversation.create", name="Project", members=members).conversation.id
    for text in ("One", "Two"):
        world.say("ana", "message.send", conversation=found, text=text)
    (before,) = (mark for mark in marks(world, found) if mark.startswith("contact"))
    world._numbers += 1
    world.sessions["contact:nia"] = world._numbers
    world.give(Opened(world._numbers, Principal("contact", "nia", email="nia@example.org"), 0))
    assert unread(world, "contact:nia", found) == 2
    assert before not in marks(world, found)
    assert read(world, "contact:nia", found, seqs(world, found)[0]) == 1

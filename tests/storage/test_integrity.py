"""Damage of each kind, done to a store that was whole: it is found, said in a sentence, mended where that is safe."""

from __future__ import annotations

from typing import Any

import pytest
from storage_samples import contact, conversation, delivery, message

from protocol.records import AgentRecord, Batch, MailRecord, MeetingRecord, ServiceRecord, WebhookRecord
from protocol.settings import AgentSettings, ServiceSettings
from storage.integrity import FAULTS_SHOWN, faults, mend
from storage.raw import reading, writing

WHOLE = Batch(
    entries=tuple(message(seq, name) for seq, name in enumerate(["c1", "c1", "c2", "c2", "c1"], 1)),
    records=(
        AgentRecord(id="ana", position=0, settings=AgentSettings(id="ana")),
        ServiceRecord(id="help", position=0, settings=ServiceSettings(id="help")),
        conversation("c1", service="help", assignee="ana", crew=("ana",), contact="p1", channel="sms", last_seq=5),
        conversation("c2", service="help", queued=True, contact="p2", channel="sms", last_seq=4),
        conversation("c3", state="closed", service="help", crew=("ana", "zoe"), members=("p1",), channel="web"),
        contact("p1", "1", "2"),
        contact("p2", "it's"),
        delivery(2),
        WebhookRecord(id=3, conversation="c2", url="http://x", body="{}"),
        MailRecord(id="m1", kind="digest", recipient="a@b", conversation="c1", data="{}"),
        MeetingRecord(id="e1", agent="ana", starts=5, minutes=30, conversation="c1", ends=9),
    ),
)

#: what is done -> what is said, and whether it can be mended
DAMAGES = {
    "UPDATE conversations SET service = 'gone' WHERE id = 'c2'": ("c2 is live in the service gone", False),
    "UPDATE services SET deleted = true": ("c1 is live in the service help", False),
    "UPDATE conversations SET assignee = 'bo', crew = '[\"bo\"]' WHERE id = 'c1'": ("assigned to the agent bo", False),
    "UPDATE conversations SET crew = '[]' WHERE id = 'c1'": ("who is not in its crew", False),
    "UPDATE conversations SET crew = '[\"ana\",\"zoe\"]' WHERE id = 'c1'": ("has the agent zoe in its crew", False),
    "DELETE FROM contacts WHERE id = 'p2'": ("c2 is of the contact p2, who", False),
    "UPDATE conversations SET contact = 'p1' WHERE id = 'c2'": ("contact p1 has 2 live conversations on sms", False),
    "UPDATE conversations SET last_seq = 3 WHERE id = 'c1'": ("c1 says that its last entry is 3, and it is 5", True),
    "DELETE FROM entries WHERE seq = 5": ("c1 says that its last entry is 5, and it is 2", True),
    "DELETE FROM entries WHERE seq = 4": ("the entries 4 to 4 are missing", False),
    "DELETE FROM conversations WHERE id = 'c2'": ("2 entries, the first of them 3, are of the conversation c2", False),
    "DELETE FROM entries WHERE seq = 2": ("message 2 waits to be delivered on sms", True),
    "DELETE FROM entries WHERE seq = 3": ("webhook 3 waits to be called for the conversation c2", True),
    "UPDATE mails SET conversation = 'c9'": ("mail m1 waits to be sent about the conversation c9", True),
    "UPDATE meetings SET agent = 'bo'": ("meeting e1 is with the agent bo", False),
    "DELETE FROM commits": ("the table commits has 0 rows", False),
    "DELETE FROM contact_addresses WHERE address = 'it''s'": ("contact p2 has the address it's on sms", True),
    "UPDATE contact_addresses SET contact = 'p2' WHERE address = '1'": (
        "address 1 on sms leads to the contact p2",
        True,
    ),
    "DELETE FROM closed_crews WHERE agent = 'zoe'": ("closed_crews lacks the closed conversation c3 of zoe", True),
    "UPDATE closed_crews SET agent = 'bo' WHERE agent = 'zoe'": ("closed_crews has conversation c3 for bo", True),
    "UPDATE closed_crews SET service = NULL WHERE agent = 'zoe'": ("closed_crews has conversation c3 for zoe", True),
    "INSERT INTO closed_crews (agent, last_seq, conversation) VALUES ('ana', 5, 'c1')": (
        "closed_crews has conversation c1 for ana",
        True,
    ),
    "DELETE FROM closed_members": ("closed_members lacks the closed conversation c3 of p1", True),
    "INSERT INTO closed_members VALUES ('p1', 9, 'c9')": ("closed_members has conversation c9 for p1", True),
    "UPDATE conversations SET state = 'lost' WHERE id = 'c2'": ("c2 is in the state lost", False),
    "UPDATE conversations SET detail = '{\"paused\":[1]}' WHERE id = 'c2'": (
        "conversations: the row of c2 cannot be",
        False,
    ),
    "UPDATE entries SET detail = '[1]' WHERE seq = 3": ("entries: the row of 3 cannot be understood", False),
}


def silent(what: str, done: int, total: int) -> None:
    """Nobody looks."""


def found(url: str) -> list[Any]:
    with reading(url) as raw:
        return list(faults(raw, silent))


@pytest.fixture
def url(lasting_url: str, opened: Any) -> str:
    store = opened(lasting_url)
    store.commit(WHOLE)
    store.close()
    return lasting_url


def test_a_store_that_is_whole_has_no_faults_and_nothing_to_mend(url: str) -> None:
    assert found(url) == []
    with writing(url, "doctor") as raw:
        assert mend(raw) == 0


@pytest.mark.parametrize("done", DAMAGES)
def test_damage_is_found_said_and_mended_if_that_is_safe(done: str, url: str, damage: Any) -> None:
    says, is_mended = DAMAGES[done]
    damage(done)
    [fault] = [fault for fault in found(url) if says in fault.text]
    assert bool(fault.mending) == is_mended
    if "commits" in done:
        return
    with writing(url, "doctor") as raw:
        mend(raw)
    assert [fault.text for fault in found(url) if fault.mending] == []
    assert any(says in fault.text for fault in found(url)) is not is_mended


def test_what_triggers_keep_is_mended_before_what_sets_them_off(url: str, damage: Any) -> None:
    damage("UPDATE conversations SET last_seq = 3 WHERE id = 'c3'")
    damage("INSERT INTO closed_crews (agent, last_seq, conversation) VALUES ('ana', 0, 'c3')")
    with writing(url, "doctor") as raw:
        mend(raw)
    assert found(url) == []


def test_of_many_faults_of_one_kind_some_are_named_and_the_rest_is_counted(url: str, opened: Any, damage: Any) -> None:
    many = [conversation(f"x{number:02}", last_seq=9) for number in range(25)]
    store = opened(url)
    store.load()
    store.commit(Batch(records=tuple(many)))
    texts = [fault.text for fault in found(url)]
    assert len(texts) == FAULTS_SHOWN + 1
    assert texts[-1].startswith("and 5 more like this")


def test_a_damaged_file_is_said_to_be_one(tmp_path: Any, opened: Any) -> None:
    url = f"sqlite:///{tmp_path}/signalbox.db"
    store = opened(url)
    store.commit(Batch(entries=tuple(message(seq, text="x" * 900) for seq in range(1, 400))))
    store.close()
    file = tmp_path / "signalbox.db"
    data = bytearray(file.read_bytes())
    place = len(data) // 4096 // 2 * 4096
    data[place : place + 4096] = b"\xff" * 4096
    file.write_bytes(bytes(data))
    with reading(url) as raw:
        said = [fault.text for fault in faults(raw, silent)]
    assert said
    assert all("damaged" in text for text in said)

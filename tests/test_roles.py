"""Every method by everybody: what the house does is what the table says, and the table says what was agreed.

``actors.access.table()`` is derived from the code's own tables, so it could be wrong together with the code:
``AGREED`` was written by hand from behaviour §3 and §10, and holds it to that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from actors.access import NEEDS, NEEDS_ELSEWHERE, STANDINGS, Row, outcome, table
from docs import roles
from protocol.requests import METHODS
from tests.world import World, service

UNKNOWN = "c0000000000ff"

#: who plays each part
CAST = {
    "backend": "backend",
    "assignee": "ana",
    "crew": "cy",
    "guest": "gus",
    "member": "dee",
    "shut out": "dee",
    "admin": "mia",
    "stranger": "bo",
    "contact": "contact:nia",
    "outside member": "contact:pat",
    "other contact": "contact:oli",
    "connector": "connector:sms",
    "other connector": "connector:whatsapp",
}
MODES = ("push", "grab", "collaboration")

#: method -> the params it is tried with; {c} is the conversation, {l} its link, {m} a message out, {w} a watch of the
#: asker, {b} a meeting booked in it with ana, {me} an agent the asker may book for
REQUESTS: dict[str, dict[str, Any]] = {
    "service.put": {"service": {"id": "sales", "name": "Sales"}},
    "service.get": {"service": "desk"},
    "service.list": {},
    "service.delete": {"service": "empty"},
    "agent.put": {"agent": {"id": "eve", "name": "Eve"}},
    "agent.get": {"agent": "eve"},
    "agent.list": {},
    "agent.delete": {"agent": "idle"},
    "agent.set_availability": {"agent": "eve", "available": True},
    "agent.watch": {},
    "agent.unwatch": {},
    "contact.get": {"contact": "nia"},
    "contact.update": {"contact": "nia", "phone": "+1"},
    "contact.merge": {"contact": "nia", "into": "pat"},
    "template.put": {"template": {"name": "hello", "text": "Hello"}},
    "template.list": {},
    "template.delete": {"template": "bye"},
    "conversation.start": {"service": "desk"},
    "conversation.create": {"name": "Launch"},
    "conversation.invite": {"conversation": "{c}", "members": [{"contact": "zoe"}]},
    "conversation.remove": {"conversation": "{c}", "members": [{"contact": "pat"}]},
    "conversation.join_link": {"link": "{l}"},
    "conversation.list": {},
    "conversation.watch": {},
    "conversation.unwatch": {"watch": "{w}"},
    "conversation.assign": {"conversation": "{c}", "service": "sales", "anyway": True},
    "conversation.transfer": {"conversation": "{c}", "service": "sales", "anyway": True},
    "conversation.snooze": {"conversation": "{c}", "for": "3h"},
    "conversation.move": {"conversation": "{c}", "service": "sales"},
    "conversation.update": {"conversation": "{c}", "name": "Invoice"},
    "conversation.presence": {"conversation": "{c}", "state": "viewing"},
    "conversation.read": {"conversation": "{c}", "seq": 1},
    "message.send": {"conversation": "{c}", "text": "Hi"},
    "message.comment": {"conversation": "{c}", "text": "Hm"},
    "message.react": {"conversation": "{c}", "to": "{e}", "emoji": "👍"},
    "message.forward": {"conversation": "{c}", "messages": "{es}", "to": ["guest@example.org"]},
    "connector.receive": {"channel": "sms", "address": "+9", "external_id": "m", "text": "Hi", "service": "desk"},
    "connector.delivered": {"entry": "{m}", "status": "delivered"},
    "outbox.list": {},
    "outbox.retry": {"kind": "message", "id": "{f}"},
}
ONLY_A_CONVERSATION = (
    "get", "join", "leave", "decline", "grab", "close", "reopen", "wake", "explain",
)  # fmt: skip
REQUESTS |= {f"conversation.{name}": {"conversation": "{c}"} for name in ONLY_A_CONVERSATION}
REQUESTS["conference.start"] = {"conversation": "{c}"}
NOON, ONE = "2026-01-05T12:00:00.000Z", "2026-01-05T13:00:00.000Z"
REQUESTS |= {
    "meeting.slots": {"agent": "eve", "from": NOON, "to": ONE},
    "meeting.schedule": {"agent": "{me}", "start": ONE, "conversation": "{c}"},
    "meeting.confirm": {"meeting": "{b}"},
    "meeting.reschedule": {"meeting": "{b}", "start": ONE},
    "meeting.cancel": {"meeting": "{b}"},
}

TRIED = [row for row in table() if not row.method.startswith("session.")]  # sessions are the shell's


class Stage:
    """A small house with one conversation, and everybody who may stand to it in some way."""

    def __init__(self, mode: str) -> None:
        everybody = ("ana", "cy", "dee", "eve", "mia", "bo", "gus", "idle")
        self.world = World(
            {
                "services": [
                    service("desk", "ana cy dee eve mia/admin", mode=mode),
                    service("sales", "bo gus"),
                    service("empty"),
                ],
                "agents": [{"id": name} for name in everybody],
                "conference_url": "https://meet.example/{conversation}",
                "mail": {},
            }
        )  # fmt: skip
        self.world.say("backend", "template.put", template={"name": "bye", "text": "Bye"})
        self.ids: dict[str, Any] = {}

    def begin(self) -> str:
        """nia's conversation in sales; gus has joined it, pat has come by its link."""
        started = self.world.start("nia", service="sales")
        found = started.id
        self.world.say("gus", "conversation.join", conversation=found)
        self.ids["{l}"] = started.link
        self.world.say("contact:pat", "conversation.join_link", link=started.link)
        self.ids["{c}"], self.ids["{e}"] = found, self.world.timeline(found)[1].seq
        self.ids["{es}"] = [self.ids["{e}"]]
        return found

    def assigned(self) -> None:
        """In desk now, assigned to ana (in grab mode she owns it), joined by cy, with gus as a guest."""
        found = self.begin()
        self.assign(found, "cy")
        self.world.say("cy", "conversation.join", conversation=found)
        self.assign(found, "ana")

    def assign(self, conversation: str, agent: str) -> None:
        self.world.say(
            "backend", "conversation.assign", conversation=conversation, agent=agent, service="desk", anyway=True
        )

    def offered(self) -> None:
        """In desk and on offer to be grabbed; cy and gus had joined it before desk came to grab."""
        found = self.begin()
        self.world.say("backend", "service.put", service={"id": "desk", "mode": "push"})
        self.world.say("backend", "conversation.transfer", conversation=found, service="desk", anyway=True)
        self.world.say("cy", "conversation.join", conversation=found)
        self.world.say("backend", "service.put", service={"id": "desk", "mode": "grab"})
        for name in ("ana", "cy", "dee", "mia", "gus", "bo"):
            self.world.online(name)

    def closed(self) -> None:
        self.assigned()
        self.world.say("backend", "conversation.close", conversation=self.ids["{c}"])

    def snoozed(self) -> None:
        self.assigned()
        self.world.say("backend", "conversation.snooze", conversation=self.ids["{c}"], **{"for": "3h"})

    def delivering(self) -> None:
        """A message of ana's is on its way out through sms."""
        found = self.world.receive("+1", service="desk").id
        self.assign(found, "ana")
        self.ids["{m}"] = self.world.say("ana", "message.send", conversation=found, text="Hi").entry.seq

    def failed(self) -> None:
        """That message has failed."""
        self.delivering()
        self.world.say("connector:sms", "connector.delivered", entry=self.ids["{m}"], status="failed")
        self.ids["{f}"] = str(self.ids["{m}"])

    def booked(self) -> None:
        """nia has booked a meeting with ana in it."""
        self.assigned()
        week = {name: [["00:00", "24:00"]] for name in ("mon", "tue")}
        for agent in ("ana", "eve"):
            settings = {"id": agent, "confirm_meetings": True, "working_hours": {"weekly": week}}
            self.world.say("backend", "agent.put", agent=settings)
        given = {"agent": "ana", "start": NOON, "conversation": self.ids["{c}"]}
        self.ids["{b}"] = self.world.say("contact:nia", "meeting.schedule", **given).meeting.id

    def set(self, row: Row) -> None:
        """Bring about the state in which the method can be done."""
        ways: dict[str, Callable[[], None]] = {
            "conversation.reopen": self.closed,
            "conversation.wake": self.snoozed,
            "connector.delivered": self.delivering,
            "outbox.retry": self.failed,
            **dict.fromkeys((name for name in METHODS if name.startswith("meeting.")), self.booked),
        }
        if row.method == "conversation.grab" and row.standing not in ("assignee", "shut out"):
            ways["conversation.grab"] = self.offered
        self.ids["{me}"] = CAST[row.standing] if STANDINGS[row.standing][0] == "agent" else "eve"
        ways.get(row.method, self.assigned)()
        if row.method == "conversation.unwatch":
            watch = self.world.ask(CAST[row.standing], "conversation.watch")
            self.ids["{w}"] = "w1" if watch.error else watch.result.watch

    def ask(self, row: Row, **instead: Any) -> dict[str, Any]:
        """The request's outcome: ``{}`` or the error's code, message and data."""
        given = {**REQUESTS[row.method], **instead}
        if row.method == "conversation.start" and STANDINGS[row.standing][0] != "contact":
            given["contact"] = "zoe"
        params = {name: self.ids.get(value, value) if isinstance(value, str) else value
                  for name, value in given.items()}  # fmt: skip
        error = self.world.ask(CAST[row.standing], row.method, **params).error
        return {} if error is None else {"code": error.code, "message": error.message, **error.data}


def staged(row: Row, mode: str) -> Stage:
    stage = Stage(mode)
    stage.set(row)
    return stage


def told(found: dict[str, Any]) -> str:
    return str(found.get("reason", found["code"])) if found else "allowed"


def usual_mode(row: Row) -> str:
    return "grab" if row.standing == "shut out" or row.method == "conversation.grab" else "push"


@pytest.mark.parametrize("row", TRIED, ids=lambda row: f"{row.method} by {row.standing}")
def test_everybody_is_told_what_the_table_says(row: Row) -> None:
    assert told(staged(row, usual_mode(row)).ask(row)) == row.outcome


#: where the mode could make a difference: of those the role does not keep out already
RELATED = [row for row in TRIED if row.method in NEEDS and STANDINGS[row.standing][0] in METHODS[row.method].roles]
OTHERWISE = [
    pytest.param(mode, row, id=f"{row.method} by {row.standing} in {mode}")
    for row in RELATED
    for mode in MODES
    if mode != usual_mode(row) and row.method != "conversation.grab"
    if (row.standing, mode) != ("member", "grab") and row.standing != "shut out"
]


@pytest.mark.parametrize(("mode", "row"), OTHERWISE)
def test_the_way_of_working_makes_no_difference_to_whoever_is_not_shut_out(mode: str, row: Row) -> None:
    """In grab mode ana has grabbed it: its crew, admins and contact may do what they always may."""
    assert told(staged(row, mode).ask(row)) == row.outcome


UNSEEN = [row for row in TRIED if row.outcome == "not_found"]
NAMES = {"conversation": UNKNOWN, "contact": "zoe", "service": "nowhere", "agent": "nobody", "entry": 9_999,
         "meeting": "m0000000000ff"}  # fmt: skip


@pytest.mark.parametrize("row", UNSEEN, ids=lambda row: f"{row.method} by {row.standing}")
def test_what_may_not_be_seen_cannot_be_told_from_what_does_not_exist(row: Row) -> None:
    stage = staged(row, usual_mode(row))
    named = next(name for name in NAMES if name in REQUESTS[row.method])
    assert stage.ask(row) == stage.ask(row, **{named: NAMES[named]})


@pytest.mark.parametrize("params", [{"to": 1}, {"to": 9_999}], ids=["an entry", "no entry"])
@pytest.mark.parametrize("who", ["bo", "dee", "contact:oli"])
def test_a_reaction_does_not_tell_what_is_in_a_conversation_one_may_not_see(who: str, params: dict[str, int]) -> None:
    """Nor does a reply: whether the entry is there comes after whether the conversation may be seen."""
    stage = Stage("grab")
    stage.assigned()
    for method, more in (("message.react", {**params, "emoji": "x"}), ("message.send", {"reply_to": params["to"]})):
        text = {"text": "Hi"} if method == "message.send" else {}
        found = stage.world.refused(who, method, conversation=stage.ids["{c}"], **more, **text)
        unknown = stage.world.refused(who, method, conversation=UNKNOWN, **more, **text)
        assert found == unknown
        assert found["reason"] == "not_found"


def test_whoever_comes_too_late_learns_that_and_nothing_else() -> None:
    """§3: losers get ``already_owned`` without any content, whatever has become of the conversation since."""
    for way in ("assigned", "snoozed", "closed"):
        stage = Stage("grab")
        getattr(stage, way)()
        found = stage.world.refused("dee", "conversation.grab", conversation=stage.ids["{c}"])
        assert found == {"code": -32000, "reason": "already_owned", "retry": False}, way


@pytest.mark.parametrize("way", ["assigned", "snoozed", "closed"])
def test_what_another_one_has_grabbed_is_in_no_list_of_a_representative_but_in_an_admins(way: str) -> None:
    stage = Stage("grab")
    getattr(stage, way)()
    status = {"status": "closed"} if way == "closed" else {}
    shown = {who: stage.world.say(who, "conversation.list", **status) for who in ("dee", "mia", "cy")}
    assert [len(shown[who].items) for who in ("dee", "mia", "cy")] == [0, 1, 1]
    assert not any(shown["dee"].counts.values())


def test_an_admin_never_grabs_even_after_joining() -> None:
    stage = Stage("grab")
    stage.offered()
    stage.world.say("mia", "conversation.join", conversation=stage.ids["{c}"])
    found = stage.world.refused("mia", "conversation.grab", conversation=stage.ids["{c}"])
    assert found["reason"] == "forbidden"


# ---------------------------------------------------------------- the table itself

#: (method, who, what they are told), by hand from the text
AGREED = [
    # §3 Grab mode: other representatives neither see nor join it, by every method but grab
    ("conversation.get", "shut out", "not_found"),
    ("conversation.join", "shut out", "not_found"),
    ("conversation.assign", "shut out", "not_found"),
    ("message.comment", "shut out", "not_found"),
    ("contact.get", "shut out", "not_found"),
    ("conversation.grab", "shut out", "already_owned"),
    ("conversation.grab", "member", "allowed"),
    # §10 admin: see and join, assign, transfer, close; not grab
    ("conversation.get", "admin", "allowed"),
    ("conversation.join", "admin", "allowed"),
    ("conversation.assign", "admin", "allowed"),
    ("conversation.transfer", "admin", "allowed"),
    ("conversation.close", "admin", "allowed"),
    ("conversation.grab", "admin", "forbidden"),
    # §4 an agent must be in the crew to send; the crew or an admin may close and snooze; by hand an agent may wake
    ("message.send", "member", "not_in_crew"),
    ("message.send", "admin", "not_in_crew"),
    ("message.send", "crew", "allowed"),
    ("conversation.close", "member", "not_in_crew"),
    ("conversation.snooze", "member", "not_in_crew"),
    ("conversation.snooze", "admin", "allowed"),
    ("conversation.wake", "member", "allowed"),
    # §3 whoever it is assigned to may give it back
    ("conversation.decline", "assignee", "allowed"),
    ("conversation.decline", "crew", "not_in_crew"),
    # §6 contact details are editable by the crew; comments are for the house
    ("contact.update", "crew", "allowed"),
    ("contact.update", "member", "not_in_crew"),
    ("message.comment", "contact", "forbidden"),
    ("message.comment", "member", "allowed"),
    # §10 own services only; own conversations, as an outsider; its channels, nothing else; everything
    ("conversation.get", "stranger", "not_found"),
    ("conversation.grab", "stranger", "not_found"),
    ("conversation.explain", "stranger", "not_found"),
    ("agent.set_availability", "stranger", "not_found"),
    ("service.put", "admin", "forbidden"),
    ("conversation.get", "contact", "allowed"),
    ("conversation.get", "other contact", "not_found"),
    # §7 members see, write and react; they invite nobody, and learn nothing of the others
    ("conversation.get", "outside member", "allowed"),
    ("message.send", "outside member", "allowed"),
    ("message.react", "outside member", "allowed"),
    ("message.comment", "outside member", "forbidden"),
    ("conversation.invite", "outside member", "forbidden"),
    ("conversation.remove", "contact", "forbidden"),
    ("contact.get", "outside member", "not_found"),
    ("meeting.cancel", "outside member", "not_found"),
    ("conversation.invite", "crew", "allowed"),
    ("conversation.invite", "admin", "not_in_crew"),
    ("conversation.remove", "backend", "allowed"),
    # §7 a link admits whoever presents it
    ("conversation.join_link", "other contact", "allowed"),
    ("conversation.join_link", "stranger", "allowed"),
    # contacts are merged by who works with them
    ("contact.merge", "crew", "allowed"),
    ("contact.merge", "member", "not_in_crew"),
    ("contact.merge", "stranger", "not_found"),
    ("contact.merge", "contact", "forbidden"),
    ("message.send", "other contact", "not_found"),
    ("conversation.snooze", "contact", "forbidden"),
    ("conversation.explain", "contact", "forbidden"),
    ("conversation.close", "other contact", "forbidden"),
    ("connector.receive", "connector", "allowed"),
    ("connector.receive", "other connector", "forbidden"),
    ("connector.receive", "assignee", "forbidden"),
    ("conversation.list", "connector", "forbidden"),
    # §8 meetings: agents change their own, admins those of their services' agents, contacts theirs; agents confirm
    ("meeting.reschedule", "assignee", "allowed"),
    ("meeting.reschedule", "admin", "allowed"),
    ("meeting.reschedule", "crew", "forbidden"),
    ("meeting.reschedule", "shut out", "not_found"),
    ("meeting.reschedule", "contact", "allowed"),
    ("meeting.cancel", "other contact", "not_found"),
    ("meeting.cancel", "connector", "forbidden"),
    ("meeting.confirm", "contact", "forbidden"),
    ("meeting.confirm", "backend", "allowed"),
    ("meeting.schedule", "crew", "allowed"),
    ("meeting.schedule", "member", "not_in_crew"),
    ("meeting.schedule", "contact", "allowed"),
    ("meeting.slots", "stranger", "not_found"),
    ("meeting.slots", "contact", "allowed"),
    ("message.send", "connector", "forbidden"),
    ("service.put", "backend", "allowed"),
    ("message.send", "backend", "allowed"),
    ("conversation.transfer", "backend", "allowed"),
]


@pytest.mark.parametrize(("method", "standing", "agreed"), AGREED)
def test_the_table_says_what_was_agreed(method: str, standing: str, agreed: str) -> None:
    assert outcome(method, standing) == agreed


def test_every_method_is_tried_and_every_need_has_a_method() -> None:
    sessions = {"session.open", "session.refresh", "session.close", "session.revoke"}
    assert REQUESTS.keys() | sessions == METHODS.keys()
    assert NEEDS.keys() | NEEDS_ELSEWHERE.keys() <= METHODS.keys()
    assert not NEEDS.keys() & NEEDS_ELSEWHERE.keys()


def test_every_method_that_names_a_conversation_says_what_it_needs_of_it() -> None:
    named = {name for name, method in METHODS.items() if "conversation" in method.params.__struct_fields__}
    assert named == set(NEEDS)


# ---------------------------------------------------------------- the page


def test_the_page_of_roles_is_up_to_date(capsys: Any) -> None:
    assert roles.main(["--check"]) == 0, capsys.readouterr().err


def test_every_method_is_on_the_page_of_roles() -> None:
    assert all(f"`{method}`" in roles.page() for method in METHODS)

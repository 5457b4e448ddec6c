"""The checker finds every kind of damage: one true story, and what must be said when something in it is changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.kill.checker import broken
from tests.kill.ledger import Entry, Final, Ledger, Request, Row, Rows, Session, milliseconds
from tests.kill.life import Life, Rules

START = 1_767_603_600_000
RULES = Rules(((500, "notify"), (1100, "add_managers")), 3_000, ("mia",), ("dee",))
ANA, WEB, OUT = {"kind": "agent", "id": "ana"}, {"kind": "contact", "id": "web0"}, {"kind": "contact", "id": "p1"}
SYSTEM = {"kind": "system", "id": None}


def moment(ms: int) -> str:
    return datetime.fromtimestamp((START + ms) / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def entry(seq: float, name: str, ms: int, kind: str, by: dict[str, Any], **fields: Any) -> Entry:
    return {"seq": seq, "conversation": name, "at": moment(ms), "type": kind, "by": by, **fields}


def facts() -> list[Entry]:
    return [
        entry(1, "c1", 0, "created", WEB, reason="contact"),
        entry(2, "c1", 0, "message", WEB, text="web0 writes 1"),
        entry(3, "c1", 0, "assigned", SYSTEM, agent="ana", service="support", reason="new"),
        entry(4, "c1", 500, "escalated", SYSTEM, step=0, reason="notify"),
        entry(5, "c1", 700, "message", ANA, text="ana says 1"),
        entry(6, "c1", 800, "snoozed", ANA, until=moment(1800)),
        entry(7, "c1", 1800, "woke", SYSTEM, reason="timer"),
        entry(8, "c1", 1800, "assigned", SYSTEM, agent="ana", service="support", reason="woke"),
        entry(9, "c1", 2000, "message", WEB, text="web0 writes 2"),
        entry(10, "c1", 2100, "closed", ANA, reason="agent"),
        entry(11, "c2", 2200, "created", OUT, reason="contact"),
        entry(12, "c2", 2200, "message", OUT, text="sms-x1"),
        entry(13, "c2", 2200, "assigned", SYSTEM, agent="ana", service="support", reason="new"),
        entry(14, "c2", 2300, "message", ANA, text="ana says 2"),
        entry(15, "c2", 2400, "comment", ANA, text="ana notes 1"),
        entry(16, "c2", 5201, "closed", SYSTEM, reason="auto"),
    ]


#: who was told what
TOLD = {
    "agent:ana": (3, 4, 5, 6, 8, 9, 10, 13, 14, 15, 16),
    "agent:dee": (4,),
    "contact:web0": (1, 2, 5, 9, 10),
    "contact:p1": (11, 12, 14, 16),
}


class Story:
    """Two conversations that two agents, a contact and a connector remember, and the store too."""

    def __init__(self) -> None:
        self.facts = {fact["seq"]: fact for fact in facts()}
        self.keys: dict[tuple[str, str], Any] = {}
        self.ana = self.ledger("agent", "ana", 10)
        self.dee = self.ledger("agent", "dee", 10)
        self.web = self.ledger("contact", "web0", 2)
        self.sms = self.ledger("connector", "sms", 0)
        self.send(self.ana, 5)
        self.act(self.ana, "conversation.snooze", "c1", snoozed_until=moment(1800))
        self.act(self.ana, "conversation.close", "c1")
        self.send(self.ana, 14)
        self.send(self.ana, 15, "message.comment")
        self.ask(self.web, "conversation.start", {"text": "web0 writes 1"}, {"conversation": {"id": "c1"}})
        self.send(self.web, 9)
        received = {"conversation": {"id": "c2"}, "entry": self.facts[12]}
        self.ask(self.sms, "connector.receive", {"channel": "sms", "external_id": "x1", "text": "sms-x1"}, received)
        self.ask(self.sms, "connector.delivered", {"entry": 14}, {})
        self.sms.deliveries.append(self.facts[14])
        self.final = self._final()

    def ledger(self, role: str, sub: str, cut_after: int) -> Ledger:
        """What one was told, in two sessions."""
        ledger = Ledger(role, sub)
        told = [self.facts[seq] for seq in TOLD.get(ledger.address, ())]
        first = [fact for fact in told if fact["seq"] <= cut_after]
        ledger.sessions.append(Session(None, 0, START, first))
        last = first[-1]["seq"] if first else 0
        ledger.sessions.append(Session(last, 12, START, [fact for fact in told if fact["seq"] > cut_after]))
        return ledger

    def send(self, ledger: Ledger, seq: int, method: str = "message.send") -> None:
        self.ask(ledger, method, {"text": self.facts[seq]["text"]}, {"entry": dict(self.facts[seq])})

    def act(self, ledger: Ledger, method: str, name: str, **summary: Any) -> None:
        self.ask(ledger, method, {}, {"conversation": {"id": name, **summary}})

    def ask(self, ledger: Ledger, method: str, params: dict[str, Any], result: Any) -> None:
        number = len(ledger.requests) + 1
        owner, key = ledger.address, f"{ledger.sub}-{number}"
        if method == "connector.receive":
            owner, key = "channel:sms", params["external_id"]
        else:
            params = {**params, "key": key}
        ledger.requests.append(Request(number, method, params, 1, [{"id": number, "result": result}]))
        self.keys[owner, key] = result

    def _final(self) -> Final:
        timelines = {name: [f for f in self.facts.values() if f["conversation"] == name] for name in ("c1", "c2")}
        contacts = {"c1": "web0", "c2": "p1"}
        summaries = {
            name: {"last_seq": t[-1]["seq"], "contact": {"id": contacts[name]}} for name, t in timelines.items()
        }
        seen = {"contact:web0": {"c1": [self.facts[seq] for seq in TOLD["contact:web0"]]}}
        return Final(START + 6_000, timelines, summaries, seen, self._rows())

    def _rows(self) -> Rows:
        rows = Rows(keys=self.keys, deliveries={14: "delivered"})
        for f in self.facts.values():
            who = tuple(address for address, told in TOLD.items() if f["seq"] in told)
            rows.entries.append(Row(f["seq"], f["conversation"], milliseconds(f["at"]), f["type"], who, f.get("text")))
        for name in ("c1", "c2"):
            rows.conversations[name] = {"state": "closed", "contact": name, "channel": "web", "service": "support"}
        return rows

    @property
    def timeline(self) -> list[Entry]:
        return self.final.timelines["c1"]

    def broken(self) -> list[str]:
        return list(broken([self.ana, self.dee, self.web, self.sms], self.final, RULES))

    def drop(self, *seqs: int) -> None:
        """Take facts out of timelines and rows."""
        for timeline in self.final.timelines.values():
            timeline[:] = [fact for fact in timeline if fact["seq"] not in seqs]
        self.final.rows.entries[:] = [row for row in self.final.rows.entries if row.seq not in seqs]

    def put(self, place: int, fact: Entry) -> None:
        """Put one more fact into the first timeline."""
        self.timeline.insert(place, fact)

    def change(self, seq: int, **fields: Any) -> None:
        """Make a fact another one for everybody who knows of it in the end."""
        self.facts[seq].update(fields)

    def refuse(self, ledger: Ledger, place: int) -> None:
        error = {"code": -32000, "data": {"reason": "not_in_crew"}}
        ledger.requests[place].answers[:] = [{"id": 1, "error": error}]


def test_a_true_story_is_not_objected_to() -> None:
    assert Story().broken() == []


def damages(story: Story) -> dict[str, Callable[[], Any]]:
    """What is said -> what must be done to the story for it."""
    ana, web, sms, final, rows = story.ana, story.web, story.sms, story.final, story.final.rows
    return {
        # acknowledged requests
        "acknowledged, and is there 0 times": lambda: story.drop(5),
        "acknowledged, and is there 2 times": lambda: story.put(5, {**story.facts[5], "seq": 5.5}),
        "'sms-x1' was acknowledged, and is there 2 times": lambda: story.put(2, {**story.facts[12], "seq": 2.5}),
        "was refused, and yet is in": lambda: story.refuse(ana, 0),
        "was acknowledged as": lambda: ana.requests[0].result["entry"].update(seq=99),
        "was acknowledged in c9": lambda: web.requests[0].result["conversation"].update(id="c9"),
        "nobody wrote it": lambda: story.put(2, entry(2.5, "c1", 0, "message", WEB, text="a ghost")),
        "was never answered": lambda: ana.requests[0].answers.clear(),
        "answered differently": lambda: ana.requests[0].answers.append({"id": 1, "result": {"entry": {}}}),
        "failed:": lambda: ana.requests[0].answers.append({"id": 1, "error": {"code": -32603}}),
        "('closed', 'c1', 'ana', None) was acknowledged 1 times, and is there 0 times": lambda: story.drop(10),
        "('closed', 'c1', 'ana', None) was acknowledged 2 times": lambda: story.act(ana, "conversation.close", "c1"),
        f"('snoozed', 'c1', 'ana', '{moment(1800)}') was acknowledged 0 times": lambda: story.refuse(ana, 1),
        # the order of facts
        "out of order": lambda: story.timeline.reverse(),
        "is two facts": lambda: final.timelines["c2"].insert(0, {**story.facts[4], "text": None}),
        "agent:ana was told": lambda: ana.sessions[0].entries.__setitem__(0, {**story.facts[3], "agent": "bo"}),
        "connector:sms was told": lambda: sms.deliveries.append({**story.facts[14], "text": "?"}),
        "stands behind one of": lambda: story.change(13, at=moment(1000)),
        "last_seq is": lambda: final.summaries["c1"].update(last_seq=9),
        # what clients heard
        "agent:ana was never told [5]": lambda: ana.sessions[0].entries.pop(2),
        "contact:web0 was never told [9]": lambda: web.sessions[1].entries.pop(1),
        "out of order or twice: 10 and then 10": lambda: ana.sessions[1].entries.insert(0, story.facts[10]),
        "agent:dee was told [5]": lambda: story.dee.sessions[1].entries.append(story.facts[5]),
        "contact:web0 was told [8]": lambda: web.sessions[1].entries.insert(1, story.facts[8]),
        "where the house was only at 12": lambda: setattr(ana.sessions[1], "since", 13),
        "seq 9 is in what it was told only": lambda: final.seen["contact:web0"]["c1"].pop(3),
        "seq 8 is in its timeline only": lambda: final.seen["contact:web0"]["c1"].append(story.facts[8]),
        "at once": lambda: ana.problems.append("something that was wrong at once"),
        # deadlines
        "woke was due": lambda: story.drop(7, 8),
        "woke at seq 7 came early": lambda: story.change(7, at=moment(1700)),
        "woke at seq 7 came with the wrong moment": lambda: story.change(7, at=moment(1801)),
        "woke at seq 7.5, though no such deadline": lambda: story.put(7, {**story.facts[7], "seq": 7.5}),
        "escalated was due": lambda: story.drop(4),
        "step 0 of the ladder fired at seq 4.5, expected 1": lambda: story.put(4, {**story.facts[4], "seq": 4.5}),
        "escalated at seq 4 came early": lambda: story.change(4, at=moment(499)),
        "closed was due": lambda: story.drop(16),
        "closed at seq 16 came with the wrong moment": lambda: story.change(16, at=moment(5300)),
        "until a moment that had passed": lambda: story.change(6, until=moment(800)),
        # the rows
        "seq 5 is in the protocol only": lambda: rows.entries.pop(4),
        "seq 5 is in the rows only": lambda: story.timeline.pop(4),
        "seq twice": lambda: rows.entries.append(rows.entries[-1]),
        "in the rows, and": lambda: setattr(rows.entries[4], "text", "another"),
        "disagree on who was told [5]": lambda: setattr(rows.entries[4], "audience", ("contact:web0",)),
        "the store remembers None": lambda: rows.keys.pop(("agent:ana", "ana-1")),
        "the store remembers {'entry': {}}": lambda: rows.keys.update({("agent:ana", "ana-1"): {"entry": {}}}),
        "x1 was answered": lambda: rows.keys.pop(("channel:sms", "x1")),
        "was refused, the store remembers": lambda: story.refuse(web, 1),
        "has 2 live": lambda: [row.update(state="open", contact="web0") for row in rows.conversations.values()],
        "never handed to a connector": lambda: sms.deliveries.clear(),
        "and is pending": lambda: rows.deliveries.update({14: "pending"}),
        "message 14 is in the rows only": lambda: story.refuse(sms, 1),
        "message 14 is in the ledgers only": lambda: rows.deliveries.clear(),
    }


@pytest.mark.parametrize("what", damages(Story()))
def test_damage_is_found_and_named(what: str) -> None:
    story = Story()
    damages(story)[what]()
    assert any(what in problem for problem in story.broken()), story.broken()


def test_a_grace_of_the_same_millisecond_may_come_before_a_deadline_but_a_request_may_not() -> None:
    for by, problems in ((SYSTEM, 0), (ANA, 1)):
        life = Life("c1", RULES)
        life.read(entry(1, "c1", 0, "created", WEB))
        life.read(entry(2, "c1", 0, "message", WEB, text="web0 writes 1"))
        life.read(entry(3, "c1", 500, "unassigned", by, agent="ana", reason="lost"))
        life.read(entry(4, "c1", 500, "escalated", SYSTEM, step=0, reason="notify"))
        assert len(life.problems) == problems


def test_in_another_service_its_own_ladder_begins_with_what_is_past_on_arrival() -> None:
    def told(moment_of_second: int) -> list[str]:
        life = Life("c1", RULES)
        life.read(entry(1, "c1", 0, "created", WEB))
        life.read(entry(2, "c1", 0, "message", WEB, text="web0 writes 1"))
        life.read(entry(3, "c1", 0, "assigned", SYSTEM, agent="ana", service="sales"))
        life.read(entry(4, "c1", 500, "escalated", SYSTEM, step=0, reason="notify"))
        life.read(entry(5, "c1", 700, "transferred", ANA, agent="bo", service="support"))
        life.read(entry(6, "c1", 700, "message", WEB, text="web0 writes 2"))
        life.read(entry(7, "c1", moment_of_second, "escalated", SYSTEM, step=0, reason="notify"))
        life.read(entry(8, "c1", 1100, "escalated", SYSTEM, step=1, reason="add_managers"))
        life.read(entry(9, "c1", 1200, "transferred", ANA, agent="ana", service="sales"))
        life.read(entry(10, "c1", 1200, "escalated", SYSTEM, step=1, reason="add_managers"))
        return life.problems

    assert told(700) == []
    assert len(told(701)) == 1

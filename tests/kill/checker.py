"""Whether the clients' ledgers, the timelines and the store's rows can all be true at once. Gives sentences."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from tests.kill.ledger import Entry, Final, Ledger, Request, milliseconds
from tests.kill.life import OUTSIDE, Life, Rules

#: method -> the entry that it leaves in a timeline, known by a text of its own
TEXTS = {"message.send": "text", "message.comment": "text", "connector.receive": "text", "conversation.start": "text"}
#: method -> the type of entry it leaves, and what tells two of them apart
EFFECTS = {
    "conversation.snooze": ("snoozed", "until"),
    "conversation.close": ("closed", None),
    "conversation.decline": ("declined", None),
    "conversation.wake": ("woke", None),
    "conversation.transfer": ("transferred", "comment"),
}


def broken(ledgers: Sequence[Ledger], final: Final, rules: Rules) -> list[str]:
    """Everything that contradicts something else; empty = all is well."""
    found = [problem for ledger in ledgers for problem in ledger.problems]
    for part in (answered, texts, effects, sequence, rows_agree, keys, deliveries):
        found += part(ledgers, final)
    return found + list(deadlines_and_hearing(ledgers, final, rules))


def _requests(ledgers: Sequence[Ledger]) -> Iterator[tuple[Ledger, Request]]:
    for ledger in ledgers:
        for request in ledger.requests:
            yield ledger, request


def _entries(final: Final) -> Iterator[Entry]:
    for timeline in final.timelines.values():
        yield from timeline


# ---------------------------------------------------------------- what was asked


def answered(ledgers: Sequence[Ledger], final: Final) -> Iterator[str]:
    """Every request has an answer, and a repetition has the same."""
    for ledger, request in _requests(ledgers):
        what = f"{ledger.address} {request.method} {request.params.get('key') or request.params.get('external_id')}"
        if not request.answers:
            yield f"{what} was never answered"
        if any("error" in answer and answer["error"]["code"] != -32000 for answer in request.answers):
            yield f"{what} failed: {request.answers}"
        if request.result is not None and any(answer.get("result") != request.result for answer in request.answers):
            yield f"{what} was answered differently when it was repeated: {request.answers}"


def texts(ledgers: Sequence[Ledger], final: Final) -> Iterator[str]:
    """What was acknowledged is there once, in its place; what was refused is not; nothing else is."""
    by_text: dict[str, list[Entry]] = {}
    for entry in _entries(final):
        if entry.get("text") is not None:
            by_text.setdefault(entry["text"], []).append(entry)
    for ledger, request in _requests(ledgers):
        if request.method not in TEXTS:
            continue
        there = by_text.pop(request.params["text"], [])
        result, what = request.result, f"{ledger.address} {request.method} {request.params['text']!r}"
        if result is None and there:
            yield f"{what} was refused, and yet is in {there}"
        elif result is not None and len(there) != 1:
            yield f"{what} was acknowledged, and is there {len(there)} times"
        elif result is not None and "entry" in result and result["entry"] != there[0]:
            yield f"{what} was acknowledged as {result['entry']}, and is {there[0]}"
        elif (
            result is not None and "conversation" in result and result["conversation"]["id"] != there[0]["conversation"]
        ):
            yield f"{what} was acknowledged in {result['conversation']['id']}, and is in {there[0]['conversation']}"
    for text in by_text:
        yield f"{text!r} is there, and nobody wrote it"


def effects(ledgers: Sequence[Ledger], final: Final) -> Iterator[str]:
    """What agents did to conversations is there as often as it was acknowledged."""
    asked: Counter[tuple[Any, ...]] = Counter()
    for ledger, request in _requests(ledgers):
        if request.method in EFFECTS and request.result is not None:
            kind, mark = EFFECTS[request.method]
            summary = request.result["conversation"]
            value = {"until": summary.get("snoozed_until"), "comment": request.params.get("comment")}.get(mark or "")
            asked[kind, summary["id"], ledger.sub, value] += 1
    there: Counter[tuple[Any, ...]] = Counter()
    marks = dict(EFFECTS.values())
    for entry in _entries(final):
        by = entry.get("by") or {}
        if entry["type"] in marks and by.get("kind") == "agent":
            mark = marks[entry["type"]]
            there[entry["type"], entry["conversation"], by["id"], entry.get(mark) if mark else None] += 1
    for what in asked.keys() | there.keys():
        if asked[what] != there[what]:
            yield f"{what} was acknowledged {asked[what]} times, and is there {there[what]} times"


# ---------------------------------------------------------------- the order of facts


def sequence(ledgers: Sequence[Ledger], final: Final) -> Iterator[str]:
    """Numbers rise in every timeline and mean one fact for everybody, for ever; time does not go back."""
    facts: dict[int, Entry] = {}
    for name, timeline in final.timelines.items():
        numbers = [entry["seq"] for entry in timeline]
        if numbers != sorted(set(numbers)):
            yield f"{name}: the timeline is out of order: {numbers}"
        if numbers and final.summaries[name]["last_seq"] != numbers[-1]:
            yield f"{name}: last_seq is {final.summaries[name]['last_seq']}, the last entry is {numbers[-1]}"
        for entry in timeline:
            if facts.setdefault(entry["seq"], entry) != entry:
                yield f"seq {entry['seq']} is two facts: {facts[entry['seq']]} and {entry}"
    for ledger in ledgers:
        for entry in [*(entry for session in ledger.sessions for entry in session.entries), *ledger.deliveries]:
            if facts.get(entry["seq"]) != entry:
                yield f"{ledger.address} was told {entry}, but seq {entry['seq']} is {facts.get(entry['seq'])}"
    moments = [milliseconds(facts[seq]["at"]) for seq in sorted(facts)]
    for before, after in pairwise(moments):
        if after < before:
            yield f"an entry of {after} stands behind one of {before}"


def deadlines_and_hearing(ledgers: Sequence[Ledger], final: Final, rules: Rules) -> Iterator[str]:
    """Every deadline fired once and at its moment, and everybody heard what they were entitled to."""
    entitled: dict[str, list[int]] = {}
    for name, timeline in final.timelines.items():
        life = Life(name, rules)
        contact = final.summaries[name]["contact"]["id"]
        for entry in timeline:
            hearers = life.read(entry)
            if entry["type"] in OUTSIDE:
                hearers.append(f"contact:{contact}")
            for address in hearers:
                entitled.setdefault(address, []).append(entry["seq"])
        life.end(final.now)
        yield from life.problems
    for ledger in ledgers:
        if ledger.role in ("agent", "contact"):
            yield from _heard(ledger, entitled.get(ledger.address, []))
        if ledger.role == "contact":
            yield from _seen(ledger, final)


def _heard(ledger: Ledger, entitled: list[int]) -> Iterator[str]:
    """Live and by resume, without gap or repeat, in order."""
    numbers = [entry["seq"] for session in ledger.sessions for entry in session.entries]
    if numbers != sorted(set(numbers)):
        yield f"{ledger.address} was told out of order or twice: {_first_disorder(numbers)}"
    for session in ledger.sessions:
        if session.since is not None and session.seq < session.since:
            yield f"{ledger.address} resumed after {session.since}, where the house was only at {session.seq}"
    wanted = {seq for seq in entitled if ledger.sessions and seq > ledger.sessions[0].seq}
    if missing := sorted(wanted - set(numbers)):
        yield f"{ledger.address} was never told {missing[:10]}"
    if strange := sorted(set(numbers) - wanted):
        yield f"{ledger.address} was told {strange[:10]}, which is none of its business"


def _seen(ledger: Ledger, final: Final) -> Iterator[str]:
    """A contact sees in its timelines what it was told, and nothing else."""
    told = {entry["seq"]: entry for session in ledger.sessions for entry in session.entries}
    seen = {entry["seq"]: entry for page in final.seen.get(ledger.address, {}).values() for entry in page}
    for seq in sorted(told.keys() ^ seen.keys()):
        yield f"{ledger.address}: seq {seq} is in {'what it was told' if seq in told else 'its timeline'} only"


def _first_disorder(numbers: list[int]) -> str:
    place = next(place for place, (a, b) in enumerate(pairwise(numbers)) if b <= a)
    return f"{numbers[place]} and then {numbers[place + 1]}"


# ---------------------------------------------------------------- the store's rows


def rows_agree(ledgers: Sequence[Ledger], final: Final) -> Iterator[str]:
    """The rows hold what the protocol shows, each entry once, and who heard it."""
    rows = final.rows
    shown = {entry["seq"]: entry for entry in _entries(final)}
    numbers = [row.seq for row in rows.entries]
    if numbers != sorted(set(numbers)):
        yield "the rows have a seq twice"
    for seq in sorted(shown.keys() ^ set(numbers)):
        yield f"seq {seq} is in {'the protocol' if seq in shown else 'the rows'} only"
    for row in rows.entries:
        entry = shown.get(row.seq, {})
        if entry and (row.conversation, row.type, row.text, row.at) != (
            entry["conversation"], entry["type"], entry.get("text"), milliseconds(entry["at"]),
        ):  # fmt: skip
            yield f"seq {row.seq} is {row} in the rows, and {entry} in the protocol"
    for ledger in ledgers:
        told = {entry["seq"] for session in ledger.sessions for entry in session.entries}
        after = ledger.sessions[0].seq if ledger.sessions else 0
        audience = {row.seq for row in rows.entries if ledger.address in row.audience and row.seq > after}
        if told != audience:
            yield f"{ledger.address} and the rows disagree on who was told {sorted(told ^ audience)[:10]}"
    live: Counter[tuple[Any, ...]] = Counter(
        (row["contact"], row["channel"], row["service"])
        for row in rows.conversations.values()
        if row["state"] in ("open", "snoozed")
    )
    yield from (f"{place} has {count} live conversations" for place, count in live.items() if count > 1)


def keys(ledgers: Sequence[Ledger], final: Final) -> Iterator[str]:
    """The store remembers the very answer that was given to each key, and no key of what was refused."""
    for ledger, request in _requests(ledgers):
        owner = ledger.address
        if request.method == "connector.receive":
            owner = f"channel:{request.params['channel']}"
        kept = final.rows.keys.get((owner, request.key))
        if request.result is not None and kept != request.result:
            yield f"{owner} {request.key} was answered {request.result}, the store remembers {kept}"
        if request.result is None and kept is not None:
            yield f"{owner} {request.key} was refused, the store remembers {json.dumps(kept)}"


def deliveries(ledgers: Sequence[Ledger], final: Final) -> Iterator[str]:
    """Every message out was handed to a connector, and is acknowledged."""
    handed = {entry["seq"] for ledger in ledgers for entry in ledger.deliveries}
    for seq, status in final.rows.deliveries.items():
        if seq not in handed:
            yield f"message {seq} was never handed to a connector"
        if status != "delivered":
            yield f"message {seq} was acknowledged as delivered, and is {status}"
    acknowledged = {
        request.params["entry"]
        for _, request in _requests(ledgers)
        if request.method == "connector.delivered" and request.result is not None
    }
    for seq in sorted(acknowledged ^ final.rows.deliveries.keys()):
        yield f"message {seq} is in {'the ledgers' if seq in acknowledged else 'the rows'} only"

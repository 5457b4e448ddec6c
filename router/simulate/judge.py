"""Whether a step's answer, notices or entries are what the scenario expects: plain data in, a Failure out.

A failure says in one line what was expected and what came, and only where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from router.simulate import needs
from router.simulate.matching import differences, matches
from router.simulate.names import dig
from router.simulate.steps import Mail, Request, Save, Timeline
from router.simulate.virtual_client import Heard
from router.simulate.wording import show

#: an answer as it came: the response object, or None
Answer = dict[str, Any] | None
SHOWN_NOTICES = 3  # of those that came instead


class Failure(Exception):  # noqa: N818 - what the step is
    """A step did not come out as expected; the text is ``expected …, got …``."""


def compare(pattern: Any, value: Any, start: int, path: str = "") -> None:
    """Raises Failure with every place where they differ."""
    if found := differences(pattern, value, start, path):
        raise Failure("; ".join(map(str, found)))


def pick(save: Save, value: Any) -> dict[str, Any]:
    """What a step saves, by name. Raises Failure if a path leads nowhere."""
    try:
        return {name: dig(value, path) for name, path in save.items()}
    except LookupError as missing:
        raise Failure(f"save: expected something at {missing.args[0]}, got nothing") from None


# ---------------------------------------------------------------- requests


def judge(request: Request, answer: Answer, start: int) -> dict[str, Any]:
    """What the request saves. Raises Failure, or Lacking where this version does not know what was asked."""
    if answer is None:
        raise Failure("expected an answer, got none")
    error: dict[str, Any] | None = answer.get("error")
    if request.error is not UNSET:
        _judge_error(request, answer, start)
        return {}
    if error is not None:
        needs.check_answer(request.call, request.params, error)
        raise Failure(f"expected success, got error {_brief(error)} ({error['message']})")
    if request.result is not UNSET:
        compare(request.result, answer["result"], start)
    return pick(request.save, answer["result"])


def _judge_error(request: Request, answer: dict[str, Any], start: int) -> None:
    error = answer.get("error")
    if error is None:
        raise Failure(f"expected error {show(request.error)}, got success {show(answer['result'])}")
    came = error["data"] | {"code": error["code"]}
    if not matches(request.error, came, start):
        needs.check_answer(request.call, request.params, error)
    compare(request.error, came, start, "error")


def judge_one_of(requests: Sequence[Request], answers: Sequence[Answer]) -> int:
    """Which one succeeded, from 0. Raises Failure if none or several did, or Lacking."""
    winners = [index for index, answer in enumerate(answers) if answer and "result" in answer]
    if len(winners) == 1:
        return winners[0]
    for request, answer in zip(requests, answers, strict=True):
        if answer and "error" in answer:
            needs.check_answer(request.call, request.params, answer["error"])
    raise Failure(f"expected exactly one to succeed, got {len(winners)}: {', '.join(map(_outcome, answers))}")


def _outcome(answer: Answer) -> str:
    if answer is None:
        return "no answer"
    return _brief(answer["error"]) if "error" in answer else "success"


def _brief(error: dict[str, Any]) -> str:
    """The reason and its data; JSON-RPC's own errors by their code."""
    data = {key: value for key, value in error["data"].items() if key != "retry"}
    return show(data if "reason" in data else {"code": error["code"]} | data)


# ---------------------------------------------------------------- notices


def find_notice(name: str, where: dict[str, Any], heard: Sequence[Heard], start: int) -> int:
    """The index of the first such notice. Raises Failure, or Lacking if there are no such notices at all."""
    needs.check_notice(name)
    for index, item in enumerate(heard):
        if item.method == name and matches(where, item.params, start):
            return index
    others = [str(differences(where, item.params, start)[0]) for item in heard if item.method == name]
    came = f"{len(others)} other: {' | '.join(others[-SHOWN_NOTICES:])}" if others else "none"
    raise Failure(f"expected {name} {show(where)}, got {came}")


def forbid_notice(name: str, where: dict[str, Any], heard: Sequence[Heard], start: int) -> None:
    """Raises Failure if there is such a notice, or Lacking if none could ever come."""
    needs.check_notice(name)
    found = next((item for item in heard if item.method == name and matches(where, item.params, start)), None)
    if found is not None:
        raise Failure(f"expected no {name} {show(where)}, got {show(found.params)}")


# ---------------------------------------------------------------- timelines

Entries = Sequence[dict[str, Any]]


def judge_timeline(step: Timeline, entries: Entries, start: int) -> None:
    """Raises Failure at the first of ``has``, ``lacks``, ``is``, ``count`` that does not hold."""
    if step.has is not UNSET:
        _has(step.has, entries, start)
    if step.lacks is not UNSET:
        _lacks(step.lacks, entries, start)
    if step.exactly is not UNSET:
        compare(list(step.exactly), list(entries), start, "is")
    if step.count is not UNSET:
        such = sum(matches(step.count.of, entry, start) for entry in entries)
        if such != step.count.n:
            raise Failure(f"count: expected {step.count.n} of {show(step.count.of)}, got {such}")


def judge_mail(step: Mail, letters: Entries, start: int) -> None:
    """Raises Failure if it is not so many, or one that is expected is not among them."""
    subjects = show([letter["subject"] for letter in letters])
    if step.count is not UNSET and step.count != len(letters):
        raise Failure(f"count: expected {step.count}, got {len(letters)} {subjects if letters else ''}".rstrip())
    for index, pattern in enumerate(step.has or ()):
        if not any(matches(pattern, letter, start) for letter in letters):
            raise Failure(f"has.{index}: expected {show(pattern)}, got {subjects if letters else 'nothing'}")


def _has(patterns: Sequence[Any], entries: Entries, start: int) -> None:
    """Each in its place behind the one before: the earliest place leaves most room for the rest."""
    rest = list(entries)
    for index, pattern in enumerate(patterns):
        found = next((place for place, entry in enumerate(rest) if matches(pattern, entry, start)), None)
        if found is None:
            before = " after that" if index else ""
            raise Failure(
                f"has.{index}: expected {show(pattern)}{before}, got {_kinds(rest)}{_near(pattern, rest, start)}"
            )
        rest = rest[found + 1 :]


def _lacks(patterns: Sequence[Any], entries: Entries, start: int) -> None:
    for index, pattern in enumerate(patterns):
        found = next((entry for entry in entries if matches(pattern, entry, start)), None)
        if found is not None:
            raise Failure(f"lacks.{index}: expected no {show(pattern)}, got {show(found)}")


def _kinds(entries: Entries) -> str:
    return show([entry["type"] for entry in entries]) if entries else "nothing"


def _near(pattern: Any, entries: Entries, start: int) -> str:
    """How the entry of the wanted type that is nearest to the pattern differs from it."""
    wanted = pattern.get("type") if isinstance(pattern, dict) else None
    alike = [differences(pattern, entry, start) for entry in entries if entry["type"] == wanted]
    if not alike:
        return ""
    closest = min(alike, key=len)
    return f" (nearest: {'; '.join(map(str, closest))})"

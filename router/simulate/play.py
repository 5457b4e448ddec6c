"""Plays a scenario against a virtual server, step after step, and says where it went wrong.

What one step hands in is done by the server in one turn. A step that fails ends the scenario: what follows
would only fail for the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import msgspec
from msgspec import UNSET

from router.simulate.cast import Cast
from router.simulate.judge import (
    Answer,
    Failure,
    compare,
    find_notice,
    forbid_notice,
    judge,
    judge_mail,
    judge_one_of,
    judge_timeline,
    pick,
)
from router.simulate.names import substitute
from router.simulate.needs import Lacking
from router.simulate.scenario import Placed, Scenario
from router.simulate.steps import (
    STEPS,
    Batch,
    Crash,
    Drop,
    Look,
    Mail,
    NoNotice,
    Notice,
    Offline,
    OneOf,
    Online,
    Request,
    Resume,
    Step,
    Timeline,
    Together,
    Wait,
)
from router.simulate.virtual import VirtualServer
from router.simulate.wording import SHOWN_MAX

PAGE = 500  # entries of a timeline asked for at once
_Part = TypeVar("_Part")


class Stuck(Exception):  # noqa: N818 - what the scenario is
    """The scenario failed: ``where`` (``step 7 (as ana call message.send)``), the ``line`` in its file, and ``why``.

    Its cause is set if it was no expectation that failed but the server itself.
    """

    def __init__(self, where: str, line: int, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where, self.line, self.why = where, line, why


class Player:
    """One performance of a scenario."""

    def __init__(self, scenario: Scenario, server: VirtualServer) -> None:
        self._scenario = scenario
        self._server = server
        self._start = int(scenario.heading.start)
        self._cast = Cast(server, self._start)
        self._saved: dict[str, Any] = {}
        self._mails_seen: dict[str, int] = {}  # of each box

    def play(self) -> None:
        """Go through all steps. Raises Stuck at the first that does not come out as expected."""
        for who in self._scenario.heading.online:
            self._attempt(Online(online=who), f"start (online {who})", 1)
        for placed in self._scenario.steps:
            self._attempt(placed.step, label(placed), placed.line)

    def _attempt(self, step: Step, where: str, line: int) -> None:
        why: Exception | None = None
        try:
            self._do(filled(step, self._saved))
        except (Failure, Lacking) as unmet:
            why = unmet
        except Exception as fault:
            raise Stuck(where, line, f"the server failed: {type(fault).__name__}: {fault}") from fault
        if faults := self._server.faults():  # whatever else went wrong, this did first
            raise Stuck(where, line, f"the server failed: {' '.join(faults[0].split())[-SHOWN_MAX:]}")
        if why is not None:
            raise Stuck(where, line, str(why))

    def _do(self, step: Step) -> None:
        match step:
            case Request():
                self._saved |= judge(step, self._in_one_turn([step])[0], self._start)
            case Together():
                self._judge_each(step.together, self._in_one_turn(step.together))
            case Batch():
                self._judge_each(step.batch, self._in_one_frame(step))
            case OneOf():
                self._one_of(step)
            case Notice():
                self._notice(step)
            case NoNotice():
                self._no_notice(step)
            case Look():
                self._look(step)
            case Timeline():
                judge_timeline(step, self._entries(step.who, step.timeline), self._start)
            case Mail():
                self._mail(step)
            case _:
                self._move(step)

    def _move(self, step: Step) -> None:
        """The steps after which time has passed or somebody has come or gone."""
        match step:
            case Wait():
                self._server.pass_time(step.wait)
            case Online():
                self._cast.online(step.online)
            case Offline():
                self._cast.offline(step.offline)
            case Drop():
                self._cast.drop(step.drop)
            case Resume():
                self._cast.resume(step.resume)
            case Crash():
                self._cast.crash(step.down_ms(), back=step.back)
            case _:
                raise AssertionError(f"no way to do {step}")

    # ------------------------------------------------------------ requests

    def _in_one_turn(self, requests: Sequence[Request]) -> list[Answer]:
        """The answers to requests that are all handed in before any of them is done."""
        clients = [self._cast.speaker(request.who) for request in requests]
        pairs = zip(clients, requests, strict=True)
        idents = [client.send([(request.call, request.params)])[0] for client, request in pairs]
        self._server.settle()
        return [client.take(ident) for client, ident in zip(clients, idents, strict=True)]

    def _in_one_frame(self, step: Batch) -> list[Answer]:
        client = self._cast.speaker(step.who)
        idents = client.send([(item.call, item.params) for item in step.batch], batch=True)
        self._server.settle()
        return [client.take(ident) for ident in idents]

    def _judge_each(self, requests: Sequence[Request], answers: Sequence[Answer]) -> None:
        for index, (request, answer) in enumerate(zip(requests, answers, strict=True)):
            try:
                self._saved |= judge(request, answer, self._start)
            except (Failure, Lacking) as why:
                raise Failure(f"item {index + 1} ({spoken(request)}): {why}") from None

    def _one_of(self, step: OneOf) -> None:
        answers = self._in_one_turn(step.one_of)
        winner = judge_one_of(step.one_of, answers)
        bound = [
            request if index == winner else msgspec.structs.replace(request, result=UNSET, save={}, error=step.rest)
            for index, request in enumerate(step.one_of)
        ]
        self._judge_each(bound, answers)

    # ------------------------------------------------------------ what can be seen

    def _notice(self, step: Notice) -> None:
        client = self._cast.listener(step.who)
        index = client.mark + find_notice(step.notice, step.where, client.notices[client.mark :], self._start)
        client.mark = index + 1
        self._saved |= pick(step.save, client.notices[index].params)

    def _no_notice(self, step: NoNotice) -> None:
        client = self._cast.listener(step.who)
        forbid_notice(step.no_notice, step.where, client.notices[client.mark :], self._start)
        client.mark = len(client.notices)

    def _look(self, step: Look) -> None:
        page = self._cast.ask(step.who, "conversation.get", {"conversation": step.look, "limit": 0})
        if step.exactly is not UNSET:
            compare(step.exactly, page["conversation"], self._start)
        self._saved |= pick(step.save, page["conversation"])

    def _mail(self, step: Mail) -> None:
        box = self._server.boxes.of(step.mail)
        seen = self._mails_seen.get(step.mail, 0)
        self._mails_seen[step.mail] = len(box)
        judge_mail(step, [msgspec.to_builtins(letter) for letter in box[seen:]], self._start)

    def _entries(self, who: str, conversation: str) -> list[dict[str, Any]]:
        """The whole timeline as they see it, oldest first."""
        params: dict[str, Any] = {"conversation": conversation, "limit": PAGE}
        entries: list[dict[str, Any]] = []
        more = True
        while more:
            page = self._cast.ask(who, "conversation.get", params)
            entries, more = page["entries"] + entries, page["more"] and page["entries"]
            params["before"] = entries[0]["seq"] if entries else None
        return entries


def filled(step: _Part, saved: dict[str, Any]) -> _Part:
    """The step with what was saved in place of every ``$name``. Raises Failure if something was not."""
    try:
        return cast(_Part, _filled(step, saved))
    except LookupError as unknown:
        raise Failure(f"expected ${unknown.args[0]} to be saved by now, got nothing") from None
    except ValueError as unfit:  # a step checks its words again once they are known
        raise Failure(str(unfit)) from None


def _filled(part: Any, saved: dict[str, Any]) -> Any:
    if isinstance(part, Step):
        names = (name for name in part.__struct_fields__ if name != "save")
        return msgspec.structs.replace(part, **{name: _filled(getattr(part, name), saved) for name in names})
    if isinstance(part, tuple):
        return tuple(_filled(item, saved) for item in part)
    return substitute(part, saved)


# ---------------------------------------------------------------- labels


def label(placed: Placed) -> str:
    """``step 4.2, n=3 (as ana call message.send)``."""
    rounds = "".join(f", n={n}" for n in placed.rounds)
    return f"step {placed.number}{rounds} ({spoken(placed.step)})"


def spoken(step: Step) -> str:
    """A step in a few words, as its file says it."""
    plain = msgspec.to_builtins(step, enc_hook=lambda duration: duration.text())
    kind = next(key for key in STEPS if key in plain)
    what = "" if isinstance(plain[kind], list | tuple) else f" {plain[kind]}"
    who = getattr(step, "who", None)
    return f"as {who} {kind}{what}" if who and kind not in ("look", "timeline") else f"{kind}{what}"

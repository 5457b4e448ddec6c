"""Every kind of step played against the real house: each can pass and each can fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from router.simulate.play import Stuck, label
from router.simulate.run import perform
from router.simulate.scenario import read_scenario
from router.simulate.steps import STEPS

#: two agents, and a contact who has begun to talk with ana
HOUSE = """\
name: A small house
config:
  services:
    - {id: support, members: [{agent: ana}, {agent: bo}]}
  agents:
    - {id: ana, capacity: {chat: 1}}
    - {id: bo}
online: [ana]
steps:
  - as: contact:nia
    call: conversation.start
    with: {service: support, channel: web, text: Hello}
    save: {c: conversation.id}
"""

Play = Callable[[str], None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Plays further steps (from step 2 on) in the small house."""

    def played(steps: str) -> None:
        file = tmp_path / "house.yaml"
        file.write_text(HOUSE + "".join(f"  {line}\n" for line in steps.strip("\n").splitlines()))
        perform(read_scenario(file))

    return played


def cases(file: str) -> dict[str, str]:
    """The cases of a text file by name; ``say``, ``hear`` and ``quiet`` written out."""
    text = (Path(__file__).parent / file).read_text()
    parts = re.findall(r"^### (.*)\n((?:(?!### ).*\n)*)", text, re.MULTILINE)
    return {name: written_out(steps) for name, steps in parts}


def written_out(steps: str) -> str:
    """The steps that short lines stand for."""
    for word, step in (
        ("say", r"- {as: ana, call: message.send, with: {conversation: $c, text: \1}}"),
        ("hear", r"- {as: contact:nia, notice: conversation.entry, where: {entry: {text: \1}}}"),
        ("quiet", r"- {as: contact:nia, no_notice: conversation.entry, where: {entry: {text: \1}}}"),
    ):
        steps = re.sub(f"^{word} (.*)$", step, steps, flags=re.MULTILINE)
    return steps


PASSING = cases("steps_that_pass.txt")
FAILING = cases("steps_that_fail.txt")


@pytest.mark.parametrize("steps", PASSING.values(), ids=PASSING.keys())
def test_a_step_that_comes_out_as_expected_passes(play: Play, steps: str) -> None:
    play(steps)


@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING.keys())
def test_a_step_that_does_not_fails_and_says_where(play: Play, case: str) -> None:
    steps, _, text = case.partition("=> ")
    with pytest.raises(Stuck) as stuck:
        play(steps)
    assert str(stuck.value)[: len(text.strip())] == text.strip()
    assert stuck.value.__cause__ is None


def test_every_kind_of_step_is_tried_both_ways() -> None:
    ways = {
        "passes": set(STEPS),
        "fails": set(STEPS),
    }
    for way, wanted in ways.items():
        text = "".join((PASSING if way == "passes" else FAILING).values())
        assert {kind for kind in STEPS if re.search(rf"\b{kind}:", text)} == wanted


# ---------------------------------------------------------------- marks

TWO = "say One\nsay Two\n"
MARKS = [
    (TWO + "hear One\nhear Two", True),  # the later one stays for the next step
    (TWO + "hear Two\nhear One", False),  # the earlier one was passed over
    (TWO + "hear One\nhear One", False),  # the mark is behind the match
    (TWO + "hear One\nquiet One", True),
    (TWO + "hear One\nquiet Two", False),
    (TWO + "hear Two\nquiet One", True),
    (TWO + "quiet Three\nhear Two", False),  # then the mark is now
    (TWO + "quiet Three\nquiet Two", True),
    (TWO + "quiet Three\nsay Three\nhear Three", True),
    (TWO + "- {as: contact:nia, no_notice: agent.changed}\nhear One", False),  # one mark for all kinds
    (TWO + "- {as: ana, no_notice: conversation.entry, where: {entry: {text: x}}}\nhear One", True),  # each its own
    ("- drop: contact:nia\n" + TWO + "hear One", False),  # looking does not bring back who was cut
    (TWO + "- offline: contact:nia\nhear One", True),
]


@pytest.mark.parametrize(("steps", "passes"), MARKS)
def test_marks_move_as_notices_are_dealt_with(play: Play, steps: str, passes: bool) -> None:
    if passes:
        play(written_out(steps))
        return
    with pytest.raises(Stuck, match=r"expected (no )?conversation\.entry"):
        play(written_out(steps))


def test_a_timeline_longer_than_a_page_is_read_whole(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.simulate.play.PAGE", 2)
    play(
        "- repeat: 5\n  steps: [{as: ana, call: message.send, with: {conversation: $c, text: 'No {n}'}}]\n"
        "- {timeline: $c, has: [{text: Hello}, {text: No 1}, {text: No 2}, {text: No 3}, {text: No 4}, {text: No 5}],"
        " count: {of: {type: message}, is: 6}}"
    )


def test_what_is_needed_by_the_config_is_told_before_the_first_step(tmp_path: Path) -> None:
    file = tmp_path / "newer.yaml"
    file.write_text("name: x\nconfig: {services: [{id: s, mode: auction}]}\nsteps: []")
    with pytest.raises(Stuck, match=r"^start: needs service\.mode=auction, which this version does not have$"):
        perform(read_scenario(file))


def test_who_cannot_go_online_at_the_start_is_told(tmp_path: Path) -> None:
    file = tmp_path / "nobody.yaml"
    file.write_text("name: x\nonline: [zoe]\nsteps: []")
    with pytest.raises(Stuck, match=r"^start \(online zoe\): expected "):
        perform(read_scenario(file))


def test_the_line_of_the_step_is_known(play: Play) -> None:
    with pytest.raises(Stuck) as stuck:
        play("- wait: 1s\n- look: c99")
    assert stuck.value.line == HOUSE.count("\n") + 2


def test_a_label_names_the_rounds_of_repeats(tmp_path: Path) -> None:
    file = tmp_path / "rounds.yaml"
    file.write_text("name: x\nsteps:\n- repeat: 2\n  steps:\n  - repeat: 1\n    steps: [{crash: 10m}, {wait: 1h30m}]")
    labels = [label(placed) for placed in read_scenario(file).steps]
    assert labels == [
        "step 1.1.1, n=1, n=1 (crash 10m)",
        "step 1.1.2, n=1, n=1 (wait 1h30m)",
        "step 1.1.1, n=2, n=1 (crash 10m)",
        "step 1.1.2, n=2, n=1 (wait 1h30m)",
    ]

"""Writes ``roles.md`` from the table of who may do what: ``python -m docs.roles``, or ``--check`` to only compare.

The rows come from ``actors.access.table()``; the tests try each of them against a real house.
"""

from __future__ import annotations

import sys
from pathlib import Path

from actors.access import STANDINGS, outcome, table
from protocol.errors import REASONS
from protocol.requests import METHODS

PAGE = Path(__file__).with_name("roles.md")

INTRODUCTION = """\
# Who may do what

<!-- Made by `python -m docs.roles` from actors/access.py and protocol/requests.py: do not edit. -->

What every method says to everybody, in a state in which it can be done at all. The columns are how somebody stands to a
conversation; methods about a contact, a service, an agent or a message mean that of this conversation (its contact, its
service, another member of that service, a message sent out through its channel). What cannot be done in the present
state, with these params or for want of a free slot is refused all the same, with another reason.

What somebody may not see cannot be told from what does not exist: both are `not_found`, with the same data.
"""

AGENTS = "## Inside the house"
OTHERS = "## Outside the house"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is out of date. Returns the exit code."""
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in arguments:
        print(f"{PAGE.relative_to(PAGE.parents[1])} is out of date: run python -m docs.roles", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """The whole page."""
    inside = [name for name, (role, _) in STANDINGS.items() if role in ("agent", "backend")]
    outside = [name for name in STANDINGS if name not in inside]
    return "\n".join(
        [INTRODUCTION, *_legend(), "", AGENTS, "", *_matrix(inside), "", OTHERS, "", *_matrix(outside), ""]
    )


def _legend() -> list[str]:
    who = [f"| {name} | {role} | {sentence} |" for name, (role, sentence) in STANDINGS.items()]
    reasons = [reason for reason in REASONS if reason in {row.outcome for row in table()}]
    why = [f"| `{reason}` | {REASONS[reason][0]} |" for reason in reasons]
    return [
        "| who | role in the token | what that is |", "|---|---|---|", *who, "",
        "| answer | meaning |", "|---|---|", "| yes | It is done. |", *why,
    ]  # fmt: skip


def _matrix(standings: list[str]) -> list[str]:
    """A line for each method that any of these may ever call; the others are named under it."""
    shown = [name for name in METHODS if any(outcome(name, who) != "forbidden" for who in standings)]
    never = ", ".join(f"`{name}`" for name in METHODS if name not in shown)
    lines = [f"| `{name}` | {' | '.join(_cell(name, who) for who in standings)} |" for name in shown]
    head = [f"| method | {' | '.join(standings)} |", "|---" * (len(standings) + 1) + "|"]
    return [*head, *lines, "", f"`forbidden` for all of these: {never}."]


def _cell(method: str, standing: str) -> str:
    said = outcome(method, standing)
    return "yes" if said == "allowed" else f"`{said}`"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

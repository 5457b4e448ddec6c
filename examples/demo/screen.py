"""The board as a screen: agents, conversations, and the log of who got what and why."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from examples.demo.board import Board

Record = dict[str, Any]
CLASSES = ("chat", "messaging")
COLOURS = {"green": "green", "orange": "dark_orange", "red": "red"}
DOTS = {"green": "●", "orange": "◐", "red": "○"}  # not everybody sees the colours
CHANNELS = {"web": "web", "whatsapp": "WhatsApp"}
WIDE = 128  # columns from which the log stands beside the tables


class Screen:
    """Draws a board; rich asks it anew for each frame."""

    def __init__(self, board: Board, url: str) -> None:
        self._board = board
        self._url = url

    def draw(self, width: int, height: int) -> RenderableType:
        """The whole screen."""
        layout = Layout()
        head = Layout(self._head(), size=1)
        agents = Layout(self._agents(), size=len(self._board.agents) + 3)
        if width >= WIDE:
            left, right = Layout(ratio=5), Layout(self._log(height - 1), ratio=4)
            left.split_column(agents, Layout(self._conversations(height - len(self._board.agents) - 7)))
            body = Layout()
            body.split_row(left, right)
            layout.split_column(head, body)
            return layout
        rest = height - len(self._board.agents) - 4
        log = max(5, rest * 2 // 5)
        layout.split_column(head, agents, Layout(self._conversations(rest - log - 3)), Layout(self._log(log), size=log))
        return layout

    def _head(self) -> Text:
        board = self._board
        live, closed = len(board.conversations), board.counts["closed"]
        waiting = sum(item["queued"] for item in board.conversations.values())
        snoozed = sum(item["state"] == "snoozed" for item in board.conversations.values())
        facts = f"{live} live   {waiting} waiting   {snoozed} snoozed   {closed} closed"
        clock = f"{time.monotonic() - board.started:.0f} s"
        return Text.assemble(
            (" signalbox ", "bold reverse"), f"  {facts}   ", (f"{clock}   {self._url}   Ctrl-C ends it", "dim")
        )

    # ------------------------------------------------------------ agents

    def _agents(self) -> Panel:
        table = _table()
        table.add_column("agent", style="bold", min_width=6)
        for name in CLASSES:
            table.add_column(name, min_width=11)
        table.add_column("services", ratio=1, style="dim", no_wrap=True)
        for agent in self._board.agents.values():
            table.add_row(agent["name"], *(_slots(agent, name) for name in CLASSES), self._services_of(agent["id"]))
        return _panel(table, "agents")

    def _services_of(self, agent: str) -> str:
        places = [(service, member) for service in self._board.services.values() for member in service["members"]]
        mine = [(service["name"], member["manager"]) for service, member in places if member["agent"] == agent]
        return ", ".join(name + (" (manager)" if manager else "") for name, manager in mine)

    # ------------------------------------------------------------ conversations

    def _conversations(self, rows: int) -> Panel:
        table = _table()
        table.add_column("contact", style="bold", min_width=7, no_wrap=True)
        table.add_column("channel", no_wrap=True)
        table.add_column("service", no_wrap=True)
        table.add_column("with", min_width=9, no_wrap=True)
        table.add_column("needs", no_wrap=True)
        table.add_column("waiting", ratio=1, no_wrap=True, overflow="crop")
        items = sorted(self._board.conversations.values(), key=_place)
        shown = items if len(items) <= rows else items[: max(0, rows - 1)]
        for item in shown:
            table.add_row(*self._row(item), style="dim" if item["state"] == "snoozed" else "")
        if len(shown) < len(items):
            table.add_row(f"… {len(items) - len(shown)} more", style="dim")
        return _panel(table, "conversations")

    def _row(self, item: Record) -> list[RenderableType]:
        contact = item["contact"]
        return [
            contact["name"] or contact["id"],
            CHANNELS.get(item["channel"], item["channel"]),
            self._board.services[item["service"]]["name"],
            self._with(item),
            item["needs"] or "",
            _waiting(item),
        ]

    def _with(self, item: Record) -> Text:
        """Who has it, or where it stands."""
        if item["state"] == "snoozed":
            return Text(f"snoozed {_seconds_to(item['snoozed_until']):.0f} s", "blue")
        if item["queued"]:
            return Text(f"no. {self._position(item)} in queue", "yellow")
        crew = [item["assignee"], *(agent for agent in item["crew"] if agent != item["assignee"])]
        return Text(" + ".join(self._board.agents[agent]["name"] for agent in crew if agent), "green")

    def _position(self, item: Record) -> int:
        """From 1, as it is now: a summary is pushed when a conversation changes, not when those before it go."""
        live = self._board.conversations.values()
        queue = [other for other in live if other["queued"] and other["service"] == item["service"]]
        return 1 + sorted(queue, key=_place).index(item)

    # ------------------------------------------------------------ the log

    def _log(self, height: int) -> Panel:
        lines = list(self._board.log)[-max(1, height - 2) :]
        for line in lines:
            line.no_wrap, line.overflow = True, "ellipsis"
        return _panel(Group(*lines), "who got what, and why")


def _table() -> Table:
    return Table(box=None, expand=True, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)


def _panel(content: RenderableType, title: str) -> Panel:
    return Panel(content, title=title, title_align="left", border_style="dim", box=box.ROUNDED, padding=(0, 1))


def _slots(agent: Record, name: str) -> Text:
    """A dot in the colour of the class, a block for each slot, and the count: ``● ▮▮▯ 2/3``."""
    colour, used, most = agent["availability"][name], agent["used"][name], agent["capacity"].get(name)
    style = COLOURS[colour]
    free = 0 if most is None else max(0, most - used)
    excess = 0 if most is None else max(0, used - most)
    return Text.assemble(
        (f"{DOTS[colour]} ", style),
        ("▮" * (used - excess), style),
        ("▮" * excess, "bold red"),
        ("▯" * free, "dim"),
        f" {used}/{'∞' if most is None else most}",
    )


def _place(item: Record) -> tuple[int, int, str, str]:
    """First who waits, in the order of all queues; then what is with somebody; then what sleeps."""
    if item["queued"]:
        return (0, -item["priority"], item["queued_since"], item["id"])
    return (2 if item["state"] == "snoozed" else 1, 0, "", item["id"])


def _waiting(item: Record) -> Text:
    """How long the contact has waited, in the colour of how late that is."""
    if item["waiting_since"] is None:
        return Text("")
    waited = -_seconds_to(item["waiting_since"])
    style = {"soon": "dark_orange", "overdue": "bold red"}.get(item["lateness"], "green")
    return Text(f"{max(0.0, waited):4.1f} s {item['lateness'] or '':<7} {'━' * min(30, 1 + int(waited))}", style)


def _seconds_to(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()

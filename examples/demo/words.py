"""An entry of a timeline as a sentence: who got what, and why. Entries that say nothing new have none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.text import Text

Record = dict[str, Any]

STRATEGIES = {
    "longest_idle": "idle for longest",
    "least_busy": "least busy",
    "most_spare": "most slots free",
    "lowest_ratio": "least loaded",
    "round_robin": "next in turn",
}
#: why a conversation got its agent [the reasons of ``assigned``]; the first four are completed below
WHY = {
    "new": "new",
    "woke": "woke up",
    "reopened": "came back",
    "requeued": "{lost} is gone",
    "declined": "{lost} gave it back",
    "left": "{lost} left it",
    "no_reply": "{lost} did not answer",
    "transferred": "handed over",
    "assigned": "by hand",
    "moved": "moved here",
}
ESCALATIONS = {"raise_priority": "moves up in the queue", "add_managers": "gets a manager"}


class Words:
    """Tells the timelines. ``services`` and ``agents`` by id, as the backend reads them."""

    def __init__(self, services: dict[str, Record], agents: dict[str, Record]) -> None:
        self._services = services
        self._agents = agents
        self._queued: dict[str, datetime] = {}  # conversation -> since when it waits
        self._lost: dict[str, str] = {}  # conversation -> whose it was

    def sentence(self, entry: Record, conversation: Record) -> Text | None:
        """What this entry says, or None."""
        who = _contact(conversation)
        agent = self._name(entry.get("agent"))
        by = self._name((entry.get("by") or {}).get("id"))
        match entry["type"]:
            case "assigned":
                return _line(who, "bold", " → ", "green", agent, "bold green", f"  {self._why(entry)}", "dim")
            case "queued":
                if entry["conversation"] in self._queued:  # it only found another place
                    return None
                self._queued[entry["conversation"]] = _at(entry)
                service = self._services[entry["service"]]["name"]
                return _line(who, "bold", " waits", "yellow", f"  nobody in {service} is free", "dim")
            case "snoozed":
                self._queued.pop(entry["conversation"], None)
                return _line(by, "", " snoozes ", "blue", who, "bold")
            case "woke":
                why = "wrote again" if entry["reason"] == "contact" else "the time is up"
                return _line(who, "bold", " wakes", "blue", f"  {why}", "dim")
            case "transferred":
                to = agent or self._services[entry["service"]]["name"]
                anyway = " anyway" if entry.get("anyway") else ""
                return _line(by, "", f" hands over{anyway} ", "magenta", who, "bold", f" to {to}", "")
            case "declined" | "unassigned":
                self._lost[entry["conversation"]] = agent
                verb = " declines " if entry["type"] == "declined" else " loses "
                return _line(agent, "", verb, "magenta", who, "bold")
            case "escalated":
                what = ESCALATIONS.get(entry["reason"], "escalates")
                return _line(who, "bold", f" {what}", "red", "  waits too long", "dim")
            case "closed":
                self._queued.pop(entry["conversation"], None)
                return _line(by or "the clock", "", " closes ", "dim", who, "dim")
        return None

    def _why(self, entry: Record) -> str:
        """The reason, completed by what came before it."""
        waited_since = self._queued.pop(entry["conversation"], None)
        if entry["reason"] == "freed" and waited_since is not None:
            return f"a slot freed after {(_at(entry) - waited_since).total_seconds():.1f} s"
        lost = self._lost.get(entry["conversation"], "the agent")
        why = WHY.get(entry["reason"], str(entry["reason"])).format(lost=lost)
        if entry["by"]["kind"] == "system" and entry["reason"] != "transferred":
            why += f": {STRATEGIES[self._services[entry['service']]['strategy']]} in {entry['service'].title()}"
        return why + (", anyway" if entry.get("anyway") else "")

    def _name(self, agent: str | None) -> str:
        return "" if agent is None else self._agents.get(agent, {}).get("name") or agent.title()


def _contact(conversation: Record) -> str:
    contact = conversation["contact"] or {}
    return str(contact.get("name") or contact.get("id") or conversation["id"])


def _at(entry: Record) -> datetime:
    return datetime.fromisoformat(entry["at"])


def _line(*parts: str) -> Text:
    """Text and style by turns."""
    return Text.assemble(*zip(parts[::2], parts[1::2], strict=True))

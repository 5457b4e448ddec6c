"""The mail server of a simulation: what would be sent is written with the real templates and lies in a box at once.

Boxes stand outside of the house: a crash leaves them alone. Each attempt is looked at, and a mail that comes twice
(the same id) lies there twice, so that a scenario sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from actors.effects import Mail, Mailed
from protocol.records import Question
from protocol.settings import MailSettings, WorkspaceSettings
from router.mail.draft import AgentName, Draft, Unwritable
from router.mail.message import Letter, Writer
from router.mail.renderer import Renderer

ReadNow = Callable[[Sequence[Question]], list[Any]]


class Boxes:
    """What has come for each address. Parameters: the workspace, for the sender and the templates."""

    def __init__(self, settings: WorkspaceSettings) -> None:
        mail = settings.mail or MailSettings()
        self._writer = Writer(mail, settings.id, Renderer(mail.templates, mail.language, mail.time_zone))
        self._boxes: dict[str, list[Letter]] = {}

    def take(self, mail: Mail, read: ReadNow, agent_name: AgentName) -> Mailed:
        """Put a mail into its box; what became of it, for the core."""
        draft = Draft(mail, agent_name)
        while questions := draft.questions():
            draft.absorb(questions, read(questions))
        try:
            letter = self._writer.letter(draft)
            self._writer.post(draft)  # what a mail server would get can be made, too
        except Unwritable as problem:
            return Mailed(mail.id, taken=False, permanent=True, error=str(problem))
        self._boxes.setdefault(letter.to, []).append(letter)
        return Mailed(mail.id, taken=True)

    def of(self, address: str) -> list[Letter]:
        """Everything that has come for this address, the oldest first."""
        return self._boxes.get(address, [])

"""The driver's way out for mails: reads what they need, writes them, hands them to the mail server.

The core decides when and how often (``actors.errand``). Here a mail is under way once at most: if the server is so
slow that the core asks again meanwhile, the attempt under way is the answer to that, too.
"""

from __future__ import annotations

from functools import partial

import msgspec
import structlog
import trio

from actors.effects import Mail, Mailed
from protocol.settings import MailSettings
from router.mail.draft import AgentName, Draft, Read, Unwritable
from router.mail.loop import LoopThread
from router.mail.message import Writer
from router.mail.renderer import Renderer
from router.mail.sink import Sink
from router.mail.smtp import Answer, hand_over, reason
from storage.store import StorageUnavailable

log = structlog.get_logger("signalbox.mail")
AT_ONCE = 8
UNDER_WAY_MAX = 10_000  # more wait for their next attempt


class Mailer:
    """Sends the mails of one workspace.

    Parameters: its settings, its id, the mail server's ``password``, and a ``sink`` that takes the server's place.
    Raises OSError or ValueError if the sender or the operator's templates do not fit.
    """

    def __init__(
        self, settings: MailSettings, workspace: str, password: str | None = None, sink: Sink | None = None
    ) -> None:
        self._settings = settings
        self._password = password
        self._sink = sink
        renderer = Renderer(settings.templates, settings.language, settings.time_zone)
        self._writer = Writer(settings, workspace, renderer)
        self._loop = LoopThread("signalbox-mail")
        self._at_once = trio.CapacityLimiter(AT_ONCE)
        self._under_way: set[str] = set()
        self.sent = 0
        self.failed = 0

    async def open(self) -> None:
        """Open the sink, if there is one. Raises OSError."""
        if self._sink is not None:
            port = await self._loop.run(self._sink.open)
            self._settings = msgspec.structs.replace(self._settings, host="127.0.0.1", port=port, security="none")

    async def send(self, mail: Mail, read: Read, agent_name: AgentName) -> Mailed | None:
        """Make one attempt and say what became of it; None = it is under way already. Never raises."""
        if mail.id in self._under_way or len(self._under_way) >= UNDER_WAY_MAX:
            return None
        self._under_way.add(mail.id)
        try:
            async with self._at_once:
                answer = await self._attempt(mail, read, agent_name)
        finally:
            self._under_way.discard(mail.id)
        self._count(mail, answer)
        return Mailed(mail.id, answer.taken, answer.permanent, answer.error)

    async def _attempt(self, mail: Mail, read: Read, agent_name: AgentName) -> Answer:
        try:
            draft = Draft(mail, agent_name)
            while questions := draft.questions():
                draft.absorb(questions, await read(questions))
            post = self._writer.post(draft)
        except StorageUnavailable as problem:
            return Answer(taken=False, error=reason(problem))
        except Unwritable as problem:
            return Answer(taken=False, permanent=True, error=reason(problem))
        except Exception as problem:  # whatever it is, it will be the same the next time
            log.exception("a mail could not be written", mail=mail.id)
            return Answer(taken=False, permanent=True, error=reason(repr(problem)))
        return await self._loop.run(partial(hand_over, post, self._settings, self._password))

    def _count(self, mail: Mail, answer: Answer) -> None:
        if answer.taken:
            self.sent += 1
            return
        self.failed += 1
        say = log.error if answer.permanent else log.warning
        say("mail not taken", mail=mail.id, kind=mail.kind, permanent=answer.permanent, problem=answer.error)

    async def close(self) -> None:
        """End what is under way."""
        if self._sink is not None:
            await self._loop.run(self._sink.close)
        await self._loop.close()

    def statistics(self) -> dict[str, int]:
        """What was sent, how many attempts failed, and how many are under way."""
        return {"sent": self.sent, "attempts_failed": self.failed, "under_way": len(self._under_way)}

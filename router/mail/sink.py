"""A mail server that keeps everything and delivers nothing: for development and tests. Listens on loopback only."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP

KEPT = 100
LINES_SHOWN = 20
BYTES_MAX = 32 * 1024 * 1024


class Sink:
    """Takes mails. Parameters: what to do with each, and what to ``say`` instead of taking it.

    ``kept`` are the latest, the oldest first. ``refuse`` may be set to an SMTP answer such as ``451 try later``.
    """

    def __init__(self, tell: Callable[[EmailMessage], None] | None = None) -> None:
        self.kept: deque[EmailMessage] = deque(maxlen=KEPT)
        self.refuse: str | None = None
        self._tell = tell
        self._server: asyncio.Server | None = None

    async def open(self, port: int = 0) -> int:
        """Listen; the port. Raises OSError. For an asyncio loop."""
        logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd writes down each command
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._session, "127.0.0.1", port)
        number: int = self._server.sockets[0].getsockname()[1]
        return number

    async def close(self) -> None:
        """Stop listening. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _session(self) -> SMTP:
        return SMTP(self, enable_SMTPUTF8=True, data_size_limit=BYTES_MAX, loop=asyncio.get_running_loop())

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """A mail has come."""
        if self.refuse is not None:
            return self.refuse
        message = message_from_bytes(envelope.content, policy=policy.SMTP)
        self.kept.append(message)
        if self._tell is not None:
            self._tell(message)
        return "250 kept"


def shown(message: EmailMessage) -> str:
    """A mail in a few lines, for a terminal."""
    body = message.get_body(("plain",))
    lines = [] if body is None else str(body.get_content()).splitlines()
    files = [part.get_filename() or part.get_content_type() for part in message.iter_attachments()]
    more = [f"… {len(lines) - LINES_SHOWN} more lines"] if len(lines) > LINES_SHOWN else []
    text = [*lines[:LINES_SHOWN], *more, *(f"[{name}]" for name in files)]
    return "\n".join([f"mail to {message['To']}: {message['Subject']}", *(f"    {line}".rstrip() for line in text)])

"""Mail servers on loopback for tests: aiosmtpd in a loop thread, with TLS and a password if wished."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult

from router.mail.loop import LoopThread

PASSWORD = "correct horse"


class Answering:
    """Takes what comes, or answers as it is told: ``refuse["RCPT"] = "550 no such user"``."""

    def __init__(self, **refuse: str) -> None:
        self.refuse = refuse
        self.came: list[bytes] = []
        self.secured: list[bool] = []

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.refuse.get("MAIL", "250 OK")

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        envelope.rcpt_tos.append(address)
        return self.refuse.get("RCPT", "250 OK")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        self.came.append(envelope.content)
        self.secured.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 OK"


def checked(server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
    return AuthResult(success=login.password == PASSWORD.encode(), handled=False)


@asynccontextmanager
async def serving(
    loop: LoopThread, handler: Any, *, secure: str = "none", login: bool = False, utf8: bool = True
) -> AsyncIterator[tuple[int, str]]:
    """A mail server; its port, and the file of the authority that vouches for it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def begin() -> asyncio.Server:
        running = asyncio.get_running_loop()
        options: dict[str, Any] = {"loop": running, "hostname": "mail.test", "enable_SMTPUTF8": utf8}
        if secure == "starttls":
            options |= {"tls_context": context, "require_starttls": True}
        if login:
            options |= {"authenticator": checked, "auth_required": True, "auth_require_tls": False}
        own = context if secure == "tls" else None
        return await running.create_server(lambda: SMTP(handler, **options), "127.0.0.1", 0, ssl=own)

    server = await loop.run(begin)
    with authority.cert_pem.tempfile() as vouches:
        try:
            yield server.sockets[0].getsockname()[1], vouches
        finally:

            async def end() -> None:
                server.close()

            await loop.run(end)

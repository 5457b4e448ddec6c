"""From the configuration to a mailer: the password, and in development a sink in place of a mail server."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from email.message import EmailMessage
from pathlib import Path

from protocol.settings import WorkspaceSettings
from router.config import ConfigError
from router.mail.mailer import Mailer
from router.mail.sink import Sink, shown

PASSWORD, PASSWORD_FILE = "SIGNALBOX_SMTP_PASSWORD", "SIGNALBOX_SMTP_PASSWORD_FILE"


def open_mailer(workspace: WorkspaceSettings, environ: Mapping[str, str], *, printing: bool = False) -> Mailer | None:
    """The mailer of this workspace; None if it has no mail.

    ``printing``: nothing leaves, mails are shown on standard error. Raises ConfigError.
    """
    settings = workspace.mail
    if settings is None:
        return None
    password = read_password(environ)
    if settings.username is not None and password is None and not printing:
        raise ConfigError([f"mail.username: set its password in {PASSWORD} or {PASSWORD_FILE}"])
    try:
        return Mailer(settings, workspace.id, password, Sink(_print) if printing else None)
    except OSError as problem:
        raise ConfigError([f"mail.templates: cannot be read: {problem.strerror}"]) from None
    except ValueError as problem:
        raise ConfigError([f"mail: {problem}"]) from None


def read_password(environ: Mapping[str, str]) -> str | None:
    """The mail server's password; None = there is none. Raises ConfigError."""
    password, path = environ.get(PASSWORD), environ.get(PASSWORD_FILE)
    if password and path:
        raise ConfigError([f"{PASSWORD}: set it or {PASSWORD_FILE}, not both"])
    if not path:
        return password or None
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as problem:
        raise ConfigError([f"{PASSWORD_FILE}: cannot be read: {os.strerror(problem.errno or 0)}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{PASSWORD_FILE}: expected text in UTF-8"]) from None


def _print(message: EmailMessage) -> None:
    print(shown(message), file=sys.stderr, flush=True)

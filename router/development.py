"""``signalbox serve --dev``: a demonstration that needs no preparation, and must not leave the machine.

The secret is printed in this file, so whoever can reach the server can be anybody: the command refuses any address
but loopback. A secret from the environment is used instead if there is one.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

import msgspec

from protocol.ids import Role
from protocol.settings import MailSettings
from router.auth import Gate
from router.config import Config
from router.keys import SECRET, SECRET_FILE

CONFIG = Path(__file__).with_name("demo.toml")
DEV_SECRET = "signalbox-dev-secret-known-to-everybody"
TOKEN_TTL_MS = 30 * 86_400_000


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the well-known secret, unless it has one."""
    return dict(environ) if environ.get(SECRET) or environ.get(SECRET_FILE) else {**environ, SECRET: DEV_SECRET}


def with_mail(config: Config) -> Config:
    """The configuration of a workspace that has mail."""
    workspace = msgspec.structs.replace(config.workspace, mail=MailSettings())
    return msgspec.structs.replace(config, workspace=workspace)


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8, ::1 and localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def greeting(config: Config, gate: Gate, now_ms: int) -> str:
    """What a developer needs to begin: a token for each agent, a contact, a connector and the backend."""
    who: list[tuple[Role, str, tuple[str, ...]]] = [("agent", agent.id, ()) for agent in config.workspace.agents]
    who += [("contact", "kari", ()), ("connector", "whatsapp", ("whatsapp",)), ("backend", "backend", ())]
    lines = ["demonstration only: everybody knows its secret; these tokens last 30 days; mails are shown here"]
    for role, sub, channels in who:
        token = gate.issue(role, sub, now_ms=now_ms, ttl_ms=TOKEN_TTL_MS, channels=channels)
        lines.append(f"{role} {sub}: {token}")
    return "\n".join(lines)

"""What an operator can set, and where it is set: defaults, a TOML file, the environment, flags; later wins.

``load`` reads all of them and returns one immutable ``Config``, or raises one ``ConfigError`` that lists every
problem found, a line each. A key or variable that means nothing is a problem too: a misspelt limit that is
silently ignored is found on the day it is needed. Secrets are no part of it: see ``router.auth``.

The file has a table per section; the workspace's own keys (``services``, ``agents``, ``channel_classes``) may
stand at the top level, so that a scenario's ``config`` and a server's file have the same structure.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from protocol.codec import convert
from protocol.session import Limits
from protocol.settings import WorkspaceSettings
from router import consistency, sources

Port = Annotated[int, Meta(ge=0, le=65_535)]
#: what browsers and people open without harm; no HTML, no SVG, nothing that runs
FILE_TYPES = (
    "image/png", "image/jpeg", "image/gif", "image/webp", "image/heic", "image/tiff", "image/bmp",
    "audio/*", "video/*", "application/ogg", "application/pdf", "text/plain", "application/zip", "application/rtf",
    "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.*", "application/vnd.oasis.opendocument.*",
)  # fmt: skip
Seconds = Annotated[float, Meta(ge=0, le=86_400)]


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the server listens and how long it waits."""

    host: Annotated[str, Meta(min_length=1, max_length=253)] = "127.0.0.1"
    port: Port = 8400
    http_port: Port | None = None
    origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    connections_max: Annotated[int, Meta(ge=1)] = 10_000
    handshake_s: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    open_s: Annotated[float, Meta(gt=0, le=3_600)] = 10.0
    heartbeat_s: Annotated[int, Meta(ge=1, le=3_600)] = 20
    shutdown_s: Seconds = 30.0


class TlsSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The certificate the server shows; without one it speaks plainly."""

    certificate: str | None = None
    key: str | None = None


class StoreSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where everything is remembered."""

    url: str = "sqlite:///data/signalbox.db"


class AuthSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose tokens are accepted; the shared secret is never here but in the environment."""

    public_key_files: tuple[str, ...] = ()
    require_expiry: bool = True


class FilesSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Uploaded files: where they are kept (None = beside the SQLite file, else in data/files), and which are taken."""

    directory: str | None = None
    bytes_max: Annotated[int, Meta(ge=1, le=10_737_418_240)] = 26_214_400
    types: tuple[str, ...] = FILE_TYPES


class LogSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is written to standard error, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set."""

    server: ServerSettings = field(default_factory=ServerSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    limits: Limits = field(default_factory=Limits)
    auth: AuthSettings = field(default_factory=AuthSettings)
    files: FilesSettings = field(default_factory=FilesSettings)
    log: LogSettings = field(default_factory=LogSettings)
    workspace: WorkspaceSettings = field(default_factory=WorkspaceSettings)


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` says why; its text has one of them a line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(
    path: str | Path | None = None, environ: Mapping[str, str] | None = None, flags: Mapping[str, Any] | None = None
) -> Config:
    """The configuration from a TOML file, then the environment, then flags.

    Parameters: the file's ``path`` or None, the environment's variables, flags by name (``host``, ``port``,
    ``store``; None = not given). Raises ConfigError.
    """
    problems: list[str] = []
    layers = [
        sources.from_file(path, Config, problems),
        sources.from_environment(environ or {}, Config, problems),
        sources.from_flags(flags or {}, Config, problems),
    ]
    if problems:
        raise ConfigError(problems)
    config = _built(sources.merged(layers), Config)
    if problems := consistency.problems(config):
        raise ConfigError(problems)
    assert isinstance(config, Config)
    return config


def read_workspace(table: Mapping[str, Any]) -> WorkspaceSettings:
    """A workspace from plain data with the keys of ``[workspace]``: a scenario's ``config``. Raises ConfigError."""
    problems: list[str] = []
    plain = sources.checked(dict(table), WorkspaceSettings, "", problems)
    if problems:
        raise ConfigError(problems)
    workspace = _built(plain, WorkspaceSettings)
    assert isinstance(workspace, WorkspaceSettings)
    if problems := consistency.workspace_problems(workspace):
        raise ConfigError(problems)
    return workspace


def doubts(config: Config) -> list[str]:
    """What may be right, because the backend can add agents later, but looks like a slip: one sentence each."""
    return consistency.doubts(config.workspace)


def _built(plain: Any, wanted: Any) -> Any:
    try:
        return convert(plain, wanted)
    except msgspec.ValidationError as problem:  # the layers were checked key by key: should not come to this
        raise ConfigError([str(problem)]) from None

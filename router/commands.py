"""What each command of ``signalbox`` does; ``router.cli`` has their arguments and the exit codes.

Every command imports what it needs when it runs, so that ``signalbox version`` does not wait for a database driver.
A command returns its exit code, or raises WrongUse or Refused with the reason.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

DONE, NO, WRONG_USE = 0, 1, 2


class WrongUse(Exception):  # noqa: N818 - what the exit code is called
    """The command cannot be carried out as it was given; the text says why."""


class Refused(Exception):  # noqa: N818 - the answer is no
    """The command was understood and the answer is no; the text says why."""


def serve(arguments: argparse.Namespace) -> int:
    """Run the server until it is told to stop."""
    from router import config as settings
    from router import development
    from router.auth import Gate
    from router.keys import WEBHOOK_SECRET, read_secret
    from router.mail.opening import open_mailer

    dev: bool = arguments.dev
    path = arguments.config or (development.CONFIG if dev else None)
    environ = development.environment(os.environ) if dev else os.environ
    flags = {name: getattr(arguments, name) for name in ("host", "port", "store", "tls_certificate", "tls_key")}
    try:
        config = settings.load(path, environ, flags)
        if dev and not development.is_loopback(config.server.host):
            raise WrongUse(f"--dev has a secret that everybody knows: only on loopback, not on {config.server.host}")
        if arguments.debug_echo and not development.is_loopback(config.server.host):
            raise WrongUse(
                f"--debug-echo serves everybody without limits: only on loopback, not on {config.server.host}"
            )
        gate = Gate.from_config(config, environ)
        webhook_secret = read_secret(environ, WEBHOOK_SECRET)
        printing = dev and config.workspace.mail is None
        config = development.with_mail(config) if printing else config
        mailer = open_mailer(config.workspace, environ, printing=printing)
    except settings.ConfigError as problem:
        raise WrongUse(f"the configuration cannot be used:\n{problem}") from None
    if dev:
        print(development.greeting(config, gate, now_ms()), file=sys.stderr, flush=True)
    return _run_server(
        (config, gate, webhook_secret, lambda: Gate.from_config(config, environ), arguments.debug_echo, mailer),
        config,
        settings.doubts(config),
    )


def _run_server(parts: tuple[Any, ...], config: Any, doubts: list[str]) -> int:
    import structlog
    import trio

    from router import config as settings
    from router import logs
    from router.server import serve

    logs.configure(config.log)
    for doubt in doubts:
        structlog.get_logger("signalbox.config").warning(doubt)

    def run() -> int:
        try:
            code: int = trio.run(serve, *parts)
        except settings.ConfigError as problem:
            raise WrongUse(f"the configuration cannot be used:\n{problem}") from None
        return code

    return with_store(run, f" (to listen on {config.server.host} port {config.server.port})")


def token(arguments: argparse.Namespace) -> int:
    """Print a token signed with the environment's secret."""
    from protocol.errors import RequestError
    from router.auth import Gate
    from router.config import ConfigError
    from router.keys import SECRET, SECRET_FILE, read_secret

    try:
        secret = read_secret(os.environ)
    except ConfigError as problem:
        raise WrongUse(str(problem)) from None
    if secret is None:
        raise WrongUse(f"no secret to sign with: set {SECRET} or {SECRET_FILE}")
    chosen = {name: getattr(arguments, name) for name in ("ws", "channels", "email", "name")}
    try:
        token = Gate(secret=secret).issue(
            arguments.role, arguments.sub, now_ms=now_ms(), ttl_ms=arguments.ttl, **chosen
        )
    except RequestError as problem:
        raise WrongUse(problem.message) from None
    print(token)
    return DONE


def simulate(arguments: argparse.Namespace) -> int:
    """Run scenario files; the simulation says what it found."""
    from router.simulate import main

    return with_store(lambda: main(arguments.paths, arguments.store))


def migrate(arguments: argparse.Namespace) -> int:
    """Bring a store's schema up to date and print what was done."""
    from storage.urls import migrate as bring_up_to_date

    url = store_named(arguments)

    def run() -> int:
        done: list[str] = bring_up_to_date(url)
        print("\n".join(done) if done else "nothing to do: the schema is up to date")
        return DONE

    return with_store(run)


def check_config(arguments: argparse.Namespace) -> int:
    """Print ``ok`` and a summary, or all problems of a file."""
    from router.config import ConfigError, doubts, load

    if not os.path.isfile(arguments.file):
        raise WrongUse(f"{arguments.file}: there is no such file")
    try:
        config = load(arguments.file)
        if found := doubts(config):
            raise ConfigError(found)
    except ConfigError as problem:
        print(problem)
        return NO
    workspace = config.workspace
    print("ok")
    print(f"services: {', '.join(service.id for service in workspace.services) or 'none'}")
    print(f"agents: {', '.join(agent.id for agent in workspace.agents) or 'none'}")
    print(f"channel classes: {', '.join(workspace.channel_classes)}")
    return DONE


def openrpc(_: argparse.Namespace) -> int:
    """Print the protocol's OpenRPC document as JSON."""
    import msgspec

    from protocol.openrpc import document

    print(msgspec.json.format(msgspec.json.encode(document()), indent=2).decode())
    return DONE


def version(_: argparse.Namespace) -> int:
    """Print the version of the distribution, and whether its core is compiled."""
    from importlib import metadata

    from router import build

    print(f"signalbox {metadata.version('signalbox')} ({build.core()} core)")
    return DONE


def store_named(arguments: argparse.Namespace) -> str:
    """The store's URL. Raises WrongUse if none was named."""
    url: str | None = arguments.store or os.environ.get("SIGNALBOX_STORE")
    if not url:
        raise WrongUse("name the store with --store or SIGNALBOX_STORE")
    return url


def with_store(run: Callable[[], int], wanted: str = "") -> int:
    """Run what may find that its store, or the address ``wanted``, cannot be had: the answer is no, with the reason."""
    from storage.store import StorageUnavailable, StorageUnfit

    try:
        return run()
    except Exception as problem:
        cause = _only_cause(problem)
        if isinstance(cause, StorageUnfit | StorageUnavailable):
            raise Refused(str(cause)) from None
        if isinstance(cause, OSError):
            raise Refused(f"{cause.strerror or cause}{wanted}") from None
        raise


def _only_cause(problem: BaseException) -> BaseException:
    """What a nursery has wrapped, if it is one thing."""
    while isinstance(problem, BaseExceptionGroup) and len(problem.exceptions) == 1:
        problem = problem.exceptions[0]
    return problem


def now_ms() -> int:
    """The present moment in ms since 1970."""
    import time

    return time.time_ns() // 1_000_000

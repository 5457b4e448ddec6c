"""Every example run for real, as its reader would run it: against a server process on a free port."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest

ROOT = Path(__file__).parents[2]
SIGNALBOX = Path(sys.executable).with_name("signalbox")
PATIENCE_S = 20.0  # far beyond what anything here takes: only a broken example waits so long


class Program:
    """A process whose lines are kept, and which ends with its ``with``, whatever happens."""

    def __init__(self, arguments: Sequence[str | Path], folder: Path = ROOT, **environment: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGNALBOX_")}
        self.process = subprocess.Popen(
            arguments,
            cwd=folder,
            env={**clean, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._said = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._said:
                self.lines.append(line.rstrip("\n"))
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line in which the pattern is found."""

        def found() -> re.Match[str] | None:
            return next(filter(None, (re.search(pattern, line) for line in self.lines)), None)

        with self._said:
            self._said.wait_for(lambda: found() or self._ended, PATIENCE_S)
            match = found()
        assert match, f"{pattern!r} was not said in:\n" + "\n".join(self.lines)
        return match

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def leave(self) -> int:
        """Ctrl-D; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.code()

    def code(self) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        return code

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass


class House:
    """A server on a store of its own, and the tokens it printed."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        store = f"sqlite:///{folder / 'house.db'}"
        self.server = Program([SIGNALBOX, "serve", "--dev", "--port", str(port), "--store", store], folder)
        self.folder = folder

    def wait(self) -> Self:
        self.url = self.server.until(r"ready on (ws://\S+)")[1]
        self.port = int(re.findall(r":(\d+)/", self.url)[0])
        return self

    def token(self, who: str) -> str:
        return self.server.until(rf"^{who}: (\S+)")[1]

    def example(self, who: str, *arguments: str) -> Program:
        return Program(arguments, SIGNALBOX_URL=self.url, SIGNALBOX_TOKEN=self.token(who))

    def agent(self, name: str) -> Program:
        return self.example(f"agent {name}", sys.executable, "-m", "examples.agent", "--think", "0")

    def telephone(self, number: str, name: str) -> Program:
        arguments = ("-m", "examples.whatsapp", "--from", number, "--name", name)
        return self.example("connector whatsapp", sys.executable, *arguments)


@contextmanager
def running(folder: Path, port: int = 0) -> Iterator[House]:
    house = House(folder, port)
    with house.server:
        yield house.wait()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("house")) as house:
        yield house
        house.server.process.send_signal(signal.SIGTERM)
        assert house.server.code() == 0


def test_a_whatsapp_message_is_routed_to_the_agent_and_the_answer_comes_back(house: House) -> None:
    with house.agent("dag") as agent, house.telephone("+15550100", "Kari") as telephone:
        agent.until("messaging green")
        telephone.type("Do you have it in blue?")
        telephone.until(r"taken in c\w+ \(sales: dag\)")
        agent.until(">> Kari is mine: new")
        telephone.until(r"<< to \+15550100: Hello Kari, .*“Do you have it in blue\?”")
        assert telephone.leave() == 0


def node() -> list[str]:
    """Node with a WebSocket, or the test is skipped: the examples do not need it to be installed."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no node on this machine: contact.mjs was not run")
    has = subprocess.run([found, "-p", "typeof WebSocket"], capture_output=True, text=True, check=True).stdout.strip()
    if has == "function":
        return [found]
    flag = "--experimental-websocket"
    if subprocess.run([found, flag, "-e", ""], capture_output=True).returncode:
        pytest.skip("node is older than 20.10 and has no WebSocket: contact.mjs was not run")
    return [found, flag]


def test_a_contact_in_node_is_answered(house: House) -> None:
    runs_node = node()
    with house.agent("bo") as agent:
        agent.until("chat green")
        with house.example("contact kari", *runs_node, "examples/contact.mjs", "My parcel is lost") as contact:
            contact.until("<< bo: Hello, .*“My parcel is lost”")
            contact.type("It was sent last week")
            contact.until("<< bo: Hello, .*“It was sent last week”")
            assert contact.leave() == 0


def test_a_contact_in_node_outlives_the_server(tmp_path: Path) -> None:
    runs_node = node()
    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path))
        agent = stack.enter_context(first.agent("bo"))
        contact = stack.enter_context(first.example("contact kari", *runs_node, "examples/contact.mjs", "one"))
        contact.until("<< bo: .*“one”")
        first.server.process.kill()
        first.server.code()
        contact.until("connection lost")
        contact.type("two")
        stack.enter_context(running(tmp_path, first.port))
        contact.until("<< bo: .*“two”")
        assert contact.leave() == 0
        assert [line for line in contact.lines if line.startswith(">>")] == [">> one", ">> two"]
        assert agent.process.poll() is None


def test_agent_and_connector_outlive_the_server_and_nothing_is_said_twice(tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path))
        agent = stack.enter_context(first.agent("dag"))
        telephone = stack.enter_context(first.telephone("+15550101", "Nils"))
        agent.until("messaging green")
        telephone.type("one")
        telephone.until("“one”")
        first.server.process.kill()
        first.server.code()
        telephone.until("connection lost")
        telephone.type("two")
        stack.enter_context(running(tmp_path, first.port))
        telephone.until("“two”")
        assert telephone.leave() == 0
        assert sum("<<" in line for line in telephone.lines) == 2


def test_a_token_that_is_not_valid_ends_the_agent_with_advice(house: House) -> None:
    arguments = [sys.executable, "-m", "examples.agent", "--url", house.url, "--token", "nonsense"]
    with Program(arguments) as agent:
        agent.until("stopped: the token is not valid: get a new one")
        assert agent.code() == 1


def test_embedding_tells_its_story() -> None:
    with Program([sys.executable, "-m", "examples.embed"]) as embed:
        assert embed.code() == 0
        embed.until("ana got c.*: new")
        embed.until("ana snoozed it until .*Z; her slot is free")
        embed.until("bo got c.*: woke")
        embed.until(r"\d+  closed +agent")


def test_the_demo_shows_who_got_what_and_leaves_nothing_behind(tmp_path: Path) -> None:
    arguments = ["--plain", "--seconds", "5", "--speed", "4", "--seed", "1"]
    with Program([sys.executable, "-m", "examples.demo", *arguments], TMPDIR=str(tmp_path)) as demo:
        assert demo.code() == 0, demo.lines
        demo.until(r"\w+ → \w+  new: ")
        demo.until(r"In \d+ s: [1-9]\d* conversations, [1-9]\d* assignments")
    assert list(tmp_path.iterdir()) == []  # its store goes when its server has ended

"""Every example run for real, as its reader would run it: against a server process on a free port."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import House, Program, running


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

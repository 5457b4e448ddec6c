"""``python -m examples.demo``: start the house, let people come, and show it until Ctrl-C or for ``--seconds``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from rich.console import Console
from rich.live import Live
from rich.text import Text

from examples.demo.board import Board
from examples.demo.contacts import Town
from examples.demo.pace import Pace
from examples.demo.people import CHARACTERS, Person
from examples.demo.screen import Screen
from examples.demo.server import Server, started

FRAME_S = 0.2


async def main(options: argparse.Namespace) -> None:
    """Start everything, wait for the end, stop everything."""
    console = Console()
    plain = options.plain or not console.is_terminal
    pace = Pace(options.speed, options.seed)
    async with started(pace) as server:
        board = Board(server, heard=lambda line: print(line.plain, flush=True) if plain else None)
        async with asyncio.TaskGroup() as group:
            life = group.create_task(live(server, pace, board))
            if not plain:
                group.create_task(show(board, console, server.url, life))
            await end(options.seconds)
            life.cancel()
        summary = board.summary()
    print(summary, flush=True)


async def live(server: Server, pace: Pace, board: Board) -> None:
    """Everybody at once, until cancelled."""
    names = {character.agent: character.agent.title() for character in CHARACTERS}

    def tell(agent: str, what: str) -> None:
        board.say(Text.assemble((names[agent], ""), (f" {what}", "magenta")))

    async with asyncio.TaskGroup() as group:
        group.create_task(server.watch())
        group.create_task(board.run())
        for character in CHARACTERS:
            group.create_task(Person(server, pace, character, tell).run())
        group.create_task(Town(server, pace).run())


async def show(board: Board, console: Console, url: str, life: asyncio.Task[None]) -> None:
    """Draw the screen as long as there is life."""
    screen = Screen(board, url)
    with Live(console=console, screen=True, auto_refresh=False) as terminal:
        while not life.done():
            terminal.update(screen.draw(*console.size), refresh=True)
            await asyncio.wait([life], timeout=FRAME_S)


async def end(seconds: float | None) -> None:
    """Wait for Ctrl-C, SIGTERM or the end of the terminal, or for so many seconds."""
    asked = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, asked.set)
    try:
        await asyncio.wait_for(asked.wait(), seconds)
    except TimeoutError:
        pass


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description="A house at work, to watch.")
    parser.add_argument("--speed", type=float, default=1.0, help="2 = everything twice as fast (default: 1)")
    parser.add_argument("--seconds", type=float, help="end after so long (default: with Ctrl-C)")
    parser.add_argument("--plain", action="store_true", help="lines instead of a screen; the default if no terminal")
    parser.add_argument("--seed", type=int, help="roll the same dice again")
    options = parser.parse_args()
    if not 0.1 <= options.speed <= 20:
        parser.error("--speed must be between 0.1 and 20")
    return options


if __name__ == "__main__":
    try:
        asyncio.run(main(parse()))
    except* RuntimeError as problems:
        problem: BaseException = problems
        while isinstance(problem, BaseExceptionGroup):
            problem = problem.exceptions[0]
        sys.exit(f"demo: {problem}")

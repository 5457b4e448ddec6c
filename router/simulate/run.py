"""``signalbox simulate``: plays scenario files in virtual time and says which came out as they should.

Each is played in a store of its own (``router.simulate.scratch``). A line each as soon as it is known, then a sum.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

import msgspec

from protocol.settings import MailSettings, WorkspaceSettings
from router.simulate.needs import Lacking, settings_of
from router.simulate.play import Player, Stuck
from router.simulate.scenario import NotAScenario, Scenario, read_scenario
from router.simulate.scratch import scratch_url
from router.simulate.virtual import VirtualServer
from storage.store import StorageUnavailable, StorageUnfit
from storage.urls import open_store

ALL_PASSED, SOME_FAILED, WRONG_USE = 0, 1, 2


def main(paths: list[str], store_url: str | None) -> int:
    """Play the files, and the ``*.yaml`` of the folders in order of name; progress goes to standard output.

    Returns 0 if all passed, 1 if one failed, 2 if one is no scenario (the others are played all the same) or
    the store cannot be used; the reason of a 2 goes to standard error.
    """
    outcomes: list[int] = []
    try:
        for path in paths:
            outcomes.extend(_simulate(Path(path), store_url))
    except (StorageUnfit, StorageUnavailable) as problem:
        _complain(f"the store cannot be used: {problem}")
        return WRONG_USE
    print(f"{outcomes.count(ALL_PASSED)} passed, {outcomes.count(SOME_FAILED)} failed", flush=True)
    return max(outcomes, default=WRONG_USE)


def perform(scenario: Scenario, store_url: str | None = None) -> None:
    """Play one scenario, in a throwaway store like the named one.

    Raises Stuck if it fails; StorageUnfit or StorageUnavailable if there is no store to begin with.
    """
    try:
        settings = settings_of(scenario.heading.config)
    except Lacking as lacking:
        raise Stuck("start", 1, str(lacking)) from None
    if settings.mail is None:  # here it costs nothing
        settings = msgspec.structs.replace(settings, mail=MailSettings())
    with scratch_url(store_url) as url:
        server = _server(settings, url, int(scenario.heading.start))
        try:
            Player(scenario, server).play()
        finally:
            server.close()


def _server(settings: WorkspaceSettings, url: str, start: int) -> VirtualServer:
    try:
        return VirtualServer(settings, lambda: open_store(url), start)
    except (StorageUnfit, StorageUnavailable):
        raise
    except Exception as fault:
        raise Stuck("start", 1, f"the server failed: {type(fault).__name__}: {fault}") from fault


def _simulate(path: Path, store_url: str | None) -> Iterator[int]:
    """Play what is at this path, a line each."""
    try:
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    except OSError as problem:
        files = []
        _complain(f"{path}: cannot be read: {problem.strerror}")
    if not files:
        _complain(f"{path}: there is no *.yaml in this folder")
        yield WRONG_USE
    for file in files:
        yield _outcome(file, store_url)


def _outcome(file: Path, store_url: str | None) -> int:
    try:
        scenario = read_scenario(file)
    except NotAScenario as problem:
        _complain(str(problem))
        return WRONG_USE
    try:
        perform(scenario, store_url)
    except Stuck as stuck:
        if stuck.__cause__ is not None:
            traceback.print_exception(stuck.__cause__)
        print(f"FAILED  {scenario.name}  {stuck}  [{file}:{stuck.line}]", flush=True)
        return SOME_FAILED
    print(f"ok  {scenario.name}", flush=True)
    return ALL_PASSED


def _complain(text: str) -> None:
    print(f"signalbox simulate: {text}", file=sys.stderr, flush=True)

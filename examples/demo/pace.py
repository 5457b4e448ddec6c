"""How fast life goes, and how it rolls its dice."""

from __future__ import annotations

import asyncio
import random


class Pace:
    """``speed`` 2 = everything twice as fast, the server's deadlines too."""

    def __init__(self, speed: float, seed: int | None = None) -> None:
        self.speed = speed
        self.chance = random.Random(seed)

    async def about(self, seconds: float) -> None:
        """Wait for about so long; people are no clocks."""
        await asyncio.sleep(seconds * self.chance.uniform(0.5, 1.5) / self.speed)

    def text(self, seconds: float) -> str:
        """A duration as the protocol writes it."""
        return f"{max(1, round(seconds * 1000 / self.speed))}ms"

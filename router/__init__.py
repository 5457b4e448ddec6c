"""Running it: config, authentication, sockets, the driver loop, embedding, the command line.

The public face for programs that embed the router:

    async with router.open_router(config) as house:
        session = await house.connect(role="agent", sub="ana")
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from router.embed import EmbeddedRouter, EmbeddedSession, Notice, SessionEndedError, open_router

_EMBEDDING = ("EmbeddedRouter", "EmbeddedSession", "Notice", "SessionEndedError", "open_router")


def _check_neighbours() -> None:
    """Say so if another package of the same name stands before one of ours. Raises ImportError."""
    home = Path(__file__).resolve().parent.parent
    for name in ("protocol", "actors", "storage"):
        found = importlib.util.find_spec(name)
        origin = None if found is None or found.origin is None else Path(found.origin).resolve()
        if origin is None or origin.parent != home / name:
            raise ImportError(
                f"signalbox needs its own package {name!r} from {home / name}, but Python finds {origin}: "
                f"rename your {name!r} or put signalbox's folder first on the path"
            )


_check_neighbours()


def __getattr__(name: str) -> Any:
    """The embedding API is imported at its first use: the command line starts quicker without it."""
    if name in _EMBEDDING:
        from router import embed

        return getattr(embed, name)
    raise AttributeError(f"module 'router' has no attribute {name!r}")


__all__ = ["EmbeddedRouter", "EmbeddedSession", "Notice", "SessionEndedError", "open_router"]

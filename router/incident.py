"""A failure on our side, written to the log under an id that the peer may be told."""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Iterator

import structlog

_FRAMES = 4  # of the innermost calls, enough to find the line


def report(event: str, problem: BaseException, **context: str | int) -> str:
    """Log ``problem`` as ``event`` and return the incident's id.

    Logged are the exceptions' types and where they arose, never their texts: those may quote what a peer sent.
    ``context`` is logged as it stands, so it must not hold anything a peer sent either.
    """
    incident = secrets.token_hex(4)
    problems = [f"{type(leaf).__name__} at {_place(leaf)}" for leaf in _leaves(problem)]
    structlog.get_logger().error(event, incident=incident, problems=problems, **context)
    return incident


def _leaves(problem: BaseException) -> Iterator[BaseException]:
    if isinstance(problem, BaseExceptionGroup):
        for part in problem.exceptions:
            yield from _leaves(part)
    else:
        yield problem


def _place(problem: BaseException) -> str:
    calls = traceback.extract_tb(problem.__traceback__)[-_FRAMES:]
    return " > ".join(f"{call.filename.rpartition('/')[2]}:{call.lineno} {call.name}" for call in calls)

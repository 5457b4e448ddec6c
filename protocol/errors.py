"""What can be refused, and what the caller should do about it.

One table: each reason with a sentence for a tired operator and whether the same request may be sent
again. Codes below -32000 are JSON-RPC's own; ours are all -32000 with ``data.reason``.
"""

from __future__ import annotations

from typing import Any

NOT_JSON = -32700
NOT_A_REQUEST = -32600
NO_SUCH_METHOD = -32601
BAD_PARAMS = -32602
INTERNAL = -32603
REFUSED = -32000

#: reason -> (sentence, may the same request be sent again)
REASONS: dict[str, tuple[str, bool]] = {
    "unauthenticated": ("Open the session first, with a valid token.", False),
    "forbidden": ("This role may never do that.", False),
    "not_found": ("There is no such thing, or you may not see it.", False),
    "agent_unavailable": ("The agent is not green; repeat with anyway to go through.", True),
    "service_unavailable": ("No agent of the service is green; repeat with anyway to queue it.", True),
    "no_free_slot": ("You have no free slot for this class of channel.", True),
    "already_owned": ("Somebody else has taken this conversation.", False),
    "not_in_crew": ("Only the crew of the conversation may do that: join it first.", False),
    "not_in_service": ("That agent and you share no service that could hold this conversation.", False),
    "wrong_state": ("The conversation's present state does not allow that.", False),
    "read_only": ("This conversation is read-only for you.", False),
    "window_closed": ("The channel's reply window is closed: only an approved template may be sent.", False),
    "too_many_members": ("A conversation has at most 1000 members.", False),
    "member_without_email": ("An outside member needs an e-mail address.", False),
    "too_large": ("That is more than the limit allows.", False),
    "rate_limited": ("Too many requests: wait, then send it again.", True),
    "queue_full": ("The queue of this service is full: try again later.", True),
    "conflict": ("That contradicts what already is.", False),
    "storage_unavailable": ("The store cannot take changes just now: wait, then send it again.", True),
    "moved_shard": ("This workspace lives on another server.", True),
    "draining": ("The server is shutting down: reconnect, then send it again.", True),
}


class RequestError(Exception):
    """A request that is refused; it has changed nothing.

    Parameters: the JSON-RPC ``code``, a ``message`` for people, ``data`` for programs.
    """

    def __init__(self, code: int, message: str, data: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


def refused(reason: str, message: str | None = None, **data: Any) -> RequestError:
    """A typed refusal: ``reason`` is a key of REASONS; further data (colour, state, …) goes along."""
    sentence, retry = REASONS[reason]
    return RequestError(REFUSED, message or sentence, {"reason": reason, "retry": retry, **data})


def bad_params(field: str, expected: str) -> RequestError:
    """The params are wrong: ``field`` is the path to what is wrong, ``expected`` what it must be."""
    where = f"{field}: " if field else ""
    return RequestError(
        BAD_PARAMS, f"{where}expected {expected}", {"field": field, "expected": expected, "retry": False}
    )


def internal(incident: str) -> RequestError:
    """Our own fault. ``incident`` is the id under which the log has the details."""
    text = f"The server failed at this request; its log has the details under {incident}."
    return RequestError(INTERNAL, text, {"incident": incident, "retry": False})

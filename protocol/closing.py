"""Close codes: the number tells a client what to do next, the text why. [protocol §6]"""

from __future__ import annotations

DONE = 1000
GOING_AWAY = 1001
TOO_BIG = 1009
INTERNAL = 1011
TRY_LATER = 1013
UNAUTHENTICATED = 4001
TOKEN_EXPIRED = 4002
FORBIDDEN_ORIGIN = 4003
SLOW_CONSUMER = 4008
FLOODING = 4029

#: code -> (why, what the client does next)
MEANINGS: dict[int, tuple[str, str]] = {
    DONE: ("done", "nothing"),
    GOING_AWAY: ("the server is going away", "reconnect elsewhere or later, with since"),
    TOO_BIG: ("a frame is larger than the limit", "send smaller frames"),
    INTERNAL: ("the server failed; its log has the incident's id", "reconnect after a while, with since"),
    TRY_LATER: ("the server is too busy", "reconnect after a while"),
    UNAUTHENTICATED: ("the token is not valid", "get a new token"),
    TOKEN_EXPIRED: ("the token has expired", "get a new token, reconnect with since"),
    FORBIDDEN_ORIGIN: ("this origin is not allowed", "nothing: ask the operator"),
    SLOW_CONSUMER: ("notices were not read in time", "reconnect with since"),
    FLOODING: ("far too many requests", "slow down, reconnect after a while"),
}

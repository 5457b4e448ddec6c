"""Calling operators' URLs: one POST an attempt, signed, with a limit in time and number. [P]

The core decides when and how often (``actors.webhook``). What proves that a call is ours:

    Signalbox-Id: w8120                                    the same for every attempt: handle each id once
    Signalbox-Signature: t=1767603600,v1=<hex>             HMAC-SHA256 of "t.body" with SIGNALBOX_WEBHOOK_SECRET
"""

from __future__ import annotations

import hashlib
import hmac

import httpx
import structlog
import trio

from actors.effects import Post

log = structlog.get_logger("signalbox.webhooks")
LIMIT_S = 10.0
AT_ONCE = 16


class Webhooks:
    """Makes the calls. Parameters: the secret to sign with; without one nothing is called."""

    def __init__(self, secret: bytes | None, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._secret = secret
        self._at_once = trio.CapacityLimiter(AT_ONCE)
        self._client = httpx.AsyncClient(timeout=LIMIT_S, follow_redirects=False, transport=transport)

    async def call(self, item: Post, now_ms: int) -> bool:
        """Make one attempt. True if it was taken: any 2xx answer within the limit. Never raises."""
        if self._secret is None:
            log.error("webhook not called: SIGNALBOX_WEBHOOK_SECRET is not set", webhook=item.webhook)
            return False
        body = item.body.encode()
        headers = {
            "Content-Type": "application/json",
            "Signalbox-Id": f"w{item.webhook}",
            "Signalbox-Signature": signature(self._secret, body, now_ms // 1000),
        }
        async with self._at_once:
            try:
                answer = await self._client.post(item.url, content=body, headers=headers)
            except (httpx.HTTPError, httpx.InvalidURL) as problem:
                log.warning("webhook failed", webhook=item.webhook, problem=type(problem).__name__)
                return False
        if not answer.is_success:
            log.warning("webhook refused", webhook=item.webhook, status=answer.status_code)
        return answer.is_success

    async def close(self) -> None:
        """Let go of open connections."""
        await self._client.aclose()


def signature(secret: bytes, body: bytes, at_s: int) -> str:
    """The value of ``Signalbox-Signature`` for a body sent at this second (Unix time)."""
    digest = hmac.new(secret, f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"

"""SMS by Twilio: its webhooks on one side, signalbox on the other.

    export SIGNALBOX_URL=… SIGNALBOX_TOKEN=…      # a connector's, with the channel sms
    export TWILIO_ACCOUNT_SID=… TWILIO_AUTH_TOKEN=… TWILIO_FROM=+15550100     # or a messaging service's MG…
    python -m examples.connectors.twilio_sms --port 8081 --public-url https://sms.example.com

``--public-url`` is how Twilio reaches this program: a part of every signature, and of the address of receipts, which
carries the number of the entry (``/status?entry=8134``). Set ``…/message`` as the number's webhook for messages.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import logging
from collections.abc import Iterable
from typing import Any

import aiohttp
from aiohttp import web

from examples.client import Client
from examples.connectors.bridge import (
    Bridge,
    Journal,
    RejectedError,
    UnavailableError,
    call,
    listen,
    provider,
    run,
    setting,
)

log = logging.getLogger("twilio")

#: Twilio's states and ours; the others (queued, sending, accepted …) say nothing new
STATUSES = {"sent": "sent", "delivered": "delivered", "read": "read", "undelivered": "failed", "failed": "failed",
            "canceled": "failed"}  # fmt: skip


def signature(token: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """What Twilio signs a request with: the URL and then each parameter, by name."""
    text = url + "".join(name + value for name, value in sorted(set(form)))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


class Twilio:
    """The two directions."""

    def __init__(self, bridge: Bridge, session: aiohttp.ClientSession, public_url: str) -> None:
        self.bridge = bridge
        self.session = session
        self.public_url = public_url.rstrip("/")
        self.sender = setting("TWILIO_FROM")
        self._account, self._token = setting("TWILIO_ACCOUNT_SID"), setting("TWILIO_AUTH_TOKEN")
        api = setting("TWILIO_API", "https://api.twilio.com")
        self.url = f"{api}/2010-04-01/Accounts/{self._account}/Messages.json"

    # ------------------------------------------------------------ in

    async def _form(self, request: web.Request) -> dict[str, str]:
        """What Twilio posted. Raises HTTPForbidden if it was not Twilio."""
        pairs = [(name, value) for name, value in (await request.post()).items() if isinstance(value, str)]
        expected = signature(self._token, self.public_url + request.path_qs, pairs)
        if not hmac.compare_digest(request.headers.get("X-Twilio-Signature", "").encode(), expected.encode()):
            raise web.HTTPForbidden
        return dict(pairs)

    async def message(self, request: web.Request) -> web.Response:
        """Somebody wrote. The answer comes later, so the reply is an empty one."""
        form = await self._form(request)
        kinds = (form.get(f"MediaContentType{number}") for number in range(10))
        text = " ".join([*(f"[{kind}]" for kind in kinds if kind), form.get("Body", "")]).strip()
        await self.bridge.receive(form["From"], form["MessageSid"], text or "(empty)", phone=form["From"])
        return web.Response(text="<Response/>", content_type="text/xml")

    async def status(self, request: web.Request) -> web.Response:
        """What became of a message."""
        form = await self._form(request)
        status, entry = STATUSES.get(form.get("MessageStatus", "")), request.query.get("entry", "")
        if status is not None and entry.isdecimal():
            error = f"Twilio error {form.get('ErrorCode', 'unknown')}" if status == "failed" else None
            await self.bridge.report(int(entry), status, error, form.get("MessageSid", ""))
        return web.Response(status=204)

    # ------------------------------------------------------------ out

    async def send(self, delivery: dict[str, Any]) -> str:
        """One message to the API; the id it gets there."""
        entry = delivery["entry"]
        text = entry.get("text") or entry.get("url")
        if not text:
            raise RejectedError("this connector sends texts only")
        form = {
            "To": delivery["address"],
            "MessagingServiceSid" if self.sender.startswith("MG") else "From": self.sender,
            "Body": text,
            "StatusCallback": f"{self.public_url}/status?entry={entry['seq']}",
        }
        auth = aiohttp.BasicAuth(self._account, self._token)
        status, said, after_s = await call(self.session, self.url, data=form, auth=auth)
        if status == 201:
            return str(said["sid"])
        error = f"{said.get('code', status)} {said.get('message', '')}".strip()
        if status in (401, 403, 408, 429) or status >= 500:  # 401 and 403 are ours to mend, and no message's fault
            raise UnavailableError(error, after_s)
        raise RejectedError(error)


async def main(client: Client, arguments: argparse.Namespace) -> None:
    """Serve the webhooks and send, until the session is over."""
    bridge = Bridge(client, "sms", Journal(arguments.journal))
    async with provider() as session:
        twilio = Twilio(bridge, session, arguments.public_url)
        routes = [web.post("/message", twilio.message), web.post("/status", twilio.status)]
        runner = await listen(routes, arguments.host, arguments.port, debug_name="twilio")
        try:
            await bridge.run(twilio.send)
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A connector for SMS by Twilio.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8081)
    parser.add_argument("--public-url", required=True, help="where Twilio reaches this program, without a path")
    parser.add_argument("--journal", default="twilio.db", help="the file that remembers what was sent")
    given = parser.parse_args()
    run(lambda client: main(client, given))

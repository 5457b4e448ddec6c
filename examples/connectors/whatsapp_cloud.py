"""WhatsApp: the Cloud API's webhook on one side, signalbox on the other.

    export SIGNALBOX_URL=… SIGNALBOX_TOKEN=…      # a connector's, with the channel whatsapp
    export WHATSAPP_TOKEN=…                       # a permanent access token of a system user
    export WHATSAPP_APP_SECRET=… WHATSAPP_VERIFY_TOKEN=… WHATSAPP_NUMBER_ID=…
    python -m examples.connectors.whatsapp_cloud --port 8080      # behind a proxy with TLS, as …/webhook

In: a GET with the verify token is how the webhook is registered; each POST is signed with the app's secret. Out: each
message carries the number of its entry as ``biz_opaque_callback_data``, which every receipt brings back. That is how
receipts find their message, also after a crash. Written to the API's documentation, version 23.0.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Iterator
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

log = logging.getLogger("whatsapp")

Handler = Callable[[dict[str, Any], dict[str, Any]], Awaitable[None]]

STATUSES = ("sent", "delivered", "read", "failed")
#: errors that pass: unknown faults, too many calls, service away, rates, a pair's rate, the line is being moved
PASSING = {1, 2, 4, 80007, 130429, 131000, 131016, 131048, 131056, 133004}
OURS = {0, 3, 10, 190, *range(200, 300)}  # a token or permission: the operator's to mend, no message's fault


class WhatsApp:
    """The two directions. ``language`` is that of the approved templates."""

    def __init__(self, bridge: Bridge, session: aiohttp.ClientSession, language: str) -> None:
        self.bridge = bridge
        self.session = session
        self.language = language
        self.number = setting("WHATSAPP_NUMBER_ID")
        self.url = f"{setting('WHATSAPP_API', 'https://graph.facebook.com/v23.0')}/{self.number}/messages"
        self._token = setting("WHATSAPP_TOKEN")
        self._secret = setting("WHATSAPP_APP_SECRET").encode()
        self._verify_token = setting("WHATSAPP_VERIFY_TOKEN").encode()

    # ------------------------------------------------------------ in

    async def verify(self, request: web.Request) -> web.Response:
        """The webhook is being registered."""
        given = request.query.get("hub.verify_token", "").encode()
        if request.query.get("hub.mode") != "subscribe" or not hmac.compare_digest(given, self._verify_token):
            return web.Response(status=403)
        return web.Response(text=request.query.get("hub.challenge", ""))

    async def webhook(self, request: web.Request) -> web.Response:
        """Messages and receipts, in the order in which they stand."""
        body = await request.read()
        signature = "sha256=" + hmac.new(self._secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(request.headers.get("X-Hub-Signature-256", "").encode(), signature.encode()):
            return web.Response(status=401)
        try:
            values = list(self._values(json.loads(body)))
        except (ValueError, AttributeError, TypeError):
            return web.Response(status=400)
        for value in values:
            for message in value.get("messages", ()):
                await self._each(self._message, message, value)
            for status in value.get("statuses", ()):
                await self._each(self._status, status, value)
        return web.Response(text="ok")

    def _values(self, said: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What concerns our number."""
        for entry in said.get("entry", ()):
            for change in entry.get("changes", ()):
                value = change.get("value", {})
                if (
                    change.get("field") == "messages"
                    and value.get("metadata", {}).get("phone_number_id") == self.number
                ):
                    yield value

    async def _each(self, handle: Handler, item: dict[str, Any], value: dict[str, Any]) -> None:
        """What is signed and yet makes no sense to us would make none tomorrow either: leave it behind."""
        try:
            await handle(item, value)
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            log.warning("cannot read %r: %r", item, problem)

    async def _message(self, message: dict[str, Any], value: dict[str, Any]) -> None:
        names = {contact.get("wa_id"): contact.get("profile", {}).get("name") for contact in value.get("contacts", ())}
        sender, text = message["from"], text_of(message)
        if text is None:
            log.info("%s sent a %s, which is nothing to answer", sender, message.get("type"))
            return
        await self.bridge.receive(sender, message["id"], text, phone=f"+{sender}", name=names.get(sender))

    async def _status(self, status: dict[str, Any], _: dict[str, Any]) -> None:
        named = str(status.get("biz_opaque_callback_data", ""))
        seq = int(named) if named.isdecimal() else self.bridge.journal.seq_of(status["id"])
        if seq is None or status["status"] not in STATUSES:
            return
        error = error_text(next(iter(status.get("errors", ())), {})) if status["status"] == "failed" else None
        await self.bridge.report(seq, status["status"], error, status["id"])

    # ------------------------------------------------------------ out

    async def send(self, delivery: dict[str, Any]) -> str:
        """One message to the API; the id it gets there."""
        message = {
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": delivery["address"],
            "biz_opaque_callback_data": str(delivery["entry"]["seq"]),
            **content(delivery["entry"], self.language),
        }
        bearer = {"Authorization": f"Bearer {self._token}"}
        status, said, after_s = await call(self.session, self.url, json=message, headers=bearer)
        if status == 200:
            return str([*said.get("messages", ()), {}][0].get("id", ""))
        error = said.get("error", {})
        why = error_text(error) or f"HTTP {status}"
        if status in (401, 403, 408, 429) or status >= 500 or error.get("code") in PASSING | OURS:
            raise UnavailableError(why, after_s)
        raise RejectedError(why)


def text_of(message: dict[str, Any]) -> str | None:
    """What a message says; of what is not text, what it is. None = nothing that anybody answers."""
    kind = message.get("type", "unsupported")
    body = message.get(kind, {})
    match kind:
        case "text":
            return str(body["body"])
        case "image" | "video" | "audio" | "document" | "sticker":
            return " ".join(filter(None, (f"[{kind}]", body.get("filename"), body.get("caption"))))
        case "location":
            place = ", ".join(filter(None, (body.get("name"), body.get("address"))))
            return f"[location] {place} ({body['latitude']}, {body['longitude']})"
        case "contacts":
            people = message["contacts"]
            return "[contacts] " + ", ".join(person["name"]["formatted_name"] for person in people)
        case "button":
            return str(body["text"])
        case "interactive":
            return str(body[body["type"]]["title"])
        case "reaction" | "system":
            return None
    return f"[{kind}]"


def content(entry: dict[str, Any], language: str) -> dict[str, Any]:
    """The part of a message that says something. A template is sent as one: outside 24 hours nothing else is taken."""
    if entry.get("template"):
        template = {"name": entry["template"], "language": {"code": language}}
        if entry.get("vars"):
            template["components"] = [{"type": "body", "parameters": list(parameters(entry["vars"]))}]
        return {"type": "template", "template": template}
    text = entry.get("text") or entry.get("url")
    if not text:
        raise RejectedError("this connector sends texts and templates only")
    return {"type": "text", "text": {"body": text, "preview_url": bool(entry.get("url"))}}


def parameters(variables: dict[str, str]) -> Iterator[dict[str, str]]:
    """``{{1}}``, ``{{2}}`` go by their place, others by their name."""
    if all(name.isdecimal() for name in variables):
        yield from ({"type": "text", "text": variables[name]} for name in sorted(variables, key=int))
    else:
        yield from ({"type": "text", "parameter_name": name, "text": text} for name, text in variables.items())


def error_text(error: dict[str, Any]) -> str:
    """``131047 Re-engagement message: …``"""
    details = error.get("error_data", {}).get("details")
    return " ".join(str(part) for part in (error.get("code"), error.get("title") or error.get("message")) if part) + (
        f": {details}" if details else ""
    )


async def main(client: Client, arguments: argparse.Namespace) -> None:
    """Serve the webhook and send, until the session is over."""
    bridge = Bridge(client, "whatsapp", Journal(arguments.journal))
    async with provider() as session:
        whatsapp = WhatsApp(bridge, session, arguments.language)
        routes = [web.get("/webhook", whatsapp.verify, allow_head=False), web.post("/webhook", whatsapp.webhook)]
        runner = await listen(routes, arguments.host, arguments.port, debug_name="whatsapp")
        try:
            await bridge.run(whatsapp.send)
        finally:
            await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A connector for the WhatsApp Cloud API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--journal", default="whatsapp.db", help="the file that remembers what was sent")
    parser.add_argument("--language", default="en_US", help="of the approved templates (default: en_US)")
    given = parser.parse_args()
    run(lambda client: main(client, given))

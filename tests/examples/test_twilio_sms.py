"""The SMS connector between a real server and Twilio as it is played; forms and signatures as its pages show them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from desks import Asked, Desk, Provider, desk, room_for_all
from programs import House, Program, running

from examples.connectors.twilio_sms import signature

ACCOUNT, TOKEN, PUBLIC = "AC0123456789", "auth-token", "https://sms.example.com"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("house")) as house:
        room_for_all(house)
        yield house


@pytest.fixture
def ana(house: House) -> Iterator[Desk]:
    with desk(house, "agent ana") as found:
        yield found


@pytest.fixture
def twilio() -> Iterator[Provider]:
    def taken(asked: Asked) -> tuple[int, dict[str, Any]]:
        entry = asked.form["StatusCallback"].rpartition("=")[2]
        return 201, {"sid": f"SM{entry}", "status": "queued", "to": asked.form["To"], "error_code": None}

    provider = Provider(taken)
    yield provider
    provider.close()


class Connector:
    """The connector's process, and its webhooks as Twilio calls them."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.url = program.until(r"listens on (http://\S+)")[1]
        program.until("connected to the server")

    def post(self, path: str, form: dict[str, str], *, token: str = TOKEN, signed: str | None = None) -> httpx.Response:
        given = signed if signed is not None else signature(token, PUBLIC + path, form.items())
        return httpx.post(self.url + path, data=form, headers={"X-Twilio-Signature": given}, trust_env=False)

    def message(self, sender: str, sid: str, text: str, **more: str) -> httpx.Response:
        form = {"MessageSid": sid, "SmsMessageSid": sid, "AccountSid": ACCOUNT, "From": sender, "To": "+15550199",
                "Body": text, "NumMedia": "0", "NumSegments": "1", **more}  # fmt: skip
        return self.post("/message", form)

    def status(self, seq: int, status: str, **more: str) -> httpx.Response:
        form = {"MessageSid": f"SM{seq}", "MessageStatus": status, "AccountSid": ACCOUNT, "To": "+1", **more}
        return self.post(f"/status?entry={seq}", form)


@contextmanager
def connector(house: House, twilio: Provider, folder: Path) -> Iterator[Connector]:
    arguments = [sys.executable, "-m", "examples.connectors.twilio_sms", "--port", "0", "--public-url", PUBLIC]
    environment = {
        "SIGNALBOX_URL": house.url, "SIGNALBOX_TOKEN": house.connector("sms"), "TWILIO_API": twilio.url,
        "TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_FROM": "+15550199",
    }  # fmt: skip
    with Program([*arguments, "--journal", str(folder / "twilio.db")], **environment) as program:
        yield Connector(program)


@pytest.fixture
def sms(house: House, twilio: Provider, tmp_path: Path) -> Iterator[Connector]:
    with connector(house, twilio, tmp_path) as found:
        yield found


def test_the_signature_is_the_one_that_twilio_shows() -> None:
    form = {"CallSid": "CA1234567890ABCDE", "Caller": "+12349013030", "Digits": "1234", "From": "+12349013030",
            "To": "+18005551212"}  # fmt: skip
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature("12345", url, form.items()) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="


def test_what_twilio_did_not_sign_is_refused(sms: Connector, house: House) -> None:
    form = {"MessageSid": "SM1", "From": "+4790000001", "Body": "Let me in"}
    elsewhere = signature(TOKEN, f"{PUBLIC}/status", form.items())
    for signed in (signature("guess", f"{PUBLIC}/message", form.items()), "", "nonsense", elsewhere):
        assert sms.post("/message", form, signed=signed).status_code == 403
    assert sms.post("/status?entry=1", {"MessageStatus": "failed"}, token="guess").status_code == 403
    with desk(house, "backend backend") as backend:
        assert backend.ask("conversation.list", channels=["sms"])["items"] == []


def test_a_message_is_routed_answered_and_its_receipts_stand_in_the_timeline(
    sms: Connector, twilio: Provider, ana: Desk
) -> None:
    for _ in range(2):
        answer = sms.message("+4790000002", "SMin2", "Is it in stock?")
        assert (answer.status_code, answer.text) == (200, "<Response/>")
    conversation = ana.is_given()["id"]
    assert [entry["text"] for entry in ana.timeline(conversation, "message")] == ["Is it in stock?"]
    seq = ana.answers(conversation, "It is ✓")
    (request,) = twilio.until(1)
    assert request.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.form == {"To": "+4790000002", "From": "+15550199", "Body": "It is ✓",
                            "StatusCallback": f"{PUBLIC}/status?entry={seq}"}  # fmt: skip
    for status in ("queued", "sending", "sent", "delivered", "delivered"):
        assert sms.status(seq, status).status_code == 204
    ana.learns(seq, "delivered")
    assert [entry["status"] for entry in ana.timeline(conversation, "delivery")] == ["sent", "delivered"]


def test_what_was_not_delivered_has_failed_with_twilios_code(sms: Connector, twilio: Provider, ana: Desk) -> None:
    sms.message("+4790000003", "SMin3", "Hello")
    conversation = ana.is_given()["id"]
    first = ana.answers(conversation, "Hello")
    ana.learns(first, "sent")
    sms.status(first, "undelivered", ErrorCode="30003")
    assert ana.learns(first, "failed")["error"] == "Twilio error 30003"
    twilio.script.append((400, {"code": 21610, "message": "Attempt to send to unsubscribed recipient"}))
    second = ana.answers(conversation, "Hello?")
    assert ana.learns(second, "failed")["error"] == "21610 Attempt to send to unsubscribed recipient"


def test_pictures_are_named(sms: Connector, ana: Desk) -> None:
    media = {"NumMedia": "1", "MediaContentType0": "image/jpeg", "MediaUrl0": "https://api.twilio.com/x"}
    sms.message("+4790000004", "SMin4", "Look", **media)
    conversation = ana.is_given()["id"]
    assert ana.timeline(conversation, "message")[0]["text"] == "[image/jpeg] Look"


def test_twilio_away_and_the_connector_killed_and_yet_everything_comes_in_order(
    house: House, twilio: Provider, ana: Desk, tmp_path: Path
) -> None:
    with connector(house, twilio, tmp_path) as first:
        first.message("+4790000005", "SMin5", "Hello")
        conversation = ana.is_given()["id"]
        taken = ana.answers(conversation, "one")
        ana.learns(taken, "sent")
        twilio.script.extend([(503, {}), None])
        ana.answers(conversation, "two")
        twilio.until(3)  # the second attempt is under way
        first.program.process.kill()
        first.program.code()
    last = ana.answers(conversation, "three")
    with connector(house, twilio, tmp_path):
        ana.learns(last, "sent")
    assert [request.form["Body"] for request in twilio.asked] == ["one", "two", "two", "two", "three"]
    assert len({request.form["StatusCallback"] for request in twilio.asked[1:4]}) == 1

"""The WhatsApp connector between a real server and a provider that is played; payloads as the API's pages show them."""

from __future__ import annotations

import hashlib
import hmac
import json
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from desks import Asked, Desk, Provider, desk, room_for_all
from programs import House, Program, running

from examples.connectors.whatsapp_cloud import content, error_text, text_of

SECRET, VERIFY = "app-secret", "verify-me"
NUMBER = "106540352242922"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running(tmp_path_factory.mktemp("house")) as house:
        room_for_all(house)
        yield house


@pytest.fixture
def dag(house: House) -> Iterator[Desk]:
    with desk(house, "agent dag") as found:
        yield found


@pytest.fixture
def meta() -> Iterator[Provider]:
    def taken(asked: Asked) -> tuple[int, dict[str, Any]]:
        message = asked.json
        ident = f"wamid.OUT{message['biz_opaque_callback_data']}"
        return 200, {"messaging_product": "whatsapp", "contacts": [{"input": message["to"], "wa_id": message["to"]}],
                     "messages": [{"id": ident}]}  # fmt: skip

    provider = Provider(taken)
    yield provider
    provider.close()


class Connector:
    """The connector's process, and its webhook as the provider calls it."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.url = program.until(r"listens on (http://\S+)")[1]
        program.until("connected to the server")

    def post(self, value: dict[str, Any], *, secret: str = SECRET) -> int:
        """What the provider posts; the status of the answer."""
        value = {"messaging_product": "whatsapp",
                 "metadata": {"display_phone_number": "15550783881", "phone_number_id": NUMBER}, **value}  # fmt: skip
        change = {"value": value, "field": "messages"}
        said = {"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [change]}]}
        body = json.dumps(said).encode()
        signed = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={signed}", "Content-Type": "application/json"}
        return httpx.post(f"{self.url}/webhook", content=body, headers=headers, trust_env=False).status_code

    def message(self, sender: str, ident: str, text: str, *, name: str = "Sheena Nelson", secret: str = SECRET) -> int:
        message = {"from": sender, "id": ident, "timestamp": "1749416383", "type": "text", "text": {"body": text}}
        contacts = [{"profile": {"name": name}, "wa_id": sender}]
        return self.post({"contacts": contacts, "messages": [message]}, secret=secret)

    def status(self, seq: int, status: str, *, errors: list[dict[str, Any]] | None = None) -> int:
        said = {"id": f"wamid.OUT{seq}", "status": status, "timestamp": "1749416500", "recipient_id": "1",
                "biz_opaque_callback_data": str(seq)} | ({"errors": errors} if errors else {})  # fmt: skip
        return self.post({"statuses": [said]})


@contextmanager
def connector(house: House, meta: Provider, folder: Path) -> Iterator[Connector]:
    arguments = [sys.executable, "-m", "examples.connectors.whatsapp_cloud", "--port", "0"]
    environment = {
        "SIGNALBOX_URL": house.url, "SIGNALBOX_TOKEN": house.token("connector whatsapp"), "WHATSAPP_API": meta.url,
        "WHATSAPP_TOKEN": "t", "WHATSAPP_APP_SECRET": SECRET, "WHATSAPP_VERIFY_TOKEN": VERIFY,
        "WHATSAPP_NUMBER_ID": NUMBER,
    }  # fmt: skip
    with Program([*arguments, "--journal", str(folder / "whatsapp.db")], **environment) as program:
        yield Connector(program)


@pytest.fixture
def whatsapp(house: House, meta: Provider, tmp_path: Path) -> Iterator[Connector]:
    with connector(house, meta, tmp_path) as found:
        yield found


def texts(asked: list[Asked]) -> list[str]:
    return [request.json["text"]["body"] for request in asked]


# ---------------------------------------------------------------- the webhook


def test_it_is_registered_by_whoever_knows_the_verify_token(whatsapp: Connector) -> None:
    def register(**query: str) -> httpx.Response:
        given = {f"hub.{name}": value for name, value in query.items()}
        return httpx.get(f"{whatsapp.url}/webhook", params=given, trust_env=False)

    good = register(mode="subscribe", verify_token=VERIFY, challenge="1158201444")
    assert (good.status_code, good.text) == (200, "1158201444")
    assert register(mode="subscribe", verify_token="guess", challenge="1").status_code == 403
    assert register(mode="unsubscribe", verify_token=VERIFY, challenge="1").status_code == 403
    assert register(challenge="1").status_code == 403


def test_what_is_not_signed_with_the_apps_secret_is_refused(whatsapp: Connector, house: House) -> None:
    assert whatsapp.message("16505550001", "wamid.FORGED", "Let me in", secret="guess") == 401
    for headers in ({}, {"X-Hub-Signature-256": "sha256="}, {"X-Hub-Signature-256": "ø".encode()}):
        answer = httpx.post(f"{whatsapp.url}/webhook", content=b"{}", headers=headers, trust_env=False)
        assert answer.status_code == 401
    with desk(house, "backend backend") as backend:
        assert backend.ask("conversation.list", search="Let me in")["items"] == []


def test_what_makes_no_sense_is_left_behind_and_the_rest_is_taken(whatsapp: Connector, dag: Desk) -> None:
    good = {"from": "16505550002", "id": "wamid.GOOD", "type": "text", "text": {"body": "Makes sense"}}
    statuses = [{"id": "wamid.UNKNOWN", "status": "read"}, {"status": "sent"}, {"id": "x", "status": "played"}]
    assert whatsapp.post({"messages": [{"type": "text"}, 7, good], "statuses": statuses}) == 200
    assert whatsapp.post({"messages": [{**good, "id": "wamid.OTHER", "text": {"body": "Not ours"}}],
                          "metadata": {"phone_number_id": "7"}}) == 200  # fmt: skip
    conversation = dag.is_given()["id"]
    assert [entry["text"] for entry in dag.timeline(conversation, "message")] == ["Makes sense"]


# ---------------------------------------------------------------- there and back


def test_a_message_is_routed_answered_and_its_receipts_stand_in_the_timeline(
    whatsapp: Connector, meta: Provider, dag: Desk
) -> None:
    for _ in range(2):  # the provider posts until it gets a 200, sometimes once more
        assert whatsapp.message("16505550003", "wamid.IN3", "Is it in stock?", name="Kari") == 200
    conversation = dag.is_given("Kari")["id"]
    assert len(dag.timeline(conversation, "message")) == 1
    seq = dag.answers(conversation, "It is")
    (request,) = meta.until(1)
    assert request.path == f"/{NUMBER}/messages"
    assert request.headers["authorization"] == "Bearer t"
    assert request.json == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "16505550003",
        "biz_opaque_callback_data": str(seq),
        "type": "text",
        "text": {"body": "It is", "preview_url": False},
    }
    for status in ("sent", "delivered", "delivered", "read", "sent"):
        assert whatsapp.status(seq, status) == 200
    dag.learns(seq, "read")
    fates = dag.timeline(conversation, "delivery")
    assert [(entry["to"], entry["status"]) for entry in fates] == [(seq, "sent"), (seq, "delivered"), (seq, "read")]


def test_a_template_goes_as_one_with_its_values(whatsapp: Connector, meta: Provider, house: House, dag: Desk) -> None:
    with desk(house, "backend backend") as backend:
        text = "Hello {{name}}, order {{order}} is ready"
        backend.ask("template.put", template={"name": "order_ready", "text": text, "approved": True})
    whatsapp.message("16505550004", "wamid.IN4", "Call me back", name="Nils")
    conversation = dag.is_given("Nils")["id"]
    seq = dag.answers(conversation, "", template={"name": "order_ready", "vars": {"name": "Nils", "order": "77"}})
    dag.learns(seq, "sent")
    (request,) = meta.until(1)
    assert request.json["type"] == "template"
    assert request.json["template"] == {
        "name": "order_ready",
        "language": {"code": "en_US"},
        "components": [
            {
                "type": "body",
                "parameters": [
                    {"type": "text", "parameter_name": "name", "text": "Nils"},
                    {"type": "text", "parameter_name": "order", "text": "77"},
                ],
            }
        ],
    }


WINDOW_IS_OVER = {
    "code": 131047,
    "title": "Re-engagement message",
    "message": "Re-engagement message",
    "error_data": {"details": "Message failed to send because more than 24 hours have passed"},
}


def test_outside_the_window_the_message_has_failed_and_the_contact_waits_on(
    whatsapp: Connector, meta: Provider, dag: Desk
) -> None:
    """WhatsApp says so later, in a receipt; the next message is not held up, and the first can be sent again."""
    whatsapp.message("16505550005", "wamid.IN5", "Anybody there?", name="Ole")
    conversation = dag.is_given("Ole")["id"]
    first = dag.answers(conversation, "Yes")
    dag.learns(first, "sent")
    assert dag.ask("conversation.get", conversation=conversation, limit=1)["conversation"]["waiting_since"] is None
    whatsapp.status(first, "failed", errors=[WINDOW_IS_OVER])
    assert dag.learns(first, "failed")["error"].startswith("131047 Re-engagement message: Message failed to send")
    assert dag.ask("conversation.get", conversation=conversation, limit=1)["conversation"]["waiting_since"] is not None
    second = dag.answers(conversation, "Yes, really")
    dag.learns(second, "sent")
    assert texts(meta.until(2)) == ["Yes", "Yes, really"]


def test_a_dead_letter_is_sent_again_when_somebody_says_so(
    whatsapp: Connector, meta: Provider, house: House, dag: Desk
) -> None:
    meta.script.append((400, {"error": {"code": 131026, "message": "Message undeliverable"}}))
    whatsapp.message("16505550006", "wamid.IN6", "Hello", name="Per")
    conversation = dag.is_given("Per")["id"]
    seq = dag.answers(conversation, "Hello Per")
    assert dag.learns(seq, "failed")["error"] == "131026 Message undeliverable"
    with desk(house, "backend backend") as backend:
        (item,) = [item for item in backend.ask("outbox.list")["items"] if item["conversation"] == conversation]
        assert (item["id"], item["to"]) == (str(seq), "whatsapp:16505550006")
        backend.ask("outbox.retry", kind="message", id=item["id"])
    dag.learns(seq, "sent")
    assert texts(meta.until(2)) == ["Hello Per"] * 2


# ---------------------------------------------------------------- when things break


def test_a_provider_that_is_away_gets_everything_later_in_order(whatsapp: Connector, meta: Provider, dag: Desk) -> None:
    meta.script.extend([(503, {}), (429, {"error": {"code": 130429, "message": "Rate limit hit"}})])
    whatsapp.message("16505550007", "wamid.IN7", "Hello", name="Siri")
    conversation = dag.is_given("Siri")["id"]
    seqs = [dag.answers(conversation, text) for text in ("one", "two", "three")]
    dag.learns(seqs[-1], "sent")
    assert texts(meta.asked) == ["one", "one", "one", "two", "three"]
    assert [entry["to"] for entry in dag.timeline(conversation, "delivery")] == seqs


def test_killed_and_started_again_it_sends_what_was_left_and_not_what_was_taken(
    house: House, meta: Provider, dag: Desk, tmp_path: Path
) -> None:
    with connector(house, meta, tmp_path) as first:
        first.message("16505550008", "wamid.IN8", "Hello", name="Tor")
        conversation = dag.is_given("Tor")["id"]
        seqs = [dag.answers(conversation, "one")]
        dag.learns(seqs[0], "sent")
        first.program.process.kill()
        first.program.code()
    seqs += [dag.answers(conversation, text) for text in ("two", "three")]
    with connector(house, meta, tmp_path) as second:
        dag.learns(seqs[-1], "sent")
        assert texts(meta.asked) == ["one", "two", "three"]
        assert second.message("16505550008", "wamid.IN8", "Hello", name="Tor") == 200
        second.program.process.send_signal(signal.SIGTERM)
        assert second.program.code() == 0
    assert len([entry for entry in dag.timeline(conversation, "message") if entry["by"]["kind"] == "contact"]) == 1


def test_what_was_under_way_when_it_was_killed_goes_again_under_the_same_name(
    house: House, meta: Provider, dag: Desk, tmp_path: Path
) -> None:
    """Nobody can know whether the provider took it: its receipts name the same entry either way."""
    with connector(house, meta, tmp_path) as first:
        first.message("16505550009", "wamid.IN9", "Hello", name="Una")
        conversation = dag.is_given("Una")["id"]
        meta.script.append(None)
        seq = dag.answers(conversation, "one")
        meta.until(1)
        first.program.process.kill()
        first.program.code()
    with connector(house, meta, tmp_path):
        dag.learns(seq, "sent")
    assert [request.json["biz_opaque_callback_data"] for request in meta.asked] == [str(seq)] * 2


def test_a_receipt_that_comes_before_the_answer_ends_the_attempts(
    whatsapp: Connector, meta: Provider, dag: Desk
) -> None:
    """The provider took it, but its answer is lost: the receipt says so, and it is not sent again."""
    whatsapp.message("16505550010", "wamid.IN10", "Hello", name="Vera")
    conversation = dag.is_given("Vera")["id"]
    meta.script.append((500, {}))
    seq = dag.answers(conversation, "one")
    meta.until(1)
    assert whatsapp.status(seq, "delivered") == 200
    dag.learns(seq, "delivered")
    again = dag.answers(conversation, "two")
    dag.learns(again, "sent")
    assert texts(meta.asked) == ["one", "two"]


def test_while_the_server_is_away_the_provider_waits_and_nothing_is_lost(meta: Provider, tmp_path: Path) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(running(tmp_path))
        whatsapp = stack.enter_context(connector(first, meta, tmp_path))
        first.server.process.kill()
        first.server.code()
        whatsapp.program.until("connection lost")
        posts = stack.enter_context(ThreadPoolExecutor())
        posted = posts.submit(whatsapp.message, "16505550011", "wamid.IN11", "Hello", name="Wim")
        again = stack.enter_context(running(tmp_path, first.port))
        room_for_all(again)
        assert posted.result() == 200
        dag = stack.enter_context(desk(again, "agent dag"))
        conversation = dag.is_given("Wim")["id"]
        dag.learns(dag.answers(conversation, "Hello Wim"), "sent")
    assert texts(meta.asked) == ["Hello Wim"]


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "text", "text": {"body": "Hi"}}, "Hi"),
        ({"type": "image", "image": {"id": "1", "mime_type": "image/jpeg", "caption": "Look"}}, "[image] Look"),
        ({"type": "document", "document": {"filename": "a.pdf"}}, "[document] a.pdf"),
        ({"type": "audio", "audio": {"id": "1", "voice": True}}, "[audio]"),
        ({"type": "location", "location": {"latitude": 59.9, "longitude": 10.7, "name": "Oslo"}},
         "[location] Oslo (59.9, 10.7)"),
        ({"type": "contacts", "contacts": [{"name": {"formatted_name": "Kari Nes"}}]}, "[contacts] Kari Nes"),
        ({"type": "button", "button": {"text": "Yes", "payload": "y"}}, "Yes"),
        ({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "Blue"}}},
         "Blue"),
        ({"type": "unsupported", "errors": [{"code": 131051}]}, "[unsupported]"),
        ({"type": "order", "order": {}}, "[order]"),
        ({"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": "👍"}}, None),
        ({"type": "system", "system": {"type": "user_changed_number"}}, None),
    ],
)  # fmt: skip
def test_every_kind_of_message_says_something_or_is_nothing_to_answer(message: dict[str, Any], text: str) -> None:
    assert text_of(message) == text


def test_variables_without_names_go_by_their_place() -> None:
    sent = content({"template": "t", "vars": {"10": "j", "2": "b", "1": "a"}}, "nb")
    values = [parameter["text"] for parameter in sent["template"]["components"][0]["parameters"]]
    assert values == ["a", "b", "j"]
    assert sent["template"]["language"] == {"code": "nb"}
    assert "components" not in content({"template": "t"}, "nb")["template"]


def test_an_error_in_one_line() -> None:
    assert error_text({"code": 190, "message": "expired"}) == "190 expired"
    assert error_text({}) == ""

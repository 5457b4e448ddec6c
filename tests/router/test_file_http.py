"""Uploads and downloads over HTTP: who may, what is taken, and what a peer cannot do with them."""

from __future__ import annotations

import json
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from protocol.session import Limits
from router.addresses import Addresses
from router.config import load
from router.files.contents import Folder
from router.files.http import AT_ONCE, STALL_S, Files
from router.files.tickets import Tickets
from router.files.upkeep import discard
from router.front import Front
from router.metrics import Metrics
from router.pages import Pages
from router.upgrade import is_allowed
from tests.router import driving
from tests.router.network import Peer, memory_stream_pair

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(50)
ORIGINS = ("https://*.example.org",)
CONFIG = {"services": [{"id": "support", "members": [{"agent": "ana"}, {"agent": "bo"}]}],
          "agents": [{"id": "ana"}, {"id": "bo"}]}  # fmt: skip


class Office:
    """A house with a front, in memory; ``ask`` makes one HTTP request."""

    def __init__(self, house, nursery, folder) -> None:
        self.house, self.nursery, self.path = house, nursery, folder
        driver = house.driver
        self.contents, self.tickets = Folder(folder), Tickets(driver.submit)
        driver.hub.shown = self.tickets.answered
        driver.hub.discard = lambda item: nursery.start_soon(discard, self.contents, item, driver.submit)
        metrics = Metrics()
        self.files = Files(
            self.contents, driver.verify, self.tickets.ask, driver.now,
            bytes_max=100_000, types=load(None, {}).files.types, allows_origin=partial(is_allowed, origins=ORIGINS),
        )  # fmt: skip
        pages = Pages(ready=lambda: (True, "ready"), openrpc=lambda: b"{}", metrics=metrics)
        self.front = Front(driver, pages, metrics, addresses=Addresses(Limits()), files=self.files)

    def connect(self) -> Peer:
        here, there = memory_stream_pair()
        self.nursery.start_soon(self.front.handle, there)
        return Peer(here)

    async def ask(self, method, path, token="agent:ana", body=b"", **headers):
        """Status, headers (lower case), body."""
        peer = self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: test"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"Content-Length: {len(body)}"] if method == "POST" and "length" not in headers else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if name != "length"]
        await peer.send("\r\n".join([*lines, "", ""]).encode() + body)
        return await answer_of(peer)

    async def upload(self, body=PNG, name="plan.png", token="agent:ana"):
        status, _, answer = await self.ask("POST", f"/v1/files?name={name}", token, body)
        assert status == 201, answer
        return json.loads(answer)

    def kept(self) -> list[str]:
        return sorted(path.name for path in self.path.rglob("*") if path.is_file())


async def answer_of(peer):
    data = bytearray()
    async for chunk in peer.stream:
        data += chunk
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, body


@pytest.fixture
async def office(mock_clock, tmp_path):
    async with driving.house(CONFIG) as house, trio.open_nursery() as nursery:
        yield Office(house, nursery, tmp_path)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- in and out


async def test_what_is_uploaded_is_downloaded_as_it_was(office):
    file = await office.upload(name="a%20plan.png")
    assert file == {"id": file["id"], "name": "a plan.png", "type": "image/png", "size": len(PNG)}
    status, headers, body = await office.ask("GET", f"/v1/files/{file['id']}")
    assert (status, body) == (200, PNG)
    assert headers["content-type"] == "image/png"
    assert headers["content-length"] == str(len(PNG))
    assert headers["content-disposition"] == "attachment; filename*=UTF-8''a%20plan.png"
    assert headers["x-content-type-options"] == "nosniff"
    status, headers, body = await office.ask("HEAD", f"/v1/files/{file['id']}")
    assert (status, headers["content-length"], body) == (200, str(len(PNG)), b"")


async def test_a_file_travels_with_a_message_to_the_contact_and_to_nobody_else(office):
    ana = await office.house.ana()
    nia = await office.house.client("contact:nia")
    found = (await nia.say("conversation.start", service="support", text="Hello"))["conversation"]["id"]
    file = await office.upload()
    assert (await office.ask("GET", f"/v1/files/{file['id']}", "contact:nia"))[0] == 404
    await ana.say("message.send", conversation=found, attachments=[file["id"]])
    assert (await office.ask("GET", f"/v1/files/{file['id']}", "contact:nia"))[2] == PNG
    status, _, body = await office.ask("GET", f"/v1/files/{file['id']}", "contact:oli")
    unknown = (await office.ask("GET", "/v1/files/" + "x" * 24, "contact:oli"))[2]
    assert (status, body) == (404, unknown)  # not to be told from what there is not


async def test_a_name_is_never_a_path_and_never_ends_a_header(office):
    for given, kept in (("../../etc/passwd", "passwd"), ("a%0d%0aSet-Cookie:x.png", "aSet-Cookie:x.png"), ("", "file"),
                        ("C:%5Cx%5Cy.png", "y.png"), ("n" * 300, "n" * 200)):  # fmt: skip
        file = await office.upload(name=given)
        assert file["name"] == kept
        status, headers, _ = await office.ask("GET", f"/v1/files/{file['id']}")
        assert (status, "set-cookie" in headers) == (200, False)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_without_a_valid_token_nothing_is_kept_nor_shown(office, token):
    for method, path in (("POST", "/v1/files"), ("GET", "/v1/files/" + "x" * 24)):
        status, headers, body = await office.ask(method, path, token, PNG if method == "POST" else b"")
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert json.loads(body)["error"] == "unauthenticated"
    assert office.kept() == []


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        (b"x" * 100_001, {}, 413, "too_large"),
        (b"", {}, 400, "empty"),
        (PNG, {"length": None}, 411, "length"),
        (PNG, {"Transfer_Encoding": "chunked", "length": None}, 411, "length"),
        (b"<html><script>", {}, 415, "type"),
        (b"\0\1\2 no type at all", {}, 415, "type"),
    ],
)  # fmt: skip
async def test_what_cannot_be_taken_is_said_and_leaves_nothing(office, body, headers, status, error):
    found, _, answer = await office.ask("POST", "/v1/files?name=a.png", body=body, **headers)
    assert (found, json.loads(answer)["error"]) == (status, error)
    assert office.kept() == []


async def test_other_methods_and_places_are_refused(office):
    for method, path, status in (("POST", "/v1/files/x", 405), ("GET", "/v1/files", 405), ("POST", "/healthz", 405),
                                 ("OPTIONS", "/healthz", 405), ("DELETE", "/v1/files/x", 405)):  # fmt: skip
        assert (await office.ask(method, path))[0] == status


async def test_a_peer_that_leaves_or_stalls_leaves_nothing(office, mock_clock):
    head = b"POST /v1/files HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer agent:ana\r\nContent-Length: 99\r\n\r\n"
    gone, slow = office.connect(), office.connect()
    for peer in (gone, slow):
        await peer.send(head + PNG[:10])
    await gone.stream.aclose()
    await driving.until(lambda: len(office.kept()) == 1)  # the one of the slow peer has begun
    await wait_all_tasks_blocked(0.05)
    mock_clock.jump(STALL_S + 1)
    status, _, body = await answer_of(slow)
    assert (status, json.loads(body)["error"]) == (408, "slow")
    assert office.kept() == []
    assert office.files.statistics()["under_way"] == 0


async def test_too_many_at_once_are_told_to_come_again(office):
    head = b"POST /v1/files HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer agent:ana\r\nContent-Length: 99\r\n\r\n"
    for _ in range(AT_ONCE):
        await office.connect().send(head)
    await driving.until(lambda: office.files.statistics()["under_way"] == AT_ONCE)
    status, headers, _ = await office.ask("POST", "/v1/files", body=PNG)
    assert (status, headers["retry-after"]) == (503, "5")


async def test_while_the_store_takes_no_changes_uploads_are_refused_and_downloads_go_on(office):
    file = await office.upload()
    office.house.store.refuses_commits = True
    for _ in range(2):  # the first is refused by the store, the second by the house
        status, _, body = await office.ask("POST", "/v1/files", body=PNG)
        assert (status, json.loads(body)["error"]) == (503, "storage_unavailable")
    assert office.kept() == [file["id"]]
    assert (await office.ask("GET", f"/v1/files/{file['id']}"))[2] == PNG


async def test_a_full_disk_is_said_and_harms_nobody(office, monkeypatch):
    async def full(name, chunks):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(office.contents, "write", full)
    status, _, body = await office.ask("POST", "/v1/files", body=PNG)
    assert (status, json.loads(body)["error"]) == (507, "storage_unavailable")


async def test_a_file_that_nobody_sends_is_deleted_after_a_day(office, mock_clock):
    file = await office.upload()
    mock_clock.jump(86_399 - 60)
    await wait_all_tasks_blocked(0.05)
    assert office.kept() == [file["id"]]
    mock_clock.jump(61)
    await driving.until(lambda: office.kept() == [])
    assert (await office.ask("GET", f"/v1/files/{file['id']}"))[0] == 404


# ---------------------------------------------------------------- pages of other origins


async def test_pages_of_allowed_origins_may_upload_and_others_see_no_answer(office):
    ours, theirs = "https://app.example.org", "https://evil.example.com"
    status, headers, _ = await office.ask("OPTIONS", "/v1/files", token="", Origin=ours)
    assert (status, headers["access-control-allow-origin"]) == (204, ours)
    assert "Authorization" in headers["access-control-allow-headers"]
    status, headers, _ = await office.ask("POST", "/v1/files", body=PNG, Origin=ours)
    assert (status, headers["access-control-allow-origin"]) == (201, ours)
    assert "access-control-allow-origin" not in (await office.ask("OPTIONS", "/v1/files", token="", Origin=theirs))[1]

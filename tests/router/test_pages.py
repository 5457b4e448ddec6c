import json

import pytest
import trio
from network import Peer, house
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import memory_stream_pair

from router.head import parse_head
from router.metrics import Metrics
from router.pages import Page, Pages, refusal, send_page


def pages(*, is_ready: bool = True) -> Pages:
    ready = (is_ready, "ready" if is_ready else "the store is away")
    return Pages(ready=lambda: ready, openrpc=lambda: b'{"openrpc":"1.3.2"}', metrics=Metrics())


def get(path: str, found: Pages | None = None) -> Page:
    return (found or pages()).answer(parse_head(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()))


def test_health_is_ok():
    assert (get("/healthz").status, get("/healthz").body) == (200, b"ok")
    assert get("/healthz?verbose=1").status == 200


@pytest.mark.parametrize(("is_ready", "status", "text"), [(True, 200, b"ready"), (False, 503, b"the store is away")])
def test_readiness_says_why_not(is_ready, status, text):
    page = get("/readyz", pages(is_ready=is_ready))
    assert (page.status, page.body) == (status, text)


def test_metrics_are_prometheus_text():
    page = get("/metrics")
    assert page.content_type.startswith("text/plain; version=0.0.4")
    assert "signalbox_connections_open" in {
        family.name for family in text_string_to_metric_families(page.body.decode())
    }


def test_the_openrpc_document_is_given_as_it_is():
    page = get("/openrpc.json")
    assert (page.content_type, page.body) == ("application/json", b'{"openrpc":"1.3.2"}')


def test_anything_else_is_told_what_there_is():
    page = get("/nothing")
    assert page.status == 404
    assert json.loads(page.body)["paths"] == ["/healthz", "/metrics", "/openrpc.json", "/readyz", "/v1"]


def test_the_websocket_s_path_asks_for_a_websocket():
    page = get("/v1")
    assert page.status == 426
    assert ("Upgrade", "websocket") in page.headers


def test_a_page_may_be_added():
    found = pages()
    found.add("/", lambda: Page(200, b"<html>", "text/html"))
    assert get("/", found).body == b"<html>"


def test_a_page_that_fails_is_a_500_with_an_incident():
    found = pages()
    found.add("/broken", lambda: 1 / 0)
    page = get("/broken", found)
    assert page.status == 500
    assert len(json.loads(page.body)["incident"]) == 8


def test_a_head_is_answered_without_the_body_but_with_its_length():
    whole, bare = Page(200, b"ok").rendered(), Page(200, b"ok").rendered(with_body=False)
    assert whole == bare + b"ok"
    assert b"\r\nContent-Length: 2\r\n" in bare
    assert b"\r\nConnection: close\r\n" in bare


def test_refusals_say_what_is_wrong():
    page = refusal("method")
    assert (page.status, json.loads(page.body)["error"]) == (405, "method")
    assert ("Allow", "GET, HEAD") in page.headers


async def test_a_reader_that_takes_forever_is_left(autojump_clock):
    here, there = memory_stream_pair()
    await send_page(there, Page(200, b"ok"))
    assert trio.current_time() <= 5.1
    assert (await Peer(here).everything()).endswith(b"ok")


async def test_a_reader_that_has_gone_is_no_error():
    here, there = memory_stream_pair()
    await here.aclose()
    await send_page(there, Page(200, b"ok"))


@pytest.mark.parametrize(("method", "body"), [("GET", b"ok"), ("HEAD", b"")])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_pages_and_sessions_share_a_port(method, body, version):
    async with house() as built:
        session = await (await built.raw()).opened()
        peer = await built.plain()
        await peer.send(f"{method} /healthz HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        start, _, rest = (await peer.everything()).partition(b"\r\n\r\n")
        assert start.startswith(b"HTTP/1.1 200 OK\r\n")
        assert rest == body
        await session.works()

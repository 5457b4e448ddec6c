"""Calling operators' URLs: signed, bounded, never raising."""

from __future__ import annotations

import hashlib
import hmac

import httpx
import pytest

from actors.effects import Post
from router.webhooks import Webhooks, signature

SECRET = b"s" * 32
NOW_MS = 1_767_603_600_123
POST = Post(7, "https://example.org/hook", '{"id":"w7"}')


def calls(answer: httpx.Response | Exception) -> tuple[Webhooks, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def answered(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Webhooks(SECRET, httpx.MockTransport(answered)), seen


@pytest.mark.parametrize(("status", "taken"), [(200, True), (204, True), (301, False), (404, False), (500, False)])
async def test_any_2xx_answer_takes_it_and_nothing_else_does(status: int, taken: bool) -> None:
    webhooks, _ = calls(httpx.Response(status, headers={"Location": "https://example.org/other"}))
    assert await webhooks.call(POST, NOW_MS) is taken


async def test_the_body_is_signed_with_its_time_and_carries_its_id() -> None:
    webhooks, seen = calls(httpx.Response(200))
    await webhooks.call(POST, NOW_MS)
    (request,) = seen
    wanted = hmac.new(SECRET, b'1767603600.{"id":"w7"}', hashlib.sha256).hexdigest()
    assert request.headers["Signalbox-Signature"] == f"t=1767603600,v1={wanted}"
    assert request.headers["Signalbox-Id"] == "w7"
    assert request.content == b'{"id":"w7"}'


@pytest.mark.parametrize("problem", [httpx.ConnectError("no"), httpx.ReadTimeout("slow"), httpx.InvalidURL("odd")])
async def test_trouble_on_the_way_is_not_taken(problem: Exception) -> None:
    webhooks, _ = calls(problem)
    assert await webhooks.call(POST, NOW_MS) is False


async def test_without_a_secret_nothing_is_called() -> None:
    seen: list[httpx.Request] = []
    webhooks = Webhooks(None, httpx.MockTransport(lambda request: seen.append(request) or httpx.Response(200)))
    assert await webhooks.call(POST, NOW_MS) is False
    assert seen == []


def test_another_body_time_or_secret_has_another_signature() -> None:
    first = signature(SECRET, b"a", 1)
    others = [signature(SECRET, b"b", 1), signature(SECRET, b"a", 2), signature(b"t" * 32, b"a", 1)]
    assert first not in others
    assert len(set(others)) == 3

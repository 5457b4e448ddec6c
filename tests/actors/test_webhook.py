"""Webhooks of the ladder: what they say, and to whom."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.effects import Post
from tests.world import World

URL = "https://example.org/hook"


def test_the_ladder_calls_the_url_once_with_the_conversation_as_the_house_sees_it() -> None:
    ladder = [{"after": "10m", "do": "webhook", "url": URL}]
    house = World({"services": [{"id": "support", "escalation": ladder, "auto_close_after": None}]})
    conversation = house.receive("+1").id
    house.wait(600_000)
    (post,) = (item for item in house.outgoing if isinstance(item, Post))
    body = msgspec.json.decode(post.body)
    assert (post.url, body["event"], body["step"], body["conversation"]["id"]) == (URL, "escalated", 0, conversation)
    assert body["id"] == f"w{post.webhook}"


@pytest.mark.parametrize("step", [{"do": "webhook", "url": "file:///etc/passwd"}, {"do": "webhook", "url": 5}])
def test_only_web_addresses_are_called(step: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        World({"services": [{"id": "support", "escalation": [{"after": "10m", **step}]}]})

"""Webhooks of the ladder: written down first, tried again until taken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from actors.effects import Post, Posted
from actors.webhook import ATTEMPTS_MAX, BACKOFF_S
from tests.world import World

URL = "https://example.org/hook"


def world() -> World:
    ladder = [{"after": "10m", "do": "webhook", "url": URL}]
    return World({"services": [{"id": "support", "escalation": ladder, "auto_close_after": None}]})


def posts(house: World) -> list[Post]:
    return [item for item in house.outgoing if isinstance(item, Post)]


def escalated() -> tuple[World, str]:
    house = world()
    conversation = house.receive("+1").id
    house.wait(600_000)
    return house, conversation


def test_the_ladder_calls_the_url_once_with_the_conversation_as_the_house_sees_it() -> None:
    house, conversation = escalated()
    (post,) = posts(house)
    body = msgspec.json.decode(post.body)
    assert (post.url, body["event"], body["step"], body["conversation"]["id"]) == (URL, "escalated", 0, conversation)
    assert body["id"] == f"w{post.webhook}"


def test_what_is_taken_is_never_called_again() -> None:
    house, _ = escalated()
    house.give(Posted(posts(house)[0].webhook, taken=True))
    house.wait(86_400_000)
    assert len(posts(house)) == 1
    assert house.core.house.webhooks == {}


def test_what_is_not_taken_is_called_again_with_the_same_id_after_growing_waits() -> None:
    house, _ = escalated()
    house.give(Posted(posts(house)[0].webhook, taken=False))
    for count, wait_s in enumerate(BACKOFF_S, start=1):
        house.wait(1000 * wait_s - 1)
        assert len(posts(house)) == count
        house.wait(1)
        assert len(posts(house)) == count + 1
    assert len({(post.webhook, post.body) for post in posts(house)}) == 1


def test_an_attempt_whose_end_is_never_heard_counts_as_not_taken() -> None:
    house, _ = escalated()
    house.wait(1000)
    assert len(posts(house)) == 2


def test_after_many_attempts_it_has_failed() -> None:
    house, _ = escalated()
    house.wait(40 * 3_600_000)
    assert len(posts(house)) == ATTEMPTS_MAX
    assert house.core.house.webhooks == {}


def test_a_restart_goes_on_where_it_was() -> None:
    house, _ = escalated()
    first = posts(house)[0]
    house.boot()
    house.wait(1000)
    assert [post.webhook for post in posts(house)] == [first.webhook, first.webhook]
    house.give(Posted(first.webhook, taken=True))
    house.boot()
    house.wait(3_600_000)
    assert len(posts(house)) == 2


def test_an_answer_about_no_pending_call_changes_nothing() -> None:
    house, _ = escalated()
    out = house.give(Posted(999, taken=True))
    assert not out.batch


@pytest.mark.parametrize("step", [{"do": "webhook", "url": "file:///etc/passwd"}, {"do": "webhook", "url": 5}])
def test_only_web_addresses_are_called(step: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        World({"services": [{"id": "support", "escalation": [{"after": "10m", **step}]}]})

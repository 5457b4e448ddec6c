"""Dead letters: what could not be delivered is listed, and sent again once. [protocol §4]"""

from __future__ import annotations

from typing import Any

import pytest

from actors.effects import Mail, Mailed, Output, Post
from actors.errand import ATTEMPTS_MAX, BACKOFF_S
from protocol.notices import ConnectorDeliver
from protocol.objects import By
from protocol.outbox import OutboxItem
from protocol.records import DeliveryOf
from tests.world import START, World, service

LADDER = [{"after": "10m", "do": "webhook", "url": "https://example.com/late"}]


def world_of() -> tuple[World, str]:
    """ana answers nia on sms; the workspace has mail; after ten minutes a URL is called."""
    config = {
        "services": [service("support", "ana", escalation=LADDER, auto_close_after=None)],
        "agents": [{"id": "ana"}],
        "mail": {"sender": "help@example.com"},
    }
    world = World(config, online=["ana"])
    return world, world.receive("+47").id


def send(world: World, conversation: str, *texts: str) -> list[int]:
    return [world.say("ana", "message.send", conversation=conversation, text=text).entry.seq for text in texts]


def report(world: World, seq: int, status: str = "failed", **more: Any) -> None:
    world.say("connector:sms", "connector.delivered", entry=seq, status=status, **more)


def forwarded(world: World, conversation: str, *recipients: str) -> list[str]:
    """Mails under way, by their ids."""
    params = {"messages": [world.timeline(conversation)[1].seq], "to": recipients}
    world.say("ana", "message.forward", conversation=conversation, **params)
    world.wait(0)
    return [item.id for item in world.outgoing if isinstance(item, Mail)][-len(recipients) :]


def listed(world: World, kind: str, status: str = "failed") -> list[OutboxItem]:
    return list(world.say("backend", "outbox.list", kind=kind, status=status).items)


def ids(items: list[OutboxItem]) -> list[str]:
    return [item.id for item in items]


def retry(world: World, kind: str, ident: object) -> None:
    world.say("backend", "outbox.retry", kind=kind, id=str(ident))


def refused(world: World, kind: str, ident: object) -> tuple[Any, Any]:
    data = world.refused("backend", "outbox.retry", kind=kind, id=str(ident))
    return data["reason"], data.get("state")


def given_up(world: World) -> None:
    """So much time passes that whatever nobody takes has failed."""
    world.wait(1000 * (sum(BACKOFF_S) + BACKOFF_S[-1] * ATTEMPTS_MAX))


def test_a_message_that_failed_is_listed_with_why_and_when() -> None:
    world, found = world_of()
    (seq,) = send(world, found, "Hi")
    world.wait(1_000)
    report(world, seq, error="no such number")
    assert listed(world, "message") == [
        OutboxItem("message", str(seq), found, "sms:+47", "failed", None, "no such number", world.now)  # type: ignore[arg-type]
    ]
    assert listed(world, "mail") == listed(world, "webhook") == []


def test_what_waits_is_listed_too_the_newest_first() -> None:
    world, found = world_of()
    seqs = send(world, found, "1", "2")
    report(world, seqs[0], "sent")
    seqs += send(world, found, "3")
    assert ids(listed(world, "message", "pending")) == [str(seqs[2]), str(seqs[1])]
    assert listed(world, "message") == []


@pytest.mark.parametrize("status", ["failed", "pending"])
def test_a_list_comes_in_pages(status: str) -> None:
    world, found = world_of()
    seqs = send(world, found, *"abcde")
    for seq in seqs if status == "failed" else ():
        report(world, seq)
    pages, cursor = [], None
    while True:
        page = world.say("backend", "outbox.list", status=status, limit=2, cursor=cursor)
        pages.append([int(item.id) for item in page.items])
        cursor = page.cursor
        if cursor is None:
            break
    assert pages == [seqs[:2:-1], seqs[2:0:-1], seqs[:1]]


@pytest.mark.parametrize("status", ["failed", "pending"])
def test_mails_of_one_moment_are_told_apart_in_pages(status: str) -> None:
    world, found = world_of()
    mails = forwarded(world, found, "a@example.com", "b@example.com", "c@example.com")
    for mail in mails if status == "failed" else ():
        world.give(Mailed(mail, taken=False, permanent=True, error="550 no"))
    first = world.say("backend", "outbox.list", kind="mail", status=status, limit=2)
    second = world.say("backend", "outbox.list", kind="mail", status=status, limit=2, cursor=first.cursor)
    assert ids([*first.items, *second.items]) == mails[::-1]
    assert second.cursor is None


@pytest.mark.parametrize("cursor", ["nonsense", "-1", "1" * 30])
def test_a_cursor_that_is_none_is_refused(cursor: str) -> None:
    world, _ = world_of()
    for status in ("failed", "pending"):
        assert world.refused("backend", "outbox.list", status=status, cursor=cursor)["field"] == "cursor"


# ---------------------------------------------------------------- again


def told(world: World) -> list[int]:
    notices = (item.notice for item in world.outgoing if hasattr(item, "notice"))
    return [notice.entry.seq for notice in notices if isinstance(notice, ConnectorDeliver)]


def test_a_failed_message_goes_out_again_and_the_house_sees_who_sent_it() -> None:
    world, found = world_of()
    first, second = send(world, found, "1", "2")
    report(world, first)
    report(world, second, "sent")
    assert told(world) == [first, second]
    retry(world, "message", first)
    assert told(world) == [first, second, first]
    report(world, first, "sent")
    assert listed(world, "message") == []
    fates = [entry for entry in world.timeline(found) if entry.type == "delivery"]
    assert [(entry.to, entry.status) for entry in fates] == [
        (first, "failed"), (second, "sent"), (first, "pending"), (first, "sent"),
    ]  # fmt: skip
    assert fates[2].by == By("backend", "backend")
    assert world.heard("agent:ana", "delivery") == fates


def test_what_had_failed_goes_before_what_still_waits() -> None:
    world, found = world_of()
    (first,) = send(world, found, "1")
    report(world, first)
    world.end("connector:sms")
    (second,) = send(world, found, "2")
    retry(world, "message", first)
    world.open("connector:sms")
    assert told(world) == [first, first, second]


@pytest.mark.parametrize("restarted", [False, True])
def test_it_is_sent_again_once_also_if_the_process_dies(restarted: bool) -> None:
    world, found = world_of()
    (seq,) = send(world, found, "Hi")
    report(world, seq)
    if restarted:
        world.boot()
    retry(world, "message", seq)
    assert refused(world, "message", seq) == ("wrong_state", "pending")
    if restarted:
        world.boot()
    assert refused(world, "message", seq) == ("wrong_state", "pending")
    world.open("connector:sms")
    report(world, seq, "sent")
    assert refused(world, "message", seq) == ("wrong_state", "sent")
    assert world.store.read([DeliveryOf(seq)])[0].status == "sent"


def test_a_retry_that_the_store_refused_has_never_happened() -> None:
    world, found = world_of()
    (seq,) = send(world, found, "Hi")
    report(world, seq)
    world.open("backend")
    request = world.asked("backend", "outbox.retry", kind="message", id=str(seq))
    out: Output = world.step(request)
    world.core.undo([out], world.now)
    assert ids(listed(world, "message")) == [str(seq)]
    assert world.core.statistics()["deliveries_pending"] == 0
    world.give(request)
    assert world.core.statistics()["deliveries_pending"] == 1


def test_a_list_in_the_same_step_as_a_retry_shows_it_no_more() -> None:
    world, found = world_of()
    seqs = send(world, found, "1", "2")
    for seq in seqs:
        report(world, seq)
    world.open("backend")
    again = world.asked("backend", "outbox.retry", kind="message", id=str(seqs[0]))
    look = world.asked("backend", "outbox.list")
    out = world.give(again, look)
    assert ids(list(out.outgoing[-1].result.items)) == [str(seqs[1])]  # type: ignore[union-attr]


def test_a_failed_mail_is_tried_again_from_the_beginning() -> None:
    world, found = world_of()
    (mail,) = forwarded(world, found, "kari@example.com")
    world.wait(1_000)
    world.give(Mailed(mail, taken=False, permanent=True, error="550 no such mailbox"))
    (item,) = listed(world, "mail")
    assert (item.id, item.to, item.conversation) == (mail, "kari@example.com", found)
    assert (item.attempts, item.error, item.at) == (2, "550 no such mailbox", START + 1_000)
    world.boot()
    before = len([item for item in world.outgoing if isinstance(item, Mail)])
    retry(world, "mail", mail)
    assert refused(world, "mail", mail) == ("wrong_state", "pending")
    assert listed(world, "mail") == []
    assert len([item for item in world.outgoing if isinstance(item, Mail)]) == before + 1
    world.give(Mailed(mail, taken=True))
    assert refused(world, "mail", mail) == ("wrong_state", "done")


def test_a_webhook_that_nobody_took_is_called_again() -> None:
    world, found = world_of()
    given_up(world)
    (item,) = listed(world, "webhook")
    assert (item.to, item.conversation, item.attempts) == ("https://example.com/late", found, ATTEMPTS_MAX)
    retry(world, "webhook", item.id)
    calls = len([call for call in world.outgoing if isinstance(call, Post)])
    world.wait(1_000)
    assert len([call for call in world.outgoing if isinstance(call, Post)]) == calls + 2
    assert ids(listed(world, "webhook", "pending")) == [item.id]
    assert refused(world, "webhook", item.id) == ("wrong_state", "pending")


@pytest.mark.parametrize("kind", ["message", "mail", "webhook"])
@pytest.mark.parametrize("ident", ["1", "999999", "nonsense", "٣", "9" * 300])
def test_what_never_was_cannot_be_sent_again(kind: str, ident: str) -> None:
    world, _ = world_of()
    assert refused(world, kind, ident) == ("not_found", None)

"""Digests of unread messages: when they leave, to whom, with what. [behaviour §8]"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import pytest

from actors.digest import FIRST_MS, LISTED_MAX, NEXT_MS, counted, due, local_day, midnight_after
from actors.effects import Mail
from protocol.codec import decode_json
from tests.digests import DAY, HOUR, MINUTE, house, mails, read, sign_in, write
from tests.world import World, service


def tick(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


# ---------------------------------------------------------------- when: the rule alone

#: where clocks change at two, at midnight, by half an hour, in the other half of the year, or never
ZONES = (
    "UTC", "Europe/London", "Europe/Oslo", "America/New_York", "America/Havana", "America/Santiago", "Asia/Beirut",
    "Africa/Cairo", "Australia/Lord_Howe", "Pacific/Auckland", "America/St_Johns", "Asia/Kolkata", "Pacific/Kiritimati",
)  # fmt: skip


def changes(name: str) -> list[int]:
    """The days of 2026 on which the clock changes, or one in January where it never does."""
    zone, days = ZoneInfo(name), [tick("2026-01-01") + day * DAY for day in range(366)]
    offsets = [datetime.fromtimestamp(day / 1000, zone).utcoffset() for day in days]
    found = [day for day, one, other in zip(days, offsets, offsets[1:], strict=False) if one != other]
    return found or days[:1]


def test_the_zones_change_their_clocks_as_this_test_needs_it() -> None:
    assert {name: len(changes(name)) for name in ZONES if len(changes(name)) == 1}.keys() == {
        "UTC", "Asia/Kolkata", "Pacific/Kiritimati",
    }  # fmt: skip


@pytest.mark.parametrize("name", ZONES)
def test_a_digest_leaves_at_the_first_moment_at_which_it_may(name: str) -> None:
    """Every quarter of an hour around each clock change, for messages before and after the last digest."""
    zone = ZoneInfo(name)
    for change in changes(name):
        for last, sent in product(range(change - DAY, change + 2 * DAY, 15 * MINUTE), range(4)):
            today = local_day(last, zone)

            def may(now: int, oldest: int, last: int = last, sent: int = sent, today: Any = today) -> bool:
                if now < oldest + FIRST_MS:
                    return False
                tomorrow = local_day(now, zone) > today
                return sent == 0 or tomorrow or (sent < 3 and now >= last + NEXT_MS)

            for oldest in (last - DAY, last, last + 3 * HOUR, last + 236 * MINUTE, last + 13 * HOUR, last + 30 * HOUR):
                found = due(sent, last, oldest, zone)
                assert may(found, oldest), (last, sent, oldest)
                assert not may(found - 1, oldest), (last, sent, oldest)


def test_the_next_local_day_begins_at_its_first_moment_in_every_zone_there_is() -> None:
    for name in sorted(available_timezones() - {"localtime"}):
        zone = ZoneInfo(name)
        for day in range(365):
            noon = tick("2026-01-01 12:00") + day * DAY
            found = midnight_after(noon, zone)
            today = local_day(noon, zone)
            assert found > noon
            assert local_day(found, zone) == today + timedelta(days=1), (name, noon)
            assert local_day(found - 1, zone) == today, (name, noon)


@pytest.mark.parametrize(
    ("sent", "last", "now", "count"),
    [
        (0, None, "2026-03-28 12:00", 1),
        (1, "2026-03-28 12:00", "2026-03-28 16:00", 2),
        (2, "2026-03-28 12:00", "2026-03-28 22:59", 3),
        (3, "2026-03-28 12:00", "2026-03-28 23:00", 1),  # midnight in Oslo
        (2, "2026-03-29 21:59", "2026-03-29 22:00", 1),  # and in summer time
        (1, "2026-03-28 22:59", "2026-04-03 22:59", 1),
    ],
)
def test_a_later_day_of_the_recipients_begins_a_new_count(sent: int, last: str | None, now: str, count: int) -> None:
    zone = ZoneInfo("Europe/Oslo")
    assert counted(sent, None if last is None else tick(last), tick(now), zone) == count


# ---------------------------------------------------------------- in the house


@pytest.fixture
def world() -> World:
    return house()


def test_the_first_leaves_five_minutes_after_the_oldest_unread_message(world: World) -> None:
    write(world)
    world.wait(4 * MINUTE)
    write(world, "Two", "+2")
    world.wait(MINUTE - 1)
    assert mails(world) == []
    world.wait(1)
    assert len(mails(world)) == 1
    world.wait(DAY)
    assert mails(world) == [], "nothing has come that is in none"


def test_it_says_what_is_unread_in_every_conversation_the_oldest_first(world: World) -> None:
    first, second = write(world), write(world, "Two", "+2")
    world.say("ana", "message.send", conversation=first, text="Hi")
    world.wait(1_000)
    write(world, "Three")
    write(world, "Four")
    world.wait(HOUR)
    (mail,) = mails(world)
    last = {name: world.look(name).last_seq for name in (first, second)}
    assert decode_json(mail.data, Any) == {
        "conversations": [
            {"id": second, "unread": 1, "up_to": last[second]},
            {"id": first, "unread": 2, "up_to": last[first]},
        ],
        "unread": 3,
        "more": 0,
        "time_zone": "Europe/London",
    }
    write(world, "Five")
    world.wait(DAY)
    (mail,) = mails(world)
    assert [item["unread"] for item in decode_json(mail.data, Any)["conversations"]] == [1, 3], "all of it again"


def test_very_many_conversations_are_counted_and_not_all_listed(world: World) -> None:
    for number in range(LISTED_MAX + 2):
        write(world, address=f"+{number}")
    world.wait(HOUR)
    (mail,) = mails(world)
    data = decode_json(mail.data, Any)
    assert (len(data["conversations"]), data["more"], data["unread"]) == (LISTED_MAX, 2, LISTED_MAX + 2)


def test_three_a_day_four_hours_apart_and_again_on_the_next_day(world: World) -> None:
    """09:00 in London: digests at 09:05, 13:05, 17:05, and no more before midnight."""
    left = []
    for minute in range(0, 24 * 60, 5):
        if minute % 30 == 0:
            write(world)
        world.wait(5 * MINUTE)
        left += [minute + 5] * len(mails(world))
    assert left == [5, 4 * 60 + 5, 8 * 60 + 5, 15 * 60, 19 * 60, 23 * 60]


def test_the_next_day_begins_at_midnight_where_the_recipient_is() -> None:
    """In Auckland it is 22:00 at the start: the second leaves at midnight and not only four hours after the first."""
    world = house({"id": "cy"})
    world.say("backend", "agent.put", agent={"id": "ana", "time_zone": "Pacific/Auckland"})
    left = []
    for minute in range(0, 8 * 60, 5):
        if minute % 30 == 0:
            write(world)
        world.wait(5 * MINUTE)
        left += [minute + 5] * len(mails(world))
    assert left == [5, 2 * 60, 6 * 60]


def test_reading_everything_begins_the_count_anew(world: World) -> None:
    for _ in range(5):
        found = write(world)
        world.wait(5 * MINUTE)
        assert len(mails(world)) == 1
        read(world, found)
    world.give()
    assert len(world.core.house.digests) == 0


def test_reading_one_of_two_conversations_does_not(world: World) -> None:
    first = write(world)
    write(world, address="+2")
    world.wait(5 * MINUTE)
    mails(world)
    read(world, first)
    write(world)
    world.wait(4 * HOUR - 1)
    assert mails(world) == []
    world.wait(1)
    assert len(mails(world)) == 1


def test_an_answer_reads_and_so_does_closing_and_being_online_does_not(world: World) -> None:
    first, second = write(world), write(world, address="+2")
    world.wait(4 * MINUTE)
    world.say("ana", "message.send", conversation=first, text="Hi")
    world.say("ana", "conversation.close", conversation=second)
    world.wait(DAY)
    assert mails(world) == []


def test_what_is_read_in_time_is_not_mailed_and_the_rest_waits_for_its_own_five_minutes(world: World) -> None:
    found = write(world)
    seq = world.look(found).last_seq
    world.wait(3 * MINUTE)
    write(world, "Two")
    world.say("ana", "conversation.read", conversation=found, seq=seq)
    world.wait(5 * MINUTE - 1)
    assert mails(world) == []
    world.wait(1)
    assert len(mails(world)) == 1


def test_who_is_not_in_the_crew_gets_none_and_who_leaves_it_neither(world: World) -> None:
    world.say("backend", "agent.put", agent={"id": "bo", "email": "bo@example.org"})
    found = write(world)
    world.say("bo", "conversation.join", conversation=found)
    world.wait(MINUTE)
    world.say("bo", "conversation.leave", conversation=found)
    world.wait(HOUR)
    assert mails(world, "bo@example.org") == []


def test_without_an_address_there_is_none_until_there_is_one(world: World) -> None:
    world.say("backend", "agent.put", agent={"id": "ana", "email": None})
    write(world)
    world.wait(HOUR)
    assert mails(world) == []
    world.say("backend", "agent.put", agent={"id": "ana", "email": "ana@example.org"})
    world.wait(0)
    assert len(mails(world)) == 1


def test_a_workspace_without_mail_writes_none_and_keeps_no_count_of_it() -> None:
    world = World({"services": [service("support", "ana")], "agents": [{"id": "ana", "email": "a@b"}]}, online=["ana"])
    found = write(world)
    world.wait(DAY)
    assert [item for item in world.outgoing if isinstance(item, Mail)] == []
    assert len(world.core.house.digests) == 0
    assert world.say("ana", "conversation.get", conversation=found).conversation.unread == 1


def test_an_unknown_time_zone_counts_as_utc() -> None:
    world = house(time_zone="Nowhere/Land")
    sign_in(world, "nia", "nia@example.org")
    found = world.start("nia", service="support").id
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.wait(5 * MINUTE)
    world.say("ana", "message.send", conversation=found, text="Hi")
    world.wait(DAY)
    assert len(mails(world, "nia@example.org")) == 2

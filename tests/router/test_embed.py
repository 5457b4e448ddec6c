"""The router inside a program: sessions without sockets, over the same codec, rules and commits."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest
import structlog
import trio
from trio.testing import wait_all_tasks_blocked

from protocol.errors import RequestError
from protocol.session import Limits
from router import config as configuration
from router.config import Config, ConfigError
from router.embed import EmbeddedRouter, EmbeddedSession, Notice, SessionEndedError, open_router
from storage.store import StorageUnfit

CONFIG: dict[str, Any] = {
    "services": [{"id": "support", "members": [{"agent": "ana"}]}],
    "agents": [{"id": "ana"}],
}


@pytest.fixture(autouse=True)
def _bounded() -> Any:
    """No test here waits long, and none leaves a thread behind."""
    before = set(threading.enumerate())
    yield
    left = [t.name for t in set(threading.enumerate()) - before if t.name.startswith("signalbox")]
    assert not left, left


def small() -> Config:
    """A house in memory in which ten notices may wait."""
    store = configuration.StoreSettings(url="sqlite:///:memory:")
    return Config(store=store, workspace=configuration.read_workspace(CONFIG), limits=Limits(outbox_notices=10))


async def ana_of(house: EmbeddedRouter) -> EmbeddedSession:
    ana = await house.connect(role="agent", sub="ana")
    await ana.call("agent.set_availability", available=True)
    return ana


async def start(house: EmbeddedRouter, name: str = "nia", text: str = "Hello") -> tuple[EmbeddedSession, str]:
    contact = await house.connect(role="contact", sub=name)
    started = await contact.call("conversation.start", service="support", text=text)
    return contact, started["conversation"]["id"]


async def notice(session: EmbeddedSession, method: str) -> Notice:
    with trio.fail_after(5):
        async for found in session:
            if found.method == method:
                return found
    raise AssertionError(f"the session ended without {method}")


async def test_a_conversation_goes_from_a_contact_to_an_agent_and_back() -> None:
    async with open_router(CONFIG) as house:
        ana = await ana_of(house)
        contact, conversation = await start(house)
        assigned = await notice(ana, "conversation.assigned")
        assert assigned.params["conversation"]["id"] == conversation
        entry = await ana.call("message.send", conversation=conversation, text="Hi")
        for kind in ("created", "message", "message"):
            heard = await notice(contact, "conversation.entry")
            assert heard.params["entry"]["type"] == kind
        assert heard.params == entry


async def test_the_answer_to_open_is_kept() -> None:
    async with open_router(CONFIG) as house:
        ana = await house.connect(role="agent", sub="ana")
        assert (ana.opened["sub"], ana.opened["role"], ana.opened["seq"]) == ("ana", "agent", 0)


async def test_what_is_refused_raises_with_the_reason() -> None:
    async with open_router(CONFIG) as house:
        ana = await ana_of(house)
        with pytest.raises(RequestError) as caught:
            await ana.call("conversation.get", conversation="c1")
        assert (caught.value.code, caught.value.data["reason"]) == (-32000, "not_found")
        assert (await ana.call("agent.get", agent="ana"))["id"] == "ana"


async def test_names_that_python_keeps_for_itself_go_by_mapping() -> None:
    async with open_router(CONFIG) as house:
        ana = await ana_of(house)
        _, conversation = await start(house)
        await ana.call("agent.set_availability", {"class": "email"}, available=False)
        snoozed = await ana.call("conversation.snooze", {"for": "1h"}, conversation=conversation)
        assert snoozed["conversation"]["state"] == "snoozed"


async def test_two_tasks_of_one_session_get_their_own_answers() -> None:
    async with open_router(CONFIG) as house:
        backend = await house.connect(role="backend", sub="crm")
        got: dict[int, str] = {}

        async def put(number: int) -> None:
            got[number] = (await backend.call("agent.put", agent={"id": f"a{number}"}))["id"]

        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(put, number)
        assert got == {number: f"a{number}" for number in range(20)}


async def test_a_call_that_was_given_up_leaves_nothing_behind() -> None:
    async with open_router(CONFIG) as house:
        backend = await house.connect(role="backend", sub="crm")
        with trio.CancelScope() as scope:
            scope.cancel()
            await backend.call("agent.put", agent={"id": "never sent"})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(backend.call, "agent.put", {"agent": {"id": "bo"}})
            while not backend.statistics()["calls"]:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        agents = (await backend.call("agent.list"))["agents"]
        assert [agent["id"] for agent in agents] == ["ana", "bo"]
        assert backend.statistics() == {"calls": 0, "notices": 0}


# ---------------------------------------------------------------- ends


async def test_a_session_that_was_closed_refuses_calls_and_ends_its_iteration() -> None:
    async with open_router(CONFIG) as house:
        async with await house.connect(role="agent", sub="ana") as ana:
            pass
        await ana.close()
        with pytest.raises(SessionEndedError) as caught:
            await ana.call("agent.list")
        assert caught.value.code == 1000
        assert [found async for found in ana] == []
        assert house.driver.hub.statistics() == {"connections": 0, "principals": 0}


async def test_what_was_heard_before_the_end_can_still_be_read() -> None:
    async with open_router(CONFIG) as house:
        contact, _ = await start(house)
        await contact.close()
        assert [found.method async for found in contact][:2] == ["conversation.entry"] * 2


async def test_session_close_is_answered_and_ends_it() -> None:
    async with open_router(CONFIG) as house:
        ana = await house.connect(role="agent", sub="ana")
        assert await ana.call("session.close") == {}
        with pytest.raises(SessionEndedError):
            await ana.call("agent.list")


async def test_the_end_of_the_program_ends_every_session_politely() -> None:
    heard: list[str] = []

    async def listen(session: EmbeddedSession) -> None:
        heard.extend([found.method async for found in session])

    async with trio.open_nursery() as nursery:
        async with open_router(CONFIG) as house:
            ana = await house.connect(role="agent", sub="ana")
            nursery.start_soon(listen, ana)
            await wait_all_tasks_blocked()
        with pytest.raises(SessionEndedError) as caught:
            await ana.call("agent.list")
        assert caught.value.code == 1001
    assert heard[-1] == "session.ending"


async def test_who_does_not_read_notices_is_ended() -> None:
    async with open_router(small()) as house:
        ana = await ana_of(house)
        _, conversation = await start(house)
        backend = await house.connect(role="backend", sub="crm")
        for number in range(20):
            await backend.call("message.send", conversation=conversation, text=f"{number}")
            await notice(backend, "conversation.entry")
        with pytest.raises(SessionEndedError) as caught:
            await ana.call("agent.get", agent="ana")
        assert caught.value.code == 4008
        with pytest.raises(SessionEndedError):
            async for _ in ana:
                pass


async def test_more_missed_entries_than_may_wait_can_be_had_at_a_resume() -> None:
    async with open_router(small()) as house:
        contact, conversation = await start(house)
        await contact.close()
        backend = await house.connect(role="backend", sub="crm")
        for number in range(30):
            await backend.call("message.send", conversation=conversation, text=f"{number}")
            await notice(backend, "conversation.entry")
        back = await house.connect(role="contact", sub="nia", since=2)
        texts = [(await notice(back, "conversation.entry")).params["entry"]["text"] for _ in range(30)]
        assert texts == [f"{number}" for number in range(30)]


async def test_a_connection_that_is_refused_leaves_nothing_behind() -> None:
    async with open_router(CONFIG) as house:
        with pytest.raises(RequestError) as caught:
            await house.connect(role="agent", sub="nobody")
        assert caught.value.data["reason"] == "not_found"
        assert house.driver.hub.statistics() == {"connections": 0, "principals": 0}


async def test_a_connection_that_was_given_up_leaves_nothing_behind() -> None:
    async with open_router(CONFIG) as house:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(house.connect, role="agent", sub="ana"))
            while not len(house.driver.hub):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert house.driver.hub.statistics() == {"connections": 0, "principals": 0}


async def test_a_ticket_opens_one_session() -> None:
    async with open_router(CONFIG) as house:
        ana = await house.connect(role="agent", sub="ana")
        with pytest.raises(RequestError) as caught:
            await ana.call("session.refresh", token="guessed")
        assert caught.value.data["reason"] == "unauthenticated"
        assert (await ana.call("agent.get", agent="ana"))["id"] == "ana"


# ---------------------------------------------------------------- configuration and store


async def test_a_house_goes_on_where_it_stopped(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/house.db"
    async with open_router(CONFIG, store=url) as house:
        contact, conversation = await start(house)
        seq = (await contact.call("conversation.get", conversation=conversation))["entries"][-1]["seq"]
    async with open_router(CONFIG, store=url) as house:
        contact = await house.connect(role="contact", sub="nia", since=seq - 1)
        assert (await notice(contact, "conversation.entry")).params["entry"]["seq"] == seq


async def test_the_configuration_may_be_a_file(tmp_path: Path) -> None:
    file = tmp_path / "house.toml"
    file.write_text(f'[store]\nurl = "sqlite:///{tmp_path}/house.db"\n[[agents]]\nid = "bo"\n')
    async with open_router(file) as house:
        backend = await house.connect(role="backend", sub="crm")
        assert [agent["id"] for agent in (await backend.call("agent.list"))["agents"]] == ["bo"]
    assert (tmp_path / "house.db").exists()


@pytest.mark.parametrize("wrong", [{"agnets": []}, {"services": [{"id": 7}]}])
async def test_a_wrong_configuration_is_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        async with open_router(wrong):
            pass


async def test_without_a_configuration_the_house_is_empty() -> None:
    async with open_router() as house:
        backend = await house.connect(role="backend", sub="crm")
        assert await backend.call("service.list") == {"services": []}


async def test_a_store_that_cannot_be_loaded_is_told_and_let_go(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/house.db"
    async with open_router(CONFIG, store=url):
        pass
    connection = apsw.Connection(f"{tmp_path}/house.db")
    connection.execute("UPDATE agents SET settings = '{'")
    connection.close()
    with pytest.raises(StorageUnfit):
        async with open_router(CONFIG, store=url):
            pass


async def test_what_the_program_raises_comes_out() -> None:
    with pytest.RaisesGroup(ValueError):
        async with open_router(CONFIG) as house:
            await house.connect(role="agent", sub="ana")
            raise ValueError("the program's own")


# ---------------------------------------------------------------- links


async def test_links_are_made_of_chance_admit_and_stand_in_no_log() -> None:
    with structlog.testing.capture_logs() as log:
        async with open_router(CONFIG) as house, await house.connect(role="agent", sub="ana") as ana:
            made = [(await ana.call("conversation.create", name="x", by_link=True))["conversation"] for _ in range(2)]
            links = [found["link"] for found in made]
            async with await house.connect(role="contact", sub="nia") as nia:
                joined = await nia.call("conversation.join_link", link=links[0])
                assert joined["conversation"]["id"] == made[0]["id"]
                await ana.call("conversation.update", conversation=made[1]["id"], by_link=False)
                with pytest.raises(RequestError, match="no such link"):
                    await nia.call("conversation.join_link", link=links[1])
    assert len({*links}) == 2
    assert all(len(link) >= 32 for link in links)
    assert not any(link in repr(line) for link in links for line in log)


async def test_whose_contact_is_merged_is_sent_away_and_comes_back_as_the_other() -> None:
    async with open_router(CONFIG) as house, await house.connect(role="backend", sub="b") as backend:
        old = await house.connect(role="contact", sub="old")
        found = await old.call("conversation.start", service="support", text="Hello")
        await backend.call("conversation.start", service="support", channel="scheduler", contact="new")
        await backend.call("contact.merge", contact="old", into="new")
        with pytest.raises(SessionEndedError) as ended:
            await old.call("conversation.list")
        assert ended.value.code == 1001
        async with await house.connect(role="contact", sub="old") as again:
            assert again.opened["sub"] == "new"
            listed = await again.call("conversation.list")
            assert found["conversation"]["id"] in [item["id"] for item in listed["items"]]
            await backend.call("message.send", conversation=found["conversation"]["id"], text="Hello again")
            while (notice := await anext(again)).method != "conversation.entry":
                pass
            assert notice.params["entry"]["text"] == "Hello again"

import errno
import socket

import pytest
import structlog
import trio
from network import Peer, head, house, until
from trio.testing import wait_all_tasks_blocked

from router.listener import SPARE_MAX, Listener, open_listeners, port_of
from router.metrics import Metrics


class Failing:
    """A listening socket whose ``accept`` first raises what it is told."""

    def __init__(self, listener: trio.SocketListener, *problems: OSError) -> None:
        self.socket = listener.socket
        self._listener = listener
        self._problems = list(problems)

    async def accept(self) -> trio.SocketStream:
        if self._problems:
            raise self._problems.pop(0)
        return await self._listener.accept()

    async def aclose(self) -> None:
        await self._listener.aclose()


async def echo(stream: trio.SocketStream, full: bool) -> None:
    await stream.send_all(b"full" if full else b"hello")
    while data := await stream.receive_some():
        if data == b"fail":
            raise RuntimeError("secret words")
        if data == b"fail twice":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep, 0)
                raise KeyError("secret words")
        await stream.send_all(data)


class Served:
    def __init__(self, **settings: int) -> None:
        self.metrics = Metrics()
        self.listener = Listener(echo, self.metrics, **settings)
        self.port = 0

    async def start(self, nursery: trio.Nursery, *problems: OSError) -> "Served":
        listeners = await open_listeners(["127.0.0.1"], 0)
        self.port = port_of(listeners)
        await nursery.start(self.listener.serve, [Failing(each, *problems) for each in listeners])
        return self

    async def client(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def greeted(self) -> trio.SocketStream:
        client = await self.client()
        assert await client.receive_some() == b"hello"
        return client


async def works(client: trio.SocketStream) -> None:
    await client.send_all(b"still there?")
    assert await client.receive_some() == b"still there?"


@pytest.mark.parametrize("how", [b"fail", b"fail twice"])
async def test_a_handler_that_raises_ends_only_its_own_connection(nursery, how):
    served = await Served().start(nursery)
    good, bad = await served.greeted(), await served.greeted()
    with structlog.testing.capture_logs() as log:
        await bad.send_all(how)
        assert await bad.receive_some() == b""
    assert [entry["event"] for entry in log] == ["listener.connection_failed"]
    assert len(log[0]["incident"]) == 8
    assert "secret" not in str(log)
    await works(good)
    await works(await served.greeted())


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ECONNABORTED])
async def test_accept_errors_are_waited_out(autojump_clock, nursery, number):
    with structlog.testing.capture_logs() as log:
        served = await Served().start(nursery, OSError(number, ""), OSError(number, ""))
        started = trio.current_time()
        await trio.sleep(1)
        await works(await served.greeted())
    assert len(log) == 1  # once an episode
    assert trio.current_time() - started < 2


async def test_connections_beyond_the_cap_are_told_that_it_is_full(nursery):
    served = await Served(connections_max=2).start(nursery)
    first, second, third = [await served.client() for _ in range(3)]
    assert [await each.receive_some() for each in (first, second, third)] == [b"hello", b"hello", b"full"]
    await first.aclose()
    await third.aclose()
    await until(lambda: served.listener.statistics() == {"open": 1, "max": 2})
    await works(await served.greeted())
    assert served.metrics.connections_open == 2


async def test_connections_far_beyond_the_cap_are_dropped(nursery):
    served = await Served(connections_max=0).start(nursery)
    spare = [await served.client() for _ in range(SPARE_MAX)]
    assert [await each.receive_some() for each in spare] == [b"full"] * SPARE_MAX
    assert await (await served.client()).receive_some() == b""
    assert b'refused_total{reason="overload"} 1.0' in served.metrics.text()


async def test_a_full_house_answers_upgrades_with_503_and_pages_as_ever():
    async with house(connections_max=1) as built:
        good = await (await built.raw()).opened()
        late = await built.plain()
        await late.send(head())
        answer = await late.everything()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 5\r\n" in answer
        page = await built.plain()
        await page.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await page.everything()).startswith(b"HTTP/1.1 200 ")
        await good.works()
        assert b'refused_total{reason="full"} 1.0' in built.metrics.text()


async def test_after_stop_the_port_is_closed_and_connections_live_on(nursery):
    served = await Served().start(nursery)
    client = await served.greeted()
    served.listener.stop()
    await wait_all_tasks_blocked()
    with pytest.raises(OSError, match="all attempts"):
        await served.client()
    await works(client)


async def test_draining_ends_when_the_last_connection_is_gone(nursery):
    served = await Served().start(nursery)
    client = await served.greeted()
    nursery.start_soon(client.aclose)
    with trio.fail_after(5):
        await served.listener.drain(60)
    assert served.metrics.connections_open == 0


async def test_draining_aborts_whoever_stays_too_long(autojump_clock, nursery):
    served = await Served().start(nursery)
    client = await served.greeted()
    started = trio.current_time()
    await served.listener.drain(7)
    assert trio.current_time() - started == pytest.approx(7, abs=0.5)
    assert await Peer(client).everything() == b""


async def test_serve_returns_when_stopped_and_empty():
    served = Served()
    async with trio.open_nursery() as nursery:
        await served.start(nursery)
        served.listener.stop()
    await served.listener.drain(0)


async def test_draining_what_was_never_served_returns_at_once():
    await Served().listener.drain(60)


async def test_several_addresses_share_one_free_port():
    listeners = await open_listeners(["127.0.0.1", "127.0.0.2"], 0)
    names = [listener.socket.getsockname() for listener in listeners]
    assert [name[0] for name in names] == ["127.0.0.1", "127.0.0.2"]
    assert {name[1] for name in names} == {port_of(listeners)}
    for listener in listeners:
        await listener.aclose()


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing_open():
    with socket.socket() as taken:
        taken.bind(("127.0.0.2", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            await open_listeners(["127.0.0.1", "127.0.0.2"], port)
        for listener in await open_listeners(["127.0.0.1"], port):
            await listener.aclose()


async def test_an_address_this_machine_lacks_is_an_error_if_it_is_the_only_one():
    with pytest.raises(OSError, match="assign"):
        await open_listeners(["192.0.2.1"], 0)

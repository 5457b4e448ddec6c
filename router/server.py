"""Putting the server together, and taking it apart: listen, drive, and drain on a signal.

Deadlines that passed while no server ran fire before sessions are taken: each at its own moment, before anything newer.
Meanwhile pages are answered (``/readyz`` says 503, ``/healthz`` 200) and sessions are told to come back.

SIGTERM or SIGINT: the ports close, sessions hear ``session.ending``, what was taken is committed and
answered, connections close; at most ``shutdown_s``. A second signal quits at once, also if the store hangs. SIGHUP:
keys and certificate are read again, and sessions whose tokens no key vouches for any more are ended; if anything does
not fit, nothing changes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import cache, partial

import msgspec
import structlog
import trio

from protocol.openrpc import document
from protocol.times import Moment
from router import build, garbage
from router.addresses import Addresses
from router.auth import Gate
from router.clock import Clock
from router.config import Config, ConfigError
from router.driver import Driver
from router.files.contents import Folder
from router.files.http import Files
from router.files.tickets import Tickets
from router.files.upkeep import directory, discard, sweep
from router.front import Front
from router.listener import Listener, open_listeners, port_of
from router.mail.mailer import Mailer
from router.metrics import Metrics
from router.pages import Pages
from router.tls import Tls
from router.upgrade import is_allowed
from router.webhooks import Webhooks
from storage.urls import open_store

log = structlog.get_logger("signalbox.server")
RETRY_AFTER_S = 2.0
JITTER = 0.5  # of the first heartbeat: who reconnected together does not beat together
SECOND_SIGNAL = 130  # exit code
PROGRESS_S = 5.0  # between two lines in the log about catching up


async def serve(
    config: Config,
    gate: Gate,
    webhook_secret: bytes | None = None,
    read_gate: Callable[[], Gate] | None = None,
    debug_echo: bool = False,
    mailer: Mailer | None = None,
) -> int:
    """Serve until a signal; the process's exit code. ``read_gate`` reads the keys again (on SIGHUP).

    Raises ConfigError, OSError, StorageUnfit, StorageUnavailable at the start.
    """
    driver = Driver(config.workspace, open_store(config.store.url), gate, config.limits, Clock())
    driver.errands.webhooks, driver.errands.mailer = Webhooks(webhook_secret), mailer
    driver.heartbeat_s = config.server.heartbeat_s
    tls = Tls(config.tls) if config.tls.certificate is not None else None
    contents = Folder(directory(config))
    metrics = Metrics()
    front = _front(config, driver, metrics, contents, tls, debug_echo)
    server = config.server
    listeners = await open_listeners([server.host], server.port)
    if server.http_port is not None and server.http_port != server.port:
        listeners += await open_listeners([server.host], server.http_port)
    listener = Listener(front.handle, metrics, connections_max=server.connections_max, turns_away=front.turns_away)
    with garbage.loading():
        await driver.start()
    log.info("loaded", core=build.core(), **driver.core.house.statistics())
    async with trio.open_nursery() as signals:  # they are heard until the store is closed
        try:
            async with trio.open_nursery() as nursery:
                driver.hub.discard = lambda item: nursery.start_soon(discard, contents, item, driver.submit)
                nursery.start_soon(sweep, contents, driver.read)
                await nursery.start(driver.run)
                await nursery.start(front.run)
                await nursery.start(partial(listener.serve, listeners))
                url = f"{'ws' if tls is None else 'wss'}://{_in_url(server.host)}:{port_of(listeners)}/v1"
                await _catch_up(driver)
                front.draining = False
                stopping: trio.Event = await signals.start(_hear_signals, driver, signals.cancel_scope)
                print(f"signalbox ready on {url}", flush=True)
                nursery.start_soon(_reload_on_hangup, driver, read_gate or (lambda: gate), tls)
                await stopping.wait()
                await _shut_down(driver, front, listener, server.shutdown_s)
                nursery.cancel_scope.cancel()
        finally:
            await driver.close()
        signals.cancel_scope.cancel()
    return SECOND_SIGNAL if driver.abandoned else 0


def _front(
    config: Config, driver: Driver, metrics: Metrics, contents: Folder, tls: Tls | None, debug_echo: bool
) -> Front:
    """What answers connections, with all that it needs; it admits no session yet."""
    addresses, tickets = Addresses(config.limits, config.server.proxies), Tickets(driver.submit)
    driver.observer, driver.hub.shown = metrics, tickets.answered
    files = Files(
        contents,
        driver.verify,
        tickets.ask,
        driver.now,
        bytes_max=config.files.bytes_max,
        types=config.files.types,
        allows_origin=partial(is_allowed, origins=config.server.origins),
    )
    pages = Pages(ready=lambda: _readiness(driver, front), openrpc=_openrpc, metrics=metrics)
    front = Front(
        driver,
        pages,
        metrics,
        room=driver.room,
        origins=config.server.origins,
        addresses=addresses,
        tls=tls,
        head_s=config.server.handshake_s,
        open_s=config.server.open_s,
        heartbeat_s=config.server.heartbeat_s,
        jitter=JITTER,
        debug_echo=debug_echo,
        files=files,
    )
    front.draining = True
    _watch(metrics, driver, addresses)
    metrics.watch("files", lambda: {**files.statistics(), **tickets.statistics()})
    metrics.watch("front", front.statistics)
    return front


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _catch_up(driver: Driver) -> None:
    """Wait until what fell due before the start has fired, and say now and then how far that is."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_tell_progress, driver)
        await driver.settled()
        nursery.cancel_scope.cancel()


async def _tell_progress(driver: Driver) -> None:
    while True:
        await trio.sleep(PROGRESS_S)
        reached = driver.core.house.wheel.now
        log.info(
            "catching up",
            fired=driver.core.fired,
            reached=Moment(reached).text(),
            behind_s=(driver.now() - reached) // 1000,
        )


async def _reload_on_hangup(driver: Driver, read_gate: Callable[[], Gate], tls: Tls | None) -> None:
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        async for _ in signals:
            try:
                gate = read_gate()
                if tls is not None:
                    tls.load()
            except ConfigError as problem:
                log.error("cannot reload", problems=problem.problems)
                continue
            driver.rekey(gate)
            log.info("reloaded", ended=await driver.recheck())


async def _hear_signals(
    driver: Driver, everything: trio.CancelScope, task_status: trio.TaskStatus[trio.Event] = trio.TASK_STATUS_IGNORED
) -> None:
    """Tells of the first signal by an event; the second one ends everything, whatever the store is doing."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        stopping = trio.Event()
        task_status.started(stopping)
        log.info("stopping", signal=signal.Signals(await anext(signals)).name)
        stopping.set()
        await anext(signals)
        log.warning("stopping at once")
        driver.abandon()
        everything.cancel()


async def _shut_down(driver: Driver, front: Front, listener: Listener, shutdown_s: float) -> None:
    """Drain within the limit."""
    front.draining = True
    listener.stop()
    started = trio.current_time()
    await driver.drain("shutdown", RETRY_AFTER_S, limit_s=shutdown_s / 2)  # the other half is for saying goodbye
    await listener.drain(max(0.0, shutdown_s - (trio.current_time() - started)))
    log.info("stopped", **msgspec.structs.asdict(driver.statistics))


def _watch(metrics: Metrics, driver: Driver, addresses: Addresses) -> None:
    metrics.watch("addresses", addresses.statistics)
    metrics.watch("driver", lambda: {**msgspec.structs.asdict(driver.statistics), **driver.queues()})
    metrics.watch("house", driver.core.statistics)
    metrics.watch("hub", driver.hub.statistics)
    metrics.watch("errands", driver.errands.statistics)
    if isinstance(driver.errands.mailer, Mailer):
        metrics.watch("mail", driver.errands.mailer.statistics)


def _readiness(driver: Driver, front: Front) -> tuple[bool, str]:
    if driver.draining:
        return False, "shutting down"
    if front.draining:
        return False, "catching up with what fell due while no server ran"
    if not driver.available:
        return False, "the store takes no changes"
    return True, "ready"


@cache
def _openrpc() -> bytes:
    return msgspec.json.encode(document())

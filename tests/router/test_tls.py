"""TLS with a certificate of the test's own authority: who gets in, how it ends, and how a new certificate comes."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
import trustme
from network import House, Peer, head, house, until

from router.config import ConfigError, TlsSettings
from router.tls import Tls

AUTHORITY = trustme.CA()


def certificate(folder: Path, name: str = "localhost", authority: trustme.CA = AUTHORITY) -> TlsSettings:
    """A certificate and its key, in two files."""
    issued = authority.issue_cert(name)
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return TlsSettings(certificate=str(chain), key=str(key))


def trusting(**settings: Any) -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    for name, value in settings.items():
        setattr(context, name, value)
    return context


async def secure(built: House, context: ssl.SSLContext | None = None, name: str = "localhost") -> Peer:
    """A client that has shaken hands in TLS."""
    plain = await trio.open_tcp_stream("127.0.0.1", built.port)
    stream = trio.SSLStream(plain, context or trusting(), server_hostname=name, https_compatible=True)
    await stream.do_handshake()
    return Peer(stream)


async def test_a_session_over_tls_opens_is_answered_and_says_goodbye(tmp_path: Path) -> None:
    async with house(tls=Tls(certificate(tmp_path))) as built:
        peer = await secure(built)
        await peer.upgrade()
        await peer.opened()
        await peer.works()
        for connection in list(built.desk.connections.values()):
            connection.expire()
        assert await peer.close_code() == 4002
        await until(lambda: not built.desk.connections)
        await until(lambda: built.listener.statistics()["open"] == 0)


async def test_pages_are_answered_over_tls_and_end_as_they_should(tmp_path: Path) -> None:
    async with house(tls=Tls(certificate(tmp_path))) as built:
        peer = await secure(built)
        await peer.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await peer.everything()  # a clean end: raises if it is ragged
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(b"\r\n\r\nok")


async def test_old_versions_are_refused_and_1_2_and_1_3_are_not(tmp_path: Path) -> None:
    async with house(tls=Tls(certificate(tmp_path))) as built:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            peer = await secure(built, trusting(minimum_version=version, maximum_version=version))
            assert await peer.upgrade()
        old = trusting()
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
            await secure(built, old)
        await (await peer.opened()).works()


@pytest.mark.parametrize("sent", [head(), b"\x16\x03\x01\x00\x05hello", b""], ids=["plain HTTP", "nonsense", "nothing"])
async def test_what_is_no_tls_ends_its_own_connection_in_time(tmp_path: Path, sent: bytes) -> None:
    async with house(tls=Tls(certificate(tmp_path)), head_s=0.2) as built:
        good = await secure(built)
        await good.upgrade()
        await good.opened()
        bad = await built.plain()
        if sent:
            await bad.send(sent)
        with trio.fail_after(5):
            try:
                await bad.everything()
            except trio.BrokenResourceError:
                pass
        assert b'refused_total{reason="tls"} 1.0' in built.metrics.text()
        await good.works()


async def test_a_client_that_never_closes_cannot_hold_a_connection(tmp_path: Path) -> None:
    async with house(tls=Tls(certificate(tmp_path)), close_s=0.1) as built:
        peer = await secure(built)
        await peer.upgrade()
        await peer.opened()
        for connection in list(built.desk.connections.values()):
            connection.expire()
        await until(lambda: not built.desk.connections)
        await until(lambda: built.listener.statistics()["open"] == 0)


async def test_new_files_are_for_new_connections_and_old_ones_live_on(tmp_path: Path) -> None:
    tls = Tls(certificate(tmp_path))
    async with house(tls=tls) as built:
        old = await secure(built)
        await old.upgrade()
        await old.opened()
        certificate(tmp_path, "renewed.example.org")
        tls.load()
        new = await secure(built, name="renewed.example.org")
        assert (await new.upgrade()).startswith(b"HTTP/1.1 101 ")
        await old.works()


async def test_files_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    tls = Tls(certificate(tmp_path))
    async with house(tls=tls) as built:
        (tmp_path / "key.pem").write_bytes(trustme.CA().issue_cert("localhost").private_key_pem.bytes())
        with pytest.raises(ConfigError, match="tls: the certificate or its key cannot be used"):
            tls.load()
        assert await (await secure(built)).upgrade()


def test_what_cannot_be_used_is_told_at_the_start(tmp_path: Path) -> None:
    good = certificate(tmp_path)
    for certificate_file, key in (("/nowhere.pem", good.key), (good.certificate, None), (good.key, good.key)):
        with pytest.raises(ConfigError, match="cannot be used"):
            Tls(TlsSettings(certificate=certificate_file, key=key))


def test_certificate_and_key_may_be_one_file(tmp_path: Path) -> None:
    settings = certificate(tmp_path)
    whole = tmp_path / "whole.pem"
    whole.write_bytes(Path(str(settings.key)).read_bytes() + Path(str(settings.certificate)).read_bytes())
    Tls(TlsSettings(certificate=str(whole)))

"""TLS on the server's port: the context from two files, and a stream that ends as politely as a plain one.

TLS 1.2 at least. The files are read again on SIGHUP (``Tls.load``): new connections get the new certificate, those that
are open keep theirs. If the new files do not fit, the old ones go on.
"""

from __future__ import annotations

import ssl

import trio

from router.config import ConfigError, TlsSettings


class Tls:
    """The certificate in use. Raises ConfigError if it cannot be used."""

    def __init__(self, settings: TlsSettings) -> None:
        self._settings = settings
        self.load()

    def load(self) -> None:
        """Read the files, again. Raises ConfigError, and then nothing has changed."""
        settings = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(settings.certificate or "", settings.key or None, password=_no_password)
        except (OSError, ValueError) as problem:  # ssl.SSLError is an OSError
            text = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
            raise ConfigError([f"tls: the certificate or its key cannot be used: {text}"]) from None
        self._context = context

    async def secured(self, stream: trio.SocketStream, limit_s: float) -> TlsStream | None:
        """Shake hands within so many seconds; None if that came to nothing."""
        wrapped = trio.SSLStream(stream, self._context, server_side=True, https_compatible=True)
        with trio.move_on_after(limit_s):
            try:
                await wrapped.do_handshake()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return None
            return TlsStream(stream, wrapped)
        return None


class TlsStream(trio.abc.HalfCloseableStream):
    """An encrypted connection. After ``send_eof`` what still comes is read, unseen, up to its end."""

    def __init__(self, transport: trio.SocketStream, inner: trio.SSLStream[trio.SocketStream]) -> None:
        self.transport = transport
        self._inner = inner
        self._ended = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """As the stream below."""
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What has come; empty at the end."""
        if self._ended:
            return bytes(await self.transport.receive_some(max_bytes))
        return bytes(await self._inner.receive_some(max_bytes))

    async def send_eof(self) -> None:
        """Say that nothing more comes: in TLS, then in TCP."""
        if not self._ended:
            self._ended = True
            try:
                await self._inner.unwrap()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass  # what it sent meanwhile cannot be read any more, but our word is out
            await self.transport.send_eof()

    async def aclose(self) -> None:
        """Close both."""
        await self._inner.aclose()


def socket_of(stream: trio.abc.AsyncResource) -> trio.socket.SocketType | None:
    """The socket under a stream; None if there is none (in memory)."""
    below = stream.transport if isinstance(stream, TlsStream) else stream
    return below.socket if isinstance(below, trio.SocketStream) else None


def _no_password() -> str:
    """A key with a password: there is nobody to ask."""
    raise ValueError("the key is encrypted")

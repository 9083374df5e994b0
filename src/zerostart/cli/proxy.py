"""The proxy of `zerostart run`: AWS's hosts are this installation's server, other hosts are themselves.

SDKs have some of AWS's addresses written into them. A program whose HTTPS_PROXY is this one, and that trusts this
installation's authority, reaches the server under them. It listens on loopback, and only for who knows its password.
"""

import asyncio
import base64
import contextlib
import hmac
import re
import secrets
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from zerostart.certificates import Authority, HostCertificates

_AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "api.aws")
_AWS_HOST = re.compile(rf"(?:[a-z0-9-]+\.)*(?:{'|'.join(map(re.escape, _AWS_DOMAINS))})")
_LONGEST_HEAD_BYTES = 65536
_PIECE_BYTES = 65536
_CONNECT_TIMEOUT_S = 10.0


def is_aws_host(host: str) -> bool:
    """Whether `host` is one of AWS's API hosts."""
    return _AWS_HOST.fullmatch(host.lower()) is not None


def covers_aws_host(pattern: str) -> bool:
    """Whether an entry of NO_PROXY, as the several clients read it, may stand for a host of AWS's."""
    name = pattern.lower().partition(":")[0].lstrip("*.").rstrip(".")
    return "*" in name or any(domain.endswith(name) or name.endswith(domain) for domain in _AWS_DOMAINS)


class Proxy:
    """Runs while its `async with` block does. `server_url` is this installation's; `upstream` a proxy of the user's."""

    def __init__(self, authority: Authority, server_url: str, *, only_aws: bool, upstream: str | None = None) -> None:
        self._certificates = HostCertificates(authority)
        self._server = urlsplit(server_url)
        self._trusted = authority.certificate_pem.decode()
        self._only_aws = only_aws
        self._upstream = urlsplit(upstream) if upstream else None
        self._password = secrets.token_urlsafe(24)
        self._folder = tempfile.TemporaryDirectory()
        self._inner_path = str(Path(self._folder.name) / "tls.sock")
        self._stack = contextlib.AsyncExitStack()
        self.port = 0

    @property
    def url(self) -> str:
        """What HTTPS_PROXY has to be."""
        return f"http://zerostart:{self._password}@127.0.0.1:{self.port}"

    async def __aenter__(self) -> "Proxy":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.sni_callback = self._choose_certificate
        inner = await asyncio.start_unix_server(self._pass_to_server, self._inner_path, ssl=context)
        outer = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_LONGEST_HEAD_BYTES)
        self.port = outer.sockets[0].getsockname()[1]
        self._stack.callback(self._folder.cleanup)
        self._stack.callback(inner.close)
        self._stack.callback(outer.close)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._stack.aclose()

    def _choose_certificate(self, connection: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> int | None:
        if name is None or not is_aws_host(name):
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = self._certificates.context(name.lower())
        return None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request to the proxy: CONNECT HOST:PORT."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            writer.close()
            return
        method, _, rest = head[0].partition(" ")
        host, _, port = rest.partition(" ")[0].rpartition(":")
        if not self._knows_password(head[1:]):
            refusal = "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=zerostart"
        elif method != "CONNECT" or not port.isdecimal():
            refusal = "405 Only CONNECT is served here"
        elif not is_aws_host(host) and self._only_aws:
            refusal = "403 Only hosts of AWS are served here (--only-aws)"
        else:
            await self._tunnel(reader, writer, host.strip("[]"), int(port))
            return
        writer.write(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await _closed(writer)

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                if is_aws_host(host):
                    other = await asyncio.open_unix_connection(self._inner_path)
                else:
                    other = await self._outside(host, port)
        except (OSError, TimeoutError) as error:
            reason = re.sub(r"[^ -~]", " ", str(error))[:200]
            writer.write(f"HTTP/1.1 502 {reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await _closed(writer)
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _joined((reader, writer), other)

    async def _outside(self, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A host that is none of AWS's, through the user's own proxy if there is one."""
        if self._upstream is None:
            return await asyncio.open_connection(host, port)
        proxy = self._upstream
        reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port or 80)
        lines = [f"CONNECT {host}:{port} HTTP/1.1", f"Host: {host}:{port}"]
        if proxy.username:
            pair = f"{proxy.username}:{proxy.password or ''}".encode()
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}")
        writer.write("\r\n".join([*lines, "", ""]).encode())
        try:
            answer = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            answer = "nothing that a proxy answers"
        if " 200" not in answer:
            writer.close()
            raise OSError(f"the proxy {proxy.hostname} answered {answer}")
        return reader, writer

    async def _pass_to_server(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A decrypted connection to one of AWS's hosts: its bytes go to the server, which checks who sent them."""
        context: ssl.SSLContext | None = None
        if self._server.scheme == "https":
            context = ssl.create_default_context()
            context.load_verify_locations(cadata=self._trusted)
        try:
            other = await asyncio.open_connection(
                self._server.hostname, self._server.port or (443 if context else 80), ssl=context
            )
        except OSError:
            writer.close()
            return
        await _joined((reader, writer), other)

    def _knows_password(self, headers: list[str]) -> bool:
        expected = "basic " + base64.b64encode(f"zerostart:{self._password}".encode()).decode()
        for line in headers:
            name, _, value = line.partition(":")
            if name.strip().lower() == "proxy-authorization":
                scheme, _, given = value.strip().partition(" ")
                return hmac.compare_digest(f"{scheme.lower()} {given.strip()}".encode(), expected.encode())
        return False


_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _joined(one: _Stream, other: _Stream) -> None:
    """Pass bytes both ways until both sides ended."""
    await asyncio.gather(_copied(one[0], other[1]), _copied(other[0], one[1]))


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE_BYTES):
            writer.write(piece)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    finally:
        await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    closing: Callable[[], None] = writer.close
    closing()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()

"""Bodies of S3 requests as they stream in: signed as a whole, in chunks or not at all, with checksums before or behind.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
"""

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from awscrt import checksums
from starlette.requests import Request

from zerostart.server.aws.s3.authentication import UNSIGNED_PAYLOAD, Signer, chunk_signature, trailer_signature
from zerostart.server.aws.s3.errors import S3Error
from zerostart.storage.base import LARGEST_OBJECT_BYTES

_LONGEST_LINE_BYTES = 8192
_LARGEST_SIGNED_CHUNK_BYTES = 16 * 1024 * 1024
_HASH = re.compile(r"[0-9a-f]{64}")
_NOT_SUPPORTED = ("md5", "sha512", "xxhash3", "xxhash64", "xxhash128")


class _Digest(Protocol):
    def update(self, content: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A running checksum of so many bytes in the form of a hash."""

    def __init__(self, continued: Callable[[bytes, int], int], size: int) -> None:
        self._continued = continued
        self._size = size
        self._value = 0

    def update(self, content: bytes, /) -> None:
        """Go on with `content`."""
        self._value = self._continued(content, self._value)

    def digest(self) -> bytes:
        """The checksum, most significant byte first."""
        return self._value.to_bytes(self._size, "big")


_ALGORITHMS: Mapping[str, Callable[[], _Digest]] = {
    "crc32": lambda: _Crc(zlib.crc32, 4),
    "crc32c": lambda: _Crc(checksums.crc32c, 4),
    "crc64nvme": lambda: _Crc(checksums.crc64nvme, 8),
    "sha1": lambda: hashlib.sha1(usedforsecurity=False),
    "sha256": hashlib.sha256,
}


class Body:
    """The decoded body of a request. After the last piece everything that was stated about it has been compared."""

    def __init__(self, request: Request, signer: Signer) -> None:
        self.checksums: dict[str, str] = {}
        self._request = request
        self._signer = signer
        self._headers = request.headers
        self._stated = _stated_checksums(request.headers)
        names = {*self._stated, *_announced(request.headers.get("x-amz-trailer", ""))}
        self._digests = {name: _ALGORITHMS[name]() for name in names}
        self._md5 = hashlib.md5(usedforsecurity=False) if "content-md5" in request.headers else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The content. Raises S3Error if it is not what was stated, which is only known at its end."""
        size = 0
        async for piece in self._decoded():
            size += len(piece)
            if size > LARGEST_OBJECT_BYTES:
                raise S3Error("EntityTooLarge", f"At most {LARGEST_OBJECT_BYTES} bytes: use a multipart upload.")
            for digest in self._digests.values():
                digest.update(piece)
            if self._md5 is not None:
                self._md5.update(piece)
            yield piece
        self._compare(size)

    async def whole(self, limit_bytes: int) -> bytes:
        """All of a small body."""
        content = bytearray()
        async for piece in self.pieces():
            content += piece
            if len(content) > limit_bytes:
                raise S3Error("MalformedXML", f"The body has more than {limit_bytes} bytes.")
        return bytes(content)

    def _decoded(self) -> AsyncIterator[bytes]:
        payload = self._signer.payload
        if payload == UNSIGNED_PAYLOAD:
            return self._request.stream()
        if _HASH.fullmatch(payload):
            return self._hashed(payload)
        if payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER":
            return self._chunked(signed=False)
        if payload in {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"}:
            return self._chunked(signed=True)
        raise S3Error("InvalidArgument", f"x-amz-content-sha256 {payload[:60]!r} is not known.")

    async def _hashed(self, stated: str) -> AsyncIterator[bytes]:
        digest = hashlib.sha256()
        async for piece in self._request.stream():
            digest.update(piece)
            yield piece
        if digest.hexdigest() != stated:
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )

    async def _chunked(self, *, signed: bool) -> AsyncIterator[bytes]:
        stream = _Lines(self._request.stream())
        signature = self._signer.seed_signature
        while True:
            size, given = _chunk_head(await stream.line())
            if signed:
                if size > _LARGEST_SIGNED_CHUNK_BYTES:
                    raise S3Error("InvalidRequest", f"A signed chunk may have {_LARGEST_SIGNED_CHUNK_BYTES} bytes.")
                chunk = b"".join([piece async for piece in stream.take(size)])
                signature = _same(chunk_signature(self._signer, signature, chunk), given)
                if chunk:
                    yield chunk
            else:
                async for piece in stream.take(size):
                    yield piece
            if size == 0:
                break
            await stream.end_of_chunk()
        await self._trailers(stream, signature, signed=signed)

    async def _trailers(self, stream: "_Lines", signature: str, *, signed: bool) -> None:
        signed_text = b""
        given: str | None = None
        while line := await stream.line(end_is_empty=True):
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            if name == "x-amz-trailer-signature":
                given = value
            else:
                signed_text += f"{name}:{value}\n".encode()
                if name.startswith("x-amz-checksum-"):
                    self._stated[name.removeprefix("x-amz-checksum-")] = value
        if signed and self._signer.payload.endswith("-TRAILER"):
            _same(trailer_signature(self._signer, signature, signed_text), given)

    def _compare(self, size: int) -> None:
        length = self._headers.get("x-amz-decoded-content-length")
        if length is not None and length != str(size):
            raise S3Error("IncompleteBody", f"x-amz-decoded-content-length is {length[:20]}, and {size} bytes came.")
        for name, digest in self._digests.items():
            computed = base64.b64encode(digest.digest()).decode()
            stated = self._stated.get(name)
            if stated is None:
                raise S3Error("InvalidRequest", f"The trailer x-amz-checksum-{name} was announced and did not come.")
            if stated != computed:
                raise S3Error("BadDigest", f"The {name.upper()} you specified did not match what we received.")
            self.checksums[name.upper()] = computed
        if self._md5 is not None:
            try:
                stated_md5 = base64.b64decode(self._headers["content-md5"], validate=True)
            except binascii.Error:
                raise S3Error("InvalidArgument", "The Content-MD5 you specified is not valid.") from None
            if stated_md5 != self._md5.digest():
                raise S3Error("BadDigest", "The Content-MD5 you specified did not match what we received.")


class _Lines:
    """Lines and counted pieces of a stream."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._buffer = b""

    async def line(self, *, end_is_empty: bool = False) -> str:
        """The next line without its end."""
        while b"\r\n" not in self._buffer:
            if len(self._buffer) > _LONGEST_LINE_BYTES:
                raise S3Error("InvalidRequest", "A line of the aws-chunked body is too long.")
            if not await self._more():
                if end_is_empty and not self._buffer:
                    return ""
                raise _incomplete()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("latin-1")

    async def take(self, size: int) -> AsyncIterator[bytes]:
        """The next `size` bytes."""
        while size:
            if not self._buffer and not await self._more():
                raise _incomplete()
            piece, self._buffer = self._buffer[:size], self._buffer[size:]
            size -= len(piece)
            yield piece

    async def end_of_chunk(self) -> None:
        """Pass over the line end behind a chunk."""
        if await self.line():
            raise S3Error("InvalidRequest", "A chunk of the aws-chunked body is longer than its size.")

    async def _more(self) -> bool:
        async for piece in self._stream:
            if piece:
                self._buffer += piece
                return True
        return False


def _chunk_head(line: str) -> tuple[int, str | None]:
    size, _, rest = line.partition(";")
    if not re.fullmatch(r"[0-9a-fA-F]{1,16}", size.strip()):
        raise S3Error("InvalidRequest", f"The aws-chunked body has {line[:40]!r} where a chunk's size should be.")
    return int(size, 16), rest.removeprefix("chunk-signature=") if rest else None


def _same(expected: str, given: str | None) -> str:
    if given != expected:
        raise S3Error("SignatureDoesNotMatch", "The signature of a chunk does not match what we calculated.")
    return expected


def _stated_checksums(headers: Mapping[str, str]) -> dict[str, str]:
    stated = {}
    for name, value in headers.items():
        if name.startswith("x-amz-checksum-") and name.removeprefix("x-amz-checksum-") not in {
            "algorithm",
            "mode",
            "type",
        }:
            stated[_supported(name.removeprefix("x-amz-checksum-"))] = value
    return stated


def _announced(trailer: str) -> list[str]:
    names = [each.strip().lower() for each in trailer.split(",") if each.strip()]
    return [_supported(each.removeprefix("x-amz-checksum-")) for each in names if each.startswith("x-amz-checksum-")]


def _supported(algorithm: str) -> str:
    if algorithm not in _ALGORITHMS:
        known = ", ".join(name.upper() for name in _ALGORITHMS)
        what = "not supported" if algorithm in _NOT_SUPPORTED else "not known"
        raise S3Error("InvalidRequest", f"Checksum algorithm {algorithm[:20].upper()} is {what}: use one of {known}.")
    return algorithm


def _incomplete() -> S3Error:
    return S3Error("IncompleteBody", "You did not provide the number of bytes that the aws-chunked body announced.")

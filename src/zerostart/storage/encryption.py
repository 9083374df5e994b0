"""Segments: files of encrypted content that are written once and never change.

AES-256-GCM in chunks of 64 KiB, in the STREAM construction (Hoang et al., CRYPTO 2015): every segment has
a random key of its own, a chunk's nonce is its number and whether it is the last, so that a chunk that is altered,
moved, repeated or cut off is noticed. The segment's key lies in its header, wrapped by a key of this installation.
"""

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from zerostart.errors import Corrupted

CHUNK_BYTES = 64 * 1024
_TAG_BYTES = 16
_MAGIC = b"ZSO1"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_NAME_BYTES = 16
_HEADER_BYTES = len(_MAGIC) + _NAME_BYTES + _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_CHUNKS_A_READ = 16


class KeyRing:
    """The keys of this installation, one file each, readable by this user alone. A key is made when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def name_of(self, alias: str) -> bytes:
        """What a header calls the key of that alias, 16 bytes."""
        return hashlib.sha256(alias.encode()).digest()[:_NAME_BYTES]

    def key(self, name: bytes, *, make: bool = False) -> bytes:
        """The key of that name. Raises Corrupted if there is none and it is not to be made."""
        path = self._folder / f"{name.hex()}.key"
        if make and not path.exists():
            self._make(path)
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            raise Corrupted(f"The key {path} is gone: what it encrypted cannot be read without it.") from None
        if len(key) != _KEY_BYTES:
            raise Corrupted(f"{path} is not a key of {_KEY_BYTES} bytes.")
        return key

    def _make(self, path: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=self._folder)  # 0600 from the first byte
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o600)
            try:
                path.hardlink_to(name)  # whole, and never over the key that another one just made
            except FileExistsError:
                return
            sync_folder(self._folder)
        finally:
            Path(name).unlink()


class SegmentWriter:
    """Encrypts what is written into a new file. Call `finish`, or the file is removed at the end of the `with`."""

    def __init__(self, path: Path, ring: KeyRing, alias: str) -> None:
        self.size = 0
        self._path = path
        self._pending = bytearray()
        self._number = 0
        self._finished = False
        key, nonce, name = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_NONCE_BYTES), ring.name_of(alias)
        self._cipher = AESGCM(key)
        wrapped = AESGCM(ring.key(name, make=True)).encrypt(nonce, key, path.name.encode())
        if not path.parent.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            sync_folder(path.parent.parent)
        self._file: IO[bytes] = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._file.write(_MAGIC + name + nonce + wrapped)

    def write(self, content: bytes) -> None:
        """Append."""
        self.size += len(content)
        self._pending += content
        if len(self._pending) <= CHUNK_BYTES:
            return
        view, start = memoryview(bytes(self._pending)), 0
        while len(view) - start > CHUNK_BYTES:  # at least a byte is kept back for the chunk that is marked as the last
            self._seal(view[start : start + CHUNK_BYTES], last=False)
            start += CHUNK_BYTES
        self._pending = bytearray(view[start:])

    def finish(self) -> None:
        """Write the last chunk; the file is on disk when this returns."""
        self._seal(memoryview(bytes(self._pending)), last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        sync_folder(self._path.parent)
        self._finished = True

    def discard(self) -> None:
        """Remove the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            self.discard()

    def _seal(self, chunk: memoryview, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._number, last=last), chunk, None))
        self._number += 1


def read_segment(path: Path, ring: KeyRing, size: int, first: int, last: int) -> Iterator[bytes]:
    """The bytes `first` to `last`, both included, of a segment of `size` bytes. Raises Corrupted."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise Corrupted(f"{path} is gone.") from None
    with file:
        cipher = _opened(file, path, ring)
        final = max(0, (size - 1) // CHUNK_BYTES)
        number = first // CHUNK_BYTES
        file.seek(_HEADER_BYTES + number * (CHUNK_BYTES + _TAG_BYTES))
        while number <= last // CHUNK_BYTES:
            content = bytearray()
            for _ in range(_CHUNKS_A_READ):
                if number > last // CHUNK_BYTES:
                    break
                content += _unsealed(cipher, file, path, number, last=number == final)
                number += 1
            start = (number * CHUNK_BYTES) - _whole(len(content))
            yield bytes(content[max(0, first - start) : last + 1 - start])


def _whole(length: int) -> int:
    """`length` rounded up to chunks."""
    return -(-length // CHUNK_BYTES) * CHUNK_BYTES


def _opened(file: IO[bytes], path: Path, ring: KeyRing) -> AESGCM:
    header = file.read(_HEADER_BYTES)
    if len(header) != _HEADER_BYTES or not header.startswith(_MAGIC):
        raise Corrupted(f"{path} is not a segment of an object.")
    rest = header[len(_MAGIC) :]
    name, nonce, wrapped = rest[:_NAME_BYTES], rest[_NAME_BYTES:][:_NONCE_BYTES], rest[_NAME_BYTES + _NONCE_BYTES :]
    try:
        return AESGCM(AESGCM(ring.key(name)).decrypt(nonce, wrapped, path.name.encode()))
    except InvalidTag:
        raise Corrupted(f"{path} was altered.") from None


def _unsealed(cipher: AESGCM, file: IO[bytes], path: Path, number: int, *, last: bool) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, last=last), file.read(CHUNK_BYTES + _TAG_BYTES), None)
    except InvalidTag:
        raise Corrupted(f"{path} was altered in its chunk {number}.") from None


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(_NONCE_BYTES - 1, "big") + (b"\x01" if last else b"\x00")


def sync_folder(folder: Path) -> None:
    """Have the folder's entries on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

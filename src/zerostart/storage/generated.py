"""Buckets whose objects are computed."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import PurePosixPath
from typing import Protocol

from zerostart.errors import UnknownObject
from zerostart.storage.base import ObjectAttributes, StoredBucket, StoredObject

_CONTENT_TYPES = {".json": "application/json", ".csv": "text/csv; charset=utf-8"}


class GeneratedBucket(Protocol):
    """A bucket whose objects are computed, and which nobody can write to."""

    def serves(self, bucket: str) -> bool:
        """Whether `bucket` is one of its names."""
        ...

    def keys(self, bucket: str) -> Sequence[str]:
        """Every key, sorted."""
        ...

    def read(self, bucket: str, key: str) -> bytes | None:
        """The object's content; None if there is none."""
        ...


class GeneratedReader:
    """A computed object that is read."""

    def __init__(self, stored: StoredObject, content: bytes) -> None:
        self.stored = stored
        self._content = content

    def chunks(self, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The bytes from `first` to `last`, both included."""
        yield self._content[first : None if last is None else last + 1]

    def close(self) -> None:
        """Nothing is held."""


class GeneratedObjects:
    """The reading half of an object store, over a generated bucket. Its objects are as old as this program's start."""

    def __init__(self, generated: GeneratedBucket) -> None:
        self._generated = generated
        self._made_at = datetime.now(UTC).replace(microsecond=0)

    def serves(self, bucket: str) -> bool:
        """Whether `bucket` is computed."""
        return self._generated.serves(bucket)

    def bucket(self, bucket: str) -> StoredBucket:
        """The bucket."""
        return StoredBucket(bucket, self._made_at)

    def open(self, bucket: str, key: str) -> GeneratedReader:
        """An object to read. Raises UnknownObject."""
        content = self._generated.read(bucket, key)
        if content is None:
            raise UnknownObject("The specified key does not exist.")
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        kind = _CONTENT_TYPES.get(PurePosixPath(key).suffix, "application/octet-stream")
        stored = StoredObject(bucket, key, len(content), etag, self._made_at, ObjectAttributes(content_type=kind))
        return GeneratedReader(stored, content)

    def head(self, bucket: str, key: str) -> StoredObject:
        """An object without its content. Raises UnknownObject."""
        return self.open(bucket, key).stored

    def list(self, bucket: str, prefix: str = "", start: bytes = b"", limit: int = 1000) -> Sequence[StoredObject]:
        """Objects with that prefix, from `start` on."""
        keys = (key for key in self._generated.keys(bucket) if key.startswith(prefix) and key.encode() >= start)
        return [self.head(bucket, key) for key in islice(keys, limit)]

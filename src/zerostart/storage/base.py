"""The contract of an object store: buckets of objects, written whole or not at all, streamed both ways."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Protocol, Self

from zerostart.errors import InvalidInput

DEFAULT_CONTENT_TYPE = "binary/octet-stream"
LONGEST_KEY_BYTES = 1024
LARGEST_OBJECT_BYTES = 5 * 1024**3  # that is written at once; S3's limit


@dataclass(frozen=True)
class ObjectAttributes:
    """What is kept beside an object's content.

    `headers` are the other standard ones (Cache-Control, Content-Encoding, ...), `checksums` base64 values by S3's name
    of the algorithm (CRC32, SHA256). `kms_key_id` names the key that the content is encrypted with; None is the
    installation's own.
    """

    content_type: str = DEFAULT_CONTENT_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    kms_key_id: str | None = None


@dataclass(frozen=True)
class StoredObject:
    """An object; `size` in bytes, `etag` without quotation marks."""

    bucket: str
    key: str
    size: int
    etag: str
    modified_at: datetime
    attributes: ObjectAttributes


@dataclass(frozen=True)
class StoredBucket:
    """A bucket."""

    name: str
    created_at: datetime


@dataclass(frozen=True)
class Condition:
    """When a write may take place: `if_match` the present ETag (`*`: any), or `if_absent` no object of that key."""

    if_match: str | None = None
    if_absent: bool = False


ALWAYS = Condition()


@dataclass(frozen=True)
class Upload:
    """A multipart upload in progress."""

    id: str
    bucket: str
    key: str
    created_at: datetime
    attributes: ObjectAttributes


@dataclass(frozen=True)
class Part:
    """A part of a multipart upload; `size` in bytes."""

    number: int
    size: int
    etag: str
    modified_at: datetime


class ObjectWriter(Protocol):
    """An object that is being written. Leaving its `with` block without `commit` leaves nothing behind."""

    def write(self, content: bytes) -> None:
        """Append."""
        ...

    def commit(self, condition: Condition = ALWAYS, checksums: Mapping[str, str] | None = None) -> StoredObject:
        """Make it the object of its key, at once and durably. Raises PreconditionFailed."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PartWriter(Protocol):
    """A part that is being written."""

    def write(self, content: bytes) -> None:
        """Append."""
        ...

    def commit(self) -> Part:
        """Make it the part of its number. Raises NotFound for an upload that ended meanwhile."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ObjectReader(Protocol):
    """An object as it was when it was opened; if it is replaced meanwhile, that one or an error. Close it."""

    stored: StoredObject

    def chunks(self, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The bytes from `first` to `last`, both included, in pieces of about a mebibyte."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class ObjectStore(Protocol):
    """Buckets and objects. Everything raises NotFound for a bucket or object that is not there."""

    def create_bucket(self, bucket: str) -> None:
        """Raises AlreadyExists, and InvalidInput for a name that S3 does not allow."""
        ...

    def bucket(self, bucket: str) -> StoredBucket:
        """The bucket of that name."""
        ...

    def buckets(self) -> Sequence[StoredBucket]:
        """Every bucket, by name."""
        ...

    def delete_bucket(self, bucket: str) -> None:
        """Raises NotEmpty."""
        ...

    def head(self, bucket: str, key: str) -> StoredObject:
        """An object without its content."""
        ...

    def open(self, bucket: str, key: str) -> ObjectReader:
        """An object to read."""
        ...

    def writer(self, bucket: str, key: str, attributes: ObjectAttributes) -> ObjectWriter:
        """An object to write. Raises InvalidInput for a key that S3 does not allow."""
        ...

    def delete(self, bucket: str, key: str, condition: Condition = ALWAYS) -> None:
        """Remove an object; nothing happens when it is not there. Raises PreconditionFailed."""
        ...

    def list(self, bucket: str, prefix: str = "", start: bytes = b"", limit: int = 1000) -> Sequence[StoredObject]:
        """Objects with that prefix whose keys, as UTF-8, are `start` or after it, in that order."""
        ...

    def create_upload(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        """Begin a multipart upload."""
        ...

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """A multipart upload. Raises NotFound."""
        ...

    def uploads(self, bucket: str) -> Sequence[Upload]:
        """The multipart uploads of a bucket, by key."""
        ...

    def part_writer(self, upload: Upload, number: int) -> PartWriter:
        """A part to write."""
        ...

    def parts(self, upload: Upload) -> Sequence[Part]:
        """The parts of an upload, by number."""
        ...

    def complete_upload(
        self, upload: Upload, parts: Sequence[tuple[int, str]], condition: Condition = ALWAYS
    ) -> StoredObject:
        """Make the parts with these numbers and ETags one object. Raises InvalidPart, PartTooSmall."""
        ...

    def abort_upload(self, upload: Upload) -> None:
        """Drop an upload and its parts."""
        ...


def check_key(key: str) -> None:
    """Raise InvalidInput for a key that S3 does not allow."""
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise InvalidInput("The key is not valid UTF-8.") from None
    if not 1 <= length <= LONGEST_KEY_BYTES:
        raise InvalidInput(f"Your key is too long: it has {length} bytes, and may have 1 to {LONGEST_KEY_BYTES}.")


def read_bytes(store: ObjectStore, bucket: str, key: str, limit_bytes: int) -> bytes:
    """The whole content of an object. Raises NotFound, and InvalidInput for one over the limit."""
    reader = store.open(bucket, key)
    try:
        if reader.stored.size > limit_bytes:
            raise InvalidInput(
                f"s3://{bucket}/{key} has {reader.stored.size} bytes; at most {limit_bytes} are read here."
            )
        return b"".join(reader.chunks())
    finally:
        reader.close()


def write_bytes(
    store: ObjectStore, bucket: str, key: str, content: bytes, attributes: ObjectAttributes | None = None
) -> StoredObject:
    """Write an object at once."""
    with store.writer(bucket, key, attributes or ObjectAttributes()) as writer:
        writer.write(content)
        return writer.commit()


def parse_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`. Raises InvalidInput."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise InvalidInput(f"{uri[:200]!r} is not of the form s3://bucket/key.")
    return bucket, key

"""The local object store: rows say which objects there are, encrypted segment files hold their content.

No part of a bucket's name or a key is ever a path. A segment that no row names, left by a program that was killed
between the two, is removed at the next start.
"""

import hashlib
import re
import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection

from zerostart.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidPart,
    NotEmpty,
    PartTooSmall,
    PreconditionFailed,
    UnknownBucket,
    UnknownObject,
    UnknownUpload,
    shortened,
)
from zerostart.metadata import object as rows
from zerostart.metadata.database import Database
from zerostart.metadata.object import ObjectRow, PartRow, Segment, UploadRow
from zerostart.storage.base import (
    ALWAYS,
    Condition,
    ObjectAttributes,
    Part,
    StoredBucket,
    StoredObject,
    Upload,
    check_key,
)
from zerostart.storage.encryption import KeyRing, SegmentWriter, read_segment

SMALLEST_PART_BYTES = 5 * 1024 * 1024
MOST_PARTS = 10_000
_OWN_KEY = "alias/aws/s3"
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


class LocalStore:
    """Buckets in `folder`, their rows in `database`, the keys of their content in `key_folder`."""

    def __init__(self, folder: Path, key_folder: Path, database: Database) -> None:
        self._folder = folder
        self._ring = KeyRing(key_folder)
        self._database = database
        self._lock = threading.Lock()
        self._readers: Counter[str] = Counter()
        self._doomed: set[str] = set()
        self._written: set[str] = set()

    def remove_left_overs(self, before_s: float = float("inf")) -> int:
        """Remove segments that no row names, that nobody reads or writes here, and that are older; how many.

        Only while no other process writes, or with `before_s`, a moment on the clock of files since when one may.
        """
        old = [path for path in self._folder.glob("??/*") if _changed_at_s(path) <= before_s]
        with self._lock:
            used = {*self._written, *(segment_id for segment_id, count in self._readers.items() if count > 0)}
        with self._database.transaction() as connection:
            used.update(rows.segment_ids(connection))
        left = [path for path in old if path.name not in used]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def create_bucket(self, bucket: str) -> None:
        """Add a bucket."""
        if not _BUCKET.fullmatch(bucket) or _ADDRESS.fullmatch(bucket):
            raise InvalidInput(
                f"The specified bucket is not valid: {shortened(bucket)} must have 3 to 63 characters, lower-case "
                "letters, digits, hyphens and single dots."
            )
        with self._database.transaction() as connection:
            if not rows.insert_bucket(connection, rows.Bucket(bucket, datetime.now(UTC))):
                raise AlreadyExists(f"Bucket {bucket} exists already.")

    def bucket(self, bucket: str) -> StoredBucket:
        """The bucket of that name."""
        with self._database.transaction() as connection:
            found = _bucket(connection, bucket)
        return StoredBucket(found.name, found.created_at)

    def buckets(self) -> Sequence[StoredBucket]:
        """Every bucket, by name."""
        with self._database.transaction() as connection:
            return [StoredBucket(each.name, each.created_at) for each in rows.all_buckets(connection)]

    def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket, with its multipart uploads."""
        with self._database.transaction() as connection:
            _bucket(connection, bucket)
            if rows.list_objects(connection, bucket, b"", None, 1):
                raise NotEmpty(f"Bucket {bucket} is not empty: delete its objects first.")
            dropped = [_drop_upload(connection, upload.id) for upload in rows.list_uploads(connection, bucket)]
            rows.delete_bucket(connection, bucket)
        self._remove([segment for segments in dropped for segment in segments])

    def head(self, bucket: str, key: str) -> StoredObject:
        """An object without its content."""
        with self._database.transaction() as connection:
            return _stored(_object(connection, bucket, key))

    def open(self, bucket: str, key: str) -> "LocalReader":
        """An object to read; its segments stay until the reader is closed."""
        with self._database.transaction() as connection, self._lock:
            row = _object(connection, bucket, key)
            self._readers.update(segment.id for segment in row.segments)
        return LocalReader(self, row)

    def writer(self, bucket: str, key: str, attributes: ObjectAttributes) -> "LocalWriter":
        """An object to write."""
        check_key(key)
        self.bucket(bucket)
        return LocalWriter(self, bucket, key, attributes)

    def delete(self, bucket: str, key: str, condition: Condition = ALWAYS) -> None:
        """Remove an object."""
        check_key(key)
        with self._database.transaction() as connection:
            _bucket(connection, bucket)
            row = rows.get_object(connection, bucket, key)
            _check(condition, row)
            rows.delete_object(connection, bucket, key)
        if row is not None:
            self._remove(row.segments)

    def list(self, bucket: str, prefix: str = "", start: bytes = b"", limit: int = 1000) -> Sequence[StoredObject]:
        """Objects in the order of their keys; one query whatever the number of objects."""
        low = prefix.encode("utf-8", "surrogatepass")
        with self._database.transaction() as connection:
            _bucket(connection, bucket)
            found = rows.list_objects(connection, bucket, max(low, start), after_prefix(low), limit)
        return [_stored(row) for row in found]

    def create_upload(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        """Begin a multipart upload."""
        check_key(key)
        row = UploadRow(secrets.token_urlsafe(32), bucket, key, asdict(attributes), datetime.now(UTC))
        with self._database.transaction() as connection:
            _bucket(connection, bucket)
            rows.insert_upload(connection, row)
        return _upload(row)

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """A multipart upload."""
        with self._database.transaction() as connection:
            row = rows.get_upload(connection, upload_id)
        if row is None or (row.bucket, row.key) != (bucket, key):
            raise _unknown_upload(upload_id)
        return _upload(row)

    def uploads(self, bucket: str) -> Sequence[Upload]:
        """The multipart uploads of a bucket."""
        with self._database.transaction() as connection:
            _bucket(connection, bucket)
            return [_upload(row) for row in rows.list_uploads(connection, bucket)]

    def part_writer(self, upload: Upload, number: int) -> "LocalPartWriter":
        """A part to write."""
        if not 1 <= number <= MOST_PARTS:
            raise InvalidInput(f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive: not {number}.")
        return LocalPartWriter(self, upload, number)

    def parts(self, upload: Upload) -> Sequence[Part]:
        """The parts of an upload."""
        with self._database.transaction() as connection:
            found = rows.list_parts(connection, upload.id)
        return [Part(row.number, row.size, row.etag, row.modified_at) for row in found]

    def complete_upload(
        self, upload: Upload, parts: Sequence[tuple[int, str]], condition: Condition = ALWAYS
    ) -> StoredObject:
        """Name the parts' segments as one object's; no content is copied."""
        with self._database.transaction() as connection:
            if rows.get_upload(connection, upload.id) is None:
                raise _unknown_upload(upload.id)
            found = {row.number: row for row in rows.list_parts(connection, upload.id)}
            chosen = _chosen(found, parts)
            digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in chosen), usedforsecurity=False)
            row = ObjectRow(
                upload.bucket,
                upload.key,
                sum(part.size for part in chosen),
                f"{digest.hexdigest()}-{len(chosen)}",
                asdict(upload.attributes),
                tuple(segment for part in chosen for segment in part.segments),
                datetime.now(UTC),
            )
            replaced = _put(connection, row, condition)
            rows.delete_upload(connection, upload.id)
        used = set(row.segments)
        unused = [segment for part in found.values() for segment in part.segments if segment not in used]
        self._remove([*replaced, *unused])
        return _stored(row)

    def abort_upload(self, upload: Upload) -> None:
        """Drop an upload and its parts."""
        with self._database.transaction() as connection:
            dropped = _drop_upload(connection, upload.id)
        self._remove(dropped)

    def new_segment(self, kms_key_id: str | None) -> tuple[str, SegmentWriter]:
        """An id and a file for it."""
        segment_id = secrets.token_hex(16)
        with self._lock:
            self._written.add(segment_id)
        return segment_id, SegmentWriter(self._path(segment_id), self._ring, kms_key_id or _OWN_KEY)

    def end_segment(self, segment_id: str) -> None:
        """Its writer is done: a row names it, or it is gone."""
        with self._lock:
            self._written.discard(segment_id)

    def commit_object(self, row: ObjectRow, condition: Condition) -> StoredObject:
        """Write the row of an object whose segments are on disk."""
        with self._database.transaction() as connection:
            _bucket(connection, row.bucket)
            replaced = _put(connection, row, condition)
        self._remove(replaced)
        return _stored(row)

    def commit_part(self, row: PartRow) -> Part:
        """Write the row of a part whose segments are on disk."""
        with self._database.transaction() as connection:
            if rows.get_upload(connection, row.upload_id) is None:
                raise _unknown_upload(row.upload_id)
            old = [part for part in rows.list_parts(connection, row.upload_id) if part.number == row.number]
            rows.put_part(connection, row)
        self._remove([segment for part in old for segment in part.segments])
        return Part(row.number, row.size, row.etag, row.modified_at)

    def read(self, segment: Segment, first: int, last: int) -> Iterator[bytes]:
        """A segment's bytes from `first` to `last`, both included."""
        return read_segment(self._path(segment.id), self._ring, segment.size, first, last)

    def release(self, segments: Sequence[Segment]) -> None:
        """A reader is done with them: remove those that were replaced while it read."""
        with self._lock:
            self._readers.subtract(segment.id for segment in segments)
            free = {each.id for each in segments if self._readers[each.id] <= 0}
            for segment_id in free:
                del self._readers[segment_id]
            gone = free & self._doomed
            self._doomed -= gone
        for segment_id in gone:
            self._path(segment_id).unlink(missing_ok=True)

    def _remove(self, segments: Sequence[Segment]) -> None:
        with self._lock:
            read = {segment.id for segment in segments if self._readers[segment.id] > 0}
            self._doomed |= read
        for segment in segments:
            if segment.id not in read:
                self._path(segment.id).unlink(missing_ok=True)

    def _path(self, segment_id: str) -> Path:
        return self._folder / segment_id[:2] / segment_id


class LocalReader:
    """An object that is read."""

    def __init__(self, store: LocalStore, row: ObjectRow) -> None:
        self.stored = _stored(row)
        self._store = store
        self._segments = row.segments
        self._closed = False

    def chunks(self, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The bytes from `first` to `last`, both included."""
        last = self.stored.size - 1 if last is None else last
        start = 0
        for segment in self._segments:
            end = start + segment.size - 1
            if segment.size and first <= end and last >= start:
                yield from self._store.read(segment, max(0, first - start), min(last, end) - start)
            start = end + 1

    def close(self) -> None:
        """Let go of the segments."""
        if not self._closed:
            self._closed = True
            self._store.release(self._segments)


class _SegmentedWriter:
    """A segment that is being written, and the MD5 of its content, which S3 gives as ETag."""

    def __init__(self, store: LocalStore, kms_key_id: str | None) -> None:
        self._store = store
        self._id, self._segment = store.new_segment(kms_key_id)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._committed = False

    def write(self, content: bytes) -> None:
        """Append."""
        self._md5.update(content)
        self._segment.write(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._committed:
            self._segment.discard()
        self._store.end_segment(self._id)

    def _finished(self) -> tuple[Segment, ...]:
        self._segment.finish()
        return (Segment(self._id, self._segment.size),)


class LocalWriter(_SegmentedWriter):
    """An object that is being written."""

    def __init__(self, store: LocalStore, bucket: str, key: str, attributes: ObjectAttributes) -> None:
        super().__init__(store, attributes.kms_key_id)
        self._target = bucket, key
        self._attributes = attributes

    def commit(self, condition: Condition = ALWAYS, checksums: Mapping[str, str] | None = None) -> StoredObject:
        """Make it the object of its key."""
        segments = self._finished()
        attributes = replace(self._attributes, checksums=checksums or self._attributes.checksums)
        size, etag = segments[0].size, self._md5.hexdigest()
        row = ObjectRow(*self._target, size, etag, asdict(attributes), segments, datetime.now(UTC))
        stored = self._store.commit_object(row, condition)
        self._committed = True
        return stored


class LocalPartWriter(_SegmentedWriter):
    """A part that is being written."""

    def __init__(self, store: LocalStore, upload: Upload, number: int) -> None:
        super().__init__(store, upload.attributes.kms_key_id)
        self._upload_id = upload.id
        self._number = number

    def commit(self) -> Part:
        """Make it the part of its number."""
        segments = self._finished()
        size, etag = segments[0].size, self._md5.hexdigest()
        row = PartRow(self._upload_id, self._number, size, etag, segments, datetime.now(UTC))
        part = self._store.commit_part(row)
        self._committed = True
        return part


def _changed_at_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def after_prefix(prefix: bytes) -> bytes | None:
    """The least bytes after everything that starts with `prefix`; None if there are none."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else None


def _bucket(connection: Connection, name: str) -> rows.Bucket:
    found = rows.get_bucket(connection, name)
    if found is None:
        raise UnknownBucket(f"The specified bucket does not exist: {shortened(name)}.")
    return found


def _object(connection: Connection, bucket: str, key: str) -> ObjectRow:
    check_key(key)
    _bucket(connection, bucket)
    row = rows.get_object(connection, bucket, key)
    if row is None:
        raise UnknownObject("The specified key does not exist.")
    return row


def _put(connection: Connection, row: ObjectRow, condition: Condition) -> tuple[Segment, ...]:
    """Write the row if the condition holds; the segments of the object that it replaced."""
    present = rows.get_object(connection, row.bucket, row.key)
    _check(condition, present)
    rows.put_object(connection, row)
    return present.segments if present is not None else ()


def _check(condition: Condition, present: ObjectRow | None) -> None:
    if condition.if_absent and present is not None:
        raise PreconditionFailed("At least one of the pre-conditions you specified did not hold: the key exists.")
    if condition.if_match is not None:
        if present is None:
            raise UnknownObject("The specified key does not exist.")
        if condition.if_match not in {"*", present.etag}:
            raise PreconditionFailed(
                f"At least one of the pre-conditions you specified did not hold: the ETag is {present.etag}."
            )


def _drop_upload(connection: Connection, upload_id: str) -> list[Segment]:
    parts = rows.list_parts(connection, upload_id)
    rows.delete_upload(connection, upload_id)
    return [segment for part in parts for segment in part.segments]


def _chosen(found: Mapping[int, PartRow], asked: Sequence[tuple[int, str]]) -> list[PartRow]:
    numbers = [number for number, _ in asked]
    if not asked or numbers != sorted(set(numbers)):
        raise InvalidPart("The list of parts was not in ascending order, or is empty.")
    chosen = []
    for number, etag in asked:
        part = found.get(number)
        if part is None or part.etag != etag:
            raise InvalidPart(f"Part {number} could not be found, or its ETag is not {shortened(etag)}.")
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < SMALLEST_PART_BYTES:
            raise PartTooSmall(
                f"Part {part.number} has {part.size} bytes: all but the last need {SMALLEST_PART_BYTES} or more."
            )
    return chosen


def _unknown_upload(upload_id: str) -> UnknownUpload:
    return UnknownUpload(
        f"The specified upload does not exist: {shortened(upload_id)} may have been completed or aborted."
    )


def _stored(row: ObjectRow) -> StoredObject:
    attributes = ObjectAttributes(**row.attributes)
    return StoredObject(row.bucket, row.key, row.size, row.etag, row.modified_at, attributes)


def _upload(row: UploadRow) -> Upload:
    return Upload(row.id, row.bucket, row.key, row.created_at, ObjectAttributes(**row.attributes))

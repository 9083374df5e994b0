"""Buckets, objects and multipart uploads: what they are called, and which segments hold their content.

A segment is a file that never changes; a row is written after its segments are on disk, and says which they are. So an
object is the old one or the new one, whole, whenever the program ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, func, insert, select, update

from zerostart.metadata.rows import insert_named
from zerostart.metadata.tables import buckets, objects, upload_parts, uploads
from zerostart.metadata.tag import BUCKET_ARN, delete_tags


@dataclass(frozen=True)
class Bucket:
    """A bucket."""

    name: str
    created_at: datetime


@dataclass(frozen=True)
class Segment:
    """A piece of an object's content; `size` in bytes of content."""

    id: str
    size: int


@dataclass(frozen=True)
class ObjectRow:
    """An object as it is kept."""

    bucket: str
    key: str
    size: int
    etag: str
    attributes: Mapping[str, Any]
    segments: tuple[Segment, ...]
    modified_at: datetime


@dataclass(frozen=True)
class UploadRow:
    """A multipart upload that is neither completed nor aborted."""

    id: str
    bucket: str
    key: str
    attributes: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class PartRow:
    """A part of a multipart upload."""

    upload_id: str
    number: int
    size: int
    etag: str
    segments: tuple[Segment, ...]
    modified_at: datetime


def insert_bucket(connection: Connection, bucket: Bucket) -> bool:
    """Add a bucket; False if the name is taken."""
    return insert_named(connection, buckets, {"name": bucket.name, "created_at": bucket.created_at})


def get_bucket(connection: Connection, name: str) -> Bucket | None:
    """The bucket of that name."""
    row = connection.execute(select(buckets).where(buckets.c.name == name)).one_or_none()
    return Bucket(row.name, row.created_at) if row else None


def all_buckets(connection: Connection) -> list[Bucket]:
    """Every bucket, by name."""
    return [Bucket(row.name, row.created_at) for row in connection.execute(select(buckets).order_by(buckets.c.name))]


def bucket_sizes(connection: Connection) -> dict[str, tuple[int, int]]:
    """How many objects each bucket that has some holds, and their bytes."""
    query = select(objects.c.bucket, func.count(), func.sum(objects.c.size)).group_by(objects.c.bucket)
    return {bucket: (int(count), int(size)) for bucket, count, size in connection.execute(query)}


def delete_bucket(connection: Connection, name: str) -> None:
    """Remove an empty bucket's row, and its tags."""
    connection.execute(delete(buckets).where(buckets.c.name == name))
    delete_tags(connection, BUCKET_ARN + name)


def put_object(connection: Connection, row: ObjectRow) -> None:
    """Add an object, or replace the one of its key."""
    values = {
        "size": row.size,
        "etag": row.etag,
        "attributes": dict(row.attributes),
        "segments": _stored(row.segments),
        "modified_at": row.modified_at,
    }
    where = (objects.c.bucket == row.bucket, objects.c.key == row.key.encode())
    if connection.execute(update(objects).where(*where).values(values)).rowcount == 0:
        connection.execute(insert(objects).values(bucket=row.bucket, key=row.key.encode(), **values))


def get_object(connection: Connection, bucket: str, key: str) -> ObjectRow | None:
    """The object of that key."""
    query = select(objects).where(objects.c.bucket == bucket, objects.c.key == key.encode())
    row = connection.execute(query).one_or_none()
    return _object(row) if row else None


def list_objects(connection: Connection, bucket: str, start: bytes, end: bytes | None, limit: int) -> list[ObjectRow]:
    """Objects whose keys' bytes are in [start, end), in their order."""
    query = select(objects).where(objects.c.bucket == bucket, objects.c.key >= start)
    if end is not None:
        query = query.where(objects.c.key < end)
    return [_object(row) for row in connection.execute(query.order_by(objects.c.key).limit(limit))]


def delete_object(connection: Connection, bucket: str, key: str) -> None:
    """Remove an object's row."""
    connection.execute(delete(objects).where(objects.c.bucket == bucket, objects.c.key == key.encode()))


def insert_upload(connection: Connection, upload: UploadRow) -> None:
    """Add an upload."""
    connection.execute(
        insert(uploads).values(
            id=upload.id,
            bucket=upload.bucket,
            key=upload.key.encode(),
            attributes=dict(upload.attributes),
            created_at=upload.created_at,
        )
    )


def get_upload(connection: Connection, upload_id: str) -> UploadRow | None:
    """The upload of that id."""
    row = connection.execute(select(uploads).where(uploads.c.id == upload_id)).one_or_none()
    return _upload(row) if row else None


def list_uploads(connection: Connection, bucket: str) -> list[UploadRow]:
    """The uploads of a bucket, by key."""
    query = select(uploads).where(uploads.c.bucket == bucket).order_by(uploads.c.key, uploads.c.id)
    return [_upload(row) for row in connection.execute(query)]


def delete_upload(connection: Connection, upload_id: str) -> None:
    """Remove an upload and its parts' rows."""
    connection.execute(delete(upload_parts).where(upload_parts.c.upload_id == upload_id))
    connection.execute(delete(uploads).where(uploads.c.id == upload_id))


def put_part(connection: Connection, part: PartRow) -> None:
    """Add a part, or replace the one of its number."""
    key = {"upload_id": part.upload_id, "number": part.number}
    connection.execute(delete(upload_parts).where(*(upload_parts.c[name] == value for name, value in key.items())))
    connection.execute(
        insert(upload_parts).values(
            **key, size=part.size, etag=part.etag, segments=_stored(part.segments), modified_at=part.modified_at
        )
    )


def list_parts(connection: Connection, upload_id: str) -> list[PartRow]:
    """The parts of an upload, by number."""
    query = select(upload_parts).where(upload_parts.c.upload_id == upload_id).order_by(upload_parts.c.number)
    return [
        PartRow(row.upload_id, row.number, row.size, row.etag, _segments(row.segments), row.modified_at)
        for row in connection.execute(query)
    ]


def segment_ids(connection: Connection) -> Iterator[str]:
    """Every segment that a row names."""
    tables: Sequence[Table] = (objects, upload_parts)
    for table in tables:
        for (segments,) in connection.execute(select(table.c.segments)):
            yield from (segment_id for segment_id, _ in segments)


def _stored(segments: Sequence[Segment]) -> list[list[Any]]:
    return [[segment.id, segment.size] for segment in segments]


def _segments(stored: Sequence[Sequence[Any]]) -> tuple[Segment, ...]:
    return tuple(Segment(segment_id, size) for segment_id, size in stored)


def _object(row: Row[Any]) -> ObjectRow:
    key = row.key.decode()
    return ObjectRow(row.bucket, key, row.size, row.etag, row.attributes, _segments(row.segments), row.modified_at)


def _upload(row: Row[Any]) -> UploadRow:
    return UploadRow(row.id, row.bucket, row.key.decode(), row.attributes, row.created_at)

"""The object store of others: any service with S3's API, through boto3, which is S3's own client.

Content streams both ways in parts of a few mebibytes. What the service keeps, how it encrypts and who may, is its own.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from zerostart.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidPart,
    NotEmpty,
    PartTooSmall,
    PreconditionFailed,
    StorageFailure,
    UnknownBucket,
    UnknownObject,
    UnknownUpload,
    ZerostartError,
)
from zerostart.storage.base import (
    ALWAYS,
    DEFAULT_CONTENT_TYPE,
    Condition,
    ObjectAttributes,
    Part,
    StoredBucket,
    StoredObject,
    Upload,
    check_key,
)

_PART_BYTES = 8 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_HEADERS = {
    "cache-control": "CacheControl",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
}
_CHECKSUMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")
_ERRORS: Mapping[str, type[ZerostartError]] = {
    "NoSuchBucket": UnknownBucket,
    "NoSuchKey": UnknownObject,
    "404": UnknownObject,
    "NoSuchUpload": UnknownUpload,
    "BucketAlreadyExists": AlreadyExists,
    "BucketAlreadyOwnedByYou": AlreadyExists,
    "BucketNotEmpty": NotEmpty,
    "PreconditionFailed": PreconditionFailed,
    "ConditionalRequestConflict": PreconditionFailed,
    "InvalidPart": InvalidPart,
    "InvalidPartOrder": InvalidPart,
    "EntityTooSmall": PartTooSmall,
    "InvalidBucketName": InvalidInput,
    "InvalidArgument": InvalidInput,
    "KeyTooLongError": InvalidInput,
}


class S3Store:
    """Buckets and objects of an S3 service. `client` is boto3's, safe to share between threads."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def create_bucket(self, bucket: str) -> None:
        """Add a bucket, in the region of the client."""
        region = self._client.meta.region_name
        where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        with _errors():
            self._client.create_bucket(Bucket=bucket, **where)

    def bucket(self, bucket: str) -> StoredBucket:
        """The bucket of that name; when it was made is not asked for, and said to be 1970."""
        with _errors(missing=UnknownBucket):
            self._client.head_bucket(Bucket=bucket)
        return StoredBucket(bucket, datetime.fromtimestamp(0, UTC))

    def buckets(self) -> Sequence[StoredBucket]:
        """Every bucket that the service shows to this server."""
        with _errors():
            pages = self._client.get_paginator("list_buckets").paginate()
            return [StoredBucket(each["Name"], each["CreationDate"]) for page in pages for each in page["Buckets"]]

    def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket."""
        with _errors():
            self._client.delete_bucket(Bucket=bucket)

    def head(self, bucket: str, key: str) -> StoredObject:
        """An object without its content."""
        with _errors():
            return _stored(bucket, key, self._client.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED"))

    def open(self, bucket: str, key: str) -> "S3Reader":
        """An object to read: if it is replaced meanwhile, reading fails instead of mixing the two."""
        return S3Reader(self._client, self.head(bucket, key))

    def writer(self, bucket: str, key: str, attributes: ObjectAttributes) -> "S3Writer":
        """An object to write."""
        check_key(key)
        return S3Writer(self._client, bucket, key, attributes)

    def delete(self, bucket: str, key: str, condition: Condition = ALWAYS) -> None:
        """Remove an object."""
        with _errors():
            self._client.delete_object(Bucket=bucket, Key=key, **_conditional(condition))

    def list(self, bucket: str, prefix: str = "", start: bytes = b"", limit: int = 1000) -> Sequence[StoredObject]:
        """Objects with that prefix, from `start` on, in the order of their keys' bytes."""
        after = start.decode("utf-8", "ignore")
        found: list[StoredObject] = []
        first = {"StartAfter": after} if after else {}
        if after and after.encode() == start and after.startswith(prefix):
            with contextlib.suppress(UnknownObject):  # StartAfter leaves it out
                found.append(self.head(bucket, after))
        with _errors():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, **first):
                found += [_listed(bucket, each) for each in page.get("Contents", ()) if each["Key"].encode() >= start]
                if len(found) >= limit:
                    break
        return found[:limit]

    def create_upload(self, bucket: str, key: str, attributes: ObjectAttributes) -> Upload:
        """Begin a multipart upload."""
        check_key(key)
        with _errors():
            made = self._client.create_multipart_upload(Bucket=bucket, Key=key, **_arguments(attributes))
        return Upload(made["UploadId"], bucket, key, datetime.now(UTC), attributes)

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """A multipart upload."""
        with _errors():
            self._client.list_parts(Bucket=bucket, Key=key, UploadId=upload_id, MaxParts=1)
        return Upload(upload_id, bucket, key, datetime.fromtimestamp(0, UTC), ObjectAttributes())

    def uploads(self, bucket: str) -> Sequence[Upload]:
        """The multipart uploads of a bucket."""
        with _errors():
            pages = self._client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket)
            return [
                Upload(each["UploadId"], bucket, each["Key"], each["Initiated"], ObjectAttributes())
                for page in pages
                for each in page.get("Uploads", ())
            ]

    def part_writer(self, upload: Upload, number: int) -> "S3PartWriter":
        """A part to write."""
        return S3PartWriter(self._client, upload, number)

    def parts(self, upload: Upload) -> Sequence[Part]:
        """The parts of an upload."""
        with _errors():
            pages = self._client.get_paginator("list_parts").paginate(**_of(upload))
            return [
                Part(each["PartNumber"], each["Size"], each["ETag"].strip('"'), each["LastModified"])
                for page in pages
                for each in page.get("Parts", ())
            ]

    def complete_upload(
        self, upload: Upload, parts: Sequence[tuple[int, str]], condition: Condition = ALWAYS
    ) -> StoredObject:
        """Make the parts one object."""
        named = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in parts]
        with _errors():
            self._client.complete_multipart_upload(
                **_of(upload), MultipartUpload={"Parts": named}, **_conditional(condition)
            )
        return self.head(upload.bucket, upload.key)

    def abort_upload(self, upload: Upload) -> None:
        """Drop an upload and its parts."""
        with _errors():
            self._client.abort_multipart_upload(**_of(upload))


class S3Reader:
    """An object that is read."""

    def __init__(self, client: Any, stored: StoredObject) -> None:
        self.stored = stored
        self._client = client

    def chunks(self, first: int = 0, last: int | None = None) -> Iterator[bytes]:
        """The bytes from `first` to `last`, both included. Raises PreconditionFailed if the object was replaced."""
        end = self.stored.size - 1 if last is None else last
        named = {"Bucket": self.stored.bucket, "Key": self.stored.key, "IfMatch": f'"{self.stored.etag}"'}
        with _errors():
            content = self._client.get_object(**named, Range=f"bytes={first}-{end}")["Body"]
            with contextlib.closing(content):
                yield from content.iter_chunks(_PIECE_BYTES)

    def close(self) -> None:
        """Nothing is held."""


class S3Writer:
    """An object that is being written: by one PUT if it is small, else as a multipart upload of its own."""

    def __init__(self, client: Any, bucket: str, key: str, attributes: ObjectAttributes) -> None:
        self._client = client
        self._target = {"Bucket": bucket, "Key": key}
        self._attributes = attributes
        self._pending = bytearray()
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        self._committed = False

    def write(self, content: bytes) -> None:
        """Append."""
        self._pending += content
        while len(self._pending) > _PART_BYTES:
            self._send_part(bytes(self._pending[:_PART_BYTES]))
            del self._pending[:_PART_BYTES]

    def commit(self, condition: Condition = ALWAYS, checksums: Mapping[str, str] | None = None) -> StoredObject:
        """Make it the object of its key."""
        if self._upload_id is None:
            stated = {f"Checksum{name.upper()}": value for name, value in (checksums or {}).items()}
            with _errors():
                self._client.put_object(
                    **self._target,
                    Body=bytes(self._pending),
                    **_arguments(self._attributes),
                    **_conditional(condition),
                    **stated,
                )
        else:
            self._send_part(bytes(self._pending))
            with _errors():
                self._client.complete_multipart_upload(
                    **self._target,
                    UploadId=self._upload_id,
                    MultipartUpload={"Parts": self._parts},
                    **_conditional(condition),
                )
        self._committed = True
        with _errors():
            found = self._client.head_object(**self._target, ChecksumMode="ENABLED")
        return _stored(self._target["Bucket"], self._target["Key"], found)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._upload_id is not None and not self._committed:
            with contextlib.suppress(ZerostartError), _errors():
                self._client.abort_multipart_upload(**self._target, UploadId=self._upload_id)

    def _send_part(self, content: bytes) -> None:
        with _errors():
            if self._upload_id is None:
                made = self._client.create_multipart_upload(**self._target, **_arguments(self._attributes))
                self._upload_id = made["UploadId"]
            number = len(self._parts) + 1
            sent = self._client.upload_part(**self._target, UploadId=self._upload_id, PartNumber=number, Body=content)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})


class S3PartWriter:
    """A part that is being written. It is sent at once, so it waits on the disk, in a file without a name."""

    def __init__(self, client: Any, upload: Upload, number: int) -> None:
        self._client = client
        self._upload = upload
        self._number = number
        self._size = 0
        self._file = tempfile.SpooledTemporaryFile(max_size=_PART_BYTES)  # noqa: SIM115 - closed in __exit__

    def write(self, content: bytes) -> None:
        """Append."""
        self._file.write(content)
        self._size += len(content)

    def commit(self) -> Part:
        """Send it."""
        self._file.seek(0)
        with _errors():
            sent = self._client.upload_part(**_of(self._upload), PartNumber=self._number, Body=self._file)
        return Part(self._number, self._size, sent["ETag"].strip('"'), datetime.now(UTC))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


@contextlib.contextmanager
def _errors(missing: type[ZerostartError] = UnknownObject) -> Iterator[None]:
    """Turn botocore's errors into ours; `missing` is what a bare 404 means."""
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

    try:
        yield
    except ClientError as error:
        stated = error.response["Error"]
        code, message = stated.get("Code", ""), stated.get("Message") or str(error)
        kind = missing if code == "404" else _ERRORS.get(code, StorageFailure)
        raise kind(message if kind is not StorageFailure else f"The storage answered {code}: {message}") from error
    except ParamValidationError as error:
        raise InvalidInput(str(error)) from error
    except BotoCoreError as error:
        raise StorageFailure(f"The storage could not be used: {error}") from error


def _of(upload: Upload) -> dict[str, str]:
    return {"Bucket": upload.bucket, "Key": upload.key, "UploadId": upload.id}


def _conditional(condition: Condition) -> dict[str, str]:
    if condition.if_absent:
        return {"IfNoneMatch": "*"}
    if condition.if_match is not None:
        return {"IfMatch": condition.if_match if condition.if_match == "*" else f'"{condition.if_match}"'}
    return {}


def _arguments(attributes: ObjectAttributes) -> dict[str, Any]:
    """An object's attributes as arguments of PutObject and CreateMultipartUpload."""
    named = {_HEADERS[name]: value for name, value in attributes.headers.items() if name in _HEADERS}
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": attributes.kms_key_id}
    return {
        "ContentType": attributes.content_type,
        "Metadata": dict(attributes.metadata),
        **named,
        **(encryption if attributes.kms_key_id else {}),
    }


def _stored(bucket: str, key: str, answer: Mapping[str, Any]) -> StoredObject:
    headers = {name: answer[member] for name, member in _HEADERS.items() if answer.get(member)}
    checksums = {name: answer[f"Checksum{name}"] for name in _CHECKSUMS if answer.get(f"Checksum{name}")}
    whole = answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT"
    attributes = ObjectAttributes(
        answer.get("ContentType", DEFAULT_CONTENT_TYPE),
        headers,
        answer.get("Metadata", {}),
        checksums if whole else {},
        answer.get("SSEKMSKeyId"),
    )
    size, etag, modified_at = answer["ContentLength"], answer["ETag"].strip('"'), answer["LastModified"]
    return StoredObject(bucket, key, size, etag, modified_at, attributes)


def _listed(bucket: str, entry: Mapping[str, Any]) -> StoredObject:
    etag, modified_at = entry["ETag"].strip('"'), entry["LastModified"]
    return StoredObject(bucket, entry["Key"], entry["Size"], etag, modified_at, ObjectAttributes())

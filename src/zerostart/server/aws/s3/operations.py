"""S3's operations over an object store: one method each, in the words of S3's API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from zerostart.errors import AlreadyExists, InvalidInput
from zerostart.server.aws.s3.address import Address
from zerostart.server.aws.s3.body import Body
from zerostart.server.aws.s3.errors import S3Error
from zerostart.server.aws.s3.headers import (
    attributes_of,
    byte_range,
    checksum_headers,
    encryption_headers,
    object_headers,
    unmet_condition,
    write_condition,
)
from zerostart.server.aws.s3.listing import encoder, entries, page_size, start_of, token_of
from zerostart.server.aws.s3.xml import parse, xml_response
from zerostart.services.arn import ACCOUNT_ID
from zerostart.storage.base import ObjectReader, ObjectStore, StoredBucket, StoredObject
from zerostart.storage.generated import GeneratedObjects
from zerostart.storage.listing import after, listed

_OWNER = {"ID": ACCOUNT_ID, "DisplayName": "zerostart"}
_XML_BYTES = 4 * 1024 * 1024
_PIECE_BYTES = 1024 * 1024
_MOST_DELETED = 1000


@dataclass(frozen=True)
class Call:
    """One authenticated request."""

    request: Request
    address: Address
    body: Body

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.address.bucket

    @property
    def key(self) -> str:
        """The object's key."""
        return self.address.key

    @property
    def parameters(self) -> Mapping[str, str]:
        """The query's."""
        return self.address.parameters

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's."""
        return self.request.headers


class _Written(Protocol):
    def write(self, content: bytes) -> None: ...


class _Readable(Protocol):
    def bucket(self, bucket: str) -> StoredBucket: ...

    def head(self, bucket: str, key: str) -> StoredObject: ...

    def open(self, bucket: str, key: str) -> ObjectReader: ...

    def list(self, bucket: str, prefix: str = "", start: bytes = b"", limit: int = 1000) -> Any: ...


class _ObjectResponse(StreamingResponse):
    """An object on its way. It is closed here, not by a generator's end, which may come late and in any thread."""

    def __init__(self, reader: ObjectReader, pieces: Iterator[bytes], head: Response) -> None:
        super().__init__(pieces, head.status_code, dict(head.headers))
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._reader.close()


class S3Operations:
    """Operations on `store`, and reads of the `generated` buckets. Whatever touches a disk runs in a thread."""

    def __init__(self, store: ObjectStore, generated: tuple[GeneratedObjects, ...], region: str) -> None:
        self._store = store
        self._generated = generated
        self._region = region

    def generates(self, bucket: str) -> bool:
        """Whether Zerostart itself makes what is in the bucket."""
        return any(each.serves(bucket) for each in self._generated)

    async def list_buckets(self, _call: Call) -> Response:
        """ListBuckets."""
        found = await run_in_threadpool(self._store.buckets)
        buckets = [{"Name": each.name, "CreationDate": _iso(each.created_at)} for each in found]
        return xml_response("ListAllMyBucketsResult", {"Owner": _OWNER, "Buckets": {"Bucket": buckets}})

    async def create_bucket(self, call: Call) -> Response:
        """CreateBucket. One that exists is an error, but in us-east-1, as on AWS: SDKs that make their bucket at once
        with others of the same account rely on it.
        """
        self._writable(call.bucket)
        await call.body.whole(_XML_BYTES)
        try:
            await run_in_threadpool(self._store.create_bucket, call.bucket)
        except AlreadyExists:
            if self._region != "us-east-1":
                raise
        except InvalidInput as error:
            raise S3Error("InvalidBucketName", str(error)) from error
        return Response(headers={"Location": f"/{call.bucket}"})

    async def head_bucket(self, call: Call) -> Response:
        """HeadBucket."""
        await run_in_threadpool(self._readable(call.bucket).bucket, call.bucket)
        return Response(headers={"x-amz-bucket-region": self._region})

    async def delete_bucket(self, call: Call) -> Response:
        """DeleteBucket."""
        self._writable(call.bucket)
        await run_in_threadpool(self._store.delete_bucket, call.bucket)
        return Response(status_code=204)

    async def get_bucket_location(self, call: Call) -> Response:
        """GetBucketLocation; us-east-1 is written as nothing, as S3 has it."""
        await run_in_threadpool(self._readable(call.bucket).bucket, call.bucket)
        text = "" if self._region == "us-east-1" else self._region
        body = f'<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{text}</LocationConstraint>'
        return Response(body, media_type="application/xml")

    async def get_bucket_setting(self, call: Call) -> Response:
        """The settings that SDKs and the AWS CLI ask for: as they are here, or S3's word for "there is none"."""
        await run_in_threadpool(self._readable(call.bucket).bucket, call.bucket)
        name = next(each for each in call.parameters if each in BUCKET_SETTINGS)
        if name == "versioning":
            return xml_response("VersioningConfiguration", {})
        if name == "encryption":
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
            return xml_response("ServerSideEncryptionConfiguration", {"Rule": [rule]})
        missing = _MISSING_SETTINGS.get(name)
        if missing is None:
            raise S3Error("NotImplemented", f"The bucket setting {name!r} is not supported by Zerostart.")
        raise S3Error(missing, f"The bucket has no {name} configuration.", 404)

    async def put_bucket_setting(self, call: Call) -> Response:
        """Settings of buckets are taken and have no effect: everything is encrypted, private and unversioned."""
        self._writable(call.bucket)
        await call.body.whole(_XML_BYTES)
        await run_in_threadpool(self._store.bucket, call.bucket)
        return Response(status_code=204 if call.request.method == "DELETE" else 200)

    async def list_objects(self, call: Call) -> Response:
        """ListObjects."""
        given, encode = call.parameters, encoder(call.parameters)
        prefix, delimiter, marker = (given.get(name, "") for name in ("prefix", "delimiter", "marker"))
        most = page_size(given)
        page = await run_in_threadpool(
            listed, self._lister(call.bucket), prefix, delimiter, after(marker, delimiter), most
        )
        members = {
            "Name": call.bucket,
            "Prefix": encode(prefix),
            "Marker": encode(marker),
            "NextMarker": encode(page.last) if page.next_start is not None else None,
            "MaxKeys": most,
            "Delimiter": encode(delimiter) if delimiter else None,
            "EncodingType": given.get("encoding-type"),
            "IsTruncated": page.next_start is not None,
        }
        return xml_response("ListBucketResult", members | entries(page, encode, _OWNER))

    async def list_objects_v2(self, call: Call) -> Response:
        """ListObjectsV2."""
        given, encode = call.parameters, encoder(call.parameters)
        if given["list-type"] != "2":
            raise S3Error("InvalidArgument", f"list-type must be 2, not {given['list-type'][:20]!r}.")
        prefix, delimiter = given.get("prefix", ""), given.get("delimiter", "")
        token, start_after = given.get("continuation-token"), given.get("start-after", "")
        start = start_of(token) if token is not None else after(start_after, "")
        most = page_size(given)
        page = await run_in_threadpool(listed, self._lister(call.bucket), prefix, delimiter, start, most)
        members = {
            "Name": call.bucket,
            "Prefix": encode(prefix),
            "StartAfter": encode(start_after) if start_after else None,
            "ContinuationToken": token,
            "NextContinuationToken": token_of(page.next_start),
            "KeyCount": len(page),
            "MaxKeys": most,
            "Delimiter": encode(delimiter) if delimiter else None,
            "EncodingType": given.get("encoding-type"),
            "IsTruncated": page.next_start is not None,
        }
        owner = _OWNER if given.get("fetch-owner") == "true" else None
        return xml_response("ListBucketResult", members | entries(page, encode, owner))

    async def delete_objects(self, call: Call) -> Response:
        """DeleteObjects."""
        self._writable(call.bucket)
        root = parse(await call.body.whole(_XML_BYTES), "Delete")
        named = root.findall("Object")
        keys = [each.findtext("Key") or "" for each in named]
        if other := {part.tag for each in named for part in each} - {"Key"}:
            raise S3Error("NotImplemented", f"{sorted(other)[0]} in a list of objects to delete is not supported.")
        if not keys or len(keys) > _MOST_DELETED:
            raise S3Error("MalformedXML", f"Name 1 to {_MOST_DELETED} objects, not {len(keys)}.")
        await run_in_threadpool(self._store.bucket, call.bucket)
        deleted, failed = [], []
        for key in keys:
            try:
                await run_in_threadpool(self._store.delete, call.bucket, key)
                deleted.append({"Key": key})
            except InvalidInput as error:
                failed.append({"Key": key, "Code": "InvalidArgument", "Message": str(error)})
        quiet = root.findtext("Quiet") == "true"
        return xml_response("DeleteResult", {"Deleted": [] if quiet else deleted, "Error": failed})

    async def get_object(self, call: Call) -> Response:
        """GetObject, whole or a range, streamed."""
        reader = await run_in_threadpool(self._readable(call.bucket).open, call.bucket, call.key)
        try:
            response, span = _answer(reader.stored, call)
        except BaseException:
            reader.close()
            raise
        if span is None:
            reader.close()
            return response
        pieces = reader.chunks(*span) if reader.stored.size else iter(())
        return _ObjectResponse(reader, pieces, response)

    async def head_object(self, call: Call) -> Response:
        """HeadObject."""
        stored = await run_in_threadpool(self._readable(call.bucket).head, call.bucket, call.key)
        response, _ = _answer(stored, call)
        return response

    async def put_object(self, call: Call) -> Response:
        """PutObject: nothing is stored unless all of the body came and is what was stated."""
        self._writable(call.bucket)
        attributes, condition = attributes_of(call.headers), write_condition(call.headers)
        writer = await run_in_threadpool(self._store.writer, call.bucket, call.key, attributes)
        with writer:
            await _copy_in(call.body, writer)
            stored = await run_in_threadpool(writer.commit, condition, call.body.checksums)
        headers = {"ETag": f'"{stored.etag}"', **encryption_headers(attributes)}
        return Response(headers=headers | checksum_headers(call.body.checksums))

    async def copy_object(self, call: Call) -> Response:
        """CopyObject."""
        self._writable(call.bucket)
        await call.body.whole(_XML_BYTES)
        source = await run_in_threadpool(self._copied, call)
        try:
            attributes = attributes_of(call.headers)
            if call.headers.get("x-amz-metadata-directive", "COPY") != "REPLACE":
                attributes = replace(source.stored.attributes, kms_key_id=attributes.kms_key_id)
            stored = await run_in_threadpool(self._copy, source, call, attributes)
        finally:
            source.close()
        members = {"ETag": f'"{stored.etag}"', "LastModified": _iso(stored.modified_at)}
        response = xml_response("CopyObjectResult", members)
        response.headers.update(encryption_headers(attributes))
        return response

    async def delete_object(self, call: Call) -> Response:
        """DeleteObject."""
        self._writable(call.bucket)
        if unheard := sorted(_DELETE_CONDITIONS & set(call.headers)):
            raise S3Error("NotImplemented", f"The condition {unheard[0]} of a delete is not supported: use If-Match.")
        await run_in_threadpool(self._store.delete, call.bucket, call.key, write_condition(call.headers))
        return Response(status_code=204)

    async def get_object_tagging(self, call: Call) -> Response:
        """GetObjectTagging: objects have no tags here."""
        await run_in_threadpool(self._readable(call.bucket).head, call.bucket, call.key)
        return xml_response("Tagging", {"TagSet": {}})

    async def create_multipart_upload(self, call: Call) -> Response:
        """CreateMultipartUpload."""
        self._writable(call.bucket)
        await call.body.whole(_XML_BYTES)
        attributes = attributes_of(call.headers)
        upload = await run_in_threadpool(self._store.create_upload, call.bucket, call.key, attributes)
        members = {"Bucket": call.bucket, "Key": call.key, "UploadId": upload.id}
        response = xml_response("InitiateMultipartUploadResult", members)
        response.headers.update(encryption_headers(attributes))
        return response

    async def upload_part(self, call: Call) -> Response:
        """UploadPart."""
        upload = await run_in_threadpool(self._store.upload, call.bucket, call.key, call.parameters["uploadId"])
        with await run_in_threadpool(self._store.part_writer, upload, _number(call.parameters)) as writer:
            await _copy_in(call.body, writer)
            part = await run_in_threadpool(writer.commit)
        headers = {"ETag": f'"{part.etag}"', **encryption_headers(upload.attributes)}
        return Response(headers=headers | checksum_headers(call.body.checksums))

    async def upload_part_copy(self, call: Call) -> Response:
        """UploadPartCopy."""
        await call.body.whole(_XML_BYTES)
        upload = await run_in_threadpool(self._store.upload, call.bucket, call.key, call.parameters["uploadId"])
        source = await run_in_threadpool(self._copied, call)
        try:
            span = byte_range(call.headers.get("x-amz-copy-source-range"), source.stored.size)
            first, last = span or (0, source.stored.size - 1)
            with await run_in_threadpool(self._store.part_writer, upload, _number(call.parameters)) as writer:
                await run_in_threadpool(_pour, source.chunks(first, last) if last >= first else iter(()), writer)
                part = await run_in_threadpool(writer.commit)
        finally:
            source.close()
        return xml_response("CopyPartResult", {"ETag": f'"{part.etag}"', "LastModified": _iso(part.modified_at)})

    async def complete_multipart_upload(self, call: Call) -> Response:
        """CompleteMultipartUpload."""
        upload = await run_in_threadpool(self._store.upload, call.bucket, call.key, call.parameters["uploadId"])
        root = parse(await call.body.whole(_XML_BYTES), "CompleteMultipartUpload")
        parts = [(_whole(each.findtext("PartNumber")), (each.findtext("ETag") or "").strip('"')) for each in root]
        condition = write_condition(call.headers)
        stored = await run_in_threadpool(self._store.complete_upload, upload, parts, condition)
        members = {
            "Location": f"/{call.bucket}/{call.key}",
            "Bucket": call.bucket,
            "Key": call.key,
            "ETag": f'"{stored.etag}"',
        }
        response = xml_response("CompleteMultipartUploadResult", members)
        response.headers.update(encryption_headers(stored.attributes))
        return response

    async def abort_multipart_upload(self, call: Call) -> Response:
        """AbortMultipartUpload."""
        upload = await run_in_threadpool(self._store.upload, call.bucket, call.key, call.parameters["uploadId"])
        await run_in_threadpool(self._store.abort_upload, upload)
        return Response(status_code=204)

    async def list_parts(self, call: Call) -> Response:
        """ListParts."""
        upload = await run_in_threadpool(self._store.upload, call.bucket, call.key, call.parameters["uploadId"])
        found = await run_in_threadpool(self._store.parts, upload)
        marker = _whole(call.parameters.get("part-number-marker", "0"))
        most = page_size(call.parameters, "max-parts")
        rest = [part for part in found if part.number > marker]
        members = {
            "Bucket": call.bucket,
            "Key": call.key,
            "UploadId": upload.id,
            "PartNumberMarker": marker,
            "NextPartNumberMarker": rest[:most][-1].number if rest[:most] else None,
            "MaxParts": most,
            "IsTruncated": len(rest) > most,
            "Part": [
                {
                    "PartNumber": part.number,
                    "LastModified": _iso(part.modified_at),
                    "ETag": f'"{part.etag}"',
                    "Size": part.size,
                }
                for part in rest[:most]
            ],
            "Initiator": _OWNER,
            "Owner": _OWNER,
            "StorageClass": "STANDARD",
        }
        return xml_response("ListPartsResult", members)

    async def list_multipart_uploads(self, call: Call) -> Response:
        """ListMultipartUploads, all at once."""
        prefix, encode = call.parameters.get("prefix", ""), encoder(call.parameters)
        found = await run_in_threadpool(self._store.uploads, call.bucket)
        uploads = [
            {
                "Key": encode(each.key),
                "UploadId": each.id,
                "Initiator": _OWNER,
                "Owner": _OWNER,
                "StorageClass": "STANDARD",
                "Initiated": _iso(each.created_at),
            }
            for each in found
            if each.key.startswith(prefix)
        ]
        members = {
            "Bucket": call.bucket,
            "KeyMarker": "",
            "UploadIdMarker": "",
            "MaxUploads": max(1000, len(uploads)),
            "EncodingType": call.parameters.get("encoding-type"),
            "IsTruncated": False,
            "Upload": uploads,
        }
        return xml_response("ListMultipartUploadsResult", members)

    def _readable(self, bucket: str) -> _Readable:
        return next((each for each in self._generated if each.serves(bucket)), self._store)

    def _writable(self, bucket: str) -> None:
        if self.generates(bucket):
            raise S3Error("AccessDenied", f"Bucket {bucket} is made by Zerostart itself and cannot be written to.")

    def _lister(self, bucket: str) -> Any:
        source = self._readable(bucket)
        return lambda prefix, start, limit: source.list(bucket, prefix, start, limit)

    def _copied(self, call: Call) -> ObjectReader:
        named = unquote(call.headers["x-amz-copy-source"].partition("?")[0]).removeprefix("/")
        bucket, _, key = named.partition("/")
        if not key:
            raise S3Error("InvalidArgument", "x-amz-copy-source must be BUCKET/KEY.")
        reader = self._readable(bucket).open(bucket, key)
        if unmet_condition(reader.stored, call.headers, "x-amz-copy-source-"):
            reader.close()
            raise S3Error("PreconditionFailed", "A condition on the source of the copy did not hold.")
        return reader

    def _copy(self, source: ObjectReader, call: Call, attributes: Any) -> StoredObject:
        with self._store.writer(call.bucket, call.key, attributes) as writer:
            _pour(source.chunks() if source.stored.size else iter(()), writer)
            return writer.commit(write_condition(call.headers))


_DELETE_CONDITIONS = {"if-none-match", "x-amz-if-match-last-modified-time", "x-amz-if-match-size"}
_MISSING_SETTINGS = {
    "policy": "NoSuchBucketPolicy",
    "tagging": "NoSuchTagSet",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "cors": "NoSuchCORSConfiguration",
    "website": "NoSuchWebsiteConfiguration",
    "replication": "ReplicationConfigurationNotFoundError",
    "object-lock": "ObjectLockConfigurationNotFoundError",
    "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "ownershipControls": "OwnershipControlsNotFoundError",
}
BUCKET_SETTINGS = {
    *_MISSING_SETTINGS,
    *("versioning", "encryption", "acl", "logging", "notification", "accelerate", "requestPayment", "policyStatus"),
}


async def _copy_in(body: Body, writer: _Written) -> None:
    """Write the body in pieces large enough that handing them to a thread costs little."""
    pending = bytearray()
    async for piece in body.pieces():
        pending += piece
        if len(pending) >= _PIECE_BYTES:
            await run_in_threadpool(writer.write, bytes(pending))
            pending.clear()
    await run_in_threadpool(writer.write, bytes(pending))


def _pour(pieces: Iterator[bytes], writer: _Written) -> None:
    for piece in pieces:
        writer.write(piece)


def _answer(stored: StoredObject, call: Call) -> tuple[Response, tuple[int, int] | None]:
    """The head of an answer to GET or HEAD, and the bytes that a GET sends; None where it sends none."""
    status = unmet_condition(stored, call.headers)
    if status == 412:
        raise S3Error("PreconditionFailed", "At least one of the pre-conditions you specified did not hold.")
    if status == 304:
        known = object_headers(stored, {}, checksums=False)
        return Response(status_code=304, headers={name: known[name] for name in ("ETag", "Last-Modified")}), None
    span = byte_range(call.headers.get("range"), stored.size)
    wants_checksums = call.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED" and span is None
    headers = object_headers(stored, call.parameters, checksums=wants_checksums)
    first, last = span or (0, stored.size - 1)
    headers["Content-Length"] = str(last - first + 1)
    if span is None:
        return Response(headers=headers), (first, last)
    headers["Content-Range"] = f"bytes {first}-{last}/{stored.size}"
    return Response(status_code=206, headers=headers), span


def _number(parameters: Mapping[str, str]) -> int:
    return _whole(parameters.get("partNumber"))


def _whole(text: str | None) -> int:
    if not text or not text.isdecimal() or len(text) > 9:
        raise S3Error("InvalidArgument", f"Part number must be a whole number, not {(text or '')[:20]!r}.")
    return int(text)


def _iso(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%dT%H:%M:%S.000Z"))

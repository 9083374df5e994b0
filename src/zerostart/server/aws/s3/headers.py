"""Headers of S3's objects: what a request states about one, what an answer says of it, conditions and ranges."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from zerostart.server.aws.s3.errors import S3Error
from zerostart.storage.base import DEFAULT_CONTENT_TYPE, Condition, ObjectAttributes, StoredObject

_KEPT = ("cache-control", "content-disposition", "content-encoding", "content-language", "expires")
_META = "x-amz-meta-"
_MOST_METADATA_BYTES = 2048
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}


def attributes_of(headers: Mapping[str, str]) -> ObjectAttributes:
    """What a PUT says of its object. Raises S3Error."""
    if any(name.startswith("x-amz-server-side-encryption-customer") for name in headers):
        raise S3Error("NotImplemented", "Keys of the caller's own (SSE-C) are not supported: name a KMS key.")
    metadata = {name.removeprefix(_META): value for name, value in headers.items() if name.startswith(_META)}
    if sum(len(name) + len(value) for name, value in metadata.items()) > _MOST_METADATA_BYTES:
        raise S3Error("InvalidArgument", f"User metadata may have {_MOST_METADATA_BYTES} bytes in all.")
    kept = {name: headers[name] for name in _KEPT if name in headers}
    if "content-encoding" in kept:
        codings = [each.strip() for each in kept["content-encoding"].split(",")]
        kept["content-encoding"] = ",".join(each for each in codings if each and each != "aws-chunked")
    kept = {name: value for name, value in kept.items() if value}
    content_type = headers.get("content-type") or DEFAULT_CONTENT_TYPE
    return ObjectAttributes(content_type, kept, metadata, {}, _kms_key_id(headers))


def _kms_key_id(headers: Mapping[str, str]) -> str | None:
    method = headers.get("x-amz-server-side-encryption")
    key_id = headers.get("x-amz-server-side-encryption-aws-kms-key-id")
    if method not in {None, "AES256", "aws:kms", "aws:kms:dsse"}:
        raise S3Error("InvalidArgument", f"The encryption method {method[:30]!r} is not supported: AES256 or aws:kms.")
    if key_id and method in {None, "AES256"}:
        raise S3Error("InvalidArgument", "A KMS key id needs x-amz-server-side-encryption: aws:kms.")
    return None if method in {None, "AES256"} else key_id or "alias/aws/s3"


def encryption_headers(attributes: ObjectAttributes) -> dict[str, str]:
    """How an object is encrypted; every object is."""
    if attributes.kms_key_id is None:
        return {"x-amz-server-side-encryption": "AES256"}
    return {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": attributes.kms_key_id,
    }


def object_headers(stored: StoredObject, parameters: Mapping[str, str], *, checksums: bool) -> dict[str, str]:
    """What an answer says of an object."""
    attributes = stored.attributes
    headers = {
        "ETag": f'"{stored.etag}"',
        "Last-Modified": format_datetime(stored.modified_at.astimezone(UTC), usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": attributes.content_type,
        **{name.title(): value for name, value in attributes.headers.items()},
        **{_META + name: value for name, value in attributes.metadata.items()},
        **encryption_headers(attributes),
    }
    if checksums and attributes.checksums:
        headers |= checksum_headers(attributes.checksums)
        headers["x-amz-checksum-type"] = "FULL_OBJECT"
    return headers | {_OVERRIDES[name]: value for name, value in parameters.items() if name in _OVERRIDES}


def checksum_headers(checksums: Mapping[str, str]) -> dict[str, str]:
    """Checksums as headers."""
    return {f"x-amz-checksum-{name.lower()}": value for name, value in checksums.items()}


def write_condition(headers: Mapping[str, str]) -> Condition:
    """If-Match and If-None-Match of a write. Raises S3Error."""
    absent, match = headers.get("if-none-match"), headers.get("if-match")
    if absent not in {None, "*"}:
        raise S3Error("NotImplemented", "If-None-Match of a write takes '*' alone.")
    return Condition(match.strip('"') if match else None, absent is not None)


def unmet_condition(stored: StoredObject, headers: Mapping[str, str], prefix: str = "") -> int | None:
    """304 or 412 if a read's conditions do not hold; `prefix` is that of a copy's source."""
    match, none_match = headers.get(f"{prefix}if-match"), headers.get(f"{prefix}if-none-match")
    since, unmodified = headers.get(f"{prefix}if-modified-since"), headers.get(f"{prefix}if-unmodified-since")
    at = stored.modified_at.replace(microsecond=0)
    if match is not None:
        if not _matches(match, stored.etag):
            return 412
    elif unmodified is not None and (moment := _moment(unmodified)) is not None and at > moment:
        return 412
    changed = True
    if none_match is not None:
        changed = not _matches(none_match, stored.etag)
    elif since is not None and (moment := _moment(since)) is not None:
        changed = at > moment
    if changed:
        return None
    return 412 if prefix else 304


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First and last byte, both included, that a Range header asks for; None for all. Raises S3Error."""
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        first, last = max(0, size - int(match[2])), size - 1
    else:
        first, last = int(match[1]), min(int(match[2]) if match[2] else size - 1, size - 1)
    if first >= size or (match[2] == "0" and not match[1]):
        raise S3Error("InvalidRange", f"The requested range is not satisfiable: the object has {size} bytes.")
    return None if last < first else (first, last)


def _matches(header: str, etag: str) -> bool:
    given = {each.strip().removeprefix("W/").strip('"') for each in header.split(",")}
    return bool(given & {"*", etag})


def _moment(header: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

"""Which bucket and key a request is about, and whether it is for S3 at all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from zerostart.server.aws.s3.authentication import is_presigned
from zerostart.server.aws.s3.errors import S3Error

_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")
_SCOPE = re.compile(r"Credential=[^,/\s]+/\d+/[^,/\s]+/s3/aws4_request")


@dataclass(frozen=True)
class Address:
    """A bucket and a key, empty where there is none; `parameters` are the query's."""

    bucket: str
    key: str
    parameters: Mapping[str, str]


def is_for_s3(query: str, headers: Mapping[str, str]) -> bool:
    """Whether a request is signed for S3, presigned, or sent to one of S3's host names."""
    return (
        _SCOPE.search(headers.get("authorization", "")) is not None
        or headers.get("authorization", "").startswith("AWS ")  # Version 2: refused, in S3's words
        or is_presigned(query)
        or _HOST.fullmatch(_host(headers)) is not None
    )


def address_of(path: str, query: str, headers: Mapping[str, str]) -> Address:
    """Path and query as on the wire, in path style or in virtual-host style. Raises S3Error."""
    match = _HOST.fullmatch(_host(headers))
    bucket = (match["bucket"] or "") if match else ""
    try:
        name = unquote_to_bytes(path.removeprefix("/")).decode("utf-8")
    except UnicodeDecodeError:
        raise S3Error("InvalidArgument", "The key is not valid UTF-8.") from None
    if bucket:
        key = name
    else:
        bucket, _, key = name.partition("/")
    return Address(bucket, key, dict(parse_qsl(query, keep_blank_values=True)))


def resource_of(path: str, headers: Mapping[str, str]) -> str:
    """The path with the bucket in it, as Version 2 signs it."""
    match = _HOST.fullmatch(_host(headers))
    return f"/{match['bucket']}{path}" if match and match["bucket"] else path


def _host(headers: Mapping[str, str]) -> str:
    return headers.get("host", "").lower().partition(":")[0]

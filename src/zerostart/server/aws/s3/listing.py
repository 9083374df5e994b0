"""Pages of keys in S3's words: what a request asks of one, and what an answer says."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from zerostart.server.aws.s3.errors import S3Error
from zerostart.storage.listing import Listed

MOST_KEYS = 1000


def page_size(parameters: Mapping[str, str], name: str = "max-keys") -> int:
    """How many keys a page may hold."""
    value = parameters.get(name, str(MOST_KEYS))
    if not value.isdecimal() or len(value) > 10:
        raise S3Error("InvalidArgument", f"{name} is {value[:20]!r}: give a whole number.")
    return min(int(value), MOST_KEYS)


def encoder(parameters: Mapping[str, str]) -> Callable[[str], str]:
    """How keys are written: as they are, or percent-encoded."""
    kind = parameters.get("encoding-type")
    if kind not in {None, "url"}:
        raise S3Error("InvalidArgument", f"Invalid Encoding Method specified in Request: {kind}.")
    return (lambda text: quote(text, safe="/")) if kind else (lambda text: text)


def token_of(start: bytes | None) -> str | None:
    """A continuation token."""
    return None if start is None else base64.urlsafe_b64encode(start).decode()


def start_of(token: str) -> bytes:
    """Where the page of a continuation token begins."""
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise S3Error("InvalidArgument", "The continuation token provided is incorrect.") from None


def entries(page: Listed, encode: Callable[[str], str], owner: Mapping[str, str] | None) -> dict[str, Any]:
    """The members of a listing that hold its keys."""
    return {
        "Contents": [
            {
                "Key": encode(each.key),
                "LastModified": each.modified_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                "ETag": f'"{each.etag}"',
                "Size": each.size,
                "Owner": owner,
                "StorageClass": "STANDARD",
            }
            for each in page.objects
        ],
        "CommonPrefixes": [{"Prefix": encode(each)} for each in page.prefixes],
    }

"""Pages of keys: by prefix, with keys that share a prefix up to a delimiter rolled into one."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from zerostart.server.aws.s3.errors import S3Error
from zerostart.storage.base import StoredObject
from zerostart.storage.local import after_prefix

MOST_KEYS = 1000
List = Callable[[str, bytes, int], Sequence[StoredObject]]


@dataclass
class Listed:
    """One page; `next_start` is where the next one begins, None at the end."""

    objects: list[StoredObject] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""
    next_start: bytes | None = None

    def __len__(self) -> int:
        return len(self.objects) + len(self.prefixes)


def listed(listing: List, prefix: str, delimiter: str, start: bytes, max_keys: int) -> Listed:
    """One page of what `listing(prefix, start, limit)` gives. A rolled-up prefix is passed over with one query."""
    page, cursor = Listed(), start
    if max_keys == 0:
        return page
    while True:
        wanted = max_keys - len(page) + 1
        found = listing(prefix, cursor, wanted)
        for each in found:
            if len(page) == max_keys:
                page.next_start = each.key.encode()
                return page
            common = _common(each.key, prefix, delimiter)
            page.last = common or each.key
            if common is not None:
                page.prefixes.append(common)
                cursor = after_prefix(common.encode()) or b"\xff" * 5
                break
            page.objects.append(each)
            cursor = each.key.encode() + b"\0"
        else:
            if len(found) < wanted:
                return page


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


def after(key: str, delimiter: str) -> bytes:
    """The start of a page that begins behind `key`; behind all that it stands for if it is a rolled-up prefix."""
    given = key.encode("utf-8", "replace")
    if delimiter and key.endswith(delimiter):
        return after_prefix(given) or given
    return given + b"\0" if given else b""


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


def _common(key: str, prefix: str, delimiter: str) -> str | None:
    if not delimiter:
        return None
    end = key.find(delimiter, len(prefix))
    return None if end < 0 else key[: end + len(delimiter)]

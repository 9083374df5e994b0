"""Pages of keys: by prefix, with keys that share a prefix up to a delimiter rolled into one, as S3 lists them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from zerostart.storage.base import StoredObject
from zerostart.storage.local import after_prefix

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


def after(key: str, delimiter: str) -> bytes:
    """The start of a page that begins behind `key`; behind all that it stands for if it is a rolled-up prefix."""
    given = key.encode("utf-8", "replace")
    if delimiter and key.endswith(delimiter):
        return after_prefix(given) or given
    return given + b"\0" if given else b""


def _common(key: str, prefix: str, delimiter: str) -> str | None:
    if not delimiter:
        return None
    end = key.find(delimiter, len(prefix))
    return None if end < 0 else key[: end + len(delimiter)]

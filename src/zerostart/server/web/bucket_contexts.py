"""The contexts of the pages of buckets and objects."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from zerostart.server.web.rendering import Page


@dataclass(frozen=True)
class BucketRow:
    """A bucket in the list."""

    name: str
    created: str


@dataclass(frozen=True)
class BucketsPage(Page):
    """The list of buckets, and the form that makes one."""

    template: ClassVar[str] = "buckets.html"
    rows: Sequence[BucketRow]
    name: str = ""
    error: str | None = None


@dataclass(frozen=True)
class Crumb:
    """A part of the way to where one is; `name` is as it is shown."""

    name: str
    link: str


@dataclass(frozen=True)
class Entry:
    """A folder, or an object, of a list."""

    name: str
    link: str
    is_folder: bool
    size: str = ""
    changed: str = ""


@dataclass(frozen=True)
class UploadForm:
    """The form that sends files; `action` is where to, `most_bytes` the server's limit."""

    action: str
    most_bytes: int
    most: str


@dataclass(frozen=True)
class BucketPage(Page):
    """What is in a bucket under a prefix."""

    template: ClassVar[str] = "bucket.html"
    bucket: str
    prefix: str
    title: str
    crumbs: Sequence[Crumb]
    entries: Sequence[Entry]
    next_link: str | None
    upload: UploadForm
    is_first: bool


@dataclass(frozen=True)
class TableRow:
    """The cells of a row, or why it has none."""

    cells: Sequence[str]
    error: str | None = None


@dataclass(frozen=True)
class Preview:
    """The first rows of an object, or its first lines, or why neither is shown."""

    columns: Sequence[str] = ()
    rows: Sequence[TableRow] = ()
    text: str = ""
    note: str = ""


@dataclass(frozen=True)
class ObjectPage(Page):
    """An object: what is known of it, and how it begins."""

    template: ClassVar[str] = "object.html"
    bucket: str
    key: str
    title: str
    crumbs: Sequence[Crumb]
    size: str
    changed: str
    kind: str
    encryption: str
    uri: str
    preview: Preview
    batch_link: str | None


@dataclass(frozen=True)
class DeleteBucketPage(Page):
    """Asks before a bucket is deleted, and says what goes with it; `seen` is how many objects it was asked about."""

    template: ClassVar[str] = "delete_bucket.html"
    name: str
    objects: int
    size: str
    more: bool
    seen: int
    note: str = ""


@dataclass(frozen=True)
class DeleteObjectPage(Page):
    """Asks before an object is deleted."""

    template: ClassVar[str] = "delete_object.html"
    bucket: str
    key: str
    title: str
    size: str

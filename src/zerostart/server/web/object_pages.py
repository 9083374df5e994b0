"""What is in buckets: browsing by prefix, an object's page, upload, download and deletion."""

import base64
import binascii

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.errors import InvalidInput
from zerostart.server.web.bucket_contexts import BucketPage, Crumb, DeleteObjectPage, Entry, ObjectPage, UploadForm
from zerostart.server.web.downloads import Download
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.formats import ago, bytes_shown, exact_bytes_shown, key_shown
from zerostart.server.web.links import Links
from zerostart.server.web.multipart import FileBegins
from zerostart.server.web.page_store import PageStore
from zerostart.server.web.previews import MOST_ROWS, preview_of
from zerostart.server.web.uploads import Place, Uploads
from zerostart.storage.base import LARGEST_OBJECT_BYTES, ObjectStore, StoredObject
from zerostart.storage.listing import listed
from zerostart.transform.sample import Sample, read_sample

_ENTRIES_OF_A_PAGE = 100


class ObjectPages:
    """Pages of objects. A key is never part of a path, neither of an address nor of a file."""

    def __init__(self, edge: WebEdge, store: PageStore) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._store = store
        self._uploads = Uploads(edge)

    def routes(self) -> list[Route]:
        """All that is under one bucket's address."""
        page, bucket = self._edge.signed_in, f"{self._links.buckets}/{{bucket}}"
        return [
            Route(bucket, page(self._browse), methods=["GET"]),
            Route(f"{bucket}/upload", page(self._upload, reads_form=False), methods=["POST"]),
            Route(f"{bucket}/object", page(self._show), methods=["GET"]),
            Route(f"{bucket}/download", page(self._download), methods=["GET"]),
            Route(f"{bucket}/delete-object", page(self._ask), methods=["GET"]),
            Route(f"{bucket}/delete-object", page(self._delete), methods=["POST"]),
        ]

    async def _browse(self, visit: Visit) -> Response:
        bucket, query = visit.request.path_params["bucket"], visit.request.query_params
        store = self._store.of(visit, "ListBucket", bucket)
        prefix, start = query.get("prefix", ""), _start(query.get("from", ""))
        page = await run_in_threadpool(self._page_of, store, bucket, prefix, start)
        return self._edge.page(visit.request, page)

    async def _upload(self, visit: Visit) -> Response:
        bucket = visit.request.path_params["bucket"]
        store = self._store.of(visit, "PutObject", bucket)

        def place(fields: dict[str, str], file: FileBegins) -> Place:
            folder = fields.get("prefix", "")
            folder += "" if not folder or folder.endswith("/") else "/"
            return Place(bucket, folder + file.file_name, replaces="replace" in fields)

        received = await self._uploads.received(visit, store, place)
        if not received.stored:
            raise InvalidInput("No file was chosen: choose one or more, and press Upload.")
        return self._to(visit, self._links.bucket(bucket, _folder(received.stored[0].key)))

    async def _show(self, visit: Visit) -> Response:
        bucket, key = _named(visit)
        store = self._store.of(visit, "GetObject", bucket, key)
        stored, sample = await run_in_threadpool(_sampled, store, bucket, key)
        page = ObjectPage(
            bucket=bucket,
            key=key,
            title=key_shown(key.removesuffix("/").rpartition("/")[2] or key),
            crumbs=crumbs(self._links, bucket, _folder(key)),
            size=exact_bytes_shown(stored.size),
            changed=ago(stored.modified_at),
            kind=stored.attributes.content_type,
            encryption=stored.attributes.kms_key_id or self._store.usual_key,
            uri=key_shown(f"s3://{bucket}/{key}"),
            preview=preview_of(sample),
            batch_link=self._links.new_batch_of(input=f"s3://{bucket}/{key}") if sample.content_type else None,
        )
        return self._edge.page(visit.request, page)

    async def _download(self, visit: Visit) -> Response:
        bucket, key = _named(visit)
        store = self._store.of(visit, "GetObject", bucket, key)
        reader = await run_in_threadpool(store.open, bucket, key)
        size = reader.stored.size
        return Download(reader.chunks() if size else iter(()), reader.close, key, size=size)

    async def _ask(self, visit: Visit) -> Response:
        bucket, key = _named(visit)
        store = self._store.of(visit, "DeleteObject", bucket, key)
        stored = await run_in_threadpool(store.head, bucket, key)
        page = DeleteObjectPage(bucket, key, key_shown(key), exact_bytes_shown(stored.size))
        return self._edge.page(visit.request, page)

    async def _delete(self, visit: Visit) -> Response:
        bucket, key = _named(visit)
        store = self._store.of(visit, "DeleteObject", bucket, key)
        await run_in_threadpool(store.head, bucket, key)
        await run_in_threadpool(store.delete, bucket, key)
        return RedirectResponse(self._links.bucket(bucket, _folder(key)), 303)

    def _page_of(self, store: ObjectStore, bucket: str, prefix: str, start: bytes) -> BucketPage:
        store.bucket(bucket)
        found = listed(
            lambda under, at, limit: store.list(bucket, under, at, limit), prefix, "/", start, _ENTRIES_OF_A_PAGE
        )
        after = found.next_start
        token = "" if after is None else base64.urlsafe_b64encode(after).decode()
        return BucketPage(
            bucket=bucket,
            prefix=prefix,
            title=key_shown(prefix.removesuffix("/").rpartition("/")[2] or prefix) or bucket,
            crumbs=crumbs(self._links, bucket, prefix) if prefix else (),
            entries=[
                *(self._folder_entry(bucket, each, prefix) for each in found.prefixes),
                *(self._object_entry(each, prefix) for each in found.objects),
            ],
            next_link=self._links.bucket(bucket, prefix, token) if token else None,
            upload=UploadForm(self._links.upload(bucket), LARGEST_OBJECT_BYTES, bytes_shown(LARGEST_OBJECT_BYTES)),
            is_first=not start,
        )

    def _folder_entry(self, bucket: str, folder: str, prefix: str) -> Entry:
        return Entry(key_shown(folder.removeprefix(prefix)), self._links.bucket(bucket, folder), is_folder=True)

    def _object_entry(self, stored: StoredObject, prefix: str) -> Entry:
        return Entry(
            name=key_shown(stored.key.removeprefix(prefix)) or "(the folder itself)",
            link=self._links.object(stored.bucket, stored.key),
            is_folder=False,
            size=exact_bytes_shown(stored.size),
            changed=ago(stored.modified_at),
        )

    @staticmethod
    def _to(visit: Visit, address: str) -> Response:
        return Response(headers={"HX-Redirect": address}) if visit.is_fragment else RedirectResponse(address, 303)


def crumbs(links: Links, bucket: str, prefix: str) -> list[Crumb]:
    """The way from the list of buckets to a prefix."""
    found = [Crumb("Buckets", links.buckets), Crumb(bucket, links.bucket(bucket))]
    end = 0
    while (end := prefix.find("/", end) + 1) > 0:
        whole = prefix[:end]
        name = whole.removesuffix("/").rpartition("/")[2]
        found.append(Crumb(key_shown(name) or "/", links.bucket(bucket, whole)))
    return found


def _sampled(store: ObjectStore, bucket: str, key: str) -> tuple[StoredObject, Sample]:
    reader = store.open(bucket, key)
    try:
        return reader.stored, read_sample(reader, MOST_ROWS)
    finally:
        reader.close()


def _named(visit: Visit) -> tuple[str, str]:
    bucket: str = visit.request.path_params["bucket"]
    key = visit.request.query_params.get("key", "")
    return bucket, key


def _folder(key: str) -> str:
    """What precedes the last part of a key."""
    return key[: key.removesuffix("/").rfind("/") + 1]


def _start(token: str) -> bytes:
    try:
        return base64.b64decode(token.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidInput("The list does not go on from there: start at its beginning.") from error

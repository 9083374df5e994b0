"""Buckets: the list, making one, and deleting one with all that is in it."""

import time

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.errors import ZerostartError
from zerostart.server.web.bucket_contexts import BucketRow, BucketsPage, DeleteBucketPage
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.errors import error_page
from zerostart.server.web.formats import ago, exact_bytes_shown
from zerostart.server.web.forms import whole_number
from zerostart.server.web.page_store import PageStore
from zerostart.storage.base import ObjectStore

_MOST_COUNTED = 20_000
_LONGEST_DELETE_S = 20.0


class BucketPages:
    """Pages of buckets."""

    def __init__(self, edge: WebEdge, store: PageStore) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._store = store

    def routes(self) -> list[Route]:
        """The list, and deleting."""
        page, delete = self._edge.signed_in, f"{self._links.buckets}/{{bucket}}/delete"
        return [
            Route(self._links.buckets, page(self._list), methods=["GET"]),
            Route(self._links.buckets, page(self._create), methods=["POST"]),
            Route(delete, page(self._ask), methods=["GET"]),
            Route(delete, page(self._delete), methods=["POST"]),
        ]

    async def _list(self, visit: Visit) -> Response:
        rows = await run_in_threadpool(self._rows, visit)
        return self._edge.page(visit.request, BucketsPage(rows))

    async def _create(self, visit: Visit) -> Response:
        name = visit.form.get("bucket", "").strip()
        store = self._store.of(visit, "CreateBucket", name)
        try:
            self._store.check_new(name)
            await run_in_threadpool(store.create_bucket, name)
        except ZerostartError as error:
            told = error_page(error)
            rows = await run_in_threadpool(self._rows, visit)
            return self._edge.page(visit.request, BucketsPage(rows, name, told.message), told.status)
        return RedirectResponse(self._links.bucket(name), 303)

    async def _ask(self, visit: Visit) -> Response:
        name, store = self._deletable(visit)
        page = await run_in_threadpool(_asked, store, name, "")
        return self._edge.page(visit.request, page)

    async def _delete(self, visit: Visit) -> Response:
        name, store = self._deletable(visit)
        seen = whole_number(visit.form, "seen", "The number of objects")
        page = await run_in_threadpool(_asked, store, name, "There is more in it than you were asked about.")
        if page.seen > seen:
            return self._edge.page(visit.request, page, 409)
        if not await run_in_threadpool(_emptied, store, name):
            page = await run_in_threadpool(_asked, store, name, "Many are gone. Press Delete again to go on.")
            return self._edge.page(visit.request, page)
        await run_in_threadpool(store.delete_bucket, name)
        return RedirectResponse(self._links.buckets, 303)

    def _rows(self, visit: Visit) -> list[BucketRow]:
        store = self._store.of(visit, "ListAllMyBuckets")
        return [BucketRow(each.name, ago(each.created_at)) for each in store.buckets()]

    def _deletable(self, visit: Visit) -> tuple[str, ObjectStore]:
        name: str = visit.request.path_params["bucket"]
        for action in ("ListBucket", "DeleteObject"):
            self._store.of(visit, action, name)
        return name, self._store.of(visit, "DeleteBucket", name)


def _asked(store: ObjectStore, name: str, note: str) -> DeleteBucketPage:
    """What goes with a bucket, counted up to a limit: a page is not to wait for millions of objects."""
    store.bucket(name)
    objects, size, start = 0, 0, b""
    while objects < _MOST_COUNTED and (found := store.list(name, "", start)):
        objects += len(found)
        size += sum(each.size for each in found)
        start = found[-1].key.encode() + b"\0"
    return DeleteBucketPage(name, objects, exact_bytes_shown(size), objects >= _MOST_COUNTED, objects, note)


def _emptied(store: ObjectStore, name: str) -> bool:
    """Delete the objects; whether that was done within the time that a page may take."""
    until_s = time.monotonic() + _LONGEST_DELETE_S
    while found := store.list(name):
        for each in found:
            store.delete(name, each.key)
            if time.monotonic() > until_s:
                return False
    return True

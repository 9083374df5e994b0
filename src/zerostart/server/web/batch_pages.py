"""Batch jobs: the list, each with its progress and results, and stopping one."""

from collections.abc import Generator
from itertools import chain

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput
from zerostart.metadata.transform_job import TransformJob, TransformJobStatus
from zerostart.server.web.batch_contexts import BatchPage, StopJobPage
from zerostart.server.web.batch_rows import BatchViews, labels_of_job
from zerostart.server.web.downloads import Download
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.exports import csv_pieces
from zerostart.server.web.page_store import PageStore
from zerostart.services.job_results import JobResults
from zerostart.storage.base import parse_uri
from zerostart.transform.tables import CSV

_ROWS_OF_A_PAGE = 25


class BatchPages:
    """Pages of batch jobs."""

    def __init__(self, edge: WebEdge, parts: ServerParts, store: PageStore) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts
        self._store = store
        self._views = BatchViews(parts, self._links)

    def routes(self) -> list[Route]:
        """The list, and all that is under one job's address."""
        page, one = self._edge.signed_in, f"{self._links.batch}/jobs/{{name}}"
        return [
            Route(self._links.batch, page(self._list), methods=["GET"]),
            Route(one, page(self._show), methods=["GET"]),
            Route(f"{one}/results.csv", page(self._csv), methods=["GET"]),
            Route(f"{one}/results.jsonl", page(self._jsonl), methods=["GET"]),
            Route(f"{one}/stop", page(self._ask), methods=["GET"]),
            Route(f"{one}/stop", page(self._stop), methods=["POST"]),
        ]

    async def _list(self, visit: Visit) -> Response:
        visit.require("sagemaker:ListTransformJobs")
        token = visit.request.query_params.get("from")
        rows, next_token = await run_in_threadpool(self._views.rows, _ROWS_OF_A_PAGE, token)
        follows = token is None and any(row.is_running for row in rows)
        return self._edge.page(visit.request, BatchPage(rows, follows, next_token))

    async def _show(self, visit: Visit) -> Response:
        name = self._named(visit, "DescribeTransformJob")
        contents = self._store.is_open and visit.may("s3:GetObject")
        page = await run_in_threadpool(self._views.page, name, with_contents=contents)
        return self._edge.page(visit.request, page)

    async def _csv(self, visit: Visit) -> Response:
        job = await self._readable(visit)
        options = job.options
        results = self._parts.job_results.results(job)
        pieces = csv_pieces(
            results, labels_of_job(job), options.text_column, columns_may_differ=options.content_type != CSV
        )
        return await _download(pieces, f"{job.name}.csv", "text/csv; charset=utf-8")

    async def _jsonl(self, visit: Visit) -> Response:
        job = await self._readable(visit)
        if job.options.accept == CSV:
            raise InvalidInput("The results of this job are CSV: download them as CSV.")
        return await _download(self._parts.job_results.lines(job), f"{job.name}.jsonl", "application/jsonlines")

    async def _ask(self, visit: Visit) -> Response:
        name = self._named(visit, "StopTransformJob")
        state = await run_in_threadpool(self._parts.transform_jobs.describe_transform_job, name)
        if state.job.status is not TransformJobStatus.IN_PROGRESS:
            return RedirectResponse(self._links.job(name), 303)
        return self._edge.page(visit.request, StopJobPage(name, f"{state.progress.records:,}"))

    async def _stop(self, visit: Visit) -> Response:
        name = self._named(visit, "StopTransformJob")
        await run_in_threadpool(self._parts.transform_jobs.stop_transform_job, name)
        return RedirectResponse(self._links.job(name), 303)

    async def _readable(self, visit: Visit) -> TransformJob:
        """A job whose results can be read, and by this visitor. Raises InvalidInput for one that has none yet."""
        name = self._named(visit, "DescribeTransformJob")
        state = await run_in_threadpool(self._parts.transform_jobs.describe_transform_job, name)
        bucket, prefix = parse_uri(state.job.options.output_uri)
        self._store.of(visit, "GetObject", bucket, prefix)
        if not JobResults.are_there(state.job):
            raise InvalidInput(f"The job {name} is {state.job.status}: it has no results to download.")
        if not JobResults.can_be_read(state.job):
            raise InvalidInput("The results of this job have a form of their own: download the objects of its output.")
        return state.job

    def _named(self, visit: Visit, action: str) -> str:
        name: str = visit.request.path_params["name"]
        visit.require(f"sagemaker:{action}", self._parts.arns.of("transform-job", name))
        return name


async def _download(pieces: Generator[bytes, None, None], name: str, kind: str) -> Response:
    """Begun already, so that what is not there is said by a page and not by a broken file."""
    first = await run_in_threadpool(next, pieces, b"")
    return Download(chain([first], pieces), pieces.close, name, kind=kind)

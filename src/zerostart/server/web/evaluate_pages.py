"""Evaluations: the list, each with its progress and its report, downloads, and deleting one."""

import json
import shlex

from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput
from zerostart.evaluation.html import report_body, report_page
from zerostart.server.web.batch_contexts import JobProgress
from zerostart.server.web.downloads import disposition
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.evaluate_contexts import DeleteEvaluationPage, EvaluatePage, EvaluationPage, EvaluationRow
from zerostart.server.web.formats import NOTHING, ago, key_shown, rate_shown, time_shown
from zerostart.server.web.new_evaluation import EXAMPLE, facts_of
from zerostart.server.web.page_store import PageStore
from zerostart.services.authorisation import EVALUATE
from zerostart.services.evaluation_request import ENDPOINT
from zerostart.services.evaluations import BUCKET, EvaluationProgress, EvaluationRecord, EvaluationStatus

_OCTETS = "application/octet-stream"


class EvaluatePages:
    """Pages of evaluations."""

    def __init__(self, edge: WebEdge, parts: ServerParts, store: PageStore) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._evaluations = parts.evaluations
        self._store = store

    def routes(self) -> list[Route]:
        """The list, and all that is under one's address."""
        page, one = self._edge.signed_in, f"{self._links.evaluate}/of/{{id}}"
        return [
            Route(self._links.evaluate, page(self._list), methods=["GET"]),
            Route(one, page(self._show), methods=["GET"]),
            Route(f"{one}/report.html", page(self._html), methods=["GET"]),
            Route(f"{one}/report.json", page(self._json), methods=["GET"]),
            Route(f"{one}/profile.json", page(self._profile), methods=["GET"]),
            Route(f"{one}/stop", page(self._stop), methods=["POST"]),
            Route(f"{one}/retry", page(self._retry), methods=["POST"]),
            Route(f"{one}/delete", page(self._ask), methods=["GET"]),
            Route(f"{one}/delete", page(self._delete), methods=["POST"]),
        ]

    async def _list(self, visit: Visit) -> Response:
        self._require(visit)
        records = await run_in_threadpool(self._evaluations.all)
        rows = [self._row(each) for each in records]
        follows = any(row.is_running for row in rows)
        page = EvaluatePage(rows, follows, self._evaluations.missing(), EXAMPLE.exists())
        return self._edge.page(visit.request, page)

    async def _show(self, visit: Visit) -> Response:
        record = await self._record(visit)
        if record.request is None:
            return RedirectResponse(self._links.set_up_evaluation(record.id), 303)
        page = await run_in_threadpool(self._page, record)
        return self._edge.page(visit.request, page)

    async def _html(self, visit: Visit) -> Response:
        record = await self._record(visit)
        document = await run_in_threadpool(self._evaluations.report, record.id)
        page = await run_in_threadpool(report_page, document)
        return _download(page.encode(), f"{_stem(record)}.report.html")

    async def _json(self, visit: Visit) -> Response:
        record = await self._record(visit)
        document = await run_in_threadpool(self._evaluations.report, record.id)
        return _download(json.dumps(document, ensure_ascii=False, indent=1).encode(), f"{_stem(record)}.report.json")

    async def _profile(self, visit: Visit) -> Response:
        record = await self._record(visit)
        return _download(await run_in_threadpool(self._evaluations.profile, record.id), f"{_stem(record)}.profile.json")

    async def _stop(self, visit: Visit) -> Response:
        record = await self._record(visit)
        await run_in_threadpool(self._evaluations.stop, record.id)
        return RedirectResponse(self._links.evaluation(record.id), 303)

    async def _retry(self, visit: Visit) -> Response:
        """Once more, as it was set up."""
        record = await self._record(visit)
        if record.request is None:
            raise InvalidInput("Nothing was asked of this file yet: set it up first.")
        await run_in_threadpool(self._evaluations.start, record.id, record.request)
        return RedirectResponse(self._links.evaluation(record.id), 303)

    async def _ask(self, visit: Visit) -> Response:
        record = await self._record(visit)
        completed = record.status is EvaluationStatus.COMPLETED
        page = DeleteEvaluationPage(
            record.id, key_shown(record.file_name), completed, record.has_profile, record.status.goes_on
        )
        return self._edge.page(visit.request, page)

    async def _delete(self, visit: Visit) -> Response:
        record = await self._record(visit)
        await run_in_threadpool(self._evaluations.delete, record.id)
        return RedirectResponse(self._links.evaluate, 303)

    def _require(self, visit: Visit) -> None:
        visit.require(EVALUATE)
        self._store.of(visit, "GetObject", BUCKET)

    async def _record(self, visit: Visit) -> EvaluationRecord:
        self._require(visit)
        return await run_in_threadpool(self._evaluations.get, visit.request.path_params["id"])

    def _row(self, record: EvaluationRecord) -> EvaluationRow:
        running = record.status.goes_on
        link = self._links.evaluation(record.id)
        if record.request is None:
            link = self._links.set_up_evaluation(record.id)
        return EvaluationRow(
            id=record.id,
            name=key_shown(record.file_name),
            status=record.status.value,
            is_running=running,
            link=link,
            who=_who(record),
            progress=progress_shown(record, self._evaluations.progress(record.id)),
            accuracy=_figure(record, "accuracy"),
            macro_f1=_figure(record, "macro_f1"),
            created=ago(record.created),
        )

    def _page(self, record: EvaluationRecord) -> EvaluationPage:
        assert record.request is not None  # noqa: S101 - others are led to their form
        report = Markup()
        if record.status is EvaluationStatus.COMPLETED:
            report = Markup(report_body(self._evaluations.report(record.id)))  # noqa: S704 - it escapes for itself
        uri = record.profile_uri
        deployable = bool(uri and record.model_id)
        name = f"{_stem(record)}.profile.json"
        return EvaluationPage(
            row=self._row(record),
            reason=record.reason,
            facts=facts_of(record.request),
            report=report,
            profile_link=self._links.evaluation_step(record.id, "profile.json") if uri else "",
            deploy_link=self._links.model_with_profile(record.model_id, uri) if deployable else "",
            classify_command=f"zerostart classify TEXT --profile {_quoted(name)}" if uri else "",
            deploy_command=f"ZEROSTART_PROFILE={uri}" if uri else "",
        )


def progress_shown(record: EvaluationRecord, progress: EvaluationProgress) -> JobProgress:
    """How far an evaluation is."""
    if record.status is EvaluationStatus.WAITING and not progress.total:
        return JobProgress("", "Waits until those before it have ended", NOTHING, "")
    if not record.status.goes_on:
        return JobProgress("", f"{record.rows:,} texts" if record.rows else "", NOTHING, "")
    if not progress.total:
        return JobProgress("", "Reads the file and gets ready", NOTHING, "")
    rate = progress.done / progress.passed_s if progress.done and progress.passed_s else 0.0
    left = time_shown((progress.total - progress.done) / rate) if rate else ""
    percent = f"{100 * min(progress.done / progress.total, 0.99):.0f}"
    return JobProgress(
        percent, f"{progress.done:,} of {progress.total:,} texts", rate_shown(rate) if rate else NOTHING, left
    )


def _who(record: EvaluationRecord) -> str:
    if record.request is None:
        return ""
    asked = (record.request, record.request.other) if record.request.compares else (record.request,)
    return " against ".join(f"endpoint {each.name}" if each.kind == ENDPOINT else each.name for each in asked)


def _figure(record: EvaluationRecord, name: str) -> str:
    """Where there is no accuracy, since a text may have several labels, that is said by a dash."""
    return f"{record.figures[name]:.1%}" if name in record.figures else NOTHING


def _stem(record: EvaluationRecord) -> str:
    return record.file_name.removesuffix(".gz").rpartition(".")[0] or "evaluation"


def _quoted(name: str) -> str:
    """For a shell."""
    return shlex.quote(key_shown(name))


def _download(content: bytes, name: str) -> Response:
    return Response(content, media_type=_OCTETS, headers={"Content-Disposition": disposition(name)})

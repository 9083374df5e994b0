"""Solutions in the browser: what there is, Launch, live steps, the report, and deleting with a proof."""

from contextlib import aclosing
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import (
    AlreadyExists,
    InvalidArtefact,
    InvalidField,
    InvalidInput,
    LimitExceeded,
    NotFound,
    UnknownModel,
)
from zerostart.server.web.contexts import Choice
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.formats import ago, bytes_shown, duration_shown, key_shown
from zerostart.server.web.multipart import FileBegins, FileContent, FormField, form_events
from zerostart.server.web.solution_contexts import (
    CallRow,
    DeleteSolutionPage,
    LaunchForm,
    LaunchLink,
    LaunchView,
    SolutionCard,
    SolutionPage,
    SolutionsPage,
    StepRow,
)
from zerostart.services.inventory import Kind, Thing
from zerostart.services.solution import (
    DELETE_ACTIONS,
    LAUNCH_ACTIONS,
    SEE_ACTION,
    LaunchAsked,
    LaunchState,
    LaunchStatus,
    StepStatus,
)
from zerostart.services.solution_launch import Step
from zerostart.solutions.labelled_csv import LARGEST_BYTES
from zerostart.solutions.launchable import solution_of
from zerostart.solutions.solution import Solution

_MOST_OTHERS = 50
# A report is an object of a bucket, which others may have written over: nothing of it runs, or is of this site.
_REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox"
)
_NAMES = {
    Kind.TRANSFORM_JOB: "transform job",
    Kind.ENDPOINT: "endpoint",
    Kind.ENDPOINT_CONFIG: "endpoint config",
    Kind.MODEL: "model",
    Kind.BUCKET: "bucket",
}


@dataclass
class _Sent:
    """What the form brought."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str = ""
    content: bytearray = field(default_factory=bytearray)


class SolutionPages:
    """Pages under one address."""

    def __init__(self, edge: WebEdge, parts: ServerParts) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts
        self._solutions = parts.solutions

    def routes(self) -> list[Route]:
        """The list, and what is under a solution's address."""
        page, one = self._edge.signed_in, f"{self._links.solutions}/{{name}}"
        return [
            Route(self._links.solutions, page(self._list), methods=["GET"]),
            Route(one, page(self._show), methods=["GET"]),
            Route(one, page(self._launch, reads_form=False), methods=["POST"]),
            Route(f"{one}/report", page(self._report), methods=["GET"]),
            Route(f"{one}/delete", page(self._ask), methods=["GET"]),
            Route(f"{one}/delete", page(self._delete), methods=["POST"]),
        ]

    async def _list(self, visit: Visit) -> Response:
        visit.require(SEE_ACTION)
        cards = await run_in_threadpool(lambda: [self._card(each) for each in self._solutions.solutions()])
        return self._edge.page(visit.request, SolutionsPage(cards))

    async def _show(self, visit: Visit) -> Response:
        visit.require(SEE_ACTION)
        solution, launch = _named(visit)
        page = await run_in_threadpool(self._page, visit, solution, launch, LaunchForm())
        return self._edge.page(visit.request, page)

    async def _launch(self, visit: Visit) -> Response:
        for action in LAUNCH_ACTIONS:
            visit.require(action)
        solution, _ = _named(visit)
        sent = await self._sent(visit)
        name, model = sent.fields.get("name", "").strip(), sent.fields.get("model", "").strip()
        data = bytes(sent.content) if sent.file_name else None
        asked = LaunchAsked(solution.name, name, model, data, sent.file_name)
        try:
            state = await run_in_threadpool(self._solutions.launch, asked)
        except InvalidField as error:
            form = LaunchForm(name, model, problems={error.field: str(error)})
        except (AlreadyExists, LimitExceeded, UnknownModel, InvalidArtefact) as error:
            form = LaunchForm(name, model, error=str(error))
        except InvalidInput as error:
            problems = {"data": str(error)} if data is not None else {}
            form = LaunchForm(name, model, error=None if problems else str(error), problems=problems)
        else:
            return RedirectResponse(self._address(state, already=state.status is LaunchStatus.LAUNCHED), 303)
        page = await run_in_threadpool(self._page, visit, solution, name, form)
        return self._edge.page(visit.request, page, 400)

    async def _report(self, visit: Visit) -> Response:
        visit.require("s3:GetObject")
        solution, launch = _named(visit)
        content = await run_in_threadpool(self._solutions.report, solution.name, launch)
        headers = {"Content-Security-Policy": _REPORT_POLICY}
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)

    async def _ask(self, visit: Visit) -> Response:
        _may_delete(visit)
        solution, launch = _named(visit)
        found = await run_in_threadpool(self._solutions.removal, solution.name, launch or solution.name)
        if not found:
            raise NotFound(f"{launch or solution.name} is not launched: there is nothing to delete.")
        removal = found[0]
        page = DeleteSolutionPage(
            name=solution.name,
            launch=removal.launch.name,
            things=[_shown(each) for each in removal.things],
            bucket=removal.launch.bucket,
            others=[key_shown(each) for each in removal.others[:_MOST_OTHERS]],
            more=max(0, len(removal.others) - _MOST_OTHERS),
        )
        return self._edge.page(visit.request, page)

    async def _delete(self, visit: Visit) -> Response:
        _may_delete(visit)
        solution, launch = _named(visit)

        def delete() -> str:
            return self._solutions.delete(solution.name, launch or solution.name, with_others="others" in visit.form)

        return RedirectResponse(self._links.clean_up_result(await run_in_threadpool(delete)), 303)

    async def _sent(self, visit: Visit) -> _Sent:
        """The fields and the file, of bounded size. Raises ForeignForm and what `form_events` raises."""
        sent = _Sent()
        async with aclosing(form_events(visit.request, LARGEST_BYTES + 64 * 1024)) as events:
            async for event in events:
                if isinstance(event, FormField):
                    sent.fields[event.name] = event.value
                elif isinstance(event, FileBegins):
                    self._edge.check_form(visit.request, sent.fields)
                    sent.file_name = key_shown(event.file_name)[:200]
                elif isinstance(event, FileContent):
                    sent.content += event.content
        self._edge.check_form(visit.request, sent.fields)
        return sent

    def _address(self, state: LaunchState, *, already: bool = False) -> str:
        return self._links.solution(state.launch.solution.name, state.launch.name, already=already)

    def _card(self, solution: Solution) -> SolutionCard:
        launches = self._solutions.launches(solution.name)
        return SolutionCard(
            solution.name,
            solution.title,
            solution.summary,
            solution.minutes,
            launches[0].status.value.capitalize() if launches else "",
            bool(launches) and launches[0].status.value == "launched",
        )

    def _page(self, visit: Visit, solution: Solution, launch: str, form: LaunchForm) -> SolutionPage:
        launches = self._solutions.launches(solution.name)
        wanted = [each for each in launches if each.launch.name == launch] or launches
        shown = wanted[0] if wanted else None
        here = [each for each in self._parts.hub.models() if each.artefact is not None and each.entry.kind == "nli"]
        return SolutionPage(
            name=solution.name,
            title=solution.title,
            about=solution.about,
            minutes=solution.minutes,
            texts=solution.sample.read_bytes().count(b"\n") - 1,
            labels=list(solution.labels),
            known_as=solution.known_as,
            columns=[solution.text_column, solution.label_column],
            launch=self._view(shown) if shown is not None else None,
            others=[LaunchLink(each.launch.name, self._address(each)) for each in launches if each is not shown],
            form=form,
            models=[Choice(each.entry.id, each.entry.name) for each in here],
            most=bytes_shown(LARGEST_BYTES),
            already=bool(shown) and "already" in visit.request.query_params,
            may_launch=all(visit.may(action) for action in LAUNCH_ACTIONS),
        )

    def _view(self, state: LaunchState) -> LaunchView:
        launch, headline = state.launch, state.headline
        done = {each.step for each in state.steps if each.status is StepStatus.DONE}
        measured = headline is not None and headline.accuracy is not None and headline.macro_f1 is not None
        return LaunchView(
            name=launch.name,
            status=state.status.value,
            model_id=launch.model_id,
            bucket=launch.bucket,
            launched=ago(launch.launched_at),
            steps=[StepRow(each.title, each.detail, each.status.value) for each in state.steps],
            done=len(done),
            reason=state.reason,
            call=self._call(state),
            has_report=headline is not None,
            rows=f"{headline.rows:,}" if headline is not None else "",
            accuracy=f"{100 * (headline.accuracy or 0):.1f}%" if measured and headline else "",
            macro_f1=f"{headline.macro_f1 or 0:.3f}" if measured and headline else "",
            endpoint_link=self._links.endpoint(launch.name) if Step.ENDPOINT in done else "",
            job_link=self._links.job(launch.name) if Step.JOB in done else "",
            bucket_link=self._links.bucket(launch.bucket) if Step.DATA in done else "",
        )

    @staticmethod
    def _call(state: LaunchState) -> CallRow | None:
        call = state.first_call
        if call is None:
            return None
        percent = 100 * call.score
        return CallRow(
            call.text, call.category, call.label, f"{percent:.1f}%", f"{percent:.1f}", duration_shown(call.latency_s)
        )


def _named(visit: Visit) -> tuple[Solution, str]:
    """The solution, and the name of the launch that is meant. Raises NotFound."""
    return solution_of(visit.request.path_params["name"]), visit.request.query_params.get("launch", "")


def _may_delete(visit: Visit) -> None:
    for action in DELETE_ACTIONS:
        visit.require(action)


def _shown(thing: Thing) -> str:
    return f"{_NAMES[thing.kind]} {thing.name}"

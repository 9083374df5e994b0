"""The playground for questions: a choice of options, a statement, a place on a scale; answers as bars."""

from collections.abc import Sequence
from dataclasses import replace

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import ZerostartError
from zerostart.metrics import ControlPlaneMetrics
from zerostart.nli.question import Answer, Question
from zerostart.server.web.asking import decide
from zerostart.server.web.contexts import Label, Snippet
from zerostart.server.web.decide_contexts import AnswerShown, DecideForm, DecideFragment, DecidePage
from zerostart.server.web.decide_examples import DECIDE_EXAMPLES
from zerostart.server.web.decide_form import as_fields, asked, typed_form, with_another, without
from zerostart.server.web.decide_snippets import decide_snippets
from zerostart.server.web.edge import Visit, WebEdge, address_of
from zerostart.server.web.endpoint_contexts import Example
from zerostart.server.web.errors import error_page
from zerostart.server.web.formats import duration_shown

_LONGEST_LINK = 4000


class DecidePages:
    """For those who may invoke the endpoint."""

    def __init__(self, edge: WebEdge, parts: ServerParts, metrics: ControlPlaneMetrics) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts
        self._metrics = metrics

    def routes(self) -> list[Route]:
        """One address."""
        path = f"{self._links.endpoints}/{{name}}/decide"
        return [
            Route(path, self._edge.signed_in(self._show), methods=["GET"]),
            Route(path, self._edge.signed_in(self._run), methods=["POST"]),
        ]

    async def _show(self, visit: Visit) -> Response:
        name = await self._invocable(visit)
        form = typed_form(name, visit.request.query_params)
        return self._page(visit, await self._answered(visit, form) if form.text.strip() else form)

    async def _run(self, visit: Visit) -> Response:
        form = typed_form(await self._invocable(visit), visit.form)
        if "add" in visit.form:
            form = with_another(form)
        elif "remove" in visit.form:
            form = without(form, visit.form["remove"])
        else:
            form = await self._answered(visit, form)
        return self._page(visit, form)

    async def _answered(self, visit: Visit, form: DecideForm) -> DecideForm:
        """The form with the answers, or with what is wrong."""
        try:
            questions, problems = asked(form)
            if problems:
                return replace(form, problems=problems, focus=next(iter(problems)))
            found = await decide(visit.request, form.name, form.text, questions, self._parts.decisions, self._metrics)
        except ZerostartError as error:
            return replace(form, error=error_page(error).message)
        link = self._links.decide_with(form.name, as_fields(form.text, questions))
        return replace(
            form,
            answers=[_shown(each) for each in found.answers],
            latency=duration_shown(found.model_latency_s),
            tokens=found.input_tokens,
            link=link if len(link) <= _LONGEST_LINK else "",
        )

    def _page(self, visit: Visit, form: DecideForm) -> Response:
        snippets = self._snippets(visit, form)
        if not visit.is_fragment:
            return self._edge.page(visit.request, DecidePage(form.name, form, self._examples(form.name), snippets))
        page = DecideFragment(replace(form, focus_by="data-focus"), self._examples(form.name), snippets)
        response = self._edge.page(visit.request, page)
        if form.link:
            response.headers["HX-Replace-Url"] = form.link
        return response

    def _snippets(self, visit: Visit, form: DecideForm) -> Sequence[Snippet]:
        """Of what was answered; before that of an example."""
        text, questions = DECIDE_EXAMPLES[0].text, DECIDE_EXAMPLES[0].questions
        if form.answers:
            text, (questions, _) = form.text, asked(form)
        return decide_snippets(address_of(visit.request), form.name, text, questions)

    def _examples(self, name: str) -> Sequence[Example]:
        return [
            Example(each.title, self._links.decide_with(name, as_fields(each.text, each.questions)))
            for each in DECIDE_EXAMPLES
        ]

    async def _invocable(self, visit: Visit) -> str:
        """The endpoint's name. Raises AccessDenied, and NotFound for one that is not there."""
        name: str = visit.request.path_params["name"]
        visit.require("sagemaker:InvokeEndpoint", self._parts.arns.of("endpoint", name))
        await run_in_threadpool(self._parts.endpoints.describe_endpoint, name)
        return name


def _shown(answer: Answer) -> AnswerShown:
    question = answer.question
    if question.kind == "predicate":
        return AnswerShown(
            question.instructions, [_bar("true", answer.probabilities[0], answer.probabilities[0] >= 0.5)], ""
        )
    likeliest = answer.likeliest
    both = list(zip(question.options, answer.probabilities, strict=True))
    if question.kind == "choice":
        both.sort(key=lambda each: -each[1])
    bars = [_bar(option.name, probability, option is likeliest) for option, probability in both]
    return AnswerShown(question.instructions, bars, _note(answer, question))


def _note(answer: Answer, question: Question) -> str:
    confidence = f"Confidence {answer.confidence:.2f}"
    if question.kind == "choice":
        return confidence
    return f"Score {answer.expected_level:.2f}, from 0 to {len(question.options) - 1} · {confidence}"


def _bar(name: str, probability: float, is_top: bool) -> Label:
    return Label(name, f"{probability:.1%}", f"{100 * probability:.2f}", is_top)

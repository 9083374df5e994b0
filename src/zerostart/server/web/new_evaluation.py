"""A new evaluation in three steps, each a page: the file; columns, labels and who answers; a try, and Run."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidField, InvalidInput, LimitExceeded, NotFound, Overloaded, ZerostartError, shortened
from zerostart.evaluation.tuning import TEMPLATES
from zerostart.metadata.endpoint import EndpointStatus
from zerostart.server.web.bucket_contexts import Preview, TableRow
from zerostart.server.web.contexts import Choice
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.errors import error_page
from zerostart.server.web.evaluate_contexts import (
    EvaluationForm,
    LabelField,
    NewEvaluationPage,
    SetUpEvaluationPage,
    TriedEvaluationPage,
    TriedRow,
)
from zerostart.server.web.evaluation_form import MOST_LABEL_FIELDS, columns_of, filled, request_of, typed
from zerostart.server.web.formats import cell_shown, key_shown, languages_shown, parameters_shown, time_shown
from zerostart.server.web.forms import FORM_TOKEN
from zerostart.server.web.multipart import FileBegins
from zerostart.server.web.page_store import PageStore
from zerostart.server.web.uploads import Place, Received, Uploads
from zerostart.services.authorisation import EVALUATE
from zerostart.services.evaluation_request import ENDPOINT, MODEL, EvaluationRequest
from zerostart.services.evaluations import BUCKET, LARGEST_FILE_BYTES, EvaluationRecord, EvaluationStatus
from zerostart.services.labelled_file import ENDS
from zerostart.storage.base import write_bytes

T = TypeVar("T")
# A file to try it with; offered where it is there.
EXAMPLE = Path(__file__).parents[2] / "solutions" / "zero_shot_text_classification" / "resolutions.csv"
_MOST_WAITING = 4
_COLUMNS_SHOWN = 30
_MIB = 1024 * 1024


class NewEvaluationPages:
    """The steps. The file is a draft of an evaluation; what was chosen is carried on by the forms."""

    def __init__(self, edge: WebEdge, parts: ServerParts, store: PageStore) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts
        self._store = store
        self._uploads = Uploads(edge, LARGEST_FILE_BYTES)
        self._looks = CapacityLimiter(2)
        self._trials = CapacityLimiter(1)  # each has a model in memory, in a process of its own

    def routes(self) -> list[Route]:
        """The steps."""
        page, links = self._edge.signed_in, self._links
        one = f"{links.evaluate}/of/{{id}}"
        return [
            Route(links.new_evaluation, page(self._new), methods=["GET"]),
            Route(links.new_evaluation, page(self._upload, reads_form=False), methods=["POST"]),
            Route(links.evaluation_example, page(self._example), methods=["POST"]),
            Route(f"{one}/columns", page(self._set_up), methods=["GET"]),
            Route(f"{one}/columns", page(self._change), methods=["POST"]),
            Route(f"{one}/try", page(self._try), methods=["POST"]),
            Route(f"{one}/start", page(self._start), methods=["POST"]),
        ]

    async def _new(self, visit: Visit) -> Response:
        self._require(visit)
        return self._edge.page(visit.request, self._new_page(visit.request.query_params.get("who", "")))

    async def _upload(self, visit: Visit) -> Response:
        self._require(visit)
        store = self._store.of(visit, "PutObject", BUCKET)
        fields: Mapping[str, str] = {}
        evaluation_id = ""

        def place(_fields: dict[str, str], file: FileBegins) -> Place:
            nonlocal evaluation_id
            if evaluation_id:
                raise InvalidInput("Give one file.")
            if not file.file_name.lower().endswith(ENDS):
                raise InvalidInput(
                    f"{shortened(file.file_name)} cannot be read here: give a file that ends in {', '.join(ENDS)}."
                )
            evaluation_id = self._parts.evaluations.new_id()
            return Place(BUCKET, f"{evaluation_id}/{file.file_name}", replaces=False)

        try:
            received = await self._uploads.received(visit, store, place)
            fields = received.fields
            record = await self._added(received)
        except (InvalidInput, LimitExceeded) as error:
            if evaluation_id:
                await run_in_threadpool(self._discard, evaluation_id)
            if visit.is_fragment:
                raise
            told = error_page(error)
            return self._edge.page(visit.request, self._new_page(fields.get("who", ""), told.message), told.status)
        address = self._links.set_up_evaluation(record.id, fields.get("who", ""))
        return Response(headers={"HX-Redirect": address}) if visit.is_fragment else RedirectResponse(address, 303)

    async def _added(self, received: Received) -> EvaluationRecord:
        """The draft of a file that can be read. Raises InvalidInput."""
        if not received.stored:
            raise InvalidInput("There is no file yet: choose one.")
        evaluation_id, _, name = received.stored[0].key.partition("/")
        record = await run_in_threadpool(self._parts.evaluations.add, evaluation_id, name, received.stored[0].size)
        await self._look(record, EvaluationRequest(name))
        return record

    def _discard(self, evaluation_id: str) -> None:
        """Keep nothing of an upload that was no good."""
        with suppress(NotFound):
            self._parts.evaluations.delete(evaluation_id)

    async def _example(self, visit: Visit) -> Response:
        self._require(visit)
        store = self._store.of(visit, "PutObject", BUCKET)

        def kept() -> EvaluationRecord:
            evaluation_id = self._parts.evaluations.new_id()
            stored = write_bytes(store, BUCKET, f"{evaluation_id}/{EXAMPLE.name}", EXAMPLE.read_bytes())
            return self._parts.evaluations.add(evaluation_id, EXAMPLE.name, stored.size)

        record = await run_in_threadpool(kept)
        return RedirectResponse(self._links.set_up_evaluation(record.id, visit.form.get("who", "")), 303)

    async def _set_up(self, visit: Visit) -> Response:
        record = await self._record(visit)
        who = visit.request.query_params.get("who", "")
        return await self._set_up_page(visit, record, filled(record.request, who))

    async def _change(self, visit: Visit) -> Response:
        return await self._set_up_page(visit, await self._record(visit), typed(visit.form))

    async def _try(self, visit: Visit) -> Response:
        record = await self._record(visit)
        fields = {key: value for key, value in visit.form.items() if key != FORM_TOKEN}
        try:
            request = self._request(visit, record)
            found: Mapping[str, Any] | None = None
            notice = None
            try:
                found = await self._in_turn(self._trials, lambda: self._parts.evaluations.tried(record, request))
            except Overloaded as error:
                notice = f"{error} It can be started without having been tried."
        except ZerostartError as error:
            return await self._set_up_page(visit, record, typed(visit.form), error)
        return self._edge.page(visit.request, _tried_page(record, request, fields, found, notice))

    async def _start(self, visit: Visit) -> Response:
        record = await self._record(visit)
        try:
            request = self._request(visit, record)
            record = await run_in_threadpool(self._started, record, request)
        except ZerostartError as error:
            return await self._set_up_page(visit, record, typed(visit.form), error)
        return RedirectResponse(self._links.evaluation(record.id), 303)

    def _started(self, record: EvaluationRecord, request: EvaluationRequest) -> EvaluationRecord:
        """What runs now: a report that is there already stays, and the same file is evaluated beside it."""
        if record.status is EvaluationStatus.COMPLETED:
            record = self._parts.evaluations.copied(record)
        self._parts.evaluations.start(record.id, request)
        return record

    def _request(self, visit: Visit, record: EvaluationRecord) -> EvaluationRequest:
        """What the form asks for, of somebody whom this visitor may ask. Raises InvalidInput, AccessDenied."""
        request = request_of(visit.form, record.file_name)
        for kind, name in ((request.kind, request.name), (request.other_kind, request.other_name)):
            if kind == ENDPOINT:
                visit.require("sagemaker:InvokeEndpoint", self._parts.arns.of("endpoint", name))
        return request

    def _require(self, visit: Visit) -> None:
        visit.require(EVALUATE)
        self._store.of(visit, "GetObject", BUCKET)

    async def _record(self, visit: Visit) -> EvaluationRecord:
        self._require(visit)
        record = await run_in_threadpool(self._parts.evaluations.get, visit.request.path_params["id"])
        if record.status.goes_on:
            raise InvalidInput("This evaluation runs: stop it, or wait for its end, before it is set up anew.")
        return record

    async def _look(self, record: EvaluationRecord, request: EvaluationRequest) -> Mapping[str, Any]:
        return await self._in_turn(self._looks, lambda: self._parts.evaluations.look(record, request))

    async def _in_turn(self, limiter: CapacityLimiter, work: Callable[[], T]) -> T:
        """Run it in a thread of its own, so that those who wait for it take none from the pages."""
        if limiter.statistics().tasks_waiting >= _MOST_WAITING:
            raise Overloaded("Others are trying files now: try again in a minute.")
        return await anyio.to_thread.run_sync(work, limiter=limiter)

    def _new_page(self, who: str, error: str | None = None) -> NewEvaluationPage:
        return NewEvaluationPage(
            who=who,
            most_bytes=LARGEST_FILE_BYTES,
            most=f"{LARGEST_FILE_BYTES // _MIB} MiB",
            has_example=EXAMPLE.exists(),
            missing=self._parts.evaluations.missing(),
            error=error,
        )

    async def _set_up_page(
        self, visit: Visit, record: EvaluationRecord, form: EvaluationForm, error: ZerostartError | None = None
    ) -> Response:
        look = await self._look(record, columns_of(form, record.file_name))
        answerers = await run_in_threadpool(self._answerers, visit)
        scorers = await run_in_threadpool(self._scorers)
        told = error_page(error) if error is not None else None
        beside = isinstance(error, InvalidField)
        of_file = dict(look["labels"])
        form = replace(
            form,
            text_column=look["text_column"],
            label_column=look["label_column"],
            separator=form.separator,
            more_labels="\n".join(name for name in form.more_labels.splitlines() if name.strip() not in of_file),
        )
        described = len(of_file) <= MOST_LABEL_FIELDS
        page = SetUpEvaluationPage(
            id=record.id,
            name=key_shown(record.file_name),
            preview=_preview(look),
            counts=_counts(look),
            columns=[Choice(name, key_shown(name) or "(no name)") for name in look["columns"]],
            answerers=answerers,
            scorers=scorers,
            templates=TEMPLATES,
            label_fields=[
                LabelField(number, name, f"{count:,}", form.descriptions.get(name, ""))
                for number, (name, count) in enumerate(of_file.items() if described else ())
            ],
            label_count=len(of_file),
            several=look["multi_label"],
            look_problem=look["problem"],
            form=form,
            error=told.message if told is not None and not beside else None,
            problems={error.field: str(error)} if isinstance(error, InvalidField) else {},
        )
        return self._edge.page(visit.request, page, told.status if told is not None else 200)

    def _answerers(self, visit: Visit) -> list[Choice]:
        """Endpoints that are in service, then the models of this machine: those that are made for it first."""
        ready = [each.endpoint.name for each in self._parts.activity.all() if each.endpoint.status is _IN_SERVICE]
        may = [name for name in ready if visit.may("sagemaker:InvokeEndpoint", self._parts.arns.of("endpoint", name))]
        models = [each for each in self._parts.hub.models() if each.artefact is not None]
        models.sort(key=lambda each: each.entry.kind != "nli")
        return [
            *(Choice(f"{ENDPOINT}/{name}", f"Endpoint {name}") for name in may),
            *(
                Choice(
                    f"{MODEL}/{each.entry.id}",
                    f"{each.entry.name}: {languages_shown(each.entry.languages)}, "
                    f"{parameters_shown(each.entry.parameters_millions)}",
                )
                for each in models
            ),
        ]

    def _scorers(self) -> tuple[Choice, ...]:
        """What may be chosen where a model has more than one."""
        here = [each.entry.id for each in self._parts.hub.models() if each.artefact is not None]
        return _SCORERS if any(self._parts.hub.scorers(model_id) for model_id in here) else ()


_IN_SERVICE = EndpointStatus.IN_SERVICE
_SCORERS = (Choice("", "What suits the model"), Choice("nli", "NLI alone"), Choice("hybrid", "NLI and embedding"))


def _preview(look: Mapping[str, Any]) -> Preview:
    columns = [name or "(no name)" for name in look["columns"][:_COLUMNS_SHOWN]]
    rows = [TableRow([cell_shown(cell) for cell in row[:_COLUMNS_SHOWN]], None) for row in look["rows"]]
    return Preview(columns, rows)


def _counts(look: Mapping[str, Any]) -> str:
    rows = f"{look['count']:,} row{'' if look['count'] == 1 else 's'}"
    left = [f"{count:,} with {reason}" for reason, count in look["left_out"].items()]
    return rows + (f"; left out are {' and '.join(left)}" if left else "")


def _tried_page(
    record: EvaluationRecord,
    request: EvaluationRequest,
    fields: Mapping[str, str],
    found: Mapping[str, Any] | None,
    notice: str | None,
) -> TriedEvaluationPage:
    return TriedEvaluationPage(
        id=record.id,
        name=key_shown(record.file_name),
        fields=fields,
        facts=facts_of(request) | ({"Labels": _named(found)} if found else {}),
        tiles=_tiles(request, found) if found else {},
        tried=[_tried(each, several=found["multi_label"]) for each in found["first"]] if found else (),
        notes=found["notes"] if found else (),
        notice=notice,
    )


def _tiles(request: EvaluationRequest, found: Mapping[str, Any]) -> Mapping[str, str]:
    tiles = {"Texts": f"{found['rows']:,}", "Labels": f"{found['labels']:,}"}
    if request.tunes and found["texts"] > found["rows"]:
        tiles["Asked in all, with tuning"] = f"{found['texts']:,} texts"
    if request.compares:
        tiles["Asked in all, of both"] = f"{found['texts']:,} texts"
    return {
        **tiles,
        "Rate": f"{found['texts_per_s']:,.1f} texts/s",
        "Time, about": time_shown(float(found["seconds"])),
    }


def _tried(row: Mapping[str, Any], *, several: bool) -> TriedRow:
    answers = list(zip(row["labels"], row["scores"], strict=True))
    given = {label for label, score in answers if score >= 0.5} if several else {answers[0][0]}
    return TriedRow(
        text=cell_shown(row["text"], 600),
        right=row["right"],
        answers=[(label, f"{score:.1%}") for label, score in answers[:3]],
        is_right=given == set(row["right"]),
    )


def _named(found: Mapping[str, Any]) -> str:
    names, more = found["names"], found["labels"] - len(found["names"])
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def facts_of(request: EvaluationRequest) -> dict[str, str]:
    """What is asked, in words."""
    who = _shown_who(request.kind, request.name)
    facts = {
        "Who answers": who,
        "Texts in": key_shown(request.text_column),
        "Labels in": key_shown(request.label_column),
    }
    facts["Hypothesis"] = request.template
    if request.compares:
        facts["Compared with"] = _shown_who(request.other_kind, request.other_name)
        facts["Its hypothesis"] = request.other_template
    if request.limit is not None:
        facts["At most"] = f"{request.limit:,} rows"
    if request.tunes:
        wanted = [f"precision {request.precision:g}"] if request.precision else []
        wanted += [f"accuracy {request.accuracy:g} of those that are sure"] if request.accuracy else []
        facts["Tuning"] = ", ".join(wanted) or "yes"
    return facts


def _shown_who(kind: str, name: str) -> str:
    return f"Endpoint {name}" if kind == ENDPOINT else name

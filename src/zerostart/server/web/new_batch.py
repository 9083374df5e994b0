"""A new batch job in three steps, each a page: model and file; columns, labels and options; a try, and Start."""

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import anyio.to_thread
from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from zerostart.bootstrap.server import ServerParts
from zerostart.errors import InvalidInput, Overloaded, UnknownModel, ZerostartError, shortened
from zerostart.server.web import batch_form
from zerostart.server.web.batch_contexts import NewBatchPage, SetUpBatchPage
from zerostart.server.web.contexts import Choice
from zerostart.server.web.edge import Visit, WebEdge
from zerostart.server.web.errors import error_page
from zerostart.server.web.formats import bytes_shown, key_shown, languages_shown, parameters_shown
from zerostart.server.web.forms import FORM_TOKEN
from zerostart.server.web.multipart import FileBegins
from zerostart.server.web.page_store import PageStore
from zerostart.server.web.previews import preview_of
from zerostart.server.web.trials import expected_of, tried_page
from zerostart.server.web.uploads import Place, Received, Uploads
from zerostart.services.hub import HubModel
from zerostart.storage.base import LARGEST_OBJECT_BYTES, parse_uri
from zerostart.transform.request import BUCKET
from zerostart.transform.sample import Sample, read_sample

_SAMPLE_ROWS = 5
_MOST_WAITING = 4


class NewBatchPages:
    """The steps. What was chosen is carried from one to the next by the forms; the server keeps nothing of it."""

    def __init__(self, edge: WebEdge, parts: ServerParts, store: PageStore) -> None:
        self._edge = edge
        self._links = edge.renderer.links
        self._parts = parts
        self._store = store
        self._uploads = Uploads(edge)
        self._trials = CapacityLimiter(1)  # each has a model in memory, in a process of its own

    def routes(self) -> list[Route]:
        """The steps."""
        page, links = self._edge.signed_in, self._links
        return [
            Route(links.new_batch, page(self._new), methods=["GET"]),
            Route(links.new_batch, page(self._upload, reads_form=False), methods=["POST"]),
            Route(links.set_up_batch, page(self._set_up), methods=["GET"]),
            Route(links.set_up_batch, page(self._change), methods=["POST"]),
            Route(links.try_batch, page(self._try), methods=["POST"]),
            Route(links.start_batch, page(self._start), methods=["POST"]),
        ]

    async def _new(self, visit: Visit) -> Response:
        self._require(visit)
        query = visit.request.query_params
        page = await run_in_threadpool(self._new_page, query.get("model", ""), query.get("input", ""))
        return self._edge.page(visit.request, page)

    async def _upload(self, visit: Visit) -> Response:
        self._require(visit)
        store = self._store.of(visit, "PutObject", BUCKET)
        self._store.of(visit, "CreateBucket", BUCKET)
        folder = f"uploads/{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}/"
        fields: Mapping[str, str] = {}

        def place(_fields: dict[str, str], file: FileBegins) -> Place:
            self._parts.batches.make_bucket()
            return Place(BUCKET, folder + file.file_name, replaces=False)

        try:
            received = await self._uploads.received(visit, store, place)
            fields = received.fields
            uri = _chosen(received)
        except InvalidInput as error:
            if visit.is_fragment:
                raise
            told = error_page(error)
            page = await run_in_threadpool(
                self._new_page, fields.get("model", ""), fields.get("input", ""), told.message
            )
            return self._edge.page(visit.request, page, told.status)
        address = self._links.set_up_batch_of(fields.get("model", ""), uri)
        return Response(headers={"HX-Redirect": address}) if visit.is_fragment else RedirectResponse(address, 303)

    async def _set_up(self, visit: Visit) -> Response:
        source, name = await self._source(visit, visit.request.query_params)
        page = self._set_up_page(source, name, None)
        return self._edge.page(visit.request, page)

    async def _change(self, visit: Visit) -> Response:
        source, name = await self._source(visit, visit.form)
        return self._edge.page(visit.request, self._set_up_page(source, name, visit.form))

    async def _try(self, visit: Visit) -> Response:
        source, name = await self._source(visit, visit.form)
        fields = {key: value for key, value in visit.form.items() if key != FORM_TOKEN}
        try:
            request = batch_form.request_of(visit.form, source)
            visit.require("sagemaker:CreateModel")
            estimate: Mapping[str, Any] | None = None
            notice = None
            try:
                estimate = await self._in_turn(lambda: self._parts.batches.estimate(request, source.model_id))
            except Overloaded as error:
                notice = str(error)
        except ZerostartError as error:
            told = error_page(error)
            page = self._set_up_page(source, name, visit.form, told.message)
            return self._edge.page(visit.request, page, told.status)
        fields |= {"expected": str(expected_of(estimate))} if estimate else {}
        return self._edge.page(visit.request, tried_page(request, name, fields, estimate, notice))

    async def _start(self, visit: Visit) -> Response:
        source, name = await self._source(visit, visit.form)
        expected = visit.form.get("expected", "")
        try:
            request = batch_form.request_of(visit.form, source)
            visit.require("sagemaker:CreateModel")
            number = int(expected) if expected.isascii() and expected.isdecimal() and len(expected) < 15 else None
            await run_in_threadpool(self._parts.batches.start, request, source.model_id, number)
        except ZerostartError as error:
            told = error_page(error)
            page = self._set_up_page(source, name, visit.form, told.message)
            return self._edge.page(visit.request, page, told.status)
        return RedirectResponse(self._links.job(request.name), 303)

    async def _in_turn(self, work: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Run it in a thread of its own, so that those who wait for it take none from the pages."""
        if self._trials.statistics().tasks_waiting >= _MOST_WAITING:
            raise Overloaded("Others are trying records now: start the job without, or try again in a minute.")
        return await anyio.to_thread.run_sync(work, limiter=self._trials)

    def _require(self, visit: Visit) -> None:
        visit.require("sagemaker:CreateTransformJob")
        self._store.of(visit, "GetObject")

    async def _source(self, visit: Visit, fields: Mapping[str, str]) -> tuple[batch_form.Source, str]:
        """The object and the model, with its name. Raises InvalidInput, NotFound, UnknownModel."""
        self._require(visit)
        uri = fields.get("input", "")
        bucket, key = _bucket_and_key(uri)
        self._store.of(visit, "GetObject", bucket, key)
        model = await run_in_threadpool(self._model, fields.get("model", ""))
        sample = await run_in_threadpool(self._sample, bucket, key)
        assert model.artefact is not None  # noqa: S101 - it is one of those that are here
        source = batch_form.Source(
            uri=uri,
            sample=sample,
            model_id=model.artefact.model_id,
            template=model.entry.hypothesis_template,
            blends=model.artefact.manifest.blend is not None,
        )
        return source, model.entry.name

    def _sample(self, bucket: str, key: str) -> Sample:
        reader = self._parts.store.open(bucket, key)
        try:
            sample = read_sample(reader, _SAMPLE_ROWS)
        finally:
            reader.close()
        if sample.content_type is None:
            raise InvalidInput(f"{key_shown(key)} is not text in UTF-8: give a CSV file, JSON Lines, or a text a line.")
        if sample.problem is not None:
            raise InvalidInput(f"{key_shown(key)} cannot be read: {sample.problem}")
        if not (sample.rows or sample.text.strip()):
            raise InvalidInput(f"{key_shown(key)} holds no record: choose another file.")
        return sample

    def _models(self) -> list[HubModel]:
        """Those that can run: they are on this machine. NLI models first, which are made for it."""
        here = [model for model in self._parts.hub.models() if model.artefact is not None]
        return sorted(here, key=lambda model: model.entry.kind != "nli")

    def _model(self, model_id: str) -> HubModel:
        for model in self._models():
            if model.artefact is not None and model_id in {model.entry.id, model.artefact.model_id}:
                return model
        raise UnknownModel(f"The model {shortened(model_id)} is not on this machine: choose one that is.")

    def _new_page(self, chosen: str, uri: str, error: str | None = None) -> NewBatchPage:
        models = self._models()
        return NewBatchPage(
            models=[Choice(model.entry.id, _described(model)) for model in models],
            model=chosen,
            uri=uri,
            most_bytes=LARGEST_OBJECT_BYTES,
            most=bytes_shown(LARGEST_OBJECT_BYTES),
            error=error,
        )

    def _set_up_page(
        self, source: batch_form.Source, name: str, form: Mapping[str, str] | None, error: str | None = None
    ) -> SetUpBatchPage:
        bucket, key = parse_uri(source.uri)
        return SetUpBatchPage(
            model=source.model_id,
            model_name=name,
            uri=source.uri,
            source=key_shown(key.rpartition("/")[2] or key),
            source_link=self._links.object(bucket, key),
            preview=preview_of(source.sample),
            text_columns=batch_form.text_columns(source.sample),
            boxes=batch_form.boxes(source.sample, form),
            keeps_all=batch_form.keeps_all(source.sample, form),
            scorers=_SCORERS if source.blends else (),
            most_workers=self._parts.settings.max_transform_workers or 100,
            form=batch_form.filled(source) if form is None else batch_form.typed(form),
            error=error,
        )


_SCORERS = (Choice("", "What suits the model"), Choice("nli", "NLI alone"), Choice("hybrid", "Hybrid"))


def _described(model: HubModel) -> str:
    entry = model.entry
    return f"{entry.name}: {languages_shown(entry.languages)}, {parameters_shown(entry.parameters_millions)}"


def _chosen(received: Received) -> str:
    """The object that was uploaded just now, or that is named. Raises InvalidInput."""
    if received.stored:
        return f"s3://{BUCKET}/{received.stored[0].key}"
    uri = received.fields.get("input", "").strip()
    if not uri:
        raise InvalidInput("There is no file yet: choose one to upload, or write the address of an object.")
    _bucket_and_key(uri)
    return uri


def _bucket_and_key(uri: str) -> tuple[str, str]:
    bucket, key = parse_uri(uri)
    if not key or key.endswith("/"):
        raise InvalidInput(f"{shortened(uri)} names no object: write it as s3://bucket/key.")
    return bucket, key

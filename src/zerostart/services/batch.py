"""Use case of running a model over one object: the model resource, the exact input, a try, and the job."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from zerostart.errors import AlreadyExists, InvalidInput, NameInUse, NotFound, UnknownBucket, UnknownJob
from zerostart.services.deployment import ROLE_ARN
from zerostart.services.model import ModelService
from zerostart.services.transform_job import TransformJobService
from zerostart.services.transform_options import options_of
from zerostart.storage.base import ObjectAttributes, ObjectStore, parse_uri, write_bytes
from zerostart.transform.request import BUCKET, TransformRequest, model_name

EXPECTED = "zerostart:expected-records"  # a tag: what an estimate said, for those who watch the job
_MANIFESTS = ".zerostart/inputs/"


class BatchService:
    """Makes what a job needs and is not there yet."""

    def __init__(self, models: ModelService, transform_jobs: TransformJobService, store: ObjectStore) -> None:
        self._models = models
        self._transform_jobs = transform_jobs
        self._store = store

    def make_bucket(self) -> str:
        """The bucket for files of people, made if it is not there. Raises InvalidInput where it cannot be."""
        try:
            self._store.bucket(BUCKET)
        except UnknownBucket:
            try:
                self._store.create_bucket(BUCKET)
            except AlreadyExists as error:
                raise InvalidInput(
                    f"The bucket {BUCKET} cannot be made ({error}): upload the file to a bucket of yours, and pick it."
                ) from error
        return BUCKET

    def estimate(self, request: TransformRequest, model_id: str) -> Mapping[str, Any]:
        """What the job is expected to take, with the first records tried: see TransformEstimate.

        A worker of its own does that and ends: it is what the job's workers will be, with the same rules for records
        and the same limits, and no model stays in the server's memory. Raises InvalidInput, NotFound, NameInUse,
        Overloaded when it takes too long.
        """
        self._require_free(request.name)
        ready = self._ready(request, model_id)
        asked = ready.asked()
        return self._transform_jobs.estimate_transform_job(ready.model_name, options_of(asked), ready.environment())

    def start(self, request: TransformRequest, model_id: str, expected: int | None = None) -> None:
        """Create the job, which is expected to have so many records. Raises what `estimate` raises, but Overloaded."""
        self._require_free(request.name)
        ready = self._ready(request, model_id)
        asked = ready.asked()
        tags = {} if expected is None else {EXPECTED: str(expected)}
        self._transform_jobs.create_transform_job(
            ready.name, ready.model_name, options_of(asked), ready.environment(), asked, tags
        )

    def _require_free(self, name: str) -> None:
        try:
            self._transform_jobs.describe_transform_job(name)
        except UnknownJob:
            return
        raise NameInUse(f"A job named {name} is there already: choose another name.")

    def _ready(self, request: TransformRequest, model_id: str) -> TransformRequest:
        if parse_uri(request.output_uri)[0] == BUCKET:
            self.make_bucket()
        return self._exact(replace(request, model_name=self._model(model_id)))

    def _model(self, model_id: str) -> str:
        """The name of a model resource of this model; it is made if it is not there. Raises UnknownModel."""
        stem = model_name(model_id)
        for name in (stem, *(f"{stem[:58].rstrip('-')}-{number}" for number in range(2, 10_000))):
            try:
                if self._models.describe_model(name).model_id == model_id:
                    return name
            except NotFound:
                break  # those before it are of models whose ids are written alike
        container = {"Environment": {"HF_MODEL_ID": model_id, "HF_TASK": "zero-shot-classification"}}
        asked = {"ModelName": name, "ExecutionRoleArn": ROLE_ARN, "PrimaryContainer": container}
        with contextlib.suppress(AlreadyExists):  # somebody made it just now
            self._models.create_model(name, model_id, None, asked, {})
        return name

    def _exact(self, request: TransformRequest) -> TransformRequest:
        """The request for its object alone: a manifest names it where a prefix would name others too."""
        bucket, key = parse_uri(request.input_uri)
        if [each.key for each in self._store.list(bucket, key, limit=2)] == [key]:
            return request
        self._store.head(bucket, key)
        target, _ = parse_uri(request.output_uri)
        name = f"{_MANIFESTS}{hashlib.sha256(request.input_uri.encode()).hexdigest()[:32]}.manifest"
        content = json.dumps([{"prefix": f"s3://{bucket}/"}, key]).encode()
        write_bytes(self._store, target, name, content, ObjectAttributes(content_type="application/json"))
        return replace(request, input_uri=f"s3://{target}/{name}", manifest=True)

"""The steps of a launch: whether each is done, and doing it, by the same services as everybody uses."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from zerostart.errors import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    UnknownJob,
    ZerostartError,
)
from zerostart.metadata.endpoint import EndpointStatus
from zerostart.metadata.endpoint_config import ProductionVariant
from zerostart.metadata.transform_job import TransformJobStatus
from zerostart.services.deployment import VARIANT, Deployment, asked_config, asked_model
from zerostart.services.endpoint import EndpointService
from zerostart.services.endpoint_config import EndpointConfigService
from zerostart.services.invocation import Invocation, InvocationService
from zerostart.services.model import ModelService
from zerostart.services.solution_launch import Course, Launch, Step
from zerostart.services.solution_report import SolutionReports
from zerostart.services.transform_job import TransformJobService
from zerostart.services.transform_options import options_of
from zerostart.solutions.labelled_csv import LARGEST_BYTES, LabelledText, read_labelled_csv
from zerostart.storage.base import ObjectAttributes, ObjectStore, read_bytes, write_bytes
from zerostart.transform.progress import TransformJobState
from zerostart.transform.request import TransformRequest

_LOOK_EVERY_S = 0.2
_JSON = ObjectAttributes(content_type="application/json")
_IN_SERVICE = (EndpointStatus.IN_SERVICE, EndpointStatus.UPDATING)
_OPENED = (TransformJobStatus.IN_PROGRESS, TransformJobStatus.STOPPING)


@dataclass(frozen=True)
class FirstCall:
    """A text, the category that people chose, and the label that the endpoint gave it."""

    text: str
    category: str
    label: str
    score: float
    latency_s: float


class SolutionSteps:
    """Every step may be taken again: what is done is left as it is."""

    def __init__(
        self,
        store: ObjectStore,
        models: ModelService,
        endpoint_configs: EndpointConfigService,
        endpoints: EndpointService,
        transform_jobs: TransformJobService,
        invocations: InvocationService,
        reports: SolutionReports,
    ) -> None:
        self._store = store
        self._models = models
        self._endpoint_configs = endpoint_configs
        self._endpoints = endpoints
        self._transform_jobs = transform_jobs
        self._invocations = invocations
        self._take: Mapping[Step, Callable[[Launch, Course], None]] = {
            Step.DATA: self._keep_data,
            Step.MODEL: self._make_model,
            Step.ENDPOINT_CONFIG: self._make_endpoint_config,
            Step.ENDPOINT: self._make_endpoint,
            Step.IN_SERVICE: self._wait_in_service,
            Step.FIRST_CALL: self._call,
            Step.JOB: self._make_job,
            Step.JOB_DONE: self._wait_for_job,
            Step.REPORT: lambda launch, _course: reports.write(launch),
        }

    def take(self, step: Step, launch: Launch, course: Course) -> None:
        """Do a step unless it is done. Raises Interrupted, and what the services raise."""
        if not self.is_done(step, launch):
            self._take[step](launch, course)

    def is_done(self, step: Step, launch: Launch) -> bool:
        """Whether what a step makes is there."""
        done: Mapping[Step, Callable[[], bool]] = {
            Step.DATA: lambda: self.has(launch, launch.data_key),
            Step.MODEL: lambda: _there(self._models.describe_model, launch.name),
            Step.ENDPOINT_CONFIG: lambda: _there(self._endpoint_configs.describe_endpoint_config, launch.name),
            Step.ENDPOINT: lambda: self._endpoint_status(launch) not in {None, EndpointStatus.FAILED},
            Step.IN_SERVICE: lambda: self._endpoint_status(launch) in _IN_SERVICE,
            Step.FIRST_CALL: lambda: self.has(launch, launch.first_call_key),
            Step.JOB: lambda: self._job_status(launch) in {*_OPENED, TransformJobStatus.COMPLETED},
            Step.JOB_DONE: lambda: self._job_status(launch) is TransformJobStatus.COMPLETED,
            Step.REPORT: lambda: self.has(launch, launch.report_key),
        }
        return done[step]()

    def has(self, launch: Launch, key: str) -> bool:
        """Whether an object is in the bucket of a launch."""
        if not launch.bucket:
            return False
        try:
            self._store.head(launch.bucket, key)
        except NotFound:
            return False
        return True

    def job(self, launch: Launch) -> TransformJobState | None:
        """How far the transform job is."""
        try:
            return self._transform_jobs.describe_transform_job(launch.name)
        except UnknownJob:
            return None

    def first_call(self, launch: Launch) -> FirstCall | None:
        """The first call and its answer; None if there is none, or somebody wrote something else there."""
        try:
            kept = json.loads(read_bytes(self._store, launch.bucket, launch.first_call_key, LARGEST_BYTES))
            label, score = kept["answer"]["labels"][0], kept["answer"]["scores"][0]
            return FirstCall(
                str(kept["text"]), str(kept["category"]), str(label), float(score), float(kept["latency_s"])
            )
        except (ZerostartError, ValueError, TypeError, LookupError):
            return None

    def write_data(self, launch: Launch, content: bytes) -> None:
        """The bucket, and the texts in it. Raises AlreadyExists for a bucket that is not this launch's."""
        if not _there(self._store.bucket, launch.bucket):
            self._store.create_bucket(launch.bucket)
        manifest = json.dumps([{"prefix": f"s3://{launch.bucket}/"}, launch.data_key]).encode()
        write_bytes(self._store, launch.bucket, launch.manifest_key, manifest, _JSON)
        write_bytes(self._store, launch.bucket, launch.data_key, content, ObjectAttributes(content_type="text/csv"))

    def _keep_data(self, launch: Launch, _course: Course) -> None:
        self.write_data(launch, launch.solution.sample.read_bytes())

    def _make_model(self, launch: Launch, _course: Course) -> None:
        asked = asked_model(Deployment(launch.name, launch.model_id))
        self._models.create_model(launch.name, launch.model_id, None, asked, launch.tags)

    def _make_endpoint_config(self, launch: Launch, _course: Course) -> None:
        deployment = Deployment(launch.name, launch.model_id)
        variants = [
            ProductionVariant(VARIANT, launch.name, deployment.instance_count, deployment.instance_type, weight=1.0)
        ]
        self._endpoint_configs.create_endpoint_config(launch.name, variants, asked_config(deployment), launch.tags)

    def _make_endpoint(self, launch: Launch, course: Course) -> None:
        """One that failed is made anew."""
        with contextlib.suppress(NotFound):
            self._endpoints.delete_endpoint(launch.name)
        while self._endpoint_status(launch) is not None:
            course.pause(_LOOK_EVERY_S)
        self._endpoints.create_endpoint(launch.name, launch.name, launch.tags)

    def _wait_in_service(self, launch: Launch, course: Course) -> None:
        while (endpoint := self._endpoints.describe_endpoint(launch.name).endpoint).status not in _IN_SERVICE:
            if endpoint.status is EndpointStatus.FAILED:
                raise InvalidInput(f"The endpoint failed: {endpoint.failure_reason}")
            if endpoint.status is EndpointStatus.DELETING:
                raise InvalidInput("The endpoint was deleted meanwhile.")
            course.pause(_LOOK_EVERY_S)

    def _call(self, launch: Launch, course: Course) -> None:
        """Ask for the first text, as any client does, and keep the answer."""
        first = self._texts(launch)[0]
        options = {
            "candidate_labels": dict(launch.solution.labels),
            "hypothesis_template": launch.solution.hypothesis_template,
        }
        body = json.dumps({"inputs": first.text, "parameters": options}).encode()
        invocation = Invocation(launch.name, body, "application/json", "application/json")
        calling = asyncio.run_coroutine_threadsafe(self._invocations.invoke(invocation), course.loop)
        try:
            while not calling.done():
                course.pause(_LOOK_EVERY_S / 10)
            result = calling.result()
        finally:
            calling.cancel()  # nothing if it is done
        answer = json.loads(result.reply.body)
        if result.reply.status >= 400:
            raise InvalidInput(f"The endpoint refused the first call: {answer.get('message', result.reply.status)}")
        document = {
            "endpoint": launch.name,
            "text": first.text,
            "category": first.label,
            "latency_s": result.model_latency_s,
            "answer": answer,
        }
        content = json.dumps(document, ensure_ascii=False, indent=1).encode()
        write_bytes(self._store, launch.bucket, launch.first_call_key, content, _JSON)

    def _make_job(self, launch: Launch, _course: Course) -> None:
        """One that failed or was stopped is made anew."""
        if self.job(launch) is not None:
            self._transform_jobs.delete_transform_job(launch.name)
        request = TransformRequest(
            launch.name,
            launch.name,
            f"s3://{launch.bucket}/{launch.manifest_key}",
            "text/csv",
            f"s3://{launch.bucket}/{launch.output_prefix}",
            template=launch.solution.hypothesis_template,
            text_column=launch.solution.text_column,
            keep=None,
            manifest=True,
        )
        labels = json.dumps(dict(launch.solution.labels), ensure_ascii=False)
        environment = {**request.environment(), "ZEROSTART_CANDIDATE_LABELS": labels}
        asked = {**request.asked(), "Environment": environment}
        with contextlib.suppress(AlreadyExists):
            self._transform_jobs.create_transform_job(
                launch.name, launch.name, options_of(asked), environment, asked, launch.tags
            )

    def _wait_for_job(self, launch: Launch, course: Course) -> None:
        while (job := self._transform_jobs.describe_transform_job(launch.name).job).status in _OPENED:
            course.pause(_LOOK_EVERY_S)
        if job.status is not TransformJobStatus.COMPLETED:
            raise InvalidInput(f"The transform job is {job.status}: {job.failure_reason or 'somebody stopped it'}")

    def _texts(self, launch: Launch) -> list[LabelledText]:
        content = read_bytes(self._store, launch.bucket, launch.data_key, LARGEST_BYTES)
        return list(read_labelled_csv(content, launch.solution, f"s3://{launch.bucket}/{launch.data_key}").rows)

    def _endpoint_status(self, launch: Launch) -> EndpointStatus | None:
        try:
            return self._endpoints.describe_endpoint(launch.name).endpoint.status
        except NotFound:
            return None

    def _job_status(self, launch: Launch) -> TransformJobStatus | None:
        state = self.job(launch)
        return state.job.status if state is not None else None


def _there(look: Callable[[str], object], name: str) -> bool:
    try:
        look(name)
    except NotFound:
        return False
    return True

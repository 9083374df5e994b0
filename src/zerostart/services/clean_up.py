"""Use case of cleaning up: delete chosen things of every kind, one after the other, and say what came of each.

Every step may be done again: what is gone already counts as deleted, so a clean-up that was interrupted, at any moment
and in any way, is finished by the next one.
"""

import contextlib
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from zerostart.errors import InvalidInput, ModelInUse, NotEmpty, NotFound, Overloaded, ZerostartError
from zerostart.metadata.async_invocation import delete_async_invocations_of
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import Endpoint, all_endpoints, get_endpoint
from zerostart.metadata.object import get_bucket
from zerostart.metadata.tag import BUCKET_ARN, delete_tags
from zerostart.metadata.transform_job import TransformJobStatus, get_transform_job, transform_jobs_in
from zerostart.models.catalogue import names_of
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.services.authorisation import EVALUATE
from zerostart.services.endpoint import EndpointService
from zerostart.services.endpoint_config import EndpointConfigService
from zerostart.services.evaluations import Evaluations
from zerostart.services.inventory import Kind, Places, Thing
from zerostart.services.model import ModelService
from zerostart.services.transform_job import TransformJobService
from zerostart.storage.base import ObjectStore
from zerostart.storage.local import LocalStore
from zerostart.transform.supervisor import RunningWorker

logger = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.1
_LONGEST_WAIT_S = 180.0
_ATTEMPTS_AT_BUCKET = 3
_KEPT = 20
# What a caller has to be allowed to do; nobody but an administrator may remove what the whole installation shares.
ACTIONS: Mapping[Kind, str] = {
    Kind.EVALUATION: EVALUATE,
    Kind.TRANSFORM_JOB: "sagemaker:StopTransformJob",
    Kind.ENDPOINT: "sagemaker:DeleteEndpoint",
    Kind.ENDPOINT_CONFIG: "sagemaker:DeleteEndpointConfig",
    Kind.MODEL: "sagemaker:DeleteModel",
    Kind.LOGS: "logs:DeleteLogGroup",
    Kind.BUCKET: "s3:DeleteBucket",
    Kind.WEIGHTS: "zerostart:DeleteWeights",
}


@dataclass(frozen=True)
class CleanUpState:
    """How far a clean-up is; `failed` says why a thing is still there."""

    waiting: Sequence[Thing]
    deleted: Sequence[Thing]
    failed: Mapping[Thing, str]
    is_done: bool


@dataclass(eq=False)
class _CleanUp:
    """A clean-up in progress."""

    things: Sequence[Thing]
    otherwise: Mapping[Thing, Callable[[], None]]
    deleted: list[Thing] = field(default_factory=list)
    failed: dict[Thing, str] = field(default_factory=dict)
    is_done: bool = False

    def state(self) -> CleanUpState:
        is_done, deleted, failed = self.is_done, list(self.deleted), dict(self.failed)
        settled = {*deleted, *failed}
        return CleanUpState([thing for thing in self.things if thing not in settled], deleted, failed, is_done)


class CleanUpService:
    """Deletes in a thread of its own, one clean-up at a time.

    `workers` tells which of jobs run; `interrupt` ends what goes on making the things that are to go.
    """

    def __init__(  # noqa: PLR0913 - one of every kind of thing
        self,
        database: Database,
        store: ObjectStore,
        artefacts: LocalArtefacts,
        places: Places,
        models: ModelService,
        endpoint_configs: EndpointConfigService,
        endpoints: EndpointService,
        transform_jobs: TransformJobService,
        evaluations: Evaluations,
        workers: Callable[[], Collection[RunningWorker]],
        interrupt: Callable[[Collection[Thing]], None],
    ) -> None:
        self._database = database
        self._store = store
        self._artefacts = artefacts
        self._places = places
        self._models = models
        self._endpoint_configs = endpoint_configs
        self._endpoints = endpoints
        self._transform_jobs = transform_jobs
        self._workers = workers
        self._remove_left_overs = store.remove_left_overs if isinstance(store, LocalStore) else None
        self._interrupt = interrupt
        self._lock = threading.Lock()
        self._begun: dict[str, _CleanUp] = {}
        self._stopping = threading.Event()
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="clean-up")
        self._delete: Mapping[Kind, Callable[[str], None]] = {
            Kind.EVALUATION: evaluations.delete,
            Kind.TRANSFORM_JOB: self._delete_job,
            Kind.ENDPOINT: self._delete_endpoint,
            Kind.ENDPOINT_CONFIG: self._endpoint_configs.delete_endpoint_config,
            Kind.MODEL: self._models.delete_model,
            Kind.LOGS: lambda name: self._remove_logs(Thing(Kind.LOGS, name)),
            Kind.BUCKET: self._delete_bucket,
            Kind.WEIGHTS: self._remove_weights,
        }

    def begin(self, things: Collection[Thing], otherwise: Mapping[Thing, Callable[[], None]] | None = None) -> str:
        """Begin to delete, and return the id of the clean-up. `otherwise` are things that are removed in another way.

        Raises InvalidInput for buckets that are not ours.
        """
        own_ways = otherwise or {}
        if self._places.buckets is None and any(
            thing.kind is Kind.BUCKET and thing not in own_ways for thing in things
        ):
            raise InvalidInput("The buckets are in a service of others (setting storage): delete them there.")
        order = list(Kind)
        begun = _CleanUp(sorted(dict.fromkeys(things), key=lambda thing: order.index(thing.kind)), own_ways)
        clean_up_id = uuid.uuid4().hex
        with self._lock:
            for old in list(self._begun)[: 1 - _KEPT]:
                if self._begun[old].is_done:
                    del self._begun[old]
            self._begun[clean_up_id] = begun
        self._executor.submit(self._run, begun)
        return clean_up_id

    def state(self, clean_up_id: str) -> CleanUpState:
        """How far a clean-up is. Raises NotFound for one that is not known, or no more since the server's start."""
        begun = self._begun.get(clean_up_id)
        if begun is None:
            raise NotFound("That clean-up is not known any more; what it did not delete is listed with what exists.")
        return begun.state()

    def stop(self) -> None:
        """End; what was not deleted stays."""
        self._stopping.set()
        self._executor.shutdown(cancel_futures=True)

    def _run(self, begun: _CleanUp) -> None:
        """Have everything end that takes a while, then wait for each."""
        self._interrupt(begun.things)
        for thing in begun.things:
            self._attempt(begun, thing, self._announce)
        for thing in begun.things:
            if thing not in begun.failed and self._attempt(begun, thing, lambda each: self._remove(begun, each)):
                begun.deleted.append(thing)
        if any(thing.kind in {Kind.TRANSFORM_JOB, Kind.BUCKET} for thing in begun.things):
            self._sweep()
        begun.is_done = True
        logger.info("a clean-up deleted %d things and left %d", len(begun.deleted), len(begun.failed))

    def _sweep(self) -> None:
        """Remove what workers that had to be killed were writing; while others run, what they write would be lost."""
        now_s = time.time()
        if self._remove_left_overs is None or self._workers():
            return
        try:
            self._remove_left_overs(now_s)
        except Exception:
            logger.exception("left-over files of buckets could not be removed")

    def _attempt(self, begun: _CleanUp, thing: Thing, step: Callable[[Thing], None]) -> bool:
        try:
            step(thing)
        except NotFound:
            return True
        except ZerostartError as error:
            begun.failed[thing] = str(error)
            return False
        except Exception:
            logger.exception("%s %s could not be deleted", thing.kind, thing.name)
            begun.failed[thing] = "It could not be deleted; the server's log says why."
            return False
        return True

    def _announce(self, thing: Thing) -> None:
        if thing.kind is Kind.ENDPOINT:
            self._endpoints.delete_endpoint(thing.name)
        elif thing.kind is Kind.TRANSFORM_JOB and self._job_status(thing.name) is TransformJobStatus.IN_PROGRESS:
            with contextlib.suppress(InvalidInput):  # it ended meanwhile
                self._transform_jobs.stop_transform_job(thing.name)

    def _remove(self, begun: _CleanUp, thing: Thing) -> None:
        if self._stopping.is_set():
            raise Overloaded("The server was stopped before it came to this.")
        if thing in begun.otherwise:
            begun.otherwise[thing]()
        else:
            self._delete[thing.kind](thing.name)

    def _delete_endpoint(self, name: str) -> None:
        self._wait(lambda: self._endpoint_is_gone(name), f"The instances of endpoint {name} did not end")
        with self._database.transaction() as connection:
            delete_async_invocations_of(connection, name)
        self._remove_logs(Thing(Kind.ENDPOINT, name))

    def _delete_job(self, name: str) -> None:
        self._wait(lambda: self._job_has_ended(name), f"The workers of job {name} did not end")
        with contextlib.suppress(NotFound):
            self._transform_jobs.delete_transform_job(name)
        self._remove_logs(Thing(Kind.TRANSFORM_JOB, name))

    def _delete_bucket(self, name: str) -> None:
        try:
            self._empty_and_delete(name)
        finally:
            # Those of one that is gone, or was never made, too. The store of others knows no tags of ours.
            with self._database.transaction() as connection:
                if get_bucket(connection, name) is None:
                    delete_tags(connection, BUCKET_ARN + name)

    def _empty_and_delete(self, name: str) -> None:
        for _ in range(_ATTEMPTS_AT_BUCKET):
            while page := self._store.list(name):
                for each in page:
                    self._store.delete(name, each.key)
                if self._stopping.is_set():
                    raise Overloaded("The server was stopped before the bucket was empty.")
            try:
                self._store.delete_bucket(name)
            except NotEmpty:
                continue
            return
        raise NotEmpty(f"Somebody writes to bucket {name} again and again: stop that first.")

    def _remove_weights(self, name: str) -> None:
        going = self._artefacts.removable(name, self._places.cache)
        names = {*names_of(name), *names_of(going.model_id)}
        with self._database.transaction() as connection:
            users = [f"endpoint {each.name}" for each in all_endpoints(connection) if names & _model_ids(each)]
            busy = transform_jobs_in(connection, [TransformJobStatus.IN_PROGRESS, TransformJobStatus.STOPPING])
            users += [f"transform job {job.name}" for job in busy if job.model_id in names]
        if users:
            raise ModelInUse(f"{name} is in use by {', '.join(users)}: delete or stop that first.")
        self._artefacts.remove(going)

    def _remove_logs(self, thing: Thing) -> None:
        folder = self._places.logs_of(thing)
        if folder is not None and not folder.is_symlink():
            shutil.rmtree(folder, ignore_errors=True)

    def _wait(self, is_done: Callable[[], bool], otherwise: str) -> None:
        deadline_s = time.monotonic() + _LONGEST_WAIT_S
        while not is_done():
            if self._stopping.wait(_LOOK_EVERY_S):
                raise Overloaded("The server was stopped before it came to this.")
            if time.monotonic() > deadline_s:
                raise Overloaded(f"{otherwise} within {_LONGEST_WAIT_S:g} s: delete it once more.")

    def _endpoint_is_gone(self, name: str) -> bool:
        with self._database.transaction() as connection:
            return get_endpoint(connection, name) is None

    def _job_status(self, name: str) -> TransformJobStatus | None:
        with self._database.transaction() as connection:
            job = get_transform_job(connection, name)
        return job.status if job is not None else None

    def _job_has_ended(self, name: str) -> bool:
        opened = {TransformJobStatus.IN_PROGRESS, TransformJobStatus.STOPPING}
        return self._job_status(name) not in opened and all(worker.job != name for worker in self._workers())


def _model_ids(endpoint: Endpoint) -> set[str]:
    coming = endpoint.coming.variants if endpoint.coming else ()
    return {variant.model_id for variant in (*endpoint.variants, *coming)}

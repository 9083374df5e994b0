"""One worker's part of a job: plan it, do shards, put the outputs together.

Whatever is done twice, because a worker was killed or thought dead, gives the same bytes: a shard's output depends on
the shard alone, each attempt writes a part of its own name, only the part whose attempt still holds the lease is
recorded, and an output object is written from the recorded parts, at once.
"""

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from zerostart.errors import InvalidInput, NotFound, PreconditionFailed, ZerostartError
from zerostart.metadata import transform_job as rows
from zerostart.metadata.database import Database
from zerostart.metadata.transform_job import (
    TransformJob,
    TransformJobStatus,
    TransformOptions,
    TransformShard,
)
from zerostart.serving.bulk import BulkClassifier
from zerostart.storage.base import ObjectStore
from zerostart.transform.parts import put_together, remove_parts
from zerostart.transform.plan import plan_files, plan_shards
from zerostart.transform.progress import job_state
from zerostart.transform.shard import LeaseLost, ShardWork

logger = logging.getLogger(__name__)
LEASE_S = 60.0  # a dead worker's is given back at once by its supervisor; this is for those that hang
_HEARTBEAT_S = 0.5
_WAIT_S = 0.1
_LEAST_RECORDS_FOR_A_RATE = 100


class Runner:
    """Works on one job until it ended. `worker` begins the names of the leases that it holds."""

    def __init__(
        self,
        database: Database,
        store: ObjectStore,
        load: Callable[[str, TransformOptions], BulkClassifier],
        worker: str,
    ) -> None:
        self._database = database
        self._store = store
        self._load = load
        self._worker = worker
        self._classifier: BulkClassifier | None = None

    def run(self, name: str) -> None:
        """Return when the job has ended, or is to be stopped."""
        try:
            while (job := self._job(name)) is not None and job.status is TransformJobStatus.IN_PROGRESS:
                if not self._step(job):
                    time.sleep(_WAIT_S)
        finally:
            if self._classifier is not None:
                self._classifier.close()

    def _job(self, name: str) -> TransformJob | None:
        with self._database.transaction() as connection:
            return rows.get_transform_job(connection, name)

    def _step(self, job: TransformJob) -> bool:
        """Do what is next; False if that is done by others."""
        lease = f"{self._worker}-{secrets.token_hex(6)}"
        try:
            if not job.planned:
                return self._plan(job, lease)
            now = datetime.now(UTC)
            with self._database.transaction() as connection:
                shard = rows.claim_transform_shard(connection, job.name, lease, now, _later(now))
                left = rows.open_transform_shards(connection, job.name)
            if shard is not None:
                self._do(job, shard, lease)
                return True
            return left == 0 and self._end(job, lease)
        except LeaseLost:
            return False
        except (NotFound, InvalidInput) as error:
            self._fail(job, str(error))
            return True
        except (ZerostartError, OSError) as error:
            self._fail(job, f"{type(error).__name__}: {error}")
            return True

    def _plan(self, job: TransformJob, lease: str) -> bool:
        with self._holding_job(job, lease) as held:
            if not held:
                return False
            files = plan_files(self._store, job.options)
            shards = plan_shards(job.options, files)
            with self._database.transaction() as connection:
                rows.plan_transform_job(connection, job.name, lease, files, shards)
        logger.info("%s: %d files in %d shards", job.name, len(files), len(shards))
        return True

    def _do(self, job: TransformJob, shard: TransformShard, lease: str) -> None:
        with self._database.transaction() as connection:
            file = rows.read_transform_file(connection, job.name, shard.file)
        work = ShardWork(self._store, job, file, shard, lease)
        stop, lost = threading.Event(), threading.Event()
        beating = threading.Thread(target=self._beat, args=(job.name, work, stop, lost), daemon=True)
        beating.start()
        try:
            done = work.done(self._ready(job), lost)
            stop.set()
            beating.join()
            with self._database.transaction() as connection:
                if not rows.finish_transform_shard(connection, job.name, done, lease):
                    raise LeaseLost
                progress = rows.transform_progress(connection, job.name)
            logger.info("%s: shard %d of %s is done; %s", job.name, shard.number, file.key, job_state(job, progress))
            self._check_rate(job)
        except (NotFound, InvalidInput, PreconditionFailed) as error:
            message = f"{file.key}: {error}"
            logger.error("[sagemaker logs]: %s", message)
            with self._database.transaction() as connection:
                rows.fail_transform_file(connection, job.name, file.number, message)
        finally:
            stop.set()
            beating.join()

    def _ready(self, job: TransformJob) -> BulkClassifier:
        if self._classifier is None:
            self._classifier = self._load(job.model_id, job.options)
        return self._classifier

    def _beat(self, name: str, work: ShardWork, stop: threading.Event, lost: threading.Event) -> None:
        """Keep the lease, tell how far it is, and hear of the job's end."""
        while not work.wait_for_beat(stop, _HEARTBEAT_S):
            try:
                now = datetime.now(UTC)
                with self._database.transaction() as connection:
                    job = rows.get_transform_job(connection, name)
                    kept = rows.keep_transform_shard(
                        connection, name, work.shard.number, work.lease, _later(now), work.records, work.failed
                    )
            except Exception:
                logger.exception("a heartbeat failed; the next one may not")
                continue
            if job is None or job.status is not TransformJobStatus.IN_PROGRESS or not kept:
                lost.set()
                return

    def _check_rate(self, job: TransformJob) -> None:
        """Give the job up if too many records fail."""
        if not job.options.collect_errors or job.options.max_error_rate >= 1:
            return
        with self._database.transaction() as connection:
            progress = rows.transform_progress(connection, job.name)
        failed, records = progress.failed, progress.records
        if records >= _LEAST_RECORDS_FOR_A_RATE and failed > job.options.max_error_rate * records:
            rate = f"{failed} of the first {records} records failed, more than the max_error_rate"
            self._fail(job, f"{rate} {job.options.max_error_rate:g} allows.")
            raise LeaseLost

    def _end(self, job: TransformJob, lease: str) -> bool:
        """Write the outputs, and the job's end."""
        with self._holding_job(job, lease) as held:
            if not held:
                return False
            with self._database.transaction() as connection:
                files = rows.read_transform_files(connection, job.name)
                progress = rows.transform_progress(connection, job.name)
            self._check_rate(job)
            for file in files:
                if file.error is None:
                    with self._database.transaction() as connection:
                        shards = rows.read_transform_shards(connection, job.name, file.number)
                    put_together(self._store, job, file, shards)
            errors = [file.error for file in files if file.error is not None]
            status = TransformJobStatus.FAILED if errors else TransformJobStatus.COMPLETED
            reason = f"{len(errors)} of {len(files)} files failed; the first: {errors[0]}" if errors else None
            with self._database.transaction() as connection:
                rows.end_transform_job(connection, job.name, status, datetime.now(UTC), reason=reason)
            remove_parts(self._store, job)
            logger.info("%s is %s: %d records, %d failed", job.name, status, progress.records, progress.failed)
        return True

    def _fail(self, job: TransformJob, reason: str) -> None:
        logger.error("%s failed: %s", job.name, reason)
        with self._database.transaction() as connection:
            rows.end_transform_job(connection, job.name, TransformJobStatus.FAILED, datetime.now(UTC), reason=reason)

    @contextmanager
    def _holding_job(self, job: TransformJob, lease: str) -> Iterator[bool]:
        """Hold the job itself: one worker plans and ends it."""

        def hold() -> bool:
            now = datetime.now(UTC)
            with self._database.transaction() as connection:
                return rows.lease_transform_job(connection, job.name, lease, now, _later(now))

        def beat() -> None:
            while not stop.wait(_HEARTBEAT_S):
                try:
                    hold()
                except Exception:
                    logger.exception("a heartbeat failed; the next one may not")

        stop = threading.Event()
        held = hold()
        beating = threading.Thread(target=beat, daemon=True)
        if held:
            beating.start()
        try:
            yield held
        finally:
            stop.set()
            if held:
                beating.join()


def _later(now: datetime) -> datetime:
    return now + timedelta(seconds=LEASE_S)

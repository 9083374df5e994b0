"""One worker's part of a job: plan it, do shards, put the outputs together.

Whatever is done twice, because a worker was killed or thought dead, gives the same bytes: a shard's output depends on
the shard alone, each attempt writes a part of its own name, only the part whose attempt still holds the lease is
recorded, and an output object is written from the recorded parts, at once.
"""

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from zerostart.errors import InvalidInput, NotFound, PreconditionFailed, ZerostartError
from zerostart.metadata import transform_job as rows
from zerostart.metadata.database import Database
from zerostart.metadata.transform_job import (
    TransformFile,
    TransformJob,
    TransformJobStatus,
    TransformOptions,
    TransformShard,
)
from zerostart.nli.classification import ClassificationRequest
from zerostart.serving.bulk import Answer, BulkClassifier
from zerostart.storage.base import ObjectAttributes, ObjectReader, ObjectStore, ObjectWriter, parse_uri
from zerostart.transform.plan import plan_files, plan_shards
from zerostart.transform.records import (
    Record,
    RecordReader,
    RecordWriter,
    decompressed,
    error_line,
    moved_error_line,
)

logger = logging.getLogger(__name__)
LEASE_S = 15.0
_HEARTBEAT_S = 1.0
_WAIT_S = 0.1
_PIECE_BYTES = 1024 * 1024
_LEAST_RECORDS_FOR_A_RATE = 100
_ABSENT = InvalidInput("There is no answer.")


class LeaseLost(Exception):
    """Somebody else does this now, or nobody should any more."""


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
            file = rows.read_transform_files(connection, job.name)[shard.file]
        work = _ShardWork(self._store, job, file, shard, lease)
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
            logger.info("%s: shard %d of %s: %d records", job.name, shard.number, file.key, done.records)
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

    def _beat(self, name: str, work: "_ShardWork", stop: threading.Event, lost: threading.Event) -> None:
        """Keep the lease, tell how far it is, and hear of the job's end."""
        while not stop.wait(_HEARTBEAT_S):
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
                hold()

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


class _ShardWork:
    """A shard that is being done; `records` and `failed` are how far it is."""

    def __init__(
        self, store: ObjectStore, job: TransformJob, file: TransformFile, shard: TransformShard, lease: str
    ) -> None:
        self.shard = shard
        self.lease = lease
        self.records = 0
        self.failed = 0
        self._store = store
        self._job = job
        self._options = job.options
        self._file = file

    def done(self, classifier: BulkClassifier, lost: threading.Event) -> TransformShard:
        """Write the part. Raises InvalidInput for a record that fails its file, LeaseLost."""
        options = self._options
        reader, writer = RecordReader(options), RecordWriter(options)
        part = f"{self.shard.number:08d}-{self.lease}"
        bucket, key = part_location(self._job, part)
        attributes = ObjectAttributes(kms_key_id=options.kms_key_id)
        with (
            self._opened() as source,
            _PartFile(self._store, bucket, key, attributes) as output,
            _PartFile(self._store, bucket, f"{key}.err", attributes) as errors,
        ):
            for record, answer in _answered(classifier, self._records(reader, source)):
                if lost.is_set():
                    raise LeaseLost
                self._take(record, answer, writer, output, errors)
            if lost.is_set():
                raise LeaseLost
            output.commit()
            errors.commit_if_any()
        return replace(self.shard, part=part, records=self.records, failed=self.failed, lines=reader.lines)

    def _take(
        self, record: Record, answer: Answer, writer: RecordWriter, output: "_PartFile", errors: "_PartFile"
    ) -> None:
        error = record.error or (answer if isinstance(answer, ZerostartError) else None)
        content = b""
        if error is None and not isinstance(answer, ZerostartError):
            try:
                content = writer.answered(record, answer)
            except InvalidInput as own:
                error = own
        if error is not None:
            if not self._options.collect_errors:
                at = f"line {record.line}" + (f" of the part at byte {self.shard.first}" if self.shard.first else "")
                raise InvalidInput(f"ClientError: 400: {at}: {error}")
            self.failed += 1
            content = writer.failed(record, str(error))
            errors.write(error_line(record.line, str(error)))
        self.records += 1
        output.write(content)

    @contextmanager
    def _opened(self) -> Iterator[ObjectReader]:
        bucket, _, key = self._file.key.partition("/")
        source = self._store.open(bucket, key)
        try:
            if source.stored.etag != self._file.etag:
                raise InvalidInput("The object was replaced after the job began.")
            yield source
        finally:
            source.close()

    def _records(self, reader: RecordReader, source: ObjectReader) -> Iterator[Record]:
        shard, options = self.shard, self._options
        if not self._file.size:
            return
        if options.compressed:
            yield from reader.records(decompressed(source.chunks()), None, inside=False)
        elif shard.first == 0 and shard.end == self._file.size:
            yield from reader.records(source.chunks(), None, inside=False)
        else:
            inside = shard.first > 0
            pieces = source.chunks(shard.first - inside)
            yield from reader.records(pieces, shard.end - shard.first, inside=inside)


class _PartFile:
    """A part that is written in large pieces."""

    def __init__(self, store: ObjectStore, bucket: str, key: str, attributes: ObjectAttributes) -> None:
        self._writer: ObjectWriter = store.writer(bucket, key, attributes)
        self._pending = bytearray()
        self._empty = True

    def write(self, content: bytes) -> None:
        self._empty = False
        self._pending += content
        if len(self._pending) >= _PIECE_BYTES:
            self._writer.write(bytes(self._pending))
            self._pending.clear()

    def commit(self) -> None:
        self._writer.write(bytes(self._pending))
        self._writer.commit()

    def commit_if_any(self) -> None:
        if not self._empty:
            self.commit()

    def __enter__(self) -> "_PartFile":
        self._writer.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.__exit__(None, None, None)


def _answered(classifier: BulkClassifier, records: Iterable[Record]) -> Iterator[tuple[Record, Answer]]:
    """Records with their answers, in order; one without a request has none."""
    waiting: deque[Record] = deque()

    def requests() -> Iterator[ClassificationRequest]:
        for record in records:
            waiting.append(record)
            if record.request is not None:
                yield record.request

    for answer in classifier.classify_each(requests()):
        while waiting[0].request is None:
            yield waiting.popleft(), _ABSENT
        yield waiting.popleft(), answer
    for record in waiting:
        yield record, _ABSENT


def part_location(job: TransformJob, part: str) -> tuple[str, str]:
    """Bucket and key of a part; beside the outputs, never under their prefix."""
    bucket, _ = parse_uri(job.options.output_uri)
    return bucket, f".zerostart/transform/{job.name}/{part}"


def put_together(store: ObjectStore, job: TransformJob, file: TransformFile, shards: list[TransformShard]) -> None:
    """Write a file's output, and its errors if it has any, from the parts; each appears whole."""
    bucket, prefix = parse_uri(job.options.output_uri)
    key = "/".join(filter(None, (prefix.rstrip("/"), file.name)))
    lines = job.options.assemble_lines
    kind = "application/jsonlines" if lines else "application/json"
    attributes = ObjectAttributes(content_type=kind, kms_key_id=job.options.kms_key_id)
    with store.writer(bucket, f"{key}.out", attributes) as output:
        for shard in shards:
            for piece in _part_pieces(store, job, shard.part or ""):
                output.write(piece)
        output.commit()
    if any(shard.failed for shard in shards):
        with store.writer(
            bucket, f"{key}.err.jsonl", replace(attributes, content_type="application/jsonlines")
        ) as errors:
            before = 0
            for shard in shards:
                if shard.failed:
                    content = b"".join(_part_pieces(store, job, f"{shard.part}.err"))
                    for line in content.splitlines():
                        errors.write(moved_error_line(line, before))
                before += shard.lines
            errors.commit()


def remove_parts(store: ObjectStore, job: TransformJob) -> None:
    """Remove every part of a job, also those of attempts that did not count; nothing is lost if that cannot be."""
    bucket, prefix = part_location(job, "")
    try:
        while page := store.list(bucket, prefix):
            for each in page:
                store.delete(bucket, each.key)
    except ZerostartError as error:
        logger.warning("parts of %s were left: %s", job.name, error)


def _part_pieces(store: ObjectStore, job: TransformJob, part: str) -> Iterator[bytes]:
    reader = store.open(*part_location(job, part))
    try:
        if reader.stored.size:
            yield from reader.chunks()
    finally:
        reader.close()


def _later(now: datetime) -> datetime:
    return now + timedelta(seconds=LEASE_S)

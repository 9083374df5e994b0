"""One attempt at a shard: its records in, its part out."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from zerostart.errors import InvalidInput, ZerostartError
from zerostart.metadata.transform_job import TransformFile, TransformJob, TransformShard
from zerostart.nli.classification import ClassificationRequest
from zerostart.serving.bulk import BulkClassifier
from zerostart.serving.ranking import Answer
from zerostart.storage.base import ObjectAttributes, ObjectReader, ObjectStore
from zerostart.transform.parts import PartFile, part_location
from zerostart.transform.records import Record, RecordReader, RecordWriter, decompressed, error_line

_LOOK_S = 0.02


class LeaseLost(Exception):
    """Somebody else does this now, or nobody should any more."""


class ShardWork:
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

    def wait_for_beat(self, stop: threading.Event, beat_s: float) -> bool:
        """Wait until it is time to tell how far this is, at once when the first records are done; whether to stop."""
        known, until_s = self.records, time.monotonic() + beat_s
        while time.monotonic() < until_s and not (known == 0 and self.records):
            if stop.wait(beat_s if known else _LOOK_S):
                return True
        return False

    def done(self, classifier: BulkClassifier, lost: threading.Event) -> TransformShard:
        """Write the part. Raises InvalidInput for a record that fails its file, LeaseLost."""
        options = self._options
        reader, writer = RecordReader(options), RecordWriter(options)
        part = f"{self.shard.number:08d}-{self.lease}"
        bucket, key = part_location(self._job, part)
        attributes = ObjectAttributes(kms_key_id=options.kms_key_id)
        with (
            self._opened() as source,
            PartFile(self._store, bucket, key, attributes) as output,
            PartFile(self._store, bucket, f"{key}.err", attributes) as errors,
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
        self, record: Record, answer: Answer, writer: RecordWriter, output: "PartFile", errors: "PartFile"
    ) -> None:
        error = answer if isinstance(answer, ZerostartError) else None
        content = b""
        if not isinstance(answer, ZerostartError):
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


def _answered(classifier: BulkClassifier, records: Iterable[Record]) -> Iterator[tuple[Record, Answer]]:
    """Records with their answers, in order; one without a request has its own error."""
    waiting: deque[Record] = deque()

    def requests() -> Iterator[ClassificationRequest | ZerostartError]:
        for record in records:
            waiting.append(record)
            yield record.asked

    for answer in classifier.classify_each(requests()):
        yield waiting.popleft(), answer

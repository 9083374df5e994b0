"""Before a job starts: how many records it has and how long it will take, from the first ones."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from zerostart.errors import InvalidInput, ZerostartError
from zerostart.metadata.transform_job import TransformFile, TransformOptions
from zerostart.serving.bulk import BulkClassifier
from zerostart.serving.payload import result_document
from zerostart.serving.ranking import Answer
from zerostart.storage.base import ObjectStore
from zerostart.transform.plan import plan_files
from zerostart.transform.records import Record, RecordReader, decompressed

_SAMPLE_BYTES = 256 * 1024
_LONGEST_S = 1.0
_SHOWN = 5
_START_S = 1.5


@dataclass(frozen=True)
class TransformEstimate:
    """What is expected of a job. `first` holds the first records and what comes out of them."""

    files: int
    bytes_total: int
    records: int
    records_per_s: float
    seconds: float
    first: list[dict[str, Any]]


def estimate(store: ObjectStore, options: TransformOptions, classifier: BulkClassifier) -> TransformEstimate:
    """Read the beginning of the first object, and classify records of it for a second, but those that are shown in any
    case. Raises InvalidInput, NotFound.

    The time is that of workers which have the machine to themselves.
    """
    files = plan_files(store, options)
    size = sum(file.size for file in files)
    file = next((file for file in files if file.size), None)
    if file is None:
        raise InvalidInput(f"The objects at {options.input_uri} are empty.")
    records, share = _first_records(store, options, file)
    whole = options.content_type == "application/json" and not options.split_lines
    total = len(files) if whole else max(len(records), round(size / share * len(records)))
    started_s = time.perf_counter()
    answers: list[Answer] = []
    for answer in classifier.classify_each(record.asked for record in records):
        answers.append(answer)
        if len(answers) >= _SHOWN and time.perf_counter() - started_s > _LONGEST_S:
            break
    rate = len(answers) / max(time.perf_counter() - started_s, 1e-6)
    first = [_shown(record, answer) for record, answer in zip(records[:_SHOWN], answers, strict=False)]
    seconds = _START_S + total / rate if rate else 0.0
    return TransformEstimate(len(files), size, total, rate, seconds, first)


def _shown(record: Record, answer: Answer) -> dict[str, Any]:
    if isinstance(answer, ZerostartError):
        return {"record": record.document, "error": str(answer)}
    documents = [result_document(each) for each in answer]
    return {"record": record.document, "output": documents if record.many else documents[0]}


def _first_records(store: ObjectStore, options: TransformOptions, file: TransformFile) -> tuple[list[Record], int]:
    """Records of an object's beginning, and how many of its bytes, as they are stored, they take."""
    bucket, _, key = file.key.partition("/")
    source = store.open(bucket, key)
    taken = 0

    def stored() -> Iterator[bytes]:
        nonlocal taken
        for piece in source.chunks():
            taken += len(piece)
            yield piece

    try:
        pieces = decompressed(stored()) if options.compressed else stored()
        sample = bytearray()
        longest = max(_SAMPLE_BYTES, options.max_record_bytes + 1)
        for piece in pieces:
            sample += piece
            end = sample.rfind(b"\n") + 1
            if (len(sample) >= _SAMPLE_BYTES and end) or len(sample) >= longest:
                break
        else:
            end = len(sample)
    finally:
        source.close()
    end = end or len(sample)
    share = max(1, round(taken * end / max(len(sample), 1)))
    reader = RecordReader(options)
    return list(islice(reader.records([bytes(sample[:end])], None, inside=False), 100_000)), share

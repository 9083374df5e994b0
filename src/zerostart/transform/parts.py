"""Parts: what attempts at shards wrote, and the outputs that are put together from them."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

from zerostart.errors import ZerostartError
from zerostart.metadata.transform_job import TransformFile, TransformJob, TransformShard
from zerostart.storage.base import ObjectAttributes, ObjectStore, ObjectWriter, parse_uri
from zerostart.transform.lines import own_lines
from zerostart.transform.records import moved_error_line
from zerostart.transform.tables import TABLES, write_table

logger = logging.getLogger(__name__)
PARTS = ".zerostart/transform/"
_PIECE_BYTES = 1024 * 1024


class PartFile:
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

    def __enter__(self) -> "PartFile":
        self._writer.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._writer.__exit__(None, None, None)


def part_location(job: TransformJob, part: str) -> tuple[str, str]:
    """Bucket and key of a part; beside the outputs, never under their prefix."""
    bucket, _ = parse_uri(job.options.output_uri)
    return bucket, f"{PARTS}{job.name}/{part}"


def output_location(job: TransformJob, file: TransformFile) -> tuple[str, str, str]:
    """The bucket of a file's output, its key, and that of the errors, which is there if there are any."""
    bucket, prefix = parse_uri(job.options.output_uri)
    key = "/".join(filter(None, (prefix.rstrip("/"), file.name)))
    return bucket, f"{key}.out", f"{key}.err.jsonl"


def jobs_with_parts(store: ObjectStore, jobs: Iterable[TransformJob]) -> Iterator[TransformJob]:
    """Those of the jobs that left parts, where their buckets can be read."""
    by_bucket: dict[str, dict[str, TransformJob]] = {}
    for job in jobs:
        by_bucket.setdefault(part_location(job, "")[0], {})[job.name] = job
    for bucket, named in by_bucket.items():
        try:
            names = sorted(_names_with_parts(store, bucket))
        except ZerostartError as error:
            logger.warning("parts in %s were not looked for: %s", bucket, error)
            continue
        yield from (named[name] for name in names if name in named)


def put_together(store: ObjectStore, job: TransformJob, file: TransformFile, shards: list[TransformShard]) -> None:
    """Write a file's output, and its errors if it has any, from the parts; each appears whole."""
    bucket, key, errors_key = output_location(job, file)
    options = job.options
    kind = "application/jsonlines" if options.assemble_lines else "application/json"
    kind = options.accept if options.accept in TABLES else kind
    attributes = ObjectAttributes(content_type=kind, kms_key_id=options.kms_key_id)
    pieces = (piece for shard in shards for piece in _part_pieces(store, job, shard.part or ""))
    with store.writer(bucket, key, attributes) as output:
        if options.accept in TABLES:
            write_table(options, pieces, output)
        else:
            for piece in pieces:
                output.write(piece)
        output.commit()
    if any(shard.failed for shard in shards):
        with store.writer(bucket, errors_key, replace(attributes, content_type="application/jsonlines")) as errors:
            before = 0
            for shard in shards:
                if shard.failed:
                    for line in own_lines(_part_pieces(store, job, f"{shard.part}.err")):
                        errors.write(moved_error_line(line, before))
                before += shard.lines
            errors.commit()
    else:
        store.delete(bucket, errors_key)  # an earlier job's, which would be taken for this one's


def remove_parts(store: ObjectStore, job: TransformJob) -> None:
    """Remove every part of a job, also those of attempts that did not count; nothing is lost if that cannot be."""
    bucket, prefix = part_location(job, "")
    try:
        while page := store.list(bucket, prefix):
            for each in page:
                store.delete(bucket, each.key)
    except ZerostartError as error:
        logger.warning("parts of %s were left: %s", job.name, error)


def _names_with_parts(store: ObjectStore, bucket: str) -> Iterator[str]:
    start = b""
    while page := store.list(bucket, PARTS, start, limit=1):
        name = page[0].key.removeprefix(PARTS).partition("/")[0]
        yield name
        start = f"{PARTS}{name}0".encode()  # what follows every key below NAME/


def _part_pieces(store: ObjectStore, job: TransformJob, part: str) -> Iterator[bytes]:
    reader = store.open(*part_location(job, part))
    try:
        if reader.stored.size:
            yield from reader.chunks()
    finally:
        reader.close()

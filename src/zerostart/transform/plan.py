"""The plan of a job: the files that it reads, and the shards that they are cut into."""

import json
from collections.abc import Iterator

from zerostart.errors import InvalidInput
from zerostart.metadata.transform_job import TransformFile, TransformOptions, TransformShard
from zerostart.storage.base import ObjectStore, StoredObject, parse_uri, read_bytes
from zerostart.transform.tables import CSV

_LARGEST_SHARD_BYTES = 4 * 1024 * 1024
_SMALLEST_SHARD_BYTES = 64 * 1024
_SHARDS_A_WORKER = 4
_LONGEST_MANIFEST_BYTES = 64 * 1024 * 1024


def plan_files(store: ObjectStore, options: TransformOptions) -> list[TransformFile]:
    """The input objects, in the order of their keys or of the manifest. Raises InvalidInput where there are none."""
    bucket, prefix = parse_uri(options.input_uri)
    if options.manifest:
        start, keys = _manifest(store, bucket, prefix)
        found = [store.head(start.partition("/")[0], key) for key in keys]
        base = start.partition("/")[2]
    else:
        found = [each for each in _listed(store, bucket, prefix) if not each.key.endswith("/")]
        base = prefix
    if not found:
        raise InvalidInput(f"No objects were found at {options.input_uri}: name a key, or a prefix of some.")
    return [
        TransformFile(number, f"{each.bucket}/{each.key}", _relative(each.key, base), each.etag, each.size)
        for number, each in enumerate(found)
    ]


def plan_shards(options: TransformOptions, files: list[TransformFile]) -> list[TransformShard]:
    """Shards in the order of the input: by the job's own numbers alone, so that a second plan would be the same."""
    total = sum(file.size for file in files)
    size = total // (options.instance_count * _SHARDS_A_WORKER)
    size = max(_SMALLEST_SHARD_BYTES, min(_LARGEST_SHARD_BYTES, size))
    whole = options.compressed or not options.split_lines or options.content_type == CSV
    shards: list[TransformShard] = []
    for file in files:
        step = max(file.size, 1) if whole else size
        for first in range(0, max(file.size, 1), step):
            shards.append(TransformShard(len(shards), file.number, first, min(first + step, file.size)))
    return shards


def _relative(key: str, base: str) -> str:
    """A key below a folder without the folder; one that is the input, or begins as it does, by its own name.

    `in/a` is `a` for the inputs `in`, `in/` and `in/a`, and `a-1` is `a-1` for the input `a`.
    """
    folder = base.rstrip("/") + "/"
    if base and not key.startswith(folder):
        folder = base.rpartition("/")[0] + "/"
    return (key.removeprefix(folder) if base else key).lstrip("/")


def _listed(store: ObjectStore, bucket: str, prefix: str) -> Iterator[StoredObject]:
    start = b""
    while page := store.list(bucket, prefix, start):
        yield from page
        start = page[-1].key.encode() + b"\0"


def _manifest(store: ObjectStore, bucket: str, key: str) -> tuple[str, list[str]]:
    """`bucket/prefix` and full keys of `[{"prefix": "s3://bucket/prefix"}, "relative/key", ...]`."""
    uri = f"s3://{bucket}/{key}"
    try:
        document = json.loads(read_bytes(store, bucket, key, _LONGEST_MANIFEST_BYTES))
    except ValueError as error:
        raise InvalidInput(f"The manifest {uri} is not JSON: {error}") from error
    rows = document if isinstance(document, list) else []
    if not rows or not isinstance(rows[0], dict) or not isinstance(rows[0].get("prefix"), str):
        raise InvalidInput(f'The manifest {uri} must be a list that begins with {{"prefix": "s3://bucket/folder/"}}.')
    names = rows[1:]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidInput(f"The manifest {uri} must name at least one key after its prefix, each as a string.")
    target, prefix = parse_uri(rows[0]["prefix"])
    return f"{target}/{prefix}", [prefix + name for name in names]

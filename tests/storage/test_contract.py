"""One contract, every store: this installation's own, another Zerostart's through S3, and moto's S3."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.postgresql import PostgreSQL
from tests.processes import ServerProcess
from zerostart.errors import (
    InvalidInput,
    InvalidPart,
    NotEmpty,
    PreconditionFailed,
    StorageFailure,
    UnknownBucket,
    UnknownObject,
    UnknownUpload,
)
from zerostart.metadata.database import Database
from zerostart.storage.base import Condition, ObjectAttributes, ObjectStore, read_bytes, write_bytes
from zerostart.storage.encryption import CHUNK_BYTES
from zerostart.storage.local import LocalStore
from zerostart.storage.s3 import S3Store

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def zerostart_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Store]:
    with ServerProcess(tmp_path_factory.mktemp("elsewhere") / "home", ZEROSTART_ENGINE="fake") as server:
        yield S3Store(server.s3())


@pytest.fixture(scope="module")
def moto() -> Iterator[S3Store]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    session = boto3.session.Session("AKIAANYTHING", "anything", region_name="us-east-1")
    client = session.client("s3", endpoint_url=f"http://{host}:{port}")
    yield S3Store(client)
    client.close()
    server.stop()


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalStore]:
    yield from local_store(tmp_path, f"sqlite:///{tmp_path / 'metadata.db'}")


@pytest.fixture
def local_with_postgresql(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[LocalStore]:
    yield from local_store(tmp_path, postgresql.database())


def local_store(folder: Path, url: str) -> Iterator[LocalStore]:
    database = Database(url)
    database.migrate()
    yield LocalStore(folder / "buckets", folder / "keys", database)
    database.close()


@pytest.fixture(params=["local", "local_with_postgresql", "zerostart_elsewhere", "moto"])
def store(request: pytest.FixtureRequest) -> Iterator[ObjectStore]:
    made: ObjectStore = request.getfixturevalue(request.param)
    made.create_bucket("bucket")
    yield made
    for upload in made.uploads("bucket"):
        made.abort_upload(upload)
    for each in made.list("bucket"):
        made.delete("bucket", each.key)
    made.delete_bucket("bucket")


@pytest.mark.parametrize(
    "size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 8 * MIB, 8 * MIB + 1, 17 * MIB + 5]
)
def test_what_was_written_is_read_whole_and_in_ranges(store: ObjectStore, size: int) -> None:
    content = random.Random(size).randbytes(size)
    with store.writer("bucket", "key", ObjectAttributes()) as writer:
        for start in range(0, size, 3_000_000):
            writer.write(content[start : start + 3_000_000])
        stored = writer.commit()
    assert stored.size == size
    if size <= 8 * MIB:
        assert stored.etag == hashlib.md5(content).hexdigest()  # noqa: S324
    assert store.head("bucket", "key") == stored
    assert size == 0 or read_bytes(store, "bucket", "key", size) == content
    reader = store.open("bucket", "key")
    for _ in range(5 if size else 0):
        first = random.Random(size).randrange(size)
        last = random.Random(first).randrange(first, size)
        assert b"".join(reader.chunks(first, last)) == content[first : last + 1]
    reader.close()


def test_what_was_said_of_an_object_is_kept(store: ObjectStore) -> None:
    said = ObjectAttributes(
        "text/csv", {"cache-control": "no-store", "content-encoding": "gzip"}, {"owner": "somebody"}
    )
    write_bytes(store, "bucket", "key", b"1", said)
    kept = store.head("bucket", "key").attributes
    assert (kept.content_type, kept.headers, kept.metadata) == (said.content_type, said.headers, said.metadata)


def test_conditions(store: ObjectStore) -> None:
    def write(content: bytes, condition: Condition, key: str = "key") -> str:
        with store.writer("bucket", key, ObjectAttributes()) as writer:
            writer.write(content)
            return writer.commit(condition).etag

    first = write(b"1", Condition(if_absent=True))
    with pytest.raises(PreconditionFailed):
        write(b"2", Condition(if_absent=True))
    second = write(b"2", Condition(if_match=first))
    with pytest.raises(PreconditionFailed):
        write(b"3", Condition(if_match=first))
    with pytest.raises((UnknownObject, PreconditionFailed)):
        write(b"4", Condition(if_match=second), "other")
    assert read_bytes(store, "bucket", "key", 10) == b"2"


@pytest.mark.parametrize("size", [3, 9 * MIB])
def test_what_is_not_committed_leaves_nothing(store: ObjectStore, size: int) -> None:
    write_bytes(store, "bucket", "key", b"old")
    with store.writer("bucket", "key", ObjectAttributes()) as writer:
        writer.write(b"x" * size)
    with store.writer("bucket", "new", ObjectAttributes()) as writer:
        writer.write(b"x" * size)
    assert read_bytes(store, "bucket", "key", 10) == b"old"
    assert [each.key for each in store.list("bucket")] == ["key"]
    assert store.uploads("bucket") == []


KEYS = [*("..", "../../etc/passwd", "a", "a/b", "a/", "ü", "\U0001f600", "x" * 1024, ".", " ", "a b", "a+b%20", "a#?&")]


def test_keys_of_every_kind_are_listed_in_the_order_of_their_bytes(store: ObjectStore) -> None:
    resolved = {"..", ".", "../../etc/passwd"} if isinstance(store, S3Store) else set()  # by HTTP clients, as paths
    keys = [key for key in KEYS if key not in resolved]
    for key in keys:
        write_bytes(store, "bucket", key, key.encode())
    ordered = sorted(keys, key=str.encode)
    assert [each.key for each in store.list("bucket")] == ordered
    assert [read_bytes(store, "bucket", key, 2000) for key in keys] == [key.encode() for key in keys]
    assert [each.key for each in store.list("bucket", prefix="a/")] == ["a/", "a/b"]
    for start in (b"a", b"a/", b"a0", b"b", "ü".encode(), "ü".encode()[:1], b"\xff"):
        expected = [key for key in ordered if key.encode() >= start]
        assert [each.key for each in store.list("bucket", start=start)] == expected, start
    assert [each.key for each in store.list("bucket", limit=2)] == ordered[:2]
    for refused in ("", "x" * 1025, "\ud800"):
        with pytest.raises(InvalidInput):
            store.writer("bucket", refused, ObjectAttributes())


def test_multipart_uploads(store: ObjectStore) -> None:
    upload = store.create_upload("bucket", "big", ObjectAttributes(content_type="text/plain"))
    contents = [b"1" * 5 * MIB, b"2" * 5 * MIB, b"3"]
    etags = []
    for number, content in enumerate(contents, start=1):
        with store.part_writer(upload, number) as part:
            part.write(content)
            etags.append(part.commit().etag)
    with pytest.raises(UnknownObject):
        store.head("bucket", "big")
    assert [(part.number, part.size, part.etag) for part in store.parts(upload)] == [
        (number, len(content), etag) for number, (content, etag) in enumerate(zip(contents, etags, strict=True), 1)
    ]
    assert [each.id for each in store.uploads("bucket")] == [upload.id]
    assert store.upload("bucket", "big", upload.id).id == upload.id
    with pytest.raises(InvalidPart):
        store.complete_upload(upload, [(1, "0" * 32)])
    stored = store.complete_upload(upload, list(enumerate(etags, start=1)))
    assert stored.etag.endswith("-3")
    assert stored.attributes.content_type == "text/plain"
    assert read_bytes(store, "bucket", "big", 11 * MIB) == b"".join(contents)
    with pytest.raises(UnknownUpload):
        store.upload("bucket", "big", upload.id)
    dropped = store.create_upload("bucket", "other", ObjectAttributes())
    store.abort_upload(dropped)
    assert store.uploads("bucket") == []


def test_what_is_not_there(store: ObjectStore) -> None:
    with pytest.raises(UnknownObject):
        store.head("bucket", "nothing")
    with pytest.raises(UnknownObject):
        store.open("bucket", "nothing")
    store.delete("bucket", "nothing")
    for call in (lambda: store.bucket("nowhere"), lambda: store.list("nowhere")):
        with pytest.raises(UnknownBucket):
            call()
    with pytest.raises(UnknownBucket), store.writer("nowhere", "key", ObjectAttributes()) as writer:
        writer.commit()
    assert "bucket" in [each.name for each in store.buckets()]


def test_a_bucket_with_objects_is_not_deleted(store: ObjectStore) -> None:
    write_bytes(store, "bucket", "key", b"1")
    with pytest.raises(NotEmpty):
        store.delete_bucket("bucket")


def test_a_service_that_is_not_there_is_said_so() -> None:
    session = boto3.session.Session("AKIAANYTHING", "anything", region_name="us-east-1")
    client = session.client("s3", endpoint_url="http://127.0.0.1:9")
    with pytest.raises(StorageFailure, match="could not be used: Could not connect"):
        S3Store(client).head("bucket", "key")

"""The local object store: what it keeps, and what it never gives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from zerostart.errors import (
    Corrupted,
    InvalidInput,
    InvalidPart,
    NotEmpty,
    PartTooSmall,
    PreconditionFailed,
    UnknownObject,
    UnknownUpload,
)
from zerostart.metadata.database import Database
from zerostart.storage.base import Condition, ObjectAttributes, read_bytes, write_bytes
from zerostart.storage.encryption import CHUNK_BYTES
from zerostart.storage.local import LocalStore

SECRET = b"a text that nobody else may read. "


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(f"sqlite:///{tmp_path / 'metadata.db'}")
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def store(tmp_path: Path, database: Database) -> LocalStore:
    made = LocalStore(tmp_path / "buckets", tmp_path / "keys", database)
    made.create_bucket("bucket")
    return made


def files(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "buckets").glob("*/*") if path.is_file()]


def test_nothing_readable_lies_on_the_disk(store: LocalStore, tmp_path: Path) -> None:
    write_bytes(store, "bucket", "a", SECRET * 5000)
    write_bytes(store, "bucket", "b", SECRET * 5000, ObjectAttributes(kms_key_id="alias/other"))
    everything = b"".join(path.read_bytes() for path in files(tmp_path))
    assert SECRET[:8] not in everything
    assert {path.stat().st_mode & 0o777 for path in [*files(tmp_path), *(tmp_path / "keys").iterdir()]} == {0o600}
    assert len(list((tmp_path / "keys").iterdir())) == 2


def test_altered_content_is_an_error_and_never_given(store: LocalStore, tmp_path: Path) -> None:
    content = SECRET * 5000
    for position in (2, 50, 100, 5000, 70_000, -1):
        write_bytes(store, "bucket", "key", content)
        (path,) = files(tmp_path)
        altered = bytearray(path.read_bytes())
        altered[position] ^= 1
        path.write_bytes(altered)
        with pytest.raises(Corrupted, match=path.name):
            read_bytes(store, "bucket", "key", len(content))
    write_bytes(store, "bucket", "key", content)
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[: -(len(content) % CHUNK_BYTES) - 16])  # cut between two chunks
    with pytest.raises(Corrupted):
        read_bytes(store, "bucket", "key", len(content))


def test_swapped_segments_are_noticed(store: LocalStore, tmp_path: Path) -> None:
    write_bytes(store, "bucket", "a", b"1")
    write_bytes(store, "bucket", "b", b"2")
    one, other = files(tmp_path)
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    with pytest.raises(Corrupted):
        read_bytes(store, "bucket", "a", 10)


def test_a_lost_key_is_named(store: LocalStore, tmp_path: Path) -> None:
    write_bytes(store, "bucket", "key", b"content")
    (key,) = (tmp_path / "keys").iterdir()
    key.unlink()
    with pytest.raises(Corrupted, match=key.name):
        read_bytes(store, "bucket", "key", 10)


KEYS = [
    "..",
    "../../etc/passwd",
    "/absolute",
    "a",
    "a/b",
    "a/",
    "\0nul",
    "ü",
    "\U0001f600",
    "x" * 1024,
    ".",
    " ",
    "a\nb",
]


def test_every_key_is_kept_inside_and_listed_in_the_order_of_its_bytes(store: LocalStore, tmp_path: Path) -> None:
    for key in KEYS:
        write_bytes(store, "bucket", key, key.encode())
    assert [each.key for each in store.list("bucket")] == sorted(KEYS, key=str.encode)
    assert [read_bytes(store, "bucket", key, 2000) for key in KEYS] == [key.encode() for key in KEYS]
    assert {path.name for path in tmp_path.iterdir()} <= {
        "buckets",
        "keys",
        "metadata.db",
        "metadata.db-wal",
        "metadata.db-shm",
    }
    assert [each.key for each in store.list("bucket", prefix="a/")] == ["a/", "a/b"]
    for refused in ("", "x" * 1025, "\ud800"):
        with pytest.raises(InvalidInput):
            store.writer("bucket", refused, ObjectAttributes())


@pytest.mark.parametrize("name", ["", "ab", "Upper", "a..b", "../x", "a/b", "-a-", "1.2.3.4", "x" * 64])
def test_names_that_s3_refuses_are_refused(store: LocalStore, name: str) -> None:
    with pytest.raises(InvalidInput, match="3 to 63 characters"):
        store.create_bucket(name)


def test_a_reader_goes_on_with_what_it_opened(store: LocalStore, tmp_path: Path) -> None:
    write_bytes(store, "bucket", "key", b"old" * 100_000)
    reader = store.open("bucket", "key")
    write_bytes(store, "bucket", "key", b"new")
    store.delete("bucket", "key")
    assert b"".join(reader.chunks()) == b"old" * 100_000
    reader.close()
    assert files(tmp_path) == []


def test_what_is_not_committed_leaves_nothing(store: LocalStore, tmp_path: Path) -> None:
    write_bytes(store, "bucket", "key", b"old")
    with store.writer("bucket", "key", ObjectAttributes()) as writer:
        writer.write(b"new")
    with pytest.raises(PreconditionFailed), store.writer("bucket", "key", ObjectAttributes()) as writer:
        writer.commit(Condition(if_absent=True))
    assert read_bytes(store, "bucket", "key", 10) == b"old"
    assert len(files(tmp_path)) == 1


def test_left_overs_are_removed_and_objects_stay(store: LocalStore, tmp_path: Path, database: Database) -> None:
    write_bytes(store, "bucket", "key", b"kept")
    upload = store.create_upload("bucket", "big", ObjectAttributes())
    with store.part_writer(upload, 1) as part:
        part.write(b"part")
        part.commit()
    killed = LocalStore(tmp_path / "buckets", tmp_path / "keys", database)
    _, left = killed.new_segment(None)
    left.write(b"a program was killed here")
    left.finish()
    with store.writer("bucket", "slow", ObjectAttributes()) as writer:
        writer.write(b"being written")
        assert store.remove_left_overs(before_s=0) == 0
        assert store.remove_left_overs() == 1
        writer.commit()
    assert len(files(tmp_path)) == 3
    assert read_bytes(store, "bucket", "slow", 20) == b"being written"
    assert read_bytes(store, "bucket", "key", 10) == b"kept"


def test_multipart_uploads(store: LocalStore, tmp_path: Path) -> None:
    upload = store.create_upload("bucket", "big", ObjectAttributes(content_type="text/plain"))
    contents = [b"1" * 5 * 1024 * 1024, b"2" * 5 * 1024 * 1024, b"3"]
    etags = []
    for number, content in enumerate(contents, start=1):
        with store.part_writer(upload, number) as part:
            part.write(content)
            etags.append(part.commit().etag)
    with pytest.raises(UnknownObject):
        store.head("bucket", "big")
    for wrong in ([(1, "0" * 32)], [(2, etags[1]), (1, etags[0])], [], [(9, etags[0])]):
        with pytest.raises(InvalidPart):
            store.complete_upload(upload, wrong)
    with store.part_writer(upload, 4) as part:
        part.write(b"4")
        etags.append(part.commit().etag)
    with pytest.raises(PartTooSmall, match="Part 3 has 1 bytes"):
        store.complete_upload(upload, list(enumerate(etags, start=1)))
    stored = store.complete_upload(upload, list(enumerate(etags[:3], start=1)))
    joined = b"".join(contents)
    assert stored.etag.endswith("-3")
    assert stored.attributes.content_type == "text/plain"
    assert read_bytes(store, "bucket", "big", len(joined)) == joined
    border = 5 * 1024 * 1024
    reader = store.open("bucket", "big")
    assert b"".join(reader.chunks(border - 2, 2 * border)) == joined[border - 2 : 2 * border + 1]
    reader.close()
    with pytest.raises(UnknownUpload):
        store.upload("bucket", "big", upload.id)
    assert len(files(tmp_path)) == 3  # the part that was not named is gone


def test_a_bucket_is_deleted_when_it_is_empty(store: LocalStore, tmp_path: Path) -> None:
    write_bytes(store, "bucket", "key", b"1")
    with pytest.raises(NotEmpty):
        store.delete_bucket("bucket")
    store.delete("bucket", "key")
    upload = store.create_upload("bucket", "big", ObjectAttributes())
    with store.part_writer(upload, 1) as part:
        part.commit()
    store.delete_bucket("bucket")
    assert store.buckets() == []
    assert files(tmp_path) == []

"""A model as one file, and back: the file may come from anybody."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.tiny_models import edit_manifest, weightless_artefact
from zerostart.errors import AlreadyExists, InvalidArtefact, InvalidInput
from zerostart.models.artefact import MANIFEST, Artefact
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID, LocalArtefacts
from zerostart.models.packing import pack, unpack

Members = list[tuple[tarfile.TarInfo, bytes]]


@pytest.fixture
def artefact(tmp_path: Path) -> Artefact:
    return weightless_artefact(tmp_path / "there" / "acme--tiny", "acme/tiny", revision="abc")


@pytest.fixture
def packed(artefact: Artefact, tmp_path: Path) -> Path:
    pack(artefact, tmp_path / "tiny.tar")
    return tmp_path / "tiny.tar"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "here" / "models"


def members_of(path: Path) -> Members:
    with tarfile.open(path) as tar:
        return [(member, file.read() if (file := tar.extractfile(member)) else b"") for member in tar]


def write(path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]], **options: int) -> Path:
    with tarfile.open(path, "w", **options) as tar:  # type: ignore[call-overload]
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return path


def member(
    name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, target: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    made.size = len(content) if kind == tarfile.REGTYPE else 0
    return made, content


def refused(path: Path, models: Path) -> str:
    """Why a file is refused; nothing of it is left."""
    with pytest.raises(InvalidArtefact) as caught:
        unpack(path, models)
    assert list(models.iterdir()) == []
    assert not list(models.parent.parent.rglob("evil*"))
    return caught.value.message


def test_a_model_comes_back_as_it_was(artefact: Artefact, packed: Path, models: Path) -> None:
    added = unpack(packed, models)
    assert added.folder == models / "acme--tiny"
    assert added.manifest == artefact.manifest
    for name in (MANIFEST, *artefact.manifest.files):
        assert (added.folder / name).read_bytes() == (artefact.folder / name).read_bytes()
    assert [each.name for each in models.iterdir()] == ["acme--tiny"]
    assert LocalArtefacts(models).find("acme/tiny").manifest.revision == "abc"


def test_the_manifest_comes_first_and_the_file_is_the_same_each_time(artefact: Artefact, packed: Path) -> None:
    assert [each.name for each, _ in members_of(packed)] == [MANIFEST, *artefact.manifest.files]
    again = packed.with_name("again.tar")
    pack(artefact, again)
    assert again.read_bytes() == packed.read_bytes()


def test_a_tar_that_somebody_made_of_the_files_is_read(packed: Path, models: Path) -> None:
    files = [member(each.name, content) for each, content in members_of(packed)]
    unpack(write(packed.with_name("own.tar"), files, format=tarfile.USTAR_FORMAT), models)


def test_the_built_in_model_can_be_carried(tmp_path: Path, models: Path) -> None:
    small = LocalArtefacts(models).find(BUILTIN_MODEL_ID)
    pack(small, tmp_path / "small.tar")
    with pytest.raises(AlreadyExists, match="exists: remove it first"):
        unpack(tmp_path / "small.tar", models)


def test_an_existing_file_is_not_overwritten(artefact: Artefact, packed: Path) -> None:
    before = packed.read_bytes()
    with pytest.raises(AlreadyExists, match=r"tiny\.tar exists"):
        pack(artefact, packed)
    assert packed.read_bytes() == before
    with pytest.raises(InvalidInput, match="cannot be written: No such file or directory"):
        pack(artefact, packed.parent / "absent" / "tiny.tar")


def test_an_altered_model_is_not_exported(artefact: Artefact, tmp_path: Path) -> None:
    path = artefact.folder / "tokenizer.json"
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    before = set(tmp_path.iterdir())
    with pytest.raises(InvalidArtefact, match=r"tokenizer\.json was altered"):
        pack(artefact, tmp_path / "tiny.tar")
    assert set(tmp_path.iterdir()) == before


def test_a_model_that_is_here_is_not_replaced(packed: Path, models: Path) -> None:
    unpack(packed, models)
    with pytest.raises(AlreadyExists, match="acme--tiny exists: remove it first to replace model 'acme/tiny'"):
        unpack(packed, models)


def zipped(path: Path) -> None:
    content = path.read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny.tar", content)


def gzipped(path: Path) -> None:
    path.write_bytes(gzip.compress(path.read_bytes()))


def text(path: Path) -> None:
    path.write_text("no tar\n" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def cut_in_a_file(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:3000])


def cut_after_a_file(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\0") + b"\0" * 8)


def tampered(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content.replace(b"[UNK]", b"[unk]"))


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (zipped, "is a zip archive"),
        (gzipped, "is compressed (gzip)"),
        (text, "is not such a file, or is damaged"),
        (empty, "was cut"),
        (cut_in_a_file, "was cut"),
        (cut_after_a_file, "was cut"),
        (tampered, "was altered: tokenizer.json has the sha256"),
        (longer, "goes on after its end"),
    ],
)
def test_what_is_no_export_is_refused_with_what_it_is(
    spoil: Callable[[Path], None], found: str, packed: Path, models: Path
) -> None:
    spoil(packed)
    assert found in refused(packed, models)


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        (member("evil.txt"), f"holds 'evil.txt', which its {MANIFEST} does not name"),
        (member("../evil.txt"), f"holds '../evil.txt', which its {MANIFEST} does not name"),
        (member("/evil.txt"), f"holds '/evil.txt', which its {MANIFEST} does not name"),
        (member("tokenizer.json"), "holds tokenizer.json twice"),
        (member(MANIFEST), f"holds {MANIFEST} twice"),
        (member("model.onnx", kind=tarfile.SYMTYPE, target="/etc/passwd"), "which is a symbolic link"),
        (member("model.onnx", kind=tarfile.LNKTYPE, target="/etc/passwd"), "which is a hard link"),
        (member("model.onnx", kind=tarfile.DIRTYPE), "which is a folder"),
        (member("model.onnx", kind=tarfile.FIFOTYPE), "which is a pipe"),
        (member("model.onnx", kind=tarfile.CHRTYPE), "which is a device"),
        (member("model.onnx", kind=tarfile.GNUTYPE_SPARSE), "which is not a plain file"),
        (member("x" * 200), "which is not a plain file"),
    ],
    ids=lambda value: value[0].name[:20] + value[0].type.decode() if isinstance(value, tuple) else "",
)
def test_a_member_that_does_not_belong_is_refused(
    extra: tuple[tarfile.TarInfo, bytes], found: str, packed: Path, models: Path
) -> None:
    write(packed, [*members_of(packed), extra])
    assert found in refused(packed, models)


def test_a_file_that_is_missing_is_named(packed: Path, models: Path) -> None:
    write(packed, members_of(packed)[:1])
    assert "lacks tokenizer.json" in refused(packed, models)


def test_the_manifest_must_come_first(packed: Path, models: Path) -> None:
    write(packed, reversed(members_of(packed)))
    assert f"begins with 'tokenizer.json' and not with {MANIFEST}" in refused(packed, models)


def test_a_manifest_cannot_lead_out_of_the_folder(artefact: Artefact, packed: Path, models: Path) -> None:
    edit_manifest(artefact.folder, files={"../evil.json": "0" * 64, "tokenizer.json": "0" * 64})
    manifest = member(MANIFEST, (artefact.folder / MANIFEST).read_bytes())
    write(packed, [manifest, member("../evil.json")])
    assert "is not a plain file name" in refused(packed, models)


def test_a_manifest_without_end_is_not_read(packed: Path, models: Path) -> None:
    write(packed, [member(MANIFEST, b" " * (2 << 20))])
    assert "2,097,152 bytes" in refused(packed, models)

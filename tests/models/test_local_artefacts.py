from pathlib import Path

import pytest

from tests.tiny_models import edit_manifest, weightless_artefact
from zerostart.errors import InvalidArtefact, InvalidInput, UnknownModel
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID, LocalArtefacts

BUILT_IN = ["zerostart-embed-base", BUILTIN_MODEL_ID]


def test_the_built_in_model_is_there_without_a_models_folder(tmp_path: Path) -> None:
    artefacts = LocalArtefacts(tmp_path / "absent")
    assert artefacts.find(BUILTIN_MODEL_ID).model_id == BUILTIN_MODEL_ID
    assert [each.model_id for each in artefacts.list()] == BUILT_IN


def test_a_model_of_an_owner_is_found_and_listed(tmp_path: Path) -> None:
    weightless_artefact(tmp_path / "acme--tiny", "acme/tiny")
    artefacts = LocalArtefacts(tmp_path)
    assert artefacts.find("acme/tiny").folder == tmp_path / "acme--tiny"
    assert [each.model_id for each in artefacts.list()] == ["acme/tiny", *BUILT_IN]


def test_the_models_folder_comes_before_the_built_in_models(tmp_path: Path) -> None:
    weightless_artefact(tmp_path / BUILTIN_MODEL_ID, BUILTIN_MODEL_ID, revision="my own")
    assert LocalArtefacts(tmp_path).find(BUILTIN_MODEL_ID).manifest.revision == "my own"
    assert [each.manifest.revision for each in LocalArtefacts(tmp_path).list()] == ["1", "my own"]


def test_an_unknown_model_says_what_is_here_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel) as caught:
        LocalArtefacts(tmp_path).find("facebook/bart-large-mnli")
    assert "'facebook/bart-large-mnli'" in caught.value.message
    assert BUILTIN_MODEL_ID in caught.value.message
    assert "zerostart models add facebook/bart-large-mnli PATH" in caught.value.message


@pytest.mark.parametrize("model_id", ["", "../x", "a/b/c", "/etc", "a\\b", ".hidden", "a b", "a/..", "é", "a\n"])
def test_an_id_that_could_leave_the_folder_is_refused(tmp_path: Path, model_id: str) -> None:
    with pytest.raises(InvalidInput, match="NAME or OWNER/NAME"):
        LocalArtefacts(tmp_path).find(model_id)


def test_two_ids_never_share_a_folder(tmp_path: Path) -> None:
    weightless_artefact(tmp_path / "acme--tiny", "acme/tiny")
    with pytest.raises(InvalidArtefact, match="holds 'acme/tiny', not 'acme--tiny'"):
        LocalArtefacts(tmp_path).find("acme--tiny")


def test_a_broken_artefact_is_left_out_of_the_list_and_refused_by_name(tmp_path: Path) -> None:
    edit_manifest(weightless_artefact(tmp_path / "tiny").folder, classes=["positive", "negative"])
    assert [each.model_id for each in LocalArtefacts(tmp_path).list()] == BUILT_IN
    with pytest.raises(InvalidArtefact, match="'positive', 'negative'"):
        LocalArtefacts(tmp_path).find("tiny")


def test_a_removed_model_is_gone_with_its_compiled_form(tmp_path: Path) -> None:
    models, cache = tmp_path / "models", tmp_path / "cache"
    weightless_artefact(models / "acme--tiny", "acme/tiny")
    (cache / "acme--tiny").mkdir(parents=True)
    (cache / "acme--tiny" / "compiled.blob").write_bytes(b"x" * 1000)
    artefacts = LocalArtefacts(models)
    going = artefacts.removable("acme/tiny", cache)
    assert going.size_bytes == 1000 + sum(path.stat().st_size for path in going.folder.iterdir())
    artefacts.remove(going)
    assert list(models.iterdir()) == list(cache.iterdir()) == []
    with pytest.raises(UnknownModel, match="models list --local"):
        artefacts.removable("acme/tiny", cache)


def test_a_model_is_removed_by_any_of_its_names(tmp_path: Path) -> None:
    weightless_artefact(tmp_path / "facebook--bart-large-mnli", "facebook/bart-large-mnli")
    going = LocalArtefacts(tmp_path).removable("huggingface-zstc-facebook-bart-large-mnli", tmp_path)
    assert going.model_id == "facebook/bart-large-mnli"


def test_a_broken_model_can_be_removed_and_a_built_in_one_cannot(tmp_path: Path) -> None:
    edit_manifest(weightless_artefact(tmp_path / "tiny").folder, classes=["positive", "negative"])
    artefacts = LocalArtefacts(tmp_path)
    artefacts.remove(artefacts.removable("tiny", tmp_path / "cache"))
    with pytest.raises(InvalidInput, match="is built in"):
        artefacts.removable(BUILTIN_MODEL_ID, tmp_path / "cache")

"""Finding a model: by words, by filters, and by any of its names."""

from pathlib import Path

import pytest

from tests.tiny_models import weightless_artefact
from zerostart.errors import InvalidInput, UnknownModel
from zerostart.models.local_artefacts import BUILTIN_MODEL_ID, LocalArtefacts
from zerostart.nli.hybrid import Blend
from zerostart.services.hub import Hub, HubFilter


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    weightless_artefact(
        tmp_path / "acme--tickets", "acme/tickets", description="Tells tickets apart.", languages=("en",)
    )
    weightless_artefact(tmp_path / "facebook--bart-large-mnli", "facebook/bart-large-mnli")
    return Hub(LocalArtefacts(tmp_path))


def found(hub: Hub, query: str, chosen: HubFilter | None = None) -> list[str]:
    return [model.entry.id for model in hub.search(query, chosen)]


def test_words_find_models_by_task_language_and_size(hub: Hub) -> None:
    assert found(hub, "zstc spanish small")[0] == "Recognai/zeroshot_selectra_small"
    assert {each.split("/")[0] for each in found(hub, "turkish convbert")} == {"emrecan"}
    assert found(hub, "huggingface-zstc-facebook-bart-large-mnli")[0] == "facebook/bart-large-mnli"
    assert "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli" in found(hub, "swahili")


def test_words_are_found_while_they_are_typed_and_in_any_case(hub: Hub) -> None:
    assert "cross-encoder/nli-deberta-v3-small" in found(hub, "DeBER v3 sma")


def test_where_no_model_has_all_words_those_with_some_are_found(hub: Hub) -> None:
    assert found(hub, "facebook pelmeni")[0] == "facebook/bart-large-mnli"
    assert found(hub, "pelmeni") == []


@pytest.mark.parametrize("query", ['"', "AND", "a OR", "NEAR(", "*", "-", "id:x", "'; DROP TABLE hub", "\0"])
def test_no_query_is_an_error(hub: Hub, query: str) -> None:
    hub.search(query)


def test_filters(hub: Hub) -> None:
    def kept(**chosen: object) -> list[str]:
        return found(hub, "", HubFilter(**chosen))  # type: ignore[arg-type]

    assert kept(language="el") == kept(language="Greek") != []
    assert "lighteternal/nli-xlm-r-greek" in kept(language="el")
    assert all("-c" in each or "MoritzLaurer" not in each for each in kept(commercial=True, language="en", kind="nli"))
    assert "sentence-transformers/all-MiniLM-L6-v2" in kept(kind="embedding")
    assert "valhalla/distilbart-mnli-12-1" in kept(licence="unknown")
    assert "facebook/bart-large-mnli" not in kept(max_parameters_millions=100)
    assert {BUILTIN_MODEL_ID, "acme/tickets", "facebook/bart-large-mnli"} <= set(kept(local=True))
    assert "joeddav/xlm-roberta-large-xnli" not in kept(local=True)
    with pytest.raises(InvalidInput, match="language 'klingon'"):
        HubFilter(language="klingon")
    with pytest.raises(InvalidInput, match="use nli or embedding"):
        HubFilter(kind="llm")


def test_models_of_this_machine_come_first_and_ones_own_are_among_them(hub: Hub) -> None:
    models = hub.models()
    here = [model.artefact is not None for model in models]
    assert here == sorted(here, reverse=True)
    assert found(hub, "tickets apart") == ["acme/tickets"]


def test_a_model_has_a_choice_of_scorers_where_it_has_weights_for_both(hub: Hub, tmp_path: Path) -> None:
    weights = {"nli": 0.5, "embedding": 0.5, "multi_nli": 0.5, "multi_embedding": 0.5, "multi_bias": 0.0}
    blend = Blend("zerostart-embed-base", **weights)
    models = tmp_path / "blended"
    weightless_artefact(models / "blended", "blended", blend=blend)
    assert tuple(Hub(LocalArtefacts(models)).scorers("blended")) == ("nli", "hybrid")
    assert tuple(hub.scorers(BUILTIN_MODEL_ID)) == ("nli", "hybrid")
    assert hub.scorers("facebook/bart-large-mnli") == ()


def test_a_card_for_each_model(hub: Hub) -> None:
    assert "Banking77" in hub.card(hub.model(BUILTIN_MODEL_ID)), "its own card, with what it was measured on"
    card = hub.card(hub.model("huggingface-zstc-recognai-zeroshot-selectra-small"))
    assert "Este ejemplo es {}." in card
    assert "Spanish" in card
    with pytest.raises(UnknownModel, match="neither in the catalogue nor on this machine"):
        hub.model("nobody/nothing")

"""The catalogue is data that people edit: every fact is of the right form, and unknown ones are said to be."""

import re

import pytest

from zerostart.models.artefact import KINDS, MODEL_ID_PATTERN
from zerostart.models.catalogue import CatalogueEntry, catalogue, entry_of, jumpstart_models, language_names, names_of
from zerostart.nli.template import HypothesisTemplate

ENTRIES = {entry.id: entry for entry in catalogue()}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_says_what_it_must_in_the_right_form(entry: CatalogueEntry) -> None:
    assert re.fullmatch(MODEL_ID_PATTERN, entry.id)
    assert entry.kind in KINDS
    assert entry.commercial in {"yes", "no", "unclear"}
    assert entry.name
    assert entry.licence
    assert 10 < len(entry.description) <= 140
    assert entry.description.endswith(".")
    assert entry.languages
    assert set(entry.languages) <= {*language_names(), "unknown"}
    assert entry.max_tokens is None or 16 <= entry.max_tokens <= 65_536
    assert entry.parameters_millions is None or 1 <= entry.parameters_millions < 100_000
    assert HypothesisTemplate(entry.hypothesis_template).fill("x")
    assert entry.hugging_face_id is None or entry.card == f"https://huggingface.co/{entry.id}"
    assert entry.paper is None or entry.paper.startswith("https://")
    assert all(tag == tag.lower() for tag in entry.tags)
    for figure in entry.accuracy:
        assert 0 < figure.value < 1
        assert figure.source.startswith("https://")


def test_figures_of_the_built_in_models_stand_in_their_cards_alone() -> None:
    for entry in catalogue():
        assert entry.hugging_face_id is not None or not entry.accuracy, entry.id


def test_no_licence_is_called_commercial_that_is_not_known() -> None:
    for entry in catalogue():
        assert entry.licence != "unknown" or entry.commercial == "unclear"


def test_every_name_names_one_model() -> None:
    names = [name for entry in catalogue() for name in {entry.id, *(each.id for each in entry.jumpstart)}]
    assert len(names) == len(set(names))
    for name, entry in jumpstart_models():
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,95}", name.id)
        assert entry_of(name.id) == entry
        assert set(names_of(name.id)) == set(names_of(entry.id))


def test_the_families_that_people_ask_for_are_there() -> None:
    for known in (
        "facebook/bart-large-mnli",
        "MoritzLaurer/deberta-v3-large-zeroshot-v2.0-c",
        "cross-encoder/nli-deberta-v3-xsmall",
        "tasksource/ModernBERT-base-nli",
        "sentence-transformers/all-MiniLM-L6-v2",
    ):
        assert known in ENTRIES

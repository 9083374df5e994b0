"""Models as lists show them, and those that the landing page shows."""

from collections.abc import Sequence

from zerostart.server.web.contexts import ModelCard
from zerostart.server.web.formats import languages_shown, parameters_shown
from zerostart.services.hub import HubModel

_KIND_NAMES = {"nli": "Zero-shot text classification", "embedding": "Text embedding"}
# Shown on the landing page behind those of this machine: one for each thing that people look for first.
FEATURED = (
    "facebook/bart-large-mnli",
    "MoritzLaurer/deberta-v3-base-zeroshot-v2.0-c",
    "MoritzLaurer/mDeBERTa-v3-base-mnli-xnli",
    "cross-encoder/nli-deberta-v3-xsmall",
    "Recognai/zeroshot_selectra_small",
    "emrecan/convbert-base-turkish-mc4-cased-allnli_tr",
    "MoritzLaurer/deberta-v3-large-zeroshot-v2.0",
    "MoritzLaurer/bge-m3-zeroshot-v2.0",
)
_MOST_FEATURED = 9


def featured(models: Sequence[HubModel]) -> Sequence[ModelCard]:
    """The models for the landing page: those that can be deployed at once, then some of the catalogue."""
    here = [model for model in models if model.artefact is not None and model.entry.kind == "nli"]
    by_id = {model.entry.id: model for model in models}
    chosen = [*here[:3], *(by_id[each] for each in FEATURED if by_id[each] not in here[:3])]
    return [model_card(model) for model in chosen[:_MOST_FEATURED]]


def model_card(model: HubModel) -> ModelCard:
    """A model as lists show it."""
    entry = model.entry
    return ModelCard(
        id=entry.id,
        name=entry.name,
        description=entry.description,
        languages=languages_shown(entry.languages),
        size=parameters_shown(entry.parameters_millions),
        licence=entry.licence,
        commercial=entry.commercial == "yes",
        kind=_KIND_NAMES[entry.kind],
        is_here=model.artefact is not None,
    )

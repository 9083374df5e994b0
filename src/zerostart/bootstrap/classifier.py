"""A classifier, put together from settings. It imports no server, so that a one-off classification starts quickly."""

from collections.abc import Callable

from zerostart.engines.base import Engine, EngineOptions
from zerostart.engines.registry import load_engine
from zerostart.metrics import CountedBatch
from zerostart.models.artefact import TOKENIZER, Artefact, verify
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.serving.batcher import PLAIN_PAIR, Batcher, BatchLimits
from zerostart.serving.bulk import BulkClassifier
from zerostart.serving.classifier import Classifier
from zerostart.serving.tokenizer import PairTokenizer
from zerostart.settings import Settings


def build_classifier(
    settings: Settings, model_id: str, on_batch: Callable[[CountedBatch], None] | None = None
) -> Classifier:
    """Load a model of this machine, after comparing its files with their checksums.

    Raises UnknownModel, InvalidArtefact, MissingExtra or InvalidSettings.
    """
    artefact, tokenizer, engine = _load(settings, model_id)
    batcher = Batcher(
        engine,
        tokenizer.batch,
        special_tokens=tokenizer.template.special_tokens,
        limits=BatchLimits(settings.max_batch_tokens, settings.max_queued_pairs),
        on_batch=on_batch,
    )
    return Classifier(artefact, tokenizer, batcher)


def build_bulk_classifier(settings: Settings, model_id: str) -> BulkClassifier:
    """The same for a job. Raises the same."""
    return BulkClassifier(*_load(settings, model_id, frugal=True), settings.max_batch_tokens)


def _load(settings: Settings, model_id: str, *, frugal: bool = False) -> tuple[Artefact, PairTokenizer, Engine]:
    artefact = LocalArtefacts(settings.models_folder).find(model_id)
    verify(artefact)
    manifest = artefact.manifest
    tokenizer = PairTokenizer(artefact.folder / TOKENIZER, manifest.max_tokens, manifest.pad_token_id)
    options = EngineOptions(settings.threads, settings.precision, settings.cache_folder / artefact.folder.name, frugal)
    engine = load_engine(settings.engine, artefact.folder, len(manifest.classes), options)
    engine.logits(tokenizer.batch([PLAIN_PAIR]))  # a model that cannot compute fails here, and not at its first request
    return artefact, tokenizer, engine

"""A classifier, put together from settings. It imports no server, so that a one-off classification starts quickly."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from zerostart.engines.base import Engine, EngineOptions
from zerostart.engines.registry import load_engine
from zerostart.errors import InvalidSettings
from zerostart.metrics import CountedBatch
from zerostart.models.artefact import TOKENIZER, Artefact, verify
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.models.tuning import read_tuning
from zerostart.nli.profile import Profile
from zerostart.serving.batcher import PLAIN_PAIR, Batcher, BatchLimits
from zerostart.serving.bulk import BulkClassifier
from zerostart.serving.classifier import Classifier
from zerostart.serving.embedding import EmbeddingScorer
from zerostart.serving.encoding import NLIScorer, Scorer
from zerostart.serving.tokenizer import PairTokenizer
from zerostart.settings import Settings

logger = logging.getLogger(__name__)
C = TypeVar("C")
_DEFAULT_ENGINE = "openvino"


def build_classifier(
    settings: Settings,
    model_id: str,
    on_batch: Callable[[CountedBatch], None] | None = None,
    profile: Profile | None = None,
) -> Classifier:
    """Load a model of this machine, after comparing its files with their checksums.

    Raises UnknownModel, InvalidArtefact, MissingExtra or InvalidSettings, InvalidInput for another model's profile.
    """
    artefact = LocalArtefacts(settings.models_folder).find(model_id)
    ranker = _ranker(settings, artefact, build_classifier)
    if ranker is not None and artefact.manifest.blend is not None:
        ranker = _begun(ranker)  # nearly every request needs it
    scorer, engine = _load(settings, artefact, profile)
    batcher = Batcher(
        engine,
        scorer.tokenizer.batch,
        special_tokens=scorer.tokenizer.template.special_tokens,
        limits=BatchLimits(settings.max_batch_tokens, settings.max_queued_pairs),
        on_batch=on_batch,
    )
    classifier = Classifier(artefact, scorer, batcher, ranker, profile)
    if artefact.manifest.blend is not None:
        classifier.loaded_ranker()
    return classifier


def build_bulk_classifier(settings: Settings, model_id: str, profile: Profile | None = None) -> BulkClassifier:
    """The same for a job. Raises the same."""
    artefact = LocalArtefacts(settings.models_folder).find(model_id)
    scorer, engine = _load(settings, artefact, profile, frugal=True)
    ranker = _ranker(settings, artefact, build_bulk_classifier)
    return BulkClassifier(artefact, scorer, engine, settings.max_batch_tokens, ranker, profile)


def _ranker(settings: Settings, artefact: Artefact, build: Callable[[Settings, str], C]) -> Callable[[], C] | None:
    """How the embedding model is loaded that ranks labels for this one, which may rank them itself."""
    if artefact.head is None:
        return None

    def load() -> C:
        model_id = ranking_model(settings, artefact)
        if LocalArtefacts(settings.models_folder).find(model_id).head is not None:
            raise InvalidSettings(f"{model_id!r} is to rank labels, and is not an embedding model: name one that is.")
        return build(settings, model_id)

    return load


def ranking_model(settings: Settings, artefact: Artefact) -> str:
    """The id of the embedding model that ranks labels for an NLI model."""
    blend = artefact.manifest.blend
    return blend.embedding_model if blend is not None else settings.shortlist_model


def _begun(load: Callable[[], C]) -> Callable[[], C]:
    """The same, that loads from now on in a thread of its own: two models take the time of one."""
    pool = ThreadPoolExecutor(1, "load")
    loaded = pool.submit(load)
    pool.shutdown(wait=False)
    return loaded.result


def _load(
    settings: Settings, artefact: Artefact, profile: Profile | None, *, frugal: bool = False
) -> tuple[Scorer, Engine]:
    verify(artefact)
    if profile is not None:
        _check_profile(profile, artefact)
    scorer = build_scorer(artefact)
    name, precision = _engine(settings, artefact)
    options = EngineOptions(
        settings.threads,
        precision,
        cache_folder=settings.cache_folder / artefact.folder.name,
        weights=artefact.weights,
        extends=artefact.extended_graph,
        frugal=frugal,
    )
    engine = load_engine(name, artefact.folder, scorer.columns, options)
    # A model that cannot compute fails here, and not at its first request.
    engine.logits(scorer.tokenizer.batch([PLAIN_PAIR]))
    return scorer, engine


def _check_profile(profile: Profile, artefact: Artefact) -> None:
    """Another model's is refused; another revision's is used, since an endpoint has to outlive an upgrade."""
    profile.check_model(artefact.model_id)
    if profile.model_revision not in {None, artefact.manifest.revision}:
        logger.warning(
            "the profile was tuned with revision %s of %s, and this is %s: evaluate again",
            *(profile.model_revision, artefact.model_id, artefact.manifest.revision),
        )


def _engine(settings: Settings, artefact: Artefact) -> tuple[str, str]:
    """Engine and precision; what is left to Zerostart is what was measured to be fastest here, where it was."""
    engine, precision = settings.engine, settings.precision
    if "auto" not in (engine, precision):
        return engine, precision
    tuning = read_tuning(settings.tuning_folder, artefact)
    best = tuning.best(engine, precision) if tuning is not None else None
    return (
        (best.engine, best.precision)
        if best is not None
        else (_DEFAULT_ENGINE if engine == "auto" else engine, precision)
    )


def build_scorer(artefact: Artefact) -> Scorer:
    """What the artefact's kind of model makes of a request. Raises InvalidArtefact."""
    manifest = artefact.manifest
    path = artefact.folder / TOKENIZER
    tokenizer = PairTokenizer(path, manifest.max_tokens, manifest.pad_token_id, pairs=artefact.head is not None)
    if artefact.head is None:
        return EmbeddingScorer(tokenizer, manifest.dimension)
    return NLIScorer(tokenizer, artefact.head)

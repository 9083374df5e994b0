"""A transform worker's object graph, put together from settings."""

from functools import partial

from zerostart.bootstrap.classifier import build_bulk_classifier
from zerostart.bootstrap.stores import build_store
from zerostart.metadata.database import Database
from zerostart.metadata.transform_job import TransformOptions
from zerostart.nli.profile import parse_profile
from zerostart.serving.bulk import BulkClassifier
from zerostart.settings import Settings
from zerostart.transform.estimate import TransformEstimate, estimate
from zerostart.transform.runner import Runner


def build_runner(settings: Settings, worker: str) -> tuple[Runner, Database]:
    """A runner, and the database that is to be closed after it."""
    database = Database(settings.sqlalchemy_url)
    return Runner(database, build_store(settings, database), partial(_load, settings), worker), database


def estimate_job(settings: Settings, model_id: str, options: TransformOptions) -> TransformEstimate:
    """What a job is expected to take. Raises ZerostartError."""
    database = Database(settings.sqlalchemy_url)
    try:
        classifier = _load(settings, model_id, options)
        try:
            return estimate(build_store(settings, database), options, classifier)
        finally:
            classifier.close()
    finally:
        database.close()


def _load(settings: Settings, model_id: str, options: TransformOptions) -> BulkClassifier:
    settings = settings.with_values(threads=options.threads, precision=options.precision)
    profile = parse_profile(options.profile) if options.profile else None
    return build_bulk_classifier(settings, model_id, profile)

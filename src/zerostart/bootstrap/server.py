"""The server's object graph, put together from settings."""

import fcntl
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from zerostart.bootstrap.hosting import Hosting, build_hosting, worker_environment
from zerostart.bootstrap.stores import build_store
from zerostart.errors import InvalidSettings
from zerostart.hosting.autoscaler import Autoscaler
from zerostart.hosting.reconciler import Pace, Reconciler
from zerostart.hosting.router import Router
from zerostart.hosting.sleep import Sleep
from zerostart.metadata.database import Database
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.services.activity import ActivityService
from zerostart.services.arn import Arns
from zerostart.services.async_invocation import AsyncInvocationService
from zerostart.services.autoscaling import AutoscalingService
from zerostart.services.batch import BatchService
from zerostart.services.clean_up import CleanUpService
from zerostart.services.decision import DecisionService
from zerostart.services.deployment import DeploymentService
from zerostart.services.endpoint import EndpointService
from zerostart.services.endpoint_config import EndpointConfigService
from zerostart.services.evaluations import Evaluations
from zerostart.services.hub import Hub
from zerostart.services.inventory import Inventory, Places
from zerostart.services.invocation import InvocationService
from zerostart.services.job_results import JobResults
from zerostart.services.jumpstart import JumpStartBucket
from zerostart.services.ledger import Ledger
from zerostart.services.logs import LogService
from zerostart.services.model import ModelService
from zerostart.services.model_fetch import ModelFetchService
from zerostart.services.proof import ProofService
from zerostart.services.redeployment import RedeploymentService
from zerostart.services.solution import SolutionService
from zerostart.services.solution_launch import SolutionLauncher
from zerostart.services.solution_report import SolutionReports
from zerostart.services.solution_steps import SolutionSteps
from zerostart.services.solutions_bucket import SolutionsBucket
from zerostart.services.tag import TagService
from zerostart.services.transform_job import TransformJobService
from zerostart.settings import Settings, setting_sources
from zerostart.storage.base import ObjectStore
from zerostart.storage.generated import GeneratedObjects
from zerostart.storage.local import LocalStore
from zerostart.transform.estimator import Estimator
from zerostart.transform.supervisor import Supervisor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ServerParts:
    """What the faces of the server stand on."""

    settings: Settings
    database: Database
    router: Router
    reconciler: Reconciler
    hosting: Hosting
    models: ModelService
    endpoint_configs: EndpointConfigService
    endpoints: EndpointService
    autoscaling: AutoscalingService
    autoscaler: Autoscaler
    tags: TagService
    hub: Hub
    fetches: ModelFetchService
    deployments: DeploymentService
    redeployments: RedeploymentService
    invocations: InvocationService
    decisions: DecisionService
    async_invocations: AsyncInvocationService
    transform_jobs: TransformJobService
    batches: BatchService
    evaluations: Evaluations
    job_results: JobResults
    supervisor: Supervisor
    activity: ActivityService
    ledger: Ledger
    inventory: Inventory
    clean_up: CleanUpService
    solutions: SolutionService
    launcher: SolutionLauncher
    proof: ProofService
    logs: LogService
    arns: Arns
    store: ObjectStore
    generated: tuple[GeneratedObjects, ...]
    lock: IO[str]
    setting_sources: Mapping[str, str]


def build_server_parts(settings: Settings) -> ServerParts:
    """Everything behind the faces, with the database brought to its newest schema. One server at a time has a home."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(settings)
    database = Database(settings.sqlalchemy_url)
    database.hold()
    database.migrate()
    arns = Arns(settings.region)
    store = _store(settings, database)
    router = Router()
    hosting = build_hosting(settings, store)
    pace = Pace(
        start_timeout_s=settings.start_timeout_s,
        drain_grace_s=settings.drain_grace_s,
    )
    sleep = Sleep(
        database, router, idle_timeout_s=settings.idle_timeout_s, serverless_idle_s=settings.serverless_idle_s
    )
    reconciler = Reconciler(database, hosting.instances, router, sleep, pace)
    invocations = InvocationService(router, reconciler, settings.invocation_timeout_s)
    max_instances = settings.max_instances or hosting.most_instances
    autoscaler = Autoscaler(database, router, sleep, max_instances, reconciler.wake)
    job_logs = settings.home / "logs" / "jobs"
    most_workers = settings.max_transform_workers or hosting.most_workers
    supervisor = Supervisor(database, store, hosting.workers, job_logs / "TransformJobs", most_workers)
    transform_jobs = TransformJobService(
        database,
        store,
        arns,
        supervisor.wake,
        threads=hosting.workers.threads,
        most_workers=most_workers,
        precision=settings.precision,
        errors=settings.transform_errors,
        estimate=Estimator(hosting.here).estimate,
        isolated=hosting.workers_isolated,
    )
    artefacts = LocalArtefacts(settings.models_folder)
    models = ModelService(database, artefacts, store, arns, hosting.instances.not_isolated)
    endpoint_configs = EndpointConfigService(database, arns)
    endpoints = EndpointService(database, router, arns, reconciler.wake, max_instances)
    tags = TagService(database)
    deployments = DeploymentService(models, endpoint_configs, endpoints, tags, arns)
    activity = ActivityService(database, router, sleep, reconciler.wake)
    places = Places(
        endpoint_logs=settings.home / "logs" / "endpoints",
        job_logs=job_logs / "TransformJobs",
        buckets=settings.home / "buckets" if settings.storage == "local" else None,
        cache=settings.cache_folder,
    )
    evaluations = Evaluations(
        store, worker_environment(settings, isolated=True), isolated=hosting.instances.not_isolated is None
    )
    job_results = JobResults(database, store)
    reports = SolutionReports(store, transform_jobs, job_results)
    steps = SolutionSteps(store, models, endpoint_configs, endpoints, transform_jobs, invocations, reports)
    launcher = SolutionLauncher(steps.take)
    clean_up = CleanUpService(
        database,
        store,
        artefacts,
        places,
        models,
        endpoint_configs,
        endpoints,
        transform_jobs,
        evaluations,
        supervisor.running,
        launcher.interrupt,
    )
    solutions = SolutionService(database, store, artefacts, arns, launcher, steps, reports, clean_up)
    return ServerParts(
        settings=settings,
        database=database,
        router=router,
        reconciler=reconciler,
        hosting=hosting,
        models=models,
        endpoint_configs=endpoint_configs,
        endpoints=endpoints,
        autoscaling=AutoscalingService(database, autoscaler.wake, max_instances),
        autoscaler=autoscaler,
        tags=tags,
        hub=Hub(artefacts),
        fetches=ModelFetchService(worker_environment(settings, isolated=False), settings.home / "logs" / "fetches"),
        deployments=deployments,
        redeployments=RedeploymentService(deployments, models, endpoint_configs, endpoints),
        invocations=invocations,
        decisions=DecisionService(invocations, router, database, arns, settings.max_queued_pairs),
        async_invocations=AsyncInvocationService(database, store, invocations, router, settings.max_body_bytes),
        transform_jobs=transform_jobs,
        batches=BatchService(models, transform_jobs, store),
        evaluations=evaluations,
        job_results=job_results,
        supervisor=supervisor,
        activity=activity,
        ledger=Ledger(database, reconciler.instances, supervisor.running),
        inventory=Inventory(database, activity, artefacts, evaluations, places),
        clean_up=clean_up,
        solutions=solutions,
        launcher=launcher,
        proof=ProofService(database, store, places, hosting.sockets, reconciler.instances, supervisor.running),
        logs=LogService(
            {"/aws/sagemaker/Endpoints/": settings.home / "logs" / "endpoints", "/aws/sagemaker/": job_logs}
        ),
        arns=arns,
        store=store,
        generated=(GeneratedObjects(JumpStartBucket()), GeneratedObjects(SolutionsBucket(solutions.published_data))),
        lock=lock,
        setting_sources=setting_sources(settings),
    )


def _store(settings: Settings, database: Database) -> ObjectStore:
    """The store, without what a killed server left half-written. Before any worker is started."""
    store = build_store(settings, database)
    if isinstance(store, LocalStore) and (left := store.remove_left_overs()):
        logger.info("removed %d files of objects that were not written to their end", left)
    return store


def _lock(settings: Settings) -> IO[str]:
    """Hold the home folder until this process ends, however it ends."""
    file = (settings.home / "server.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        raise InvalidSettings(
            f"Another server (process {file.read().strip() or 'unknown'}) runs on {settings.home}: "
            "stop it, or set ZEROSTART_HOME to another folder."
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file

"""Where instances and workers run, by the settings: on this machine, or on a Ray cluster."""

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

from zerostart.bootstrap.classifier import ranking_model
from zerostart.bootstrap.stores import shared_store
from zerostart.errors import InvalidSettings, UnknownModel
from zerostart.hosting.isolation import reason_not_to_isolate
from zerostart.hosting.launcher import Launcher
from zerostart.hosting.local import LocalLauncher
from zerostart.hosting.node import VERSION, NodeProgram
from zerostart.hosting.ray_cluster import RayCluster
from zerostart.hosting.ray_launcher import RayLauncher
from zerostart.hosting.ray_workers import RayWorkers
from zerostart.hosting.shipping import ship
from zerostart.models.artefact import BUILTIN_FOLDER, Artefact
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.settings import PREFIX, Settings, instance_environment
from zerostart.storage.base import ObjectStore
from zerostart.transform.worker_process import LocalWorkers, WorkerLauncher

logger = logging.getLogger(__name__)
# Ray reserves what each needs, and one for which there is no room waits for it.
_MOST_OF_A_CLUSTER = 1000


@dataclass(frozen=True)
class Hosting:
    """What starts instances and workers, and how many of them at most where the settings do not say.

    `here` starts workers on this machine. `workers_isolated`: those of jobs are cut off from the network. `sockets` is
    the folder of the instances' sockets on this machine.
    """

    instances: Launcher
    workers: WorkerLauncher
    here: LocalWorkers
    most_instances: int
    most_workers: int
    workers_isolated: bool
    sockets: Path
    cluster: RayCluster | None = None

    def close(self) -> None:
        """Leave the cluster, if there is one."""
        if self.cluster is not None:
            self.cluster.close()


def build_hosting(settings: Settings, store: ObjectStore) -> Hosting:
    """The launcher that the settings name. Raises InvalidSettings, MissingExtra."""
    not_isolated = _not_isolated(settings)
    cores = settings.threads or os.cpu_count() or 1
    logs, run = settings.home / "logs" / "endpoints", settings.home / "run"
    if settings.launcher == "ray":
        cluster = RayCluster(settings.ray_address)
        program = _node_program(settings, cluster, store)
        instances = RayLauncher(cluster, logs, program, not_isolated)
        here = LocalWorkers(worker_environment(settings, isolated=False), cores, isolated=False)
        most = (_many(cores), cores) if cluster.is_own else (_MOST_OF_A_CLUSTER, _MOST_OF_A_CLUSTER)
        return Hosting(instances, RayWorkers(cluster, program), here, *most, False, run, cluster)
    # A worker uses the database and the buckets itself: without a network these have to be files.
    alone = not_isolated is None and settings.storage == "local" and not settings.database_url
    here = LocalWorkers(worker_environment(settings, isolated=alone), cores, isolated=alone)
    local = LocalLauncher(run, logs, instance_environment(settings), not_isolated, cores)
    return Hosting(local, here, here, _many(cores), cores, alone, local.folder)


def _many(cores: int) -> int:
    return max(4, 2 * cores)


def worker_environment(settings: Settings, *, isolated: bool) -> dict[str, str]:
    """What workers inherit: what instances do, and every setting; if they need a network all but what joins Ray."""
    everything = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    return {**(instance_environment(settings) if isolated else everything), **_own_variables(settings)}


def _own_variables(settings: Settings) -> dict[str, str]:
    return {f"{PREFIX}{each.name.upper()}": str(getattr(settings, each.name)) for each in fields(settings)}


def _node_program(settings: Settings, cluster: RayCluster, store: ObjectStore) -> Callable[[str], NodeProgram]:
    """What a node is told to run a program for a model; the model is shipped first, where nodes do not have it."""
    variables: Mapping[str, str] = _own_variables(settings)
    artefacts = LocalArtefacts(settings.models_folder)

    def program(model_id: str) -> NodeProgram:
        if cluster.is_own:
            return NodeProgram(VERSION, variables, home=settings.home)
        needed = [artefact for artefact in _with_ranker(artefacts, settings, model_id) if not _is_built_in(artefact)]
        shipped = tuple(ship(artefact, store, settings.artefact_bucket) for artefact in needed)
        return NodeProgram(VERSION, variables, shipped, partial(shared_store, variables))

    return program


def _with_ranker(artefacts: LocalArtefacts, settings: Settings, model_id: str) -> list[Artefact]:
    artefact = artefacts.find(model_id)
    try:
        return [artefact, artefacts.find(ranking_model(settings, artefact))]
    except UnknownModel:
        return [artefact]


def _is_built_in(artefact: Artefact) -> bool:
    return artefact.folder.parent == BUILTIN_FOLDER


def _not_isolated(settings: Settings) -> str | None:
    """Why instances shall run without isolation; None if they are isolated. Raises InvalidSettings."""
    if settings.isolation == "off":
        return "the setting isolation is off"
    if settings.launcher == "ray" and settings.ray_address:
        return None  # each node looks itself, and refuses if it has to
    reason = reason_not_to_isolate(settings.home)
    if reason and settings.isolation == "required":
        raise InvalidSettings(f"Instances cannot be isolated, as the setting isolation requires: {reason}.")
    if reason:
        logger.warning("instances run without isolation: %s", reason)
    return reason

"""The reconciler: makes the running instances match the endpoints' rows, and the rows' status follow the instances."""

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from zerostart.errors import LaunchFailed
from zerostart.hosting.launcher import Instance, InstanceSpec, Launcher
from zerostart.hosting.router import RoutedVariant, Router
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import (
    DeployedVariant,
    Endpoint,
    EndpointStatus,
    all_endpoints,
    change_endpoint_status,
    delete_endpoint,
)

logger = logging.getLogger(__name__)
_COMING = (EndpointStatus.CREATING, EndpointStatus.SYSTEM_UPDATING)
_MAX_FAILED_STARTS = 3
_MAX_FAILED_PINGS = 3


@dataclass(frozen=True)
class Pace:
    """How often things are looked at, and how long they may take; in seconds."""

    busy_tick_s: float = 0.05
    idle_tick_s: float = 0.25
    ping_interval_s: float = 1.0
    ping_timeout_s: float = 5.0
    start_timeout_s: float = 120.0
    drain_grace_s: float = 30.0
    longest_backoff_s: float = 30.0


@dataclass(eq=False)
class _Watched:
    """An instance under watch."""

    instance: Instance
    launched_s: float
    ready: bool = False
    failed_pings: int = 0
    pinged_s: float = 0.0
    ping: "Future[bool | None] | None" = None


@dataclass(eq=False)
class _Group:
    """The instances of one variant, and its record of starts that failed in a row."""

    running: list[_Watched] = field(default_factory=list)
    failed_starts: int = 0
    next_launch_s: float = 0.0
    last_words: str = ""


@dataclass(eq=False)
class _Leaving:
    """An instance that was told to stop, and when it will be killed."""

    instance: Instance
    endpoint: str
    deadline_s: float


class Reconciler:
    """One thread that compares rows with instances, several times a second and whenever it is woken."""

    def __init__(self, database: Database, launcher: Launcher, router: Router, *, cores: int, pace: Pace) -> None:
        self._database = database
        self._launcher = launcher
        self._router = router
        self._cores = cores
        self._pace = pace
        self._groups: dict[tuple[str, str], _Group] = {}
        self._leaving: list[_Leaving] = []
        self._pings = ThreadPoolExecutor(max_workers=16, thread_name_prefix="ping")
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Take over what an earlier server left: endpoints that were up come back as SystemUpdating, then InService."""
        with self._database.transaction() as connection:
            for endpoint in all_endpoints(connection):
                change_endpoint_status(
                    connection,
                    endpoint.name,
                    old=[EndpointStatus.IN_SERVICE],
                    new=EndpointStatus.SYSTEM_UPDATING,
                    at=datetime.now(UTC),
                )
        self._thread.start()

    def wake(self) -> None:
        """Look now: a row changed, or an instance was lost."""
        self._wake.set()

    def stop(self) -> None:
        """Stop every instance, waiting for requests in flight, and end the thread. The rows stay as they are."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        for name in list(self._router.snapshot()):
            self._router.withdraw(name)
        for (endpoint, _), group in self._groups.items():
            self._dismiss(endpoint, group)
        while self._leaving:
            self._see_off()
            time.sleep(self._pace.busy_tick_s)
        self._pings.shutdown()
        self._launcher.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                busy = self._reconcile()
            except Exception:
                logger.exception("reconciling failed; it is tried again")
                busy = False
            self._wake.wait(self._pace.busy_tick_s if busy else self._pace.idle_tick_s)

    def _reconcile(self) -> bool:
        """One look at everything; True while something is on its way."""
        with self._database.transaction() as connection:
            rows = all_endpoints(connection)
        busy = False
        for endpoint in rows:
            if endpoint.status is EndpointStatus.DELETING:
                busy |= self._delete(endpoint)
            elif endpoint.status is EndpointStatus.FAILED:
                self._retire(endpoint.name)
            else:
                busy |= self._keep(endpoint)
        for gone in {name for name, _ in self._groups} - {endpoint.name for endpoint in rows}:
            self._retire(gone)
        self._see_off()
        return busy or bool(self._leaving)

    def _keep(self, endpoint: Endpoint) -> bool:
        threads = max(1, self._cores // sum(variant.instance_count for variant in endpoint.variants))
        groups = [self._groups.setdefault((endpoint.name, variant.name), _Group()) for variant in endpoint.variants]
        for variant, group in zip(endpoint.variants, groups, strict=True):
            self._tend(endpoint, variant, group, threads)
        self._router.publish(endpoint.name, [_routed(v, g) for v, g in zip(endpoint.variants, groups, strict=True)])
        complete = all(_ready(g) >= v.instance_count for v, g in zip(endpoint.variants, groups, strict=True))
        if endpoint.status in _COMING and complete:
            self._change(endpoint, EndpointStatus.IN_SERVICE)
        if endpoint.status is EndpointStatus.CREATING:
            self._give_up_if_hopeless(endpoint, groups)
        return not complete

    def _tend(self, endpoint: Endpoint, variant: DeployedVariant, group: _Group, threads: int) -> None:
        """Drop what died, look at the health of the rest, launch what is missing."""
        for watched in list(group.running):
            reason = self._reason_to_replace(watched)
            if reason is not None:
                self._replace(endpoint, group, watched, reason)
        now_s = time.monotonic()
        while len(group.running) < variant.instance_count and now_s >= group.next_launch_s:
            spec = InstanceSpec(endpoint.name, variant.name, variant.model_id, variant.instance_type, threads)
            try:
                group.running.append(_Watched(self._launcher.launch(spec), now_s))
            except LaunchFailed as error:
                self._count_failed_start(group, str(error))

    def _reason_to_replace(self, watched: _Watched) -> str | None:
        """Why this instance has to go, or None; notes whether it is ready."""
        now_s = time.monotonic()
        if not watched.instance.is_alive():
            return "it ended"
        if watched.ping is not None and watched.ping.done():
            answer, watched.ping = watched.ping.result(), None
            watched.failed_pings = watched.failed_pings + 1 if answer is None else 0
            if answer is False:
                return "its engine failed"
            watched.ready = watched.ready or answer is True
        if watched.ready and watched.failed_pings >= _MAX_FAILED_PINGS:
            return f"it did not answer {_MAX_FAILED_PINGS} pings"
        if not watched.ready and now_s - watched.launched_s > self._pace.start_timeout_s:
            return f"it was not ready within {self._pace.start_timeout_s:g} s"
        interval_s = self._pace.ping_interval_s if watched.ready else self._pace.busy_tick_s
        if watched.ping is None and now_s - watched.pinged_s >= interval_s:
            watched.pinged_s = now_s
            watched.ping = self._pings.submit(watched.instance.ping, self._pace.ping_timeout_s)
        return None

    def _replace(self, endpoint: Endpoint, group: _Group, watched: _Watched, reason: str) -> None:
        logger.warning("instance %s of %s is replaced: %s", watched.instance.id, endpoint.name, reason)
        group.running.remove(watched)
        watched.instance.kill()
        if watched.ready:
            group.failed_starts = 0
        else:
            self._count_failed_start(group, f"{reason}. {watched.instance.log_tail()}")

    def _count_failed_start(self, group: _Group, words: str) -> None:
        group.failed_starts += 1
        group.last_words = words
        group.next_launch_s = time.monotonic() + min(self._pace.longest_backoff_s, 0.25 * 2**group.failed_starts)

    def _give_up_if_hopeless(self, endpoint: Endpoint, groups: list[_Group]) -> None:
        for group in groups:
            if group.failed_starts >= _MAX_FAILED_STARTS:
                times = f"{_MAX_FAILED_STARTS} times in a row; the last time {group.last_words}"
                self._change(endpoint, EndpointStatus.FAILED, f"An instance could not be started {times}")
                self._retire(endpoint.name)
                return

    def _change(self, endpoint: Endpoint, status: EndpointStatus, reason: str | None = None) -> None:
        """Change the status unless somebody else (a delete) changed it meanwhile."""
        at = datetime.now(UTC)
        with self._database.transaction() as connection:
            change_endpoint_status(
                connection, endpoint.name, old=[endpoint.status], new=status, at=at, failure_reason=reason
            )
        logger.info("endpoint %s is %s", endpoint.name, status.value)

    def _delete(self, endpoint: Endpoint) -> bool:
        """Stop the instances; remove the row once the last one ended. True while that takes."""
        self._retire(endpoint.name)
        if any(leaving.endpoint == endpoint.name for leaving in self._leaving):
            return True
        with self._database.transaction() as connection:
            delete_endpoint(connection, endpoint.name)
        logger.info("endpoint %s is deleted", endpoint.name)
        return False

    def _retire(self, endpoint: str) -> None:
        self._router.withdraw(endpoint)
        for key in [key for key in self._groups if key[0] == endpoint]:
            self._dismiss(endpoint, self._groups.pop(key))

    def _dismiss(self, endpoint: str, group: _Group) -> None:
        deadline_s = time.monotonic() + self._pace.drain_grace_s
        for watched in group.running:
            watched.instance.stop()
            self._leaving.append(_Leaving(watched.instance, endpoint, deadline_s))
        group.running.clear()

    def _see_off(self) -> None:
        for leaving in list(self._leaving):
            if leaving.instance.is_alive() and time.monotonic() > leaving.deadline_s:
                leaving.instance.kill()
            if not leaving.instance.is_alive():
                self._leaving.remove(leaving)


def _ready(group: _Group) -> int:
    return sum(watched.ready for watched in group.running)


def _routed(variant: DeployedVariant, group: _Group) -> RoutedVariant:
    return RoutedVariant(
        variant.name, variant.weight, tuple(watched.instance for watched in group.running if watched.ready)
    )

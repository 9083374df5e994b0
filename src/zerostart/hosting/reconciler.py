"""The reconciler: makes the running instances match the endpoints' rows, and the rows' status follow the instances."""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from zerostart.errors import LaunchFailed
from zerostart.hosting.departures import Departures
from zerostart.hosting.instance_type import resources_of, serverless_resources
from zerostart.hosting.launcher import Instance, InstanceSpec, Launcher
from zerostart.hosting.router import RoutedVariant, Router
from zerostart.hosting.sleep import Sleep
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import (
    DeployedVariant,
    Endpoint,
    EndpointStatus,
    abandon_endpoint_update,
    all_endpoints,
    change_endpoint_status,
    delete_endpoint,
    finish_endpoint_update,
)

logger = logging.getLogger(__name__)
_COMING = (EndpointStatus.CREATING, EndpointStatus.UPDATING, EndpointStatus.SYSTEM_UPDATING)
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


@dataclass(frozen=True)
class _GroupKey:
    """Whose instances: a variant of one generation of an endpoint, since an update may keep the variant's name."""

    endpoint: str
    generation: int
    variant: str


@dataclass(eq=False)
class _Group:
    """The instances of one variant, and its record of starts that failed in a row."""

    running: list[_Watched] = field(default_factory=list)
    failed_starts: int = 0
    next_launch_s: float = 0.0
    last_words: str = ""


_Tended = tuple[DeployedVariant, _Group, int]


class Reconciler:
    """One thread that compares rows with instances, several times a second and whenever it is woken."""

    def __init__(self, database: Database, launcher: Launcher, router: Router, sleep: Sleep, pace: Pace) -> None:
        self._database = database
        self._launcher = launcher
        self._router = router
        self._sleep = sleep
        self._pace = pace
        self._groups: dict[_GroupKey, _Group] = {}
        self._departures = Departures(router, pace.drain_grace_s)
        self._instances: tuple[Instance, ...] = ()
        self._pings = ThreadPoolExecutor(max_workers=16, thread_name_prefix="ping")
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconciler", daemon=True)

    def start(self) -> None:
        """Take over what an earlier server left: endpoints that were up come back as SystemUpdating, then InService.

        Those that slept sleep on.
        """
        with self._database.transaction() as connection:
            for endpoint in (each for each in all_endpoints(connection) if each.asleep_at is None):
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

    def instances(self) -> tuple[Instance, ...]:
        """Every instance that runs, also those that start or end; as of the last look."""
        return self._instances

    def stop(self) -> None:
        """Stop every instance, waiting for requests in flight, and end the thread. The rows stay as they are."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()
        for name in list(self._router.snapshot()):
            self._router.withdraw(name)
        for key, group in self._groups.items():
            self._dismiss(key.endpoint, group, keep=0)
        self._departures.hurry()
        while self._departures.instances():
            self._departures.look()
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
        for gone in {key.endpoint for key in self._groups} - {endpoint.name for endpoint in rows}:
            self._retire(gone)
        self._departures.look()
        leaving = self._departures.instances()
        self._instances = (*(each.instance for group in self._groups.values() for each in group.running), *leaving)
        return busy or bool(leaving)

    def _keep(self, endpoint: Endpoint) -> bool:
        asleep = self._sleep.is_asleep(endpoint)
        groups = self._tend_all(endpoint.name, endpoint.generation, endpoint.variants, asleep=asleep)
        on_demand = asleep or self._sleep.is_waking(endpoint.name)
        self._router.publish(endpoint.name, [_routed(*each, on_demand) for each in groups])
        for _, group, count in groups:
            self._dismiss(endpoint.name, group, keep=count, patient=asleep)
        complete = _complete(groups)
        if on_demand and (words := _hopeless(groups)):
            self._give_up_waking(endpoint, words)
        if endpoint.status is not EndpointStatus.IN_SERVICE:
            self._sleep.begin_anew(endpoint.name)
        elif complete and not asleep:
            self._sleep.is_up(endpoint)
        if endpoint.coming is not None:
            complete &= self._switch_if_ready(endpoint)
        elif endpoint.status in _COMING and complete:
            self._change(endpoint, EndpointStatus.IN_SERVICE)
        elif endpoint.status is EndpointStatus.CREATING and (words := _hopeless(groups)):
            self._change(endpoint, EndpointStatus.FAILED, words)
            self._retire(endpoint.name)
        self._retire_generations(endpoint)
        return not complete

    def _give_up_waking(self, endpoint: Endpoint, words: str) -> None:
        """Tell those who wait, and have the endpoint sleep again: the next call tries once more."""
        self._sleep.give_up(endpoint, words)
        told = (
            f"Endpoint {endpoint.name} was asleep, and its instances could not be started. The FailureReason of "
            "DescribeEndpoint says why."
        )
        groups = [
            (variant, self._groups.pop(_GroupKey(endpoint.name, endpoint.generation, variant.name)), 0)
            for variant in endpoint.variants
        ]
        self._router.publish(endpoint.name, [_routed(*each, on_demand=True) for each in groups], told)
        for _, group, _ in groups:
            self._dismiss(endpoint.name, group, keep=0, patient=True)

    def _switch_if_ready(self, endpoint: Endpoint) -> bool:
        """Bring up what is coming; once all of it is ready, the next look routes to it and drains what served before.

        If it cannot be started, the endpoint goes on as it was.
        """
        assert endpoint.coming is not None  # noqa: S101 - the caller saw it
        groups = self._tend_all(endpoint.name, endpoint.generation + 1, endpoint.coming.variants)
        now = datetime.now(UTC)
        if _complete(groups):
            with self._database.transaction() as connection:
                finish_endpoint_update(connection, endpoint, now)
            logger.info("endpoint %s serves %s", endpoint.name, endpoint.coming.config_name)
            self.wake()
        elif words := _hopeless(groups):
            reason = f"The update to {endpoint.coming.config_name} was given up, and the endpoint goes on: {words}"
            with self._database.transaction() as connection:
                abandon_endpoint_update(connection, endpoint, reason, now)
            logger.warning("endpoint %s: %s", endpoint.name, reason)
            self._retire_generations(replace(endpoint, coming=None))
        return False

    def _tend_all(
        self, endpoint: str, generation: int, variants: Sequence[DeployedVariant], *, asleep: bool = False
    ) -> list[_Tended]:
        """Tend every variant of a generation; with each, how many instances of it are wanted now."""
        together = sum(variant.instance_count for variant in variants)
        tended = []
        for variant in variants:
            group = self._groups.setdefault(_GroupKey(endpoint, generation, variant.name), _Group())
            count = 0 if asleep else variant.instance_count
            if asleep:
                group.failed_starts, group.next_launch_s = 0, 0.0  # what it knows of starts is old when it wakes
            self._tend(endpoint, variant, group, count, together)
            tended.append((variant, group, count))
        return tended

    def _tend(self, endpoint: str, variant: DeployedVariant, group: _Group, count: int, together: int) -> None:
        """Drop what died, look at the health of the rest, launch what is missing."""
        for watched in list(group.running):
            reason = self._reason_to_replace(watched)
            if reason is not None:
                self._replace(endpoint, group, watched, reason)
        now_s = time.monotonic()
        while len(group.running) < count and now_s >= group.next_launch_s:
            spec = self._spec(endpoint, variant, together)
            try:
                group.running.append(_Watched(self._launcher.launch(spec), now_s))
            except LaunchFailed as error:
                self._count_failed_start(group, str(error))

    def _spec(self, endpoint: str, variant: DeployedVariant, together: int) -> InstanceSpec:
        """What to launch: threads and memory by the type, among so many instances of the endpoint."""
        serverless = variant.serverless
        resources = serverless_resources(serverless.memory_mb) if serverless else resources_of(variant.instance_type)
        return InstanceSpec(
            endpoint=endpoint,
            variant=variant.name,
            model_id=variant.model_id,
            instance_type=variant.instance_type,
            threads=self._launcher.threads(resources.vcpus, together),
            memory_bytes=resources.memory_bytes,
            isolation_required=variant.network_isolation,
            profile=variant.profile,
        )

    def _reason_to_replace(self, watched: _Watched) -> str | None:
        """Why this instance has to go, or None; notes whether it is ready."""
        now_s = time.monotonic()
        if not watched.instance.is_alive():
            return "it ended"
        limit, used = watched.instance.spec.memory_bytes, watched.instance.memory_bytes()
        if limit and used > limit:
            return f"it used {used >> 20:,} MiB of memory, and its type allows {limit >> 20:,} MiB"
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
            if not watched.ready:
                watched.ping.add_done_callback(self._wake_if_ready)
        return None

    def _wake_if_ready(self, ping: "Future[bool | None]") -> None:
        """Somebody may wait for the instance: do not wait for the next look."""
        if ping.result():
            self.wake()

    def _replace(self, endpoint: str, group: _Group, watched: _Watched, reason: str) -> None:
        logger.warning("instance %s of %s is replaced: %s", watched.instance.id, endpoint, reason)
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
        if self._departures.instances(endpoint.name):
            return True
        with self._database.transaction() as connection:
            delete_endpoint(connection, endpoint.name)
        logger.info("endpoint %s is deleted", endpoint.name)
        return False

    def _retire(self, endpoint: str) -> None:
        self._router.withdraw(endpoint)
        self._sleep.forget(endpoint)
        self._departures.hurry(endpoint)
        for key in [key for key in self._groups if key.endpoint == endpoint]:
            self._dismiss(endpoint, self._groups.pop(key), keep=0)

    def _retire_generations(self, endpoint: Endpoint) -> None:
        """Stop the instances of generations that neither serve nor come; they are not routed to any more."""
        kept = {endpoint.generation, endpoint.generation + 1} if endpoint.coming else {endpoint.generation}
        for key in [key for key in self._groups if key.endpoint == endpoint.name and key.generation not in kept]:
            self._dismiss(endpoint.name, self._groups.pop(key), keep=0)

    def _dismiss(self, endpoint: str, group: _Group, *, keep: int, patient: bool = False) -> None:
        """Stop all instances but the first `keep`, which are those that `_routed` gave to the router."""
        group.running.sort(key=lambda watched: not watched.ready)
        for watched in group.running[keep:]:
            self._departures.send(endpoint, watched.instance, patient=patient)
        del group.running[keep:]


def _complete(tended: list[_Tended]) -> bool:
    return all(sum(watched.ready for watched in group.running) >= count for _, group, count in tended)


def _hopeless(tended: list[_Tended]) -> str | None:
    """Why an instance will not start, once it failed several times in a row."""
    for _, group, _ in tended:
        if group.failed_starts >= _MAX_FAILED_STARTS:
            times = f"{_MAX_FAILED_STARTS} times in a row; the last time {group.last_words}"
            return f"An instance could not be started {times}"
    return None


def _routed(variant: DeployedVariant, group: _Group, count: int, on_demand: bool) -> RoutedVariant:
    ready = [watched.instance for watched in group.running if watched.ready][:count]
    limit = variant.serverless.max_concurrency if variant.serverless else None
    return RoutedVariant(variant.name, variant.weight, tuple(ready), limit, on_demand)

"""Use cases of what endpoints do now: how long each is idle, what it holds, and putting endpoints to sleep."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from zerostart.errors import NotFound
from zerostart.hosting.router import Router
from zerostart.hosting.sleep import NEVER_S, WITH_INSTANCES, Sleep
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import Endpoint, all_endpoints, put_endpoint_to_sleep


@dataclass(frozen=True)
class Activity:
    """What an endpoint does now: the instances that take calls and their memory; `idle_timeout_s` None is never."""

    endpoint: Endpoint
    idle_s: float
    idle_timeout_s: float | None
    instances: int
    memory_bytes: int

    @property
    def is_asleep(self) -> bool:
        """Whether the next call has to wake it."""
        return self.endpoint.asleep_at is not None and self.endpoint.status in WITH_INSTANCES


class ActivityService:
    """Reads rows, router and instances together."""

    def __init__(self, database: Database, router: Router, sleep: Sleep, wake: Callable[[], None]) -> None:
        self._database = database
        self._router = router
        self._sleep = sleep
        self._wake = wake

    def of(self, endpoint: Endpoint) -> Activity:
        """The activity of an endpoint."""
        instances = [each for variant in self._router.variants(endpoint.name) for each in variant.instances]
        timeout_s = self._sleep.timeout_s(endpoint)
        return Activity(
            endpoint=endpoint,
            idle_s=self._sleep.idle_s(endpoint),
            idle_timeout_s=None if timeout_s == NEVER_S else timeout_s,
            instances=len(instances),
            memory_bytes=sum(instance.memory_bytes() for instance in instances),
        )

    def all(self) -> list[Activity]:
        """The activity of every endpoint, by name."""
        with self._database.transaction() as connection:
            endpoints = all_endpoints(connection)
        return [self.of(endpoint) for endpoint in endpoints]

    def put_to_sleep(self, names: Collection[str] = ()) -> list[str]:
        """Have endpoints stop their instances now, until they are called: those named, or all.

        Calls in flight are answered first. Returns the names of those that were awake. Raises NotFound.
        """
        now = datetime.now(UTC)
        with self._database.transaction() as connection:
            found = {endpoint.name for endpoint in all_endpoints(connection)}
            if unknown := sorted(set(names) - found):
                raise NotFound(f"Could not find endpoint {', '.join(unknown)}.")
            chosen = sorted(set(names) or found)
            sent = [name for name in chosen if put_endpoint_to_sleep(connection, name, now, old=WITH_INSTANCES)]
        self._wake()
        return sent

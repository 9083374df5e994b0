"""Endpoints that sleep: their instances are stopped, their definition stays, and the next call wakes them.

That an endpoint sleeps stands in its row, so that it does after a restart too. A row is changed by the reconciler's
thread, when an endpoint was idle for its time or is called, and by whoever wants it to sleep now.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from zerostart.hosting.router import Router
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import Endpoint, EndpointStatus, put_endpoint_to_sleep, wake_endpoint
from zerostart.metadata.scalable_target import ScaledVariant
from zerostart.metadata.scaling_activity import begin_scaling_activity, end_scaling_activities

logger = logging.getLogger(__name__)
NEVER_S = float("inf")
_NOT_WOKEN = "The endpoint could not be woken, and sleeps again: "
WITH_INSTANCES = (
    EndpointStatus.CREATING,
    EndpointStatus.IN_SERVICE,
    EndpointStatus.UPDATING,
    EndpointStatus.SYSTEM_UPDATING,
)


class Sleep:
    """Says which endpoints sleep. `idle_timeout_s` is of endpoints that say nothing themselves; 0 is never."""

    def __init__(self, database: Database, router: Router, *, idle_timeout_s: float, serverless_idle_s: float) -> None:
        self._database = database
        self._router = router
        self._idle_timeout_s = idle_timeout_s
        self._serverless_idle_s = serverless_idle_s
        self._scaled: Mapping[ScaledVariant, float] = {}
        self._awake_since_s: dict[str, float] = {}
        self._waking: set[str] = set()

    def follow(self, scaled: Mapping[ScaledVariant, float]) -> None:
        """Take the times of variants that autoscaling may have sleep, NEVER_S of those that it may not."""
        self._scaled = scaled

    def timeout_s(self, endpoint: Endpoint) -> float:
        """How long an endpoint may be idle before it sleeps: the longest time of its variants."""
        times = []
        for variant in endpoint.variants:
            if (scaled_s := self._scaled.get(ScaledVariant(endpoint.name, variant.name))) is not None:
                times.append(scaled_s)
                continue
            serverless = variant.serverless
            default_s = self._serverless_idle_s if serverless else self._idle_timeout_s
            time_s = default_s if variant.idle_timeout_s is None else variant.idle_timeout_s
            always = serverless is not None and serverless.provisioned_concurrency
            times.append(NEVER_S if always or time_s == 0 else time_s)
        return max(times, default=NEVER_S)

    def idle_s(self, endpoint: Endpoint) -> float:
        """How long ago the last call of an endpoint ended, or its instances were ready, or it fell asleep."""
        since_s = max(self._awake_since_s.get(endpoint.name, -NEVER_S), self._router.asked_s(endpoint.name))
        if since_s > -NEVER_S:
            return time.monotonic() - since_s
        if endpoint.asleep_at is not None:
            return (datetime.now(UTC) - endpoint.asleep_at).total_seconds()
        return 0.0

    def is_asleep(self, endpoint: Endpoint) -> bool:
        """Whether an endpoint sleeps on; one that was called is woken."""
        if endpoint.asleep_at is None:
            return False
        if not self._router.take_call(endpoint.name):
            return True
        reason = endpoint.failure_reason or ""
        now = datetime.now(UTC)
        with self._database.transaction() as connection:
            wake_endpoint(connection, endpoint.name, None if reason.startswith(_NOT_WOKEN) else reason or None)
            for variant in endpoint.variants:
                if self._scales_to_zero(of := ScaledVariant(endpoint.name, variant.name)):
                    begin_scaling_activity(connection, of, variant.instance_count, "It was called.", now)
        self._waking.add(endpoint.name)
        logger.info("endpoint %s is called and wakes", endpoint.name)
        return False

    def is_waking(self, name: str) -> bool:
        """Whether it was woken, and not every instance is ready yet."""
        return name in self._waking

    def is_up(self, endpoint: Endpoint) -> None:
        """Note that every instance is ready; an endpoint that was idle for its time falls asleep."""
        name = endpoint.name
        if name in self._waking or name not in self._awake_since_s:
            self._waking.discard(name)
            self._awake_since_s[name] = time.monotonic()
        self._router.take_call(name)  # who called is served now
        timeout_s = self.timeout_s(endpoint)
        if time.monotonic() - self._awake_since_s[name] >= timeout_s and self._router.suspend(name, timeout_s):
            self._fall_asleep(endpoint, timeout_s)

    def _fall_asleep(self, endpoint: Endpoint, idle_s: float) -> None:
        """Note it; a variant that autoscaling brought to 0 begins again with 1 instance."""
        name, now = endpoint.name, datetime.now(UTC)
        scaled = [of for each in endpoint.variants if self._scales_to_zero(of := ScaledVariant(name, each.name))]
        reset = [replace(each, instance_count=1) if (name, each.name) in scaled else each for each in endpoint.variants]
        with self._database.transaction() as connection:
            if put_endpoint_to_sleep(connection, name, now, variants=reset if scaled else None):
                for of in scaled:
                    begin_scaling_activity(connection, of, 0, f"It had no invocation for {idle_s:g} s.", now)
                end_scaling_activities(connection, name, now)
        logger.info("endpoint %s was idle for %g s and sleeps", name, idle_s)

    def _scales_to_zero(self, of: ScaledVariant) -> bool:
        return self._scaled.get(of, NEVER_S) < NEVER_S

    def give_up(self, endpoint: Endpoint, words: str) -> None:
        """Have an endpoint whose instances do not start sleep again, with the reason."""
        self._waking.discard(endpoint.name)
        reason, now = f"{_NOT_WOKEN}{words}", datetime.now(UTC)
        with self._database.transaction() as connection:
            put_endpoint_to_sleep(connection, endpoint.name, now, old=WITH_INSTANCES, failure_reason=reason)
            end_scaling_activities(connection, endpoint.name, now, reason)
        logger.warning("endpoint %s: %s", endpoint.name, reason)

    def begin_anew(self, name: str) -> None:
        """Its time begins when it is up next: it is being changed, or it is gone."""
        self._awake_since_s.pop(name, None)

    def forget(self, name: str) -> None:
        """It is gone."""
        self.begin_anew(name)
        self._waking.discard(name)

"""The autoscaler: gives variants that are scalable targets as many instances as their load needs, within their bounds.

It writes counts into endpoints' rows, as UpdateEndpointWeightsAndCapacities does; the reconciler makes them so.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from zerostart.hosting.router import Router
from zerostart.hosting.scaling import MINUTE_S, RECENT_S, Load, Trend, bounded, decide, settled
from zerostart.hosting.sleep import NEVER_S, Sleep
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import (
    DeployedVariant,
    Endpoint,
    EndpointStatus,
    all_endpoints,
    instances_wanted,
    replace_endpoint_variants,
)
from zerostart.metadata.scalable_target import ScalableTarget, ScaledVariant, all_scalable_targets
from zerostart.metadata.scaling_activity import (
    begin_scaling_activity,
    end_scaling_activities,
    endpoints_being_scaled,
    latest_scaling_activity,
    note_scaling_failure,
)
from zerostart.metadata.scaling_policy import ScalingPolicy, all_scaling_policies

logger = logging.getLogger(__name__)
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class _Scaled:
    """A variant under autoscaling, with its policy if it has one."""

    target: ScalableTarget
    policy: ScalingPolicy | None
    variant: DeployedVariant


@dataclass(frozen=True)
class _Decision:
    """The count that a variant shall have, and why."""

    count: int
    cause: str


class Autoscaler:
    """One thread that looks once a second, and whenever it is woken. `max_instances` bounds all endpoints together.

    `changed` is called after a count was changed.
    """

    def __init__(
        self, database: Database, router: Router, sleep: Sleep, max_instances: int, changed: Callable[[], None]
    ) -> None:
        self._database = database
        self._router = router
        self._sleep = sleep
        self._max_instances = max_instances
        self._changed = changed
        self._trends: dict[ScaledVariant, Trend] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="autoscaler", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Look now: a target or a policy changed."""
        self._wake.set()

    def stop(self) -> None:
        """End. Counts stay as they are."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if self._look():
                    self._changed()
            except Exception:
                logger.exception("autoscaling failed; it is tried again")
            self._wake.wait(_LOOK_EVERY_S)

    def _look(self) -> bool:
        """One look at every target; True if a count was changed."""
        changed = False
        with self._database.transaction() as connection:
            targets, policies = all_scalable_targets(connection), all_scaling_policies(connection)
            being_scaled = endpoints_being_scaled(connection)
            endpoints = all_endpoints(connection) if targets or being_scaled else []
            room = self._max_instances - instances_wanted(endpoints)
            for endpoint in (each for each in endpoints if each.status is EndpointStatus.IN_SERVICE):
                if endpoint.name in being_scaled and (endpoint.asleep_at or self._is_complete(endpoint)):
                    end_scaling_activities(connection, endpoint.name, datetime.now(UTC))
                scaled = _scaled(endpoint, targets, policies)
                added = self._scale(connection, endpoint, scaled, room)
                room -= sum(added.values())
                changed |= bool(added)
        in_service = {each.name for each in endpoints if each.status is EndpointStatus.IN_SERVICE}
        trends = {target.of: self._trend(target.of) for target in targets}
        self._trends = {of: each if of.endpoint in in_service else settled(each) for of, each in trends.items()}
        self._sleep.follow(_idle_times(targets, policies))
        return changed

    def _scale(
        self, connection: Connection, endpoint: Endpoint, scaled: Collection[_Scaled], room: int
    ) -> Mapping[str, int]:
        """Give the variants of an endpoint the counts that are decided; how many each has more, if it changes.

        All endpoints together may have `room` more.
        """
        now, added = datetime.now(UTC), {}
        for each in scaled:
            decision = self._decide(endpoint, each)
            more = min(decision.count - each.variant.instance_count, max(0, room))
            if self._note(connection, each, decision, each.variant.instance_count + more, now):
                added[each.variant.name] = more
                room -= more
        if added:
            variants = [
                replace(each, instance_count=each.instance_count + added.get(each.name, 0))
                for each in endpoint.variants
            ]
            replace_endpoint_variants(connection, endpoint.name, variants, now)
        return added

    def _decide(self, endpoint: Endpoint, scaled: _Scaled) -> _Decision:
        """What is decided of a variant by its bounds, and within them by its policy while it is awake."""
        target, policy, count = scaled.target, scaled.policy, scaled.variant.instance_count
        nearest = bounded(target, count)
        if nearest != count:
            return _Decision(nearest, f"{'minimum' if nearest > count else 'maximum'} capacity was set to {nearest}")
        if policy is None or endpoint.asleep_at is not None:
            self._trends[target.of] = settled(self._trend(target.of))
            return _Decision(count, "")
        recent, minute = (self._router.invocations(*target.of, within_s) for within_s in (RECENT_S, MINUTE_S))
        load, now_s = Load(recent, minute), time.monotonic()
        desired, self._trends[target.of] = decide(target, policy, load, count, self._trend(target.of), now_s)
        cause = (
            f"policy {policy.name}: {minute:,} invocations in the last minute, {recent:,} of them in its last "
            f"{RECENT_S:g} s, on {count} {'instance' if count == 1 else 'instances'}; TargetValue is "
            f"{policy.target_value:,g}"
        )
        return _Decision(desired, cause)

    def _note(self, connection: Connection, scaled: _Scaled, decision: _Decision, count: int, now: datetime) -> bool:
        """Note the change to `count`, which may be less than was decided; False if nothing changes.

        That there is no room is said once, as long as nothing else happens.
        """
        of, changes = scaled.target.of, count != scaled.variant.instance_count
        if count < decision.count:
            self._trends[of] = Trend(self._trend(of).seen_since_s)  # tried again without a cooldown
            latest = latest_scaling_activity(connection, of)
            if changes or latest is None or not latest.is_failed:
                words = (
                    f"The setting max_instances allows {self._max_instances} instances of all endpoints together: "
                    f"instead of {decision.count} it has {count}. Raise that setting, delete an endpoint, or lower "
                    "the bounds."
                )
                note_scaling_failure(connection, of, decision.count, decision.cause, now, words)
        elif changes:
            begin_scaling_activity(connection, of, count, decision.cause, now)
        if changes:
            logger.info("%s is scaled to %d: %s", of.resource_id, count, decision.cause)
        return changes

    def _is_complete(self, endpoint: Endpoint) -> bool:
        """Whether as many instances take calls as are wanted."""
        ready = {each.name: len(each.instances) for each in self._router.variants(endpoint.name)}
        return all(ready.get(each.name, 0) >= each.instance_count for each in endpoint.variants)

    def _trend(self, of: ScaledVariant) -> Trend:
        return self._trends.get(of) or Trend(time.monotonic())


def _scaled(
    endpoint: Endpoint, targets: Iterable[ScalableTarget], policies: Mapping[ScaledVariant, ScalingPolicy]
) -> list[_Scaled]:
    variants = {ScaledVariant(endpoint.name, variant.name): variant for variant in endpoint.variants}
    return [_Scaled(each, policies.get(each.of), variants[each.of]) for each in targets if each.of in variants]


def _idle_times(
    targets: Iterable[ScalableTarget], policies: Mapping[ScaledVariant, ScalingPolicy]
) -> dict[ScaledVariant, float]:
    """How long variants may be idle before they sleep, where their targets say it."""
    times = {}
    for target in targets:
        policy = policies.get(target.of)
        if target.min_capacity or (policy and (policy.disable_scale_in or target.suspended.scale_in)):
            times[target.of] = NEVER_S
        elif policy:
            times[target.of] = float(policy.in_cooldown_s)
    return times

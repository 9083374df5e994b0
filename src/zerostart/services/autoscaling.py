"""Use cases of autoscaling: scalable targets, their policies, and what was done."""

import math
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from sqlalchemy import Connection

from zerostart.errors import InvalidInput, LimitExceeded, NotFound, NotUpdatable
from zerostart.metadata.database import Database
from zerostart.metadata.endpoint import EndpointStatus, get_endpoint
from zerostart.metadata.rows import Page, PageRequest
from zerostart.metadata.scalable_target import (
    ScalableTarget,
    ScaledVariant,
    delete_scalable_target,
    get_scalable_target,
    list_scalable_targets,
    put_scalable_target,
)
from zerostart.metadata.scaling_activity import ScalingActivity, list_scaling_activities
from zerostart.metadata.scaling_policy import (
    ScalingPolicy,
    delete_scaling_policy,
    get_scaling_policy,
    list_scaling_policies,
    put_scaling_policy,
)
from zerostart.services.scaling_words import LAST_ACTIVITIES


@dataclass(frozen=True)
class TargetChange:
    """What a scalable target shall be from now on; None, and what `suspended` has not, stays as it is."""

    min_capacity: int | None = None
    max_capacity: int | None = None
    role_arn: str | None = None
    suspended: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Tracking:
    """What a policy keeps: invocations a minute and instance. None is the default cooldown."""

    target_value: float
    scale_out_cooldown_s: int | None = None
    scale_in_cooldown_s: int | None = None
    disable_scale_in: bool = False


@dataclass(frozen=True)
class Scaling:
    """A scalable target with its policy, and its last activities, the newest first."""

    target: ScalableTarget
    policy: ScalingPolicy | None
    activities: tuple[ScalingActivity, ...]


class AutoscalingService:
    """Writes what is wanted; the autoscaler acts by it, and `wake` has it look at once."""

    def __init__(self, database: Database, wake: Callable[[], None], max_instances: int) -> None:
        self._database = database
        self._wake = wake
        self._max_instances = max_instances

    def register_scalable_target(self, of: ScaledVariant, change: TargetChange) -> ScalableTarget:
        """Make a variant a scalable target, or change the one that it is.

        Raises InvalidInput for a variant that is not there or is serverless, or bounds that are wrong, LimitExceeded
        for more instances than may run, NotUpdatable for an endpoint that is Deleting.
        """
        with self._database.transaction() as connection:
            _check_scalable(connection, of)
            present = get_scalable_target(connection, of)
            target = _changed(present, change) if present else _new(of, change)
            self._check_bounds(target)
            put_scalable_target(connection, target)
        self._wake()
        return target

    def list_scalable_targets(
        self, request: PageRequest, among: Collection[ScaledVariant] = ()
    ) -> Page[ScalableTarget]:
        """One page of targets: all, or those of some variants."""
        with self._database.transaction() as connection:
            return list_scalable_targets(connection, request, among)

    def deregister_scalable_target(self, of: ScaledVariant) -> None:
        """Have a variant keep the count that it has; its policy goes too. Raises NotFound."""
        with self._database.transaction() as connection:
            if not delete_scalable_target(connection, of):
                raise NotFound(f"No scalable target found for {_words(of)}.")
        self._wake()

    def put_scaling_policy(self, of: ScaledVariant, name: str, tracking: Tracking) -> ScalingPolicy:
        """Give a target a policy, or change it. Raises NotFound without a target, InvalidInput for a second policy."""
        _check_tracking(tracking)
        with self._database.transaction() as connection:
            if get_scalable_target(connection, of) is None:
                raise NotFound(f"No scalable target registered for {_words(of)}: call RegisterScalableTarget first.")
            present = get_scaling_policy(connection, of)
            if present and present.name != name:
                raise InvalidInput(
                    "Only one TargetTrackingScaling policy for a given metric specification is allowed: change or "
                    f"delete policy {present.name}."
                )
            policy = ScalingPolicy(
                of=of,
                id=present.id if present else str(uuid.uuid4()),
                name=name,
                target_value=tracking.target_value,
                created_at=present.created_at if present else datetime.now(UTC),
                scale_out_cooldown_s=tracking.scale_out_cooldown_s,
                scale_in_cooldown_s=tracking.scale_in_cooldown_s,
                disable_scale_in=tracking.disable_scale_in,
            )
            put_scaling_policy(connection, policy)
        self._wake()
        return policy

    def list_scaling_policies(
        self, request: PageRequest, of: ScaledVariant | None = None, names: Collection[str] = ()
    ) -> Page[ScalingPolicy]:
        """One page of policies: all, or those of a variant, or of some names."""
        with self._database.transaction() as connection:
            return list_scaling_policies(connection, request, of, names)

    def delete_scaling_policy(self, of: ScaledVariant, name: str) -> None:
        """Remove a policy; the variant keeps its count. Raises NotFound."""
        with self._database.transaction() as connection:
            if not delete_scaling_policy(connection, of, name):
                raise NotFound(f"No scaling policy found for {_words(of)}, policy name: {name}.")
        self._wake()

    def list_scaling_activities(self, request: PageRequest, of: ScaledVariant | None = None) -> Page[ScalingActivity]:
        """One page of what was done: to all variants, or to one."""
        with self._database.transaction() as connection:
            return list_scaling_activities(connection, request, of)

    def scaling_of(self, of: ScaledVariant) -> Scaling | None:
        """How a variant is scaled, if it is."""
        newest = PageRequest(sort_by="started_at", limit=LAST_ACTIVITIES)
        with self._database.transaction() as connection:
            target = get_scalable_target(connection, of)
            if target is None:
                return None
            activities = list_scaling_activities(connection, newest, of).records
            return Scaling(target, get_scaling_policy(connection, of), activities)

    def _check_bounds(self, target: ScalableTarget) -> None:
        low, high = target.min_capacity, target.max_capacity
        if low < 0 or high < 1 or low > high:
            raise InvalidInput(
                f"MinCapacity {low} and MaxCapacity {high} are no bounds: MinCapacity is 0 or more, MaxCapacity 1 or "
                "more, and not less than MinCapacity."
            )
        if low > self._max_instances:
            raise LimitExceeded(
                f"MinCapacity {low} is more than the {self._max_instances} instances that may run: ask for fewer, or "
                "raise the setting max_instances."
            )


def _check_scalable(connection: Connection, of: ScaledVariant) -> None:
    endpoint = get_endpoint(connection, of.endpoint)
    if endpoint is None:
        raise InvalidInput(f"ResourceId {of.resource_id}: there is no endpoint {of.endpoint}.")
    if endpoint.status is EndpointStatus.DELETING:
        raise NotUpdatable(f"Endpoint {of.endpoint} is Deleting: it cannot be scaled any more.")
    variant = next((each for each in endpoint.variants if each.name == of.variant), None)
    if variant is None:
        known = ", ".join(each.name for each in endpoint.variants)
        raise InvalidInput(f"ResourceId {of.resource_id}: endpoint {of.endpoint} has no such variant, but {known}.")
    if variant.serverless is not None:
        raise InvalidInput(
            f"ResourceId {of.resource_id}: the variant is serverless, and has no count of instances to scale."
        )


def _new(of: ScaledVariant, change: TargetChange) -> ScalableTarget:
    if change.min_capacity is None or change.max_capacity is None:
        raise InvalidInput(f"{of.resource_id} is no scalable target yet: give MinCapacity and MaxCapacity.")
    fresh = ScalableTarget(of, uuid.uuid4().hex, change.min_capacity, change.max_capacity, datetime.now(UTC))
    return _changed(fresh, change)


def _changed(target: ScalableTarget, change: TargetChange) -> ScalableTarget:
    names = ("min_capacity", "max_capacity", "role_arn")
    given = {name: value for name in names if (value := getattr(change, name)) is not None}
    return replace(target, **given, suspended=replace(target.suspended, **change.suspended))


def _check_tracking(tracking: Tracking) -> None:
    if not 0 < tracking.target_value < math.inf:
        raise InvalidInput(
            f"TargetValue is {tracking.target_value:g}: give how many invocations a minute an instance shall have, "
            "more than 0."
        )
    cooldowns = {
        "ScaleOutCooldown": tracking.scale_out_cooldown_s,
        "ScaleInCooldown": tracking.scale_in_cooldown_s,
    }
    for name, seconds in cooldowns.items():
        if seconds is not None and seconds < 0:
            raise InvalidInput(f"{name} is {seconds}: give seconds, 0 or more.")


def _words(of: ScaledVariant) -> str:
    return (
        f"service namespace: sagemaker, resource ID: {of.resource_id}, "
        "scalable dimension: sagemaker:variant:DesiredInstanceCount"
    )

"""Autoscaling as an endpoint's page shows it."""

from zerostart.metadata.scaling_activity import ScalingActivity
from zerostart.server.web.endpoint_contexts import ScalingActivityRow, ScalingRow
from zerostart.server.web.formats import ago
from zerostart.services.autoscaling import Scaling
from zerostart.services.scaling_words import scaling_words


def scaling_row(scaling: Scaling) -> ScalingRow:
    """A target, its policy and what was done last."""
    target, policy = scaling.target, scaling.policy
    stopped = {
        "in": target.suspended.scale_in or (policy and policy.disable_scale_in),
        "out": target.suspended.scale_out,
    }
    return ScalingRow(
        variant=target.of.variant,
        words=scaling_words(target.min_capacity, target.max_capacity, policy.target_value if policy else None),
        suspended=" and ".join(way for way, is_stopped in stopped.items() if is_stopped),
        activities=[_row(each) for each in scaling.activities],
    )


def _row(activity: ScalingActivity) -> ScalingActivityRow:
    return ScalingActivityRow(
        at=ago(activity.started_at),
        description=activity.description,
        status=activity.status.value,
        cause=activity.cause,
        message=(activity.message or "") if activity.is_failed else "",
    )

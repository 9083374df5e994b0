"""The decision of autoscaling: counts and times in, the desired count of instances out. Nothing here waits or writes.

It keeps the invocations a minute and instance at a policy's target value, as Application Auto Scaling's target tracking
does, but decides after a quarter of a minute where AWS waits for three minutes:
https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html
"""

import math
from dataclasses import dataclass, replace

from zerostart.metadata.scalable_target import ScalableTarget
from zerostart.metadata.scaling_policy import ScalingPolicy

RECENT_S = 10.0
MINUTE_S = 60.0
_SCALE_OUT_AFTER_S = 15.0  # longer than what is recent: a burst of less than 5 s is over before
_SCALE_IN_BELOW = 0.9  # of the target value, as AWS's alarm: no flapping where the load is close to the value
_DEVIATIONS = 2.0  # of a count that comes by chance (Poisson), whose variance is the count


@dataclass(frozen=True)
class Load:
    """Invocations of a variant in the last `RECENT_S` seconds, and in the last minute."""

    recent: int
    minute: int


@dataclass(frozen=True)
class Trend:
    """What is known of a variant from earlier looks; times are on one clock, in seconds.

    `above_since_s`: since when it needs more instances than it has. `below_since_s`: since when fewer, and
    `highest_need` is the most that it needed since, without what was counted before. `step`: how many the last
    scale-out added.
    """

    seen_since_s: float
    above_since_s: float | None = None
    below_since_s: float | None = None
    highest_need: int = 0
    scaled_out_s: float = -math.inf
    step: int = 0


def bounded(target: ScalableTarget, count: int) -> int:
    """The nearest count that the target allows, of an endpoint that is awake: 1 or more."""
    return min(max(count, target.min_capacity, 1), target.max_capacity)


def decide(
    target: ScalableTarget, policy: ScalingPolicy | None, load: Load, count: int, trend: Trend, now_s: float
) -> tuple[int, Trend]:
    """How many instances a variant with `count` shall have, and what to remember for the next look.

    Scales out when more were needed throughout a quarter of a minute; again within the cooldown only by a larger step.
    Scales in when fewer were enough throughout the scale-in cooldown, to what was needed at most in it.
    """
    if bounded(target, count) != count:
        return bounded(target, count), settled(trend)
    if policy is None:
        return count, settled(trend)
    more, fewer = _needs(target, policy, load, count)
    trend = _looked(policy, trend, count, more, fewer, now_s)
    if more > count and _may_scale_out(target, policy, trend, more - count, now_s):
        return more, replace(settled(trend), scaled_out_s=now_s, step=more - count)
    if fewer < count and _may_scale_in(target, policy, trend, now_s):
        return trend.highest_need, settled(trend)
    return count, trend


def settled(trend: Trend) -> Trend:
    """The trend of a variant whose count changes: what is needed beside it has to show again."""
    return replace(trend, above_since_s=None, below_since_s=None, highest_need=0)


def _needs(target: ScalableTarget, policy: ScalingPolicy, load: Load, count: int) -> tuple[int, int]:
    """How many instances are needed: where that is more than there are, and where it is fewer.

    Where the recent count, extrapolated to a minute, is more than `count` bear, and by more than chance, it says how
    many; else the minute does, unless the load went away since. Scaling in looks at a minute, or at what is recent
    where the cooldown is shorter than a minute.
    """
    a_minute = load.recent * MINUTE_S / RECENT_S
    chance = _DEVIATIONS * math.sqrt(load.recent + 1) * MINUTE_S / RECENT_S
    surely = a_minute - chance > count * policy.target_value
    rising = a_minute if surely else min(load.minute, a_minute + chance)
    falling = load.minute if _scale_in_window_s(policy) == MINUTE_S else a_minute
    return (
        bounded(target, math.ceil(rising / policy.target_value)),
        bounded(target, math.ceil(falling / (_SCALE_IN_BELOW * policy.target_value))),
    )


def _looked(policy: ScalingPolicy, trend: Trend, count: int, more: int, fewer: int, now_s: float) -> Trend:
    above = (now_s if trend.above_since_s is None else trend.above_since_s) if more > count else None
    if fewer >= count:
        return replace(trend, above_since_s=above, below_since_s=None, highest_need=0)
    below = now_s if trend.below_since_s is None else trend.below_since_s
    counted_since = now_s - below >= min(_scale_in_window_s(policy), policy.in_cooldown_s)
    highest = max(trend.highest_need, fewer) if counted_since else 0
    return replace(trend, above_since_s=above, below_since_s=below, highest_need=highest)


def _scale_in_window_s(policy: ScalingPolicy) -> float:
    return RECENT_S if policy.in_cooldown_s < MINUTE_S else MINUTE_S


def _may_scale_out(target: ScalableTarget, policy: ScalingPolicy, trend: Trend, step: int, now_s: float) -> bool:
    if target.suspended.scale_out or trend.above_since_s is None or now_s - trend.above_since_s < _SCALE_OUT_AFTER_S:
        return False
    return now_s - trend.scaled_out_s >= policy.out_cooldown_s or step > trend.step


def _may_scale_in(target: ScalableTarget, policy: ScalingPolicy, trend: Trend, now_s: float) -> bool:
    if target.suspended.scale_in or policy.disable_scale_in or trend.below_since_s is None:
        return False
    seen_s = now_s - trend.seen_since_s
    return now_s - trend.below_since_s >= policy.in_cooldown_s and seen_s >= _scale_in_window_s(policy)

"""Application Auto Scaling's operations, on the variants of endpoints."""

import re
from collections.abc import Mapping
from typing import Any

from zerostart.errors import InvalidInput, shortened
from zerostart.metadata.rows import PageRequest, SortBy
from zerostart.metadata.scalable_target import ScalableTarget, ScaledVariant
from zerostart.metadata.scaling_activity import ScalingActivity
from zerostart.metadata.scaling_policy import ScalingPolicy
from zerostart.server.aws.support import refuse_unsupported
from zerostart.services.arn import ACCOUNT_ID, Arns
from zerostart.services.autoscaling import AutoscalingService, TargetChange, Tracking

_NAMESPACE, _DIMENSION = "sagemaker", "sagemaker:variant:DesiredInstanceCount"
_METRIC = "SageMakerVariantInvocationsPerInstance"
_POLICY_TYPE = "TargetTrackingScaling"
_RESOURCE = re.compile(r"endpoint/([a-zA-Z0-9-]{1,63})/variant/([a-zA-Z0-9-]{1,63})")
_SUSPENDED = {
    "DynamicScalingInSuspended": "scale_in",
    "DynamicScalingOutSuspended": "scale_out",
    "ScheduledScalingSuspended": "scheduled",
}
_MOST_RESULTS = 50
_ROLE = (
    f"arn:aws:iam::{ACCOUNT_ID}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
)


class AutoscalingOperations:
    """One method an operation: RegisterScalableTarget is register_scalable_target."""

    def __init__(self, service: AutoscalingService, arns: Arns) -> None:
        self._service = service
        self._arns = arns

    def register_scalable_target(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """RegisterScalableTarget; a count outside of the bounds is brought to the nearest at once."""
        refuse_unsupported(asked, ("Tags",))
        suspended = asked.get("SuspendedState") or {}
        given = {own: suspended[name] for name, own in _SUSPENDED.items() if suspended.get(name) is not None}
        change = TargetChange(
            min_capacity=asked.get("MinCapacity"),
            max_capacity=asked.get("MaxCapacity"),
            role_arn=asked.get("RoleARN"),
            suspended=given,
        )
        target = self._service.register_scalable_target(_resource(asked), change)
        return {"ScalableTargetARN": self._arns.of_scalable_target(target.id)}

    def describe_scalable_targets(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeScalableTargets."""
        _check_service(asked)
        among = [_parsed(each) for each in asked.get("ResourceIds") or ()]
        page = self._service.list_scalable_targets(_page(asked, "created_at"), among)
        return {"ScalableTargets": [self._target(each) for each in page.records], "NextToken": page.next_token}

    def deregister_scalable_target(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DeregisterScalableTarget."""
        self._service.deregister_scalable_target(_resource(asked))
        return {}

    def put_scaling_policy(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """PutScalingPolicy; there are no alarms, since nothing outside of the server watches."""
        policy = self._service.put_scaling_policy(_resource(asked), asked["PolicyName"], _tracking(asked))
        return {"PolicyARN": self._policy_arn(policy), "Alarms": []}

    def describe_scaling_policies(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeScalingPolicies."""
        page = self._service.list_scaling_policies(
            _page(asked, "created_at"), _resource_if_any(asked), asked.get("PolicyNames") or ()
        )
        return {"ScalingPolicies": [self._policy(each) for each in page.records], "NextToken": page.next_token}

    def delete_scaling_policy(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteScalingPolicy."""
        self._service.delete_scaling_policy(_resource(asked), asked["PolicyName"])
        return {}

    def describe_scaling_activities(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeScalingActivities, the newest first."""
        page = self._service.list_scaling_activities(_page(asked, "started_at"), _resource_if_any(asked))
        return {"ScalingActivities": [_activity(each) for each in page.records], "NextToken": page.next_token}

    def _target(self, target: ScalableTarget) -> dict[str, Any]:
        return {
            **_named(target.of),
            "MinCapacity": target.min_capacity,
            "MaxCapacity": target.max_capacity,
            "RoleARN": target.role_arn or _ROLE,
            "CreationTime": target.created_at,
            "SuspendedState": {name: getattr(target.suspended, own) for name, own in _SUSPENDED.items()},
            "ScalableTargetARN": self._arns.of_scalable_target(target.id),
        }

    def _policy(self, policy: ScalingPolicy) -> dict[str, Any]:
        return {
            **_named(policy.of),
            "PolicyARN": self._policy_arn(policy),
            "PolicyName": policy.name,
            "PolicyType": _POLICY_TYPE,
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": policy.target_value,
                "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
                "ScaleOutCooldown": policy.scale_out_cooldown_s,
                "ScaleInCooldown": policy.scale_in_cooldown_s,
                "DisableScaleIn": policy.disable_scale_in,
            },
            "Alarms": [],
            "CreationTime": policy.created_at,
        }

    def _policy_arn(self, policy: ScalingPolicy) -> str:
        return self._arns.of_scaling_policy(policy.id, policy.of.resource_id, policy.name)


def _activity(activity: ScalingActivity) -> dict[str, Any]:
    return {
        **_named(activity.of),
        "ActivityId": activity.id,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.started_at,
        "EndTime": activity.ended_at,
        "StatusCode": activity.status.value,
        "StatusMessage": activity.message,
    }


def _named(of: ScaledVariant) -> dict[str, str]:
    return {"ServiceNamespace": _NAMESPACE, "ResourceId": of.resource_id, "ScalableDimension": _DIMENSION}


def _check_service(asked: Mapping[str, Any]) -> None:
    given = {"ServiceNamespace": (asked["ServiceNamespace"], _NAMESPACE)}
    given["ScalableDimension"] = (asked.get("ScalableDimension") or _DIMENSION, _DIMENSION)
    for name, (value, supported) in given.items():
        if value != supported:
            raise InvalidInput(f"{name} {value} is not supported by Zerostart: it is {supported}.")


def _resource(asked: Mapping[str, Any]) -> ScaledVariant:
    _check_service(asked)
    return _parsed(asked["ResourceId"])


def _resource_if_any(asked: Mapping[str, Any]) -> ScaledVariant | None:
    _check_service(asked)
    return _parsed(asked["ResourceId"]) if asked.get("ResourceId") else None


def _parsed(resource_id: str) -> ScaledVariant:
    match = _RESOURCE.fullmatch(resource_id)
    if match is None:
        raise InvalidInput(
            f"ResourceId {shortened(resource_id, 200)} names no variant of an endpoint: "
            "write endpoint/NAME/variant/NAME."
        )
    return ScaledVariant(*match.groups())


def _tracking(asked: Mapping[str, Any]) -> Tracking:
    """The policy that is asked for. Raises InvalidInput for any but target tracking on the one metric."""
    if asked.get("PolicyType", _POLICY_TYPE) != _POLICY_TYPE:
        raise InvalidInput(f"PolicyType {asked['PolicyType']} is not supported by Zerostart: it is {_POLICY_TYPE}.")
    refuse_unsupported(asked, ("StepScalingPolicyConfiguration", "PredictiveScalingPolicyConfiguration"))
    config = asked.get("TargetTrackingScalingPolicyConfiguration")
    if not config:
        raise InvalidInput(f"Give a TargetTrackingScalingPolicyConfiguration: policies are {_POLICY_TYPE} here.")
    if config.get("CustomizedMetricSpecification"):
        raise InvalidInput(
            "CustomizedMetricSpecification is not supported by Zerostart: give a PredefinedMetricSpecification of "
            f"{_METRIC}."
        )
    metric = config.get("PredefinedMetricSpecification") or {}
    if metric.get("PredefinedMetricType") != _METRIC:
        given = metric.get("PredefinedMetricType", "missing")
        raise InvalidInput(f"PredefinedMetricType is {given}, and Zerostart supports {_METRIC} alone.")
    refuse_unsupported(metric, ("ResourceLabel",))
    return Tracking(
        target_value=config["TargetValue"],
        scale_out_cooldown_s=config.get("ScaleOutCooldown"),
        scale_in_cooldown_s=config.get("ScaleInCooldown"),
        disable_scale_in=config.get("DisableScaleIn") or False,
    )


def _page(asked: Mapping[str, Any], sort_by: SortBy) -> PageRequest:
    limit = asked.get("MaxResults")
    if limit is not None and not 1 <= limit <= _MOST_RESULTS:
        raise InvalidInput(f"MaxResults is {limit}: give 1 to {_MOST_RESULTS}.")
    return PageRequest(sort_by=sort_by, limit=limit or _MOST_RESULTS, next_token=asked.get("NextToken"))

"""The verb that scales endpoints by their load, and what others show of it."""

from typing import Annotated, Any

import typer

from zerostart.cli.client import ServerRefused, autoscaling, aws_errors, sagemaker
from zerostart.errors import InvalidInput
from zerostart.services.scaling_words import LAST_ACTIVITIES, scaling_words

_NAMESPACE = "sagemaker"
_POLICY = "zerostart"
_METRIC = "SageMakerVariantInvocationsPerInstance"


def autoscale(
    name: Annotated[str, typer.Argument(help="The endpoint.")],
    least: Annotated[
        int | None, typer.Option("--min", min=0, help="Fewest instances; with 0 it sleeps while nobody calls.")
    ] = None,
    most: Annotated[int | None, typer.Option("--max", min=1, help="Most instances.")] = None,
    target: Annotated[
        float | None, typer.Option(help="Invocations a minute that an instance shall have.", min=0)
    ] = None,
    scale_out_cooldown: Annotated[
        int | None, typer.Option(min=0, help="Seconds between two scale-outs, unless the second is larger; 300.")
    ] = None,
    scale_in_cooldown: Annotated[
        int | None, typer.Option(min=0, help="Seconds that fewer have to be enough before there are fewer; 300.")
    ] = None,
    variant: Annotated[str, typer.Option(help="Production variant; may be left out where there is one.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Scale no more: it keeps the instances that it has.")] = False,
) -> None:
    """Have an endpoint's count of instances follow its load; what is left out stays as it is.

    Example: zerostart endpoints autoscale first --min 0 --max 4 --target 600
    """
    bounds = {key: value for key, value in (("MinCapacity", least), ("MaxCapacity", most)) if value is not None}
    tracking = {
        "TargetValue": target,
        "ScaleOutCooldown": scale_out_cooldown,
        "ScaleInCooldown": scale_in_cooldown,
    }
    given = {key: value for key, value in tracking.items() if value is not None}
    if off == bool(bounds or given):
        raise InvalidInput("Give --min, --max and --target, one of them to change it, or --off alone.")
    with aws_errors():
        resource = _resource(name, variant)
        client = autoscaling()
        if off:
            client.deregister_scalable_target(**resource)
            typer.echo(f"Endpoint {name} keeps the instances that it has.")
            return
        client.register_scalable_target(**resource, **bounds)
        if given:
            _put_policy(client, resource, given)
        (shown,) = scaling_of(name, resource["ResourceId"])
        typer.echo(f"Endpoint {name} {shown['words']}.")


def scaling_of(endpoint: str, resource_id: str = "") -> list[dict[str, Any]]:
    """The targets of an endpoint's variants, or of one: each with its policy, in `words`, and its last activities."""
    client, found = autoscaling(), []
    for target in _listed(client, "describe_scalable_targets", "ScalableTargets"):
        named = target["ResourceId"]
        if named != resource_id if resource_id else not named.startswith(f"endpoint/{endpoint}/"):
            continue
        of = {"ServiceNamespace": _NAMESPACE, "ResourceId": named}
        policies = client.describe_scaling_policies(**of)["ScalingPolicies"]
        activities = client.describe_scaling_activities(**of, MaxResults=LAST_ACTIVITIES)["ScalingActivities"]
        value = policies[0]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] if policies else None
        words = scaling_words(target["MinCapacity"], target["MaxCapacity"], value)
        found.append(
            {"words": words, "ScalableTarget": target, "ScalingPolicies": policies, "ScalingActivities": activities}
        )
    return found


def bounds_by_endpoint() -> dict[str, str]:
    """In a few words, between which counts the variants of each endpoint are scaled."""
    shown: dict[str, str] = {}
    for target in _listed(autoscaling(), "describe_scalable_targets", "ScalableTargets"):
        _, endpoint, _, _ = target["ResourceId"].split("/")
        words = f"scales {target['MinCapacity']} to {target['MaxCapacity']}"
        shown[endpoint] = f"{shown[endpoint]}, {words}" if endpoint in shown else words
    return shown


def _listed(client: Any, operation: str, key: str) -> list[dict[str, Any]]:
    pages = client.get_paginator(operation).paginate(ServiceNamespace=_NAMESPACE)
    return [each for page in pages for each in page[key]]


def _resource(name: str, variant: str) -> dict[str, str]:
    """AWS's name of a variant; the only one where none is named. Raises ServerRefused."""
    known = [each["VariantName"] for each in sagemaker().describe_endpoint(EndpointName=name)["ProductionVariants"]]
    if not variant and len(known) > 1:
        raise ServerRefused(f"Endpoint {name} has several variants: name one of {', '.join(known)} with --variant.")
    return {
        "ServiceNamespace": _NAMESPACE,
        "ResourceId": f"endpoint/{name}/variant/{variant or known[0]}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _put_policy(client: Any, resource: dict[str, str], given: dict[str, Any]) -> None:
    """Change what is given of the policy, or make one. Raises ServerRefused for a new one without a target."""
    present = client.describe_scaling_policies(**resource)["ScalingPolicies"]
    config = present[0]["TargetTrackingScalingPolicyConfiguration"] if present else {}
    if "TargetValue" not in {**config, **given}:
        raise ServerRefused("Give --target too: how many invocations a minute an instance shall have.")
    client.put_scaling_policy(
        **resource,
        PolicyName=present[0]["PolicyName"] if present else _POLICY,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
            **config,
            **given,
        },
    )

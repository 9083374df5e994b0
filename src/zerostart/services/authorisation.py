"""What a key may do, in IAM's words: actions such as `sagemaker:CreateModel`, on resources named by ARNs."""

from collections.abc import Mapping
from typing import Any

from zerostart.credentials import AccessKey, Role
from zerostart.errors import ZerostartError
from zerostart.services.arn import ACCOUNT_ID, Arns

EVALUATE = "zerostart:Evaluate"  # and read, and delete, what was evaluated
_DEPLOY = (
    *(EVALUATE, "sagemaker:", "application-autoscaling:", "s3:", "logs:"),
    *("iam:Get", "iam:SimulatePrincipalPolicy", "cloudwatch:GetMetricData"),
)
_INVOKE = ("sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync")
_EVERYBODY = ("sts:GetCallerIdentity",)
_KINDS = {
    "EndpointConfig": "endpoint-config",
    "Endpoint": "endpoint",
    "TransformJob": "transform-job",
    "Model": "model",
}
ROLE_NAME = "zerostart"


class AccessDenied(ZerostartError):
    """The caller is known, and may not do this."""


def caller_arn(caller: AccessKey) -> str:
    """Who a key is: a session of this installation's role, so that SDKs find a role in it."""
    return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{ROLE_NAME}/{caller.access_key_id}"


def authorise(caller: AccessKey, action: str, resource: str) -> None:
    """Return if the caller's role allows the action. Raises AccessDenied."""
    if not may(caller, action, resource):
        raise AccessDenied(
            f"User: {caller_arn(caller)} is not authorized to perform: {action} on resource: {resource} "
            f"because no identity-based policy allows the {action} action"
        )


def operation_resource(name: str, asked: Mapping[str, Any], arns: Arns) -> str:
    """The ARN that an operation of SageMaker's is about: of the resource that it names, or `*`."""
    for kind, path in _KINDS.items():
        named = asked.get(f"{kind}Name")
        if kind in name and isinstance(named, str):
            return arns.of(path, named[:63])
    arn = asked.get("ResourceArn")
    return arn[:256] if isinstance(arn, str) else "*"


def may(caller: AccessKey, action: str, resource: str = "*") -> bool:
    """Whether the caller's role allows the action."""
    if caller.role is Role.ADMIN or action in _EVERYBODY:
        return True
    if caller.role is Role.DEPLOY:
        return action.startswith(_DEPLOY)
    return action in _INVOKE and resource.rpartition(":endpoint/")[2] in caller.endpoints

"""Amazon Resource Names of this installation."""

from dataclasses import dataclass

ACCOUNT_ID = "000000000000"


@dataclass(frozen=True)
class Arns:
    """ARNs in one region. `kind` is model, endpoint-config or endpoint."""

    region: str

    def of(self, kind: str, name: str) -> str:
        """The ARN of a resource."""
        return f"arn:aws:sagemaker:{self.region}:{ACCOUNT_ID}:{kind}/{name}"

    def of_scalable_target(self, target_id: str) -> str:
        """The ARN of a scalable target."""
        return f"arn:aws:application-autoscaling:{self.region}:{ACCOUNT_ID}:scalable-target/{target_id}"

    def of_scaling_policy(self, policy_id: str, resource_id: str, name: str) -> str:
        """The ARN of a scaling policy."""
        place = f"resource/sagemaker/{resource_id}:policyName/{name}"
        return f"arn:aws:autoscaling:{self.region}:{ACCOUNT_ID}:scalingPolicy:{policy_id}:{place}"

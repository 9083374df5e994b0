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

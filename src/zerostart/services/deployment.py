"""Use case of deploying a model in one step: a model, an endpoint config and an endpoint of one name."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from zerostart.errors import AlreadyExists, InvalidInput, NotFound, shortened
from zerostart.metadata.endpoint_config import ProductionVariant
from zerostart.services.arn import ACCOUNT_ID, Arns
from zerostart.services.endpoint import EndpointService
from zerostart.services.endpoint_config import EndpointConfigService
from zerostart.services.idle import VARIABLE
from zerostart.services.model import ModelService
from zerostart.services.tag import TagService

VARIANT = "AllTraffic"
MADE_FOR = "zerostart:made-for-endpoint"
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9-]+")
_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/zerostart"
_MOST_TAGS = 45  # AWS's limit is 50; some are ours


@dataclass(frozen=True)
class Deployment:
    """What to deploy, and how."""

    name: str
    model_id: str
    instance_count: int = 1
    instance_type: str = "ml.m5.xlarge"
    network_isolation: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    idle_timeout_s: float | None = None

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise InvalidInput(
                f"{shortened(self.name)} cannot name an endpoint: use letters, digits and single hyphens between them, "
                "at most 63."
            )
        if self.instance_count < 1:
            raise InvalidInput(f"{self.instance_count} instances serve nobody: ask for at least 1.")
        if _INSTANCE_TYPE.fullmatch(self.instance_type) is None:
            raise InvalidInput(f"{shortened(self.instance_type)} is no instance type: use one like 'ml.m5.xlarge'.")
        for key, value in self.tags.items():
            if not (0 < len(key) <= 128 and len(value) <= 256) or key.lower().startswith(("aws:", "zerostart:")):
                raise InvalidInput(f"The tag {shortened(key)} cannot be set: use a key of 1 to 128 characters.")
        if len(self.tags) > _MOST_TAGS:
            raise InvalidInput(f"{len(self.tags)} tags are too many: give at most {_MOST_TAGS}.")


@dataclass(frozen=True)
class Belongings:
    """The config and the models that an endpoint was made from and that are still there.

    `made_for_it` says that they were made together with it.
    """

    config_name: str | None
    model_names: tuple[str, ...]
    made_for_it: bool


class DeploymentService:
    """Makes and removes what belongs together."""

    def __init__(
        self,
        models: ModelService,
        endpoint_configs: EndpointConfigService,
        endpoints: EndpointService,
        tags: TagService,
        arns: Arns,
    ) -> None:
        self._models = models
        self._endpoint_configs = endpoint_configs
        self._endpoints = endpoints
        self._tags = tags
        self._arns = arns

    def deploy(self, deployment: Deployment) -> None:
        """Make all three, or nothing. Raises AlreadyExists for a taken name, and what the services of each raise."""
        name, tags = deployment.name, {**deployment.tags, MADE_FOR: deployment.name}
        if self._is_taken(name):
            raise AlreadyExists(f"An endpoint, endpoint config or model named {name} is there already: choose another.")
        undo: list[Callable[[str], None]] = []
        try:
            self._models.create_model(name, deployment.model_id, None, _asked_model(deployment), tags)
            undo.append(self._models.delete_model)
            variants = [ProductionVariant(VARIANT, name, deployment.instance_count, deployment.instance_type, 1.0)]
            self._endpoint_configs.create_endpoint_config(name, variants, _asked_config(deployment), tags)
            undo.append(self._endpoint_configs.delete_endpoint_config)
            self._endpoints.create_endpoint(name, name, deployment.tags)
        except Exception:
            for remove in reversed(undo):
                _found(remove, name)
            raise

    def free_name(self, wanted: str) -> str:
        """A name like `wanted` that no model, endpoint config or endpoint has yet."""
        stem = re.sub(r"[^a-zA-Z0-9]+", "-", wanted).strip("-")[:58].strip("-") or "endpoint"
        names = (stem, *(f"{stem}-{number}" for number in range(2, 10_000)))
        return next(name for name in names if not self._is_taken(name))

    def belongings(self, endpoint_name: str) -> Belongings:
        """What an endpoint was made from. Raises NotFound for an unknown endpoint."""
        endpoint = self._endpoints.describe_endpoint(endpoint_name).endpoint
        models = tuple(
            dict.fromkeys(
                each.model_name for each in endpoint.variants if _found(self._models.describe_model, each.model_name)
            )
        )
        config = endpoint.config_name
        kept = config if _found(self._endpoint_configs.describe_endpoint_config, config) else None
        arns = [self._arns.of("model", name) for name in models]
        arns += [self._arns.of("endpoint-config", config)] if kept else []
        made = all(self._tags.list_tags(arn).get(MADE_FOR) == endpoint_name for arn in arns)
        return Belongings(kept, models, made_for_it=bool(arns) and made)

    def delete(self, endpoint_name: str, *, with_belongings: bool) -> None:
        """Delete an endpoint, and if wanted what it was made from. Raises NotFound for an unknown endpoint."""
        belongings = self.belongings(endpoint_name)
        self._endpoints.delete_endpoint(endpoint_name)
        if with_belongings:
            if belongings.config_name is not None:
                _found(self._endpoint_configs.delete_endpoint_config, belongings.config_name)
            for name in belongings.model_names:
                _found(self._models.delete_model, name)

    def _is_taken(self, name: str) -> bool:
        looks: tuple[Callable[[str], object], ...] = (
            self._models.describe_model,
            self._endpoint_configs.describe_endpoint_config,
            self._endpoints.describe_endpoint,
        )
        return any(_found(look, name) for look in looks)


def _found(call: Callable[[str], object], name: str) -> bool:
    """Call, and tell whether what was named is there."""
    try:
        call(name)
    except NotFound:
        return False
    return True


def _asked_model(deployment: Deployment) -> Mapping[str, object]:
    """The same in AWS's words, for those who ask DescribeModel."""
    environment = {"HF_MODEL_ID": deployment.model_id, "HF_TASK": "zero-shot-classification"}
    if deployment.idle_timeout_s is not None:
        environment[VARIABLE] = f"{deployment.idle_timeout_s:.15g}"
    return {
        "ModelName": deployment.name,
        "ExecutionRoleArn": _ROLE,
        "PrimaryContainer": {"Environment": environment},
        "EnableNetworkIsolation": deployment.network_isolation,
    }


def _asked_config(deployment: Deployment) -> Mapping[str, object]:
    variant = {
        "VariantName": VARIANT,
        "ModelName": deployment.name,
        "InitialInstanceCount": deployment.instance_count,
        "InstanceType": deployment.instance_type,
        "InitialVariantWeight": 1.0,
    }
    return {"EndpointConfigName": deployment.name, "ProductionVariants": [variant]}

"""Use case of deploying a model in one step: a model, an endpoint config and an endpoint of one name."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from zerostart.errors import AlreadyExists, InvalidField, InvalidInput, NotFound, shortened
from zerostart.metadata.endpoint_config import Asynchronous, ProductionVariant
from zerostart.services.arn import ACCOUNT_ID, Arns
from zerostart.services.endpoint import EndpointService
from zerostart.services.endpoint_config import EndpointConfigService
from zerostart.services.idle import VARIABLE
from zerostart.services.model import ModelService
from zerostart.services.profile import PROFILE_VARIABLE
from zerostart.services.tag import TagService
from zerostart.storage.base import parse_uri

VARIANT = "AllTraffic"
MADE_FOR = "zerostart:made-for-endpoint"
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,1000}", re.ASCII)
_KEY_ID = re.compile(r"[a-zA-Z0-9:/_-]{0,2048}")
_INSTANCE_TYPE = re.compile(r"ml\.[a-z][a-z0-9-]*\.[a-z0-9-]+")
ROLE_ARN = f"arn:aws:iam::{ACCOUNT_ID}:role/zerostart"
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
    role_arn: str = ROLE_ARN
    kms_key_id: str = ""
    output_uri: str = ""
    idle_timeout_s: float | None = None
    profile_uri: str = ""

    def __post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise InvalidField(
                "name",
                f"{shortened(self.name)} cannot name an endpoint: use letters, digits and single hyphens between them, "
                "at most 63.",
            )
        check_instances(self.instance_count, self.instance_type)
        if _ROLE_ARN.fullmatch(self.role_arn) is None:
            raise InvalidField("role_arn", f"{shortened(self.role_arn)} is no role: use one like {ROLE_ARN}.")
        if _KEY_ID.fullmatch(self.kms_key_id) is None:
            raise InvalidField(
                "kms_key_id", f"{shortened(self.kms_key_id)} names no key: use letters, digits, '-', '_', '/' and ':'."
            )
        if self.output_uri:
            try:
                parse_uri(self.output_uri)
            except InvalidInput as error:
                raise InvalidField("output_uri", str(error)) from error
        if self.profile_uri and not self.profile_uri.startswith("s3://"):
            raise InvalidField(
                "profile", f"{shortened(self.profile_uri)} is no object of a bucket: write s3://bucket/key."
            )
        _check_tags(self.tags)


def check_instances(count: int, instance_type: str) -> None:
    """Raise InvalidField unless so many instances of this type can be asked for."""
    if count < 1:
        raise InvalidField("instance_count", f"{count} instances serve nobody: ask for at least 1.")
    if _INSTANCE_TYPE.fullmatch(instance_type) is None:
        message = f"{shortened(instance_type)} is no instance type: use one like 'ml.m5.xlarge'."
        raise InvalidField("instance_type", message)


def _check_tags(tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if not (0 < len(key) <= 128 and len(value) <= 256) or key.lower().startswith(("aws:", "zerostart:")):
            raise InvalidField("tags", f"The tag {shortened(key)} cannot be set: use a key of 1 to 128 characters.")
    if len(tags) > _MOST_TAGS:
        raise InvalidField("tags", f"{len(tags)} tags are too many: give at most {_MOST_TAGS}.")


@dataclass(frozen=True)
class Belongings:
    """The configs and models that an endpoint was made from, or updated to, and that are still there.

    `made_for_it` says that they were made together with it.
    """

    config_names: tuple[str, ...]
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
            self._models.create_model(
                name, deployment.model_id, None, asked_model(deployment), tags, _environment(deployment)
            )
            undo.append(self._models.delete_model)
            variants = [ProductionVariant(VARIANT, name, deployment.instance_count, deployment.instance_type, 1.0)]
            self._endpoint_configs.create_endpoint_config(
                name, variants, asked_config(deployment), tags, _asynchronous(deployment)
            )
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
        tagged = self._tags.arns_tagged(MADE_FOR, endpoint_name)
        models = _kept(
            self._models.describe_model,
            [*(each.model_name for each in endpoint.variants), *_names_in(tagged, "model")],
        )
        configs = _kept(
            self._endpoint_configs.describe_endpoint_config,
            [endpoint.config_name, *_names_in(tagged, "endpoint-config")],
        )
        arns = {self._arns.of("model", name) for name in models}
        arns |= {self._arns.of("endpoint-config", name) for name in configs}
        return Belongings(configs, models, made_for_it=bool(arns) and arns <= set(tagged))

    def delete(self, endpoint_name: str, *, with_belongings: bool) -> None:
        """Delete an endpoint, and if wanted what it was made from. Raises NotFound for an unknown endpoint."""
        belongings = self.belongings(endpoint_name)
        self._endpoints.delete_endpoint(endpoint_name)
        if with_belongings:
            for name in belongings.config_names:
                _found(self._endpoint_configs.delete_endpoint_config, name)
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


def _kept(look: Callable[[str], object], names: Sequence[str]) -> tuple[str, ...]:
    """Those of `names` that are there, each once."""
    return tuple(name for name in dict.fromkeys(names) if _found(look, name))


def _names_in(arns: Sequence[str], kind: str) -> list[str]:
    resources = [arn.rpartition(":")[2].partition("/") for arn in arns]
    return [name for found, _, name in resources if found == kind]


def _environment(deployment: Deployment) -> dict[str, str]:
    environment = {"HF_MODEL_ID": deployment.model_id, "HF_TASK": "zero-shot-classification"}
    if deployment.idle_timeout_s is not None:
        environment[VARIABLE] = f"{deployment.idle_timeout_s:.15g}"
    if deployment.profile_uri:
        environment[PROFILE_VARIABLE] = deployment.profile_uri
    return environment


def asked_model(deployment: Deployment) -> Mapping[str, object]:
    """The same in AWS's words, for those who ask DescribeModel."""
    return {
        "ModelName": deployment.name,
        "ExecutionRoleArn": deployment.role_arn,
        "PrimaryContainer": {"Environment": _environment(deployment)},
        "EnableNetworkIsolation": deployment.network_isolation,
    }


def asked_config(deployment: Deployment) -> Mapping[str, object]:
    """The same, for those who ask DescribeEndpointConfig."""
    variant = {
        "VariantName": VARIANT,
        "ModelName": deployment.name,
        "InitialInstanceCount": deployment.instance_count,
        "InstanceType": deployment.instance_type,
        "InitialVariantWeight": 1.0,
    }
    asked: dict[str, object] = {"EndpointConfigName": deployment.name, "ProductionVariants": [variant]}
    key = {"KmsKeyId": deployment.kms_key_id} if deployment.kms_key_id else {}
    output = {"S3OutputPath": deployment.output_uri} | key
    return asked | key | ({"AsyncInferenceConfig": {"OutputConfig": output}} if deployment.output_uri else {})


def _asynchronous(deployment: Deployment) -> Asynchronous | None:
    uri, key = deployment.output_uri, deployment.kms_key_id
    return Asynchronous(uri, kms_key_id=key or None) if uri else None

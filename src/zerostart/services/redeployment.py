"""Use case of updating an endpoint in one step: a config like its own but for what changes, and models where needed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

from zerostart.errors import NotFound, NotUpdatable
from zerostart.metadata.endpoint import DeployedVariant, Endpoint
from zerostart.metadata.endpoint_config import ProductionVariant
from zerostart.services.deployment import MADE_FOR, ROLE_ARN, DeploymentService, check_instances
from zerostart.services.endpoint import EndpointService
from zerostart.services.endpoint_config import EndpointConfigService
from zerostart.services.model import ModelService


@dataclass(frozen=True)
class VariantChange:
    """What a variant shall be from now on; count and type mean nothing to one that is serverless."""

    model_id: str
    instance_count: int
    instance_type: str
    network_isolation: bool

    def __post_init__(self) -> None:
        check_instances(self.instance_count, self.instance_type)


class RedeploymentService:
    """Updates endpoints."""

    def __init__(
        self,
        deployments: DeploymentService,
        models: ModelService,
        endpoint_configs: EndpointConfigService,
        endpoints: EndpointService,
    ) -> None:
        self._deployments = deployments
        self._models = models
        self._endpoint_configs = endpoint_configs
        self._endpoints = endpoints

    def update(self, name: str, seen_config: str, changes: Mapping[str, VariantChange]) -> str:
        """Have an endpoint serve its variants with these changes; the name of its new config.

        All is made, or nothing. `seen_config` is what it served when the changes were thought of. Raises NotUpdatable
        if that is another by now, or the endpoint is not InService, and what the services raise.
        """
        endpoint = self._endpoints.describe_endpoint(name).endpoint
        if endpoint.config_name != seen_config or {each.name for each in endpoint.variants} != changes.keys():
            raise NotUpdatable(f"Endpoint {name} was changed by somebody else meanwhile: look at it, and try again.")
        config_name = self._deployments.free_name(name)
        undo: list[Callable[[], None]] = []
        try:
            variants = [
                self._changed(endpoint, each, changes[each.name], config_name, undo) for each in endpoint.variants
            ]
            asked = _asked_config(self._present_config(endpoint), config_name, variants)
            tags = {MADE_FOR: name}
            self._endpoint_configs.create_endpoint_config(config_name, variants, asked, tags, endpoint.asynchronous)
            undo.append(partial(self._endpoint_configs.delete_endpoint_config, config_name))
            self._endpoints.update_endpoint(name, config_name)
        except Exception:
            for remove in reversed(undo):
                with suppress(NotFound):
                    remove()
            raise
        return config_name

    def _changed(
        self,
        endpoint: Endpoint,
        present: DeployedVariant,
        change: VariantChange,
        config_name: str,
        undo: list[Callable[[], None]],
    ) -> ProductionVariant:
        """The variant after the change; the weight it has now stays, whatever the config said."""
        values = {each.name: getattr(present, each.name) for each in fields(ProductionVariant)}
        if not self._serves(present, change):
            values["model_name"] = self._deployments.free_name(config_name)
            asked = self._asked_model(present, values["model_name"], change)
            tags = {MADE_FOR: endpoint.name}
            self._models.create_model(values["model_name"], change.model_id, None, asked, tags)
            undo.append(partial(self._models.delete_model, values["model_name"]))
        if present.serverless is None:
            values |= {"instance_count": change.instance_count, "instance_type": change.instance_type}
        return ProductionVariant(**values)

    def _serves(self, present: DeployedVariant, change: VariantChange) -> bool:
        """Whether the model that the variant has by name is, still, what it shall serve."""
        try:
            model = self._models.describe_model(present.model_name)
        except NotFound:
            return False
        isolated = bool(model.asked.get("EnableNetworkIsolation"))
        return (model.model_id, isolated) == (change.model_id, change.network_isolation)

    def _asked_model(self, present: DeployedVariant, name: str, change: VariantChange) -> Mapping[str, object]:
        try:
            role = self._models.describe_model(present.model_name).asked.get("ExecutionRoleArn", ROLE_ARN)
        except NotFound:
            role = ROLE_ARN
        environment = {"HF_MODEL_ID": change.model_id, "HF_TASK": "zero-shot-classification"}
        return {
            "ModelName": name,
            "ExecutionRoleArn": role,
            "PrimaryContainer": {"Environment": environment},
            "EnableNetworkIsolation": change.network_isolation,
        }

    def _present_config(self, endpoint: Endpoint) -> Mapping[str, Any]:
        """What the endpoint's config was asked for with; if it was deleted, what is still known of it."""
        try:
            return self._endpoint_configs.describe_endpoint_config(endpoint.config_name).asked
        except NotFound:
            there = endpoint.asynchronous
            if there is None:
                return {}
            output = {
                "S3OutputPath": there.output_uri,
                "S3FailurePath": there.failure_uri,
                "KmsKeyId": there.kms_key_id,
            }
            return {"AsyncInferenceConfig": {"OutputConfig": {key: value for key, value in output.items() if value}}}


def _asked_config(
    present: Mapping[str, Any], config_name: str, variants: Sequence[ProductionVariant]
) -> Mapping[str, object]:
    asked_before = {each["VariantName"]: each for each in present.get("ProductionVariants", ())}
    asked = [_asked_variant(asked_before.get(each.name, {}), each) for each in variants]
    return {**present, "EndpointConfigName": config_name, "ProductionVariants": asked}


def _asked_variant(before: Mapping[str, Any], variant: ProductionVariant) -> Mapping[str, object]:
    asked = {"VariantName": variant.name, "ModelName": variant.model_name, "InitialVariantWeight": variant.weight}
    if variant.serverless is None:
        return {
            **before,
            **asked,
            "InitialInstanceCount": variant.instance_count,
            "InstanceType": variant.instance_type,
        }
    serverless = {"MemorySizeInMB": variant.serverless.memory_mb, "MaxConcurrency": variant.serverless.max_concurrency}
    if variant.serverless.provisioned_concurrency:
        serverless["ProvisionedConcurrency"] = variant.serverless.provisioned_concurrency
    return {**before, **asked, "ServerlessConfig": serverless}

"""SageMaker's operations on endpoint configs."""

from collections.abc import Mapping
from typing import Any

from zerostart.errors import InvalidInput
from zerostart.metadata.endpoint_config import Asynchronous, EndpointConfig, ProductionVariant, Serverless
from zerostart.server.aws.listing import page_request
from zerostart.server.aws.support import refuse_unsupported, tags_of
from zerostart.services.arn import Arns
from zerostart.services.endpoint_config import EndpointConfigService

_UNSUPPORTED = ("DataCaptureConfig", "ExplainerConfig", "ShadowProductionVariants", "CrossRegionTrafficConfig")
_UNSUPPORTED_IN_VARIANT = (
    "ManagedInstanceScaling",
    "RoutingConfig",
    "CapacityReservationConfig",
    "InstancePools",
)
_DEFAULT_INSTANCE_TYPE = "ml.m5.xlarge"


class EndpointConfigOperations:
    """One method an operation: CreateEndpointConfig is create_endpoint_config."""

    def __init__(self, service: EndpointConfigService, arns: Arns) -> None:
        self._service = service
        self._arns = arns

    def create_endpoint_config(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """CreateEndpointConfig."""
        refuse_unsupported(asked, _UNSUPPORTED)
        variants = [_variant(each) for each in asked["ProductionVariants"]]
        shown = {key: value for key, value in asked.items() if key != "Tags"}
        arn = self._service.create_endpoint_config(
            asked["EndpointConfigName"], variants, shown, tags_of(asked), _asynchronous(asked)
        )
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeEndpointConfig."""
        config = self._service.describe_endpoint_config(asked["EndpointConfigName"])
        return {**config.asked, **self._summary(config)}

    def list_endpoint_configs(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """ListEndpointConfigs."""
        page = self._service.list_endpoint_configs(page_request(asked))
        return {
            "EndpointConfigs": [self._summary(config) for config in page.records],
            "NextToken": page.next_token,
        }

    def delete_endpoint_config(self, asked: Mapping[str, Any]) -> None:
        """DeleteEndpointConfig."""
        self._service.delete_endpoint_config(asked["EndpointConfigName"])

    def _summary(self, config: EndpointConfig) -> dict[str, Any]:
        arn = self._arns.of("endpoint-config", config.name)
        return {
            "EndpointConfigName": config.name,
            "EndpointConfigArn": arn,
            "CreationTime": config.created_at,
        }


def _variant(asked: Mapping[str, Any]) -> ProductionVariant:
    refuse_unsupported(asked, _UNSUPPORTED_IN_VARIANT)
    if not asked.get("ModelName"):
        raise InvalidInput(f"Variant {asked['VariantName']} names no model: set ModelName.")
    serverless = asked.get("ServerlessConfig")
    if serverless and (asked.get("InstanceType") or asked.get("InitialInstanceCount")):
        raise InvalidInput(f"Variant {asked['VariantName']} is serverless: give no InstanceType or instance count.")
    instance_type = asked.get("InstanceType", _DEFAULT_INSTANCE_TYPE)
    if not instance_type.startswith("ml."):
        raise InvalidInput(
            f"InstanceType {instance_type!r} is not an ml.* type: use one like {_DEFAULT_INSTANCE_TYPE!r}."
        )
    return ProductionVariant(
        name=asked["VariantName"],
        model_name=asked["ModelName"],
        instance_count=asked.get("InitialInstanceCount", 1),
        instance_type=instance_type,
        weight=float(asked.get("InitialVariantWeight", 1.0)),
        serverless=_serverless(serverless) if serverless else None,
    )


def _serverless(asked: Mapping[str, Any]) -> Serverless:
    provisioned = asked.get("ProvisionedConcurrency")
    if provisioned is not None and provisioned > asked["MaxConcurrency"]:
        raise InvalidInput(
            f"ProvisionedConcurrency {provisioned} is more than MaxConcurrency {asked['MaxConcurrency']}."
        )
    return Serverless(asked["MemorySizeInMB"], asked["MaxConcurrency"], provisioned)


def _asynchronous(asked: Mapping[str, Any]) -> Asynchronous | None:
    """Where asynchronous answers go. MaxConcurrentInvocationsPerInstance is taken and bounded by the server itself."""
    config = asked.get("AsyncInferenceConfig")
    if not config:
        return None
    output = config["OutputConfig"]
    refuse_unsupported(output, ("NotificationConfig",))
    if not output.get("S3OutputPath"):
        raise InvalidInput("AsyncInferenceConfig.OutputConfig names no S3OutputPath: set it, like s3://bucket/answers.")
    return Asynchronous(output["S3OutputPath"], output.get("S3FailurePath"), output.get("KmsKeyId"))

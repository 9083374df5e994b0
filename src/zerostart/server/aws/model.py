"""SageMaker's operations on models."""

from collections.abc import Mapping
from typing import Any

from zerostart.errors import InvalidInput
from zerostart.metadata.model import Model
from zerostart.server.aws.listing import page_request
from zerostart.server.aws.support import refuse_unsupported, tags_of
from zerostart.services.arn import Arns
from zerostart.services.model import ModelService

_UNSUPPORTED = ("InferenceExecutionConfig",)
_UNSUPPORTED_IN_CONTAINER = (
    "MultiModelConfig",
    "ModelPackageName",
    "InferenceSpecificationName",
    "AdditionalModelDataSources",
)
_JUMPSTART_TAG = "sagemaker-sdk:jumpstart-model-id"


class ModelOperations:
    """One method an operation: CreateModel is create_model."""

    def __init__(self, service: ModelService, arns: Arns) -> None:
        self._service = service
        self._arns = arns

    def create_model(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """CreateModel; an image is never run.

        The model is named by Environment.HF_MODEL_ID, or else by the JumpStart tag, or else by the artefact.
        """
        refuse_unsupported(asked, _UNSUPPORTED)
        container = _container(asked)
        refuse_unsupported(container, _UNSUPPORTED_IN_CONTAINER)
        tags = tags_of(asked)
        environment = container.get("Environment") or {}
        model_id = environment.get("HF_MODEL_ID") or tags.get(_JUMPSTART_TAG)
        shown = {key: value for key, value in asked.items() if key != "Tags"}
        uri = container.get("ModelDataUrl") or (_data_source(container).get("S3Uri"))
        arn = self._service.create_model(asked["ModelName"], model_id, uri, shown, tags, environment)
        return {"ModelArn": arn}

    def describe_model(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModel; isolation is shown as it is, also where it was not asked for."""
        model = self._service.describe_model(asked["ModelName"])
        isolated = self._service.not_isolated is None
        return {**model.asked, "EnableNetworkIsolation": isolated, **self._summary(model)}

    def list_models(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """ListModels."""
        page = self._service.list_models(page_request(asked))
        return {"Models": [self._summary(model) for model in page.records], "NextToken": page.next_token}

    def delete_model(self, asked: Mapping[str, Any]) -> None:
        """DeleteModel."""
        self._service.delete_model(asked["ModelName"])

    def _summary(self, model: Model) -> dict[str, Any]:
        return {
            "ModelName": model.name,
            "ModelArn": self._arns.of("model", model.name),
            "CreationTime": model.created_at,
        }


def _container(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one container: the primary one, or the only one of a list."""
    containers = [each for each in (asked.get("PrimaryContainer"), *(asked.get("Containers") or ())) if each]
    if len(containers) > 1:
        raise InvalidInput(f"A model has one container here, not {len(containers)}: give PrimaryContainer alone.")
    return containers[0] if containers else {}


def _data_source(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (container.get("ModelDataSource") or {}).get("S3DataSource") or {}

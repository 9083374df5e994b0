"""SageMaker's operations on models."""

from collections.abc import Mapping
from typing import Any

from zerostart.metadata.model import Model
from zerostart.server.aws.listing import page_request
from zerostart.server.aws.support import refuse_unsupported, tags_of
from zerostart.services.arn import Arns
from zerostart.services.model import ModelService

_UNSUPPORTED = ("Containers", "InferenceExecutionConfig")
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
        """CreateModel. The model id is Environment.HF_MODEL_ID, or else the JumpStart tag; an image is never run."""
        container = asked.get("PrimaryContainer") or {}
        refuse_unsupported(asked, _UNSUPPORTED)
        refuse_unsupported(container, _UNSUPPORTED_IN_CONTAINER)
        tags = tags_of(asked)
        model_id = (container.get("Environment") or {}).get("HF_MODEL_ID") or tags.get(_JUMPSTART_TAG)
        shown = {key: value for key, value in asked.items() if key != "Tags"}
        return {"ModelArn": self._service.create_model(asked["ModelName"], model_id, shown, tags)}

    def describe_model(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeModel."""
        model = self._service.describe_model(asked["ModelName"])
        return {"EnableNetworkIsolation": False, **model.asked, **self._summary(model)}

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

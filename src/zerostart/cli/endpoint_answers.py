"""Answers of an endpoint, asked through boto3 by a few callers at a time."""

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from zerostart.cli.client import aws_errors, runtime, sagemaker
from zerostart.cli.records import classification_in
from zerostart.errors import ZerostartError
from zerostart.models.local_artefacts import LocalArtefacts
from zerostart.nli.classification import Classification, ClassificationRequest
from zerostart.settings import load_settings

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

    from zerostart.evaluation.scoring import Ask

_CALLERS = 4


def endpoint_ask(name: str) -> "Ask":
    """A function that asks the endpoint; its answers come in the order of the requests."""
    client = runtime()

    def answers(requests: Iterable[ClassificationRequest]) -> Iterator[Sequence[Classification]]:
        waiting: deque[Future[list[Classification]]] = deque()
        with ThreadPoolExecutor(_CALLERS) as callers, aws_errors():
            try:
                for request in requests:
                    waiting.append(callers.submit(_asked, client, name, request))
                    if len(waiting) > 2 * _CALLERS:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for each in waiting:
                    each.cancel()

    return answers


def model_behind(name: str) -> tuple[str | None, str | None]:
    """The id and revision of an endpoint's model, where the server tells and the model is on this machine."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = sagemaker()
        config = client.describe_endpoint(EndpointName=name)["EndpointConfigName"]
        (variant,) = client.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        described = client.describe_model(ModelName=variant["ModelName"])
        model_id = described["PrimaryContainer"]["Environment"]["HF_MODEL_ID"]
        artefact = LocalArtefacts(load_settings().models_folder).find(model_id)
    except (ClientError, BotoCoreError, ZerostartError, KeyError, ValueError):
        return None, None
    return artefact.model_id, artefact.manifest.revision


def _asked(client: "SageMakerRuntimeClient", name: str, request: ClassificationRequest) -> list[Classification]:
    labels = request.labels[0]
    parameters: dict[str, Any] = {
        "candidate_labels": {label.name: label.description for label in labels},
        "hypothesis_template": request.template.text,
        "multi_label": request.multi_label,
        **({"scorer": request.scorer} if request.scorer else {}),
    }
    body = json.dumps({"inputs": list(request.texts), "parameters": parameters})
    answer = client.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json")
    return [classification_in(each) for each in json.loads(answer["Body"].read())]

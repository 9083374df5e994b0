"""sagemaker v3's resources: Model, EndpointConfig, Endpoint."""

import json

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

model = Model.create(
    model_name="v3-core",
    primary_container=ContainerDefinition(environment={"HF_MODEL_ID": "zerostart-zstc-small"}),
    execution_role_arn="arn:aws:iam::000000000000:role/flow",
)
config = EndpointConfig.create(
    endpoint_config_name="v3-core",
    production_variants=[
        ProductionVariant(
            variant_name="AllTraffic", model_name="v3-core", initial_instance_count=1, instance_type="ml.m5.large"
        )
    ],
)
endpoint = Endpoint.create(endpoint_name="v3-core", endpoint_config_name="v3-core")
endpoint.wait_for_status("InService")
body = {"inputs": "one day I will see the world", "parameters": {"candidate_labels": ["travel", "cooking"]}}
reply = endpoint.invoke(body=json.dumps(body), content_type="application/json", accept="application/json")
answer = json.loads(reply.body.read())
endpoint.delete()
config.delete()
model.delete()
print(json.dumps({"answer": answer}))  # noqa: T201

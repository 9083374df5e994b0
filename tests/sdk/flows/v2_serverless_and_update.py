"""A serverless deployment, and an update of an endpoint to another instance count, with sagemaker v2."""

import json

from sagemaker.jumpstart.model import JumpStartModel
from sagemaker.serverless import ServerlessInferenceConfig

body = {"sequences": "one day I will see the world", "candidate_labels": ["travel", "cooking"]}
role = "arn:aws:iam::000000000000:role/flow"
serverless = JumpStartModel(model_id="zerostart-zstc-small", role=role).deploy(
    serverless_inference_config=ServerlessInferenceConfig(memory_size_in_mb=2048, max_concurrency=5)
)
answer = serverless.predict(body)
serverless.delete_model()
serverless.delete_predictor()
predictor = JumpStartModel(model_id="zerostart-zstc-small", role=role).deploy()
predictor.update_endpoint(initial_instance_count=2, instance_type="ml.c5.large")
described = predictor.sagemaker_session.sagemaker_client.describe_endpoint(EndpointName=predictor.endpoint_name)
updated = predictor.predict(body)
predictor.delete_model()
predictor.delete_predictor()
print(  # noqa: T201
    json.dumps(
        {"answer": answer, "updated": updated, "count": described["ProductionVariants"][0]["CurrentInstanceCount"]}
    )
)
